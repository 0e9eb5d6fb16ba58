// SPDX-License-Identifier: MIT
/*
 * The listing of page tables, on tables made by hand: what it says of sound ones,
 * and that it says something, and ends, of such as nobody should have made.
 */
#include <errno.h>
#include <stdlib.h>

#include "tests/common.h"
#include "tests/hw_memory.h"

#define BIT(n) (1ull << (n))
#define SEED   0x115715ULL

#define ROOT    HW_MEMORY_BASE
#define TABLE_2 (ROOT + 0x1000)
#define TABLE_1 (ROOT + 0x2000)
#define TABLE_0 (ROOT + 0x3000)
#define END     (HW_MEMORY_BASE + HW_MEMORY_SIZE)

#define VTD     3ull /* R and W */
#define VTD_PS  BIT(7)
#define X86     7ull /* P, RW and US */
#define AMD     (BIT(0) | BIT(61) | BIT(62))
#define NEXT(n) ((uint64_t)(n) << 9)

#define MOST 64

struct seen {
	struct hw_found found[MOST];
	struct hw_table tables[MOST];
	uint64_t count, nr_tables, stop_after;
	uint64_t next; /* no leaf may begin before it */
	bool wrapped;
};

static bool note_found(void *context, const struct hw_found *found)
{
	struct seen *seen = context;

	assert_false(seen->wrapped);
	assert_true(found->iova >= seen->next);
	seen->next = found->iova + found->size;
	seen->wrapped = !seen->next;
	assert_true(found->item.kind == HW_LEAF || found->item.kind == HW_BAD);
	assert_int_equal(found->item.kind == HW_BAD, found->item.fault != HW_FAULT_NONE);
	if (found->item.kind == HW_BAD)
		assert_non_null(found->item.why);
	if (seen->count < MOST)
		seen->found[seen->count] = *found;
	return ++seen->count != seen->stop_after;
}

static bool note_table(void *context, const struct hw_table *table)
{
	struct seen *seen = context;

	assert_int_equal(table->items, table->leaves + table->tables + table->bad);
	if (seen->nr_tables < MOST)
		seen->tables[seen->nr_tables] = *table;
	return ++seen->nr_tables != seen->stop_after;
}

static int list(const struct hw_tables *tables, uint64_t budget, struct seen *seen)
{
	uint64_t stop_after = seen->stop_after;
	const struct hw_list_ops ops = {
		.found = note_found,
		.table = note_table,
		.context = seen,
		.budget = budget,
	};

	*seen = (struct seen){.stop_after = stop_after};
	return hw_list(tables, &ops);
}

static void assert_leaf(const struct seen *seen, unsigned int i, uint64_t iova, unsigned int lg2,
			uint64_t paddr, unsigned int access)
{
	const struct hw_found *found = &seen->found[i];

	assert_true(i < seen->count);
	assert_int_equal(found->iova, iova);
	assert_int_equal(found->size, BIT(lg2));
	assert_int_equal(found->item.kind, HW_LEAF);
	assert_int_equal(found->item.address, paddr);
	assert_int_equal(found->access & (HW_READ | HW_WRITE), access);
}

static void assert_bad(const struct seen *seen, unsigned int i, uint64_t iova, uint64_t size,
		       enum hw_fault fault)
{
	const struct hw_found *found = &seen->found[i];

	assert_true(i < seen->count);
	assert_int_equal(found->iova, iova);
	assert_int_equal(found->size, size);
	assert_int_equal(found->item.kind, HW_BAD);
	assert_string_equal(hw_fault_name(found->item.fault), hw_fault_name(fault));
	assert_int_equal(found->access, 0);
}

static void assert_table(const struct seen *seen, unsigned int i, uint64_t paddr, uint64_t iova,
			 unsigned int level, unsigned int leaves, unsigned int tables,
			 unsigned int bad)
{
	const struct hw_table *table = &seen->tables[i];

	assert_true(i < seen->nr_tables);
	assert_int_equal(table->paddr, paddr);
	assert_int_equal(table->iova, iova);
	assert_int_equal(table->level, level);
	assert_int_equal(table->leaves, leaves);
	assert_int_equal(table->tables, tables);
	assert_int_equal(table->bad, bad);
}

static void sound_tables(void **state)
{
	struct hw_tables tables = hw_memory_tables("vtd", 48);
	struct seen seen = {0};

	hw_memory_clear(0);
	assert_int_equal(list(&tables, 0, &seen), 0);
	assert_int_equal(seen.count, 0);
	assert_int_equal(seen.nr_tables, 1);
	hw_put(ROOT, 2, TABLE_2 | VTD);
	hw_put(TABLE_2, 0, TABLE_1 | VTD);
	hw_put(TABLE_2, 5, 0x40000000 | VTD_PS | VTD);
	hw_put(TABLE_1, 1, 0x200000 | VTD_PS | 1);
	hw_put(TABLE_1, 2, TABLE_0 | 1);
	hw_put(TABLE_0, 0, 0x7000 | VTD);
	hw_put(TABLE_0, 511, 0x8000 | 2);
	assert_int_equal(list(&tables, 0, &seen), 0);
	assert_int_equal(seen.count, 4);
	assert_leaf(&seen, 0, BIT(40) + BIT(21), 21, 0x200000, HW_READ);
	assert_leaf(&seen, 1, BIT(40) + 2 * BIT(21), 12, 0x7000, HW_READ);
	assert_leaf(&seen, 2, BIT(40) + 3 * BIT(21) - 0x1000, 12, 0x8000, 0);
	assert_leaf(&seen, 3, BIT(40) + 5 * BIT(30), 30, 0x40000000, HW_READ | HW_WRITE);
	assert_int_equal(seen.found[0].level, 1);
	assert_int_equal(seen.found[0].item_paddr, TABLE_1 + 8);
	assert_int_equal(seen.found[2].item_paddr, TABLE_0 + 511 * 8);
	assert_int_equal(seen.nr_tables, 4);
	assert_table(&seen, 0, TABLE_0, BIT(40) + 2 * BIT(21), 0, 2, 0, 0);
	assert_table(&seen, 1, TABLE_1, BIT(40), 1, 1, 1, 0);
	assert_table(&seen, 2, TABLE_2, BIT(40), 2, 1, 1, 0);
	assert_table(&seen, 3, ROOT, 0, 3, 0, 1, 0);
}

/* Addresses of the upper half come last, sign-extended. */
static void upper_half(void **state)
{
	struct hw_tables tables = hw_memory_tables("x86_64", 48);
	struct seen seen = {0};

	hw_memory_clear(0);
	hw_put(ROOT, 255, TABLE_2 | X86);
	hw_put(ROOT, 256, TABLE_2 | X86);
	hw_put(ROOT, 511, TABLE_2 | X86);
	hw_put(TABLE_2, 511, 0x40000000 | BIT(7) | X86);
	assert_int_equal(list(&tables, 0, &seen), 0);
	assert_int_equal(seen.count, 3);
	assert_leaf(&seen, 0, BIT(47) - BIT(30), 30, 0x40000000, HW_READ | HW_WRITE);
	assert_leaf(&seen, 1, -BIT(47) + BIT(39) - BIT(30), 30, 0x40000000, HW_READ | HW_WRITE);
	assert_leaf(&seen, 2, -BIT(30), 30, 0x40000000, HW_READ | HW_WRITE);
	assert_table(&seen, 1, TABLE_2, -BIT(47), 2, 1, 0, 0);
	assert_true(seen.wrapped);
}

/* A page that several items form is one leaf, and bad items if one of them differs. */
static void runs(void **state)
{
	const uint64_t page = 0x40000 | 0x7000 | NEXT(7) | AMD; /* 64 KiB */
	struct hw_tables tables = hw_memory_tables("amdv1", 21);
	struct seen seen = {0};

	hw_memory_clear(0);
	for (unsigned int i = 16; i < 48; i++)
		hw_put(ROOT, i, page);
	hw_put(ROOT, 50, 0x1000 | AMD);
	assert_int_equal(list(&tables, 0, &seen), 0);
	assert_int_equal(seen.count, 3);
	assert_leaf(&seen, 0, 0x10000, 16, 0x40000, HW_READ | HW_WRITE);
	assert_leaf(&seen, 1, 0x20000, 16, 0x40000, HW_READ | HW_WRITE);
	assert_leaf(&seen, 2, 0x32000, 12, 0x1000, HW_READ | HW_WRITE);
	assert_table(&seen, 0, ROOT, 0, 0, 33, 0, 0);
	/* One page in the midst of the first run translates; its neighbours do not. */
	hw_put(ROOT, 18, 0x2000 | AMD);
	assert_int_equal(list(&tables, 0, &seen), 0);
	assert_int_equal(seen.count, 18);
	for (unsigned int i = 0; i < 16; i++)
		if (i == 2)
			assert_leaf(&seen, i, 0x12000, 12, 0x2000, HW_READ | HW_WRITE);
		else
			assert_bad(&seen, i, 0x10000 + i * 0x1000, 0x1000, HW_FAULT_RESERVED);
	assert_leaf(&seen, 16, 0x20000, 16, 0x40000, HW_READ | HW_WRITE);
	assert_table(&seen, 0, ROOT, 0, 0, 18, 0, 15);
	/* A hole, where nothing is listed, at the start. */
	hw_put(ROOT, 18, page);
	hw_put(ROOT, 16, 0);
	assert_int_equal(list(&tables, 0, &seen), 0);
	assert_int_equal(seen.count, 17);
	assert_bad(&seen, 0, 0x11000, 0x1000, HW_FAULT_RESERVED);
}

/* A table reached past levels spans only a part of its item. */
static void skipped_levels(void **state)
{
	struct hw_tables tables = hw_memory_tables("amdv1", 48);
	struct seen seen = {0};

	hw_memory_clear(0);
	hw_put(ROOT, 3, TABLE_0 | NEXT(1) | AMD);
	hw_put(TABLE_0, 511, 0x1000 | AMD);
	assert_int_equal(list(&tables, 0, &seen), 0);
	assert_int_equal(seen.count, 1);
	assert_leaf(&seen, 0, 3 * BIT(39) + 511 * 0x1000, 12, 0x1000, HW_READ | HW_WRITE);
	assert_int_equal(seen.nr_tables, 2);
}

/* What lies beyond the width is not listed: no address leads there. */
static void beyond_the_width(void **state)
{
	struct hw_tables tables = hw_memory_tables("vtd", 36);
	struct seen seen = {0};

	hw_memory_clear(0);
	hw_put(ROOT, 63, 0x40000000 | VTD_PS | VTD);
	hw_put(ROOT, 64, 0x80000000 | VTD_PS | VTD);
	hw_put(ROOT, 511, BIT(62) | VTD);
	assert_int_equal(list(&tables, 0, &seen), 0);
	assert_int_equal(seen.count, 1);
	assert_leaf(&seen, 0, 63 * BIT(30), 30, 0x40000000, HW_READ | HW_WRITE);
}

static void no_memory(void **state)
{
	struct hw_tables tables = hw_memory_tables("vtd", 48);
	struct seen seen = {0};

	hw_memory_clear(0);
	/* Where nothing can be read, the table is one bad piece. */
	hw_put(ROOT, 1, END | VTD);
	hw_put(ROOT, 2, TABLE_2 | VTD);
	hw_put(TABLE_2, 7, (BIT(52) - 0x1000) | VTD);
	assert_int_equal(list(&tables, 0, &seen), 0);
	assert_int_equal(seen.count, 2);
	assert_bad(&seen, 0, BIT(39), BIT(39), HW_FAULT_MEMORY);
	assert_bad(&seen, 1, 2 * BIT(39) + 7 * BIT(30), BIT(30), HW_FAULT_MEMORY);
	assert_table(&seen, 0, END, BIT(39), 2, 0, 0, 512);
	assert_table(&seen, 3, ROOT, 0, 3, 0, 2, 0);
	tables.root = -0x1000ull;
	assert_int_equal(list(&tables, 0, &seen), 0);
	assert_int_equal(seen.count, 1);
	assert_bad(&seen, 0, 0, BIT(48), HW_FAULT_MEMORY);
	/* The whole of an address space: in two halves, and of 64 bits. */
	tables = hw_memory_tables("x86_64", 57);
	tables.root = END;
	assert_int_equal(list(&tables, 0, &seen), 0);
	assert_int_equal(seen.count, 2);
	assert_bad(&seen, 0, 0, BIT(56), HW_FAULT_MEMORY);
	assert_bad(&seen, 1, -BIT(56), BIT(56), HW_FAULT_MEMORY);
	tables = hw_memory_tables("amdv1", 64);
	tables.root = END;
	assert_int_equal(list(&tables, 0, &seen), 0);
	assert_int_equal(seen.count, 1);
	assert_bad(&seen, 0, 0, 0, HW_FAULT_MEMORY);
}

/* Memory without its part from @context on, be that the middle of a table. */
static bool read_until(void *context, uint64_t paddr, void *to, size_t bytes)
{
	return paddr + bytes <= *(const uint64_t *)context &&
	       hw_memory_read(NULL, paddr, to, bytes);
}

static void half_a_table(void **state)
{
	uint64_t end = ROOT + 24 * 8;
	const struct hw_memory memory = {.read = read_until, .context = &end};
	const uint64_t page = 0x40000 | 0x7000 | NEXT(7) | AMD; /* 64 KiB */
	struct hw_tables tables = hw_memory_tables("amdv1", 21);
	struct hw_translation got;
	struct seen seen = {0};

	hw_memory_clear(0);
	tables.memory = &memory;
	hw_put(ROOT, 3, 0x5000 | AMD);
	hw_put(ROOT, 15, 0x6000 | AMD);
	for (unsigned int i = 16; i < 32; i++)
		hw_put(ROOT, i, page);
	assert_int_equal(list(&tables, 0, &seen), 0);
	assert_int_equal(seen.count, 2 + 8 + 1);
	assert_leaf(&seen, 0, 0x3000, 12, 0x5000, HW_READ | HW_WRITE);
	/* The run reaches into where nothing is. */
	for (unsigned int i = 0; i < 8; i++) {
		assert_bad(&seen, 2 + i, 0x10000 + i * 0x1000, 0x1000, HW_FAULT_MEMORY);
		assert_int_equal(hw_translate(&tables, 0x10000 + i * 0x1000, 0, &got),
				 HW_FAULT_MEMORY);
	}
	assert_bad(&seen, 10, 0x18000, BIT(21) - 0x18000, HW_FAULT_MEMORY);
	assert_table(&seen, 0, ROOT, 0, 0, 2, 0, 8 + 488);
}

/* Every item points to the next level's only table: 512^4 leaves in four pages. */
static void fill(uint64_t table, uint64_t item)
{
	for (unsigned int i = 0; i < 512; i++)
		hw_put(table, i, item);
}

static void more_than_anybody_has_time_for(void **state)
{
	struct hw_tables tables = hw_memory_tables("vtd", 48);
	struct seen seen = {0};

	fill(ROOT, TABLE_2 | VTD);
	fill(TABLE_2, TABLE_1 | VTD);
	fill(TABLE_1, TABLE_0 | VTD);
	fill(TABLE_0, 0x1000 | VTD);
	assert_int_equal(list(&tables, 1000000, &seen), -E2BIG);
	assert_in_range(seen.count, 990000, 1000000);
	/* The whole, when it fits the budget exactly, and when it just does not. */
	fill(ROOT, 0);
	fill(TABLE_2, 0);
	fill(TABLE_1, 0);
	hw_put(ROOT, 0, TABLE_2 | VTD);
	hw_put(TABLE_2, 0, TABLE_1 | VTD);
	hw_put(TABLE_1, 0, TABLE_0 | VTD);
	hw_put(TABLE_1, 511, TABLE_0 | VTD);
	assert_int_equal(list(&tables, 5 * 512, &seen), 0);
	assert_int_equal(seen.count, 1024);
	assert_int_equal(seen.nr_tables, 5);
	assert_int_equal(list(&tables, 5 * 512 - 1, &seen), -E2BIG);
}

/* A table that points to itself is one of each level below. */
static void loops(void **state)
{
	struct hw_tables tables = hw_memory_tables("vtd", 57);
	struct seen seen = {0};

	hw_memory_clear(0);
	hw_put(ROOT, 1, ROOT | VTD);
	hw_put(ROOT, 511, ROOT | VTD);
	assert_int_equal(list(&tables, 0, &seen), 0);
	assert_int_equal(seen.count, 2 * 2 * 2 * 2 * 2);
	assert_int_equal(seen.nr_tables, 1 + 2 + 4 + 8 + 16);
	fill(ROOT, ROOT | VTD);
	assert_int_equal(list(&tables, 100000, &seen), -E2BIG);
	/* Of AMD tables the level is in the item, so a loop is one no longer. */
	tables = hw_memory_tables("amdv1", 48);
	fill(ROOT, ROOT | NEXT(3) | AMD);
	assert_int_equal(list(&tables, 0, &seen), 0);
	assert_int_equal(seen.count, 512 * 512);
	assert_bad(&seen, 0, 0, BIT(30), HW_FAULT_LEVEL);
	fill(ROOT, ROOT | NEXT(4) | AMD);
	assert_int_equal(list(&tables, 0, &seen), 0);
	assert_int_equal(seen.count, 512);
	assert_bad(&seen, 0, 0, BIT(39), HW_FAULT_LEVEL);
}

static void callbacks_end_it(void **state)
{
	struct hw_tables tables = hw_memory_tables("vtd", 48);
	const struct hw_list_ops nothing = {0};
	struct seen seen = {.stop_after = 3};

	hw_memory_clear(0);
	hw_put(ROOT, 0, TABLE_2 | VTD);
	hw_put(TABLE_2, 0, TABLE_1 | VTD);
	assert_int_equal(list(&tables, 0, &seen), -ECANCELED); /* by the third table */
	assert_int_equal(seen.nr_tables, 3);
	fill(TABLE_1, VTD_PS | VTD);
	assert_int_equal(list(&tables, 0, &seen), -ECANCELED);
	assert_int_equal(seen.count, 3);
	assert_int_equal(hw_list(&tables, &nothing), 0);
	tables.address_width = 12;
	assert_int_equal(hw_list(&tables, &nothing), -EINVAL);
}

/* What came up in random tables, of any kind. */
struct random_seen {
	struct hw_tables tables;
	uint64_t leaves, runs, faults[HW_NR_FAULTS];
};

/* What the listing says of an address is what a device would be told. */
static bool agree_found(void *context, const struct hw_found *found)
{
	struct random_seen *seen = context;
	const struct hw_tables *tables = &seen->tables;
	struct hw_translation got;

	hw_translate(tables, found->iova, 0, &got);
	assert_int_equal(got.fault, found->item.fault);
	seen->faults[got.fault]++;
	if (got.fault != HW_FAULT_NONE)
		return true;
	seen->leaves++;
	seen->runs += !!found->item.run_lg2;
	assert_int_equal(got.paddr, found->item.address);
	assert_int_equal(got.access, found->access);
	assert_int_equal(1ull << got.size_lg2, found->size);
	assert_int_equal(got.dirty, found->item.dirty);
	return true;
}

/* An item that often leads to a table, in the format's way. */
static uint64_t random_item(uint64_t *random, const char *format)
{
	uint64_t value = random_next(random), kind = random_below(random, 16);
	uint64_t table = HW_MEMORY_BASE + random_below(random, 128) * 0x1000;

	if (kind < 12)
		value &= random_next(random) & random_next(random);
	if (kind < 10)
		value = (value & 0xfff) | table | 1;
	if (kind < 6)
		value &= ~0xe00ull;
	if (kind == 6) /* AMD v1: a page of two items, which may come out alike */
		value = AMD | NEXT(7) | (table & ~0x1000ull);
	if (kind == 15)
		value = 0;
	/* RISC-V keeps its addresses two bits lower. */
	if (kind < 10 && random_below(random, 2) && !strcmp(format, "riscv64"))
		value = table >> 2 | 1;
	return strcmp(format, "s390") ? value : __builtin_bswap64(value);
}

static void random_memory(uint64_t *random, const char *format)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < HW_MEMORY_SIZE / 8; i++) {
		if (i % 16 == 0 || random_below(random, 2))
			value = random_item(random, format);
		hw_put(HW_MEMORY_BASE, i, value);
	}
}

static void list_random_memory(struct random_seen *seen, const struct hw_format *format)
{
	for (unsigned int width = 25; width <= 64; width++) {
		const struct hw_list_ops ops = {
			.found = agree_found,
			.context = seen,
			.budget = 20000,
		};
		int ret;

		seen->tables = hw_memory_tables(format->name, width);
		ret = hw_list(&seen->tables, &ops);
		assert_true(ret == 0 || ret == -E2BIG || ret == -EINVAL);
	}
}

static void random_bytes(void **state)
{
	const struct hw_format *format;
	uint64_t random = SEED;

	for (unsigned int i = 0; (format = hw_format_at(i)); i++) {
		struct random_seen seen = {0};

		for (unsigned int round = 0; round < 4; round++) {
			random_memory(&random, format->name);
			list_random_memory(&seen, format);
		}
		print_message("# %s: %llu leaves, %llu of runs; %llu reserved, %llu bad levels, "
			      "%llu outside\n",
			      format->name, (unsigned long long)seen.leaves,
			      (unsigned long long)seen.runs,
			      (unsigned long long)seen.faults[HW_FAULT_RESERVED],
			      (unsigned long long)seen.faults[HW_FAULT_LEVEL],
			      (unsigned long long)seen.faults[HW_FAULT_MEMORY]);
		assert_true(seen.leaves &&
			    seen.faults[HW_FAULT_RESERVED] + seen.faults[HW_FAULT_MEMORY]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sound_tables),
		cmocka_unit_test(upper_half),
		cmocka_unit_test(runs),
		cmocka_unit_test(skipped_levels),
		cmocka_unit_test(beyond_the_width),
		cmocka_unit_test(no_memory),
		cmocka_unit_test(half_a_table),
		cmocka_unit_test(more_than_anybody_has_time_for),
		cmocka_unit_test(loops),
		cmocka_unit_test(callbacks_end_it),
		cmocka_unit_test(random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
