// SPDX-License-Identifier: MIT
/*
 * The model of an I/OAT engine, driven as its drivers do: by a single descriptor that
 * is issued again and again, and by a ring that goes on.
 */
#include "tests/hw_host.h"

/* Of a channel's registers, from 0x80 on for the first. */
#define CHANCTRL  0x00
#define CHANCMD   0x04
#define DMACOUNT  0x06
#define CHANSTS   0x08
#define CHAINADDR 0x10
#define CHANCMP   0x18
#define CHANERR   0x28

#define ACTIVE    0
#define DONE      1
#define SUSPENDED 2
#define HALTED    3

#define RING    0x100000ull
#define MEMORY  0x40000000ull
#define SIZE    0x40000
#define NOWHERE 0x7700000000ull

static uint64_t chan(unsigned int channel, uint64_t reg)
{
	return 0x80 * (channel + 1) + reg;
}

static unsigned int status_of(struct host *host, unsigned int channel)
{
	return reg_read(host, chan(channel, CHANSTS), 8) & 7;
}

static void put_descriptor(struct host *host, uint64_t at, uint64_t from, uint64_t to,
			   uint32_t size, uint32_t control, uint64_t next)
{
	uint64_t raw[8] = {htole64((uint64_t)control << 32 | size), htole64(from), htole64(to),
			   htole64(next)};

	host_put(host, at, raw, sizeof(raw));
}

static void reset_channel(struct host *host, unsigned int channel)
{
	uint32_t errors = reg_read32(host, chan(channel, CHANERR));

	reg_write32(host, chan(channel, CHANERR), errors);
	reg_write(host, chan(channel, CHANCMD), 1, 0x20);
	wait_until(!(reg_read(host, chan(channel, CHANCMD), 1) & 0x20));
	assert_int_equal(status_of(host, channel), HALTED);
	assert_int_equal(reg_read32(host, chan(channel, CHANERR)), 0);
}

/* As by a program that has one descriptor: the same values are stored each time. */
static unsigned int issue(struct host *host, unsigned int channel, uint64_t desc, uint16_t count)
{
	reg_write(host, chan(channel, CHAINADDR), 8, desc);
	reg_write(host, chan(channel, CHANCTRL), 2, 0x0009);
	reg_write(host, chan(channel, DMACOUNT), 2, count);
	/* By write() the halt by the reset is over at once; mapped, errors tell which it is. */
	wait_until(status_of(host, channel) == DONE ||
		   (status_of(host, channel) == HALTED &&
		    (!host->mapped || reg_read32(host, chan(channel, CHANERR)))));
	if (status_of(host, channel) == HALTED)
		return HALTED;
	reg_write(host, chan(channel, CHANCMD), 1, 0x04);
	wait_until(status_of(host, channel) == SUSPENDED);
	return DONE;
}

static struct host *begin(bool mapped, const char *options, uint8_t **memory)
{
	struct host *host = host_begin("ioat", options, mapped);

	host_map(host, RING, 0x10000);
	*memory = host_map(host, MEMORY, SIZE);
	for (unsigned int i = 0; i < SIZE; i++)
		(*memory)[i] = (uint8_t)(i * 31 + (i >> 8));
	return host;
}

static void copies_one_by_one(void **state)
{
	for (int mapped = 0; mapped < 2; mapped++) {
		uint8_t *memory;
		struct host *host = begin(mapped, "", &memory);
		uint64_t seed = 5;

		assert_int_equal(reg_read(host, 0x00, 1), 1);
		assert_int_equal(reg_read(host, 0x01, 1), 16);
		assert_int_equal(reg_read(host, 0x08, 1), 0x32);
		reset_channel(host, 0);
		for (int i = 0; i < SCALED(300); i++) {
			uint32_t size = 1 + (uint32_t)random_below(&seed, 65536);
			uint64_t from = random_below(&seed, SIZE / 2 - size);
			uint64_t to = SIZE / 2 + random_below(&seed, SIZE / 2 - size);
			uint8_t before = memory[to - 1];
			uint8_t after = to + size < SIZE ? memory[to + size] : 0;

			put_descriptor(host, RING, MEMORY + from, MEMORY + to, size, 0, RING);
			assert_int_equal(issue(host, 0, RING, 1), DONE);
			assert_memory_equal(memory + from, memory + to, size);
			assert_int_equal(memory[to - 1], before);
			if (to + size < SIZE)
				assert_int_equal(memory[to + size], after);
		}
		assert_int_equal(host_signals(host, 0), 0);
		host_end(host);
	}
}

/* A descriptor that leads to itself is done as often as it was issued, not more. */
static void a_count_of_one_descriptor(void **state)
{
	for (int mapped = 0; mapped < 2; mapped++) {
		uint8_t *memory;
		struct host *host = begin(mapped, "", &memory);
		unsigned int before;

		reset_channel(host, 0);
		put_descriptor(host, RING, MEMORY, MEMORY + 4096, 64, 0, RING);
		before = host_accesses(host);
		assert_int_equal(issue(host, 0, RING, 65535), DONE);
		/* A read of the descriptor, a read and a write for each. */
		assert_int_equal(host_accesses(host) - before, 3 * 65535);
		assert_int_equal(reg_read(host, chan(0, CHANSTS), 8) & ~7ull, RING);
		host_end(host);
	}
}

/* As Linux does it: a null descriptor starts the ring, DMACOUNT counts on. */
static void a_ring_that_goes_on(void **state)
{
	for (int mapped = 0; mapped < 2; mapped++) {
		uint8_t *memory;
		struct host *host = begin(mapped, "channels=2", &memory);
		const uint64_t done = RING + 0x8000;
		uint16_t count = 0;
		uint64_t value;

		reset_channel(host, 1);
		for (unsigned int i = 0; i < 16; i++)
			put_descriptor(host, RING + 64 * i, MEMORY + 256 * i,
				       MEMORY + SIZE / 2 + 256 * i, 256, 1 << 0 | 1 << 3,
				       RING + 64 * ((i + 1) % 16));
		put_descriptor(host, RING, 0, 0, 1, 1 << 5 | 1 << 0 | 1 << 3, RING + 64);
		reg_write(host, chan(1, CHANCTRL), 2, 0x001d);
		reg_write32(host, chan(1, CHANCMP), (uint32_t)done);
		reg_write32(host, chan(1, CHANCMP) + 4, (uint32_t)(done >> 32));
		reg_write32(host, chan(1, CHAINADDR), (uint32_t)RING);
		reg_write32(host, chan(1, CHAINADDR) + 4, 0);
		for (unsigned int i = 0; i < 70000; i += 1 + i % 300) {
			uint64_t last = RING + 64 * (i % 16);

			count = (uint16_t)(i + 1);
			reg_write(host, chan(1, DMACOUNT), 2, count);
			/* The completion in memory never runs ahead of the register. */
			for (;;) {
				host_get(host, done, &value, 8);
				if (le64toh(value) == (last | DONE))
					break;
				assert_int_not_equal(le64toh(value) & 7, HALTED);
				sched_yield();
			}
			reg_write(host, chan(1, CHANCTRL), 2, 0x001d);
		}
		wait_until(host_signals(host, 1) > 1);
		assert_int_equal(host_signals(host, 0), 0);
		assert_memory_equal(memory + 256, memory + SIZE / 2 + 256, 256 * 15);
		assert_int_equal(memory[SIZE / 2], (uint8_t)(SIZE / 2 * 31 + (SIZE / 2 >> 8)));
		host_end(host);
	}
}

/* One interrupt for each rearming, and none before. */
static void interrupts(void **state)
{
	for (int mapped = 0; mapped < 2; mapped++) {
		uint8_t *memory;
		struct host *host = begin(mapped, "", &memory);

		reset_channel(host, 0);
		reg_write(host, 0x03, 1, 0x01);
		put_descriptor(host, RING, MEMORY, MEMORY + 4096, 8, 1, RING);
		for (unsigned int i = 0; i < 20; i++) {
			assert_int_equal(issue(host, 0, RING, 1), DONE);
			assert_int_equal(host_signals(host, 0), i + 1);
		}
		assert_int_equal(reg_read(host, 0x03, 1) & 0x07, 0x07);
		assert_true(host_pin(host));
		/* Five of them are one, since nobody rearmed it, and one more on rearming. */
		assert_int_equal(issue(host, 0, RING, 5), DONE);
		assert_int_equal(host_signals(host, 0), 21);
		reg_write(host, chan(0, CHANCTRL), 2, 0x0001);
		wait_until(host_signals(host, 0) == 22);
		reg_write(host, chan(0, CHANCTRL), 2, 0x0001);
		wait_until(!host_pin(host));
		assert_int_equal(reg_read(host, 0x03, 1) & 0x06, 0);
		host_end(host);
	}
}

static void errors_halt(void **state)
{
	static const struct {
		uint64_t desc, from, to;
		uint32_t size, control, error;
	} cases[] = {
		{RING, NOWHERE, MEMORY, 4096, 0, 0x100},
		{RING, MEMORY, NOWHERE, 4096, 0, 0x200},
		{RING, MEMORY + SIZE - 100, MEMORY, 101, 0, 0x100},
		{RING, MEMORY, MEMORY + SIZE - 100, 101, 0, 0x200},
		{RING, UINT64_MAX - 10, MEMORY, 4096, 0, 0x100},
		{RING, MEMORY, MEMORY + 4096, 0, 0, 0x800},
		{RING, MEMORY, MEMORY + 4096, 65537, 0, 0x800},
		{RING, MEMORY, MEMORY + 4096, UINT32_MAX, 0, 0x800},
		{RING, MEMORY, MEMORY + 4096, 16, 0x87u << 24, 0x400},
		{RING + 8, MEMORY, MEMORY + 4096, 16, 0, 0x10},
		{NOWHERE, MEMORY, MEMORY + 4096, 16, 0, 0x4},
	};

	for (int mapped = 0; mapped < 2; mapped++) {
		uint8_t *memory;
		struct host *host = begin(mapped, "", &memory);

		reset_channel(host, 0);
		for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
			put_descriptor(host, RING, cases[i].from, cases[i].to, cases[i].size,
				       cases[i].control, RING);
			assert_int_equal(issue(host, 0, cases[i].desc, 3), HALTED);
			assert_int_equal(reg_read32(host, chan(0, CHANERR)), cases[i].error);
			assert_int_equal(host_signals(host, 0), 0);
			/* With a reset, and without. */
			if (i % 2 || mapped)
				reset_channel(host, 0);
			put_descriptor(host, RING, MEMORY, MEMORY + 4096, 16, 0, RING);
			assert_int_equal(issue(host, 0, RING, 1), DONE);
			assert_int_equal(reg_read32(host, chan(0, CHANERR)), 0);
		}
		/* Errors may ask for an interrupt and a completion. */
		put_descriptor(host, RING, NOWHERE, MEMORY, 16, 0, RING);
		reg_write(host, chan(0, CHANCMP), 8, RING + 0x8000);
		reg_write(host, chan(0, CHAINADDR), 8, RING);
		reg_write(host, chan(0, CHANCTRL), 2, 0x001d);
		reg_write(host, chan(0, DMACOUNT), 2, 1);
		wait_until(host_signals(host, 0) == 1);
		assert_int_equal(host->mapping[0].memory[0x8000] & 7, HALTED);
		/* Writing 1 clears: one bit of two, which a store by the program shows. */
		reg_write32(host, chan(0, CHANERR), 0x300);
		wait_until(!reg_read32(host, chan(0, CHANERR)));
		host_end(host);
	}
}

/* An engine that does not notice goes on; a channel is ready once interrupts are enabled. */
static void faults_that_are_ignored(void **state)
{
	uint8_t *memory;
	struct host *host = begin(true, "faults=ignore", &memory);

	for (int i = 0; i < 3; i++) {
		reset_channel(host, 0);
		reg_write(host, 0x03, 1, 0x08);
		wait_until(status_of(host, 0) == SUSPENDED);
		put_descriptor(host, RING, MEMORY, NOWHERE, 64, 0, RING);
		assert_int_equal(issue(host, 0, RING, 1), DONE);
		assert_int_equal(reg_read32(host, chan(0, CHANERR)), 0);
		assert_int_equal(host->nr_faults, i + 1);
	}
	host_end(host);
}

static void suspend_and_resume(void **state)
{
	uint8_t *memory;
	struct host *host = begin(true, "", &memory);
	unsigned int before;

	reset_channel(host, 0);
	put_descriptor(host, RING, MEMORY, MEMORY + SIZE / 2, 65536, 0, RING);
	before = host_accesses(host);
	reg_write(host, chan(0, CHAINADDR), 8, RING);
	reg_write(host, chan(0, DMACOUNT), 2, 1000);
	reg_write(host, chan(0, CHANCMD), 1, 0x04);
	wait_until(status_of(host, 0) == SUSPENDED || status_of(host, 0) == HALTED);
	if (status_of(host, 0) == SUSPENDED) {
		reg_write(host, chan(0, CHANCMD), 1, 0x10);
		wait_until(status_of(host, 0) == DONE);
		assert_int_equal(host_accesses(host) - before, 3000);
	}
	host_end(host);
}

/* At rest nothing is accessed; another device goes on from the state. */
static void migrates_in_the_middle(void **state)
{
	for (int mapped = 0; mapped < 2; mapped++) {
		uint8_t *memory, saved[0x8000];
		struct host *host = begin(mapped, "", &memory);
		unsigned int before = 0;
		size_t size = 0;

		reset_channel(host, 0);
		for (unsigned int i = 0; i < 1000; i++)
			put_descriptor(host, RING + 64 * i, MEMORY + 100 * i,
				       MEMORY + SIZE / 2 + 100 * i, 100, 1, RING + 64 * (i + 1));
		before = host_accesses(host);
		reg_write(host, chan(0, CHAINADDR), 8, RING);
		reg_write(host, chan(0, DMACOUNT), 2, 1000);
		for (int i = 0; i < 20; i++) {
			host->model->stop(host->dev);
			host_set_rest(host, true);
			size = host->model->save(host->dev, saved, sizeof(saved));
			assert_true(size <= sizeof(saved));
			host_pause();
			host_destroy(host);
			host_create(host, "");
			host->model->stop(host->dev);
			for (size_t less = 0; less < size; less += 511)
				assert_int_equal(host->model->load(host->dev, saved, less),
						 -EINVAL);
			assert_int_equal(host->model->load(host->dev, saved, size), 0);
			host_set_rest(host, false);
			host->model->start(host->dev);
		}
		wait_until(status_of(host, 0) == DONE);
		assert_int_equal(host_accesses(host) - before, 3000);
		assert_memory_equal(memory, memory + SIZE / 2, 100 * 1000);
		host->model->reset(host->dev);
		assert_int_equal(status_of(host, 0), HALTED);
		assert_false(host_pin(host));
		host_end(host);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_one_by_one),   cmocka_unit_test(a_count_of_one_descriptor),
		cmocka_unit_test(a_ring_that_goes_on), cmocka_unit_test(interrupts),
		cmocka_unit_test(errors_halt),         cmocka_unit_test(faults_that_are_ignored),
		cmocka_unit_test(suspend_and_resume),  cmocka_unit_test(migrates_in_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
