// SPDX-License-Identifier: MIT
/* The walker of z/Architecture tables, on tables made by hand. */
#include <errno.h>

#include "tests/hw_memory.h"

#define INVALID      0x20ull
#define PROTECTED    0x200ull
#define LARGE        0x400ull
#define REGION3      (1ull << 2 | 3)
#define PAGE_INVALID 0x400ull

#define ROOT     HW_MEMORY_BASE
#define SEGMENTS (ROOT + 0x4000)
#define PAGES    (ROOT + 0x8800) /* page tables are aligned to 2 KiB */

/* Item 1 in each table. */
#define IOVA  ((1ull << 31) + (1ull << 20) + 4096)
#define PADDR 0xfedcba9876543000ull

static struct hw_tables begin(void)
{
	hw_memory_clear(0);
	for (unsigned int i = 0; i < 2048; i++) {
		hw_put_big_endian(ROOT, i, INVALID | 1 << 2);
		hw_put_big_endian(SEGMENTS, i, INVALID);
	}
	for (unsigned int i = 0; i < 256; i++)
		hw_put_big_endian(PAGES, i, PAGE_INVALID);
	hw_put_big_endian(ROOT, 1, SEGMENTS | REGION3);
	hw_put_big_endian(SEGMENTS, 1, PAGES);
	hw_put_big_endian(PAGES, 1, PADDR);
	return hw_memory_tables("s390", 42);
}

static void assert_item(const struct hw_tables *tables, uint64_t table, uint64_t item,
			enum hw_fault fault)
{
	hw_put_big_endian(table, 1, item);
	assert_fault(tables, IOVA, HW_READ, fault);
}

static void pages(void **state)
{
	struct hw_tables tables = begin();

	assert_translates(&tables, IOVA + 0xabc, PADDR + 0xabc, 12, HW_READ | HW_WRITE);
	assert_fault(&tables, IOVA + 4096, HW_READ, HW_FAULT_NOT_PRESENT);
	assert_fault(&tables, IOVA + (1 << 20), HW_READ, HW_FAULT_NOT_PRESENT);
	assert_fault(&tables, IOVA + (1ull << 31), HW_READ, HW_FAULT_NOT_PRESENT);
	assert_fault(&tables, IOVA + (1ull << 42), HW_READ, HW_FAULT_ADDRESS);
	assert_item(&tables, PAGES, PADDR | 0xff, HW_FAULT_NONE); /* for software */
	assert_item(&tables, PAGES, PADDR | 0x800, HW_FAULT_RESERVED);
	assert_item(&tables, PAGES, PADDR | 0x100, HW_FAULT_RESERVED);
	tables.output_width = 63;
	assert_item(&tables, PAGES, PADDR, HW_FAULT_RESERVED);
}

static void protection(void **state)
{
	struct hw_tables tables = begin();

	hw_put_big_endian(PAGES, 1, PADDR | PROTECTED);
	assert_translates(&tables, IOVA, PADDR, 12, HW_READ);
	assert_fault(&tables, IOVA, HW_WRITE, HW_FAULT_WRITE);
	hw_put_big_endian(PAGES, 1, PADDR);
	hw_put_big_endian(SEGMENTS, 1, PAGES | PROTECTED);
	assert_fault(&tables, IOVA, HW_WRITE, HW_FAULT_WRITE);
	assert_translates(&tables, IOVA, PADDR, 12, HW_READ);
	hw_put_big_endian(SEGMENTS, 1, PAGES);
	hw_put_big_endian(ROOT, 1, SEGMENTS | REGION3 | PROTECTED);
	assert_fault(&tables, IOVA, HW_WRITE, HW_FAULT_WRITE);
}

static void region_entries(void **state)
{
	struct hw_tables tables = begin();

	for (unsigned int type = 0; type < 4; type++)
		if (type != 1)
			assert_item(&tables, ROOT, SEGMENTS | 3 | type << 2, HW_FAULT_LEVEL);
	for (unsigned int length = 0; length < 3; length++)
		assert_item(&tables, ROOT, SEGMENTS | 1 << 2 | length, HW_FAULT_RESERVED);
	for (unsigned int offset = 1; offset < 4; offset++)
		assert_item(&tables, ROOT, SEGMENTS | REGION3 | offset << 6, HW_FAULT_RESERVED);
	assert_item(&tables, ROOT, SEGMENTS | REGION3 | LARGE, HW_FAULT_RESERVED);
	assert_item(&tables, ROOT, SEGMENTS | REGION3 | 1 << 8, HW_FAULT_RESERVED);
	assert_item(&tables, ROOT, SEGMENTS | REGION3 | 1 << 11, HW_FAULT_RESERVED);
	assert_item(&tables, ROOT, SEGMENTS | REGION3 | 1 << 4, HW_FAULT_NONE); /* common */
	assert_item(&tables, ROOT, SEGMENTS | REGION3 | INVALID, HW_FAULT_NOT_PRESENT);
	assert_item(&tables, ROOT, 0x1000 | REGION3, HW_FAULT_MEMORY);
	assert_item(&tables, ROOT, 0, HW_FAULT_LEVEL); /* zeros are no empty table */
	assert_item(&tables, ROOT, SEGMENTS | REGION3, HW_FAULT_NONE);
}

/* A region-second table above, then a region-first one above that; each has its type. */
static void upper_regions(void **state)
{
	const uint64_t tables_at[] = {ROOT, HW_MEMORY_BASE + 0xc000, HW_MEMORY_BASE + 0x10000};
	uint64_t iova = IOVA;

	for (unsigned int above = 1; above < 3; above++) {
		uint64_t span = 1ull << (31 + 11 * above);
		struct hw_tables tables = begin();

		for (unsigned int k = 1; k <= above; k++) {
			for (unsigned int i = 0; i < 2048; i++)
				hw_put_big_endian(tables_at[k], i, INVALID);
			hw_put_big_endian(tables_at[k], 1, tables_at[k - 1] | (k + 1) << 2 | 3);
		}
		iova += span;
		tables.root = tables_at[above];
		tables.address_width = 42 + 11 * above;
		assert_translates(&tables, iova, PADDR, 12, HW_READ | HW_WRITE);
		assert_fault(&tables, iova - span, HW_READ, HW_FAULT_NOT_PRESENT);
		for (unsigned int type = 0; type < 4; type++) {
			hw_put_big_endian(tables.root, 1, tables_at[above - 1] | type << 2 | 3);
			assert_fault(&tables, iova, HW_READ,
				     type == above + 1 ? HW_FAULT_NONE : HW_FAULT_LEVEL);
		}
	}
}

static void segment_entries(void **state)
{
	struct hw_tables tables = begin();

	for (unsigned int type = 1; type < 4; type++)
		assert_item(&tables, SEGMENTS, PAGES | type << 2, HW_FAULT_LEVEL);
	for (unsigned int bit = 0; bit < 9; bit++)
		if (1 << bit & 0x1c3)
			assert_item(&tables, SEGMENTS, PAGES | 1 << bit, HW_FAULT_RESERVED);
	assert_item(&tables, SEGMENTS, PAGES | 1 << 4, HW_FAULT_NONE);    /* common */
	assert_item(&tables, SEGMENTS, PAGES | 0xe0000, HW_FAULT_MEMORY); /* of the origin */
	assert_item(&tables, SEGMENTS, PAGES | INVALID, HW_FAULT_NOT_PRESENT);
	assert_item(&tables, SEGMENTS, PAGES, HW_FAULT_NONE);
}

static void large_segments(void **state)
{
	struct hw_tables tables = begin();

	hw_put_big_endian(SEGMENTS, 1, 0xfedcba9876500000 | LARGE);
	assert_translates(&tables, IOVA + 0x123, 0xfedcba9876501123, 20, HW_READ | HW_WRITE);
	hw_put_big_endian(SEGMENTS, 1, 0xfedcba9876500000 | LARGE | PROTECTED);
	assert_translates(&tables, IOVA, 0xfedcba9876501000, 20, HW_READ);
	assert_item(&tables, SEGMENTS, 0xfedcba9876500000 | LARGE | INVALID, HW_FAULT_NOT_PRESENT);
	for (unsigned int bit = 17; bit < 20; bit++)
		assert_item(&tables, SEGMENTS, 0xfedcba9876500000 | LARGE | 1 << bit,
			    HW_FAULT_RESERVED);
}

static void wrong_layouts(void **state)
{
	struct hw_tables tables = begin();
	struct hw_layout layout;

	assert_int_equal(hw_layout(&tables, &layout), 0);
	tables.root += 0x1000;
	assert_int_equal(hw_layout(&tables, &layout), -EINVAL);
	for (unsigned int width = 0; width <= 64; width++) {
		tables = begin();
		tables.address_width = width;
		assert_int_equal(hw_layout(&tables, &layout),
				 width == 42 || width == 53 || width == 64 ? 0 : -EINVAL);
	}
}

static void fields(void **state)
{
	assert_fields_disjoint("s390");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages),          cmocka_unit_test(protection),
		cmocka_unit_test(region_entries), cmocka_unit_test(segment_entries),
		cmocka_unit_test(large_segments), cmocka_unit_test(wrong_layouts),
		cmocka_unit_test(upper_regions),  cmocka_unit_test(fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
