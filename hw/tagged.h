/* SPDX-License-Identifier: MIT */
/*
 * The memory of an IOTLB: a set-associative cache. Each entry stands for a naturally
 * aligned range of a domain's addresses. Ranges of different sizes are in one cache;
 * the size is part of the tag.
 */
#ifndef HW_TAGGED_H
#define HW_TAGGED_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/walk.h"

/* An item of a table as it is in memory. */
struct hw_raw_item {
	uint64_t paddr, bytes;
};

struct hw_tag_entry {
	bool valid;
	unsigned int domain;
	unsigned int lg2; /* of the range's size */
	uint64_t prefix;  /* its address >> lg2 */
	uint64_t used;    /* when, by tag_cache.clock */
	uint64_t address; /* of the memory, or of the table */
	unsigned int access;
	bool dirty;
	/* The items that lead to a table, from the top down; none for a translation. */
	unsigned int nr_items;
	struct hw_raw_item items[HW_MAX_LEVELS];
};

struct hw_tag_cache {
	unsigned int sets, ways;
	struct hw_tag_entry *entries;
	uint64_t clock;
	unsigned int of_size[65]; /* valid entries by lg2 */
	uint64_t evictions;
};

/* 0, -EINVAL or -ENOMEM. */
int hw_tag_init(struct hw_tag_cache *cache, unsigned int sets, unsigned int ways);
void hw_tag_fini(struct hw_tag_cache *cache);

/* The smallest range around @iova, or NULL. It becomes the most recently used one. */
struct hw_tag_entry *hw_tag_find(struct hw_tag_cache *cache, unsigned int domain, uint64_t iova);

/* An empty entry for a range around @iova, in place of the one that was there. */
struct hw_tag_entry *hw_tag_insert(struct hw_tag_cache *cache, unsigned int domain, uint64_t iova,
				   unsigned int lg2);

/* Selects entries that touch a range: those of one domain, or of all. */
struct hw_tag_match {
	bool any_domain;
	unsigned int domain;
	uint64_t first, last;
};

/* Returns how many entries it dropped. */
unsigned int hw_tag_drop(struct hw_tag_cache *cache, const struct hw_tag_match *match);

static inline uint64_t hw_tag_first(const struct hw_tag_entry *entry)
{
	return entry->lg2 < 64 ? entry->prefix << entry->lg2 : 0;
}

static inline uint64_t hw_tag_last(const struct hw_tag_entry *entry)
{
	return hw_tag_first(entry) |
	       (entry->lg2 < 64 ? (UINT64_C(1) << entry->lg2) - 1 : UINT64_MAX);
}

#endif
