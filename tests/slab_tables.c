/* SPDX-License-Identifier: MIT */
/*
 * Tables that are objects: each has memory and a struct page of its own, is charged
 * by the byte, and goes the way of pages.
 */
#include <uiommu/mm.h>

#include "mm/page.h"
#include "mm/page_alloc.h"
#include "mm/slab.h"
#include "tests/common.h"

static uint64_t slab_bytes(void)
{
	struct uiommu_mm_stat stat;

	uiommu_mm_stat(&stat);
	return stat.slab;
}

static bool all_bytes(const unsigned char *at, size_t size, unsigned char byte)
{
	return at[0] == byte && !memcmp(at, at + 1, size - 1);
}

#define NR_TABLES 20

/* Its contents, its struct page and its charge are its own. */
static void tables_are_apart(unsigned int lg2, struct mem_cgroup *memcg)
{
	size_t bytes = (size_t)1 << lg2;
	struct page *tables[NR_TABLES];

	for (unsigned int i = 0; i < NR_TABLES; i++) {
		unsigned char *address;

		tables[i] = alloc_table_object(lg2, GFP_KERNEL, memcg);
		assert_non_null(tables[i]);
		address = table_object_address(tables[i]);
		assert_int_equal((uintptr_t)address % bytes, 0);
		assert_ptr_equal(table_object_page(address), tables[i]);
		assert_int_equal(atomic_load(&tables[i]->live), 0);
		assert_int_equal(tables[i]->use, PAGE_OBJECT);
		assert_int_equal(tables[i]->order, lg2);
		assert_ptr_equal(tables[i]->memcg, memcg);
		memset(address, (int)i, bytes);
		atomic_store(&tables[i]->live, (int)i);
		tables[i]->level = (uint8_t)i;
		assert_int_equal(mem_cgroup_usage(memcg), (i + 1) * bytes);
	}
	assert_int_equal(cgroup_stat(memcg, "sec_pagetables"), 0);
	for (unsigned int i = 0; i < NR_TABLES; i++) {
		assert_true(all_bytes(table_object_address(tables[i]), bytes, (unsigned char)i));
		assert_int_equal(atomic_load(&tables[i]->live), i);
		assert_int_equal(tables[i]->level, i);
		free_pages(tables[i]);
		assert_int_equal(mem_cgroup_usage(memcg), (NR_TABLES - 1 - i) * bytes);
	}
	assert_int_equal(cgroup_stat(memcg, "slab"), 0);
}

static void test_tables(void **state)
{
	struct mem_cgroup *memcg = mem_cgroup_create(NULL);
	uint64_t before;

	tables_are_apart(11, memcg);
	tables_are_apart(14, memcg);
	before = slab_bytes();
	tables_are_apart(11, memcg);
	tables_are_apart(14, memcg);
	assert_int_equal(slab_bytes(), before);
	mem_cgroup_put(memcg);
}

/* A gather may hold tables of both kinds and pages, of several owners. */
static void test_table_lists(void **state)
{
	struct mem_cgroup *memcgs[] = {NULL, mem_cgroup_create(NULL), mem_cgroup_create(NULL)};
	struct page *first = NULL;

	for (unsigned int i = 0; i < 18; i++) {
		struct mem_cgroup *memcg = memcgs[i % 3];
		struct page *page;

		if (i / 3 % 3)
			page = alloc_table_object(i / 3 % 3 == 1 ? 11 : 14, GFP_KERNEL, memcg);
		else
			page = alloc_pages(GFP_KERNEL, 0, memcg, PAGE_TABLE);
		assert_non_null(page);
		page->next = first;
		first = page;
	}
	for (unsigned int i = 1; i < 3; i++)
		assert_int_equal(mem_cgroup_usage(memcgs[i]), 2 * (2048 + 16384 + 4096));
	page_uncharge_list(first);
	page_release_list(first);
	for (unsigned int i = 1; i < 3; i++) {
		assert_int_equal(mem_cgroup_usage(memcgs[i]), 0);
		assert_int_equal(cgroup_stat(memcgs[i], "slab"), 0);
		assert_int_equal(cgroup_stat(memcgs[i], "sec_pagetables"), 0);
		mem_cgroup_put(memcgs[i]);
	}
}

/* The limit counts by the byte: 8 of 2 KiB are 16 KiB. */
static void test_table_budget(void **state)
{
	struct mem_cgroup *memcg = mem_cgroup_create(NULL);
	struct page *tables[8], *big;

	assert_int_equal(mem_cgroup_write(memcg, "memory.max", "16K"), 0);
	mem_cgroup_set_active(memcg);
	for (unsigned int i = 0; i < 8; i++) {
		/* The active cgroup is charged where the gfp says so. */
		tables[i] = alloc_table_object(11, i % 2 ? GFP_KERNEL_ACCOUNT : GFP_KERNEL,
					       i % 2 ? NULL : memcg);
		assert_non_null(tables[i]);
	}
	assert_null(alloc_table_object(11, GFP_KERNEL, memcg));
	assert_null(alloc_table_object(11, GFP_ATOMIC | __GFP_ACCOUNT, NULL));
	assert_null(alloc_table_object(14, GFP_KERNEL_ACCOUNT, NULL));
	assert_int_equal(mem_cgroup_usage(memcg), 16384);
	for (unsigned int i = 0; i < 8; i++)
		free_pages(tables[i]);
	big = alloc_table_object(14, GFP_KERNEL_ACCOUNT, NULL);
	assert_non_null(big);
	assert_int_equal(mem_cgroup_usage(memcg), 16384);
	free_pages(big);
	mem_cgroup_set_active(NULL);
	big = alloc_table_object(14, GFP_KERNEL, NULL);
	assert_null(big->memcg);
	free_pages(big);
	assert_int_equal(mem_cgroup_usage(memcg), 0);
	mem_cgroup_put(memcg);
}

static bool table_scenario(struct mem_cgroup *memcg)
{
	static const unsigned int lg2s[] = {11, 11, 11, 14, 14};
	struct page *tables[5];
	unsigned int n = 0;

	while (n < 5 && (tables[n] = alloc_table_object(lg2s[n], GFP_KERNEL, memcg)))
		n++;
	for (unsigned int i = 0; i < n; i++)
		free_pages(tables[i]);
	return n == 5;
}

static void test_table_failures(void **state)
{
	struct mem_cgroup *memcg = mem_cgroup_create(NULL);

	for (unsigned int sticky = 0; sticky < 2; sticky++) {
		for (unsigned int n = 1;; n++) {
			uint64_t before;
			bool ok, hit;

			assert_true(table_scenario(memcg));
			before = slab_bytes();
			uiommu_fail_nth(n, sticky);
			ok = table_scenario(memcg);
			hit = uiommu_fail_nth(0, false);
			assert_int_equal(ok, !hit);
			assert_int_equal(mem_cgroup_usage(memcg), 0);
			assert_true(table_scenario(memcg));
			assert_int_equal(slab_bytes(), before);
			if (hit)
				continue;
			/* 5 tables, and the slabs they needed. */
			assert_true(n > 5);
			break;
		}
	}
	assert_int_equal(cgroup_stat(memcg, "slab"), 0);
	mem_cgroup_put(memcg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_table_lists),
		cmocka_unit_test(test_table_budget),
		cmocka_unit_test(test_table_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
