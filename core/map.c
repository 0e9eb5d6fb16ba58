/* SPDX-License-Identifier: MIT */
/*
 * Mapping and unmapping. The arguments are checked here, once for all formats, and a
 * list that failed half-way is undone here. One page is mapped and unmapped far more
 * often than anything else, so each check tests words that are loaded anyway.
 */
#include <uiommu/iommu.h>

#include "core/domain.h"
#include "mm/gfp.h"
#include "mm/page.h"

/*
 * True for a range that is aligned, not empty and does not wrap, in a domain that
 * translates.
 */
static inline bool range_is_good(const struct iommu_domain *domain, uint64_t iova, uint64_t paddr,
				 uint64_t size)
{
	return !((iova | paddr | size) & domain->misaligned) && size && iova + (size - 1) >= iova &&
	       paddr + (size - 1) >= paddr;
}

/* Inlined, so that a report of might_sleep_if() names the caller of the public function. */
static inline __attribute__((always_inline)) bool context_is_good(int prot, gfp_t gfp)
{
	might_sleep_if(mm_thread_self(), gfpflags_allow_blocking(gfp));
	return !gfp_refused(gfp) && (prot & (IOMMU_READ | IOMMU_WRITE));
}

__hot int iommu_map(struct iommu_domain *domain, dma_addr_t iova, phys_addr_t paddr, size_t size,
		    int prot, gfp_t gfp)
{
	struct iommu_iotlb_gather gather;
	int ret;

	if (unlikely(!context_is_good(prot, gfp) || !range_is_good(domain, iova, paddr, size)))
		return -EINVAL;
	iommu_iotlb_gather_init(&gather);
	ret = domain->pt.ops->map(&domain->pt, iova, paddr, size, prot, gfp, &gather);
	iommu_iotlb_sync_if_needed(domain, &gather);
	return ret;
}

/* The sum of the lengths; 0 when a piece or the sum is invalid. */
static uint64_t sg_length(const struct iommu_domain *domain, const struct iommu_sg *sg,
			  unsigned int nents)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < nents; i++) {
		if (!sg[i].length)
			continue;
		if (!range_is_good(domain, 0, sg[i].paddr, sg[i].length) ||
		    sg[i].length > (uint64_t)PTRDIFF_MAX - sum)
			return 0;
		sum += sg[i].length;
	}
	return sum;
}

ssize_t iommu_map_sg(struct iommu_domain *domain, dma_addr_t iova, const struct iommu_sg *sg,
		     unsigned int nents, int prot, gfp_t gfp)
{
	const struct pgtable_ops *ops = domain->pt.ops;
	struct iommu_iotlb_gather gather;
	const struct iommu_sg *next = sg;
	struct iommu_sg piece;
	uint64_t total;
	int ret;

	if (!context_is_good(prot, gfp))
		return -EINVAL;
	total = sg_length(domain, sg, nents);
	if (!range_is_good(domain, iova, 0, total))
		return -EINVAL;
	iommu_iotlb_gather_init(&gather);
	piece = pgtable_next_piece(&next, sg + nents);
	if (piece.length == total)
		ret = ops->map(&domain->pt, iova, piece.paddr, total, prot, gfp, &gather);
	else
		ret = ops->map_sg(&domain->pt, iova, sg, nents, total, prot, gfp, &gather);
	iommu_iotlb_sync_if_needed(domain, &gather);
	return ret ? ret : (ssize_t)total;
}

/* Inlined; a function that can be interposed would not be. */
static inline __attribute__((always_inline)) size_t unmap_fast(struct iommu_domain *domain,
							       dma_addr_t iova, size_t size,
							       struct iommu_iotlb_gather *gather)
{
	if (unlikely(!range_is_good(domain, iova, 0, size)))
		return 0;
	return domain->pt.ops->unmap(&domain->pt, iova, size, gather);
}

__hot size_t iommu_unmap_fast(struct iommu_domain *domain, dma_addr_t iova, size_t size,
			      struct iommu_iotlb_gather *gather)
{
	return unmap_fast(domain, iova, size, gather);
}

__hot size_t iommu_unmap(struct iommu_domain *domain, dma_addr_t iova, size_t size)
{
	struct iommu_iotlb_gather gather;
	size_t unmapped;

	iommu_iotlb_gather_init(&gather);
	unmapped = unmap_fast(domain, iova, size, &gather);
	iommu_iotlb_sync_if_needed(domain, &gather);
	return unmapped;
}

int iommu_split_mapping(struct iommu_domain *domain, dma_addr_t iova, size_t size, gfp_t gfp)
{
	struct iommu_iotlb_gather gather;
	uint64_t ends[] = {iova, iova + size};
	int ret = 0;

	if (!context_is_good(IOMMU_READ, gfp) || !range_is_good(domain, iova, 0, size))
		return -EINVAL;
	iommu_iotlb_gather_init(&gather);
	for (unsigned int i = 0; i < ARRAY_SIZE(ends) && !ret; i++) {
		/* No address is below 0 or above 2^64. */
		if (ends[i])
			ret = domain->pt.ops->split(&domain->pt, ends[i], gfp, &gather);
	}
	iommu_iotlb_sync_if_needed(domain, &gather);
	return ret;
}

__hot phys_addr_t iommu_iova_to_phys(struct iommu_domain *domain, dma_addr_t iova)
{
	return domain->pt.iova_to_phys(&domain->pt, iova);
}
