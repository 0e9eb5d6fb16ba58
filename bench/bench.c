/* SPDX-License-Identifier: MIT */
/*
 * The cost of mappings, measured through the public API only, with accounting: every
 * domain belongs to a memory cgroup two levels deep. Each operation is compared with a
 * memory fill of as many items, measured in the same run.
 *
 * Physical addresses are one page off the input addresses, so that no format joins 4K
 * pages into larger leaves.
 */
#include <argp.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uiommu/format.h>
#include <uiommu/iommu.h>
#include <uiommu/memcontrol.h>

#include "bench/device.h"
#include "bench/dirty.h"
#include "bench/dma.h"
#include "bench/iommufd.h"
#include "bench/iova.h"
#include "bench/domain.h"
#include "bench/replay.h"
#include "bench/report.h"
#include "bench/scale.h"

#define IOVA (4 * G1)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define RANDOM_PAGES  4096
#define LOOKUPS       65536

#define FILL_1G  "map 1G of 4K from empty, per entry"
#define UNMAP_1G "unmap that 1G, per entry"
#define MAP_256  "map 256x4K"
#define LEFT     "table bytes left after the unmap of 1G"

static struct {
	double scale; /* of the number of rounds */
	unsigned int passes;
	unsigned int cpu; /* as for pin_to() */
	const char *format, *json;
} options = {.scale = 1, .passes = 3, .cpu = 1};

static uint64_t random_page[RANDOM_PAGES]; /* offsets in 1 GiB */
static uint64_t random_place[LOOKUPS];
static volatile uint64_t sink;

static unsigned int rounds(unsigned int nr)
{
	unsigned int scaled = (unsigned int)(nr * options.scale);

	return scaled > 2 ? scaled : 2; /* the first one may have to grow the arena */
}

/* @nr calls of @size bytes, @stride apart; page offset as IOVA and PA have it. */
static void map_strided(struct iommu_domain *domain, uint64_t at, uint64_t size, uint64_t stride,
			unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		map(domain, IOVA + at + i * stride, PA + at + i * stride, size);
}

static void unmap_strided(struct iommu_domain *domain, uint64_t at, uint64_t size, uint64_t stride,
			  unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		unmap(domain, IOVA + at + i * stride, size);
}

/* One page per call, all in one leaf table, whose page 0 stays mapped. */
static void bench_single(const char *format, struct iommu_domain *domain)
{
	struct series *on = report_row(format, "map 4K", MEMORY_1);
	struct series *off = report_row(format, "unmap 4K", MEMORY_1);

	for (unsigned int round = rounds(2000); round; round--) {
		uint64_t start = clock_now();

		map_strided(domain, K4, K4, K4, 511);
		series_add(on, clock_since(start, 511));
		start = clock_now();
		unmap_strided(domain, K4, K4, K4, 511);
		series_add(off, clock_since(start, 511));
	}
}

/* The same over random pages of 1 GiB, whose 512 leaf tables exist. */
static void bench_random(const char *format, struct iommu_domain *domain)
{
	struct series *on = report_row(format, "map 4K, random in 1G", MEMORY_1);
	struct series *off = report_row(format, "unmap 4K, random in 1G", MEMORY_1);

	for (unsigned int round = rounds(200); round; round--) {
		uint64_t start = clock_now();

		for (int i = 0; i < RANDOM_PAGES; i++)
			map(domain, IOVA + random_page[i], PA + random_page[i], K4);
		series_add(on, clock_since(start, RANDOM_PAGES));
		start = clock_now();
		for (int i = 0; i < RANDOM_PAGES; i++)
			unmap(domain, IOVA + random_page[i], K4);
		series_add(off, clock_since(start, RANDOM_PAGES));
	}
}

static void bench_256(const char *format, struct iommu_domain *domain)
{
	struct series *on = report_row(format, MAP_256, MEMORY_256);
	struct series *off = report_row(format, "unmap 256x4K", MEMORY_256);

	for (unsigned int round = rounds(2000); round; round--) {
		uint64_t start = clock_now();

		map_strided(domain, M1, M1, M2, 16);
		series_add(on, clock_since(start, 16));
		start = clock_now();
		unmap_strided(domain, M1, M1, M2, 16);
		series_add(off, clock_since(start, 16));
	}
}

/* 1 GiB of 2M leaves; a 4K page at another address keeps the upper levels. */
static void bench_512x2m(const char *format, struct iommu_domain *domain)
{
	struct series *on = report_row(format, "map 512x2M", MEMORY_512);
	struct series *off = report_row(format, "unmap 512x2M", MEMORY_512);

	map(domain, IOVA + 20 * G1, PA, K4);
	for (unsigned int round = rounds(2000); round; round--) {
		uint64_t start = clock_now();

		for (unsigned int i = 0; i < 4; i++)
			map(domain, IOVA + (8 + i) * G1, PA - K4 + M2 + i * G1, G1);
		series_add(on, clock_since(start, 4));
		start = clock_now();
		unmap_strided(domain, 8 * G1, G1, G1, 4);
		series_add(off, clock_since(start, 4));
	}
}

static bool has_large_leaves(struct iommu_domain *domain)
{
	struct iommu_domain_info info;

	iommu_domain_get_info(domain, &info);
	return info.pgsizes & M2;
}

static void bench_calls(const char *format)
{
	struct iommu_domain *domain = new_domain(format);

	map(domain, IOVA, PA, K4);
	bench_single(format, domain);
	map_strided(domain, M2, K4, M2, 511);
	bench_random(format, domain);
	bench_256(format, domain);
	if (has_large_leaves(domain))
		bench_512x2m(format, domain);
	iommu_domain_free(domain);
}

static uint64_t table_bytes(struct iommu_domain *domain)
{
	struct iommu_domain_info info;

	iommu_domain_get_info(domain, &info);
	return info.table_bytes;
}

/* The bytes that a domain takes beyond those of a new domain. */
static void report_left(const char *format, struct iommu_domain *domain, uint64_t empty)
{
	uint64_t left = table_bytes(domain) - empty;

	if (!left || report_get(format, LEFT) < (double)left)
		report_value(format, LEFT, (double)left);
}

static void bench_gigabyte(const char *format)
{
	struct series *on = report_row(format, FILL_1G, MEMORY_262144);
	struct series *off = report_row(format, UNMAP_1G, MEMORY_262144);

	for (unsigned int round = rounds(60); round; round--) {
		struct iommu_domain *domain = new_domain(format);
		uint64_t empty = table_bytes(domain), start = clock_now();

		map(domain, IOVA, PA, G1);
		series_add(on, clock_since(start, G1 / K4));
		start = clock_now();
		unmap(domain, IOVA, G1);
		series_add(off, clock_since(start, G1 / K4));
		report_left(format, domain, empty);
		iommu_domain_free(domain);
	}
}

static void bench_lookup(const char *format)
{
	struct series *series = report_row(format, "lookup, random in 1G of 4K", MEMORY_READ);
	struct iommu_domain *domain = new_domain(format);

	map(domain, IOVA, PA, G1);
	for (unsigned int round = rounds(40); round; round--) {
		uint64_t sum = 0, start = clock_now();

		for (int i = 0; i < LOOKUPS; i++)
			sum += iommu_iova_to_phys(domain, IOVA + random_place[i]);
		series_add(series, clock_since(start, LOOKUPS));
		sink = sum;
	}
	iommu_domain_free(domain);
}

static const struct {
	uint64_t size;
	const char *map, *unmap;
	unsigned int rounds;
	enum memory memory;
} sizes[] = {
	{M1, "map 1M of 4K, per entry", "unmap 1M of 4K, per entry", 2000, MEMORY_262144},
	{16 * M1, "map 16M of 4K, per entry", "unmap 16M of 4K, per entry", 500, MEMORY_262144},
	{256 * M1, "map 256M of 4K, per entry", "unmap 256M of 4K, per entry", 100, MEMORY_262144},
	{G1, "map 1G of 4K, per entry", "unmap 1G of 4K, per entry", 30, MEMORY_262144},
	{16 * G1, "map 16G of 4K, per entry", "unmap 16G of 4K, per entry", 5, MEMORY_4M},
	{64 * G1, "map 64G of 4K, per entry", "unmap 64G of 4K, per entry", 3, MEMORY_16M},
};

/* One call for a range of each size, from no tables to no tables again. */
static void bench_sizes(const char *format)
{
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct series *on = report_row(format, sizes[i].map, sizes[i].memory);
		struct series *off = report_row(format, sizes[i].unmap, sizes[i].memory);
		double items = (double)(sizes[i].size / K4);

		for (unsigned int round = rounds(sizes[i].rounds); round; round--) {
			struct iommu_domain *domain = new_domain(format);
			uint64_t start = clock_now();

			map(domain, 0, PA, sizes[i].size);
			series_add(on, clock_since(start, items));
			start = clock_now();
			unmap(domain, 0, sizes[i].size);
			series_add(off, clock_since(start, items));
			iommu_domain_free(domain);
		}
	}
}

struct worker {
	struct iommu_domain *domain;
	struct mem_cgroup *cg;
	atomic_uint *ready;
	unsigned int nr, index;
	struct series *series;
	double ns; /* per map and unmap of 1 MiB */
};

/* Map and unmap 256 pages at a time, all over one GiB of the domain. */
static void *work(void *arg)
{
	struct worker *worker = arg;
	const uint64_t base = worker->index * G1;
	const unsigned int nr = rounds(200);
	uint64_t start;

	pin_to(options.cpu + worker->index);
	mem_cgroup_set_active(worker->cg);
	map(worker->domain, IOVA + base, PA + base, K4);
	atomic_fetch_add(worker->ready, 1);
	while (atomic_load(worker->ready) < worker->nr)
		;
	start = clock_now();
	for (unsigned int round = 0; round < nr; round++) {
		map_strided(worker->domain, base + M1, M1, M2, 512);
		unmap_strided(worker->domain, base + M1, M1, M2, 512);
	}
	worker->ns = clock_since(start, nr * 512.0);
	mem_cgroup_set_active(NULL);
	return NULL;
}

/* @nr threads in one domain, each in its own GiB: ns per thread and pair of calls. */
static void run_workers(const char *format, struct mem_cgroup *cg, unsigned int nr,
			struct series *series)
{
	struct iommu_domain *domain = new_domain(format);
	struct worker workers[2];
	pthread_t threads[2];
	atomic_uint ready = 0;

	for (unsigned int i = 0; i < nr; i++) {
		workers[i] = (struct worker){domain, cg, &ready, nr, i, series, 0};
		if (pthread_create(&threads[i], NULL, work, &workers[i]))
			fail("cannot start a thread");
	}
	for (unsigned int i = 0; i < nr; i++) {
		pthread_join(threads[i], NULL);
		series_add(series, workers[i].ns);
	}
	iommu_domain_free(domain);
}

static void bench_threads(const char *format, struct mem_cgroup *cg)
{
	struct series *one =
		report_row(format, "map + unmap 256x4K over 1G, one thread", MEMORY_NONE);
	struct series *two = report_row(format, "the same, two threads, each", MEMORY_NONE);

	for (unsigned int round = 3; round; round--) {
		run_workers(format, cg, 1, one);
		if (processors() > 1)
			run_workers(format, cg, 2, two);
	}
}

static void bench_format(const char *format, struct mem_cgroup *cg)
{
	memory_measure();
	bench_calls(format);
	bench_gigabyte(format);
	bench_lookup(format);
	bench_sizes(format);
	bench_threads(format, cg);
}

static void make_random(void)
{
	for (int i = 0; i < LOOKUPS; i++)
		random_place[i] = random_next() % G1;
	/* Distinct pages: one in each of 4096 stretches of 64, never page 0 of a table. */
	for (uint64_t i = 0; i < RANDOM_PAGES; i++)
		random_page[i] = (i * 64 + 1 + random_next() % 63) * K4;
	for (unsigned int i = RANDOM_PAGES - 1; i; i--) {
		unsigned int j = random_next() % (i + 1);
		uint64_t page = random_page[i];

		random_page[i] = random_page[j];
		random_page[j] = page;
	}
}

/* Rows that are not of one format. */
static bool is_rows(const char *name)
{
	static const char *const rows[] = {IOMMUFD,    IOVA_ROWS,   DMA_ROWS,   SCALE_ROWS,
					   DIRTY_ROWS, REPLAY_ROWS, DEVICE_ROWS};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (!strcmp(name, rows[i]))
			return true;
	return false;
}

/* Were those rows asked for? */
static bool wants(const char *rows)
{
	return !options.format || !strcmp(options.format, rows);
}

/* All sizes here are multiples of 4 KiB. */
static bool is_wanted(const struct iommu_format *format)
{
	return format->granule == K4 && (!options.format || !strcmp(options.format, format->name));
}

/* The most that any measured format leaves behind. */
static double most_left(void)
{
	double most = -1;

	for (const struct iommu_format *f = NULL; (f = iommu_format_next(f));) {
		if (!is_wanted(f))
			continue;
		if (!isfinite(report_get(f->name, LEFT)))
			return NAN;
		if (report_get(f->name, LEFT) > most)
			most = report_get(f->name, LEFT);
	}
	return most;
}

/* The slowest size over the first size; NAN when one is missing. */
static double growth(void)
{
	double most = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		double ns = report_min("vtd", sizes[i].map);

		if (!isfinite(ns))
			return NAN;
		if (ns > most)
			most = ns;
	}
	return most / report_min("vtd", sizes[0].map);
}

/* Check the figures that vtd must reach, and what every format may leave behind. */
static bool check_aims(void)
{
	puts("\naims, and what is due");
	if (wants("vtd")) {
		report_due("vtd: " FILL_1G, report_min("vtd", FILL_1G), 0.3);
		report_due("vtd: " MAP_256, report_min("vtd", MAP_256), 80);
		report_due("vtd: slowest size over 1M, per entry", growth(), 1.5);
	}
	if (most_left() >= 0 || !options.format)
		report_due("all: " LEFT, most_left(), 0);
	if (wants(IOMMUFD))
		check_iommufd_aims();
	if (wants(IOVA_ROWS))
		check_iova_aims();
	if (wants(DMA_ROWS))
		check_dma_aims();
	if (wants(SCALE_ROWS))
		check_scale_aims();
	if (wants(DIRTY_ROWS))
		check_dirty_aims();
	if (wants(REPLAY_ROWS))
		check_replay_aims();
	if (wants(DEVICE_ROWS))
		check_device_aims();
	return report_aims_end();
}

static const struct argp_option argp_options[] = {
	{"json", 'j', "FILE", 0, "write everything to FILE too", 0},
	{"format", 'f', "NAME", 0,
	 "this format only, or iommufd, iova, dma, scale, dirty, replay or devices", 0},
	{"quick", 'q', NULL, 0, "a tenth of the rounds", 0},
	{"passes", 'p', "N", 0, "times over everything (3)", 0},
	{"cpu", 'c', "N", 0, "stay on the N-th processor that it may use (1)", 0},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'j':
		options.json = arg;
		break;
	case 'f':
		if (!iommu_format_find(arg) && !is_rows(arg))
			argp_error(state, "%s: no such format", arg);
		options.format = arg;
		break;
	case 'q':
		options.scale = 0.1;
		options.passes = 1;
		break;
	case 'p':
		options.passes = (unsigned int)strtoul(arg, NULL, 10);
		break;
	case 'c':
		options.cpu = (unsigned int)strtoul(arg, NULL, 10);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		argp_options,
		parse,
		NULL,
		"Nanoseconds per call, compared with a memory fill. Exit status 1 when "
		"what is due is missed, or a row is missing.",
		NULL,
		NULL,
		NULL};
	struct mem_cgroup *parent, *cg;
	char setting[128];

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	snprintf(setting, sizeof(setting),
		 "one run, on processor %d, GFP_KERNEL_ACCOUNT in a cgroup two levels deep",
		 pin_to(options.cpu));
	puts(setting);
	clock_calibrate();
	make_random();
	parent = mem_cgroup_create(NULL);
	cg = mem_cgroup_create(parent);
	mem_cgroup_write(parent, "memory.max", "16G");
	mem_cgroup_write(cg, "memory.max", "8G");
	mem_cgroup_set_active(cg);
	for (unsigned int pass = 0; pass < options.passes; pass++)
		for (const struct iommu_format *f = NULL; (f = iommu_format_next(f));)
			if (is_wanted(f))
				bench_format(f->name, cg);
	if (wants(IOMMUFD))
		bench_iommufd(cg, options.scale);
	if (wants(IOVA_ROWS))
		bench_iova(cg, options.scale, options.cpu);
	if (wants(DMA_ROWS))
		bench_dma(cg, options.scale, options.cpu);
	if (wants(SCALE_ROWS))
		bench_scale(cg, options.scale, options.cpu);
	if (wants(DIRTY_ROWS))
		bench_dirty(cg, options.scale, options.cpu);
	if (wants(REPLAY_ROWS))
		bench_replay(options.scale);
	if (wants(DEVICE_ROWS))
		bench_device(options.scale, options.cpu);
	report_print();
	if (options.json)
		report_json(options.json, setting);
	return check_aims() ? 0 : 1;
}
