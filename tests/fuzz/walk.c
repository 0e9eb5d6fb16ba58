/* SPDX-License-Identifier: MIT */
/*
 * Hostile page tables: memory of an input's making, walked in every format. What
 * is listed comes in order, does not overlap, and is what a walk of each address
 * finds; and all that `uiommu walk` makes of it stays within its bounds.
 */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/walk_columns.h"
#include "tests/fuzz/slowest.h"

#define BASE   0x100000
#define ITEMS  0x6000 /* of memory: 192 KiB */
#define BUDGET 20000
#define LIMIT  8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	const uint8_t *at, *end;
	uint64_t items[ITEMS];
} input;

#define require(condition)                                                        \
	do {                                                                      \
		if (!(condition)) {                                               \
			fprintf(stderr, "walk.c:%d: %s\n", __LINE__, #condition); \
			abort();                                                  \
		}                                                                 \
	} while (0)

static uint64_t take(unsigned int bytes)
{
	uint64_t value = 0;

	while (bytes-- && input.at < input.end)
		value = value << 8 | *input.at++;
	return value;
}

static bool read_memory(void *context, uint64_t paddr, void *to, size_t bytes)
{
	if (paddr < BASE || paddr - BASE > sizeof(input.items) ||
	    bytes > sizeof(input.items) - (paddr - BASE))
		return false;
	memcpy(to, (const char *)input.items + (paddr - BASE), bytes);
	return true;
}

/* What an item may hold: anything, or an address within with a few bits beside it. */
static uint64_t take_item(uint8_t kind)
{
	uint64_t bits = take(2);

	switch (kind % 4) {
	case 0:
		return take(8);
	case 1:
		return (BASE + (take(1) << 12)) | (bits & 0xfff);
	case 2:
		return (BASE + (take(1) << 11)) | bits | take(1) << 56;
	default: /* riscv64: addresses are moved by two bits */
		return (BASE + (take(1) << 12)) >> 2 | (bits & 0x3ff) | take(1) << 56;
	}
}

/* Runs of items: filled alike, or with addresses that go on. */
static void fill_memory(bool big_endian)
{
	memset(input.items, 0, sizeof(input.items));
	while (input.at < input.end) {
		uint8_t kind = (uint8_t)take(1);
		unsigned int index = (unsigned int)take(2) % ITEMS;
		unsigned int count = kind & 0x40 ? 1 + (unsigned int)take(2) % 1024 : 1;
		uint64_t item = take_item(kind);

		for (unsigned int i = index; i < index + count && i < ITEMS; i++) {
			input.items[i] = big_endian ? htobe64(item) : htole64(item);
			item += kind & 0x80 ? 0x1000 : 0;
		}
	}
}

struct checked {
	const struct hw_tables *tables;
	uint64_t next; /* no found item begins before this */
	bool begun, over;
	unsigned int walks;
};

static bool check_found(void *context, const struct hw_found *found)
{
	struct checked *checked = context;
	struct hw_translation at;
	uint64_t last = found->iova + found->size - 1;

	require(!checked->over && (!checked->begun || found->iova >= checked->next));
	require(last >= found->iova);
	checked->begun = true;
	checked->next = last + 1;
	checked->over = last == UINT64_MAX;
	if (checked->walks++ > 200)
		return true;
	hw_translate(checked->tables, found->iova, 0, &at);
	if (found->item.kind == HW_LEAF) {
		require(at.fault == HW_FAULT_NONE && at.access == found->access);
		require(at.paddr == found->item.address);
		require(at.size_lg2 == found->item.size_lg2);
	} else {
		require(at.fault == found->item.fault);
	}
	return true;
}

static void check_list(const struct hw_tables *tables)
{
	struct checked checked = {.tables = tables};
	const struct hw_list_ops ops = {
		.found = check_found, .context = &checked, .budget = BUDGET};

	hw_list(tables, &ops);
}

/* The command's own part: what it keeps, and what it draws. */
static void check_command(const struct walk *walk)
{
	static struct walk_columns columns;
	const struct walk_args args = {.budget = BUDGET, .limit = LIMIT};
	struct walk_list list = {0};
	uint64_t leaves = 0;

	walk_collect(&list, walk, &args);
	require(list.nr <= LIMIT && list.nr <= list.nr_ranges);
	for (unsigned int lg2 = 0; lg2 < 64; lg2++)
		leaves += list.leaves[lg2];
	require(leaves >= list.nr_ranges);
	walk_list_free(&list);
	memset(&columns, 0, sizeof(columns));
	walk_columns_fill(&columns, walk, &args);
	require(columns.nr <= NR_REGIONS && columns.nr_columns <= NR_COLUMNS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t widths[] = {39, 48, 57, 42, 25, 52, 64, 41, 50, 59, 36, 47};
	struct walk walk = {.memory = {read_memory, NULL}};
	time_t start = slowest_begin();
	unsigned int formats = 0;

	while (hw_format_at(formats))
		formats++;
	input.at = data;
	input.end = data + size;
	walk.tables.format = hw_format_at((unsigned int)take(1) % formats);
	walk.tables.memory = &walk.memory;
	walk.tables.address_width = widths[take(1) % sizeof(widths)];
	walk.tables.granule_lg2 = 12 + 2 * (unsigned int)(take(1) % 3);
	walk.tables.levels = (unsigned int)take(1) % 7;
	walk.tables.root = BASE + 0x10000 * (take(1) % 3);
	if (hw_layout(&walk.tables, &walk.layout)) {
		walk.tables.levels = 0;
		walk.tables.granule_lg2 = 12;
		if (hw_layout(&walk.tables, &walk.layout))
			return 0;
	}
	fill_memory(walk.layout.big_endian);
	check_list(&walk.tables);
	check_command(&walk);
	slowest_end(start);
	return 0;
}
