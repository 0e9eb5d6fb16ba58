/* SPDX-License-Identifier: MIT */
/*
 * Every table that a domain ever needed: what a kernel holds that frees no
 * table before it frees the domain.
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
	uint64_t tables[IOMMU_MAX_LEVELS]; /* of all domains; top tables included */
	unsigned int levels[TRACE_DOMAINS_MAX];
	uint64_t pgsizes;
	struct iommu_size_table each[IOMMU_MAX_LEVELS]; /* one table of a level */
};

/* For domains of a format, which @size describes, with leaves of @pgsizes. */
void needed_init(struct needed *needed, const struct iommu_size *size, uint64_t pgsizes);
void needed_destroy(struct needed *needed);

/* Domain @index has these levels now: its top table, and what that stands on. */
int needed_set_levels(struct needed *needed, unsigned int index, unsigned int levels);

/*
 * A range was mapped in domain @index, with the largest leaves of
 * @needed->pgsizes that fit. -ENOMEM, or 0.
 */
int needed_add(struct needed *needed, unsigned int index, uint64_t iova, uint64_t paddr,
	       uint64_t size);

uint64_t needed_bytes(const struct needed *needed);

#endif
