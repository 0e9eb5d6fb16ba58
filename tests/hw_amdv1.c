// SPDX-License-Identifier: MIT
/* The walker of AMD v1 tables, on tables made by hand. */
#include <errno.h>

#include "tests/hw_memory.h"

#define BIT(n) (1ull << (n))

#define PR      BIT(0)
#define NEXT(n) ((uint64_t)(n) << 9)
#define IR      BIT(61)
#define IW      BIT(62)
#define ALL     (PR | IR | IW)
#define RW      (HW_READ | HW_WRITE)

/* Tables by the specification's levels, 6 to 1, then some more memory. */
#define TABLE(level) (HW_MEMORY_BASE + 0x1000 * (6 - (level)))
#define OTHER        (HW_MEMORY_BASE + 0x8000)

#define PADDR 0x123456789000ull

/* Item 1 of every level. */
static uint64_t iova_of(unsigned int mode)
{
	uint64_t iova = 0;

	for (unsigned int level = 1; level <= mode; level++)
		iova |= BIT(3 + 9 * level);
	return iova;
}

static struct hw_tables begin(unsigned int mode)
{
	struct hw_tables tables = hw_memory_tables("amdv1", 64);

	hw_memory_clear(0);
	for (unsigned int level = mode; level > 1; level--)
		hw_put(TABLE(level), 1, TABLE(level - 1) | NEXT(level - 1) | ALL);
	hw_put(TABLE(1), 1, PADDR | ALL);
	tables.root = TABLE(mode);
	tables.levels = mode;
	return tables;
}

static void assert_item(const struct hw_tables *tables, uint64_t iova, uint64_t table,
			uint64_t item, enum hw_fault fault)
{
	hw_put(table, 1, item);
	assert_fault(tables, iova, RW, fault);
}

static void modes(void **state)
{
	for (unsigned int mode = 1; mode <= 6; mode++) {
		struct hw_tables tables = begin(mode);
		uint64_t iova = iova_of(mode);
		struct hw_translation got;

		assert_translates(&tables, iova | 0xabc, PADDR | 0xabc, 12, RW);
		hw_translate(&tables, iova, 0, &got);
		assert_int_equal(got.nr_steps, mode);
		assert_fault(&tables, iova + 0x1000, 0, HW_FAULT_NOT_PRESENT);
		if (mode < 6)
			assert_fault(&tables, iova | BIT(12 + 9 * mode), 0, HW_FAULT_ADDRESS);
		/* The width may say less than the mode, and the mode less than the width. */
		tables.address_width = 12;
		assert_fault(&tables, iova, 0, HW_FAULT_ADDRESS);
		tables.address_width = 0;
		assert_translates(&tables, iova, PADDR, 12, RW);
	}
}

static void modes_by_width(void **state)
{
	static const unsigned int widest[] = {0, 21, 30, 39, 48, 57, 64};
	struct hw_tables tables = begin(6);
	struct hw_layout layout;

	tables.levels = 0;
	for (unsigned int width = 13, mode = 1; width <= 64; width++) {
		mode += width > widest[mode];
		tables.address_width = width;
		assert_int_equal(hw_layout(&tables, &layout), 0);
		assert_int_equal(layout.levels, mode);
	}
	tables.address_width = 65;
	assert_int_equal(hw_layout(&tables, &layout), -EINVAL);
	tables.address_width = 0;
	assert_int_equal(hw_layout(&tables, &layout), -EINVAL);
	tables.levels = 7;
	assert_int_equal(hw_layout(&tables, &layout), -EINVAL);
}

/* All 64 bits are an address: nothing is a sign. */
static void highest_address(void **state)
{
	struct hw_tables tables = begin(6);

	hw_put(TABLE(6), 127, TABLE(5) | NEXT(5) | ALL);
	for (unsigned int level = 5; level > 1; level--)
		hw_put(TABLE(level), 511, TABLE(level - 1) | NEXT(level - 1) | ALL);
	hw_put(TABLE(1), 511, 0x7000 | ALL);
	assert_translates(&tables, -1ull, 0x7fff, 12, RW);
	assert_fault(&tables, BIT(63), 0, HW_FAULT_NOT_PRESENT);
}

static void rights(void **state)
{
	struct hw_tables tables = begin(4);
	uint64_t iova = iova_of(4);

	for (unsigned int level = 1; level <= 4; level++) {
		uint64_t item = level == 1 ? PADDR : TABLE(level - 1) | NEXT(level - 1);

		hw_put(TABLE(level), 1, item | PR | IR);
		assert_translates(&tables, iova, PADDR, 12, HW_READ);
		assert_fault(&tables, iova, HW_WRITE, HW_FAULT_WRITE);
		hw_put(TABLE(level), 1, item | PR | IW);
		assert_translates(&tables, iova, PADDR, 12, HW_WRITE);
		assert_fault(&tables, iova, HW_READ, HW_FAULT_READ);
		hw_put(TABLE(level), 1, item | PR);
		assert_translates(&tables, iova, PADDR, 12, 0);
		/* Without PR the rest means nothing. */
		assert_item(&tables, iova, TABLE(level), ~PR, HW_FAULT_NOT_PRESENT);
		hw_put(TABLE(level), 1, item | ALL);
	}
}

static void reserved_bits(void **state)
{
	struct hw_tables tables = begin(2);
	uint64_t iova = iova_of(2);
	struct hw_translation got;

	for (unsigned int bit = 1; bit < 64; bit++) {
		uint64_t leaf = bit >= 52 && bit <= 58, table = bit >= 52 && bit <= 60;

		if ((bit >= 9 && bit < 52) || bit == 61 || bit == 62)
			continue;
		assert_item(&tables, iova, TABLE(1), PADDR | ALL | BIT(bit),
			    leaf ? HW_FAULT_RESERVED : HW_FAULT_NONE);
		hw_put(TABLE(1), 1, PADDR | ALL);
		assert_item(&tables, iova, TABLE(2), TABLE(1) | NEXT(1) | ALL | BIT(bit),
			    table ? HW_FAULT_RESERVED : HW_FAULT_NONE);
		hw_put(TABLE(2), 1, TABLE(1) | NEXT(1) | ALL);
	}
	hw_put(TABLE(1), 1, PADDR | ALL | BIT(5) | BIT(6));
	hw_translate(&tables, iova, 0, &got);
	assert_true(got.dirty && got.steps[1].item.accessed);
	tables.output_width = 48;
	assert_item(&tables, iova, TABLE(1), BIT(47) | ALL, HW_FAULT_NONE);
	assert_item(&tables, iova, TABLE(1), BIT(48) | ALL, HW_FAULT_RESERVED);
	assert_item(&tables, iova, TABLE(2), BIT(48) | TABLE(1) | NEXT(1) | ALL, HW_FAULT_RESERVED);
}

/* Next Level 0: pages of the level's own size, at all levels but the sixth. */
static void own_sizes(void **state)
{
	for (unsigned int level = 2; level <= 5; level++) {
		unsigned int size = 3 + 9 * level;
		struct hw_tables tables = begin(6);
		uint64_t iova = iova_of(6), in_page = iova & (BIT(size) - 1);

		hw_put(TABLE(level), 1, BIT(size) | ALL);
		assert_translates(&tables, iova | 5, BIT(size) | in_page | 5, size, RW);
		for (unsigned int bit = 12; bit < size; bit++)
			assert_item(&tables, iova, TABLE(level), BIT(bit) | ALL, HW_FAULT_RESERVED);
	}
}

static void no_page_at_level_6(void **state)
{
	struct hw_tables tables = begin(6);

	assert_item(&tables, iova_of(6), TABLE(6), ALL, HW_FAULT_LEVEL);
	assert_item(&tables, iova_of(6), TABLE(6), ALL | NEXT(7), HW_FAULT_LEVEL);
}

/* A page of 2^size bytes at @paddr, as an item says it. */
static uint64_t page(uint64_t paddr, unsigned int size)
{
	return paddr | (BIT(size - 1) - BIT(12)) | NEXT(7) | ALL;
}

/* Next Level 7: every size between a level's own and the next one's, in every slot. */
static void sizes_in_addresses(void **state)
{
	for (unsigned int size = 13; size < 52; size++) {
		unsigned int level = (size - 3) / 9, own = 3 + 9 * level;
		unsigned int first = 1u << (size - own);
		struct hw_tables tables = begin(6);
		uint64_t start = iova_of(6) >> own << own;

		if (size == own)
			continue;
		start = (start & ~(511ull << own)) | (uint64_t)first << own;
		for (unsigned int i = 0; i < first; i++)
			hw_put(TABLE(level), first + i, page(BIT(size), size));
		for (unsigned int i = 0; i < first; i++)
			assert_translates(&tables, start + ((uint64_t)i << own) + 7,
					  BIT(size) + ((uint64_t)i << own) + 7, size, RW);
		assert_fault(&tables, start + BIT(size), 0, HW_FAULT_NOT_PRESENT);
	}
}

static void sizes_that_do_not_go(void **state)
{
	struct hw_tables tables = begin(3);
	uint64_t iova = iova_of(3);

	/* At level 1: as large as a page of level 2, or larger, or without an end. */
	for (unsigned int size = 21; size <= 52; size++)
		assert_item(&tables, iova, TABLE(1), page(0, size), HW_FAULT_RESERVED);
	assert_item(&tables, iova, TABLE(1), page(BIT(52) - BIT(12), 20), HW_FAULT_RESERVED);
	/* At level 2: smaller than its own, or just that. */
	for (unsigned int size = 13; size <= 21; size++)
		assert_item(&tables, iova, TABLE(2), page(0, size), HW_FAULT_RESERVED);
}

/* What differs in one of the items that form a page is found from each of them. */
static void replicas_that_differ(void **state)
{
	static const unsigned int count = 16;
	const uint64_t good = page(0x40000, 16);
	const uint64_t wrong[] = {
		0, /* absent */
		page(0x50000, 16),
		page(0x40000, 15),
		good & ~IW,
		0x40000 | ALL, /* a page of its own */
		good | BIT(55),
	};
	struct hw_tables tables = begin(1);

	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		for (unsigned int at = 0; at < count; at++) {
			for (unsigned int k = 0; k < count; k++)
				hw_put(TABLE(1), 16 + k, good);
			assert_translates(&tables, 0x10000 + at * 0x1000, 0x40000 + at * 0x1000, 16,
					  RW);
			hw_put(TABLE(1), 16 + at, wrong[i]);
			for (unsigned int k = 0; k < count; k++)
				if (k != at)
					assert_fault(&tables, 0x10000 + k * 0x1000, 0,
						     HW_FAULT_RESERVED);
		}
}

/* Hardware marks the item that it used, so the page is dirty if one of them is. */
static void dirty_in_one_replica(void **state)
{
	struct hw_tables tables = begin(1);
	struct hw_translation got;

	for (unsigned int k = 0; k < 4; k++)
		hw_put(TABLE(1), 8 + k, page(0x4000, 14) | (k == 2 ? BIT(6) : 0));
	for (unsigned int k = 0; k < 4; k++) {
		assert_int_equal(hw_translate(&tables, 0x8000 + k * 0x1000, RW, &got),
				 HW_FAULT_NONE);
		assert_true(got.dirty);
	}
}

/* A table may be of any lower level; what the levels between would look at is 0. */
static void skipped_levels(void **state)
{
	struct hw_tables tables = begin(6);
	uint64_t top = BIT(57);

	hw_put(TABLE(6), 1, TABLE(2) | NEXT(2) | ALL);
	hw_put(TABLE(2), 1, TABLE(1) | NEXT(1) | ALL);
	assert_translates(&tables, top | BIT(21) | BIT(12), PADDR, 12, RW);
	for (unsigned int bit = 30; bit < 57; bit++)
		assert_fault(&tables, top | BIT(bit) | BIT(21) | BIT(12), 0, HW_FAULT_ADDRESS);
	hw_put(TABLE(6), 1, TABLE(1) | NEXT(1) | ALL);
	assert_translates(&tables, top | BIT(12), PADDR, 12, RW);
	assert_fault(&tables, top | BIT(21) | BIT(12), 0, HW_FAULT_ADDRESS);
}

/* A table that is not of a lower level could be a loop. */
static void levels_that_do_not_go(void **state)
{
	struct hw_tables tables = begin(3);
	uint64_t iova = iova_of(3);

	for (unsigned int next = 2; next <= 6; next++)
		assert_item(&tables, iova, TABLE(2), TABLE(1) | NEXT(next) | ALL, HW_FAULT_LEVEL);
	for (unsigned int next = 1; next <= 6; next++) {
		hw_put(TABLE(2), 1, TABLE(1) | NEXT(1) | ALL);
		assert_item(&tables, iova, TABLE(1), OTHER | NEXT(next) | ALL, HW_FAULT_LEVEL);
	}
}

static void fields(void **state)
{
	assert_fields_disjoint("amdv1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(modes),
		cmocka_unit_test(modes_by_width),
		cmocka_unit_test(highest_address),
		cmocka_unit_test(rights),
		cmocka_unit_test(reserved_bits),
		cmocka_unit_test(own_sizes),
		cmocka_unit_test(no_page_at_level_6),
		cmocka_unit_test(sizes_in_addresses),
		cmocka_unit_test(sizes_that_do_not_go),
		cmocka_unit_test(replicas_that_differ),
		cmocka_unit_test(dirty_in_one_replica),
		cmocka_unit_test(skipped_levels),
		cmocka_unit_test(levels_that_do_not_go),
		cmocka_unit_test(fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
