// SPDX-License-Identifier: MIT
/* The walker of RISC-V tables, on tables made by hand. */
#include <errno.h>

#include "tests/hw_memory.h"

#define V (1ull << 0)
#define R (1ull << 1)
#define W (1ull << 2)
#define X (1ull << 3)
#define U (1ull << 4)
#define G (1ull << 5)
#define A (1ull << 6)
#define D (1ull << 7)
#define N (1ull << 63)

#define READ_ONLY  (V | R | U | A)
#define READ_WRITE (V | R | W | U | A | D)

#define ROOT   HW_MEMORY_BASE
#define MIDDLE (ROOT + 0x4000)
#define BOTTOM (ROOT + 0x5000)

/* The page at 0x40201000 is item 1 below item 1 below item 1. */
#define IOVA  0x40201000ull
#define PADDR 0x123456789000ull

static uint64_t to(uint64_t paddr)
{
	return paddr >> 12 << 10;
}

static struct hw_tables begin(unsigned int width)
{
	hw_memory_clear(0);
	hw_put(ROOT, 1, to(MIDDLE) | V);
	hw_put(MIDDLE, 1, to(BOTTOM) | V);
	hw_put(BOTTOM, 1, to(PADDR) | READ_WRITE);
	return hw_memory_tables("riscv64", width);
}

/* The fault of both accesses when the page, or another item, is @item. */
static void assert_item(const struct hw_tables *tables, uint64_t table, uint64_t item,
			enum hw_fault read, enum hw_fault write)
{
	hw_put(table, 1, item);
	assert_fault(tables, IOVA, HW_READ, read);
	assert_fault(tables, IOVA, HW_WRITE, write);
}

static void assert_reserved(const struct hw_tables *tables, uint64_t table, uint64_t item)
{
	assert_item(tables, table, item, HW_FAULT_RESERVED, HW_FAULT_RESERVED);
}

static void permissions(void **state)
{
	struct hw_tables tables = begin(39);
	struct hw_translation got;

	assert_translates(&tables, IOVA + 0x123, PADDR + 0x123, 12, HW_READ | HW_WRITE);
	hw_put(BOTTOM, 1, to(PADDR) | READ_WRITE | X | G);
	assert_translates(&tables, IOVA, PADDR, 12, HW_READ | HW_WRITE | HW_EXEC);
	assert_item(&tables, BOTTOM, to(PADDR) | READ_ONLY | D, HW_FAULT_NONE, HW_FAULT_WRITE);
	assert_item(&tables, BOTTOM, to(PADDR) | READ_ONLY, HW_FAULT_NONE, HW_FAULT_WRITE);
	hw_translate(&tables, IOVA, 0, &got);
	assert_false(got.dirty);
	assert_item(&tables, BOTTOM, to(PADDR) | V | X | U | A, HW_FAULT_READ, HW_FAULT_WRITE);
	assert_item(&tables, BOTTOM, to(PADDR) | (READ_WRITE & ~U), HW_FAULT_READ, HW_FAULT_WRITE);
	assert_item(&tables, BOTTOM, to(PADDR) | (READ_WRITE & ~D), HW_FAULT_NONE, HW_FAULT_WRITE);
	assert_item(&tables, BOTTOM, to(PADDR) | (READ_WRITE & ~A), HW_FAULT_ACCESS_FLAG,
		    HW_FAULT_ACCESS_FLAG);
	assert_item(&tables, BOTTOM, to(PADDR) | (READ_WRITE & ~V), HW_FAULT_NOT_PRESENT,
		    HW_FAULT_NOT_PRESENT);
}

static void reserved_in_leaves(void **state)
{
	struct hw_tables tables = begin(39);

	assert_reserved(&tables, BOTTOM, to(PADDR) | (READ_WRITE & ~R));
	assert_reserved(&tables, BOTTOM, to(PADDR) | (READ_WRITE & ~R) | X);
	for (unsigned int bit = 54; bit <= 60; bit++)
		assert_reserved(&tables, BOTTOM, to(PADDR) | READ_WRITE | 1ull << bit);
	assert_reserved(&tables, BOTTOM, to(PADDR) | READ_WRITE | 3ull << 61);
	assert_item(&tables, BOTTOM, to(PADDR) | READ_WRITE | 1ull << 61, HW_FAULT_NONE,
		    HW_FAULT_NONE);
	assert_item(&tables, BOTTOM, to(PADDR) | READ_WRITE | 2ull << 61, HW_FAULT_NONE,
		    HW_FAULT_NONE);
	tables.output_width = 44;
	assert_reserved(&tables, BOTTOM, to(PADDR) | READ_WRITE);
}

static void reserved_in_pointers(void **state)
{
	struct hw_tables tables = begin(39);
	static const uint64_t bits[] = {A, D, U, N, 1ull << 61, 1ull << 62, 1ull << 54, 1ull << 60};

	for (unsigned int i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		assert_reserved(&tables, MIDDLE, to(BOTTOM) | V | bits[i]);
	assert_item(&tables, MIDDLE, to(BOTTOM) | V | G, HW_FAULT_NONE, HW_FAULT_NONE);
	assert_item(&tables, MIDDLE, to(0x1000) | V, HW_FAULT_MEMORY, HW_FAULT_MEMORY);
	hw_put(MIDDLE, 1, to(BOTTOM) | V);
	assert_item(&tables, BOTTOM, to(BOTTOM) | V, HW_FAULT_LEVEL, HW_FAULT_LEVEL);
}

static void large_pages(void **state)
{
	struct hw_tables tables = begin(39);

	hw_put(MIDDLE, 1, to(0x123456600000) | READ_WRITE);
	assert_translates(&tables, IOVA, 0x123456601000, 21, HW_READ | HW_WRITE);
	assert_reserved(&tables, MIDDLE, to(0x123456601000) | READ_WRITE);
	hw_put(ROOT, 1, to(0x123440000000) | READ_ONLY);
	assert_translates(&tables, IOVA, 0x123440201000, 30, HW_READ);
	assert_reserved(&tables, ROOT, to(0x123440200000) | READ_ONLY);
}

static void svnapot(void **state)
{
	struct hw_tables tables = begin(39);
	uint64_t item = to(0x123456798000) | READ_WRITE | N; /* 64 KiB at ...790000 */

	for (unsigned int i = 0; i < 16; i++)
		hw_put(BOTTOM, i, item);
	assert_translates(&tables, IOVA + 0x234, 0x123456791234, 16, HW_READ | HW_WRITE);
	assert_translates(&tables, IOVA + 0xeffe, 0x12345679fffe, 16, HW_READ | HW_WRITE);
	hw_put(BOTTOM, 15, to(0x12345679f000) | READ_WRITE);
	assert_fault(&tables, IOVA, HW_READ, HW_FAULT_RESERVED);
	hw_put(BOTTOM, 15, to(0x123456788000) | READ_WRITE | N);
	assert_fault(&tables, IOVA, HW_READ, HW_FAULT_RESERVED);
	for (unsigned int nibble = 0; nibble < 16; nibble++)
		if (nibble != 8)
			assert_reserved(&tables, BOTTOM,
					to(0x123456780000 | nibble << 12) | READ_WRITE | N);
	assert_reserved(&tables, MIDDLE, to(0x123456600000) | READ_WRITE | N);
	assert_reserved(&tables, MIDDLE, to(0x123456608000) | READ_WRITE | N);
}

/* One page at @iova through @levels levels. */
static void assert_page(unsigned int width, unsigned int levels, uint64_t iova, uint64_t root_index)
{
	struct hw_tables tables = begin(width);
	uint64_t table = ROOT;

	hw_memory_clear(0);
	for (unsigned int level = levels - 1; level; level--) {
		uint64_t next = ROOT + 0x4000 + level * 0x1000;
		unsigned int index = iova >> (12 + 9 * level) & 511;

		if (level == levels - 1)
			index = root_index;
		hw_put(table, index, to(next) | V);
		table = next;
	}
	hw_put(table, iova >> 12 & 511, to(PADDR) | READ_WRITE);
	assert_translates(&tables, iova + 5, PADDR + 5, 12, HW_READ | HW_WRITE);
}

static void widths(void **state)
{
	struct hw_tables tables;

	for (unsigned int levels = 3; levels <= 5; levels++) {
		unsigned int width = 12 + 9 * levels;

		/* Sign-extended: the upper half begins with all ones. */
		assert_page(width, levels, IOVA, levels == 3);
		assert_page(width, levels, -1ull << (width - 1), 256);
		assert_page(width, levels, -4096ull, 511);
		tables = begin(width);
		assert_fault(&tables, 1ull << (width - 1), HW_READ, HW_FAULT_ADDRESS);
		assert_fault(&tables, -1ull << width, HW_READ, HW_FAULT_ADDRESS);
		/* Two more bits and no sign. */
		assert_page(width + 2, levels, 1ull << (width - 1), 256);
		assert_page(width + 2, levels, (4ull << width) - 4096, 2047);
		tables = begin(width + 2);
		assert_fault(&tables, 4ull << width, HW_READ, HW_FAULT_ADDRESS);
		assert_fault(&tables, -4096ull, HW_READ, HW_FAULT_ADDRESS);
	}
}

static void wrong_layouts(void **state)
{
	struct hw_tables tables = begin(39);
	struct hw_layout layout;

	assert_int_equal(hw_layout(&tables, &layout), 0);
	for (unsigned int width = 0; width <= 64; width++) {
		tables.address_width = width;
		if (width != 39 && width != 41 && width != 48 && width != 50 && width != 57 &&
		    width != 59)
			assert_int_equal(hw_layout(&tables, &layout), -EINVAL);
	}
	tables.address_width = 41;
	tables.root = ROOT + 0x1000; /* not a multiple of 16 KiB */
	assert_int_equal(hw_layout(&tables, &layout), -EINVAL);
}

static void fields(void **state)
{
	assert_fields_disjoint("riscv64");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(permissions),
		cmocka_unit_test(reserved_in_leaves),
		cmocka_unit_test(reserved_in_pointers),
		cmocka_unit_test(large_pages),
		cmocka_unit_test(svnapot),
		cmocka_unit_test(widths),
		cmocka_unit_test(wrong_layouts),
		cmocka_unit_test(fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
