// SPDX-License-Identifier: MIT
/*
 * The listing of everything in a set of tables.
 *
 * A table may be pointed to from anywhere, also from itself, so a few pages can stand
 * for more leaves than can be listed. Each step goes down a level, so there are no
 * loops; the budget limits the rest.
 */
#include <errno.h>
#include <stdlib.h>

#include "hw/read.h"

/* The table of one level that is being listed. */
struct list_table {
	struct hw_table about;
	unsigned int access; /* of the items above it */
	unsigned int count;
	uint64_t empty; /* the last value that was found to be an empty item */
	bool seen_empty;
	uint64_t *values;
	bool *readable; /* false for an item where memory ends */
};

struct list {
	const struct hw_tables *tables;
	const struct hw_list_ops *ops;
	struct hw_layout layout;
	uint64_t budget;
	struct list_table table[HW_MAX_LEVELS]; /* by level */
};

static void free_tables(struct list *list)
{
	for (unsigned int level = 0; level < HW_MAX_LEVELS; level++) {
		free(list->table[level].values);
		free(list->table[level].readable);
	}
}

static int allocate_tables(struct list *list)
{
	for (unsigned int level = 0; level < list->layout.levels; level++) {
		struct list_table *table = &list->table[level];

		table->count = 1u << list->layout.level[level].bits;
		table->values = calloc(table->count, sizeof(*table->values));
		table->readable = calloc(table->count, sizeof(*table->readable));
		if (!table->values || !table->readable)
			return -ENOMEM;
	}
	return 0;
}

static void read_table(struct list *list, struct list_table *table)
{
	bool all = hw_read_items(list->tables, &list->layout, table->about.paddr, table->count,
				 table->values);

	for (unsigned int i = 0; i < table->count; i++)
		table->readable[i] =
			all || hw_read_items(list->tables, &list->layout,
					     table->about.paddr + i * sizeof(*table->values), 1,
					     &table->values[i]);
}

static uint64_t iova_of(const struct list *list, const struct list_table *table, unsigned int index)
{
	const struct hw_layout *layout = &list->layout;
	unsigned int level = table->about.level, width = layout->address_width;
	uint64_t iova = table->about.iova + ((uint64_t)index << layout->level[level].shift);

	if (layout->sign_extended && width < 64 && iova >> (width - 1) == 1)
		iova |= -(UINT64_C(1) << width);
	return iova;
}

/* Does the width have addresses for this item? The table may have more items than it needs. */
static bool has_iova(const struct hw_layout *layout, uint64_t iova)
{
	return layout->sign_extended || layout->address_width >= 64 ||
	       !(iova >> layout->address_width);
}

static int tell(struct list *list, const struct list_table *table, unsigned int index,
		const struct hw_item *item, uint64_t size)
{
	struct hw_found found = {
		.iova = iova_of(list, table, index),
		.size = size,
		.item_paddr = table->about.paddr + index * sizeof(*table->values),
		.level = table->about.level,
		.item = *item,
		.access = item->kind == HW_LEAF ? table->access & item->access : 0,
	};

	if (!list->ops->found || list->ops->found(list->ops->context, &found))
		return 0;
	return -ECANCELED;
}

/*
 * How many items from @index on cannot be read, up to where addresses skip to the upper
 * half.
 */
static unsigned int count_unreadable(const struct list *list, const struct list_table *table,
				     unsigned int index)
{
	uint64_t span = UINT64_C(1) << list->layout.level[table->about.level].shift;
	unsigned int i = index + 1;

	while (i < table->count && !table->readable[i] &&
	       iova_of(list, table, i) - iova_of(list, table, i - 1) == span)
		i++;
	return i - index;
}

static void join_run(struct list *list, const struct list_table *table, unsigned int index,
		     struct hw_item *item)
{
	unsigned int first = hw_run_first(item, index), end = first + (1u << item->run_lg2);

	for (unsigned int i = first; i < end && item->kind == HW_LEAF; i++) {
		list->budget -= !!list->budget;
		if (!table->readable[i])
			hw_bad(item, HW_FAULT_MEMORY, "a part of the leaf is not in memory");
		else
			hw_join_item(list->tables, &list->layout, table->values[i],
				     table->about.level, i, item);
	}
}

static int list_table(struct list *list, unsigned int level);

static int list_below(struct list *list, const struct list_table *table, unsigned int index,
		      const struct hw_item *item)
{
	struct list_table *next = &list->table[item->next_level];

	next->about = (struct hw_table){
		.paddr = item->address,
		.iova = iova_of(list, table, index),
		.level = item->next_level,
	};
	next->access = table->access & item->access;
	return list_table(list, item->next_level);
}

/* List the item at @index. Sets how many items that was. */
static int list_item(struct list *list, struct list_table *table, unsigned int index,
		     unsigned int *items)
{
	uint64_t span = UINT64_C(1) << list->layout.level[table->about.level].shift;
	struct hw_table *about = &table->about;
	struct hw_item item = {0};

	*items = 1;
	if (!table->readable[index]) {
		*items = count_unreadable(list, table, index);
		about->bad += *items;
		hw_bad(&item, HW_FAULT_MEMORY, "the table is not in memory");
		return tell(list, table, index, &item, span * *items);
	}
	hw_decode(list->tables, &list->layout, table->values[index], about->level, index, &item);
	if (item.run_lg2)
		join_run(list, table, index, &item);
	switch (item.kind) {
	case HW_TABLE:
		about->tables++;
		return list_below(list, table, index, &item);
	case HW_LEAF:
		*items = 1u << item.run_lg2;
		about->leaves += *items;
		return tell(list, table, index, &item, UINT64_C(1) << item.size_lg2);
	case HW_BAD:
		about->bad++;
		return tell(list, table, index, &item, span);
	default:
		table->empty = table->values[index];
		table->seen_empty = true;
		return 0;
	}
}

static int list_items(struct list *list, struct list_table *table)
{
	unsigned int items = 1;

	for (unsigned int i = 0; i < table->count; i += items) {
		int ret;

		items = 1;
		if (!has_iova(&list->layout, iova_of(list, table, i)))
			break;
		if (!list->budget)
			return -E2BIG;
		list->budget--;
		if (table->seen_empty && table->readable[i] && table->values[i] == table->empty)
			continue;
		ret = list_item(list, table, i, &items);
		if (ret)
			return ret;
	}
	return 0;
}

/* List a table whose address is known, and all tables below it. */
static int list_table(struct list *list, unsigned int level)
{
	struct list_table *table = &list->table[level];
	struct hw_table *about = &table->about;
	int ret;

	read_table(list, table);
	ret = list_items(list, table);
	if (ret)
		return ret;
	about->items = about->leaves + about->tables + about->bad;
	if (!list->ops->table || list->ops->table(list->ops->context, about))
		return 0;
	return -ECANCELED;
}

int hw_list(const struct hw_tables *tables, const struct hw_list_ops *ops)
{
	struct list list = {
		.tables = tables,
		.ops = ops,
		.budget = ops->budget ? ops->budget : HW_LIST_BUDGET,
	};
	int ret = hw_layout(tables, &list.layout);

	if (ret)
		return ret;
	ret = allocate_tables(&list);
	if (!ret) {
		unsigned int top = list.layout.levels - 1;

		list.table[top].about = (struct hw_table){.paddr = tables->root, .level = top};
		list.table[top].access = HW_ALL_ACCESS;
		ret = list_table(&list, top);
	}
	free_tables(&list);
	return ret;
}
