// SPDX-License-Identifier: MIT
/*
 * The IOVA allocator against two brute-force models: a byte per granule of a small
 * space, and a list of intervals of a wide one. Where the caches are not asked,
 * each range must be the very one that the model finds.
 */
#include <uiommu/iova.h>
#include <uiommu/mm.h>

#include "dma/iova.h"
#include "tests/capture.h"
#include "tests/common.h"

#define MOST_LIVE 2000

struct range {
	uint64_t pfn, size;
};

/* A set, what is live in it, and the cgroup that pays. */
struct rig {
	struct mem_cgroup *memcg;
	struct iova_domain *iovad;
	uint64_t end, empty_bytes;
	struct range live[MOST_LIVE];
	unsigned int nr;
};

static struct iova_domain_info info_of(struct iova_domain *iovad)
{
	struct iova_domain_info info;

	iova_domain_get_info(iovad, &info);
	return info;
}

static void rig_begin(struct rig *rig, uint64_t granule, uint64_t start, uint64_t end)
{
	*rig = (struct rig){.memcg = enter_cgroup(NULL), .end = end};
	rig->iovad = iova_domain_alloc(granule, start, end, GFP_KERNEL_ACCOUNT);
	assert_false(IS_ERR(rig->iovad));
	assert_int_equal(iova_granule(rig->iovad), granule);
	rig->empty_bytes = info_of(rig->iovad).bytes;
}

/* What is said of the memory is what the cgroup is charged. */
static void rig_check(struct rig *rig)
{
	struct iova_domain_info info = info_of(rig->iovad);
	uint64_t used = 0;

	for (unsigned int i = 0; i < rig->nr; i++)
		used += rig->live[i].size;
	assert_int_equal(info.used, used);
	assert_int_equal(info.cached, 0);
	assert_int_equal(info.bytes, mem_cgroup_usage(rig->memcg));
}

static void rig_end(struct rig *rig)
{
	iova_domain_free(rig->iovad);
	leave_cgroup(rig->memcg);
}

static unsigned int order_of(uint64_t size)
{
	unsigned int order = 0;

	while (1ULL << order < size)
		order++;
	return order;
}

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

static int by_pfn(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return (x->pfn > y->pfn) - (x->pfn < y->pfn);
}

/* Highest place in the gap from @lo to @hi, both included. */
static uint64_t gap_place(uint64_t lo, uint64_t hi, uint64_t size, uint64_t align)
{
	uint64_t pfn;

	if (hi < lo || hi - lo < size - 1)
		return 0;
	pfn = (hi - (size - 1)) & -align;
	return pfn >= lo ? pfn : 0;
}

/* @live is sorted. *@holes: the gaps above the place that were too short. */
static uint64_t list_place(const struct rig *rig, uint64_t size, uint64_t limit, bool aligned,
			   unsigned int *holes)
{
	uint64_t align = aligned ? 1ULL << order_of(size) : 1, hi = rig->end;

	*holes = 0;
	for (unsigned int i = rig->nr + 1; i--;) {
		uint64_t lo = i ? rig->live[i - 1].pfn + rig->live[i - 1].size : 1;
		uint64_t pfn = gap_place(lo, hi < limit ? hi : limit, size, align);

		if (pfn)
			return pfn;
		*holes += lo <= hi;
		if (i)
			hi = rig->live[i - 1].pfn - 1;
	}
	return 0;
}

static uint64_t wide_size(uint64_t *seed, unsigned int bits)
{
	uint64_t size = 1ULL << random_below(seed, random_next(seed) & 1 ? 8 : bits);

	return random_next(seed) & 1 ? size : size + random_below(seed, size);
}

static void list_add(struct rig *rig, struct range range)
{
	unsigned int i = rig->nr++;

	for (; i && rig->live[i - 1].pfn > range.pfn; i--)
		rig->live[i] = rig->live[i - 1];
	rig->live[i] = range;
}

static void wide_free(struct rig *rig, uint64_t *seed)
{
	unsigned int i = (unsigned int)random_below(seed, rig->nr);
	struct range range = rig->live[i];

	memmove(rig->live + i, rig->live + i + 1, (--rig->nr - i) * sizeof(range));
	free_iova(rig->iovad, range.pfn, range.size);
}

static void wide_alloc(struct rig *rig, uint64_t *seed, unsigned int bits)
{
	uint64_t size = wide_size(seed, bits), limit = rig->end, exact, pfn;
	bool aligned = random_next(seed) & 1;
	unsigned int holes;

	if (random_next(seed) & 1)
		limit = random_next(seed) >> (64 - 1 - random_below(seed, bits));
	exact = list_place(rig, size, limit, aligned, &holes);
	pfn = alloc_iova(rig->iovad, size, limit, aligned, GFP_KERNEL);
	if (pfn != exact) {
		assert_true(size > 1 && (!aligned || size & (size - 1)));
		assert_true(pfn < exact && holes >= IOVA_TRIES / 2);
	}
	if (pfn)
		list_add(rig, (struct range){pfn, size});
}

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
		assert_true(by_pfn(&rig.live[i - 1], &rig.live[i]) < 0);
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

/* ---- single things ---- */

static void test_arguments(void **state)
{
	struct iova_domain *iovad;

	assert_int_equal(PTR_ERR(iova_domain_alloc(512, 1, 9, GFP_KERNEL)), -EINVAL);
	assert_int_equal(PTR_ERR(iova_domain_alloc(5000, 1, 9, GFP_KERNEL)), -EINVAL);
	assert_int_equal(PTR_ERR(iova_domain_alloc(4096, 0, 9, GFP_KERNEL)), -EINVAL);
	assert_int_equal(PTR_ERR(iova_domain_alloc(4096, 9, 8, GFP_KERNEL)), -EINVAL);
	assert_int_equal(PTR_ERR(iova_domain_alloc(4096, 1, 1ULL << 52, GFP_KERNEL)), -EINVAL);
	iovad = iova_domain_alloc(4096, 3, 5, GFP_KERNEL);
	assert_int_equal(alloc_iova(iovad, 0, ~0ULL, true, GFP_KERNEL), 0);
	assert_int_equal(alloc_iova(iovad, 4, ~0ULL, false, GFP_KERNEL), 0);
	assert_int_equal(alloc_iova(iovad, 1, 2, false, GFP_KERNEL), 0);
	assert_int_equal(alloc_iova(iovad, ~0ULL, ~0ULL, true, GFP_KERNEL), 0);
	assert_int_equal(alloc_iova(iovad, 3, ~0ULL, false, GFP_KERNEL), 3);
	assert_int_equal(alloc_iova(iovad, 1, ~0ULL, false, GFP_KERNEL), 0);
	assert_int_equal(reserve_iova(iovad, 5, 4, GFP_KERNEL), -EINVAL);
	assert_int_equal(reserve_iova(iovad, 0, 2, GFP_KERNEL), 0);
	assert_int_equal(reserve_iova(iovad, 0, 3, GFP_KERNEL), -EBUSY);
	free_iova(iovad, 3, 3);
	assert_int_equal(reserve_iova(iovad, 0, ~0ULL, GFP_KERNEL), 0);
	assert_int_equal(alloc_iova_fast(iovad, 1, ~0ULL, true, GFP_KERNEL), 0);
	iova_domain_free(iovad);
	iova_domain_free(NULL);
}

/* After so many holes for half of it, only whole blocks are looked for. */
static void test_short_holes(void **state)
{
	struct iova_domain *iovad = iova_domain_alloc(4096, 1, (1 << 20) - 1, GFP_KERNEL);
	const uint64_t top = 1 << 20;

	/* From the top: holes of 5 in every 8, one of 6, and nothing but used ones. */
	assert_int_equal(reserve_iova(iovad, 1, top - 8 * 101, GFP_KERNEL), 0);
	for (uint64_t i = 1; i <= 101; i++) {
		uint64_t hole = i == 80 ? 6 : 5;

		assert_int_equal(
			reserve_iova(iovad, top - 8 * i + hole, top - 8 * i + 7, GFP_KERNEL), 0);
	}
	assert_int_equal(alloc_iova(iovad, 6, ~0ULL, true, GFP_KERNEL), 0);
	assert_int_equal(alloc_iova(iovad, 6, ~0ULL, false, GFP_KERNEL), 0);
	/* With fewer above it, it is found. */
	assert_int_equal(alloc_iova(iovad, 6, top - 8 * 20, true, GFP_KERNEL), top - 8 * 80);
	free_iova(iovad, top - 8 * 80, 6);
	assert_int_equal(alloc_iova(iovad, 6, top - 8 * 20, false, GFP_KERNEL), top - 8 * 80);
	iova_domain_free(iovad);
}

static void test_bad_frees(void **state)
{
	struct iova_domain *iovad = iova_domain_alloc(4096, 1, (1ULL << 36) - 1, GFP_KERNEL);
	uint64_t pfn = alloc_iova(iovad, 4, ~0ULL, true, GFP_KERNEL);
	uint64_t large = alloc_iova(iovad, 1ULL << 20, ~0ULL, true, GFP_KERNEL);
	struct capture capture;
	const char *text;

	assert_int_equal(reserve_iova(iovad, 50, 60, GFP_KERNEL), 0);
	capture_begin(&capture);
	free_iova(iovad, pfn - 1, 1); /* free */
	free_iova(iovad, pfn - 1, 2); /* half */
	free_iova(iovad, 52, 1);      /* reserved */
	free_iova(iovad, 0, 1);
	free_iova(iovad, pfn, 0);
	free_iova(iovad, 1ULL << 36, 1);
	free_iova(iovad, pfn, ~0ULL);
	free_iova(iovad, large + 4, 1); /* a part of what has no node */
	free_iova_fast(iovad, 7, 1);
	/* The same while the lock is busy. */
	spin_lock(&iovad->lock);
	free_iova(iovad, pfn - 1, 1);
	free_iova(iovad, 52, 1);
	free_iova(iovad, large + 4, 1);
	spin_unlock(&iovad->lock);
	assert_int_equal(info_of(iovad).used, 4 + (1ULL << 20));
	text = capture_end(&capture);
	assert_int_equal(capture_lines(text), 1);
	assert_non_null(strstr(text, "freed what is not in use, from IOVA page frame: 0xf"));
	free_iova(iovad, pfn, 4);
	free_iova(iovad, large, 1ULL << 20);
	assert_int_equal(info_of(iovad).used, 0);
	iova_domain_free(iovad);
}

/* While somebody holds the lock, frees wait in the tree and allocations fail. */
static void test_busy_lock(void **state)
{
	static struct rig rig;
	uint64_t seed = 3;
	unsigned int holes;

	rig_begin(&rig, 4096, 1, (1ULL << 36) - 1);
	while (rig.nr < 1500)
		wide_alloc(&rig, &seed, 30);
	for (unsigned int round = 0; round < 20; round++) {
		spin_lock(&rig.iovad->lock);
		iommu_atomic_enter();
		for (unsigned int i = 0; i < 50; i++)
			wide_free(&rig, &seed);
		assert_int_equal(alloc_iova(rig.iovad, 1, ~0ULL, true, GFP_ATOMIC), 0);
		assert_int_equal(alloc_iova_fast(rig.iovad, 64, ~0ULL, true, GFP_NOWAIT), 0);
		assert_int_equal(reserve_iova(rig.iovad, 2, 2, GFP_ATOMIC), -ENOMEM);
		iommu_atomic_exit();
		spin_unlock(&rig.iovad->lock);
		assert_int_equal(alloc_iova(rig.iovad, 1, ~0ULL, true, GFP_ATOMIC),
				 list_place(&rig, 1, ~0ULL, true, &holes));
		list_add(&rig, (struct range){list_place(&rig, 1, ~0ULL, true, &holes), 1});
	}
	while (rig.nr)
		wide_free(&rig, &seed);
	/* The magazines that alloc_iova_fast() wanted stay, not the nodes. */
	assert_int_equal(info_of(rig.iovad).used, 0);
	assert_int_equal(info_of(rig.iovad).bytes, rig.empty_bytes);
	rig_end(&rig);
}

/* ---- caches ---- */

static void test_caches(void **state)
{
	static struct rig rig;
	uint64_t pfn[600];

	rig_begin(&rig, 4096, 1, (1 << 20) - 1);
	for (unsigned int i = 0; i < 600; i++)
		pfn[i] = alloc_iova_fast(rig.iovad, 3, (1 << 20) - 1, false, GFP_KERNEL);
	for (unsigned int i = 0; i < 600; i++) {
		assert_int_equal(pfn[i] % 4, 0);
		free_iova_fast(rig.iovad, pfn[i], 3);
	}
	/* Two magazines and what the depot had: rounded up, in use to the tree. */
	assert_true(info_of(rig.iovad).cached >= 4 * 3 * 126);
	assert_int_equal(info_of(rig.iovad).cached, info_of(rig.iovad).used);
	assert_int_equal(info_of(rig.iovad).bytes, mem_cgroup_usage(rig.memcg));
	/* The newest comes first; none that is beyond the limit, though all are cached. */
	assert_true(alloc_iova_fast(rig.iovad, 4, 1000, false, GFP_KERNEL) + 3 <= 1000);
	assert_int_equal(reserve_iova(rig.iovad, 2000, (1 << 20) - 1, GFP_KERNEL), 0);
	assert_int_equal(info_of(rig.iovad).cached, 0);
	assert_int_equal(info_of(rig.iovad).used, 4);
	rig_end(&rig);
}

/* What is cached is given back for another size, only if that is asked for. */
static void test_flush(void **state)
{
	static struct rig rig;
	uint64_t pfn[64];

	rig_begin(&rig, 4096, 64, 127);
	for (unsigned int i = 0; i < 64; i++)
		pfn[i] = alloc_iova_fast(rig.iovad, 1, ~0ULL, false, GFP_KERNEL);
	for (unsigned int i = 0; i < 64; i++)
		free_iova_fast(rig.iovad, pfn[i], 1);
	assert_int_equal(alloc_iova_fast(rig.iovad, 64, ~0ULL, false, GFP_KERNEL), 0);
	assert_int_equal(alloc_iova_fast(rig.iovad, 64, ~0ULL, true, GFP_KERNEL), 64);
	free_iova_fast(rig.iovad, 64, 64);
	assert_int_equal(info_of(rig.iovad).used, 0);
	rig_end(&rig);
}

/* When memory is short, the caches and the nodes that they keep go first. */
static void test_shrinker(void **state)
{
	static struct rig rig;
	uint64_t pfn[400], before;
	struct iova_domain *other;

	rig_begin(&rig, 4096, 1, (1ULL << 36) - 1);
	for (unsigned int i = 0; i < 400; i++)
		pfn[i] = alloc_iova_fast(rig.iovad, 32, ~0ULL, false, GFP_KERNEL);
	for (unsigned int i = 0; i < 400; i++)
		free_iova_fast(rig.iovad, pfn[i], 32);
	before = mem_cgroup_usage(rig.memcg);
	assert_true(before > rig.empty_bytes + 3 * 1024);
	cgroup_limit(rig.memcg, before + 100);
	other = iova_domain_alloc(4096, 1, 1000, GFP_KERNEL_ACCOUNT);
	assert_false(IS_ERR(other));
	assert_int_equal(info_of(rig.iovad).cached, 0);
	assert_int_equal(info_of(rig.iovad).used, 0);
	iova_domain_free(other);
	rig_end(&rig);
}

/* ---- failures ---- */

static uint64_t fail_range[2];

static int fail_alloc(struct rig *rig)
{
	fail_range[0] = alloc_iova(rig->iovad, 5000, ~0ULL, false, GFP_KERNEL);
	return fail_range[0] ? 0 : -ENOMEM;
}

static int fail_alloc_fast(struct rig *rig)
{
	fail_range[0] = alloc_iova_fast(rig->iovad, 2, ~0ULL, true, GFP_ATOMIC);
	return fail_range[0] ? 0 : -ENOMEM;
}

static int fail_reserve(struct rig *rig)
{
	return reserve_iova(rig->iovad, 70000, 1 << 22, GFP_KERNEL);
}

static int fail_domain(struct rig *rig)
{
	struct iova_domain *iovad = iova_domain_alloc(4096, 7, 1000000, GFP_KERNEL_ACCOUNT);

	if (IS_ERR(iovad))
		return (int)PTR_ERR(iovad);
	iova_domain_free(iovad);
	return 0;
}

static void fail_nothing(struct rig *rig)
{
}

static void free_long(struct rig *rig)
{
	free_iova(rig->iovad, fail_range[0], 5000);
}

static void free_short(struct rig *rig)
{
	free_iova_fast(rig->iovad, fail_range[0], 2);
}

static const struct {
	int (*act)(struct rig *rig);
	void (*undo)(struct rig *rig);
} scenarios[] = {
	{fail_alloc, free_long},
	{fail_alloc_fast, free_short},
	{fail_reserve, fail_nothing},
	{fail_domain, fail_nothing},
};

/* Fails or not, nothing is lost; returns whether an allocation failed. */
static bool run_failing(size_t which, unsigned int nth, bool sticky)
{
	static struct rig rig;
	uint64_t used;
	bool hit;
	int ret;

	rig_begin(&rig, 4096, 1, (1ULL << 36) - 1);
	used = mem_cgroup_usage(rig.memcg);
	uiommu_fail_nth(nth, sticky);
	ret = scenarios[which].act(&rig);
	hit = uiommu_fail_nth(0, false);
	assert_true(hit || !ret);
	if (ret) {
		assert_int_equal(ret, -ENOMEM);
		assert_int_equal(info_of(rig.iovad).used, 0);
		assert_true(mem_cgroup_usage(rig.memcg) == used ||
			    scenarios[which].act == fail_alloc_fast);
		assert_int_equal(scenarios[which].act(&rig), 0);
	}
	uiommu_fail_nth(1, true);
	scenarios[which].undo(&rig);
	assert_false(uiommu_fail_nth(0, false));
	rig_end(&rig);
	return hit;
}

static void test_every_failure(void **state)
{
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
		for (unsigned int sticky = 0; sticky < 2; sticky++) {
			unsigned int nth = 1;

			while (run_failing(i, nth, sticky))
				nth++;
			assert_true(nth > 2);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arguments),    cmocka_unit_test(test_short_holes),
		cmocka_unit_test(test_bad_frees),    cmocka_unit_test(test_busy_lock),
		cmocka_unit_test(test_caches),       cmocka_unit_test(test_flush),
		cmocka_unit_test(test_shrinker),     cmocka_unit_test(test_every_failure),
		cmocka_unit_test(test_small_spaces), cmocka_unit_test(test_wide_spaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
