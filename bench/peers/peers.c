/* SPDX-License-Identifier: MIT */
/*
 * Table code of the kernel beside ours, in one program. In each round every
 * operation goes through all implementations before the next operation begins, so
 * that what disturbs the machine disturbs all of them. Ours work on the charge of
 * a memory cgroup two levels deep; the peers have no accounting.
 *
 * Physical addresses are a page off the input addresses, so that no format joins
 * pages into larger leaves.
 *
 *   map_4k, unmap_4k          one page per call along a leaf table whose page 0
 *                             stays mapped: tables are there, and in the cache
 *   map_256x4k, unmap_256x4k  one call for half of a leaf table that is there,
 *                             sixteen tables in turn
 *   map_512x2m, unmap_512x2m  one call for a GiB of 2M leaves, upper levels there
 *   map_1g_4k, unmap_1g_4k    one call for a GiB of 4K leaves from an empty domain,
 *                             and one to unmap it, as pages of 4K; per leaf
 *   unmap_1g                  the same, as one page of a GiB: what iommu_unmap() of
 *                             the kernel asks a driver for; per leaf
 *   lookup                    random addresses in such a GiB
 *   left_bytes                of tables after that unmap, beyond those of the new
 *                             domain; bytes, in both fields of time
 */
#include <argp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uiommu/memcontrol.h>
#include <uiommu/mm.h>

#include "bench/measure.h"
#include "bench/peers/pages.h"
#include "bench/peers/results.h"

#define K4   4096ULL
#define M1   (1ULL << 20)
#define M2   (2ULL << 20)
#define G1   (1ULL << 30)
#define IOVA (4 * G1)
#define PA   (64 * G1 + K4)

#define TABLE   512
#define GIB     (G1 / K4) /* leaves of 4K */
#define LOOKUPS 65536

static struct {
	unsigned int rounds;
	const char *filter, *json;
} options = {.rounds = 100};

static uint64_t places[LOOKUPS];
static uint64_t *fill_memory;
static volatile uint64_t sink;

static void *create(const struct peer *peer)
{
	void *domain = peer->create(peer);

	if (!domain)
		fail("%s, %s: no domain", peer->impl, peer->build);
	return domain;
}

static void expect(const struct peer *peer, const char *what, uint64_t at, uint64_t is,
		   uint64_t due)
{
	if (is != due)
		fail("%s, %s: %s at %#llx: %#llx instead of %#llx", peer->impl, peer->build, what,
		     (unsigned long long)at, (unsigned long long)is, (unsigned long long)due);
}

static void map(const struct peer *peer, void *domain, uint64_t at, size_t pgsize, size_t count)
{
	/* Leaves of 2M need an address that is a multiple of 2M, but not of a GiB. */
	const uint64_t paddr = PA + at + (pgsize == M2 ? M2 - K4 : 0);

	expect(peer, "map", at, (uint64_t)peer->map(domain, IOVA + at, paddr, pgsize, count), 0);
}

static void unmap(const struct peer *peer, void *domain, uint64_t at, size_t pgsize, size_t count)
{
	expect(peer, "unmap", at, peer->unmap(domain, IOVA + at, pgsize, count), pgsize * count);
}

/* ---- correctness ---- */

/* Do @count pages of @pgsize at @at translate to what map() gave them, or to nothing? */
static void verify_range(const struct peer *peer, void *domain, uint64_t at, size_t pgsize,
			 size_t count, bool mapped)
{
	const uint64_t paddr = PA + (pgsize == M2 ? M2 - K4 : 0);

	for (size_t i = 0; i < count; i++) {
		const uint64_t where = at + i * pgsize + 0x123 % pgsize;

		expect(peer, "lookup", where, peer->lookup(domain, IOVA + where),
		       mapped ? paddr + where : 0);
	}
}

static void verify(const struct peer *peer)
{
	const uint64_t before = pages_bytes_used();
	void *domain = create(peer);

	map(peer, domain, 0, K4, 1500);
	verify_range(peer, domain, 0, K4, 1500, true);
	verify_range(peer, domain, 1500 * K4, K4, 100, false);
	unmap(peer, domain, 100 * K4, K4, 700);
	verify_range(peer, domain, 0, K4, 100, true);
	verify_range(peer, domain, 100 * K4, K4, 700, false);
	verify_range(peer, domain, 800 * K4, K4, 700, true);
	map(peer, domain, 8 * G1, M2, 512);
	verify_range(peer, domain, 8 * G1, M2, 512, true);
	unmap(peer, domain, 8 * G1, M2, 512);
	verify_range(peer, domain, 8 * G1, M2, 512, false);
	map(peer, domain, 16 * G1, K4, GIB);
	verify_range(peer, domain, 16 * G1, K4, GIB, true);
	unmap(peer, domain, 16 * G1, G1, 1);
	verify_range(peer, domain, 16 * G1, K4, GIB, false);
	peer->destroy(domain);
	expect(peer, "bytes not freed", 0, pages_bytes_used(), before);
}

/* ---- operations ---- */

/*
 * @count pages of @pgsize per call, @calls calls @stride apart from @at on. The results
 * are checked after the clock has stopped.
 */
static void time_calls(const struct peer *peer, void *domain, struct series *on, struct series *off,
		       uint64_t at, size_t pgsize, size_t count, uint64_t stride,
		       unsigned int calls)
{
	const uint64_t iova = IOVA + at, paddr = PA + at + (pgsize == M2 ? M2 - K4 : 0);
	int error = 0;
	size_t unmapped = 0;
	uint64_t start = clock_now();

	for (unsigned int i = 0; i < calls; i++)
		error |= peer->map(domain, iova + i * stride, paddr + i * stride, pgsize, count);
	series_add(on, clock_since(start, calls));
	start = clock_now();
	for (unsigned int i = 0; i < calls; i++)
		unmapped += peer->unmap(domain, iova + i * stride, pgsize, count);
	series_add(off, clock_since(start, calls));
	expect(peer, "map", at, (uint64_t)error, 0);
	expect(peer, "unmap", at, unmapped, calls * pgsize * count);
}

static void bench_4k(const struct peer *peer, struct series *series)
{
	void *domain = create(peer);

	map(peer, domain, 0, K4, 1);
	for (int i = 0; i < 100; i++)
		time_calls(peer, domain, &series[MAP_4K], &series[UNMAP_4K], K4, K4, 1, K4,
			   TABLE - 1);
	peer->destroy(domain);
}

static void bench_256x4k(const struct peer *peer, struct series *series)
{
	void *domain = create(peer);

	for (uint64_t i = 0; i < 16; i++)
		map(peer, domain, i * M2, K4, 1);
	for (int i = 0; i < 100; i++)
		time_calls(peer, domain, &series[MAP_256X4K], &series[UNMAP_256X4K], M1, K4, 256,
			   M2, 16);
	peer->destroy(domain);
}

static void bench_512x2m(const struct peer *peer, struct series *series)
{
	void *domain = create(peer);

	map(peer, domain, 0, K4, 1);
	map(peer, domain, 20 * G1, K4, 1);
	for (int i = 0; i < 100; i++)
		time_calls(peer, domain, &series[MAP_512X2M], &series[UNMAP_512X2M], 8 * G1, M2,
			   512, G1, 4);
	peer->destroy(domain);
}

/* As the pages that were mapped, or as the one page that iommu_unmap() finds. */
static void time_1g(const struct peer *peer, struct series *series, enum op unmap_op)
{
	const size_t pgsize = unmap_op == UNMAP_1G ? G1 : K4;
	void *domain = create(peer);
	const uint64_t empty = peer->table_bytes(domain);
	size_t unmapped;
	int error;
	uint64_t start = clock_now();

	error = peer->map(domain, IOVA, PA, K4, GIB);
	series_add(&series[MAP_1G_4K], clock_since(start, GIB));
	expect(peer, "map", 0, (uint64_t)error, 0);
	start = clock_now();
	unmapped = peer->unmap(domain, IOVA, pgsize, G1 / pgsize);
	series_add(&series[unmap_op], clock_since(start, GIB));
	expect(peer, "unmap", 0, unmapped, G1);
	if (unmap_op == UNMAP_1G)
		series_add(&series[LEFT_BYTES], (double)(peer->table_bytes(domain) - empty));
	peer->destroy(domain);
}

static void bench_1g(const struct peer *peer, struct series *series)
{
	for (int i = 0; i < 3; i++) {
		time_1g(peer, series, UNMAP_1G_4K);
		time_1g(peer, series, UNMAP_1G);
	}
}

static void bench_lookup(const struct peer *peer, struct series *series)
{
	void *domain = create(peer);

	map(peer, domain, 0, K4, GIB);
	for (int i = 0; i < 3; i++) {
		uint64_t sum = 0, start = clock_now();

		for (int j = 0; j < LOOKUPS; j++)
			sum += peer->lookup(domain, places[j]);
		series_add(&series[LOOKUP], clock_since(start, LOOKUPS));
		sink = sum;
	}
	peer->destroy(domain);
}

static void (*const benches[])(const struct peer *peer, struct series *series) = {
	bench_4k, bench_256x4k, bench_512x2m, bench_1g, bench_lookup,
};

/* ---- memory ---- */

/* @calls fills of @nr items, @stride items apart. */
static void time_fill(struct series *series, size_t nr, size_t stride, size_t calls, double per)
{
	uint64_t start = clock_now();

	for (size_t i = 0; i < calls; i++)
		fill_items(fill_memory + i * stride, i | 3, nr);
	series_add(series, clock_since(start, per));
}

/* As many items as each operation writes, in as many tables. */
static void bench_fill(struct series *series)
{
	for (int i = 0; i < 100; i++) {
		time_fill(&series[MAP_4K], 1, 1, TABLE - 1, TABLE - 1);
		time_fill(&series[MAP_256X4K], 256, TABLE, 16, 16);
		time_fill(&series[MAP_512X2M], TABLE, TABLE, 4, 4);
	}
	for (int i = 0; i < 4; i++)
		time_fill(&series[MAP_1G_4K], GIB, 0, 1, GIB);
	for (int i = 0; i < 3; i++) {
		const volatile uint64_t *items = fill_memory;
		uint64_t start = clock_now();

		for (int j = 0; j < LOOKUPS; j++)
			(void)items[(places[j] - IOVA) / K4];
		series_add(&series[LOOKUP], clock_since(start, LOOKUPS));
	}
}

/* ---- rounds ---- */

static void show_progress(const char *text, unsigned int nr, unsigned int of)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, nr == of ? "\r\033[K" : "\r%s %u of %u", text, nr + 1, of);
}

static void run_rounds(struct result *results, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		if (results[i].peer)
			verify(results[i].peer);
		show_progress("verifying", (unsigned int)i, (unsigned int)nr);
	}
	for (unsigned int round = 0; round < options.rounds; round++) {
		show_progress("round", round, options.rounds);
		for (size_t op = 0; op < sizeof(benches) / sizeof(benches[0]); op++)
			for (size_t i = 0; i < nr; i++)
				if (results[i].peer)
					benches[op](results[i].peer, results[i].series);
		for (size_t i = 0; i < nr; i++)
			if (!results[i].peer)
				bench_fill(results[i].series);
	}
	show_progress("", options.rounds, options.rounds);
}

static void prepare(void)
{
	const size_t size = GIB * sizeof(*fill_memory);

	pages_init();
	clock_calibrate();
	fill_memory = huge_pages(size);
	for (int i = 0; i < LOOKUPS; i++)
		places[i] = IOVA + random_next() % G1;
}

static const struct argp_option argp_options[] = {
	{"filter", 'f', "TEXT", 0, "only implementations with TEXT in their name or build", 0},
	{"rounds", 'r', "N", 0, "rounds over everything (100)", 0},
	{"json", 'j', "FILE", 0, "write everything to FILE too", 0},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'f':
		options.filter = arg;
		break;
	case 'r':
		options.rounds = (unsigned int)strtoul(arg, NULL, 10);
		if (!options.rounds)
			argp_error(state, "%s: rounds are at least 1", arg);
		break;
	case 'j':
		options.json = arg;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* All charges must be gone when all domains are freed. */
static void expect_uncharged(struct mem_cgroup *cg)
{
	char current[32];

	mem_cgroup_read(cg, "memory.current", current, sizeof(current));
	if (strtoull(current, NULL, 10))
		fail("memory.current is %s after the last domain was freed", current);
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		argp_options,
		parse,
		NULL,
		"Nanoseconds per call of the kernel's table code and ours, in one run.",
		NULL,
		NULL,
		NULL};
	struct result results[MAX_RESULTS];
	struct mem_cgroup *parent, *cg;
	size_t nr;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	nr = results_init(results, options.filter);
	if (!nr)
		fail("no implementation has %s in its name", options.filter);
	pin_to(1);
	prepare();
	parent = mem_cgroup_create(NULL);
	cg = mem_cgroup_create(parent);
	mem_cgroup_write(parent, "memory.max", "16G");
	mem_cgroup_write(cg, "memory.max", "8G");
	mem_cgroup_set_active(cg);
	run_rounds(results, nr);
	expect_uncharged(cg);
	results_print(results, nr);
	if (options.json)
		results_json(results, nr, options.json);
	return 0;
}
