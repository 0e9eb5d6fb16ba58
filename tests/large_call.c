/* SPDX-License-Identifier: MIT */
/*
 * Calls that fill more tables than the caches hold, which are written past them:
 * the walkers must find every page where it was mapped, in tables of all formats.
 */
#include "tests/hw.h"

#define SEED   0x1a46eULL
#define TABLES 2100 /* of the lowest level */
#define PROBES 20000

/* A page, and one that makes runs impossible, off from where large leaves could be. */
static void map_past_the_caches(const struct shape *shape, uint64_t off)
{
	struct mem_cgroup *memcg = enter_cgroup(NULL);
	struct iommu_domain *domain = new_domain(shape);
	uint64_t page = smallest_page(shape->format), random = SEED;
	uint64_t iova = lowest_table_span(shape->format) - page, paddr = iova + off * page;
	uint64_t size = TABLES * lowest_table_span(shape->format);
	struct hw_tables tables;
	struct hw_translation got;

	assert_int_equal(iommu_map(domain, iova, paddr, size, RW, GFP_KERNEL), 0);
	tables = hw_tables_of(domain);
	for (unsigned int i = 0; i < SCALED(PROBES); i++) {
		uint64_t at = random_below(&random, size);

		if (i < 2)
			at = i * (size - 1);
		assert_int_equal(hw_translate(&tables, iova + at, HW_WRITE, &got), HW_FAULT_NONE);
		assert_true(got.paddr == paddr + at);
	}
	assert_int_equal(hw_translate(&tables, iova - 1, HW_READ, &got), HW_FAULT_NOT_PRESENT);
	assert_int_equal(hw_translate(&tables, iova + size, HW_READ, &got), HW_FAULT_NOT_PRESENT);
	assert_true(iommu_unmap(domain, iova, size) == size);
	assert_int_equal(count_tables(domain), 1);
	iommu_domain_free(domain);
	leave_cgroup(memcg);
}

static void large_calls(void **state)
{
	const struct iommu_format *format = NULL;

	while ((format = iommu_format_next(format))) {
		struct shape shape = {format, format->width_default};

		map_past_the_caches(&shape, 1);
		map_past_the_caches(&shape, 16);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(large_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
