// SPDX-License-Identifier: MIT
/* The walker of Arm's tables, on tables made by hand. */
#include <errno.h>

#include "tests/hw_memory.h"

#define VALID      1ull
#define TABLE      3ull
#define PAGE       3ull
#define AF         (1ull << 10)
#define INNER      (3ull << 8)
#define DBM        (1ull << 51)
#define CONTIGUOUS (1ull << 52)
#define PXN        (1ull << 53)
#define UXN        (1ull << 54)

/* A stage 1 leaf that all may read and write. */
#define EL0       (1ull << 6)
#define READ_ONLY (1ull << 7)
#define S1        (AF | INNER | EL0)
/* A stage 2 leaf of normal memory. */
#define S2_READ  (1ull << 6)
#define S2_WRITE (1ull << 7)
#define S2       (AF | INNER | 15ull << 2 | S2_READ | S2_WRITE)

#define ROOT   HW_MEMORY_BASE
#define LEVEL2 (ROOT + 0x20000)
#define LEVEL3 (ROOT + 0x30000)

#define RW  (HW_READ | HW_WRITE)
#define RWX (RW | HW_EXEC)

#define IOVA  0x40201000ull /* item 1 in each table of 39 bits and 4 KiB */
#define PADDR 0x923456789000ull

static struct hw_tables begin(const char *format, uint64_t leaf)
{
	hw_memory_clear(0);
	hw_put(ROOT, 1, LEVEL2 | TABLE);
	hw_put(LEVEL2, 1, LEVEL3 | TABLE);
	hw_put(LEVEL3, 1, PADDR | PAGE | leaf);
	return hw_memory_tables(format, 39);
}

static void assert_item(const struct hw_tables *tables, uint64_t table, uint64_t item,
			enum hw_fault fault)
{
	hw_put(table, 1, item);
	assert_fault(tables, IOVA, HW_READ, fault);
}

static void assert_access(const struct hw_tables *tables, uint64_t table, uint64_t item,
			  unsigned int access, bool dirty)
{
	struct hw_translation got;

	hw_put(table, 1, item);
	assert_int_equal(hw_translate(tables, IOVA, 0, &got), HW_FAULT_NONE);
	assert_int_equal(got.access, access);
	assert_int_equal(got.dirty, dirty);
	assert_fault(tables, IOVA, HW_READ, access & HW_READ ? HW_FAULT_NONE : HW_FAULT_READ);
	assert_fault(tables, IOVA, HW_WRITE, access & HW_WRITE ? HW_FAULT_NONE : HW_FAULT_WRITE);
}

static void stage1_permissions(void **state)
{
	struct hw_tables tables = begin("arm64-s1", S1);
	uint64_t page = PADDR | PAGE | AF | INNER;

	assert_translates(&tables, IOVA + 0x123, PADDR + 0x123, 12, RWX);
	assert_access(&tables, LEVEL3, page | EL0 | UXN, RW, true);
	assert_access(&tables, LEVEL3, page | EL0 | PXN, RWX, true);
	assert_access(&tables, LEVEL3, page | EL0 | DBM, RWX, true);
	assert_access(&tables, LEVEL3, page | EL0 | READ_ONLY, HW_READ | HW_EXEC, false);
	assert_access(&tables, LEVEL3, page | EL0 | READ_ONLY | DBM, RWX, false);
	assert_access(&tables, LEVEL3, page | UXN, 0, false);
	assert_access(&tables, LEVEL3, page | UXN | READ_ONLY | DBM, 0, false);
}

static void stage1_table_attributes(void **state)
{
	struct hw_tables tables = begin("arm64-s1", S1);

	assert_access(&tables, LEVEL2, LEVEL3 | TABLE | 1ull << 62, HW_READ | HW_EXEC, true);
	assert_access(&tables, LEVEL2, LEVEL3 | TABLE | 1ull << 61, HW_EXEC, true);
	assert_access(&tables, LEVEL2, LEVEL3 | TABLE | 1ull << 60, RW, true);
	assert_access(&tables, LEVEL2, LEVEL3 | TABLE | 1ull << 59, RWX, true);
	assert_access(&tables, LEVEL2, LEVEL3 | TABLE | 1ull << 63, RWX, true);
	/* Each level takes something away. */
	hw_put(LEVEL2, 1, LEVEL3 | TABLE | 1ull << 60);
	assert_access(&tables, ROOT, LEVEL2 | TABLE | 1ull << 62, HW_READ, true);
}

static void stage2_permissions(void **state)
{
	struct hw_tables tables = begin("arm64-s2", S2);
	uint64_t page = PADDR | PAGE | (S2 & ~(S2_READ | S2_WRITE));

	assert_translates(&tables, IOVA + 0x123, PADDR + 0x123, 12, RWX);
	assert_access(&tables, LEVEL3, page | S2_READ | S2_WRITE | UXN, RW, true);
	assert_access(&tables, LEVEL3, page | S2_READ | UXN, HW_READ, false);
	assert_access(&tables, LEVEL3, page | S2_READ | UXN | DBM, RW, false);
	assert_access(&tables, LEVEL3, page | S2_WRITE | UXN, HW_WRITE, true);
	assert_access(&tables, LEVEL3, page | UXN, 0, false);
	assert_access(&tables, LEVEL3, page | UXN | DBM, HW_WRITE, false);
}

static void absent_and_not_accessed(void **state)
{
	struct hw_tables tables = begin("arm64-s1", S1);

	assert_item(&tables, LEVEL3, (PADDR | PAGE | S1) & ~VALID, HW_FAULT_NOT_PRESENT);
	assert_item(&tables, LEVEL3, (PADDR | PAGE | S1) & ~AF, HW_FAULT_ACCESS_FLAG);
	assert_item(&tables, LEVEL2, LEVEL3 | 2, HW_FAULT_NOT_PRESENT);
	assert_item(&tables, LEVEL2, 0x1000 | TABLE, HW_FAULT_MEMORY);
	assert_fault(&tables, 1ull << 39, HW_READ, HW_FAULT_ADDRESS);
	assert_fault(&tables, -4096ull, HW_READ, HW_FAULT_ADDRESS);
}

static void reserved_in_leaves(void **state)
{
	struct hw_tables tables = begin("arm64-s1", S1);
	uint64_t page = PADDR | PAGE | S1;

	assert_item(&tables, LEVEL3, page & ~2ull, HW_FAULT_RESERVED);
	for (unsigned int bit = 48; bit <= 50; bit++)
		assert_item(&tables, LEVEL3, page | 1ull << bit, HW_FAULT_RESERVED);
	assert_item(&tables, LEVEL3, (page & ~INNER) | 1 << 8, HW_FAULT_RESERVED);
	assert_item(&tables, LEVEL3, page | 0xfull << 55, HW_FAULT_NONE); /* for software */
	tables.output_width = 44;
	assert_item(&tables, LEVEL3, page, HW_FAULT_RESERVED);
	tables = begin("arm64-s2", S2);
	page = PADDR | PAGE | S2;
	assert_item(&tables, LEVEL3, page | 1ull << 53, HW_FAULT_RESERVED);
	assert_item(&tables, LEVEL3, page | 1ull << 11, HW_FAULT_RESERVED);
	for (unsigned int type = 0; type < 16; type++)
		assert_item(&tables, LEVEL3, (page & ~0x3cull) | type << 2,
			    type && type % 4 == 0 ? HW_FAULT_RESERVED : HW_FAULT_NONE);
}

static void reserved_in_tables(void **state)
{
	struct hw_tables tables = begin("arm64-s1", S1);

	for (unsigned int bit = 48; bit <= 50; bit++)
		assert_item(&tables, LEVEL2, LEVEL3 | TABLE | 1ull << bit, HW_FAULT_RESERVED);
	assert_item(&tables, LEVEL2, LEVEL3 | TABLE | 0xffull << 51, HW_FAULT_NONE); /* ignored */
	tables.output_width = 30;
	assert_item(&tables, LEVEL2, LEVEL3 | TABLE, HW_FAULT_RESERVED);
	tables = begin("arm64-s2", S2);
	for (unsigned int bit = 59; bit <= 63; bit++)
		assert_item(&tables, LEVEL2, LEVEL3 | TABLE | 1ull << bit, HW_FAULT_RESERVED);
}

/* For each granule, what a block may be at levels 3 (no such thing) to 0. */
static void blocks(void **state)
{
	static const struct {
		unsigned int granule_lg2, width;
		int faults_at[4];
	} cases[] = {
		{12, 48, {1, 0, 0, 1}},
		{14, 48, {1, 0, 1, 1}},
		{16, 48, {1, 0, 0, 1}},
		{16, 52, {1, 0, 0, 1}},
	};

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct hw_tables tables = hw_memory_tables("arm64-s1", cases[i].width);
		unsigned int bits = cases[i].granule_lg2 - 3;
		struct hw_layout layout;
		uint64_t table = ROOT;

		tables.granule_lg2 = cases[i].granule_lg2;
		assert_int_equal(hw_layout(&tables, &layout), 0);
		hw_memory_clear(0);
		for (unsigned int level = layout.levels; level--;) {
			unsigned int shift = tables.granule_lg2 + level * bits;
			uint64_t next = table + 0x20000, iova = 1ull << shift;

			hw_put(table, 0, next | TABLE);
			hw_put(table, 1, (7ull << shift & 0xffff00000000) | VALID | S1);
			if (cases[i].faults_at[level])
				assert_fault(&tables, iova, HW_READ, HW_FAULT_RESERVED);
			else
				assert_translates(&tables, iova + 5,
						  (7ull << shift & 0xffff00000000) + 5, shift, RWX);
			table = next;
		}
	}
}

static void misaligned_blocks(void **state)
{
	struct hw_tables tables = begin("arm64-s1", S1);

	assert_item(&tables, LEVEL2, 0x923456600000 | VALID | S1, HW_FAULT_NONE);
	for (unsigned int bit = 12; bit < 21; bit++)
		assert_item(&tables, LEVEL2, 0x923456600000 | 1 << bit | VALID | S1,
			    HW_FAULT_RESERVED);
}

static void output_of_52_bits(void **state)
{
	struct hw_tables tables = hw_memory_tables("arm64-s1", 42);
	uint64_t paddr = 0xf923456780000, item = 0x923456780000 | 0xf000 | PAGE | S1;

	hw_memory_clear(0);
	tables.granule_lg2 = 16;
	hw_put(ROOT, 1, LEVEL3 | TABLE);
	hw_put(LEVEL3, 1, item);
	assert_translates(&tables, 0x20010123, paddr + 0x123, 16, RWX);
	hw_put(ROOT, 1, 0x900020000000 | 0xf000 | VALID | S1);
	assert_translates(&tables, 0x20010123, 0xf900020010123, 29, RWX);
	tables.output_width = 48;
	assert_fault(&tables, 0x20010123, HW_READ, HW_FAULT_RESERVED);
	/* A block of 4 TiB needs all 52 bits. */
	tables.address_width = 48;
	hw_put(ROOT, 1, 0x940000000000 | VALID | S1);
	assert_fault(&tables, 1ull << 42, HW_READ, HW_FAULT_RESERVED);
	tables.output_width = 52;
	assert_translates(&tables, (1ull << 42) + 7, 0x940000000007, 42, RWX);
}

/* Fill a run of @count items that begins with item @count of @table, and spoil it. */
static void try_run(const struct hw_tables *tables, uint64_t table, unsigned int shift,
		    unsigned int count, uint64_t leaf)
{
	uint64_t size = (uint64_t)count << shift, iova = size, paddr = 0x800000000000 | 5 * size;
	unsigned int lg2 = shift + (unsigned int)__builtin_ctz(count);

	for (unsigned int i = 0; i < count; i++)
		hw_put(table, count + i, (paddr + ((uint64_t)i << shift)) | leaf | CONTIGUOUS);
	assert_translates(tables, iova + 1, paddr + 1, lg2, RWX);
	assert_translates(tables, iova + size - 1, paddr + size - 1, lg2, RWX);
	/* An item that is the first one's: what a run alike in all items would be. */
	hw_put(table, 2 * count - 1, paddr | leaf | CONTIGUOUS);
	assert_fault(tables, iova, HW_READ, HW_FAULT_RESERVED);
	assert_fault(tables, iova + size - 1, HW_READ, HW_FAULT_RESERVED);
	hw_put(table, 2 * count - 1, (paddr + size - (1ull << shift)) | leaf);
	assert_fault(tables, iova, HW_READ, HW_FAULT_RESERVED);
	hw_put(table, 2 * count - 1, 0);
	assert_fault(tables, iova, HW_READ, HW_FAULT_RESERVED);
	hw_put(table, 2 * count - 1,
	       (paddr + size - (1ull << shift)) | leaf | CONTIGUOUS | READ_ONLY);
	assert_fault(tables, iova, HW_READ, HW_FAULT_RESERVED);
}

static void contiguous_runs(void **state)
{
	static const struct {
		unsigned int granule_lg2, count[3]; /* of items from level 3 up */
	} cases[] = {{12, {16, 16, 16}}, {14, {128, 32, 0}}, {16, {32, 32, 0}}};

	for (unsigned int i = 0; i < 3; i++) {
		unsigned int granule_lg2 = cases[i].granule_lg2, bits = granule_lg2 - 3;
		struct hw_tables tables = hw_memory_tables("arm64-s1", granule_lg2 == 12 ? 39 : 47);

		tables.granule_lg2 = granule_lg2;
		for (unsigned int level = 0; level < 3 && cases[i].count[level]; level++) {
			unsigned int shift = granule_lg2 + level * bits;
			uint64_t table = ROOT;

			hw_memory_clear(0);
			for (unsigned int at = 2; at > level; at--, table += 0x20000)
				hw_put(table, 0, (table + 0x20000) | TABLE);
			try_run(&tables, table, shift, cases[i].count[level],
				S1 | (level ? VALID : PAGE));
		}
	}
}

static void wrong_runs(void **state)
{
	struct hw_tables tables = hw_memory_tables("arm64-s1", 33); /* 8 items of 1 GiB */

	hw_memory_clear(0);
	for (unsigned int i = 0; i < 8; i++)
		hw_put(ROOT, i, (uint64_t)i << 30 | VALID | S1 | CONTIGUOUS);
	assert_fault(&tables, 0, HW_READ, HW_FAULT_RESERVED);
	tables.address_width = 34; /* one run fills the table */
	for (unsigned int i = 0; i < 16; i++)
		hw_put(ROOT, i, (uint64_t)i << 30 | VALID | S1 | CONTIGUOUS);
	assert_translates(&tables, (1ull << 34) - 1, (1ull << 34) - 1, 34, RWX);
	/* No runs of blocks of 4 TiB. */
	tables.address_width = 52;
	tables.granule_lg2 = 16;
	for (unsigned int i = 0; i < 32; i++)
		hw_put(ROOT, i, (uint64_t)i << 42 | VALID | S1 | CONTIGUOUS);
	assert_fault(&tables, 0, HW_READ, HW_FAULT_RESERVED);
}

static void assert_layout(const char *format, unsigned int granule_lg2, unsigned int width,
			  unsigned int levels, unsigned int top_items)
{
	struct hw_tables tables = hw_memory_tables(format, width);
	struct hw_layout layout;

	tables.granule_lg2 = granule_lg2;
	assert_int_equal(hw_layout(&tables, &layout), 0);
	assert_int_equal(layout.levels, levels);
	assert_int_equal(1u << layout.level[levels - 1].bits, top_items);
}

static void layouts(void **state)
{
	assert_layout("arm64-s1", 12, 25, 2, 16);
	assert_layout("arm64-s1", 12, 30, 2, 512);
	assert_layout("arm64-s1", 12, 31, 3, 2);
	assert_layout("arm64-s1", 0, 39, 3, 512);
	assert_layout("arm64-s1", 12, 40, 4, 2);
	assert_layout("arm64-s1", 12, 48, 4, 512);
	assert_layout("arm64-s1", 14, 25, 1, 2048);
	assert_layout("arm64-s1", 14, 47, 3, 2048);
	assert_layout("arm64-s1", 14, 48, 4, 2);
	assert_layout("arm64-s1", 16, 29, 1, 8192);
	assert_layout("arm64-s1", 16, 42, 2, 8192);
	assert_layout("arm64-s1", 16, 48, 3, 64);
	assert_layout("arm64-s1", 16, 52, 3, 1024);
	/* Tables joined at the top, only where a level goes away. */
	assert_layout("arm64-s2", 12, 39, 3, 512);
	assert_layout("arm64-s2", 12, 40, 3, 1024);
	assert_layout("arm64-s2", 12, 43, 3, 8192);
	assert_layout("arm64-s2", 12, 44, 4, 32);
	assert_layout("arm64-s2", 12, 31, 3, 2);
	assert_layout("arm64-s2", 14, 47, 3, 2048);
	assert_layout("arm64-s2", 14, 48, 3, 4096);
	assert_layout("arm64-s2", 16, 43, 3, 2);
}

static void wrong_layouts(void **state)
{
	static const char *const formats[] = {"arm64-s1", "arm64-s2"};
	struct hw_layout layout;

	for (unsigned int i = 0; i < 2; i++) {
		struct hw_tables tables = hw_memory_tables(formats[i], 24);

		assert_int_equal(hw_layout(&tables, &layout), -EINVAL);
		tables.address_width = 49;
		assert_int_equal(hw_layout(&tables, &layout), -EINVAL);
		tables.granule_lg2 = 16;
		assert_int_equal(hw_layout(&tables, &layout), 0);
		tables.address_width = 53;
		assert_int_equal(hw_layout(&tables, &layout), -EINVAL);
		tables.address_width = 48;
		tables.granule_lg2 = 13;
		assert_int_equal(hw_layout(&tables, &layout), -EINVAL);
		tables.granule_lg2 = 12;
		tables.levels = 3;
		assert_int_equal(hw_layout(&tables, &layout), -EINVAL);
		tables.levels = 5;
		assert_int_equal(hw_layout(&tables, &layout), -EINVAL);
	}
}

/* The joined tables are one; where they end, the address does. */
static void joined_tables(void **state)
{
	struct hw_tables tables = hw_memory_tables("arm64-s2", 40);

	hw_memory_clear(0);
	hw_put(ROOT, 1023, LEVEL2 | TABLE);
	hw_put(LEVEL2, 511, 0x923456600000 | VALID | S2);
	assert_translates(&tables, (1ull << 40) - 1, 0x9234567fffff, 21, RWX);
	assert_fault(&tables, 1ull << 40, HW_READ, HW_FAULT_ADDRESS);
	/* The same addresses with a table of level 0, as SL0 may choose. */
	tables.levels = 4;
	hw_put(ROOT, 1, (LEVEL3) | TABLE);
	hw_put(LEVEL3, 511, LEVEL2 | TABLE);
	assert_translates(&tables, (1ull << 40) - 1, 0x9234567fffff, 21, RWX);
	tables.levels = 0;
	tables.root += 0x1000; /* not a multiple of both tables' size */
	assert_int_not_equal(hw_translate(&tables, 0, HW_READ, &(struct hw_translation){}),
			     HW_FAULT_NONE);
}

static void fields(void **state)
{
	assert_fields_disjoint("arm64-s1");
	assert_fields_disjoint("arm64-s2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stage1_permissions),
		cmocka_unit_test(stage1_table_attributes),
		cmocka_unit_test(stage2_permissions),
		cmocka_unit_test(absent_and_not_accessed),
		cmocka_unit_test(reserved_in_leaves),
		cmocka_unit_test(reserved_in_tables),
		cmocka_unit_test(blocks),
		cmocka_unit_test(misaligned_blocks),
		cmocka_unit_test(output_of_52_bits),
		cmocka_unit_test(contiguous_runs),
		cmocka_unit_test(wrong_runs),
		cmocka_unit_test(layouts),
		cmocka_unit_test(wrong_layouts),
		cmocka_unit_test(joined_tables),
		cmocka_unit_test(fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
