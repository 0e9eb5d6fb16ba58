// SPDX-License-Identifier: MIT
/*
 * The model of an IOTLB, on tables made by hand: what it keeps, what it loses,
 * and that it goes on believing what it kept.
 */
#include <errno.h>

#include "tests/hw_memory.h"

#include "hw/iotlb.h"

#define ROOT   HW_MEMORY_BASE
#define MIDDLE (ROOT + 0x1000)
#define BOTTOM (ROOT + 0x2000)
#define OTHER  (ROOT + 0x3000) /* a table in place of BOTTOM */
#define PAGE   4096ull
#define SPAN   (1ull << 21) /* of a table of pages */

#define VALID      1ull
#define READ_ONLY  (1ull << 0 | 1ull << 1 | 1ull << 4 | 1ull << 6)
#define READ_WRITE (READ_ONLY | 1ull << 2 | 1ull << 7)

/* Page number n of memory for page number n of a domain. */
#define PADDR(page) (0x80000000ull + (page)*PAGE)

static const struct hw_iotlb_shape small = {.sets = 1, .ways = 4, .table_sets = 1, .table_ways = 4};

static struct hw_tables tables;

static void put_page(uint64_t table, unsigned int index, uint64_t paddr, uint64_t bits)
{
	hw_put(table, index, paddr >> 12 << 10 | bits);
}

/* 512 pages at 0, and the same table again as the second. */
static struct hw_iotlb *begin(const struct hw_iotlb_shape *shape)
{
	struct hw_iotlb *iotlb = hw_iotlb_create(shape);

	assert_non_null(iotlb);
	tables = hw_memory_tables("riscv64", 39);
	hw_memory_clear(0);
	put_page(ROOT, 0, MIDDLE, VALID);
	put_page(MIDDLE, 0, BOTTOM, VALID);
	put_page(MIDDLE, 1, BOTTOM, VALID);
	for (unsigned int i = 0; i < 512; i++) {
		put_page(BOTTOM, i, PADDR(i), READ_WRITE);
		put_page(OTHER, i, PADDR(i + 512), READ_ONLY);
	}
	return iotlb;
}

/* Read @iova as a device of @domain: 0 for a fault. */
static uint64_t look(struct hw_iotlb *iotlb, unsigned int domain, uint64_t iova)
{
	struct hw_translation got;

	return hw_iotlb_translate(iotlb, domain, &tables, iova, HW_READ, &got) ? 0 : got.paddr;
}

static bool is_kept(struct hw_iotlb *iotlb, unsigned int domain, uint64_t iova)
{
	struct hw_iotlb_stat before, after;

	hw_iotlb_get_stat(iotlb, &before);
	look(iotlb, domain, iova);
	hw_iotlb_get_stat(iotlb, &after);
	assert_int_equal(after.hits + after.misses, before.hits + before.misses + 1);
	return after.hits > before.hits;
}

static void hits_believe_what_was(void **state)
{
	struct hw_iotlb *iotlb = begin(&small);
	struct hw_translation got;

	assert_int_equal(look(iotlb, 1, 5 * PAGE + 7), PADDR(5) + 7);
	put_page(BOTTOM, 5, PADDR(9), READ_ONLY);
	assert_int_equal(hw_iotlb_translate(iotlb, 1, &tables, 5 * PAGE + 8, HW_WRITE, &got),
			 HW_FAULT_NONE);
	assert_int_equal(got.paddr, PADDR(5) + 8);
	assert_int_equal(got.access, HW_READ | HW_WRITE);
	assert_int_equal(got.size_lg2, 12);
	assert_int_equal(got.nr_steps, 0);
	hw_iotlb_invalidate(iotlb, 1, 5 * PAGE, 5 * PAGE, false);
	assert_int_equal(look(iotlb, 1, 5 * PAGE), PADDR(9));
	assert_int_equal(hw_iotlb_translate(iotlb, 1, &tables, 5 * PAGE, HW_WRITE, &got),
			 HW_FAULT_WRITE);
	hw_iotlb_destroy(iotlb);
}

static void faults_are_not_kept(void **state)
{
	struct hw_iotlb *iotlb = begin(&small);
	struct hw_translation got;

	hw_put(BOTTOM, 5, 0);
	assert_int_equal(look(iotlb, 1, 5 * PAGE), 0);
	put_page(BOTTOM, 5, PADDR(5), READ_ONLY);
	assert_int_equal(hw_iotlb_translate(iotlb, 1, &tables, 5 * PAGE, HW_WRITE, &got),
			 HW_FAULT_WRITE);
	assert_false(is_kept(iotlb, 1, 5 * PAGE));
	assert_true(is_kept(iotlb, 1, 5 * PAGE));
	assert_false(is_kept(iotlb, 1, 1ull << 39));
	assert_false(is_kept(iotlb, 1, 1ull << 39));
	hw_iotlb_destroy(iotlb);
}

static void oldest_goes_first(void **state)
{
	struct hw_iotlb *iotlb = begin(&small);
	struct hw_iotlb_stat stat;

	for (unsigned int i = 0; i < 4; i++)
		assert_false(is_kept(iotlb, 1, i * PAGE));
	assert_true(is_kept(iotlb, 1, 0)); /* 1 is the oldest now */
	hw_iotlb_get_stat(iotlb, &stat);
	assert_int_equal(stat.evictions, 0);
	assert_false(is_kept(iotlb, 1, 4 * PAGE));
	assert_true(is_kept(iotlb, 1, 0));
	assert_true(is_kept(iotlb, 1, 2 * PAGE));
	assert_true(is_kept(iotlb, 1, 3 * PAGE));
	assert_true(is_kept(iotlb, 1, 4 * PAGE));
	assert_false(is_kept(iotlb, 1, 1 * PAGE));
	hw_iotlb_get_stat(iotlb, &stat);
	assert_int_equal(stat.evictions, 2);
	assert_int_equal(stat.misses, 6);
	assert_int_equal(stat.hits, 5);
	hw_iotlb_destroy(iotlb);
}

/* A set holds as much as its ways, and what lies apart does not take its room. */
static void sets_and_ways(void **state)
{
	struct hw_iotlb *iotlb = begin(&(struct hw_iotlb_shape){.sets = 64, .ways = 2});
	struct hw_iotlb_stat stat;

	for (unsigned int i = 0; i < 128; i++)
		look(iotlb, 1, i * PAGE);
	for (unsigned int i = 0; i < 128; i++)
		assert_true(is_kept(iotlb, 1, i * PAGE));
	for (unsigned int i = 0; i < 512; i++)
		look(iotlb, 1, i * PAGE);
	hw_iotlb_get_stat(iotlb, &stat);
	assert_int_equal(stat.misses, 512);
	assert_int_equal(stat.evictions, 512 - 128);
	assert_int_equal(stat.table_hits, 0);
	hw_iotlb_destroy(iotlb);
}

static void domains_are_apart(void **state)
{
	struct hw_iotlb *iotlb = begin(&(struct hw_iotlb_shape){.sets = 4, .ways = 4});

	look(iotlb, 1, PAGE);
	assert_false(is_kept(iotlb, 2, PAGE));
	assert_true(is_kept(iotlb, 1, PAGE));
	hw_iotlb_invalidate(iotlb, 1, 0, UINT64_MAX, true);
	assert_true(is_kept(iotlb, 2, PAGE));
	assert_false(is_kept(iotlb, 1, PAGE));
	hw_iotlb_invalidate_domain(iotlb, 2);
	assert_true(is_kept(iotlb, 1, PAGE));
	assert_false(is_kept(iotlb, 2, PAGE));
	hw_iotlb_invalidate_all(iotlb);
	assert_false(is_kept(iotlb, 1, PAGE));
	assert_false(is_kept(iotlb, 2, PAGE));
	hw_iotlb_destroy(iotlb);
}

/* Exactly what touches the range. */
static void ranges_are_exact(void **state)
{
	struct hw_iotlb *iotlb = begin(&(struct hw_iotlb_shape){.sets = 4, .ways = 16});

	for (uint64_t page = 0; page < 8; page++)
		look(iotlb, 1, page * PAGE);
	hw_iotlb_invalidate(iotlb, 1, 3 * PAGE - 1, 5 * PAGE, false);
	for (uint64_t page = 0; page < 8; page++)
		assert_int_equal(is_kept(iotlb, 1, page * PAGE), page < 2 || page > 5);
	hw_iotlb_destroy(iotlb);
}

static void large_leaves(void **state)
{
	struct hw_iotlb *iotlb = begin(&small);
	static const uint64_t touch[] = {2 * SPAN, 2 * SPAN + 0x12345, 3 * SPAN - 1};

	put_page(MIDDLE, 2, 0x80000000, READ_WRITE);
	assert_int_equal(look(iotlb, 1, 2 * SPAN + 0x54321), 0x80054321);
	assert_true(is_kept(iotlb, 1, 3 * SPAN - 1));
	hw_iotlb_invalidate(iotlb, 1, 0, 2 * SPAN - 1, false);
	hw_iotlb_invalidate(iotlb, 1, 3 * SPAN, UINT64_MAX, false);
	assert_true(is_kept(iotlb, 1, 2 * SPAN));
	for (unsigned int i = 0; i < 3; i++) {
		hw_iotlb_invalidate(iotlb, 1, touch[i], touch[i], false);
		assert_false(is_kept(iotlb, 1, 2 * SPAN));
		assert_true(is_kept(iotlb, 1, 2 * SPAN + PAGE));
	}
	hw_iotlb_destroy(iotlb);
}

/* Tables that were passed once are not read again, and those below them are. */
static void tables_are_kept(void **state)
{
	struct hw_iotlb *iotlb = begin(&small);
	struct hw_iotlb_stat stat;

	look(iotlb, 1, 0);
	put_page(MIDDLE, 0, OTHER, VALID);
	hw_put(ROOT, 0, 0);
	assert_int_equal(look(iotlb, 1, PAGE), PADDR(1));
	put_page(BOTTOM, 2, PADDR(7), READ_WRITE);
	assert_int_equal(look(iotlb, 1, 2 * PAGE), PADDR(7));
	assert_int_equal(look(iotlb, 1, SPAN + PAGE), PADDR(1)); /* by MIDDLE, which is kept */
	hw_iotlb_get_stat(iotlb, &stat);
	assert_int_equal(stat.table_hits, 3);
	assert_int_equal(stat.table_misses, 1);
	/* An invalidation without tables leaves all that. */
	hw_iotlb_invalidate(iotlb, 1, 0, UINT64_MAX, false);
	assert_int_equal(look(iotlb, 1, PAGE), PADDR(1));
	/* With tables, of just those that the range lies under. */
	hw_iotlb_invalidate(iotlb, 1, 511 * PAGE, 511 * PAGE, true);
	assert_int_equal(look(iotlb, 1, 3 * PAGE), 0);
	assert_int_equal(look(iotlb, 1, SPAN + 3 * PAGE), PADDR(3));
	put_page(ROOT, 0, MIDDLE, VALID);
	assert_int_equal(look(iotlb, 1, 3 * PAGE), PADDR(3 + 512));
	hw_iotlb_destroy(iotlb);
}

/* The walk that ends in a fault has passed tables too. */
static void tables_are_kept_from_faults(void **state)
{
	struct hw_iotlb *iotlb = begin(&small);

	hw_put(BOTTOM, 3, 0);
	assert_int_equal(look(iotlb, 1, 3 * PAGE), 0);
	put_page(MIDDLE, 0, OTHER, VALID);
	assert_int_equal(look(iotlb, 1, 3 * PAGE), 0);
	hw_iotlb_invalidate(iotlb, 1, 3 * PAGE, 3 * PAGE, true);
	assert_int_equal(look(iotlb, 1, 3 * PAGE), PADDR(3 + 512));
	hw_iotlb_destroy(iotlb);
}

static void oldest_table_goes_first(void **state)
{
	struct hw_iotlb *iotlb = begin(
		&(struct hw_iotlb_shape){.sets = 1, .ways = 1, .table_sets = 1, .table_ways = 2});
	struct hw_iotlb_stat stat;

	look(iotlb, 1, 0); /* items of ROOT and MIDDLE */
	look(iotlb, 1, SPAN);
	hw_iotlb_get_stat(iotlb, &stat);
	assert_int_equal(stat.table_evictions, 1);
	put_page(MIDDLE, 0, OTHER, VALID);
	put_page(MIDDLE, 1, OTHER, VALID);
	assert_int_equal(look(iotlb, 1, SPAN + PAGE), PADDR(1));
	assert_int_equal(look(iotlb, 1, PAGE), PADDR(513));
	hw_iotlb_destroy(iotlb);
}

static void check_finds_leaves(void **state)
{
	struct hw_iotlb *iotlb = begin(&small);
	struct hw_iotlb_stale stale;

	look(iotlb, 1, 3 * PAGE);
	look(iotlb, 1, 4 * PAGE);
	look(iotlb, 2, 5 * PAGE);
	assert_int_equal(hw_iotlb_check(iotlb, 1, &tables, &stale), 0);
	put_page(BOTTOM, 3, PADDR(3), READ_ONLY);
	hw_put(BOTTOM, 4, 0);
	put_page(BOTTOM, 5, PADDR(6), READ_WRITE);
	assert_int_equal(hw_iotlb_check(iotlb, 1, &tables, NULL), 2);
	assert_int_equal(hw_iotlb_check(iotlb, 2, &tables, &stale), 1);
	assert_int_equal(stale.iova, 5 * PAGE);
	assert_int_equal(stale.size_lg2, 12);
	assert_int_equal(stale.cached, PADDR(5));
	assert_int_equal(stale.now.paddr, PADDR(6));
	assert_false(stale.is_table);
	assert_int_equal(hw_iotlb_check(iotlb, 3, &tables, &stale), 0);
	hw_iotlb_destroy(iotlb);
}

/* A large leaf may be cut up as long as every piece leads where it did. */
static void check_finds_pieces(void **state)
{
	struct hw_iotlb *iotlb = begin(&(struct hw_iotlb_shape){.sets = 1, .ways = 4});
	struct hw_iotlb_stale stale;

	put_page(MIDDLE, 0, 0x80000000, READ_WRITE);
	look(iotlb, 1, 3 * PAGE);
	put_page(MIDDLE, 0, BOTTOM, VALID);
	assert_int_equal(hw_iotlb_check(iotlb, 1, &tables, &stale), 0);
	hw_put(BOTTOM, 511, 0);
	assert_int_equal(hw_iotlb_check(iotlb, 1, &tables, &stale), 1);
	assert_int_equal(stale.iova, 511 * PAGE);
	assert_int_equal(stale.now.fault, HW_FAULT_NOT_PRESENT);
	hw_iotlb_destroy(iotlb);
}

static void check_finds_tables(void **state)
{
	struct hw_iotlb *iotlb = begin(&small);
	struct hw_iotlb_stale stale;

	look(iotlb, 1, 0);
	hw_iotlb_invalidate(iotlb, 1, 0, UINT64_MAX, false);
	assert_int_equal(hw_iotlb_check(iotlb, 1, &tables, &stale), 0);
	put_page(MIDDLE, 0, OTHER, VALID);
	assert_int_equal(hw_iotlb_check(iotlb, 1, &tables, &stale), 1);
	assert_true(stale.is_table);
	assert_int_equal(stale.size_lg2, 21);
	assert_int_equal(stale.cached, BOTTOM);
	hw_put(ROOT, 0, 0);
	assert_int_equal(hw_iotlb_check(iotlb, 1, &tables, &stale), 2);
	hw_iotlb_invalidate(iotlb, 1, PAGE, PAGE, true);
	assert_int_equal(hw_iotlb_check(iotlb, 1, &tables, &stale), 0);
	hw_iotlb_destroy(iotlb);
}

/* In big-endian order too, items come back as they were in memory. */
static void big_endian_tables(void **state)
{
	struct hw_iotlb *iotlb = begin(&small);
	unsigned int i;

	tables = hw_memory_tables("s390", 42);
	hw_put_big_endian(ROOT, 0, (ROOT + 0x4000) | 1 << 2 | 3);
	hw_put_big_endian(ROOT + 0x4000, 0, ROOT + 0x8800);
	for (i = 0; i < 256; i++)
		hw_put_big_endian(ROOT + 0x8800, i, PADDR(i));
	assert_int_equal(look(iotlb, 1, PAGE), PADDR(1));
	hw_put_big_endian(ROOT + 0x4000, 0, 0x20);
	assert_int_equal(look(iotlb, 1, 2 * PAGE), PADDR(2));
	hw_iotlb_invalidate_all(iotlb);
	assert_int_equal(look(iotlb, 1, 2 * PAGE), 0);
	hw_iotlb_destroy(iotlb);
}

static void wrong_shapes(void **state)
{
	static const struct hw_iotlb_shape shapes[] = {
		{.sets = 0, .ways = 4},
		{.sets = 4, .ways = 0},
		{.sets = 3, .ways = 4},
		{.sets = 4, .ways = 4, .table_sets = 4},
		{.sets = 4, .ways = 4, .table_ways = 4},
		{.sets = 4, .ways = 4, .table_sets = 6, .table_ways = 1},
	};

	for (unsigned int i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		errno = 0;
		assert_null(hw_iotlb_create(&shapes[i]));
		assert_int_equal(errno, EINVAL);
	}
	hw_iotlb_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hits_believe_what_was),
		cmocka_unit_test(faults_are_not_kept),
		cmocka_unit_test(oldest_goes_first),
		cmocka_unit_test(sets_and_ways),
		cmocka_unit_test(domains_are_apart),
		cmocka_unit_test(ranges_are_exact),
		cmocka_unit_test(large_leaves),
		cmocka_unit_test(tables_are_kept),
		cmocka_unit_test(tables_are_kept_from_faults),
		cmocka_unit_test(oldest_table_goes_first),
		cmocka_unit_test(check_finds_leaves),
		cmocka_unit_test(check_finds_pieces),
		cmocka_unit_test(check_finds_tables),
		cmocka_unit_test(big_endian_tables),
		cmocka_unit_test(wrong_shapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
