// SPDX-License-Identifier: MIT
/*
 * Migration of an NVMe controller: its registers and queues, and what namespaces in
 * memory hold. An image in a file is not part of it; the other side opens the same.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "hw/nvme.h"
#include "hw/state.h"

#define MAGIC 0x31656d76u /* "vme1" */

static void write_queues(struct hw_writer *writer, const struct nvme *nvme)
{
	for (unsigned int qid = 0; qid <= nvme->nr_io_queues; qid++) {
		const struct nvme_sq *sq = &nvme->sq[qid];
		const struct nvme_cq *cq = &nvme->cq[qid];

		hw_write32(writer, cq->exists);
		if (cq->exists) {
			hw_write64(writer, cq->base);
			hw_write32(writer, cq->size);
			hw_write32(writer, cq->head);
			hw_write32(writer, cq->tail);
			hw_write32(writer, cq->phase);
			hw_write32(writer, cq->interrupts);
			hw_write32(writer, cq->vector);
		}
		hw_write32(writer, sq->exists);
		if (sq->exists) {
			hw_write64(writer, sq->base);
			hw_write32(writer, sq->size);
			hw_write32(writer, sq->head);
			hw_write32(writer, sq->tail);
			hw_write32(writer, sq->cqid);
		}
	}
}

static void write_controller(struct hw_writer *writer, const struct nvme *nvme)
{
	hw_write32(writer, nvme->cc);
	hw_write32(writer, nvme->csts);
	hw_write32(writer, nvme->mask);
	hw_write32(writer, nvme->page_lg2);
	hw_write32(writer, nvme->nr_aers);
	for (unsigned int i = 0; i < NVME_NR_AERS; i++)
		hw_write32(writer, nvme->aer[i]);
	hw_write32(writer, nvme->event_waits);
	hw_write32(writer, nvme->event_masked);
	hw_write32(writer, nvme->event_info);
	for (unsigned int i = 0; i < NVME_NR_FEATURES; i++)
		hw_write32(writer, nvme->features[i]);
	hw_write32(writer, nvme->shadowed);
	hw_write64(writer, nvme->shadow);
	hw_write64(writer, nvme->event_index);
	hw_write64(writer, nvme->stats.read_blocks);
	hw_write64(writer, nvme->stats.written_blocks);
	hw_write64(writer, nvme->stats.reads);
	hw_write64(writer, nvme->stats.writes);
}

size_t nvme_save(struct hw_device *dev, void *state, size_t size)
{
	struct nvme *nvme = nvme_of(dev);
	struct hw_writer writer = {.to = state, .size = size};

	hw_write32(&writer, MAGIC);
	hw_write32(&writer, nvme->nr_io_queues);
	hw_write32(&writer, nvme->block_lg2);
	hw_write32(&writer, nvme->nr_ns);
	for (unsigned int i = 0; i < nvme->nr_ns; i++) {
		hw_write64(&writer, nvme->ns[i].size);
		hw_write32(&writer, !nvme->ns[i].memory);
	}
	hw_write_bytes(&writer, nvme->registers, NVME_BAR_SIZE);
	write_controller(&writer, nvme);
	write_queues(&writer, nvme);
	for (unsigned int i = 0; i < nvme->nr_ns; i++)
		if (nvme->ns[i].memory)
			hw_write_sparse(&writer, nvme->ns[i].memory, nvme->ns[i].size);
	return writer.length;
}

/* The same kind of device, with the same namespaces. */
static void check_shape(struct hw_reader *reader, const struct nvme *nvme)
{
	reader->bad |= hw_read32(reader) != MAGIC;
	reader->bad |= hw_read32(reader) != nvme->nr_io_queues;
	reader->bad |= hw_read32(reader) != nvme->block_lg2;
	reader->bad |= hw_read32(reader) != nvme->nr_ns;
	for (unsigned int i = 0; i < nvme->nr_ns; i++) {
		reader->bad |= hw_read64(reader) != nvme->ns[i].size;
		reader->bad |= hw_read32(reader) != !nvme->ns[i].memory;
	}
}

static void read_cq(struct hw_reader *reader, struct nvme *to, unsigned int qid)
{
	struct nvme_cq *cq = &to->cq[qid];

	*cq = (struct nvme_cq){.exists = hw_read_below(reader, 1), .bell = NVME_NEW_BELL};
	if (!cq->exists)
		return;
	cq->base = hw_read64(reader);
	cq->size = hw_read_below(reader, NVME_MAX_ADMIN);
	cq->head = hw_read32(reader);
	cq->tail = hw_read32(reader);
	cq->phase = hw_read_below(reader, 1);
	cq->interrupts = hw_read_below(reader, 1);
	cq->vector = (uint16_t)hw_read_below(reader, to->nr_io_queues);
	reader->bad |= cq->size < 2 || cq->head >= cq->size || cq->tail >= cq->size;
}

static void read_sq(struct hw_reader *reader, struct nvme *to, unsigned int qid)
{
	struct nvme_sq *sq = &to->sq[qid];

	*sq = (struct nvme_sq){.exists = hw_read_below(reader, 1), .bell = NVME_NEW_BELL};
	if (!sq->exists)
		return;
	sq->base = hw_read64(reader);
	sq->size = hw_read_below(reader, NVME_MAX_ADMIN);
	sq->head = hw_read32(reader);
	sq->tail = hw_read32(reader);
	sq->cqid = (uint16_t)hw_read_below(reader, to->nr_io_queues);
	reader->bad |=
		sq->size < 2 || sq->head >= sq->size || sq->tail >= sq->size || !qid != !sq->cqid;
}

static void read_queues(struct hw_reader *reader, struct nvme *to)
{
	for (unsigned int qid = 0; qid <= to->nr_io_queues; qid++) {
		read_cq(reader, to, qid);
		read_sq(reader, to, qid);
	}
	for (unsigned int qid = 0; qid <= to->nr_io_queues; qid++) {
		if (!to->sq[qid].exists)
			continue;
		reader->bad |= !to->cq[to->sq[qid].cqid].exists;
		to->cq[to->sq[qid].cqid].nr_sqs++;
	}
	/* A controller that is ready has its admin queues. */
	if (to->csts & NVME_CSTS_RDY)
		reader->bad |= !to->sq[0].exists;
}

static void read_controller(struct hw_reader *reader, struct nvme *to)
{
	to->cc = hw_read32(reader);
	to->csts = hw_read_below(reader, NVME_CSTS_RDY | NVME_CSTS_CFS | NVME_CSTS_SHST);
	to->mask = hw_read32(reader);
	to->page_lg2 = hw_read_below(reader, 12 + 15);
	to->nr_aers = hw_read_below(reader, NVME_NR_AERS);
	for (unsigned int i = 0; i < NVME_NR_AERS; i++)
		to->aer[i] = (uint16_t)hw_read_below(reader, UINT16_MAX);
	to->event_waits = hw_read_below(reader, 1);
	to->event_masked = hw_read_below(reader, 1);
	to->event_info = (uint8_t)hw_read_below(reader, UINT8_MAX);
	for (unsigned int i = 0; i < NVME_NR_FEATURES; i++)
		to->features[i] = hw_read32(reader);
	to->shadowed = hw_read_below(reader, 1);
	to->shadow = hw_read64(reader);
	to->event_index = hw_read64(reader);
	to->stats.read_blocks = hw_read64(reader);
	to->stats.written_blocks = hw_read64(reader);
	to->stats.reads = hw_read64(reader);
	to->stats.writes = hw_read64(reader);
	reader->bad |= to->csts & NVME_CSTS_RDY && to->page_lg2 < 12;
}

static void read_namespaces(struct hw_reader *reader, struct nvme *nvme, bool apply)
{
	for (unsigned int i = 0; i < nvme->nr_ns; i++) {
		struct nvme_ns *ns = &nvme->ns[i];

		if (!ns->memory)
			continue;
		if (apply)
			nvme_zero_store(ns, 0, ns->size);
		hw_read_sparse(reader, apply ? ns->memory : NULL, ns->size);
	}
}

static void take_over(struct nvme *nvme, const struct nvme *from)
{
	nvme->cc = from->cc;
	nvme->csts = from->csts;
	nvme->mask = from->mask;
	nvme->page_lg2 = from->page_lg2;
	memcpy(nvme->sq, from->sq, sizeof(nvme->sq));
	memcpy(nvme->cq, from->cq, sizeof(nvme->cq));
	nvme->nr_aers = from->nr_aers;
	memcpy(nvme->aer, from->aer, sizeof(nvme->aer));
	nvme->event_waits = from->event_waits;
	nvme->event_masked = from->event_masked;
	nvme->event_info = from->event_info;
	memcpy(nvme->features, from->features, sizeof(nvme->features));
	nvme->shadowed = from->shadowed;
	nvme->shadow = from->shadow;
	nvme->event_index = from->event_index;
	nvme->stats = from->stats;
}

int nvme_load(struct hw_device *dev, const void *state, size_t size)
{
	struct nvme *nvme = nvme_of(dev), *from;
	struct hw_reader reader = {.at = state, .left = size}, contents;
	const uint8_t *registers;
	int ret = -EINVAL;

	check_shape(&reader, nvme);
	if (reader.bad || reader.left < NVME_BAR_SIZE)
		return -EINVAL;
	registers = reader.at;
	reader.at += NVME_BAR_SIZE;
	reader.left -= NVME_BAR_SIZE;
	from = calloc(1, sizeof(*from));
	if (!from)
		return -ENOMEM;
	from->nr_io_queues = nvme->nr_io_queues;
	read_controller(&reader, from);
	read_queues(&reader, from);
	contents = reader;
	read_namespaces(&reader, nvme, false);
	if (!reader.bad && !reader.left) {
		read_namespaces(&contents, nvme, true);
		memcpy(nvme->registers, registers, NVME_BAR_SIZE);
		take_over(nvme, from);
		ret = 0;
	}
	free(from);
	return ret;
}
