/* SPDX-License-Identifier: MIT */
#include "bench/measure.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define TABLE_ITEMS 512
#define HUGE_ITEMS  262144
#define MOST_ITEMS  ((size_t)16 << 20)

void fail(const char *format, ...)
{
	va_list args;

	fputs("bench: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

void series_add(struct series *series, double ns)
{
	if (series->nr == series->room) {
		series->room = series->room ? 2 * series->room : 256;
		series->ns = realloc(series->ns, series->room * sizeof(*series->ns));
		if (!series->ns)
			fail("out of memory");
	}
	series->ns[series->nr++] = ns;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double series_min(struct series *series)
{
	if (!series->nr)
		return 0;
	qsort(series->ns, series->nr, sizeof(*series->ns), compare);
	return series->ns[0];
}

double series_median(struct series *series)
{
	return series_min(series) > 0 ? series->ns[series->nr / 2] : 0;
}

static uint64_t monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static double ns_per_tick = 1;

#ifdef __x86_64__
/* The time stamp counter, not reordered with the instructions around it. */
uint64_t clock_now(void)
{
	uint64_t ticks;

	__builtin_ia32_lfence();
	ticks = __builtin_ia32_rdtsc();
	__builtin_ia32_lfence();
	return ticks;
}

void clock_calibrate(void)
{
	uint64_t ns = monotonic(), ticks = clock_now();

	while (monotonic() - ns < 200000000)
		;
	ns_per_tick = (double)(monotonic() - ns) / (double)(clock_now() - ticks);
}
#else
uint64_t clock_now(void)
{
	return monotonic();
}

void clock_calibrate(void)
{
}
#endif

double clock_since(uint64_t start, double nr)
{
	return (double)(clock_now() - start) * ns_per_tick / nr;
}

double thread_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* The processors that the process may use at its start, before it is pinned. */
static cpu_set_t *allowed(void)
{
	static cpu_set_t set;

	if (!CPU_COUNT(&set) && sched_getaffinity(0, sizeof(set), &set))
		fail("sched_getaffinity: %s", strerror(errno));
	return &set;
}

unsigned int processors(void)
{
	return (unsigned int)CPU_COUNT(allowed());
}

int pin_to(unsigned int nth)
{
	cpu_set_t one;

	nth %= processors();
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, allowed()) || nth--)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (sched_setaffinity(0, sizeof(one), &one))
			fail("cannot stay on processor %d: %s", cpu, strerror(errno));
		return cpu;
	}
	return -1;
}

uint64_t random_next(void)
{
	static uint64_t state = 88172645463325252;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* With vectors as wide as the processor has them. */
#ifdef __x86_64__
#define WIDEST __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define WIDEST
#endif

WIDEST __attribute__((noinline)) void fill_items(uint64_t *items, uint64_t first, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		items[i] = first + (i << 12);
	__asm__ volatile("" ::: "memory");
}

static struct series memory[MEMORY_NONE];
static uint32_t places[4096];

static uint64_t *memory_items(void)
{
	static uint64_t *items;
	const size_t size = MOST_ITEMS * sizeof(*items);

	if (items)
		return items;
	items = aligned_alloc(HUGE_ITEMS * sizeof(*items), size);
	if (!items)
		fail("out of memory");
	madvise(items, size, MADV_HUGEPAGE);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		places[i] = random_next() % HUGE_ITEMS;
	return items;
}

/* @times fills of @nr items, @step items apart; the time is divided by @per. */
static void measure_fill(enum memory which, size_t nr, size_t times, size_t step, double per)
{
	uint64_t *items = memory_items();
	uint64_t start = clock_now();

	for (size_t i = 0; i < times; i++)
		fill_items(items + i * step, i | 3, nr);
	series_add(&memory[which], clock_since(start, per));
}

static void measure_read(void)
{
	volatile const uint64_t *items = memory_items();
	const size_t nr = sizeof(places) / sizeof(places[0]);
	uint64_t start = clock_now();

	for (size_t i = 0; i < nr; i++)
		(void)items[places[i]];
	series_add(&memory[MEMORY_READ], clock_since(start, (double)nr));
}

void memory_measure(void)
{
	for (int round = 0; round < 3; round++) {
		measure_fill(MEMORY_4M, MOST_ITEMS / 4, 1, 0, MOST_ITEMS / 4);
		measure_fill(MEMORY_16M, MOST_ITEMS, 1, 0, MOST_ITEMS);
	}
	for (int round = 0; round < 200; round++) {
		measure_fill(MEMORY_262144, HUGE_ITEMS, 1, 0, HUGE_ITEMS);
		measure_read();
	}
	for (int round = 0; round < 2000; round++) {
		measure_fill(MEMORY_1, 1, TABLE_ITEMS - 1, 1, TABLE_ITEMS - 1);
		measure_fill(MEMORY_256, 256, 16, 0, 16);
		measure_fill(MEMORY_512, 512, 16, 0, 16);
	}
}

double memory_min(enum memory which)
{
	return which == MEMORY_NONE ? 0 : series_min(&memory[which]);
}
