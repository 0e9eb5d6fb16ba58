/* SPDX-License-Identifier: MIT */
/*
 * Setting the library up: what is refused leaves it as it was, and a block
 * larger than there is does not empty the arena.
 */
#include <uiommu/mm.h>

#include "tests/common.h"

#include "mm/page.h"

/* The reserve does not fit in the arena; then the arena comes up after all. */
static void refused_then_set_up(void **state)
{
	struct uiommu_config config = {
		.arena_bytes = 2 << 20,
		.atomic_reserve = 4096,
		.phys_base = UIOMMU_PHYS_IS_VIRT,
	};
	struct uiommu_mm_stat stat;
	struct page *pages[600];
	unsigned int count = 0;

	assert_int_equal(uiommu_init(&config), -ENOMEM);
	assert_int_equal(uiommu_init(&config), -ENOMEM);
	config.atomic_reserve = 8;
	assert_int_equal(uiommu_init(&config), 0);
	assert_int_equal(uiommu_init(&config), -EBUSY);
	uiommu_mm_stat(&stat);
	assert_int_equal(stat.arena, 2 << 20);
	assert_int_equal(stat.reserve, 8 * 4096);
	while (count < 600 &&
	       (pages[count] = alloc_pages(GFP_KERNEL | __GFP_ZERO, 0, NULL, PAGE_OTHER)))
		memset(page_address(pages[count++]), 0x5a, 4096);
	assert_int_equal(count, 504);
	while ((pages[count] = alloc_pages(GFP_ATOMIC, 0, NULL, PAGE_OTHER)))
		count++;
	assert_int_equal(count, 512);
	while (count)
		free_pages(pages[--count]);
	uiommu_mm_stat(&stat);
	assert_int_equal(stat.other, 0);
	assert_int_equal(stat.reserve, 8 * 4096);
}

static void block_too_large(void **state)
{
	assert_null(alloc_pages(GFP_KERNEL, MAX_ORDER + 1, NULL, PAGE_OTHER));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_then_set_up),
		cmocka_unit_test(block_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
