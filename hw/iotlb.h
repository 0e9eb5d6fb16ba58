/* SPDX-License-Identifier: MIT */
/*
 * An IOTLB: cached translations, and cached items of the tables on the way (a
 * paging-structure cache, or walk cache). Walks fill it. Only invalidations and
 * evictions remove entries, and an entry is used whatever the tables contain meanwhile.
 * So a flush that is missing, too narrow or too early, or that does not cover the
 * tables, shows as a translation that should not exist any more.
 *
 * One lock is held during each translation, including the walk, and during each
 * invalidation. So an invalidation ends after the walks that were under way when it
 * began, as in hardware, and nothing that they have read stays in the cache.
 */
#ifndef HW_IOTLB_H
#define HW_IOTLB_H

#include <stdbool.h>
#include <stdint.h>

#include <uiommu/iommu.h>

#include "hw/walk.h"

struct hw_iotlb;

/*
 * The numbers of sets are powers of two. The victim is the least recently used entry of
 * a set.
 */
struct hw_iotlb_shape {
	unsigned int sets, ways;             /* of translations */
	unsigned int table_sets, table_ways; /* of items of tables; 0 to keep none */
};

struct hw_iotlb_stat {
	uint64_t hits, misses, evictions;
	uint64_t table_hits, table_misses, table_evictions; /* of the walks */
	uint64_t invalidations;                             /* commands */
	uint64_t invalidated;                               /* entries of both kinds */
};

/* Returns NULL with errno EINVAL for a shape without sets or ways, or with ENOMEM. */
struct hw_iotlb *hw_iotlb_create(const struct hw_iotlb_shape *shape);
void hw_iotlb_destroy(struct hw_iotlb *iotlb);

/*
 * As hw_translate(), for a device of @domain. A translation from the IOTLB has no
 * steps. Translations without a fault are kept; items of tables also if the walk ends
 * in a fault.
 */
enum hw_fault hw_iotlb_translate(struct hw_iotlb *iotlb, unsigned int domain,
				 const struct hw_tables *tables, uint64_t iova, unsigned int access,
				 struct hw_translation *out);

/* Drop what concerns @first to @last of @domain; items of tables only with @tables. */
void hw_iotlb_invalidate(struct hw_iotlb *iotlb, unsigned int domain, uint64_t first, uint64_t last,
			 bool tables);
void hw_iotlb_invalidate_domain(struct hw_iotlb *iotlb, unsigned int domain);
void hw_iotlb_invalidate_all(struct hw_iotlb *iotlb);

/* An entry that differs from the tables. */
struct hw_iotlb_stale {
	uint64_t iova; /* where they first differ */
	unsigned int size_lg2;
	bool is_table;
	uint64_t cached; /* address of the memory at iova, or of a table */
	struct hw_translation now;
};

/*
 * Walk again for every entry of @domain. Returns how many entries are stale; the first
 * one found is stored in @stale, unless that is NULL. While no flush is pending and no
 * table changes, there must be none.
 */
unsigned int hw_iotlb_check(struct hw_iotlb *iotlb, unsigned int domain,
			    const struct hw_tables *tables, struct hw_iotlb_stale *stale);

void hw_iotlb_get_stat(struct hw_iotlb *iotlb, struct hw_iotlb_stat *stat);

/* The context with which hw_iotlb_ops go to iommu_domain_set_iotlb_ops(). */
struct hw_iotlb_domain {
	struct hw_iotlb *iotlb;
	unsigned int domain;
};

extern const struct iommu_iotlb_ops hw_iotlb_ops;

#endif
