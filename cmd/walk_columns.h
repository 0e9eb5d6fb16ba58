/* SPDX-License-Identifier: MIT */
/*
 * An address space cut into columns of a plot. Most of it is empty: columns cover a few
 * regions that have mappings, and skip the large gaps.
 */
#ifndef CMD_WALK_COLUMNS_H
#define CMD_WALK_COLUMNS_H

#include "cmd/walk.h"

#define NR_COLUMNS 900
#define NR_REGIONS 6
#define LEAF_SIZES 64

/* Addresses that are drawn next to each other. */
struct walk_region {
	uint64_t first, last;
	unsigned int column, columns; /* where it is drawn */
};

struct walk_column {
	float mapped[LEAF_SIZES]; /* bytes, by log2 of the size of leaves */
	double tables;            /* bytes of tables */
};

struct walk_columns {
	struct walk_region regions[NR_REGIONS + 1];
	unsigned int nr;
	unsigned int nr_columns;
	struct walk_column columns[NR_COLUMNS];
	const struct walk *walk;
};

/* Find what is to be drawn, by two listings. */
void walk_columns_fill(struct walk_columns *columns, const struct walk *walk,
		       const struct walk_args *args);

/* Bytes of address that a column of a region stands for. */
double walk_column_bytes(const struct walk_region *region);

#endif
