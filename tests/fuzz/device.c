// SPDX-License-Identifier: MIT
/*
 * Hostile programs of a device: registers, memory and queues of an input's making. The
 * model accesses nothing but through its host, comes to rest when it is told to,
 * and takes over its own state, and no other that breaks it. MODEL says which.
 */
#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/device.h"
#include "tests/fuzz/slowest.h"

#define BASE 0x10000u
#define SIZE 0x10000u
#define BAR  0x4000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	const uint8_t *at, *end;
} input;

static struct {
	uint8_t memory[SIZE];
	uint64_t accesses;
	bool at_rest;
} machine;

static uint8_t bar[BAR] __attribute__((aligned(4096)));
static const struct hw_model *model;
static struct hw_device *dev;

#define require(condition)                                                          \
	do {                                                                        \
		if (!(condition)) {                                                 \
			fprintf(stderr, "device.c:%d: %s\n", __LINE__, #condition); \
			abort();                                                    \
		}                                                                   \
	} while (0)

static uint64_t take(unsigned int bytes)
{
	uint64_t value = 0;

	while (bytes-- && input.at < input.end)
		value = value << 8 | *input.at++;
	return value;
}

/* ---- the machine ---- */

static bool is_memory(uint64_t iova, size_t length)
{
	__atomic_add_fetch(&machine.accesses, 1, __ATOMIC_RELAXED);
	require(!__atomic_load_n(&machine.at_rest, __ATOMIC_RELAXED));
	return iova >= BASE && iova - BASE <= SIZE && length <= SIZE - (iova - BASE);
}

static int read_memory(void *host, uint32_t pasid, uint64_t iova, void *to, size_t length)
{
	if (!is_memory(iova, length))
		return -EFAULT;
	memcpy(to, machine.memory + (iova - BASE), length);
	return 0;
}

static int write_memory(void *host, uint32_t pasid, uint64_t iova, const void *from, size_t length)
{
	if (!is_memory(iova, length))
		return -EFAULT;
	memmove(machine.memory + (iova - BASE), from, length);
	return 0;
}

static void signal_vector(void *host, unsigned int vector)
{
	require(vector < model->identity(dev)->msix);
	require(!__atomic_load_n(&machine.at_rest, __ATOMIC_RELAXED));
}

static void set_intx(void *host, bool asserted)
{
}

static const struct hw_device_host ops = {
	.read = read_memory,
	.write = write_memory,
	.signal = signal_vector,
	.set_intx = set_intx,
};

/* Until the device seems to have nothing to do, at most some turns. */
static void let_it_run(void)
{
	uint64_t seen = ~UINT64_C(0);

	for (int turn = 0, quiet = 0; turn < 200 && quiet < 20; turn++) {
		uint64_t now = __atomic_load_n(&machine.accesses, __ATOMIC_RELAXED);

		quiet = now == seen ? quiet + 1 : 0;
		seen = now;
		sched_yield();
	}
}

/* ---- what a program does ---- */

static void store(uint64_t offset, unsigned int size, uint64_t value, bool mapped)
{
	offset &= (BAR - 1) & ~(uint64_t)(size - 1);
	if (!mapped) {
		model->write(dev, 0, offset, size, value);
		model->read(dev, 0, offset, size);
		return;
	}
	for (unsigned int i = 0; i < size; i++)
		__atomic_store_n(&bar[offset + i], (uint8_t)(value >> 8 * i), __ATOMIC_RELEASE);
}

/* Small numbers, addresses in memory, or anything. */
static uint64_t take_value(void)
{
	uint8_t kind = (uint8_t)take(1);

	switch (kind % 4) {
	case 0:
		return take(1);
	case 1:
		return BASE + (take(2) & ~UINT64_C(7));
	case 2:
		return BASE + (take(1) & 0xf) * 0x1000;
	default:
		return take(8);
	}
}

static void put(uint32_t at, unsigned int size, uint64_t value)
{
	value = htole64(value);
	memcpy(machine.memory + (at % (SIZE - 8)), &value, size);
}

static void put_words(uint32_t at, unsigned int count)
{
	while (count--) {
		put(at, 8, take_value());
		at += 8;
	}
}

/* Take its own state over, changed in some places or not. */
static void migrate(void)
{
	static uint8_t state[1 << 20];
	size_t size;
	bool whole = true;

	model->stop(dev);
	__atomic_store_n(&machine.at_rest, true, __ATOMIC_RELAXED);
	size = model->save(dev, state, sizeof(state));
	require(size <= sizeof(state));
	for (uint8_t changes = take(1) & 7; changes; changes--) {
		/* The first bytes, and those after the registers, are more than blocks. */
		size_t at = take(1) & 1 ? take(2) % size : (BAR + take(2) % 1024) % size;

		state[at] = (uint8_t)take(1);
		whole = false;
	}
	require(!model->load(dev, state, size) || !whole);
	__atomic_store_n(&machine.at_rest, false, __ATOMIC_RELAXED);
	model->start(dev);
}

#ifdef NVME
#define OPTIONS "size=64K,queues=2,size=4K"

static unsigned int tails[2];

/* A command in a queue, and its doorbell. */
static void submit(unsigned int qid)
{
	uint32_t at = qid * 0x2000 + 64 * (tails[qid] % 16);
	uint8_t opcode = (uint8_t)take(1);

	put(at, 8, opcode | (take(1) & 1) << 14 | take(1) % 4 << 32);
	put(at + 8, 8, 0);
	put(at + 16, 8, 0);
	put_words(at + 24, 2);
	put(at + 40, 8, take_value());
	put(at + 48, 8, take_value());
	tails[qid]++;
	store(0x1000 + 8 * qid, 4, tails[qid] % 16, opcode & 1);
}

/* Enabled, mostly, with a queue of its own for I/O. */
static void prepare(void)
{
	tails[0] = tails[1] = 0;
	store(0x24, 4, 15 << 16 | 15, false);
	store(0x28, 8, BASE, false);
	store(0x30, 8, BASE + 0x1000, false);
	if (take(1) == 1)
		return;
	put(0, 8, 0x05);
	put(24, 8, BASE + 0x3000);
	put(40, 8, UINT64_C(3) << 32 | 15 << 16 | 1);
	put(64, 8, 0x01);
	put(64 + 24, 8, BASE + 0x2000);
	put(64 + 40, 8, UINT64_C(0x10001) << 32 | 15 << 16 | 1);
	store(0x14, 4, 0x00460001, false);
	let_it_run();
	tails[0] = 2;
	store(0x1000, 4, 2, false);
	let_it_run();
}
#else
#define OPTIONS "channels=2,transfer=4K"

static void submit(unsigned int channel)
{
	uint32_t at = (uint32_t)take(1) * 64;
	uint64_t registers = 0x80 * (channel % 2 + 1);

	put(at, 8, (take(2) & 0x1fff) | (take(1) & 0x29) << 32);
	put_words(at + 8, 3);
	store(registers + 0x10, 8, BASE + at, at & 64);
	/* Each of them takes a while. */
	store(registers + 0x06, 2, take(1), at & 128);
}

static void prepare(void)
{
	store(0x80 + 0x18, 8, BASE + 0x8000, false);
}
#endif

static void one_step(void)
{
	uint8_t what = (uint8_t)take(1);

	switch (what % 8) {
	case 0:
		store(take(2), 1u << (what >> 3 & 3), take_value(), what & 0x80);
		break;
	case 1:
		put_words((uint32_t)take(2), 1 + (what >> 3));
		break;
	case 2:
		if (what & 0x80)
			migrate();
		else if (what & 0x40)
			model->reset(dev);
		else
			let_it_run();
		break;
	default:
		submit(what >> 3 & 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	time_t start = slowest_begin();
	char error[256];

	input.at = data;
	input.end = data + size;
	memset(&machine, 0, sizeof(machine));
	model = hw_model_find(MODEL);
	dev = model->create(OPTIONS, &ops, NULL, error, sizeof(error));
	require(dev);
	model->set_memory(dev, 0, bar);
	prepare();
	while (input.at < input.end)
		one_step();
	let_it_run();
	model->destroy(dev);
	slowest_end(start);
	return 0;
}
