/* SPDX-License-Identifier: MIT */
/*
 * Flush what was unmapped, then free its tables. Never in the other order: hardware may
 * walk a table until the IOTLB has forgotten it.
 */
#include <uiommu/iommu.h>

#include "core/domain.h"

static void flush(struct iommu_domain *domain, const struct iommu_iotlb_gather *gather)
{
	struct mm_thread *self = mm_thread_self();
	bool has_range = gather->start <= gather->last;
	struct mm_call call;
	dma_addr_t start = gather->start, last = gather->last;

	if (!has_range && !gather->tables)
		return;
	if (!has_range) { /* the range that the tables covered is not known */
		start = 0;
		last = domain->pt.aperture_last;
	}
	mm_call_begin(self, &call, &domain->pt);
	domain->iotlb_ops->flush(domain->iotlb_context, domain, start, last, gather->tables);
	mm_call_end(self, &call);
}

void iommu_iotlb_sync(struct iommu_domain *domain, struct iommu_iotlb_gather *gather)
{
	if (domain->iotlb_ops)
		flush(domain, gather);
	if (gather->pending)
		pgtable_free_gathered(&domain->pt, gather);
	iommu_iotlb_gather_init(gather);
}

void iommu_domain_set_iotlb_ops(struct iommu_domain *domain, const struct iommu_iotlb_ops *ops,
				void *context)
{
	domain->iotlb_ops = ops;
	domain->iotlb_context = context;
}
