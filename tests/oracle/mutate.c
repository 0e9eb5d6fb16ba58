/* SPDX-License-Identifier: MIT */
/*
 * Could the oracle fail? Each bit of some items of the tables is flipped in turn,
 * behind the library's back. The peer's answers must then differ from the model
 * somewhere under the item, unless the peer says why this bit cannot matter.
 *
 * The items are found by the walkers of hw/, which only say where they are.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uiommu/format.h>
#include <uiommu/mm.h>

#include "hw/walk.h"
#include "tests/oracle/run.h"

#define CHANGES          120 /* before, so that there are tables */
#define LEAVES_MOST      6   /* that are looked at under one item */
#define TRIES            1000
#define DIFFERENCES_MOST 16
#define A_DOMAIN         16 /* items are changed, then there is a new one */

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

static struct hw_tables hw_tables(const struct run *run, const struct hw_memory *memory)
{
	const struct iommu_format *format = iommu_format_find(run->test->format);

	return (struct hw_tables){
		.format = hw_format_find(format->family),
		.memory = memory,
		.root = run->tables.root,
		.address_width = run->test->width,
		.levels = run->model.levels,
		.granule_lg2 = run->model.page_lg2,
	};
}

/* The steps from the top down to an address. */
static void walk(const struct run *run, uint64_t iova, struct hw_translation *out,
		 struct hw_layout *layout)
{
	const struct hw_memory memory = {read_guest, run->peer};
	const struct hw_tables tables = hw_tables(run, &memory);

	if (!tables.format || hw_layout(&tables, layout))
		die("hw/ does not know %s of %u bits", run->test->format, run->test->width);
	if (hw_translate(&tables, iova, 0, out))
		die("hw/ finds at %#llx: %s", (unsigned long long)iova, hw_fault_name(out->fault));
}

/* Where the tables, as hw/ reads them, translate otherwise than the model. */
struct differences {
	const struct model *model;
	size_t leaf;     /* the first that was not found whole */
	uint64_t offset; /* so much of it was */
	uint64_t iova[DIFFERENCES_MOST];
	unsigned int count;
};

static bool add_difference(struct differences *diff, uint64_t iova)
{
	diff->iova[diff->count++] = iova;
	return diff->count < DIFFERENCES_MOST;
}

static bool compare_found(void *context, const struct hw_found *found)
{
	struct differences *diff = context;
	const struct model *model = diff->model;
	uint64_t last = found->iova + (found->size - 1);
	const struct leaf *leaf;
	bool same;

	/* A bad item faults, as nothing at all does. */
	if (found->item.kind != HW_LEAF)
		return true;
	for (; diff->leaf < model->count; diff->leaf++, diff->offset = 0) {
		const struct leaf *before = &model->leaves[diff->leaf];

		if (leaf_last(before) >= found->iova)
			break;
		if (!add_difference(diff, before->iova + diff->offset))
			return false;
	}
	if (diff->leaf == model->count)
		return add_difference(diff, found->iova);
	leaf = &model->leaves[diff->leaf];
	same = found->iova == leaf->iova + diff->offset && last <= leaf_last(leaf) &&
	       found->item.address == leaf->paddr + diff->offset &&
	       (found->access & (HW_READ | HW_WRITE)) == (unsigned int)leaf->access;
	if (last >= leaf_last(leaf)) {
		diff->leaf++;
		diff->offset = 0;
	} else if (last >= leaf->iova) {
		diff->offset = last + 1 - leaf->iova;
	}
	return same || add_difference(diff, found->iova);
}

static void find_differences(const struct run *run, struct differences *diff)
{
	const struct hw_memory memory = {read_guest, run->peer};
	const struct hw_tables tables = hw_tables(run, &memory);
	const struct hw_list_ops ops = {.found = compare_found, .context = diff};
	int ret;

	*diff = (struct differences){.model = &run->model};
	ret = hw_list(&tables, &ops);
	if (ret && ret != -ECANCELED)
		die("hw/ cannot list the tables: %s", strerror(-ret));
	if (!ret && diff->leaf < diff->model->count)
		add_difference(diff, diff->model->leaves[diff->leaf].iova + diff->offset);
}

/* ---- a target ---- */

/*
 * A size first, then one of the leaves of that size: small ones are many. For a
 * table item one that may be read and written, so that the item's rights show.
 * NULL if there is none.
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
	return NULL;
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
	const struct leaf *leaf = table ? random_leaf(run, RW) : NULL;
	struct hw_translation found;
	struct hw_layout layout;
	const struct hw_step *step;
	unsigned int span;
	uint64_t iova;

	table = leaf;
	if (!leaf)
		leaf = random_leaf(run, 0);
	if (!leaf)
		die("no leaf to change");
	iova = leaf->iova + random_below(&run->random, UINT64_C(1) << leaf->size_lg2);
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

/* An access may have gone into what tells the peer of the tables, too. */
static void flip_back(struct run *run)
{
	restore_arena(run->peer);
	run->peer->set_tables(run->peer, &run->tables);
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

/*
 * Another table may lie where the item leads to now, one that was in its place
 * once: then few translations differ, or none.
 */
static void probe_differences(struct run *run)
{
	struct differences diff;

	find_differences(run, &diff);
	for (unsigned int i = 0; i < diff.count; i++)
		probe_both(run, diff.iova[i]);
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
	if (run->disagreements == before && !target->item.leaf)
		probe_differences(run);
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

/* Does the item, as it is now, lead to another table that translates all the same? */
static bool leads_to_equal(const struct run *run, const struct target *target, unsigned int bit)
{
	const struct hw_memory memory = {read_guest, run->peer};
	const struct hw_tables tables = hw_tables(run, &memory);
	const struct hw_step *step = &target->walk.steps[target->walk.nr_steps - 1];
	struct differences diff;
	struct hw_layout layout;
	struct hw_item item;

	if (hw_layout(&tables, &layout))
		return false;
	hw_decode(&tables, &layout, step->value ^ UINT64_C(1) << bit, step->level, step->index,
		  &item);
	if (item.kind != HW_TABLE || item.address == step->item.address)
		return false;
	find_differences(run, &diff);
	return !diff.count;
}

static void try_bit(struct run *run, const struct target *target, unsigned int bit)
{
	const struct oracle_item *item = &target->item;
	const char *reason;
	bool noticed, equal;

	run->flips++;
	flip(run, target, bit);
	if (run->peer->endless && run->peer->endless(item->value ^ UINT64_C(1) << bit)) {
		flip_back(run);
		count_reason(run, "not tried: a circle of tables, which it follows for ever");
		return;
	}
	noticed = is_noticed(run, target);
	equal = !noticed && !item->leaf && leads_to_equal(run, target, bit);
	flip_back(run);
	if (noticed) {
		run->caught++;
		return;
	}
	if (equal) {
		count_reason(run, "leads to another table that says the same");
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
	struct differences diff;

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
	find_differences(run, &diff);
	if (diff.count)
		die("hw/ disagrees with the model at %#llx", (unsigned long long)diff.iova[0]);
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
