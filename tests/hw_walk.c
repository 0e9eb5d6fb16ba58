// SPDX-License-Identifier: MIT
/* The walkers of VT-d and x86-64 tables, on tables made by hand. */
#include <errno.h>

#include "tests/hw_memory.h"

#define BIT(n) (1ull << (n))

/* Tables of levels 4 (the top) to 0, then some more memory. */
#define TABLE(level) (HW_MEMORY_BASE + 0x1000 * (4 - (level)))
#define OTHER        (HW_MEMORY_BASE + 0x8000)

#define PADDR 0x123456789000ull
#define RW    (HW_READ | HW_WRITE)

/* The page at IOVA is item 1 of every level, down from @levels. */
static uint64_t iova_of(unsigned int levels)
{
	uint64_t iova = 0;

	for (unsigned int level = 0; level < levels; level++)
		iova |= BIT(12 + 9 * level);
	return iova;
}

/* Tables of @levels that lead to PADDR with @leaf and @table beside the addresses. */
static struct hw_tables begin(const char *format, unsigned int levels, uint64_t leaf,
			      uint64_t table)
{
	struct hw_tables tables = hw_memory_tables(format, 12 + 9 * levels);

	hw_memory_clear(0);
	for (unsigned int level = levels; level-- > 1;)
		hw_put(TABLE(level), 1, TABLE(level - 1) | table);
	hw_put(TABLE(0), 1, PADDR | leaf);
	tables.root = TABLE(levels - 1);
	return tables;
}

/* The fault of both accesses to @iova when item 1 of a table is @item. */
static void assert_item(const struct hw_tables *tables, uint64_t iova, uint64_t table,
			uint64_t item, enum hw_fault read, enum hw_fault write)
{
	hw_put(table, 1, item);
	assert_fault(tables, iova, HW_READ, read);
	assert_fault(tables, iova, HW_WRITE, write);
}

static void assert_reserved(const struct hw_tables *tables, uint64_t iova, uint64_t table,
			    uint64_t item)
{
	assert_item(tables, iova, table, item, HW_FAULT_RESERVED, HW_FAULT_RESERVED);
}

/* Which of an item's bits makes it bad when flipped: as reserved, of those in @bits. */
static void assert_reserved_bits(const struct hw_tables *tables, uint64_t iova, uint64_t table,
				 uint64_t item, uint64_t bits, uint64_t reserved)
{
	for (unsigned int bit = 0; bit < 64; bit++)
		if (bits & BIT(bit))
			assert_item(tables, iova, table, item ^ BIT(bit),
				    reserved & BIT(bit) ? HW_FAULT_RESERVED : HW_FAULT_NONE,
				    reserved & BIT(bit) ? HW_FAULT_RESERVED : HW_FAULT_NONE);
	hw_put(table, 1, item);
}

static uint64_t ones(unsigned int high, unsigned int low)
{
	return (high == 63 ? 0 : BIT(high + 1)) - BIT(low);
}

#define VTD_RW 3ull
#define VTD_PS BIT(7)

static void vtd_levels(void **state)
{
	for (unsigned int levels = 3; levels <= 5; levels++) {
		struct hw_tables tables = begin("vtd", levels, VTD_RW, VTD_RW);
		uint64_t iova = iova_of(levels);
		struct hw_translation got;

		assert_translates(&tables, iova | 0x123, PADDR | 0x123, 12, RW);
		hw_translate(&tables, iova, 0, &got);
		assert_int_equal(got.nr_steps, levels);
		for (unsigned int i = 0; i < levels; i++) {
			assert_int_equal(got.steps[i].level, levels - 1 - i);
			assert_int_equal(got.steps[i].index, 1);
			assert_int_equal(got.steps[i].table, TABLE(levels - 1 - i));
			assert_int_equal(got.steps[i].paddr, TABLE(levels - 1 - i) + 8);
		}
		assert_int_equal(got.steps[levels - 1].value, PADDR | VTD_RW);
		assert_fault(&tables, iova + 0x1000, 0, HW_FAULT_NOT_PRESENT);
		assert_fault(&tables, iova | BIT(12 + 9 * levels), HW_READ, HW_FAULT_ADDRESS);
		assert_fault(&tables, iova | BIT(63), HW_READ, HW_FAULT_ADDRESS);
	}
}

static void vtd_widths(void **state)
{
	struct hw_tables tables = begin("vtd", 4, VTD_RW, VTD_RW);
	struct hw_translation got;
	struct hw_layout layout;

	/* Fewer bits than four levels resolve (MGAW below AGAW). */
	tables.address_width = 46;
	assert_translates(&tables, iova_of(4), PADDR, 12, RW);
	assert_fault(&tables, BIT(46), HW_READ, HW_FAULT_ADDRESS);
	tables.address_width = 39;
	tables.levels = 4;
	assert_int_equal(hw_layout(&tables, &layout), 0);
	assert_int_equal(layout.levels, 4);
	assert_fault(&tables, BIT(39), HW_READ, HW_FAULT_ADDRESS);
	tables.levels = 6;
	assert_int_equal(hw_layout(&tables, &layout), -EINVAL);
	assert_int_equal(hw_translate(&tables, 0, 0, &got), HW_FAULT_LEVEL);
	assert_non_null(got.why);
	tables.levels = 0;
	for (unsigned int width = 0; width < 80; width += 1) {
		tables.address_width = width;
		assert_int_equal(hw_layout(&tables, &layout),
				 width < 31 || width > 57 ? -EINVAL : 0);
	}
	tables.address_width = 48;
	tables.root += 8;
	assert_int_equal(hw_layout(&tables, &layout), -EINVAL);
	tables.root -= 8;
	tables.granule_lg2 = 14;
	assert_int_equal(hw_layout(&tables, &layout), -EINVAL);
}

static void vtd_rights(void **state)
{
	struct hw_tables tables = begin("vtd", 4, VTD_RW, VTD_RW);
	uint64_t iova = iova_of(4);
	struct hw_translation got;

	assert_item(&tables, iova, TABLE(0), PADDR | 1, HW_FAULT_NONE, HW_FAULT_WRITE);
	assert_item(&tables, iova, TABLE(0), PADDR | 2, HW_FAULT_READ, HW_FAULT_NONE);
	/* X alone is not a translation, nor is anything else without R and W. */
	assert_item(&tables, iova, TABLE(0), PADDR | 4, HW_FAULT_NOT_PRESENT, HW_FAULT_NOT_PRESENT);
	assert_item(&tables, iova, TABLE(0), ~3ull, HW_FAULT_NOT_PRESENT, HW_FAULT_NOT_PRESENT);
	hw_put(TABLE(0), 1, PADDR | VTD_RW | BIT(8) | BIT(9));
	assert_int_equal(hw_translate(&tables, iova, RW, &got), HW_FAULT_NONE);
	assert_true(got.dirty && got.steps[3].item.accessed);
	/* Rights of every level count, and what is asked for is not asked of tables. */
	for (unsigned int level = 1; level < 4; level++) {
		assert_item(&tables, iova, TABLE(level), TABLE(level - 1) | 1, HW_FAULT_NONE,
			    HW_FAULT_WRITE);
		assert_item(&tables, iova, TABLE(level), TABLE(level - 1) | 2, HW_FAULT_READ,
			    HW_FAULT_NONE);
		hw_put(TABLE(level), 1, TABLE(level - 1) | VTD_RW);
	}
	hw_put(TABLE(2), 1, TABLE(1) | 1);
	hw_put(TABLE(0), 1, PADDR | 2);
	assert_translates(&tables, iova, PADDR, 12, 0);
	assert_fault(&tables, iova, HW_READ, HW_FAULT_READ);
	assert_fault(&tables, iova, HW_EXEC, HW_FAULT_EXEC);
}

static void vtd_reserved(void **state)
{
	struct hw_tables tables = begin("vtd", 4, VTD_RW, VTD_RW);
	uint64_t iova = iova_of(4), leaf = PADDR | VTD_RW, table = TABLE(0) | VTD_RW;
	/* EMT, IPAT, bit 10, SNP, 61:52 and 63 are anyone's; A and D are hardware's. */
	uint64_t other = ones(63, 52) | ones(11, 2);

	assert_reserved_bits(&tables, iova, TABLE(0), leaf, other, BIT(62));
	/* Bit 7 of an SS-PDE makes it a large leaf, here a misaligned one. */
	hw_put(OTHER, 1, leaf);
	hw_put(TABLE(1), 1, table);
	assert_reserved_bits(&tables, iova, TABLE(1), table, other, BIT(62) | BIT(11) | VTD_PS);
	assert_reserved_bits(&tables, iova, TABLE(3), TABLE(2) | VTD_RW, other,
			     BIT(62) | BIT(11) | VTD_PS);
	tables.output_width = 46;
	assert_reserved(&tables, iova, TABLE(0), leaf | BIT(46));
	assert_item(&tables, iova, TABLE(0), leaf ^ BIT(45), HW_FAULT_NONE, HW_FAULT_NONE);
	assert_reserved(&tables, iova, TABLE(1), table | BIT(51));
	tables.output_width = 53;
	assert_fault(&tables, iova, HW_READ, HW_FAULT_LEVEL);
}

static void vtd_large(void **state)
{
	struct hw_tables tables = begin("vtd", 4, VTD_RW, VTD_RW);
	uint64_t iova = iova_of(4);

	hw_put(TABLE(1), 1, 0x400000 | VTD_PS | VTD_RW);
	assert_translates(&tables, iova | 0xabc, 0x401abc, 21, RW);
	for (unsigned int bit = 12; bit < 21; bit++)
		assert_reserved(&tables, iova, TABLE(1), 0x400000 | BIT(bit) | VTD_PS | VTD_RW);
	hw_put(TABLE(2), 1, 0x80000000 | VTD_PS | 1);
	assert_translates(&tables, iova, 0x80201000, 30, HW_READ);
	for (unsigned int bit = 12; bit < 30; bit++)
		assert_reserved(&tables, iova, TABLE(2), BIT(bit) | VTD_PS | VTD_RW);
	assert_reserved(&tables, iova, TABLE(3), VTD_PS | VTD_RW);
}

static void vtd_memory(void **state)
{
	struct hw_tables tables = begin("vtd", 4, VTD_RW, VTD_RW);
	uint64_t iova = iova_of(4), end = HW_MEMORY_BASE + HW_MEMORY_SIZE;

	assert_item(&tables, iova, TABLE(2), end | VTD_RW, HW_FAULT_MEMORY, HW_FAULT_MEMORY);
	assert_item(&tables, iova, TABLE(2), (end - 0x1000) | VTD_RW, HW_FAULT_NOT_PRESENT,
		    HW_FAULT_NOT_PRESENT);
	assert_item(&tables, iova, TABLE(2), ones(51, 12) | VTD_RW, HW_FAULT_MEMORY,
		    HW_FAULT_MEMORY);
	tables.root = -0x1000ull;
	assert_fault(&tables, iova, HW_READ, HW_FAULT_MEMORY);
}

#define X86_LEAF  (BIT(0) | BIT(1) | BIT(2))
#define X86_TABLE X86_LEAF
#define X86_ALL   (RW | HW_EXEC)

static void x86_64_addresses(void **state)
{
	static const unsigned int widths[] = {48, 57};

	for (unsigned int i = 0; i < 2; i++) {
		unsigned int width = widths[i], levels = 4 + i;
		struct hw_tables tables = begin("x86_64", levels, X86_LEAF, X86_TABLE);
		uint64_t high = -BIT(width - 1);

		assert_translates(&tables, iova_of(levels), PADDR, 12, X86_ALL);
		/* The highest page: item 511 all the way. */
		for (unsigned int level = levels; level-- > 1;)
			hw_put(TABLE(level), 511, TABLE(level - 1) | X86_TABLE);
		hw_put(TABLE(0), 511, 0x5000 | X86_LEAF);
		assert_translates(&tables, -0x1000ull, 0x5000, 12, X86_ALL);
		assert_fault(&tables, ~high & -0x1000ull, HW_READ, HW_FAULT_NOT_PRESENT);
		assert_fault(&tables, ~high + 1, HW_READ, HW_FAULT_ADDRESS);
		assert_fault(&tables, high, HW_READ, HW_FAULT_NOT_PRESENT);
		assert_fault(&tables, high - 1, HW_READ, HW_FAULT_ADDRESS);
		assert_fault(&tables, BIT(63), HW_READ, HW_FAULT_ADDRESS);
		assert_fault(&tables, -0x1000ull ^ BIT(width), HW_READ, HW_FAULT_ADDRESS);
		tables.levels = 9 - levels;
		assert_fault(&tables, 0, HW_READ, HW_FAULT_LEVEL);
	}
}

static void x86_64_rights(void **state)
{
	struct hw_tables tables = begin("x86_64", 4, X86_LEAF, X86_TABLE);
	uint64_t iova = iova_of(4);

	for (unsigned int level = 0; level < 4; level++) {
		uint64_t to = level ? TABLE(level - 1) : PADDR;
		enum {
			P = 1,
			W = 2,
			U = 4
		};

		assert_item(&tables, iova, TABLE(level), to | P | U, HW_FAULT_NONE, HW_FAULT_WRITE);
		assert_item(&tables, iova, TABLE(level), to | P | W, HW_FAULT_READ, HW_FAULT_WRITE);
		assert_item(&tables, iova, TABLE(level), ~1ull, HW_FAULT_NOT_PRESENT,
			    HW_FAULT_NOT_PRESENT);
		hw_put(TABLE(level), 1, to | P | W | U | BIT(63));
		assert_translates(&tables, iova, PADDR, 12, RW);
		assert_fault(&tables, iova, HW_EXEC, HW_FAULT_EXEC);
		hw_put(TABLE(level), 1, to | P | W | U);
		assert_translates(&tables, iova, PADDR, 12, X86_ALL);
	}
}

static void x86_64_reserved(void **state)
{
	struct hw_tables tables = begin("x86_64", 4, X86_LEAF, X86_TABLE);
	uint64_t iova = iova_of(4);
	/* PWT, PCD, A, D, PAT or PS, G, bits for software, 62:52, XD */
	uint64_t other = ones(63, 52) | ones(11, 3);

	assert_reserved_bits(&tables, iova, TABLE(0), PADDR | X86_LEAF, other, 0);
	/* Bit 7 of a PDE makes it a large leaf, and TABLE(0) is not aligned to 2 MiB. */
	assert_reserved_bits(&tables, iova, TABLE(1), TABLE(0) | X86_TABLE, other, BIT(7));
	assert_reserved_bits(&tables, iova, TABLE(3), TABLE(2) | X86_TABLE, other, BIT(7));
	tables.output_width = 40;
	assert_reserved(&tables, iova, TABLE(0), BIT(40) | X86_LEAF);
	assert_item(&tables, iova, TABLE(0), BIT(39) | X86_LEAF, HW_FAULT_NONE, HW_FAULT_NONE);
}

static void x86_64_large(void **state)
{
	struct hw_tables tables = begin("x86_64", 5, X86_LEAF, X86_TABLE);
	uint64_t iova = iova_of(5), ps = BIT(7), pat = BIT(12);
	struct hw_translation got;

	hw_put(TABLE(1), 1, 0x400000 | ps | pat | BIT(6) | X86_LEAF);
	assert_translates(&tables, iova, 0x401000, 21, X86_ALL);
	hw_translate(&tables, iova, 0, &got);
	assert_true(got.dirty);
	hw_put(TABLE(2), 1, 0x80000000 | ps | pat | X86_LEAF);
	assert_translates(&tables, iova, 0x80201000, 30, X86_ALL);
	for (unsigned int bit = 13; bit < 30; bit++)
		assert_reserved(&tables, iova, TABLE(2), BIT(bit) | ps | X86_LEAF);
	assert_reserved(&tables, iova, TABLE(3), ps | X86_LEAF);
	hw_put(TABLE(3), 1, TABLE(2) | X86_TABLE);
	assert_reserved(&tables, iova, TABLE(4), ps | X86_LEAF);
}

static void names(void **state)
{
	assert_fields_disjoint("vtd");
	assert_fields_disjoint("x86_64");
	assert_null(hw_format_find("mock"));
	for (unsigned int i = 0; i < HW_NR_FAULTS; i++)
		for (unsigned int k = 0; k < i; k++)
			assert_string_not_equal(hw_fault_name(i), hw_fault_name(k));
	for (unsigned int i = 0; hw_format_at(i); i++)
		assert_ptr_equal(hw_format_find(hw_format_at(i)->name), hw_format_at(i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vtd_levels),
		cmocka_unit_test(vtd_widths),
		cmocka_unit_test(vtd_rights),
		cmocka_unit_test(vtd_reserved),
		cmocka_unit_test(vtd_large),
		cmocka_unit_test(vtd_memory),
		cmocka_unit_test(x86_64_addresses),
		cmocka_unit_test(x86_64_rights),
		cmocka_unit_test(x86_64_reserved),
		cmocka_unit_test(x86_64_large),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
