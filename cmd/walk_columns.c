/* SPDX-License-Identifier: MIT */
/* uiommu walk: the address space in columns, for a picture. */
#include <errno.h>

#include "cmd/cmd.h"
#include "cmd/walk_columns.h"

/* Gaps of less than this part of all regions together are drawn. */
#define SMALL_GAP 40

/* The part of the width that all regions share evenly. The rest is shared by size. */
#define EVEN_SHARE 0.6

/* ---- regions ---- */

static void join_regions(struct walk_columns *columns, unsigned int at)
{
	columns->regions[at].last = columns->regions[at + 1].last;
	columns->nr--;
	for (unsigned int i = at + 1; i < columns->nr; i++)
		columns->regions[i] = columns->regions[i + 1];
}

/* The region before the smallest gap. There are at least two regions. */
static unsigned int smallest_gap(const struct walk_columns *columns, uint64_t *gap)
{
	unsigned int found = 0;

	for (unsigned int i = 0; i + 1 < columns->nr; i++) {
		uint64_t here = columns->regions[i + 1].first - columns->regions[i].last - 1;

		if (!i || here < *gap) {
			*gap = here;
			found = i;
		}
	}
	return found;
}

static bool add_region(void *context, const struct hw_found *found)
{
	struct walk_columns *columns = context;
	struct walk_region *last = columns->nr ? &columns->regions[columns->nr - 1] : NULL;
	uint64_t gap;

	if (found->item.kind != HW_LEAF)
		return true;
	if (last && found->iova == last->last + 1) {
		last->last = found->iova + found->size - 1;
		return true;
	}
	columns->regions[columns->nr++] =
		(struct walk_region){.first = found->iova, .last = found->iova + found->size - 1};
	if (columns->nr > NR_REGIONS)
		join_regions(columns, smallest_gap(columns, &gap));
	return true;
}

static double region_bytes(const struct walk_region *region)
{
	return (double)(region->last - region->first) + 1;
}

static double all_bytes(const struct walk_columns *columns)
{
	double sum = 0;

	for (unsigned int i = 0; i < columns->nr; i++)
		sum += region_bytes(&columns->regions[i]);
	return sum;
}

static void join_near(struct walk_columns *columns)
{
	while (columns->nr > 1) {
		uint64_t gap;
		unsigned int at = smallest_gap(columns, &gap);

		if ((double)gap > all_bytes(columns) / SMALL_GAP)
			break;
		join_regions(columns, at);
	}
}

static void place_regions(struct walk_columns *columns)
{
	double all = all_bytes(columns);

	for (unsigned int i = 0; i < columns->nr; i++) {
		struct walk_region *region = &columns->regions[i];
		double share =
			EVEN_SHARE / columns->nr + (1 - EVEN_SHARE) * region_bytes(region) / all;

		region->column = columns->nr_columns;
		region->columns = (unsigned int)(share * NR_COLUMNS);
		columns->nr_columns += region->columns;
	}
}

/* ---- columns ---- */

double walk_column_bytes(const struct walk_region *region)
{
	return region_bytes(region) / region->columns;
}

/* Call @add for each column that [first, last] reaches, with the bytes in it. */
static void spread(struct walk_columns *columns, uint64_t first, uint64_t last,
		   void (*add)(struct walk_column *column, double bytes, const void *context),
		   const void *context)
{
	for (unsigned int i = 0; i < columns->nr; i++) {
		const struct walk_region *region = &columns->regions[i];
		double width = walk_column_bytes(region), from, to;

		if (first > region->last || last < region->first)
			continue;
		from = first > region->first ? (double)(first - region->first) : 0;
		to = (last < region->last ? (double)(last - region->first)
					  : (double)(region->last - region->first)) +
		     1;
		for (unsigned int c = (unsigned int)(from / width);
		     c < region->columns && c * width < to; c++) {
			double low = c * width > from ? c * width : from;
			double high = (c + 1) * width < to ? (c + 1) * width : to;

			if (high > low)
				add(&columns->columns[region->column + c], high - low, context);
		}
	}
}

static void add_mapped(struct walk_column *column, double bytes, const void *context)
{
	const struct hw_found *found = context;

	column->mapped[found->item.size_lg2 % LEAF_SIZES] += (float)bytes;
}

static bool on_leaf(void *context, const struct hw_found *found)
{
	if (found->item.kind == HW_LEAF)
		spread(context, found->iova, found->iova + found->size - 1, add_mapped, found);
	return true;
}

static void add_bytes(struct walk_column *column, double bytes, const void *context)
{
	*(double *)(uintptr_t)context += bytes;
}

static void add_table(struct walk_column *column, double bytes, const void *context)
{
	const double *per_byte = context;

	column->tables += bytes * *per_byte;
}

/* A table's bytes are spread evenly over the drawn addresses that it translates. */
static bool on_table(void *context, const struct hw_table *table)
{
	struct walk_columns *columns = context;
	const struct hw_level *level = &columns->walk->layout.level[table->level];
	unsigned int bits = level->shift + level->bits;
	uint64_t last = table->iova + (bits < 64 ? UINT64_C(1) << bits : 0) - 1;
	double drawn = 0, per_byte;

	if (columns->walk->layout.sign_extended && bits >= columns->walk->layout.address_width)
		last = UINT64_MAX;
	spread(columns, table->iova, last, add_bytes, &drawn);
	per_byte = drawn > 0 ? (double)(UINT64_C(8) << level->bits) / drawn : 0;
	spread(columns, table->iova, last, add_table, &per_byte);
	return true;
}

void walk_columns_fill(struct walk_columns *columns, const struct walk *walk,
		       const struct walk_args *args)
{
	struct hw_list_ops ops = {
		.found = add_region,
		.context = columns,
		.budget = args->budget,
	};

	columns->walk = walk;
	if (hw_list(&walk->tables, &ops) == -ENOMEM)
		out_of_memory();
	join_near(columns);
	place_regions(columns);
	ops.found = on_leaf;
	ops.table = on_table;
	if (hw_list(&walk->tables, &ops) == -ENOMEM)
		out_of_memory();
}
