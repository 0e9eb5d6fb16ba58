/* SPDX-License-Identifier: MIT */
/*
 * What the threads of schedules.c do: short calls, each on a range of its own, in which
 * they need, empty and replace the same tables.
 */
#ifndef TESTS_SCHEDULES_LIST_H
#define TESTS_SCHEDULES_LIST_H

#include "tests/schedules.h"

/* ---- tables that come and go ---- */

/* The last page of a table goes while another comes. */
static void last_page(struct scenario *s)
{
	map(s, SETUP, s->base, s->page);
	unmap(s, 0, s->base, s->page);
	map(s, 1, s->base + s->page, s->page);
}

/* So do both, and come again. */
static void last_pages(struct scenario *s)
{
	map(s, SETUP, s->base, s->page);
	map(s, SETUP, s->base + s->page, s->page);
	unmap(s, 0, s->base, s->page);
	map(s, 0, s->base, s->page);
	unmap(s, 1, s->base + s->page, s->page);
	map(s, 1, s->base + s->page, s->page);
}

/* Both need a table that is not there. */
static void first_pages(struct scenario *s)
{
	map(s, 0, s->base, s->page);
	map(s, 1, s->base + s->page, s->page);
	unmap(s, 1, s->base + s->page, s->page);
}

/* The same in different tables of one parent. */
static void next_table(struct scenario *s)
{
	map(s, SETUP, s->base, s->page);
	unmap(s, 0, s->base, s->page);
	map(s, 1, s->base + s->table, s->page);
}

static void next_tables(struct scenario *s)
{
	map(s, SETUP, s->base, s->page);
	map(s, SETUP, s->base + s->table, s->page);
	unmap(s, 0, s->base, s->page);
	map(s, 0, s->base + 2 * s->table, s->page);
	unmap(s, 1, s->base + s->table, s->page);
}

/* One has tables of two levels, the other only the higher one. */
static void uneven(struct scenario *s)
{
	map(s, SETUP, s->base, s->page);
	unmap(s, 0, s->base, s->page);
	map(s, 0, s->base + s->page, s->page);
	map(s, 1, s->base + s->table, s->table);
	unmap(s, 1, s->base + s->table, s->table);
}

/* Over the edge of a table, of which another thread has a part. */
static void over_the_edge(struct scenario *s)
{
	uint64_t edge = s->base + s->table;

	map(s, SETUP, s->base, s->page);
	map_pages(s, 0, edge - 2 * s->page, 4 * s->page);
	unmap(s, 0, edge - 2 * s->page, 4 * s->page);
	unmap(s, 1, s->base, s->page);
	map(s, 1, edge + 8 * s->page, s->page);
}

/* A table is cut off whole. */
static void full_table(struct scenario *s)
{
	map_pages(s, SETUP, s->base, s->table);
	unmap(s, 0, s->base, s->table);
	map(s, 1, s->base + s->table, s->page);
	unmap(s, 1, s->base + s->table, s->page);
}

/* It is full when two threads have filled it; each empties its half. */
static void two_halves(struct scenario *s)
{
	uint64_t half = s->table / 2;

	map_pages(s, SETUP, s->base, half);
	map_pages(s, 0, s->base + half, half);
	unmap(s, 0, s->base + half, half);
	unmap(s, 1, s->base, half);
}

/* A whole table becomes one leaf; its neighbours change. */
static void large_leaf(struct scenario *s)
{
	map_pages(s, SETUP, s->base, s->table);
	map(s, SETUP, s->base + s->table, s->page);
	unmap(s, 0, s->base, s->table);
	map(s, 0, s->base, s->table);
	unmap(s, 1, s->base + s->table, s->page);
	map(s, 1, s->base + 3 * s->table, s->table);
}

/* Three threads in one table. */
static void three_pages(struct scenario *s)
{
	map(s, SETUP, s->base, s->page);
	unmap(s, 0, s->base, s->page);
	map(s, 1, s->base + s->page, s->page);
	map(s, 2, s->base + s->table, s->page);
}

/* A thread finds a table dead, and another has replaced it. */
static void three_in_line(struct scenario *s)
{
	map(s, SETUP, s->base, s->page);
	unmap(s, 0, s->base, s->page);
	map(s, 1, s->base + s->page, s->page);
	map(s, 2, s->base + 2 * s->page, s->page);
}

/* ---- lists, entries, failures ---- */

static void lists(struct scenario *s)
{
	uint64_t edge = s->base + s->table;

	map(s, SETUP, s->base, s->page);
	map_sg(s, 0, edge - 4 * s->page, 8 * s->page);
	unmap(s, 1, s->base, s->page);
	map(s, 1, s->base + s->page, s->page);
}

static void list_in_table(struct scenario *s)
{
	map(s, SETUP, s->base, s->page);
	map_sg(s, 0, s->base + 4 * s->page, 4 * s->page);
	unmap(s, 1, s->base, s->page);
	map(s, 1, s->base + s->page, s->page);
}

static void list_in_use(struct scenario *s)
{
	map(s, SETUP, s->base, s->page);
	map(s, SETUP, s->base + 7 * s->page, s->page);
	map_sg(s, 0, s->base + 4 * s->page, 4 * s->page)->expect = -EADDRINUSE;
	unmap(s, 1, s->base, s->page);
	map(s, 1, s->base + s->page, s->page);
}

static void list_that_fails(struct scenario *s)
{
	map(s, SETUP, s->base, s->page);
	fail_nth(map_sg(s, 0, s->base + s->table - 4 * s->page, 8 * s->page), 2);
	unmap(s, 1, s->base, s->page);
	map(s, 1, s->base + 2 * s->table, s->page);
}

/* A part of the range is in use. */
static void in_use(struct scenario *s)
{
	uint64_t edge = s->base + s->table;

	map(s, SETUP, s->base, s->page);
	map(s, SETUP, edge + s->page, s->page);
	map_pages(s, 0, edge - 2 * s->page, 4 * s->page)->expect = -EADDRINUSE;
	unmap(s, 1, s->base, s->page);
	map(s, 1, s->base + 4 * s->page, s->page);
}

static void no_memory(struct scenario *s)
{
	map(s, SETUP, s->base, s->page);
	fail_nth(map(s, 0, s->base + s->page, s->page), 1);
	unmap(s, 1, s->base, s->page);
	fail_nth(map(s, 1, s->base + 2 * s->page, s->page), 1);
}

static void no_memory_later(struct scenario *s)
{
	uint64_t edge = s->base + s->table;

	map(s, SETUP, s->base, s->page);
	fail_nth(map_pages(s, 0, edge - 2 * s->page, s->table + 4 * s->page), 2);
	unmap(s, 1, s->base, s->page);
	map(s, 1, edge + 2 * s->table, s->page);
}

/* A slot is found changed, and empty again; the table that it is in may go, too. */
static void come_and_go(struct scenario *s)
{
	map(s, SETUP, s->base + s->table, s->page);
	map(s, 0, s->base, s->page);
	map(s, 1, s->base + s->page, s->page);
	unmap(s, 1, s->base + s->page, s->page);
	unmap(s, 1, s->base + s->table, s->page);
	s->preemptions = 3;
}

/* The same, without memory when the table is to be made again. */
static void come_and_go_short(struct scenario *s)
{
	map(s, SETUP, s->base + s->table, s->page);
	fail_nth(map(s, 0, s->base, s->page), 2);
	map(s, 1, s->base + s->page, s->page);
	unmap(s, 1, s->base + s->page, s->page);
	unmap(s, 1, s->base + s->table, s->page);
	s->preemptions = 3;
}

/* What is left of an entry stays as it was. */
static void split_entry_of_table(struct scenario *s)
{
	map(s, SETUP, s->base, s->table);
	map(s, SETUP, s->base + s->table, s->page);
	split(s, 0, s->base + s->page, s->page);
	unmap(s, 0, s->base + s->page, s->page);
	unmap(s, 1, s->base + s->table, s->page);
	map(s, 1, s->base + s->table + s->page, s->page);
}

static void split_run_of_pages(struct scenario *s)
{
	map(s, SETUP, s->base, 32 * s->page);
	split(s, 0, s->base + s->page, s->page);
	unmap(s, 0, s->base + s->page, s->page);
	map(s, 1, s->base + 32 * s->page, s->page);
	unmap(s, 1, s->base + 32 * s->page, s->page);
}

/* ---- lookups and dirty bits ---- */

static void lookups(struct scenario *s)
{
	map(s, SETUP, s->base, s->page);
	map(s, SETUP, s->base + s->page, s->page);
	unmap(s, 0, s->base, s->page);
	map(s, 0, s->base + s->table, s->page);
	lookup(s, 1, s->base + s->page);
	lookup(s, 1, s->base + s->page + 5);
}

/* Of a page that is on its way. */
static void lookup_meanwhile(struct scenario *s)
{
	struct call *call;

	map(s, SETUP, s->base, s->page);
	call = lookup(s, 1, s->base);
	call->or_none = true;
	unmap(s, 0, s->base, s->page);
	map(s, 0, s->base + s->page, s->page);
	lookup(s, 1, s->base + 2 * s->page);
}

/* What remains of an entry that is split is translated all the time, if it is not taken out. */
static void lookup_in_split(struct scenario *s)
{
	uint64_t iova = s->base + 9 * s->page;

	map(s, SETUP, s->base, s->table);
	split(s, 0, s->base + s->page, s->page);
	unmap(s, 0, s->base + s->page, s->page);
	lookup(s, 1, iova)->or_none = s->breaks;
	access_before(s, 1, iova)->or_none = s->breaks;
	lookup(s, 1, iova)->or_none = s->breaks;
}

static void dirty_pages(struct scenario *s)
{
	map(s, SETUP, s->base, s->page);
	map(s, SETUP, s->base + 2 * s->page, s->page);
	mark(s, SETUP, s->base + 2 * s->page);
	unmap(s, 0, s->base, s->page);
	map(s, 0, s->base + s->page, s->page);
	read_dirty(s, 1, s->base + 2 * s->page, s->page, s->page);
	mark(s, 1, s->base + 2 * s->page);
	read_dirty(s, 1, s->base + 2 * s->page, 64 * s->page, s->page);
}

/* Hardware of Arm that needs nothing taken out. */
static void has_level2(struct scenario *s)
{
	s->features = IOMMU_FEATURE_BBML2;
	s->breaks = false;
}

static void lookup_in_live_split(struct scenario *s)
{
	has_level2(s);
	lookup_in_split(s);
}

/* A device writes to an entry while that is split; it may find it taken out. */
static void dirty_split_of(struct scenario *s, uint64_t size)
{
	struct call *write;

	map(s, SETUP, s->base, size);
	split(s, 0, s->base + s->page, s->page);
	write = mark(s, 1, s->base + 9 * s->page);
	write->or_none = s->breaks;
	read_dirty(s, LAST, write->iova, s->page, s->page)->of = write;
}

static void dirty_split(struct scenario *s)
{
	dirty_split_of(s, s->table);
}

static void dirty_split_run(struct scenario *s)
{
	dirty_split_of(s, 16 * s->page);
}

static void dirty_live_split(struct scenario *s)
{
	has_level2(s);
	dirty_split(s);
}

static void dirty_live_split_run(struct scenario *s)
{
	has_level2(s);
	dirty_split_run(s);
}

/* ---- devices, which know of tables what they have not been told to forget ---- */

/* One knows the table that goes; what comes is not in that. */
static void device_last_page(struct scenario *s)
{
	map(s, SETUP, s->base, s->page);
	unmap(s, 0, s->base, s->page);
	access_before(s, 1, s->base)->or_none = true;
	access_mapped(s, map(s, 1, s->base + s->page, s->page));
}

static void device_next_table(struct scenario *s)
{
	map(s, SETUP, s->base, s->page);
	unmap(s, 0, s->base, s->page);
	access_before(s, 1, s->base)->or_none = true;
	access_mapped(s, map(s, 1, s->base + s->table, s->page));
}

static void device_full_table(struct scenario *s)
{
	map_pages(s, SETUP, s->base, s->table);
	unmap(s, 0, s->base, s->table);
	access_mapped(s, map(s, 0, s->base, s->page));
	access_before(s, 1, s->base + s->table - s->page)->or_none = true;
	access_mapped(s, map(s, 1, s->base + s->table, s->page));
}

static void device_large_leaf(struct scenario *s)
{
	struct call *leaf, *access;

	map_pages(s, SETUP, s->base, s->table);
	unmap(s, 0, s->base, s->table);
	leaf = map(s, 0, s->base, s->table);
	access_mapped(s, leaf);
	access = access_before(s, 1, s->base + s->page);
	access->or_none = true;
	access->also = (long)(leaf->paddr + s->page);
}

/* It looks while one thread unmaps and another maps. */
static void device_and_two(struct scenario *s)
{
	map(s, SETUP, s->base, s->page);
	unmap(s, 0, s->base, s->page);
	access_mapped(s, map(s, 1, s->base + s->page, s->page));
	access_before(s, 2, s->base)->or_none = true;
}

static void device_and_list(struct scenario *s)
{
	map(s, SETUP, s->base, s->page);
	unmap(s, 0, s->base, s->page);
	access_before(s, 1, s->base)->or_none = true;
	access_mapped(s, map_sg(s, 1, s->base + s->table - 4 * s->page, 8 * s->page));
}

/* ---- tops that grow ---- */

#define G512 (512ULL << 30)
#define T256 (256ULL << 40)

static void grow_both(struct scenario *s)
{
	map(s, 0, 600ULL << 30, s->page);
	map(s, 1, 5 * G512, s->page);
	unmap(s, 1, 5 * G512, s->page);
}

static void grow_over_page(struct scenario *s)
{
	map(s, SETUP, s->base, s->page);
	map(s, 0, 600ULL << 30, s->page);
	unmap(s, 1, s->base, s->page);
	map(s, 1, s->base + s->page, s->page);
}

static void grow_over_last_page(struct scenario *s)
{
	map(s, SETUP, s->base, s->page);
	map(s, 0, 5 * T256, s->page);
	unmap(s, 1, s->base, s->page);
}

static void grow_over_map(struct scenario *s)
{
	map(s, 0, 600ULL << 30, s->page);
	unmap(s, 0, 600ULL << 30, s->page);
	map(s, 1, s->base, s->page);
	lookup(s, 1, s->base + s->page);
}

static void grow_by_levels(struct scenario *s)
{
	map(s, SETUP, s->base, s->page);
	map(s, 0, 5 * T256, s->page);
	map(s, 1, 5 * G512, s->page);
	unmap(s, 1, s->base, s->page);
}

/* The first part of a range is below the top. */
static void grow_over_edge(struct scenario *s)
{
	map(s, SETUP, s->base, s->page);
	map_pages(s, 0, G512 - s->page, 2 * s->page);
	unmap(s, 1, s->base, s->page);
	map(s, 1, 600ULL << 30, s->page);
}

/* All that the first top spans, which has just become empty, and more. */
static void grow_to_leaf(struct scenario *s)
{
	map(s, SETUP, s->base, s->page);
	map(s, 0, 3 * G512, s->page);
	unmap(s, 1, s->base, s->page);
	map(s, 1, 5 * G512, s->page);
	map(s, 1, 5 * T256, s->page);
	map(s, 1, 0, 2 * G512);
	s->any_leaves = true;
}

static void grow_to_large_leaf(struct scenario *s)
{
	map(s, 0, 3 * G512, s->page);
	map(s, 1, 0, 2 * G512);
	unmap(s, 1, 0, 2 * G512);
	s->any_leaves = true;
}

static void grow_without_memory(struct scenario *s)
{
	map(s, SETUP, s->base, s->page);
	fail_nth(map(s, 0, 5 * T256, s->page), 4);
	unmap(s, 1, s->base, s->page);
	map(s, 1, 600ULL << 30, s->page);
	unmap(s, 1, 600ULL << 30, s->page);
}

static void grow_list(struct scenario *s)
{
	map_sg(s, 0, G512 - 4 * s->page, 8 * s->page);
	map(s, 1, s->base, s->page);
	unmap(s, 1, s->base, s->page);
}

static void grow_three(struct scenario *s)
{
	map(s, SETUP, s->base, s->page);
	map(s, 0, 5 * G512, s->page);
	unmap(s, 1, s->base, s->page);
	map(s, 2, s->base + s->page, s->page);
}

static void grow_and_look(struct scenario *s)
{
	map(s, SETUP, s->base, s->page);
	map(s, SETUP, s->base + s->page, s->page);
	map(s, 0, 600ULL << 30, s->page);
	unmap(s, 0, s->base, s->page);
	lookup(s, 1, s->base + s->page);
	mark(s, 1, s->base + s->page);
	read_dirty(s, 1, s->base, 64 * s->page, s->page);
}

static void grow_over_device(struct scenario *s)
{
	map(s, SETUP, s->base, s->page);
	unmap(s, 0, s->base, s->page);
	access_before(s, 1, s->base)->or_none = true;
	access_mapped(s, map(s, 1, 600ULL << 30, s->page));
	access_mapped(s, map(s, 1, s->base + s->page, s->page));
}

static void grow_to_leaf_of_device(struct scenario *s)
{
	map(s, 0, 3 * G512, s->page);
	access_mapped(s, map(s, 1, 0, 2 * G512));
	s->any_leaves = true;
}

/* One of two that map the same must fail, and leave nothing. */
static void grow_over_same(struct scenario *s)
{
	map(s, 0, 0, 2 * G512)->may_fail = -EADDRINUSE;
	map(s, 1, s->base, s->page)->may_fail = -EADDRINUSE;
	s->any_leaves = true;
}

#define NEEDS_DIRTY  1u
#define NEEDS_GROWTH 2u
#define NEEDS_4K     4u /* tables of 512 items, each of which is a step */
#define NEEDS_BREAKS 8u /* a split without a feature takes out what it splits */

static const struct {
	const char *name;
	void (*make)(struct scenario *s);
	unsigned int threads;
	unsigned int needs;
} scenarios[] = {
	{"last page", last_page, 2, 0},
	{"last pages", last_pages, 2, 0},
	{"first pages", first_pages, 2, 0},
	{"next table", next_table, 2, 0},
	{"next tables", next_tables, 2, 0},
	{"uneven", uneven, 2, 0},
	{"over the edge", over_the_edge, 2, 0},
	{"full table", full_table, 2, 0},
	{"two halves", two_halves, 2, 0},
	{"large leaf", large_leaf, 2, 0},
	{"three pages", three_pages, 3, 0},
	{"three in line", three_in_line, 3, 0},
	{"lists", lists, 2, 0},
	{"list in a table", list_in_table, 2, 0},
	{"list in use", list_in_use, 2, 0},
	{"list that fails", list_that_fails, 2, 0},
	{"in use", in_use, 2, 0},
	{"no memory", no_memory, 2, 0},
	{"no memory later", no_memory_later, 2, 0},
	{"come and go", come_and_go, 2, 0},
	{"come and go, short of memory", come_and_go_short, 2, 0},
	{"split entry of a table", split_entry_of_table, 2, 0},
	{"split run of pages", split_run_of_pages, 2, 0},
	{"lookups", lookups, 2, 0},
	{"lookup meanwhile", lookup_meanwhile, 2, 0},
	{"lookup in a split", lookup_in_split, 2, 0},
	{"lookup in a live split", lookup_in_live_split, 2, NEEDS_BREAKS},
	{"dirty pages", dirty_pages, 2, NEEDS_DIRTY},
	{"dirty split of a table", dirty_split, 2, NEEDS_DIRTY | NEEDS_4K},
	{"dirty split of a run", dirty_split_run, 2, NEEDS_DIRTY},
	{"dirty live split of a table", dirty_live_split, 2, NEEDS_4K | NEEDS_BREAKS},
	{"dirty live split of a run", dirty_live_split_run, 2, NEEDS_BREAKS},
	{"device, last page", device_last_page, 2, 0},
	{"device, next table", device_next_table, 2, 0},
	{"device, full table", device_full_table, 2, 0},
	{"device, large leaf", device_large_leaf, 2, 0},
	{"device and two threads", device_and_two, 3, 0},
	{"device, list", device_and_list, 2, 0},
	{"grow both", grow_both, 2, NEEDS_GROWTH},
	{"grow over a page", grow_over_page, 2, NEEDS_GROWTH},
	{"grow over the last page", grow_over_last_page, 2, NEEDS_GROWTH},
	{"grow over a map", grow_over_map, 2, NEEDS_GROWTH},
	{"grow by levels", grow_by_levels, 2, NEEDS_GROWTH},
	{"grow over the edge", grow_over_edge, 2, NEEDS_GROWTH},
	{"grow to a leaf", grow_to_leaf, 2, NEEDS_GROWTH},
	{"grow to a large leaf", grow_to_large_leaf, 2, NEEDS_GROWTH},
	{"grow without memory", grow_without_memory, 2, NEEDS_GROWTH},
	{"grow for a list", grow_list, 2, NEEDS_GROWTH},
	{"grow with three", grow_three, 3, NEEDS_GROWTH},
	{"grow and look", grow_and_look, 2, NEEDS_GROWTH | NEEDS_DIRTY},
	{"grow over the same", grow_over_same, 2, NEEDS_GROWTH},
	{"grow over a device", grow_over_device, 2, NEEDS_GROWTH},
	{"grow to a leaf of a device", grow_to_leaf_of_device, 2, NEEDS_GROWTH},
};
#define NR_SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

#endif
