// SPDX-License-Identifier: MIT
/*
 * Dirty bits of 64 GiB in 4K, read and cleared: compared with a read of as many items
 * from memory and, if all are dirty, with as many atomic operations. Also the calls of
 * one thread while another one splits leaves of 1 GiB in the same domain.
 */
#include "bench/dirty.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <uiommu/dirty.h>
#include <uiommu/iommu.h>

#include "bench/domain.h"
#include "bench/report.h"

#define SIZE (64 * G1)

#define ITEMS ((size_t)(SIZE / K4))

#define CLEAN     "read and clear 64G of 4K, all clean, per entry"
#define SPARSE    "the same, each 64th dirty"
#define HALF      "the same, each second dirty"
#define ALL       "the same, all dirty"
#define IDLE      "map + 16 lookups + unmap of 1M, beside an idle thread"
#define SPLITTING "the same, beside one that splits"
#define BESIDE    "throughput beside splits, over beside idle"
#define SPLIT     "split a 2M or 1G leaf, map 1G again: per split"

/* ---- reading ---- */

static void add_range(void *context, dma_addr_t iova, dma_addr_t last)
{
	*(uint64_t *)context += last - iova + 1;
}

static void read_dirty(struct iommu_domain *domain, uint64_t expected, struct series *series)
{
	struct iommu_iotlb_gather gather;
	uint64_t bytes = 0, start = clock_now();
	struct iommu_dirty_bitmap dirty = {add_range, &bytes, &gather};

	iommu_iotlb_gather_init(&gather);
	if (iommu_read_and_clear_dirty(domain, 0, SIZE, 0, &dirty))
		fail("cannot read dirty bits");
	iommu_iotlb_sync(domain, &gather);
	series_add(series, clock_since(start, (double)ITEMS));
	if (bytes != expected)
		fail("%llu bytes are dirty, not %llu", (unsigned long long)bytes,
		     (unsigned long long)expected);
}

static void mark(struct iommu_domain *domain, uint64_t stride)
{
	for (uint64_t at = 0; at < SIZE; at += stride)
		if (!iommu_mark_dirty(domain, at))
			fail("cannot mark %#llx", (unsigned long long)at);
}

static volatile uint64_t sink;

/* The hardware's speed on 128 MiB: reading it, and setting and clearing a bit in each item. */
static void measure_memory(struct series *scan, struct series *clear)
{
	uint64_t *items = aligned_alloc(M2, ITEMS * sizeof(*items)), start, sum = 0;

	if (!items)
		fail("out of memory");
	madvise(items, ITEMS * sizeof(*items), MADV_HUGEPAGE);
	memset(items, 1, ITEMS * sizeof(*items));
	start = clock_now();
	for (size_t i = 0; i < ITEMS; i++)
		sum |= items[i];
	series_add(scan, clock_since(start, (double)ITEMS));
	sink = sum;
	start = clock_now();
	for (size_t i = 0; i < ITEMS; i++)
		__atomic_fetch_and(&items[i], ~1ULL, __ATOMIC_SEQ_CST);
	series_add(clear, clock_since(start, (double)ITEMS));
	free(items);
}

static void bench_reading(unsigned int rounds)
{
	struct series *clean = report_row(DIRTY_ROWS, CLEAN, MEMORY_NONE);
	struct series *sparse = report_row(DIRTY_ROWS, SPARSE, MEMORY_NONE);
	struct series *half = report_row(DIRTY_ROWS, HALF, MEMORY_NONE);
	struct series *all = report_row(DIRTY_ROWS, ALL, MEMORY_NONE);
	struct iommu_domain *domain = new_domain("vtd");

	map(domain, 0, PA, SIZE);
	if (iommu_set_dirty_tracking(domain, true))
		fail("cannot track dirty bits");
	for (; rounds; rounds--) {
		measure_memory(report_baseline(DIRTY_ROWS, CLEAN),
			       report_baseline(DIRTY_ROWS, ALL));
		read_dirty(domain, 0, clean);
		read_dirty(domain, 0, clean);
		mark(domain, 64 * K4);
		read_dirty(domain, SIZE / 64, sparse);
		mark(domain, 2 * K4);
		read_dirty(domain, SIZE / 2, half);
		mark(domain, K4);
		read_dirty(domain, SIZE, all);
	}
	iommu_domain_free(domain);
}

/* ---- splitting ---- */

#define SPLIT_AT (512 * G1)

struct other {
	struct iommu_domain *domain;
	struct mem_cgroup *cg;
	bool splits; /* if not, it has called the library, and sleeps */
	unsigned int cpu;
	atomic_bool ready, stop;
	atomic_ulong done; /* splits */
};

/* Make a leaf of 1 GiB leaves of 4K, one 2M after the other; unmap it and map it again. */
static void split_all(struct other *other)
{
	struct iommu_domain *domain = other->domain;

	for (uint64_t at = SPLIT_AT; at < SPLIT_AT + G1; at += M2)
		if (iommu_split_mapping(domain, at + K4, K4, GFP_KERNEL_ACCOUNT))
			fail("cannot split");
	atomic_fetch_add(&other->done, G1 / M2 + 1);
	unmap(domain, SPLIT_AT, G1);
	map(domain, SPLIT_AT, 0, G1);
}

static void *run_other(void *arg)
{
	struct other *other = arg;

	pin_to(other->cpu);
	mem_cgroup_set_active(other->cg);
	map(other->domain, SPLIT_AT, 0, G1);
	atomic_store(&other->ready, true);
	while (!atomic_load(&other->stop)) {
		if (other->splits)
			split_all(other);
		else
			usleep(1000);
	}
	unmap(other->domain, SPLIT_AT, G1);
	mem_cgroup_set_active(NULL);
	return NULL;
}

/* Map, look up and unmap half a table at a time, in tables that exist. */
static void call(struct iommu_domain *domain, unsigned int nr)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < nr; i++) {
		uint64_t iova = i % 512 * M2 + M1;

		map(domain, iova, PA + iova, M1);
		for (uint64_t at = 0; at < M1; at += 16 * K4)
			sum += iommu_iova_to_phys(domain, iova + at);
		unmap(domain, iova, M1);
	}
	sink = sum;
}

/* Processor time per round of calls; *ns is that per split of the other thread. */
static double beside(struct mem_cgroup *cg, unsigned int cpu, unsigned int nr, double *ns)
{
	struct other other = {.domain = new_domain("vtd"), .cg = cg, .splits = ns, .cpu = cpu + 1};
	pthread_t thread;
	uint64_t start;
	double used;

	for (uint64_t i = 0; i < 512; i++)
		map(other.domain, i * M2, PA + i * M2, K4);
	if (pthread_create(&thread, NULL, run_other, &other))
		fail("cannot start a thread");
	while (!atomic_load(&other.ready))
		;
	start = clock_now();
	used = thread_ns();
	call(other.domain, nr);
	used = thread_ns() - used;
	if (ns)
		*ns = clock_since(start, (double)(atomic_load(&other.done) + 1));
	atomic_store(&other.stop, true);
	pthread_join(thread, NULL);
	iommu_domain_free(other.domain);
	return used / nr;
}

/* Medians, since other processes may take the other thread's processor. */
static void bench_splitting(struct mem_cgroup *cg, unsigned int cpu, unsigned int nr)
{
	struct series *alone = report_row(DIRTY_ROWS, IDLE, MEMORY_NONE);
	struct series *both = report_row(DIRTY_ROWS, SPLITTING, MEMORY_NONE);
	struct series *split = report_row(DIRTY_ROWS, SPLIT, MEMORY_NONE);

	for (unsigned int round = 0; round < 25; round++) {
		double ns;

		series_add(alone, beside(cg, cpu, nr, NULL));
		series_add(both, beside(cg, cpu, nr, &ns));
		series_add(split, ns);
	}
	report_value(DIRTY_ROWS, BESIDE, series_median(alone) / series_median(both));
}

void bench_dirty(struct mem_cgroup *cg, double scale, unsigned int cpu)
{
	bench_reading(scale < 1 ? 2 : 5);
	if (processors() > 1)
		bench_splitting(cg, cpu, (unsigned int)(30000 * scale));
}

static double over_baseline(const char *operation, const char *of)
{
	return report_min(DIRTY_ROWS, operation) / report_baseline_min(DIRTY_ROWS, of);
}

void check_dirty_aims(void)
{
	report_aim("dirty: all clean, over a memory read", over_baseline(CLEAN, CLEAN), 1.5);
	report_aim("dirty: all dirty, over atomic operations", over_baseline(ALL, ALL), 1.5);
	report_aim("dirty: calls beside an idle thread, over beside a split",
		   1 / report_get(DIRTY_ROWS, BESIDE), 1.1);
}
