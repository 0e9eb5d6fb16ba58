/* SPDX-License-Identifier: MIT */
/*
 * What the library reports as dirty, page by page, for the tests of it.
 */
#ifndef TESTS_DIRTY_REPORT_H
#define TESTS_DIRTY_REPORT_H

#include <uiommu/dirty.h>

#include "tests/dirty_hw.h"

#define KIB (1ULL << 10)
#define MIB (1ULL << 20)
#define GIB (1ULL << 30)

/* Every kind of tables with dirty bits that takes addresses above 4 GiB. */
static inline unsigned int wide_shapes(struct shape shapes[MAX_SHAPES])
{
	unsigned int n = list_shapes(shapes), wide = 0;

	for (unsigned int i = 0; i < n; i++)
		if (shapes[i].width > 32 && layout_of(shapes[i].format))
			shapes[wide++] = shapes[i];
	return wide;
}

/* ---- what the library reports ---- */

#define PAGES 16384u

/* What the reports are about: so many pages of the format. */
static inline uint64_t window(const struct shape *shape)
{
	return PAGES * shape->format->granule;
}

struct report {
	uint64_t base; /* page 0 */
	uint64_t page_size;
	uint64_t next; /* the report after this must begin above */
	unsigned int calls;
	uint8_t dirty[PAGES];
};

static inline void record(void *context, dma_addr_t iova, dma_addr_t last)
{
	struct report *report = context;

	assert_true(iova <= last);
	assert_true(!report->calls || iova > report->next);
	report->calls++;
	report->next = last + 1;
	for (uint64_t at = iova; at <= last && at >= iova; at += report->page_size)
		report->dirty[(at - report->base) / report->page_size] = 1;
}

static inline void read_dirty(struct iommu_domain *domain, uint64_t iova, uint64_t size,
			      unsigned long flags, struct report *report)
{
	struct iommu_iotlb_gather gather;
	struct iommu_dirty_bitmap dirty = {record, report, &gather};

	report->calls = 0;
	memset(report->dirty, 0, sizeof(report->dirty));
	iommu_iotlb_gather_init(&gather);
	assert_int_equal(iommu_read_and_clear_dirty(domain, iova, size, flags, &dirty), 0);
	iommu_iotlb_sync(domain, &gather);
}

#endif
