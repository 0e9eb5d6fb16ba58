/* SPDX-License-Identifier: MIT */
/*
 * A driver for NVMe controllers by the specification (1.4), for the tests of the model:
 * it shares nothing with it, and reaches registers as tests/hw_host.h says.
 */
#ifndef TESTS_HW_NVME_H
#define TESTS_HW_NVME_H

#include "tests/hw_host.h"

#define NVME_QUEUE_IOVA 0x10000000ull /* of queue n: 0x100000 * n on from there */
#define NVME_DATA_IOVA  0x7f0000000000ull
#define NVME_DATA_SIZE  0x200000
#define NVME_MAX_QUEUES 4

/* Registers. */
#define R_CAP   0x00
#define R_VS    0x08
#define R_INTMS 0x0c
#define R_INTMC 0x10
#define R_CC    0x14
#define R_CSTS  0x1c
#define R_AQA   0x24
#define R_ASQ   0x28
#define R_ACQ   0x30

#define CC_ENABLE 0x00460001u /* IOCQES 4, IOSQES 6, pages of 4 KiB */

struct nvme_driver_queue {
	unsigned int size, tail, head;
	bool phase;
	uint64_t sq, cq;
};

struct nvme_driver {
	struct host *host;
	struct nvme_driver_queue queue[NVME_MAX_QUEUES + 1];
	uint8_t *data; /* at NVME_DATA_IOVA */
	uint16_t next_cid;
	uint64_t shadow; /* IOVA of shadow doorbells, or 0 */
};

struct command {
	uint8_t opcode, flags;
	uint32_t nsid;
	uint64_t dptr[2];
	uint32_t dw[6]; /* dwords 10 to 15 */
	uint64_t lower_dw2;
};

struct completion {
	uint32_t result;
	uint16_t sqhd, sqid, cid, status; /* status without the phase */
};

static inline uint64_t doorbell_of(unsigned int queue, bool completion)
{
	return 0x1000 + 8 * queue + 4 * completion;
}

static inline void nvme_ring(struct nvme_driver *driver, unsigned int queue, bool completion,
			     uint32_t value)
{
	uint64_t offset = 8 * queue + 4 * completion;
	uint32_t raw = htole32(value);

	if (driver->shadow && queue)
		host_put(driver->host, driver->shadow + offset, &raw, sizeof(raw));
	reg_write32(driver->host, doorbell_of(queue, completion), value);
}

/* Put a command into a queue, without its doorbell. */
static inline uint16_t nvme_queue_command(struct nvme_driver *driver, unsigned int qid,
					  const struct command *command)
{
	struct nvme_driver_queue *queue = &driver->queue[qid];
	uint32_t raw[16] = {0};
	uint16_t cid = driver->next_cid++;

	raw[0] = htole32(command->opcode | (uint32_t)command->flags << 8 | (uint32_t)cid << 16);
	raw[1] = htole32(command->nsid);
	for (int i = 0; i < 2; i++) {
		raw[6 + 2 * i] = htole32((uint32_t)command->dptr[i]);
		raw[7 + 2 * i] = htole32((uint32_t)(command->dptr[i] >> 32));
	}
	for (int i = 0; i < 6; i++)
		raw[10 + i] = htole32(command->dw[i]);
	host_put(driver->host, queue->sq + 64 * queue->tail, raw, sizeof(raw));
	queue->tail = (queue->tail + 1) % queue->size;
	return cid;
}

static inline uint16_t nvme_submit(struct nvme_driver *driver, unsigned int qid,
				   const struct command *command)
{
	uint16_t cid = nvme_queue_command(driver, qid, command);

	nvme_ring(driver, qid, false, driver->queue[qid].tail);
	return cid;
}

/* The next completion of a queue, if there is one; the doorbell is left alone. */
static inline bool nvme_peek(struct nvme_driver *driver, unsigned int qid,
			     struct completion *completion)
{
	struct nvme_driver_queue *queue = &driver->queue[qid];
	uint32_t raw[4];

	host_get(driver->host, queue->cq + 16 * queue->head, raw, sizeof(raw));
	if ((le32toh(raw[3]) >> 16 & 1) != queue->phase)
		return false;
	*completion = (struct completion){
		.result = le32toh(raw[0]),
		.sqhd = (uint16_t)le32toh(raw[2]),
		.sqid = (uint16_t)(le32toh(raw[2]) >> 16),
		.cid = (uint16_t)le32toh(raw[3]),
		.status = (uint16_t)(le32toh(raw[3]) >> 17),
	};
	if (++queue->head == queue->size) {
		queue->head = 0;
		queue->phase = !queue->phase;
	}
	return true;
}

static inline struct completion nvme_wait(struct nvme_driver *driver, unsigned int qid)
{
	struct completion completion;

	while (!nvme_peek(driver, qid, &completion))
		sched_yield();
	nvme_ring(driver, qid, true, driver->queue[qid].head);
	return completion;
}

/* One command and its end; the status. */
static inline uint16_t nvme_run(struct nvme_driver *driver, unsigned int qid,
				const struct command *command, uint32_t *result)
{
	uint16_t cid = nvme_submit(driver, qid, command);
	struct completion completion = nvme_wait(driver, qid);

	assert_int_equal(completion.cid, cid);
	assert_int_equal(completion.sqid, qid);
	assert_int_equal(completion.sqhd, driver->queue[qid].tail);
	if (result)
		*result = completion.result;
	return completion.status;
}

/* Zeros. A mapping ends where its queue does, so that one entry more is a fault. */
static inline void nvme_map_queue(struct host *host, uint64_t iova, uint64_t size)
{
	struct host_mapping *mapping = host_find(host, iova);

	if (mapping && mapping->size == size) {
		memset(mapping->memory, 0, size);
		return;
	}
	if (mapping)
		mapping->iova |= 1ull << 60; /* out of the way */
	host_map(host, iova, size);
}

static inline void nvme_start_queue(struct nvme_driver *driver, unsigned int qid, unsigned int size)
{
	driver->queue[qid] = (struct nvme_driver_queue){
		.size = size,
		.phase = true,
		.sq = NVME_QUEUE_IOVA + 0x100000ull * qid,
		.cq = NVME_QUEUE_IOVA + 0x100000ull * qid + 0x80000,
	};
	nvme_map_queue(driver->host, driver->queue[qid].sq, 64 * size);
	nvme_map_queue(driver->host, driver->queue[qid].cq, 16 * size);
}

static inline uint32_t nvme_disable(struct nvme_driver *driver)
{
	reg_write32(driver->host, R_CC, CC_ENABLE & ~1u);
	wait_until(!(reg_read32(driver->host, R_CSTS) & 1));
	return reg_read32(driver->host, R_CSTS);
}

/* CSTS when it is ready. That it failed before may be seen until then. */
static inline uint32_t nvme_enable(struct nvme_driver *driver, unsigned int entries)
{
	nvme_start_queue(driver, 0, entries);
	reg_write32(driver->host, R_AQA, (entries - 1) << 16 | (entries - 1));
	reg_write(driver->host, R_ASQ, 8, driver->queue[0].sq);
	reg_write(driver->host, R_ACQ, 8, driver->queue[0].cq);
	reg_write32(driver->host, R_CC, CC_ENABLE);
	wait_until(reg_read32(driver->host, R_CSTS) & 1);
	return reg_read32(driver->host, R_CSTS);
}

static inline uint16_t nvme_create_cq(struct nvme_driver *driver, unsigned int qid,
				      unsigned int vector, bool interrupts)
{
	struct command command = {
		.opcode = 0x05,
		.dptr = {driver->queue[qid].cq},
		.dw = {(driver->queue[qid].size - 1) << 16 | qid,
		       vector << 16 | (unsigned int)interrupts << 1 | 1},
	};

	return nvme_run(driver, 0, &command, NULL);
}

static inline uint16_t nvme_create_sq(struct nvme_driver *driver, unsigned int qid,
				      unsigned int cqid)
{
	struct command command = {
		.opcode = 0x01,
		.dptr = {driver->queue[qid].sq},
		.dw = {(driver->queue[qid].size - 1) << 16 | qid, cqid << 16 | 1},
	};

	return nvme_run(driver, 0, &command, NULL);
}

static inline void nvme_open_queue(struct nvme_driver *driver, unsigned int qid, unsigned int size)
{
	nvme_start_queue(driver, qid, size);
	assert_int_equal(nvme_create_cq(driver, qid, qid, true), 0);
	assert_int_equal(nvme_create_sq(driver, qid, qid), 0);
}

static inline uint16_t nvme_delete(struct nvme_driver *driver, unsigned int qid, bool completion)
{
	struct command command = {.opcode = completion ? 0x04 : 0x00, .dw = {qid}};

	return nvme_run(driver, 0, &command, NULL);
}

static inline uint16_t nvme_identify(struct nvme_driver *driver, uint32_t cns, uint32_t nsid,
				     uint64_t to)
{
	struct command command = {.opcode = 0x06, .nsid = nsid, .dptr = {to}, .dw = {cns}};

	return nvme_run(driver, 0, &command, NULL);
}

/* A read or write of blocks in one piece of memory within a page or two. */
static inline struct command nvme_rw(uint8_t opcode, uint32_t nsid, uint64_t block,
				     unsigned int blocks, uint64_t iova)
{
	return (struct command){
		.opcode = opcode,
		.nsid = nsid,
		.dptr = {iova, (iova & ~0xfffull) + 0x1000},
		.dw = {(uint32_t)block, (uint32_t)(block >> 32), blocks - 1},
	};
}

static inline struct nvme_driver *nvme_begin(const char *options, bool mapped)
{
	struct nvme_driver *driver = calloc(1, sizeof(*driver));

	assert_non_null(driver);
	driver->host = host_begin("nvme", options, mapped);
	driver->data = host_map(driver->host, NVME_DATA_IOVA, NVME_DATA_SIZE);
	assert_int_equal(nvme_enable(driver, 8), 1);
	return driver;
}

static inline void nvme_end(struct nvme_driver *driver)
{
	host_end(driver->host);
	free(driver);
}

#endif
