/* SPDX-License-Identifier: MIT */
/*
 * Every table that a domain ever needed: the tables of a kernel that frees no table
 * before it frees the domain.
 */
#ifndef TRACE_NEEDED_H
#define TRACE_NEEDED_H

#include <stdint.h>

#include <uiommu/iommu.h>
#include <uiommu/size.h>

#include "trace/domains.h"

struct needed {
	uint64_t *key; /* open addressing; NO_KEY where empty */
	uint64_t room; /* a power of two */
	uint64_t used;
	uint64_t tables[IOMMU_MAX_LEVELS]; /* of all domains, including the top tables */
	unsigned int levels[TRACE_DOMAINS_MAX];
	uint64_t pgsizes;
	struct iommu_size_table each[IOMMU_MAX_LEVELS]; /* one table of a level */
};

/* For domains of a format, which @size describes, with leaves of @pgsizes. */
void needed_init(struct needed *needed, const struct iommu_size *size, uint64_t pgsizes);
void needed_destroy(struct needed *needed);

/*
 * Set the levels of domain @index: its top table, and the tables that lead to the
 * former top.
 */
int needed_set_levels(struct needed *needed, unsigned int index, unsigned int levels);

/*
 * Note that a range was mapped in domain @index, with the largest possible leaves of
 * @needed->pgsizes. Returns 0 or -ENOMEM.
 */
int needed_add(struct needed *needed, unsigned int index, uint64_t iova, uint64_t paddr,
	       uint64_t size);

uint64_t needed_bytes(const struct needed *needed);

#endif
