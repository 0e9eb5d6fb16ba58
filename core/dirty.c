/* SPDX-License-Identifier: MIT */
/* Dirty tracking: the order of the steps. The engine has the dirty bits. */
#include <uiommu/dirty.h>

#include "core/domain.h"

bool iommu_domain_tracks_dirty(const struct iommu_domain *domain)
{
	return domain->pt.ops && domain->pt.ops->read_dirty;
}

static int has_dirty_bits(const struct iommu_domain *domain)
{
	if (!domain->pt.ops)
		return -EINVAL;
	return domain->pt.ops->read_dirty ? 0 : -EOPNOTSUPP;
}

int iommu_set_dirty_tracking(struct iommu_domain *domain, bool enable)
{
	struct iommu_iotlb_gather gather;
	struct iommu_dirty_bitmap dirty = {.gather = &gather};
	int ret = has_dirty_bits(domain);

	if (ret)
		return ret;
	/* New mappings must begin clean before the existing ones are cleaned. */
	atomic_store(&domain->pt.track_dirty, enable);
	if (!enable)
		return 0;
	iommu_iotlb_gather_init(&gather);
	domain->pt.ops->read_dirty(&domain->pt, 0, ~0ULL, true, &dirty);
	iommu_iotlb_sync_if_needed(domain, &gather);
	return 0;
}

int iommu_read_and_clear_dirty(struct iommu_domain *domain, dma_addr_t iova, uint64_t size,
			       unsigned long flags, const struct iommu_dirty_bitmap *dirty)
{
	int ret = has_dirty_bits(domain);

	if (ret)
		return ret;
	if (!size || iova + (size - 1) < iova || flags & ~IOMMU_DIRTY_NO_CLEAR ||
	    (dirty->record && !atomic_load(&domain->pt.track_dirty)))
		return -EINVAL;
	domain->pt.ops->read_dirty(&domain->pt, iova, iova + (size - 1),
				   !(flags & IOMMU_DIRTY_NO_CLEAR), dirty);
	return 0;
}

bool iommu_mark_dirty(struct iommu_domain *domain, dma_addr_t iova)
{
	return !has_dirty_bits(domain) && domain->pt.ops->mark_dirty(&domain->pt, iova);
}
