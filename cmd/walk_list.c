/* SPDX-License-Identifier: MIT */
/* uiommu walk: what the tables hold, merged and counted within bounds. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/walk.h"

/* The most tables whose addresses are kept, to find those that are shared. */
#define MOST_TABLES ((size_t)1 << 20)

static void *grow_array(void *array, size_t *room, size_t most, size_t size)
{
	*room = *room ? 2 * *room : 64;
	if (*room > most)
		*room = most;
	array = realloc(array, *room * size);
	if (!array)
		out_of_memory();
	return array;
}

/* Add the complete range to the list. */
static void finish_range(struct walk_list *list)
{
	if (!list->begun)
		return;
	list->nr_ranges++;
	if (list->nr == list->most)
		return;
	if (list->nr == list->room)
		list->ranges =
			grow_array(list->ranges, &list->room, list->most, sizeof(*list->ranges));
	list->ranges[list->nr++] = list->last;
}

static bool continues(const struct walk_list *list, const struct hw_found *found)
{
	const struct walk_range *range = &list->last;

	return list->begun && found->access == range->access &&
	       found->iova == range->iova + range->size && found->iova &&
	       found->item.address == range->paddr + range->size;
}

/* There may be a range for every page: touch only what is used of the memory. */
static void begin_range(struct walk_list *list, const struct hw_found *found)
{
	struct walk_range *last = &list->last;

	for (; last->sizes; last->sizes &= last->sizes - 1)
		last->leaves[__builtin_ctzll(last->sizes)] = 0;
	last->iova = found->iova;
	last->paddr = found->item.address;
	last->size = 0;
	last->access = found->access;
	list->begun = true;
}

static void add_leaf(struct walk_list *list, const struct hw_found *found)
{
	unsigned int lg2 = found->item.size_lg2 % 64;

	if (!continues(list, found)) {
		finish_range(list);
		begin_range(list, found);
	}
	list->last.size += found->size;
	list->last.sizes |= UINT64_C(1) << lg2;
	list->last.leaves[lg2]++;
	list->leaves[lg2]++;
	list->mapped += found->size;
	list->dirty += found->item.dirty ? found->size : 0;
}

static void add_problem(struct walk_list *list, const struct hw_found *found)
{
	list->faults[found->item.fault]++;
	if (list->nr_problems++ < WALK_PROBLEMS)
		list->problems[list->nr_problems - 1] = (struct walk_problem){
			.iova = found->iova,
			.size = found->size,
			.item_paddr = found->item_paddr,
			.level = found->level,
			.fault = found->item.fault,
			.why = found->item.why,
		};
}

static bool on_found(void *context, const struct hw_found *found)
{
	if (found->item.kind == HW_LEAF)
		add_leaf(context, found);
	else
		add_problem(context, found);
	return true;
}

static bool on_table(void *context, const struct hw_table *table)
{
	struct walk_list *list = context;
	struct walk_level *level = &list->level[table->level];

	level->tables++;
	level->items += table->items;
	level->leaves += table->leaves;
	level->links += table->tables;
	level->bad += table->bad;
	if (list->nr_tables == MOST_TABLES)
		return true;
	if (list->nr_tables == list->tables_room)
		list->tables = grow_array(list->tables, &list->tables_room, MOST_TABLES,
					  sizeof(*list->tables));
	list->tables[list->nr_tables++] = table->paddr;
	return true;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void count_shared(struct walk_list *list)
{
	qsort(list->tables, list->nr_tables, sizeof(*list->tables), compare);
	for (size_t i = 1; i < list->nr_tables; i++)
		list->nr_shared += list->tables[i] == list->tables[i - 1];
}

void walk_collect(struct walk_list *list, const struct walk *walk, const struct walk_args *args)
{
	const struct hw_list_ops ops = {
		.found = on_found,
		.table = on_table,
		.context = list,
		.budget = args->budget,
	};
	int rc;

	list->most = (size_t)args->limit;
	rc = hw_list(&walk->tables, &ops);
	if (rc == -ENOMEM)
		out_of_memory();
	list->cut = rc == -E2BIG;
	finish_range(list);
	count_shared(list);
	if (walk->image.error)
		complain("%s: %s", quoted(walk->image.name), strerror(walk->image.error));
}

void walk_list_free(struct walk_list *list)
{
	free(list->ranges);
	free(list->tables);
}

uint64_t walk_level_bytes(const struct walk_list *list, const struct walk *walk, unsigned int level)
{
	return list->level[level].tables << (walk->layout.level[level].bits + 3);
}
