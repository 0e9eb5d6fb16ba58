// SPDX-License-Identifier: MIT
/*
 * The IOVA allocator against two brute-force models: a byte per granule of a small
 * space, and a list of intervals of a wide one. Where the caches are not asked,
 * each range must be the very one that the model finds.
 */
#include "tests/iova_rig.h"

/* ---- a byte per granule ---- */

#define SMALL 4096

enum {
	FREE,
	LIVE,
	RESERVED
};

static unsigned char map[SMALL];

static bool map_is(uint64_t pfn, uint64_t size, int what)
{
	for (uint64_t i = pfn; i < pfn + size; i++)
		if (i >= SMALL || map[i] != what)
			return false;
	return true;
}

static uint64_t map_place(uint64_t size, uint64_t limit, bool aligned)
{
	uint64_t align = aligned ? 1ULL << order_of(size) : 1;

	limit = limit < SMALL - 1 ? limit : SMALL - 1;
	if (size > limit)
		return 0;
	for (uint64_t pfn = (limit + 1 - size) & -align; pfn; pfn -= align)
		if (map_is(pfn, size, FREE))
			return pfn;
	return 0;
}

/* Runs of free granules that begin above @pfn. */
static unsigned int map_holes(uint64_t pfn)
{
	unsigned int holes = 0;

	for (uint64_t i = pfn + 1; i < SMALL; i++)
		holes += map[i] == FREE && map[i - 1] != FREE;
	return holes;
}

static uint64_t small_size(uint64_t *seed)
{
	static const uint64_t most[] = {1, 2, 4, 8, 8, 32, 64, 100, 600, 1500};

	return 1 + random_below(seed, most[random_below(seed, sizeof(most) / sizeof(most[0]))]);
}

static void small_alloc(struct rig *rig, uint64_t *seed)
{
	uint64_t size = small_size(seed);
	uint64_t limit = random_next(seed) & 1 ? rig->end : random_below(seed, rig->end + 100);
	bool aligned = random_next(seed) & 1;
	uint64_t exact = map_place(size, limit, aligned), pfn;

	pfn = alloc_iova(rig->iovad, size, limit, aligned, GFP_KERNEL);
	if (pfn != exact) {
		/* Only after many holes that were too short, and never higher. */
		assert_true(size > 1 && (!aligned || size & (size - 1)));
		assert_true(pfn < exact && map_holes(exact) >= IOVA_TRIES / 2);
		assert_true(!pfn || map_is(pfn, size, FREE));
		assert_true(!aligned || !(pfn & ((1ULL << order_of(size)) - 1)));
	}
	if (!pfn)
		return;
	memset(map + pfn, LIVE, size);
	rig->live[rig->nr++] = (struct range){pfn, size};
}

static void small_free(struct rig *rig, uint64_t *seed)
{
	unsigned int i = (unsigned int)random_below(seed, rig->nr);
	struct range range = rig->live[i];

	rig->live[i] = rig->live[--rig->nr];
	free_iova(rig->iovad, range.pfn, range.size);
	memset(map + range.pfn, FREE, range.size);
}

static void small_reserve(struct rig *rig, uint64_t *seed)
{
	uint64_t lo = random_below(seed, SMALL), size = small_size(seed), hi = lo + size - 1;
	bool busy = false;

	for (uint64_t i = lo; i <= hi && i < SMALL; i++)
		busy |= map[i] == LIVE;
	assert_int_equal(reserve_iova(rig->iovad, lo, hi, GFP_KERNEL), busy ? -EBUSY : 0);
	for (uint64_t i = lo; !busy && i <= hi && i < SMALL; i++)
		map[i] = RESERVED;
}

static void small_round(uint64_t *seed, unsigned int ops)
{
	uint64_t start = 1 + random_below(seed, 600),
		 end = start + random_below(seed, SMALL - start);
	static struct rig rig;

	if (random_below(seed, 4) == 0)
		start = 1, end = SMALL - 1;
	rig_begin(&rig, 4096, start, end);
	memset(map, RESERVED, sizeof(map));
	memset(map + start, FREE, end - start + 1);
	for (unsigned int i = 0; i < ops; i++) {
		/* Phases in which it fills and empties. */
		unsigned int allocs = i / 512 % 2 ? 4 : 6;

		if (rig.nr < MOST_LIVE && (!rig.nr || random_below(seed, 10) < allocs))
			small_alloc(&rig, seed);
		else
			small_free(&rig, seed);
		if (random_below(seed, 1000) == 0)
			small_reserve(&rig, seed);
		if (i % 1024 == 0)
			rig_check(&rig);
	}
	while (rig.nr)
		small_free(&rig, seed);
	rig_check(&rig);
	rig_end(&rig);
}

static void test_small_spaces(void **state)
{
	uint64_t seed = 5;

	for (unsigned int i = 0; i < SCALED(150); i++)
		small_round(&seed, 8000);
}

/* ---- intervals ---- */

static const struct {
	uint64_t granule;
	unsigned int bits;
} widths[] = {
	{4096, 52}, {4096, 20}, {16384, 50}, {65536, 48},
	{1024, 54}, {4096, 9},  {4096, 10},  {4096, 36},
};

static void wide_round(uint64_t *seed, uint64_t granule, unsigned int bits, unsigned int ops)
{
	static struct rig rig;

	rig_begin(&rig, granule, 1, (1ULL << bits) - 1);
	for (unsigned int i = 0; i < ops; i++) {
		unsigned int allocs = i / 1024 % 2 ? 4 : 7;

		if (rig.nr < MOST_LIVE && (!rig.nr || random_below(seed, 10) < allocs))
			wide_alloc(&rig, seed, bits);
		else
			wide_free(&rig, seed);
		if (i % 1024 == 0)
			rig_check(&rig);
	}
	for (unsigned int i = 1; i < rig.nr; i++)
		assert_true(rig.live[i - 1].pfn < rig.live[i].pfn);
	while (rig.nr)
		wide_free(&rig, seed);
	rig_check(&rig);
	assert_int_equal(info_of(rig.iovad).bytes, rig.empty_bytes);
	rig_end(&rig);
}

static void test_wide_spaces(void **state)
{
	uint64_t seed = 7;

	for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++)
		wide_round(&seed, widths[i].granule, widths[i].bits, SCALED(60000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_spaces),
		cmocka_unit_test(test_wide_spaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
