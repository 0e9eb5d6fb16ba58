// SPDX-License-Identifier: MIT
/*
 * Fault injection: which allocation of a row fails.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <uiommu/mm.h>

#include "mm/page.h"
#include "mm/slab.h"

#define ROW 12

/*
 * Allocate ROW objects, of a cache that needs no new slab for them: one
 * allocation each. Returns a bit for each that failed.
 */
static unsigned int allocate_row(struct kmem_cache *cache)
{
	void *objects[ROW];
	unsigned int failed = 0;

	for (unsigned int i = 0; i < ROW; i++) {
		objects[i] = kmem_cache_alloc(cache, i % 2 ? GFP_KERNEL : GFP_ATOMIC, NULL);
		failed |= (unsigned int)!objects[i] << i;
	}
	for (unsigned int i = 0; i < ROW; i++)
		kmem_cache_free(cache, objects[i]);
	return failed;
}

static void test_nth(void **state)
{
	struct kmem_cache *cache = kmem_cache_create("row", 64, 0, GFP_KERNEL);
	const unsigned int all = (1u << ROW) - 1;

	assert_int_equal(allocate_row(cache), 0);
	for (unsigned int n = 1; n <= ROW + 3; n++) {
		unsigned int once = n <= ROW ? 1u << (n - 1) : 0;

		assert_false(uiommu_fail_nth(n, false));
		assert_int_equal(allocate_row(cache), once);
		assert_int_equal(uiommu_fail_nth(0, false), once != 0);

		assert_false(uiommu_fail_nth(n, true));
		assert_int_equal(allocate_row(cache), once ? all & ~(once - 1) : 0);
		assert_int_equal(uiommu_fail_nth(0, false), once != 0);
		assert_int_equal(allocate_row(cache), 0);
	}
	kmem_cache_destroy(cache);
}

/* Setting it anew begins to count anew, and asks about the time before only. */
static void test_set_again(void **state)
{
	struct kmem_cache *cache = kmem_cache_create("row", 64, 0, GFP_KERNEL);

	assert_int_equal(allocate_row(cache), 0);
	uiommu_fail_nth(ROW + 5, false);
	assert_int_equal(allocate_row(cache), 0);
	assert_int_equal(allocate_row(cache), 1u << 4);
	/* Done once: off by itself. */
	assert_int_equal(allocate_row(cache), 0);
	assert_true(uiommu_fail_nth(ROW + 5, false));
	assert_int_equal(allocate_row(cache), 0);
	assert_false(uiommu_fail_nth(3, false));
	assert_int_equal(allocate_row(cache), 1u << 2);
	assert_true(uiommu_fail_nth(0, true));
	assert_int_equal(allocate_row(cache), 0);
	assert_false(uiommu_fail_nth(0, false));
	kmem_cache_destroy(cache);
}

static void test_pages_and_kmalloc(void **state)
{
	struct page *page;
	void *object;

	kfree(kmalloc(100, GFP_KERNEL, NULL));
	uiommu_fail_nth(2, false);
	page = alloc_pages(GFP_KERNEL, 0, NULL, PAGE_OTHER);
	assert_non_null(page);
	assert_null(alloc_pages(GFP_KERNEL, 2, NULL, PAGE_OTHER));
	assert_true(uiommu_fail_nth(2, false));
	object = kmalloc(100, GFP_KERNEL, NULL);
	assert_non_null(object);
	assert_null(kzalloc(100, GFP_KERNEL, NULL));
	assert_true(uiommu_fail_nth(0, false));
	kfree(object);
	free_pages(page);
}

/* A new thread, perhaps with the state of one that has ended, is not affected. */
static void *other_thread(void *cache)
{
	unsigned int failed = allocate_row(cache);

	uiommu_fail_nth(1, true);
	return failed ? cache : NULL;
}

static void test_other_threads(void **state)
{
	struct kmem_cache *cache = kmem_cache_create("row", 64, 0, GFP_KERNEL);
	pthread_t thread;
	void *failed;

	uiommu_fail_nth(1, true);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(pthread_create(&thread, NULL, other_thread, cache), 0);
		pthread_join(thread, &failed);
		assert_null(failed);
	}
	assert_false(uiommu_fail_nth(0, false));
	kmem_cache_destroy(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nth),
		cmocka_unit_test(test_set_again),
		cmocka_unit_test(test_pages_and_kmalloc),
		cmocka_unit_test(test_other_threads),
	};

	return cmocka_run_group_tests_name("fail", tests, NULL, NULL);
}
