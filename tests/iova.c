// SPDX-License-Identifier: MIT
/*
 * The IOVA allocator: arguments, wrong frees, a lock that is busy, what the caches
 * keep and give back, and every allocation that can fail.
 */
#include <uiommu/mm.h>

#include "tests/capture.h"
#include "tests/iova_rig.h"

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
		cmocka_unit_test(test_arguments), cmocka_unit_test(test_short_holes),
		cmocka_unit_test(test_bad_frees), cmocka_unit_test(test_busy_lock),
		cmocka_unit_test(test_caches),    cmocka_unit_test(test_flush),
		cmocka_unit_test(test_shrinker),  cmocka_unit_test(test_every_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
