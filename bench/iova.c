// SPDX-License-Identifier: MIT
/*
 * The cost of taking an address and freeing it: from the magazines, and from the tree
 * with few and with many ranges in use.
 */
#include "bench/iova.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <uiommu/iova.h>

#include "bench/measure.h"
#include "bench/report.h"

#define END     ((1ULL << 36) - 1) /* 48 bits of addresses, in 4K */
#define MILLION 1000000u
#define BATCH   1024u

#define MAGAZINE "alloc + free of 4K, magazines"
#define AT_MANY  "the same, tree, 1M ranges live"
#define PAIR     "alloc + free, two threads over one"

static struct iova_domain *new_set(void)
{
	struct iova_domain *iovad = iova_domain_alloc(4096, 1, END, GFP_KERNEL_ACCOUNT);

	if (IS_ERR(iovad))
		fail("no IOVA domain: error %ld", PTR_ERR(iovad));
	return iovad;
}

static uint64_t take(struct iova_domain *iovad, uint64_t size)
{
	uint64_t pfn = alloc_iova(iovad, size, END, true, GFP_KERNEL);

	if (!pfn)
		fail("no range of %llu granules", (unsigned long long)size);
	return pfn;
}

static void call_fast(struct iova_domain *iovad, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		free_iova_fast(iovad, alloc_iova_fast(iovad, 1, END, true, GFP_KERNEL), 1);
}

static void bench_magazines(unsigned int rounds)
{
	struct series *series = report_row(IOVA_ROWS, MAGAZINE, MEMORY_NONE);
	struct iova_domain *iovad = new_set();

	for (call_fast(iovad, BATCH); rounds; rounds--) {
		uint64_t start = clock_now();

		call_fast(iovad, BATCH);
		series_add(series, clock_since(start, BATCH));
	}
	iova_domain_free(iovad);
}

struct live {
	uint64_t pfn, size;
};

static void swap(unsigned int *a, unsigned int *b)
{
	unsigned int was = *a;

	*a = *b;
	*b = was;
}

/* Free random ranges and take new ones, so that the holes are anywhere. */
static void bench_tree(struct iova_domain *iovad, struct live *live, unsigned int nr,
		       struct series *series, unsigned int rounds)
{
	static unsigned int which[BATCH];
	static struct live batch[BATCH];

	for (; rounds; rounds--) {
		uint64_t start;

		for (unsigned int i = 0; i < BATCH; i++)
			which[i] = i * (nr / BATCH) + random_next() % (nr / BATCH);
		for (unsigned int i = BATCH - 1; i; i--)
			swap(&which[i], &which[random_next() % (i + 1)]);
		for (unsigned int i = 0; i < BATCH; i++)
			batch[i] = live[which[i]];
		start = clock_now();
		for (unsigned int i = 0; i < BATCH; i++) {
			free_iova(iovad, batch[i].pfn, batch[i].size);
			batch[i].pfn = take(iovad, batch[i].size);
		}
		series_add(series, clock_since(start, BATCH));
		for (unsigned int i = 0; i < BATCH; i++)
			live[which[i]] = batch[i];
	}
}

static uint64_t one(void)
{
	return 1;
}

static uint64_t mixed(void)
{
	return 1 + random_next() % (1ULL << random_next() % 8);
}

/* With holes: every eighth range is freed before the measurement. */
static void bench_live(const char *operation, unsigned int nr, uint64_t (*size)(void),
		       unsigned int rounds)
{
	struct series *series = report_row(IOVA_ROWS, operation, MEMORY_NONE);
	struct live *live = malloc(nr * sizeof(*live));
	struct iova_domain *iovad = new_set();

	if (!live)
		fail("out of memory");
	for (unsigned int i = 0; i < nr; i++) {
		live[i].size = size();
		live[i].pfn = take(iovad, live[i].size);
		if (i % 8 == 7) {
			unsigned int hole = random_next() % i;

			free_iova(iovad, live[hole].pfn, live[hole].size);
			live[hole].size = size();
			live[hole].pfn = take(iovad, live[hole].size);
		}
	}
	bench_tree(iovad, live, nr, series, rounds);
	iova_domain_free(iovad);
	free(live);
}

/* ---- threads ---- */

struct worker {
	struct iova_domain *iovad;
	atomic_uint *ready;
	unsigned int nr, cpu, rounds;
	double ns;
};

static void *work(void *arg)
{
	struct worker *worker = arg;
	uint64_t start;

	pin_to(worker->cpu);
	call_fast(worker->iovad, BATCH);
	atomic_fetch_add(worker->ready, 1);
	while (atomic_load(worker->ready) < worker->nr)
		;
	start = clock_now();
	for (unsigned int i = 0; i < worker->rounds; i++)
		call_fast(worker->iovad, BATCH);
	worker->ns = clock_since(start, (double)worker->rounds * BATCH);
	return NULL;
}

/* Calls per ns of @nr threads on one set. */
static double throughput(unsigned int nr, unsigned int cpu, unsigned int rounds)
{
	struct iova_domain *iovad = new_set();
	struct worker workers[2];
	pthread_t threads[2];
	atomic_uint ready = 0;
	double sum = 0;

	for (unsigned int i = 0; i < nr; i++) {
		workers[i] = (struct worker){iovad, &ready, nr, cpu + i, rounds, 0};
		if (pthread_create(&threads[i], NULL, work, &workers[i]))
			fail("cannot start a thread");
	}
	for (unsigned int i = 0; i < nr; i++) {
		pthread_join(threads[i], NULL);
		sum += 1 / workers[i].ns;
	}
	iova_domain_free(iovad);
	return sum;
}

/* The best of each: other processes take more from two threads than from one. */
static void bench_two(unsigned int cpu, unsigned int rounds)
{
	double alone = 0, both = 0;

	for (unsigned int i = 0; i < 7; i++) {
		double now = throughput(1, cpu, rounds);

		alone = now > alone ? now : alone;
		now = throughput(2, cpu, rounds);
		both = now > both ? now : both;
	}
	report_value(IOVA_ROWS, PAIR, both / alone);
}

void bench_iova(struct mem_cgroup *cg, double scale, unsigned int cpu)
{
	unsigned int rounds = (unsigned int)(2000 * scale);

	bench_magazines(rounds);
	bench_live("the same, tree, 4096 ranges live", 4096, one, rounds);
	bench_live(AT_MANY, MILLION, one, rounds);
	bench_live("the same, sizes of 1 to 128", MILLION, mixed, rounds);
	if (processors() > 1)
		bench_two(cpu, rounds);
}

void check_iova_aims(void)
{
	report_due("iova: " MAGAZINE, report_min(IOVA_ROWS, MAGAZINE), 20);
	report_due("iova: " AT_MANY, report_min(IOVA_ROWS, AT_MANY), 250);
	report_due("iova: one thread over two, whole work", 1 / report_get(IOVA_ROWS, PAIR),
		   1 / 1.8);
}
