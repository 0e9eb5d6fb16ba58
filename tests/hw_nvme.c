// SPDX-License-Identifier: MIT
/* The model of an NVMe controller by the specification: registers, queues, interrupts, events. */
#include "tests/hw_nvme.h"

static void registers(void **state)
{
	for (int mapped = 0; mapped < 2; mapped++) {
		struct nvme_driver *driver = nvme_begin("", mapped);
		struct host *host = driver->host;
		uint64_t cap = reg_read(host, R_CAP, 8);

		assert_int_equal(cap & 0xffff, 2047);  /* MQES */
		assert_int_equal(cap >> 16 & 1, 1);    /* CQR */
		assert_int_equal(cap >> 32 & 0xf, 0);  /* DSTRD */
		assert_int_equal(cap >> 37 & 0xff, 1); /* CSS */
		assert_int_equal(cap >> 48 & 0xf, 0);  /* MPSMIN */
		assert_int_equal(reg_read32(host, R_VS), 0x10400);
		/* Shutdown, then off, then on again. */
		reg_write32(host, R_CC, CC_ENABLE | 1 << 14);
		wait_until((reg_read32(host, R_CSTS) >> 2 & 3) == 2);
		assert_int_equal(nvme_disable(driver), 0);
		assert_int_equal(nvme_enable(driver, 4096), 1);
		/* What is read-only comes back. */
		reg_write32(host, R_CSTS, 0xff);
		wait_until(reg_read32(host, R_CSTS) == 1);
		reg_write32(host, R_VS, 7);
		nvme_disable(driver);
		assert_int_equal(reg_read32(host, R_VS), 0x10400);
		host->model->reset(host->dev);
		assert_int_equal(reg_read32(host, R_CC), 0);
		assert_int_equal(reg_read(host, R_CAP, 8), cap);
		nvme_end(driver);
	}
}

static void bad_enables(void **state)
{
	static const struct {
		uint32_t cc, aqa;
		uint64_t asq;
	} cases[] = {
		{CC_ENABLE | 5 << 7, 0x000f000f, NVME_QUEUE_IOVA},  /* MPS above CAP.MPSMAX */
		{CC_ENABLE | 1 << 4, 0x000f000f, NVME_QUEUE_IOVA},  /* CSS */
		{CC_ENABLE | 1 << 11, 0x000f000f, NVME_QUEUE_IOVA}, /* AMS */
		{CC_ENABLE, 0x000f0000, NVME_QUEUE_IOVA},
		{CC_ENABLE, 0x0000000f, NVME_QUEUE_IOVA},
		{CC_ENABLE, 0x000f000f, NVME_QUEUE_IOVA + 64},
	};
	struct nvme_driver *driver = nvme_begin("", true);

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		nvme_disable(driver);
		reg_write32(driver->host, R_AQA, cases[i].aqa);
		reg_write(driver->host, R_ASQ, 8, cases[i].asq);
		reg_write32(driver->host, R_CC, cases[i].cc);
		wait_until(reg_read32(driver->host, R_CSTS));
		assert_int_equal(reg_read32(driver->host, R_CSTS), 2);
		/* Another try works at once. */
		reg_write32(driver->host, R_CC, CC_ENABLE & ~1u);
		assert_int_equal(nvme_enable(driver, 16), 1);
	}
	nvme_end(driver);
}

static void identify(void **state)
{
	struct nvme_driver *driver =
		nvme_begin("size=8M,size=1M,ns=3,block=4096,serial=ABC 1,queues=5", true);
	const uint8_t *data = driver->data;
	uint32_t result;

	assert_int_equal(nvme_identify(driver, 1, 0, NVME_DATA_IOVA), 0);
	assert_memory_equal(data + 4, "ABC 1               ", 20);
	assert_int_equal(data[80] | data[81] << 8 | data[82] << 16, 0x10400);
	assert_int_equal(data[516], 3); /* NN */
	assert_int_equal(data[512], 0x66);
	assert_int_equal(data[513], 0x44);
	for (uint32_t nsid = 1; nsid <= 3; nsid++) {
		static const uint32_t blocks[] = {2048, 256, 256};
		uint64_t nsze;

		assert_int_equal(nvme_identify(driver, 0, nsid, NVME_DATA_IOVA), 0);
		memcpy(&nsze, data, 8);
		assert_int_equal(le64toh(nsze), blocks[nsid - 1]);
		assert_int_equal(data[130], 12); /* LBADS */
		assert_int_equal(nvme_identify(driver, 3, nsid, NVME_DATA_IOVA), 0);
		assert_int_equal(data[0], 3); /* a UUID */
		assert_int_equal(data[1], 16);
	}
	assert_int_equal(nvme_identify(driver, 2, 1, NVME_DATA_IOVA), 0);
	assert_int_equal(data[0], 2);
	assert_int_equal(data[4], 3);
	assert_int_equal(data[8], 0);
	assert_int_equal(nvme_identify(driver, 0, 4, NVME_DATA_IOVA), 0x400b);
	assert_int_equal(nvme_identify(driver, 0, 0, NVME_DATA_IOVA), 0x400b);
	assert_int_equal(nvme_identify(driver, 0x55, 1, NVME_DATA_IOVA), 0x4002);
	/* Set Features: number of queues. */
	assert_int_equal(
		nvme_run(driver, 0, &(struct command){.opcode = 9, .dw = {7, 0x003f003f}}, &result),
		0);
	assert_int_equal(result, 0x00040004);
	/* The volatile write cache, on and off. */
	assert_int_equal(nvme_run(driver, 0, &(struct command){.opcode = 10, .dw = {6}}, &result),
			 0);
	assert_int_equal(result, 1);
	assert_int_equal(nvme_run(driver, 0, &(struct command){.opcode = 9, .dw = {6, 0}}, NULL),
			 0);
	assert_int_equal(nvme_run(driver, 0, &(struct command){.opcode = 10, .dw = {6}}, &result),
			 0);
	assert_int_equal(result, 0);
	nvme_end(driver);
}

/* Each namespace keeps its own. */
static void namespaces(void **state)
{
	struct nvme_driver *driver = nvme_begin("ns=3,size=64K,readonly=off", true);

	nvme_open_queue(driver, 1, 8);
	for (uint32_t nsid = 1; nsid <= 3; nsid++) {
		struct command command = nvme_rw(1, nsid, 127, 1, NVME_DATA_IOVA);

		memset(driver->data, (int)(0x40 + nsid), 512);
		assert_int_equal(nvme_run(driver, 1, &command, NULL), 0);
	}
	for (uint32_t nsid = 1; nsid <= 3; nsid++) {
		struct command command = nvme_rw(2, nsid, 127, 1, NVME_DATA_IOVA);

		assert_int_equal(nvme_run(driver, 1, &command, NULL), 0);
		assert_int_equal(driver->data[511], 0x40 + nsid);
	}
	nvme_end(driver);
	driver = nvme_begin("readonly=on", true);
	nvme_open_queue(driver, 1, 8);
	assert_int_equal(nvme_run(driver, 1, &(struct command){.opcode = 8, .nsid = 1}, NULL),
			 0x4020);
	nvme_end(driver);
}

static void queues_come_and_go(void **state)
{
	struct nvme_driver *driver = nvme_begin("queues=4", true);

	for (int round = 0; round < 20; round++) {
		for (unsigned int qid = 1; qid <= 4; qid++)
			nvme_open_queue(driver, qid, 3 + qid);
		assert_int_equal(nvme_create_cq(driver, 1, 1, true), 0x4101);
		assert_int_equal(nvme_create_sq(driver, 1, 1), 0x4101);
		assert_int_equal(nvme_delete(driver, 1, true), 0x410c);
		for (unsigned int qid = 1; qid <= 4; qid++) {
			for (unsigned int n = 0; n < qid + round % 7u; n++)
				assert_int_equal(
					nvme_run(driver, qid, &(struct command){.nsid = 1}, NULL),
					0);
			assert_int_equal(nvme_delete(driver, qid, false), 0);
			assert_int_equal(nvme_delete(driver, qid, true), 0);
			assert_int_equal(nvme_delete(driver, qid, false), 0x4101);
			assert_int_equal(nvme_delete(driver, qid, true), 0x4101);
		}
	}
	driver->queue[1].size = 2049;
	assert_int_equal(nvme_create_cq(driver, 1, 1, true), 0x4102);
	driver->queue[1].size = 1;
	assert_int_equal(nvme_create_cq(driver, 1, 1, true), 0x4102);
	driver->queue[1].size = 4;
	assert_int_equal(nvme_create_cq(driver, 1, 5, true), 0x4108);
	assert_int_equal(nvme_create_sq(driver, 1, 1), 0x4100);
	assert_int_equal(nvme_create_sq(driver, 1, 0), 0x4100);
	driver->queue[1].cq += 8;
	assert_int_equal(nvme_create_cq(driver, 1, 1, true), 0x4013);
	nvme_end(driver);
}

/* A completion queue that is full holds its submission queues up, and loses nothing. */
static void full_completion_queues(void **state)
{
	for (int mapped = 0; mapped < 2; mapped++) {
		struct nvme_driver *driver = nvme_begin("", mapped);
		struct completion completion;
		uint16_t first = 0;
		unsigned int count = 0;

		nvme_start_queue(driver, 1, 4);
		nvme_start_queue(driver, 2, 16);
		assert_int_equal(nvme_create_cq(driver, 1, 1, true), 0);
		assert_int_equal(nvme_create_sq(driver, 2, 1), 0);
		for (int i = 0; i < 15; i++) {
			uint16_t cid = nvme_queue_command(driver, 2, &(struct command){.nsid = 1});

			if (!i)
				first = cid;
		}
		nvme_ring(driver, 2, false, driver->queue[2].tail);
		while (count < 15) {
			while (!nvme_peek(driver, 1, &completion))
				host_pause();
			assert_int_equal(completion.cid, first + count++);
			assert_int_equal(completion.sqid, 2);
			assert_int_equal(completion.sqhd, count);
			if (count % 3 == 0) {
				/* No more than three fit, and there is no fourth. */
				host_pause();
				assert_false(nvme_peek(driver, 1, &completion));
				nvme_ring(driver, 1, true, driver->queue[1].head);
			}
		}
		nvme_end(driver);
	}
}

static void interrupts(void **state)
{
	for (int mapped = 0; mapped < 2; mapped++) {
		struct nvme_driver *driver = nvme_begin("", mapped);
		struct host *host = driver->host;
		struct completion completion;

		nvme_start_queue(driver, 1, 8);
		assert_int_equal(nvme_create_cq(driver, 1, 3, true), 0);
		assert_int_equal(nvme_create_sq(driver, 1, 1), 0);
		nvme_start_queue(driver, 2, 8);
		assert_int_equal(nvme_create_cq(driver, 2, 4, false), 0);
		assert_int_equal(nvme_create_sq(driver, 2, 2), 0);
		wait_until(!host_pin(host));
		nvme_run(driver, 2, &(struct command){.nsid = 1}, NULL);
		assert_int_equal(host_signals(host, 4), 0);
		assert_false(host_pin(host));
		/* The pin is down until the completion has been taken. */
		nvme_submit(driver, 1, &(struct command){.nsid = 1});
		wait_until(host_signals(host, 3) == 1);
		wait_until(host_pin(host));
		/* Masked and unmasked; the vector is 3. */
		reg_write32(host, R_INTMS, 1 << 3);
		wait_until(!host_pin(host));
		wait_until(reg_read32(host, R_INTMS) == 1 << 3);
		reg_write32(host, R_INTMS, 1 << 5);
		wait_until(reg_read32(host, R_INTMS) == (1 << 3 | 1 << 5));
		reg_write32(host, R_INTMC, 1 << 3 | 1 << 5);
		wait_until(host_pin(host));
		wait_until(!reg_read32(host, R_INTMC));
		assert_true(nvme_peek(driver, 1, &completion));
		nvme_ring(driver, 1, true, driver->queue[1].head);
		wait_until(!host_pin(host));
		assert_int_equal(host_signals(host, 3), 1);
		nvme_end(driver);
	}
}

/* A doorbell that no queue can have is an event, once until its log page was read. */
static void events(void **state)
{
	struct nvme_driver *driver = nvme_begin("", true);
	struct completion completion;
	uint16_t cid[4];

	nvme_open_queue(driver, 1, 8);
	for (int i = 0; i < 4; i++)
		cid[i] = nvme_submit(driver, 0, &(struct command){.opcode = 12});
	assert_int_equal(nvme_run(driver, 0, &(struct command){.opcode = 12}, NULL), 0x4105);
	for (int round = 0; round < 3; round++) {
		reg_write32(driver->host, doorbell_of(1, false), 8 + (unsigned int)round);
		completion = nvme_wait(driver, 0);
		assert_int_equal(completion.status, 0);
		assert_int_equal(completion.result, 0x00010100);
		assert_true(completion.cid >= cid[0] && completion.cid <= cid[3]);
		reg_write32(driver->host, doorbell_of(1, false), 0xffff0000);
		/* The next command of the admin queue would come after a second event. */
		nvme_run(driver, 0, &(struct command){.opcode = 10, .dw = {6}}, NULL);
		reg_write32(driver->host, doorbell_of(1, false), driver->queue[1].tail);
		assert_int_equal(nvme_run(driver, 1, &(struct command){.nsid = 1}, NULL), 0);
		assert_int_equal(nvme_run(driver, 0,
					  &(struct command){.opcode = 2,
							    .dptr = {NVME_DATA_IOVA},
							    .dw = {1 | 15 << 16}},
					  NULL),
				 0);
	}
	/* Nothing is under way that could be aborted. */
	nvme_end(driver);
}

/* 7.13, as Linux uses it: the doorbell rings only where the event index is passed. */
static bool must_ring(uint16_t event_index, uint16_t new_value, uint16_t old)
{
	return (uint16_t)(new_value - event_index - 1) < (uint16_t)(new_value - old);
}

static void ring_shadow(struct nvme_driver *driver, bool completion, uint32_t old, uint32_t value)
{
	const uint64_t offset = 8 + 4 * completion;
	uint32_t raw = htole32(value);

	host_put(driver->host, 0x5000000 + offset, &raw, 4);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	host_get(driver->host, 0x5001000 + offset, &raw, 4);
	if (must_ring((uint16_t)le32toh(raw), (uint16_t)value, (uint16_t)old))
		reg_write32(driver->host, doorbell_of(1, completion), value);
}

static void shadow_doorbells(void **state)
{
	for (int mapped = 0; mapped < 2; mapped++) {
		struct nvme_driver *driver = nvme_begin("", mapped);
		struct nvme_driver_queue *queue = &driver->queue[1];
		struct command config = {.opcode = 0x7c, .dptr = {0x5000000, 0x5001000}};
		struct completion completion;
		unsigned int before, head, tail;
		uint32_t raw;

		host_map(driver->host, 0x5000000, 0x2000);
		assert_int_equal(nvme_run(driver, 0, &config, NULL), 0);
		nvme_open_queue(driver, 1, 16);
		for (unsigned int i = 0; i < 2000; i++) {
			tail = queue->tail;
			head = queue->head;
			for (unsigned int n = 0; n <= i % 15; n++)
				nvme_queue_command(driver, 1, &(struct command){.nsid = 1});
			ring_shadow(driver, false, tail, queue->tail);
			for (unsigned int n = 0; n <= i % 15; n++) {
				while (!nvme_peek(driver, 1, &completion))
					sched_yield();
				assert_int_equal(completion.status, 0);
			}
			ring_shadow(driver, true, head, queue->head);
		}
		/* Without work no memory is accessed: it waits for the next ring. */
		do
			host_get(driver->host, 0x5001008, &raw, 4);
		while (le32toh(raw) != queue->tail || host_pin(driver->host));
		driver->host->model->stop(driver->host->dev);
		before = host_accesses(driver->host);
		driver->host->model->start(driver->host->dev);
		for (int i = 0; i < 100; i++)
			host_pause();
		assert_int_equal(host_accesses(driver->host), before);
		/* They go with a reset of the controller. */
		nvme_disable(driver);
		assert_int_equal(nvme_enable(driver, 8), 1);
		nvme_open_queue(driver, 1, 16);
		assert_int_equal(nvme_run(driver, 1, &(struct command){.nsid = 1}, NULL), 0);
		nvme_end(driver);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registers),          cmocka_unit_test(bad_enables),
		cmocka_unit_test(identify),           cmocka_unit_test(namespaces),
		cmocka_unit_test(queues_come_and_go), cmocka_unit_test(full_completion_queues),
		cmocka_unit_test(interrupts),         cmocka_unit_test(events),
		cmocka_unit_test(shadow_doorbells),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
