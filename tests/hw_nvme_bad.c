// SPDX-License-Identifier: MIT
/*
 * Commands that an NVMe controller must refuse, memory that is not there, and queues
 * full of anything: nothing outside of what is mapped is touched, and it goes on.
 */
#include "tests/hw_nvme.h"

#define NOWHERE 0x660000000000ull
#define LISTS   0x100000000ull

static uint16_t run(struct nvme_driver *driver, struct command command)
{
	return nvme_run(driver, 1, &command, NULL);
}

static void put64(struct nvme_driver *driver, uint64_t at, uint64_t value)
{
	value = htole64(value);
	host_put(driver->host, at, &value, sizeof(value));
}

static struct command rw(uint8_t opcode, uint64_t prp1, uint64_t prp2, unsigned int blocks)
{
	return (struct command){
		.opcode = opcode, .nsid = 1, .dptr = {prp1, prp2}, .dw = {0, 0, blocks - 1}};
}

static struct command sgl(uint64_t address, uint32_t length, uint8_t type, unsigned int blocks)
{
	struct command command = rw(2, address, length | (uint64_t)type << 56, blocks);

	command.flags = 0x40;
	return command;
}

static void fields(void **state)
{
	struct nvme_driver *driver = nvme_begin("size=1M", true);
	struct command command;

	nvme_open_queue(driver, 1, 16);
	assert_int_equal(run(driver, (struct command){.opcode = 0x77, .nsid = 1}), 0x4001);
	assert_int_equal(run(driver, (struct command){.opcode = 2, .nsid = 0}), 0x400b);
	assert_int_equal(run(driver, (struct command){.opcode = 2, .nsid = 2}), 0x400b);
	assert_int_equal(run(driver, (struct command){.opcode = 2, .nsid = UINT32_MAX}), 0x400b);
	command = rw(2, NVME_DATA_IOVA, 0, 1);
	command.dw[0] = 2048;
	assert_int_equal(run(driver, command), 0x4080);
	command.dw[0] = 2047;
	assert_int_equal(run(driver, command), 0);
	command.dw[2] = 1;
	assert_int_equal(run(driver, command), 0x4080);
	command.dw[0] = command.dw[1] = UINT32_MAX;
	assert_int_equal(run(driver, command), 0x4080);
	/* More than MDTS allows; fused; a PSDT that is reserved. */
	assert_int_equal(run(driver, rw(2, NVME_DATA_IOVA, LISTS, 1025)), 0x4002);
	command = rw(2, NVME_DATA_IOVA, 0, 1);
	command.flags = 1;
	assert_int_equal(run(driver, command), 0x4002);
	command.flags = 0xc0;
	assert_int_equal(run(driver, command), 0x4002);
	/* A deallocation past the end deallocates nothing. */
	put64(driver, NVME_DATA_IOVA, 1ull << 32);
	put64(driver, NVME_DATA_IOVA + 8, 0);
	put64(driver, NVME_DATA_IOVA + 16, 2ull << 32);
	put64(driver, NVME_DATA_IOVA + 24, 2047);
	command = rw(9, NVME_DATA_IOVA, 0, 1);
	command.dw[0] = 1;
	command.dw[1] = 4;
	assert_int_equal(run(driver, command), 0x4080);
	nvme_end(driver);
}

static void prps(void **state)
{
	struct nvme_driver *driver = nvme_begin("size=1M", true);
	const uint64_t data = NVME_DATA_IOVA;

	nvme_open_queue(driver, 1, 16);
	host_map(driver->host, LISTS, 0x2000);
	for (uint8_t opcode = 1; opcode <= 2; opcode++) {
		assert_int_equal(run(driver, rw(opcode, NOWHERE, 0, 1)), 0x4);
		assert_int_equal(run(driver, rw(opcode, data, NOWHERE, 16)), 0x4);
		assert_int_equal(run(driver, rw(opcode, data, NOWHERE, 17)), 0x4);
		assert_int_equal(run(driver, rw(opcode, data + 2, 0, 1)), 0x4013);
		assert_int_equal(run(driver, rw(opcode, data, data + 512, 16)), 0x4013);
		assert_int_equal(run(driver, rw(opcode, data, LISTS + 4, 32)), 0x4013);
		assert_int_equal(run(driver, rw(opcode, UINT64_MAX & ~3ull, 0, 1)), 0x4);
		/* A list with one bad entry, and one that leaves its mapping. */
		for (unsigned int i = 0; i < 1024; i++)
			put64(driver, LISTS + 8 * i, data + 0x1000 * (i % 512));
		assert_int_equal(run(driver, rw(opcode, data, LISTS, 1024)), 0);
		put64(driver, LISTS + 8 * 100, data + 8);
		assert_int_equal(run(driver, rw(opcode, data, LISTS, 1024)), 0x4013);
		put64(driver, LISTS + 8 * 100, NOWHERE);
		assert_int_equal(run(driver, rw(opcode, data, LISTS, 1024)), 0x4);
		put64(driver, LISTS + 0x1ff8, NOWHERE);
		assert_int_equal(run(driver, rw(opcode, data, LISTS + 0x1ff0, 1024)), 0x4);
		/* A page of a list that leads to itself, and to no start of a page. */
		put64(driver, LISTS + 0x1ff8, LISTS + 0x1ff8);
		assert_int_equal(run(driver, rw(opcode, data, LISTS + 0x1ff8, 1024)), 0x4013);
		put64(driver, LISTS + 0x1ff8, LISTS + 0x1000);
		run(driver, rw(opcode, data, LISTS + 0x1ff8, 1024));
	}
	nvme_end(driver);
}

static void sgls(void **state)
{
	struct nvme_driver *driver = nvme_begin("size=1M", true);
	const uint64_t data = NVME_DATA_IOVA;

	nvme_open_queue(driver, 1, 16);
	host_map(driver->host, LISTS, 0x2000);
	assert_int_equal(run(driver, sgl(data + 1, 512, 0x00, 1)), 0);
	assert_int_equal(run(driver, sgl(data, 511, 0x00, 1)), 0x400f);
	assert_int_equal(run(driver, sgl(data, 513, 0x00, 1)), 0x400f);
	assert_int_equal(run(driver, sgl(data, UINT32_MAX, 0x00, 1)), 0x400f);
	assert_int_equal(run(driver, sgl(data, 512, 0x01, 1)), 0x4011);
	assert_int_equal(run(driver, sgl(data, 512, 0x40, 1)), 0x4011);
	assert_int_equal(run(driver, sgl(data, 512, 0xf0, 1)), 0x4011);
	assert_int_equal(run(driver, sgl(NOWHERE, 512, 0x00, 1)), 0x4);
	assert_int_equal(run(driver, sgl(NOWHERE, 512, 0x10, 1)), 0); /* a bit bucket */
	assert_int_equal(run(driver, sgl(LISTS, 0, 0x20, 1)), 0x400d);
	assert_int_equal(run(driver, sgl(LISTS, 24, 0x30, 1)), 0x400d);
	assert_int_equal(run(driver, sgl(NOWHERE, 16, 0x30, 1)), 0x4);
	/* A segment that leads to itself; descriptors without length and without end. */
	put64(driver, LISTS, LISTS);
	put64(driver, LISTS + 8, 16 | 0x20ull << 56);
	assert_int_equal(run(driver, sgl(LISTS, 16, 0x20, 1)), 0x400e);
	for (unsigned int i = 0; i < 512; i++) {
		put64(driver, LISTS + 16 * i, data);
		put64(driver, LISTS + 16 * i + 8, 0);
	}
	assert_int_equal(run(driver, sgl(LISTS, 0x2000, 0x30, 1)), 0x400f);
	assert_int_equal(run(driver, sgl(LISTS, 0x10000, 0x30, 1)), 0x400e);
	/* Of a last segment only the end of the chain may follow. */
	put64(driver, LISTS + 8, 16 | 0x20ull << 56);
	assert_int_equal(run(driver, sgl(LISTS, 32, 0x30, 1)), 0x400d);
	nvme_end(driver);
}

/* Queues that are not there are fatal, until the controller is reset. */
static void queues_without_memory(void **state)
{
	for (int which = 0; which < 4; which++) {
		struct nvme_driver *driver = nvme_begin("", which & 1);
		unsigned int qid = which / 2 ? 1 : 0;
		struct host_mapping *mapping;
		uint64_t at;

		nvme_open_queue(driver, 1, 16);
		at = which & 1 ? driver->queue[qid].cq : driver->queue[qid].sq;
		pthread_mutex_lock(&driver->host->lock);
		mapping = host_find(driver->host, at);
		mapping->iova = NOWHERE;
		pthread_mutex_unlock(&driver->host->lock);
		if (which & 1)
			nvme_submit(driver, qid, &(struct command){.nsid = 1, .opcode = 0x0a});
		else
			nvme_ring(driver, qid, false, driver->queue[qid].tail + 1);
		wait_until(reg_read32(driver->host, R_CSTS) == 3);
		pthread_mutex_lock(&driver->host->lock);
		mapping->iova = at;
		pthread_mutex_unlock(&driver->host->lock);
		assert_int_equal(nvme_disable(driver), 0);
		assert_int_equal(nvme_enable(driver, 8), 1);
		nvme_open_queue(driver, 1, 16);
		assert_int_equal(run(driver, (struct command){.nsid = 1}), 0);
		nvme_end(driver);
	}
}

/* Queues of random bytes, some of them nearly right. */
static void garbage(void **state)
{
	struct nvme_driver *driver = nvme_begin("size=1M,ns=2", true);
	uint64_t seed = 99;

	host_map(driver->host, LISTS, 0x4000);
	for (int round = 0; round < SCALED(60); round++) {
		nvme_open_queue(driver, 1, 64);
		for (unsigned int i = 0; i < 0x4000; i += 8)
			put64(driver, LISTS + i,
			      (random_below(&seed, 3) ? LISTS + 8 * random_below(&seed, 0x900)
						      : NVME_DATA_IOVA) &
				      ~random_below(&seed, 0x1000) << 4);
		for (int i = 0; i < 300; i++) {
			unsigned int qid = !random_below(&seed, 8);
			struct command command = {
				.opcode = (uint8_t)random_below(&seed, 14),
				.flags = (uint8_t)(random_below(&seed, 2) << 6),
				.nsid = (uint32_t)random_below(&seed, 4),
				.dptr = {LISTS + 4 * random_below(&seed, 0x1000),
					 random_below(&seed, 2)
						 ? LISTS + 16 * random_below(&seed, 0x500)
						 : random_next(&seed)},
			};

			/* Creation and deletion are of queues that nobody waits for. */
			if (!qid && command.opcode < 2)
				command.opcode = 6;
			for (int dw = 0; dw < 6; dw++)
				command.dw[dw] =
					(uint32_t)(random_next(&seed) >> random_below(&seed, 64));
			if (!qid && (command.opcode == 4 || command.opcode == 5))
				command.dw[0] = 0x00070002;
			if (!qid && command.opcode == 12)
				continue;
			nvme_submit(driver, qid, &command);
			nvme_wait(driver, qid);
		}
		assert_int_equal(reg_read32(driver->host, R_CSTS), 1);
		/* All of it is gone with a reset, and what is right works. */
		nvme_disable(driver);
		assert_int_equal(nvme_enable(driver, 8), 1);
		nvme_open_queue(driver, 1, 64);
		assert_int_equal(run(driver, rw(2, NVME_DATA_IOVA, 0, 1)), 0);
		nvme_disable(driver);
		assert_int_equal(nvme_enable(driver, 8), 1);
	}
	nvme_end(driver);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields),  cmocka_unit_test(prps),
		cmocka_unit_test(sgls),    cmocka_unit_test(queues_without_memory),
		cmocka_unit_test(garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
