/* SPDX-License-Identifier: MIT */
/*
 * Could the oracle fail? Each bit of some items of the tables is flipped in turn,
 * behind the library's back. The peer's answers must then differ from the model
 * somewhere under the item, unless the peer says why this bit cannot matter.
 *
 * The items are found by the walkers of hw/, which only say where they are.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uiommu/format.h>
#include <uiommu/mm.h>

#include "hw/walk.h"
#include "tests/oracle/run.h"

#define CHANGES     120 /* before, so that there are tables */
#define LEAVES_MOST 6   /* that are looked at under one item */
#define TRIES       1000
#define A_DOMAIN    16 /* items are changed, then there is a new one */

/* An item in use, and what it translates. */
struct target {
	struct oracle_item item;
	uint64_t *raw;              /* in the guest's memory */
	bool big_endian;            /* there */
	uint64_t mapped;            /* an address below it that may be read and written */
	struct hw_translation walk; /* to the item */
};

/* The arena before a bit was flipped: accesses may then go into the tables. */
static struct {
	char *copy;
	size_t bytes, room;
} saved;

static void save_arena(const struct peer *peer)
{
	struct uiommu_mm_stat stat;

	uiommu_mm_stat(&stat);
	saved.bytes = stat.arena;
	if (saved.bytes > saved.room) {
		saved.room = 2 * saved.bytes;
		saved.copy = realloc(saved.copy, saved.room);
		if (!saved.copy)
			die("no memory for a copy of the tables");
	}
	memcpy(saved.copy, oracle_ram + peer->arena_offset, saved.bytes);
}

static void restore_arena(const struct peer *peer)
{
	char *arena = oracle_ram + peer->arena_offset;

	if (memcmp(arena, saved.copy, saved.bytes) != 0)
		memcpy(arena, saved.copy, saved.bytes);
}

/* ---- the tables, for hw/ ---- */

static char *guest_address(const struct peer *peer, uint64_t paddr)
{
	if (paddr < peer->arena_paddr || paddr - peer->arena_paddr >= ARENA_BYTES)
		return NULL;
	return oracle_ram + peer->arena_offset + (paddr - peer->arena_paddr);
}

static bool read_guest(void *context, uint64_t paddr, void *to, size_t bytes)
{
	const char *from = guest_address(context, paddr);

	if (from)
		memcpy(to, from, bytes);
	return from;
}

/* The steps from the top down to an address. */
static void walk(const struct run *run, uint64_t iova, struct hw_translation *out,
		 struct hw_layout *layout)
{
	const struct hw_memory memory = {read_guest, run->peer};
	const struct iommu_format *format = iommu_format_find(run->test->format);
	const struct hw_tables tables = {
		.format = hw_format_find(format->family),
		.memory = &memory,
		.root = run->tables.root,
		.address_width = run->test->width,
		.levels = run->model.levels,
		.granule_lg2 = run->model.page_lg2,
	};

	if (!tables.format || hw_layout(&tables, layout))
		die("hw/ does not know %s of %u bits", run->test->format, run->test->width);
	if (hw_translate(&tables, iova, 0, out))
		die("hw/ finds at %#llx: %s", (unsigned long long)iova, hw_fault_name(out->fault));
}

/* ---- a target ---- */

/*
 * A size first, then one of the leaves of that size: small ones are many. For a
 * table item one that may be read and written, so that the item's rights show.
 */
static const struct leaf *random_leaf(struct run *run, int access)
{
	for (unsigned int tries = 0; tries < TRIES; tries++) {
		unsigned int lg2 = (unsigned int)random_below(&run->random, 64);
		size_t first = random_below(&run->random, run->model.count);

		for (size_t i = 0; i < run->model.count; i++) {
			const struct leaf *leaf =
				&run->model.leaves[(first + i) % run->model.count];

			if (leaf->size_lg2 == lg2 && (leaf->access & access) == access)
				return leaf;
		}
	}
	die("no leaf to change");
}

static bool is_new(const struct target *target, uint64_t *const tried[], unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		if (tried[i] == target->raw)
			return false;
	return true;
}

static void choose_target(struct run *run, struct target *target)
{
	bool table = random_below(&run->random, 2);
	const struct leaf *leaf = random_leaf(run, table ? RW : 0);
	uint64_t iova = leaf->iova + random_below(&run->random, UINT64_C(1) << leaf->size_lg2);
	struct hw_translation found;
	struct hw_layout layout;
	const struct hw_step *step;
	unsigned int span;

	walk(run, iova, &found, &layout);
	if (table)
		found.nr_steps = 1 + (unsigned int)random_below(&run->random, found.nr_steps);
	step = &found.steps[found.nr_steps - 1];
	span = layout.level[step->level].shift;
	*target = (struct target){
		.item =
			{
				.tables = &run->tables,
				.iova = iova & -(UINT64_C(1) << span),
				.span_lg2 = span,
				.value = step->value,
				.level = step->level,
				.leaf = step->item.kind == HW_LEAF,
				.size_lg2 = step->item.kind == HW_LEAF ? step->item.size_lg2 : 0,
			},
		.raw = (uint64_t *)guest_address(run->peer, step->paddr),
		.big_endian = layout.big_endian,
		.mapped = iova,
		.walk = found,
	};
}

static void flip(struct run *run, const struct target *target, unsigned int bit)
{
	uint64_t mask = UINT64_C(1) << bit;

	*(volatile uint64_t *)target->raw ^= target->big_endian ? __builtin_bswap64(mask) : mask;
	run->peer->invalidate_all(run->peer);
}

static void flip_back(struct run *run)
{
	restore_arena(run->peer);
	run->peer->invalidate_all(run->peer);
}

/* ---- looking ---- */

static void probe_both(struct run *run, uint64_t iova)
{
	probe_add(run, iova, IOMMU_READ);
	probe_add(run, iova, IOMMU_WRITE);
}

/* Both ends of what the item and some leaves share, and a place where nothing is. */
static void probe_under(struct run *run, const struct target *target, size_t most)
{
	const struct oracle_item *item = &target->item;
	uint64_t last = item->iova + ((UINT64_C(1) << item->span_lg2) - 1);
	size_t first = model_find(&run->model, item->iova);

	for (size_t i = first; i < run->model.count && i - first < most; i++) {
		const struct leaf *leaf = &run->model.leaves[i];
		uint64_t begin = leaf->iova > item->iova ? leaf->iova : item->iova;
		uint64_t end = leaf_last(leaf) < last ? leaf_last(leaf) : last;

		if (begin > last)
			break;
		probe_both(run, begin);
		probe_both(run, end);
		probe_both(run, begin + random_below(&run->random, end - begin + 1));
	}
	probe_both(run, item->iova + random_below(&run->random, last - item->iova + 1));
	probe_both(run, target->mapped);
	probes_flush(run);
}

/* Where a table is taken for one of another level, other bits lead to its items. */
static void probe_aliases(struct run *run, const struct target *target)
{
	for (unsigned int bit = run->model.page_lg2; bit < target->item.span_lg2; bit++)
		probe_both(run, target->mapped ^ UINT64_C(1) << bit);
	probes_flush(run);
}

static bool is_noticed(struct run *run, const struct target *target)
{
	uint64_t before = run->disagreements;
	bool noticed;

	run->quiet = true;
	probe_under(run, target, LEAVES_MOST);
	if (run->disagreements == before)
		check_list(run);
	if (run->disagreements == before && !target->item.leaf)
		probe_aliases(run, target);
	/* It may lead to what was a table here once, and differs in a few places. */
	if (run->disagreements == before && !target->item.leaf)
		probe_under(run, target, SIZE_MAX);
	run->quiet = false;
	noticed = run->disagreements > before;
	run->disagreements = before;
	return noticed;
}

/* ---- the count ---- */

static void count_reason(struct run *run, const char *reason)
{
	unsigned int i = 0;

	while (i < NR_REASONS - 1 && run->reasons[i].text && strcmp(run->reasons[i].text, reason))
		i++;
	run->reasons[i].text = reason;
	run->reasons[i].count++;
	run->ignored++;
}

/* Would the item then lead to a table that leads to it? */
static bool makes_circle(const struct target *target, unsigned int bit)
{
	const struct hw_translation *walk = &target->walk;
	uint64_t address = walk->steps[walk->nr_steps - 1].item.address ^ UINT64_C(1) << bit;

	for (unsigned int i = 0; i < walk->nr_steps; i++)
		if (!target->item.leaf && walk->steps[i].table == address)
			return true;
	return false;
}

static void try_bit(struct run *run, const struct target *target, unsigned int bit)
{
	const struct oracle_item *item = &target->item;
	const char *reason;
	bool noticed;

	run->flips++;
	if (run->peer->endless && makes_circle(target, bit)) {
		count_reason(run, "not tried: a circle of tables, which it follows for ever");
		return;
	}
	flip(run, target, bit);
	noticed = is_noticed(run, target);
	flip_back(run);
	if (noticed) {
		run->caught++;
		return;
	}
	reason = run->peer->ignores(item, bit);
	if (reason) {
		count_reason(run, reason);
		return;
	}
	run->survived++;
	fprintf(stderr,
		"# %s, %u bits: bit %u of the %s %#llx at level %u, for %#llx, goes unnoticed\n",
		run->test->format, run->test->width, bit, item->leaf ? "leaf" : "table item",
		(unsigned long long)item->value, item->level, (unsigned long long)item->iova);
}

/* One leaf of each size that there is room for, beside what came about at random. */
static void make_tables(struct run *run)
{
	domain_renew(run);
	for (unsigned int change = 0; change < CHANGES; change++)
		change_at_random(run);
	for (unsigned int lg2 = 0; lg2 < 64; lg2++) {
		struct leaf leaf;

		for (unsigned int tries = 0; run->model.pgsizes >> lg2 & 1 && tries < 8; tries++)
			if (map_leaf(run, lg2, &leaf))
				break;
	}
	probe_at_random(run); /* by which the peer is told of the tables in any case */
	probes_flush(run);
}

static void try_item(struct run *run, const struct target *target)
{
	save_arena(run->peer);
	for (unsigned int bit = 0; bit < 64; bit++)
		try_bit(run, target, bit);
	/* All is as it was. */
	probe_under(run, target, LEAVES_MOST);
	run->items++;
}

void mutate(struct run *run, unsigned int items)
{
	uint64_t *tried[A_DOMAIN];

	while (run->items < items && !run->disagreements) {
		unsigned int at = run->items % A_DOMAIN;
		struct target target;

		if (!at)
			make_tables(run);
		/* A narrow domain may have no more than that. */
		for (unsigned int tries = 0; tries < 2 * A_DOMAIN; tries++) {
			choose_target(run, &target);
			if (is_new(&target, tried, at))
				break;
		}
		tried[at] = target.raw;
		try_item(run, &target);
	}
}
