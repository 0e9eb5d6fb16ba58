/* SPDX-License-Identifier: MIT */
/*
 * A set of (domain, level, index). The tables that a mapping needs follow from what a
 * table of each level spans: one of level n is needed where a leaf of level n or below
 * lies.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "trace/needed.h"

#define NO_KEY UINT64_MAX

void needed_init(struct needed *needed, const struct iommu_size *size, uint64_t pgsizes)
{
	memset(needed, 0, sizeof(*needed));
	memcpy(needed->each, size->each, sizeof(needed->each));
	needed->pgsizes = pgsizes;
}

void needed_destroy(struct needed *needed)
{
	free(needed->key);
}

static inline uint64_t make_key(unsigned int domain, unsigned int level, uint64_t index)
{
	return index << 11 | level << 8 | domain;
}

_Static_assert(TRACE_DOMAINS_MAX <= 1 << 8 && IOMMU_MAX_LEVELS <= 1 << 3, "make_key()");

static inline uint64_t *find_slot(const struct needed *needed, uint64_t key)
{
	uint64_t at = (key * 0x9e3779b97f4a7c15u) >> 20;

	for (;; at++) {
		uint64_t *slot = &needed->key[at & (needed->room - 1)];

		if (*slot == key || *slot == NO_KEY)
			return slot;
	}
}

static int grow(struct needed *needed)
{
	struct needed bigger = {.room = needed->room ? needed->room * 2 : 1024};

	bigger.key = malloc(bigger.room * sizeof(*bigger.key));
	if (!bigger.key)
		return -ENOMEM;
	memset(bigger.key, 0xff, bigger.room * sizeof(*bigger.key));
	for (uint64_t i = 0; i < needed->room; i++)
		if (needed->key[i] != NO_KEY)
			*find_slot(&bigger, needed->key[i]) = needed->key[i];
	free(needed->key);
	needed->key = bigger.key;
	needed->room = bigger.room;
	return 0;
}

/* Add one table. Returns 1 if it is new, 0 if not, or -ENOMEM. */
static int add_table(struct needed *needed, unsigned int domain, unsigned int level, uint64_t index)
{
	uint64_t key = make_key(domain, level, index), *slot;

	if (needed->used * 2 >= needed->room && grow(needed))
		return -ENOMEM;
	slot = find_slot(needed, key);
	if (*slot == key)
		return 0;
	*slot = key;
	needed->used++;
	needed->tables[level]++;
	return 1;
}

int needed_set_levels(struct needed *needed, unsigned int index, unsigned int levels)
{
	unsigned int old = needed->levels[index];

	if (levels <= old)
		return 0;
	/* A top table that has grown is the first table of its level from now on. */
	if (old)
		needed->tables[old - 1]--;
	for (unsigned int level = old ? old - 1 : levels; level + 1 < levels; level++)
		if (add_table(needed, index, level, 0) < 0)
			return -ENOMEM;
	needed->tables[levels - 1]++;
	needed->levels[index] = levels;
	return 0;
}

/* Add the tables @first to @last of a level. Returns how many were new, or -ENOMEM. */
static int64_t add_tables(struct needed *needed, unsigned int domain, unsigned int level,
			  uint64_t first, uint64_t last)
{
	int64_t fresh = 0;

	for (uint64_t index = first; index <= last; index++) {
		int rc = add_table(needed, domain, level, index);

		if (rc < 0)
			return rc;
		fresh += rc;
	}
	return fresh;
}

/* With leaves of a table's span or more, only the parts outside whole leaves need tables. */
static int add_ends(struct needed *needed, unsigned int domain, unsigned int level, uint64_t leaf,
		    uint64_t iova, uint64_t last)
{
	unsigned int lg2 = needed->each[level].span_lg2;
	uint64_t mask = leaf - 1;
	uint64_t head_last = (iova | mask) < last ? iova | mask : last;
	uint64_t tail = (last & ~mask) > iova ? last & ~mask : iova;

	if (((iova & mask) || (head_last & mask) != mask) &&
	    add_tables(needed, domain, level, iova >> lg2, head_last >> lg2) < 0)
		return -ENOMEM;
	if ((last & mask) != mask &&
	    add_tables(needed, domain, level, tail >> lg2, last >> lg2) < 0)
		return -ENOMEM;
	return 0;
}

int needed_add(struct needed *needed, unsigned int index, uint64_t iova, uint64_t paddr,
	       uint64_t size)
{
	uint64_t last = iova + (size - 1);

	for (unsigned int level = 0; level + 1 < needed->levels[index]; level++) {
		unsigned int lg2 = needed->each[level].span_lg2;
		uint64_t span = (uint64_t)1 << lg2;
		uint64_t leaf = needed->pgsizes &
				-span; /* the smallest leaf that takes the place of a table */
		int64_t fresh;

		leaf &= -leaf;
		if (leaf && !((iova ^ paddr) & (leaf - 1))) {
			if (add_ends(needed, index, level, leaf, iova, last))
				return -ENOMEM;
			continue;
		}
		fresh = add_tables(needed, index, level, iova >> lg2, last >> lg2);
		/* If all tables are in the set, so are all tables above. */
		if (fresh <= 0)
			return (int)fresh;
	}
	return 0;
}

uint64_t needed_bytes(const struct needed *needed)
{
	uint64_t bytes = 0;

	for (unsigned int level = 0; level < IOMMU_MAX_LEVELS; level++)
		bytes += needed->tables[level] * needed->each[level].bytes;
	return bytes;
}
