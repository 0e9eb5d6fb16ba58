// SPDX-License-Identifier: MIT
/*
 * An NVMe controller's 4K random reads at queue depth 32 by a program that polls, as
 * user-space drivers do: doorbells and queues are memory, nothing enters the kernel.
 * The IOMMU is none here: an IOVA is an address, so that the model itself is measured.
 */
#include "bench/device.h"

#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "bench/report.h"
#include "hw/device.h"

#define DEPTH   32
#define ENTRIES 256
#define PAGE    4096u
#define DISK    (256ull << 20)
#define PAGES   (DISK / PAGE)

#define READS "nvme: 4K random read, queue depth 32"
#define RATE  "nvme: 4K random reads a second"
#define IDLE  "nvme: processor time of an idle device, of one second"

static uint8_t bar[0x4000] __attribute__((aligned(4096)));

static struct queue {
	uint8_t sq[ENTRIES * 64] __attribute__((aligned(4096)));
	uint8_t cq[ENTRIES * 16] __attribute__((aligned(4096)));
	unsigned int tail, head, phase;
} queues[2];

static uint8_t buffers[DEPTH][PAGE] __attribute__((aligned(4096)));

static int read_memory(void *host, uint32_t pasid, uint64_t iova, void *to, size_t length)
{
	memcpy(to, (const void *)(uintptr_t)iova, length);
	return 0;
}

static int write_memory(void *host, uint32_t pasid, uint64_t iova, const void *from, size_t length)
{
	memcpy((void *)(uintptr_t)iova, from, length);
	return 0;
}

static void ignore_signal(void *host, unsigned int vector)
{
}

static void ignore_pin(void *host, bool asserted)
{
}

static const struct hw_device_host host = {
	.read = read_memory,
	.write = write_memory,
	.signal = ignore_signal,
	.set_intx = ignore_pin,
};

/* ---- a driver ---- */

static void store32(unsigned int at, uint32_t value)
{
	__atomic_store_n((uint32_t *)(void *)(bar + at), htole32(value), __ATOMIC_RELEASE);
}

static void put_command(unsigned int qid, uint32_t dword0, uint32_t nsid, const void *data,
			const uint32_t *dwords)
{
	struct queue *queue = &queues[qid];
	uint32_t raw[16] = {htole32(dword0), htole32(nsid)};
	uint64_t prp = htole64((uintptr_t)data);

	memcpy(&raw[6], &prp, sizeof(prp));
	for (int i = 0; i < 3; i++)
		raw[10 + i] = htole32(dwords[i]);
	memcpy(queue->sq + (size_t)64 * queue->tail, raw, sizeof(raw));
	queue->tail = (queue->tail + 1) % ENTRIES;
}

static void ring(unsigned int qid, unsigned int completion, unsigned int value)
{
	store32(0x1000 + 8 * qid + 4 * completion, value);
}

/* The command's identifier, or -1 if none is complete. */
static int next_completion(unsigned int qid)
{
	struct queue *queue = &queues[qid];
	const uint32_t *last = (const uint32_t *)(const void *)(queue->cq + 16 * queue->head) + 3;
	uint32_t value = le32toh(__atomic_load_n(last, __ATOMIC_ACQUIRE));

	if ((value >> 16 & 1) == queue->phase)
		return -1;
	if (value >> 17)
		fail("nvme: a command failed with status %#x", value >> 17);
	queue->head = (queue->head + 1) % ENTRIES;
	if (!queue->head)
		queue->phase ^= 1;
	return value & 0xffff;
}

static void admin(uint8_t opcode, const void *data, uint32_t dword10, uint32_t dword11)
{
	const uint32_t dwords[3] = {dword10, dword11};

	put_command(0, opcode, 0, data, dwords);
	ring(0, 0, queues[0].tail);
	while (next_completion(0) < 0)
		;
	ring(0, 1, queues[0].head);
}

static void start_driver(void)
{
	memset(queues, 0, sizeof(queues));
	store32(0x24, (ENTRIES - 1) << 16 | (ENTRIES - 1));
	*(uint64_t *)(void *)(bar + 0x28) = htole64((uintptr_t)queues[0].sq);
	*(uint64_t *)(void *)(bar + 0x30) = htole64((uintptr_t)queues[0].cq);
	store32(0x14, 0x00460001);
	while (!(__atomic_load_n((uint32_t *)(void *)(bar + 0x1c), __ATOMIC_ACQUIRE) & htole32(1)))
		;
	admin(0x05, queues[1].cq, (ENTRIES - 1) << 16 | 1, 1);
	admin(0x01, queues[1].sq, (ENTRIES - 1) << 16 | 1, 1 << 16 | 1);
}

static void submit(unsigned int slot, uint8_t opcode, uint64_t page)
{
	const uint32_t dwords[3] = {(uint32_t)(page * 8), 0, 7};

	put_command(1, opcode | slot << 16, 1, buffers[slot], dwords);
}

/* @nr commands, DEPTH of them at a time, on random pages. */
static void run_commands(uint8_t opcode, unsigned int nr, bool random)
{
	unsigned int submitted = 0, completed = 0;

	for (; submitted < DEPTH; submitted++)
		submit(submitted, opcode, random ? random_next() % PAGES : submitted);
	ring(1, 0, queues[1].tail);
	while (completed < nr) {
		unsigned int before = completed;
		int slot;

		while ((slot = next_completion(1)) >= 0) {
			completed++;
			if (submitted == nr)
				continue;
			submit((unsigned int)slot, opcode,
			       random ? random_next() % PAGES : submitted % PAGES);
			submitted++;
		}
		if (completed == before)
			continue;
		ring(1, 0, queues[1].tail);
		ring(1, 1, queues[1].head);
	}
}

/* ---- */

static volatile uint8_t sink;

static void bench_copy(const uint8_t *disk, unsigned int nr)
{
	uint64_t start = clock_now();

	for (unsigned int i = 0; i < nr; i++)
		memcpy(buffers[i % DEPTH], disk + random_next() % PAGES * PAGE, PAGE);
	series_add(report_baseline(DEVICE_ROWS, READS), clock_since(start, nr));
	sink = buffers[0][0];
}

static double process_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* After it has had nothing to do for a while. */
static void bench_idle(void)
{
	double before;

	nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
	before = process_seconds();
	nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
	report_value(DEVICE_ROWS, IDLE, process_seconds() - before);
}

void bench_device(double scale, unsigned int cpu)
{
	struct series *reads = report_row(DEVICE_ROWS, READS, MEMORY_NONE);
	const struct hw_model *model = hw_model_find("nvme");
	unsigned int nr = (unsigned int)(200000 * scale) + DEPTH;
	uint8_t *disk = malloc(DISK);
	struct hw_device *dev;
	char error[256];

	/* The thread stays where it is made. */
	pin_to(cpu + 1);
	dev = model->create("size=256M", &host, NULL, error, sizeof(error));
	if (!dev || !disk)
		fail("nvme: %s", dev ? "out of memory" : error);
	pin_to(cpu);
	model->set_memory(dev, 0, bar);
	start_driver();
	memset(disk, 1, DISK);
	memset(buffers, 2, sizeof(buffers));
	run_commands(1, PAGES, false);
	for (unsigned int round = 0; round < 10; round++) {
		uint64_t start = clock_now();

		run_commands(2, nr, true);
		series_add(reads, clock_since(start, nr));
		bench_copy(disk, nr);
	}
	report_value(DEVICE_ROWS, RATE, 1e9 / series_min(reads));
	bench_idle();
	model->destroy(dev);
	free(disk);
}

void check_device_aims(void)
{
	report_due("devices: 300,000 random reads a second, over what nvme does",
		   300000 / report_get(DEVICE_ROWS, RATE), 1);
	report_due("devices: processor time of an idle nvme, of one second",
		   report_get(DEVICE_ROWS, IDLE), 0.01);
}
