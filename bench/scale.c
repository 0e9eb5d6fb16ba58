// SPDX-License-Identifier: MIT
/*
 * Calls where there is much of everything, each compared with the same where there is
 * little, in tables of vtd. What grows with the memory that is touched is compared with
 * reads of as much memory.
 */
#include "bench/scale.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <uiommu/iommu.h>

#include "bench/domain.h"
#include "bench/report.h"

#define T1 (1ULL << 40)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static volatile uint64_t sink;

/* ---- spans of addresses ---- */

/*
 * Chunks of mapped addresses at a distance. As much is mapped of 1 TiB as of 64 GiB,
 * since that is the most that the tables may take here.
 */
static const struct span {
	uint64_t chunk, stride;
	unsigned int nr;
	size_t items; /* items of the tables of the lowest level */
	const char *map, *unmap, *single, *lookup;
} spans[] = {
	{M2, M2, 1, 512, "map 2M of 4K, per entry", "unmap 2M of 4K, per entry",
	 "map + unmap 4K, random in 2M", "lookup, random in 2M of 4K"},
	{G1, G1, 1, 262144, "map 1G of 4K, per entry", "unmap 1G of 4K, per entry",
	 "map + unmap 4K, random in 1G", "lookup, random in 1G of 4K"},
	{64 * G1, 64 * G1, 1, 16 << 20, "map 64G of 4K, per entry", "unmap 64G of 4K, per entry",
	 "map + unmap 4K, random in 64G", "lookup, random in 64G of 4K"},
	{4 * M2, 128 * M1, 8192, 16 << 20, "map 64G over 1T, by 8M, per entry",
	 "unmap 64G over 1T, by 8M, per entry", "map + unmap 4K, random in 64G over 1T",
	 "lookup, random in 64G over 1T"},
};

#define PLACES 65536u

static uint64_t place[PLACES];
static size_t item[PLACES];

static uint64_t random_in(const struct span *span)
{
	return random_next() % span->nr * span->stride + random_next() % (span->chunk / K4) * K4;
}

static void choose_places(const struct span *span)
{
	for (unsigned int i = 0; i < PLACES; i++) {
		place[i] = random_in(span);
		item[i] = random_next() % span->items;
	}
}

static uint64_t *memory_items(void)
{
	static uint64_t *items;
	const size_t size = (16 << 20) * sizeof(*items);

	if (items)
		return items;
	items = aligned_alloc(M2, size);
	if (!items)
		fail("out of memory");
	madvise(items, size, MADV_HUGEPAGE);
	return memset(items, 1, size);
}

/* Read random items of memory, or change each of them twice. */
static void memory_random(const struct span *span)
{
	uint64_t *items = memory_items(), sum = 0, start = clock_now();

	for (unsigned int i = 0; i < PLACES; i++)
		sum += items[item[i]];
	series_add(report_baseline(SCALE_ROWS, span->lookup), clock_since(start, PLACES));
	sink = sum;
	start = clock_now();
	for (unsigned int i = 0; i < PLACES; i++) {
		__atomic_store_n(&items[item[i]], 0, __ATOMIC_RELAXED);
		__atomic_store_n(&items[item[i]], 1, __ATOMIC_RELAXED);
	}
	series_add(report_baseline(SCALE_ROWS, span->single), clock_since(start, PLACES));
}

static void memory_fill(const struct span *span)
{
	size_t times = span->items < 262144 ? 262144 / span->items : 1;
	uint64_t start = clock_now();

	for (size_t i = 0; i < times; i++)
		fill_items(memory_items(), 3, span->items);
	series_add(report_baseline(SCALE_ROWS, span->map),
		   clock_since(start, (double)(times * span->items)));
}

static void look_up(struct iommu_domain *domain, struct series *series)
{
	uint64_t sum = 0, start = clock_now();

	for (unsigned int i = 0; i < PLACES; i++)
		sum += iommu_iova_to_phys(domain, place[i]);
	series_add(series, clock_since(start, PLACES));
	sink = sum;
}

/* One page after the other is unmapped and mapped again. */
static void change(struct iommu_domain *domain, struct series *series)
{
	uint64_t start = clock_now();

	for (unsigned int i = 0; i < PLACES; i++) {
		unmap(domain, place[i], K4);
		map(domain, place[i], PA + place[i], K4);
	}
	series_add(series, clock_since(start, PLACES));
}

static void bench_span(const struct span *span, unsigned int rounds)
{
	struct series *on = report_row(SCALE_ROWS, span->map, MEMORY_NONE);
	struct series *off = report_row(SCALE_ROWS, span->unmap, MEMORY_NONE);
	struct series *single = report_row(SCALE_ROWS, span->single, MEMORY_NONE);
	struct series *lookup = report_row(SCALE_ROWS, span->lookup, MEMORY_NONE);
	double entries = (double)span->nr * (double)(span->chunk / K4);

	for (; rounds; rounds--) {
		struct iommu_domain *domain = new_domain("vtd");
		uint64_t start;

		/* The tables above the lowest stay. */
		map(domain, 128 * T1, PA, K4);
		choose_places(span);
		memory_fill(span);
		start = clock_now();
		for (uint64_t i = 0; i < span->nr; i++)
			map(domain, i * span->stride, PA + i * span->stride, span->chunk);
		series_add(on, clock_since(start, entries));
		memory_random(span);
		look_up(domain, lookup);
		change(domain, single);
		start = clock_now();
		for (uint64_t i = 0; i < span->nr; i++)
			unmap(domain, i * span->stride, span->chunk);
		series_add(off, clock_since(start, entries));
		iommu_domain_free(domain);
	}
}

/* ---- fresh addresses without end ---- */

#define WALK       "map + unmap 4K, each 2M of 16T"
#define WALK_END   "the same, its last 1T"
#define WALK_BYTES "table bytes of that walk, at most"

/* One page of each table of the lowest level that 16 TiB have. */
static void bench_walk(void)
{
	struct iommu_domain *domain = new_domain("vtd");
	struct iommu_domain_info info;
	uint64_t most = 0;

	for (uint64_t t = 0; t < 16; t++) {
		uint64_t start = clock_now();

		for (uint64_t at = t * T1; at < (t + 1) * T1; at += M2) {
			map(domain, at, PA + at, K4);
			if (at % (64 * G1) == 0) {
				iommu_domain_get_info(domain, &info);
				most = info.table_bytes > most ? info.table_bytes : most;
			}
			unmap(domain, at, K4);
		}
		series_add(report_row(SCALE_ROWS, WALK, MEMORY_NONE),
			   clock_since(start, (double)(T1 / M2)));
		if (t == 15)
			series_add(report_row(SCALE_ROWS, WALK_END, MEMORY_NONE),
				   clock_since(start, (double)(T1 / M2)));
	}
	report_value(SCALE_ROWS, WALK_BYTES, (double)most);
	iommu_domain_free(domain);
}

/* ---- domains ---- */

#define DOMAINS    10000u
#define NEW_FEW    "domain alloc + map 4K + free, 10 live"
#define NEW_MANY   "the same, 10,000 live"
#define BYTES_EACH "bytes charged per domain with a page"
#define ROUND_FEW  "map + unmap 4K, in each of 10 domains"
#define ROUND_MANY "the same, in each of 10,000"

/* A page in each domain in turn, as many as its tables cover already. */
static void each_domain(struct iommu_domain **domains, unsigned int nr, unsigned int calls,
			struct series *series)
{
	uint64_t start = clock_now();

	for (unsigned int i = 0, d = 0; i < calls; i++) {
		map(domains[d], K4, PA, K4);
		unmap(domains[d], K4, K4);
		d = d + 1 == nr ? 0 : d + 1;
	}
	series_add(series, clock_since(start, calls));
}

static void come_and_go(struct series *series)
{
	uint64_t start = clock_now();

	for (unsigned int i = 0; i < 1000; i++) {
		struct iommu_domain *domain = new_domain("vtd");

		map(domain, K4, PA, K4);
		iommu_domain_free(domain);
	}
	series_add(series, clock_since(start, 1000));
}

static void bench_domains(struct mem_cgroup *cg)
{
	static const unsigned int numbers[] = {10, DOMAINS};
	struct iommu_domain **domains = calloc(DOMAINS, sizeof(struct iommu_domain *));
	uint64_t before = mem_cgroup_usage(cg);
	unsigned int nr = 0;

	if (!domains)
		fail("out of memory");
	for (unsigned int i = 0; i < ARRAY_SIZE(numbers); i++) {
		struct series *fresh = report_row(SCALE_ROWS, i ? NEW_MANY : NEW_FEW, MEMORY_NONE);
		struct series *each =
			report_row(SCALE_ROWS, i ? ROUND_MANY : ROUND_FEW, MEMORY_NONE);

		for (; nr < numbers[i]; nr++) {
			domains[nr] = new_domain("vtd");
			map(domains[nr], 0, PA, K4);
		}
		for (unsigned int round = 0; round < 5; round++) {
			come_and_go(fresh);
			each_domain(domains, nr, 10 * DOMAINS, each);
		}
	}
	report_value(SCALE_ROWS, BYTES_EACH, (double)(mem_cgroup_usage(cg) - before) / nr);
	while (nr)
		iommu_domain_free(domains[--nr]);
	free(domains);
	if (mem_cgroup_usage(cg) != before)
		fail("domains are gone, and %llu bytes are charged",
		     (unsigned long long)(mem_cgroup_usage(cg) - before));
}

/* ---- cgroups ---- */

#define DEEP 8u

static const struct {
	const char *flat, *deep;
	uint64_t size;
} charged[] = {
	{"map + unmap 1G of 4K, cgroup of 1 level", "the same, 8 levels", G1},
	{"map + unmap 1M of 4K, cgroup of 1 level", "the same of 1M, 8 levels", M1},
};

static double in_cgroup(struct mem_cgroup *cg, uint64_t size, unsigned int calls)
{
	struct iommu_domain *domain;
	uint64_t start;
	double ns;

	mem_cgroup_set_active(cg);
	domain = new_domain("vtd");
	start = clock_now();
	for (uint64_t i = 0; i < calls; i++) {
		map(domain, i % 64 * G1, PA, size);
		unmap(domain, i % 64 * G1, size);
	}
	ns = clock_since(start, calls);
	iommu_domain_free(domain);
	return ns;
}

static void bench_cgroups(struct mem_cgroup *cg, unsigned int rounds)
{
	struct mem_cgroup *path[DEEP];

	for (unsigned int i = 0; i < DEEP; i++) {
		path[i] = mem_cgroup_create(i ? path[i - 1] : NULL);
		if (!path[i])
			fail("no cgroup");
		mem_cgroup_write(path[i], "memory.max", "8G");
	}
	for (unsigned int round = 0; round < rounds; round++) {
		for (unsigned int i = 0; i < ARRAY_SIZE(charged); i++) {
			unsigned int calls = charged[i].size == G1 ? 8 : 2000;

			series_add(report_row(SCALE_ROWS, charged[i].flat, MEMORY_NONE),
				   in_cgroup(path[0], charged[i].size, calls));
			series_add(report_row(SCALE_ROWS, charged[i].deep, MEMORY_NONE),
				   in_cgroup(path[DEEP - 1], charged[i].size, calls));
		}
	}
	mem_cgroup_set_active(cg);
	for (unsigned int i = DEEP; i; i--) {
		if (mem_cgroup_usage(path[i - 1]))
			fail("level %u of the cgroups is charged to the end", i);
		mem_cgroup_put(path[i - 1]);
	}
}

/* ---- scatter lists ---- */

#define MANY_PIECES 10000u
#define SG_FEW      "map_sg of 100 pages that do not adjoin, per page"
#define SG_MANY     "map_sg of 10,000, per page"
#define SG_UNMAP    "unmap that, per page"

static void bench_sg(unsigned int rounds)
{
	static struct iommu_sg sg[MANY_PIECES];
	struct series *few = report_row(SCALE_ROWS, SG_FEW, MEMORY_NONE);
	struct series *many = report_row(SCALE_ROWS, SG_MANY, MEMORY_NONE);
	struct series *off = report_row(SCALE_ROWS, SG_UNMAP, MEMORY_NONE);
	struct iommu_domain *domain = new_domain("vtd");

	for (unsigned int i = 0; i < MANY_PIECES; i++)
		sg[i] = (struct iommu_sg){PA + 2 * i * K4, K4};
	map(domain, 64 * G1, PA, K4);
	for (; rounds; rounds--) {
		const int prot = IOMMU_READ | IOMMU_WRITE;
		uint64_t start = clock_now();

		for (uint64_t i = 0; i < MANY_PIECES; i += 100)
			if (iommu_map_sg(domain, i * K4, &sg[i], 100, prot, GFP_KERNEL_ACCOUNT) < 0)
				fail("cannot map a list");
		series_add(few, clock_since(start, MANY_PIECES));
		unmap(domain, 0, MANY_PIECES * K4);
		start = clock_now();
		if (iommu_map_sg(domain, 0, sg, MANY_PIECES, prot, GFP_KERNEL_ACCOUNT) < 0)
			fail("cannot map a long list");
		series_add(many, clock_since(start, MANY_PIECES));
		start = clock_now();
		unmap(domain, 0, MANY_PIECES * K4);
		series_add(off, clock_since(start, MANY_PIECES));
	}
	iommu_domain_free(domain);
}

/* ---- threads ---- */

#define PIECE (M1 / 2)

/* What each of two threads has for itself. */
enum apart {
	OWN_MEMORY, /* memory of its own, to which it writes as many items */
	OWN_GIB,    /* a domain's GiB: nothing above the leaf tables is shared but the top */
	NEIGHBOUR,  /* each second leaf table: the tables above them are shared */
	SAME_LEAF,  /* half of each leaf table */
	COMING,     /* as OWN_GIB, but the leaf tables come and go */
	COMING_NEIGHBOUR,
};

#define ROWS(what)                                                                \
	{                                                                         \
		"two threads, memory fills over " what, what ": one thread",      \
			what ": one beside an idle thread", what ": two, each",   \
			what ": two over one", what ": two over one beside idle", \
	}
static const struct {
	const char *aim, *alone, *idle, *two, *over_alone, *over_idle;
} sharing[] = {
	[OWN_MEMORY] = ROWS("fill of 128"),
	[OWN_GIB] = ROWS("map + unmap 128x4K"),
	[NEIGHBOUR] = ROWS("common parents"),
	[SAME_LEAF] = ROWS("common leaf tables"),
	[COMING] = ROWS("leaf tables come and go"),
	[COMING_NEIGHBOUR] = ROWS("come and go, common parents"),
};

struct worker {
	struct iommu_domain *domain;
	struct mem_cgroup *cg;
	atomic_uint *ready;
	enum apart apart;
	unsigned int nr, index, cpu, calls;
	double ns;      /* per call pair */
	bool disturbed; /* another process has used its processor */
};

static uint64_t address_of(const struct worker *worker, uint64_t i)
{
	switch (worker->apart) {
	case NEIGHBOUR:
	case COMING_NEIGHBOUR:
		return (2 * (i % 256) + worker->index) * M2;
	case SAME_LEAF:
		return i % 512 * M2 + worker->index * M1;
	default:
		return worker->index * G1 + i % 512 * M2;
	}
}

static void call_all(const struct worker *worker, unsigned int calls)
{
	static uint64_t items[2][PIECE / K4 + 512];

	for (uint64_t i = 0; i < calls; i++) {
		uint64_t iova = address_of(worker, i);

		if (worker->apart == OWN_MEMORY) {
			fill_items(items[worker->index], i, PIECE / K4);
			fill_items(items[worker->index], i, PIECE / K4);
			continue;
		}
		map(worker->domain, iova, PA + iova, PIECE);
		unmap(worker->domain, iova, PIECE);
	}
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	uint64_t begin;
	double start, ns;

	pin_to(worker->cpu);
	mem_cgroup_set_active(worker->cg);
	/* Touch all that will be used, so that its processor has it in its caches. */
	call_all(worker, 512);
	atomic_fetch_add(worker->ready, 1);
	while (atomic_load(worker->ready) < worker->nr)
		;
	begin = clock_now();
	start = thread_ns();
	call_all(worker, worker->calls);
	ns = thread_ns() - start;
	worker->ns = clock_since(begin, worker->calls);
	worker->disturbed = worker->ns * worker->calls > 1.05 * ns;
	return NULL;
}

/*
 * Time per pair of calls in each of nr new threads, or in the calling thread for 0.
 * Counts only if all threads had their processors all the time: otherwise two may have
 * taken turns.
 */
static void share(struct series *series, struct mem_cgroup *cg, enum apart apart, unsigned int nr,
		  unsigned int cpu, unsigned int calls)
{
	struct iommu_domain *domain = new_domain("vtd");
	const unsigned int working = nr ? nr : 1;
	struct worker workers[2];
	pthread_t threads[2];
	atomic_uint ready = 0;
	bool disturbed = false;
	double sum = 0;

	for (uint64_t at = 0; at < 2 * G1; at += M2)
		if (apart < COMING || at % G1 == G1 - M2)
			map(domain, at + M1 - K4, PA, K4);
	for (unsigned int i = 0; i < working; i++)
		workers[i] = (struct worker){domain, cg,      &ready, apart, working,
					     i,      cpu + i, calls,  0,     false};
	for (unsigned int i = 0; i < nr; i++)
		if (pthread_create(&threads[i], NULL, work, &workers[i]))
			fail("cannot start a thread");
	if (!nr)
		work(&workers[0]);
	for (unsigned int i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);
	pin_to(cpu);
	mem_cgroup_set_active(cg);
	for (unsigned int i = 0; i < working; i++) {
		sum += workers[i].ns;
		disturbed |= workers[i].disturbed;
	}
	iommu_domain_free(domain);
	if (!disturbed)
		series_add(series, sum / working);
}

/* Each round has all rows, so that other processes disturb all rows alike. */
static void bench_threads(struct mem_cgroup *cg, unsigned int cpu, unsigned int calls)
{
	struct series *alone[ARRAY_SIZE(sharing)], *idle[ARRAY_SIZE(sharing)];
	struct series *two[ARRAY_SIZE(sharing)];

	for (enum apart apart = OWN_MEMORY; apart <= COMING_NEIGHBOUR; apart++) {
		alone[apart] = report_row(SCALE_ROWS, sharing[apart].alone, MEMORY_NONE);
		idle[apart] = report_row(SCALE_ROWS, sharing[apart].idle, MEMORY_NONE);
		two[apart] = report_row(SCALE_ROWS, sharing[apart].two, MEMORY_NONE);
	}
	for (unsigned int round = 0; round < 25; round++) {
		for (enum apart apart = OWN_MEMORY; apart <= COMING_NEIGHBOUR; apart++) {
			share(alone[apart], cg, apart, 0, cpu, calls);
			share(idle[apart], cg, apart, 1, cpu, calls);
			share(two[apart], cg, apart, 2, cpu, calls);
		}
	}
	for (enum apart apart = OWN_MEMORY; apart <= COMING_NEIGHBOUR; apart++) {
		double both = report_min(SCALE_ROWS, sharing[apart].two);

		report_value(SCALE_ROWS, sharing[apart].over_alone,
			     2 * report_min(SCALE_ROWS, sharing[apart].alone) / both);
		report_value(SCALE_ROWS, sharing[apart].over_idle,
			     2 * report_min(SCALE_ROWS, sharing[apart].idle) / both);
	}
}

void bench_scale(struct mem_cgroup *cg, double scale, unsigned int cpu)
{
	unsigned int few = scale < 1 ? 2 : 5, many = scale < 1 ? 10 : 40;

	for (size_t i = 0; i < ARRAY_SIZE(spans); i++)
		bench_span(&spans[i], spans[i].items > 262144 ? few : many);
	bench_walk();
	bench_domains(cg);
	bench_cgroups(cg, many);
	bench_sg(5 * many);
	if (processors() > 1)
		bench_threads(cg, cpu, (unsigned int)(60000 * scale));
}

static double ratio(const char *is, const char *to)
{
	return report_min(SCALE_ROWS, is) / report_min(SCALE_ROWS, to);
}

/* Per entry, over a memory fill of as many items. */
static double over_fill(const struct span *span)
{
	return report_min(SCALE_ROWS, span->map) / report_baseline_min(SCALE_ROWS, span->map);
}

/* Over a memory read of random items among as many. */
static double lookup_over_read(const struct span *span)
{
	return report_min(SCALE_ROWS, span->lookup) / report_baseline_min(SCALE_ROWS, span->lookup);
}

/*
 * Two processors may be less than twice one, if they share a core or are virtual:
 * required is 1.85 of 2, or as much of that as two memory fills reach.
 */
static double thread_loss(enum apart apart)
{
	double fills = report_get(SCALE_ROWS, sharing[OWN_MEMORY].over_idle);
	double calls = report_get(SCALE_ROWS, sharing[apart].over_idle);

	return (fills > 2 ? 2 : fills) / calls;
}

void check_scale_aims(void)
{
	report_due("scale: 1G of 4K, over a memory fill", over_fill(&spans[1]), 2);
	report_due("scale: 64G of 4K, over a memory fill", over_fill(&spans[2]), 2);
	report_due("scale: 64G spread over 1T, over a memory fill", over_fill(&spans[3]), 2);
	report_due("scale: lookup over a memory read, 64G over 1G",
		   lookup_over_read(&spans[2]) / lookup_over_read(&spans[1]), 1.1);
	report_due("scale: table bytes of a walk over 16T", report_get(SCALE_ROWS, WALK_BYTES),
		   64 * K4);
	report_aim("scale: the end of that walk over all of it", ratio(WALK_END, WALK), 1.1);
	report_aim("scale: a new domain, 10,000 over 10 live", ratio(NEW_MANY, NEW_FEW), 1.1);
	report_due("scale: a cgroup 8 deep over a flat one, 1G",
		   ratio(charged[0].deep, charged[0].flat), 1.05);
	report_due("scale: a cgroup 8 deep over a flat one, 1M",
		   ratio(charged[1].deep, charged[1].flat), 1.05);
	report_aim("scale: 10,000 pieces over 100, per page", ratio(SG_MANY, SG_FEW), 1.1);
	for (enum apart apart = OWN_GIB; apart <= COMING_NEIGHBOUR; apart++)
		(apart <= NEIGHBOUR ? report_due : report_aim)(sharing[apart].aim,
							       thread_loss(apart), 2 / 1.85);
}
