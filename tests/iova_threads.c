// SPDX-License-Identifier: MIT
/*
 * The IOVA allocator from several threads: no granule is ever given out twice, and
 * when all is given back nothing is left, whoever freed it and whenever.
 */
#include <pthread.h>
#include <stdatomic.h>

#include <uiommu/iova.h>

#include "tests/common.h"

#define THREADS 4
#define HELD    64
#define SPACE   (1u << 16)
#define ROUNDS  SCALED(60000)

static struct iova_domain *iovad;
static atomic_uchar taken[SPACE];
static atomic_uint wrong;
/* A range that waits for another thread to free it: pfn << 8 | size. */
static _Atomic uint64_t passed_on;

static void take(uint64_t pfn, uint64_t size)
{
	for (uint64_t i = pfn; i < pfn + size; i++)
		if (i >= SPACE || atomic_exchange_explicit(&taken[i], 1, memory_order_relaxed))
			atomic_fetch_add(&wrong, 1);
}

static void give(uint64_t pfn, uint64_t size)
{
	for (uint64_t i = pfn; i < pfn + size; i++)
		atomic_store_explicit(&taken[i], 0, memory_order_relaxed);
}

static void free_range(uint64_t range, bool fast)
{
	uint64_t pfn = range >> 8, size = range & 0xff;

	if (!range)
		return;
	give(pfn, size);
	if (fast)
		free_iova_fast(iovad, pfn, size);
	else
		free_iova(iovad, pfn, size);
}

/* Powers of two, so that either free takes what either allocation gave. */
static uint64_t alloc_range(uint64_t *seed)
{
	uint64_t size = 1ULL << random_below(seed, 7), pfn;
	gfp_t gfp = random_next(seed) & 1 ? GFP_KERNEL : GFP_ATOMIC;
	uint64_t limit = random_next(seed) & 1 ? SPACE - 1 : SPACE / 2;

	if (gfp == GFP_ATOMIC)
		iommu_atomic_enter();
	if (random_next(seed) & 3)
		pfn = alloc_iova_fast(iovad, size, limit, !random_below(seed, 500), gfp);
	else
		pfn = alloc_iova(iovad, size, limit, random_next(seed) & 1, gfp);
	if (gfp == GFP_ATOMIC)
		iommu_atomic_exit();
	if (!pfn)
		return 0;
	if (pfn + size - 1 > limit)
		atomic_fetch_add(&wrong, 1);
	take(pfn, size);
	return pfn << 8 | size;
}

static void *work(void *arg)
{
	uint64_t seed = (uintptr_t)arg * 77 + 1, held[HELD] = {0};

	for (unsigned int round = 0; round < ROUNDS; round++) {
		uint64_t *slot = &held[random_below(&seed, HELD)];
		/* Only what is aligned may go to the caches. */
		bool fast = random_next(&seed) & 1 && !((*slot >> 8) & ((*slot & 0xff) - 1));

		if (random_below(&seed, 8) == 0)
			*slot = atomic_exchange(&passed_on, *slot);
		else if (*slot)
			free_range(*slot, fast), *slot = 0;
		else
			*slot = alloc_range(&seed);
	}
	for (unsigned int i = 0; i < HELD; i++)
		free_range(held[i], false);
	return NULL;
}

static void test_threads(void **state)
{
	struct mem_cgroup *memcg = enter_cgroup(NULL);
	struct iova_domain_info info;
	pthread_t threads[THREADS];

	iovad = iova_domain_alloc(4096, 1, SPACE - 1, GFP_KERNEL_ACCOUNT);
	assert_false(IS_ERR(iovad));
	/* The second time, threads find what those before them have left. */
	for (unsigned int again = 0; again < 2; again++) {
		for (uintptr_t i = 0; i < THREADS; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)i), 0);
		for (unsigned int i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		free_range(atomic_exchange(&passed_on, 0), false);
		assert_int_equal(atomic_load(&wrong), 0);
		iova_domain_get_info(iovad, &info);
		assert_int_equal(info.used, info.cached);
		assert_int_equal(info.bytes, mem_cgroup_usage(memcg));
	}
	/* All of it at once, which takes back what is cached. */
	assert_int_equal(reserve_iova(iovad, 1, SPACE - 1, GFP_KERNEL), 0);
	iova_domain_free(iovad);
	leave_cgroup(memcg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
