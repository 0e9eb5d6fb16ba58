/* SPDX-License-Identifier: MIT */
/*
 * Shrinkers at the end of the arena. What they unmap inside a call is free only after
 * the call has left the tables that it walks; the call itself must get it all the same.
 */
#include <pthread.h>

#include <uiommu/mm.h>

#include "tests/common.h"

#define MOST 8192 /* mappings that the shrinker can give up */

static struct {
	struct iommu_domain *domain;
	uint64_t page, unit, step; /* step: how many a shrinker frees at once */
	unsigned int first, end;   /* mappings that are there */
	unsigned int scans;
} cache;

static unsigned long cache_count(struct shrinker *shrinker)
{
	return cache.end - cache.first;
}

static unsigned long cache_scan(struct shrinker *shrinker, unsigned long nr)
{
	unsigned long freed = 0;

	cache.scans++;
	for (; freed < (nr < cache.step ? nr : cache.step); freed++) {
		uint64_t iova = cache.first++ * cache.unit;

		assert_int_equal(iommu_unmap(cache.domain, iova, cache.page), cache.page);
	}
	return freed;
}

static struct shrinker shrinker = {.count_objects = cache_count, .scan_objects = cache_scan};

/* Map pages, each in a table of its own, until there is no memory. */
static void fill(void)
{
	cache.first = cache.end = 0;
	cache.scans = 0;
	while (!iommu_map(cache.domain, cache.end * cache.unit, cache.page, cache.page, RW,
			  GFP_KERNEL | __GFP_NORETRY)) {
		cache.end++;
		assert_true(cache.end < MOST);
	}
	assert_true(cache.end > 8);
}

static void check_cache(void)
{
	for (unsigned int i = 0; i < cache.end; i++)
		assert_int_equal(iommu_iova_to_phys(cache.domain, i * cache.unit),
				 i < cache.first ? 0 : cache.page);
}

/* Over three tables, with those above them. */
static void map_when_full(struct iommu_domain *domain, uint64_t iova)
{
	uint64_t page = cache.page, from = iova + cache.unit - page, size = cache.unit + 2 * page;

	fill();
	assert_int_equal(iommu_map(domain, from, 3 * page, size, RW, GFP_KERNEL), 0);
	assert_true(cache.scans);
	for (uint64_t at = 0; at < size; at += page)
		assert_int_equal(iommu_iova_to_phys(domain, from + at), 3 * page + at);
	check_cache();
	assert_int_equal(iommu_unmap(domain, from, size), size);
	assert_int_equal(count_tables(domain), 1);
	iommu_unmap(cache.domain, cache.first * cache.unit, cache.page);
}

static void empty(void)
{
	for (; cache.first < cache.end; cache.first++)
		iommu_unmap(cache.domain, cache.first * cache.unit, cache.page);
}

static void split_when_full(struct iommu_domain *domain)
{
	uint64_t size = cache.unit;

	if (!(domain_info(domain).pgsizes & size))
		return;
	assert_int_equal(iommu_map(domain, size, size, size, RW, GFP_KERNEL), 0);
	fill();
	assert_int_equal(iommu_split_mapping(domain, size, cache.page, GFP_KERNEL), 0);
	assert_true(cache.scans);
	check_cache();
	assert_int_equal(iommu_unmap(domain, size, cache.page), cache.page);
	assert_int_equal(iommu_iova_to_phys(domain, size + cache.page), size + cache.page);
	empty();
	iommu_unmap(domain, size + cache.page, size - cache.page);
}

static void each_format(void)
{
	const struct iommu_format *format = NULL;

	while ((format = iommu_format_next(format))) {
		struct shape shape = {format, format->width_default};
		struct iommu_domain *domain =
			alloc_domain(&shape, IOMMU_DOMAIN_UNMANAGED, GFP_KERNEL);
		uint64_t last = domain_info(domain).aperture_last;

		cache.domain = alloc_domain(&shape, IOMMU_DOMAIN_UNMANAGED, GFP_KERNEL);
		cache.page = smallest_page(format);
		cache.unit = lowest_table_span(format);
		/* One by one, where what one mapping frees is enough for a table of any level. */
		cache.step = is_family(format, "s390") ? MOST / 2 : 1;
		for (; cache.step < MOST; cache.step += MOST / 2) {
			map_when_full(domain, 0);
			empty();
			map_when_full(domain, last / 2 + 1);
			empty();
			split_when_full(domain);
		}
		iommu_domain_free(domain);
		iommu_domain_free(cache.domain);
	}
}

static void only_thread(void **state)
{
	each_format();
}

static pthread_barrier_t barrier;

static void *stand_by(void *arg)
{
	iommu_atomic_enter();
	iommu_atomic_exit();
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void beside_another(void **state)
{
	pthread_t thread;

	pthread_barrier_init(&barrier, NULL, 2);
	assert_int_equal(pthread_create(&thread, NULL, stand_by, NULL), 0);
	pthread_barrier_wait(&barrier);
	each_format();
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
}

int main(void)
{
	const struct uiommu_config config = {.arena_bytes = 8 << 20,
					     .phys_base = UIOMMU_PHYS_IS_VIRT};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_thread),
		cmocka_unit_test(beside_another),
	};

	if (uiommu_init(&config))
		return 1;
	register_shrinker(&shrinker);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
