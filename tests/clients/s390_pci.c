/* SPDX-License-Identifier: MIT */
#include "tests/clients/s390_pci.h"

#include "mm/page.h"
#include "plat/compiler.h"

#define PAGE_MASK (~(uint64_t)(PAGE_SIZE - 1))

int zpci_dma_init_device(struct zpci_dev *zdev, gfp_t gfp)
{
	struct iommu_domain_params params = {.type = IOMMU_DOMAIN_DMA, .format = "s390"};
	struct iommu_domain *domain;
	struct iommu_domain_info info;

	zdev->domain = NULL;
	if (zdev->start_dma > zdev->end_dma ||
	    ((zdev->start_dma | (zdev->end_dma + 1)) & (PAGE_SIZE - 1)))
		return -EINVAL;
	domain = iommu_domain_alloc(&params, gfp);
	if (IS_ERR(domain))
		return (int)PTR_ERR(domain);
	iommu_domain_get_info(domain, &info);
	if (zdev->start_dma < info.aperture_start || zdev->end_dma > info.aperture_last) {
		iommu_domain_free(domain);
		return -EINVAL;
	}
	zdev->domain = domain;
	return 0;
}

void zpci_dma_exit_device(struct zpci_dev *zdev)
{
	iommu_domain_free(zdev->domain);
	zdev->domain = NULL;
}

/* Whole pages, not none, that are the function's. */
static bool range_is_good(const struct zpci_dev *zdev, dma_addr_t iova, size_t pgcount)
{
	return zdev->domain && !(iova & (PAGE_SIZE - 1)) && pgcount && iova >= zdev->start_dma &&
	       iova <= zdev->end_dma && pgcount - 1 <= (zdev->end_dma - iova) >> PAGE_SHIFT;
}

/* The range is good. Nothing becomes valid but all of it. */
static int validate_trans(struct zpci_dev *zdev, phys_addr_t pa, dma_addr_t dma_addr,
			  size_t nr_pages, int prot, gfp_t gfp)
{
	int ret = 0;
	size_t i;

	if (pa + (nr_pages * PAGE_SIZE - 1) < pa)
		return -EINVAL;
	for (i = 0; i < nr_pages && !ret; i++)
		ret = iommu_map(zdev->domain, dma_addr + i * PAGE_SIZE, pa + i * PAGE_SIZE,
				PAGE_SIZE, prot, gfp);
	/* Not the page that failed: another call may have made it valid. */
	if (ret)
		iommu_unmap(zdev->domain, dma_addr, (i - 1) * PAGE_SIZE);
	return ret;
}

/* The range is good. */
static void invalidate_trans(struct zpci_dev *zdev, dma_addr_t dma_addr, size_t nr_pages)
{
	struct iommu_iotlb_gather gather;

	iommu_iotlb_gather_init(&gather);
	for (size_t i = 0; i < nr_pages; i++)
		iommu_unmap_fast(zdev->domain, dma_addr + i * PAGE_SIZE, PAGE_SIZE, &gather);
	iommu_iotlb_sync(zdev->domain, &gather);
}

int dma_update_trans(struct zpci_dev *zdev, phys_addr_t pa, dma_addr_t dma_addr, size_t size,
		     int prot)
{
	size_t nr_pages = (size >> PAGE_SHIFT) + ((size & (PAGE_SIZE - 1)) != 0);
	int ret;

	if (!range_is_good(zdev, dma_addr, nr_pages))
		return -EINVAL;
	if (!prot) {
		invalidate_trans(zdev, dma_addr, nr_pages);
		return 0;
	}
	ret = validate_trans(zdev, pa & PAGE_MASK, dma_addr, nr_pages, prot, GFP_ATOMIC);
	if (ret || !zdev->refresh)
		return ret;
	ret = zdev->refresh(zdev->context, dma_addr, nr_pages * PAGE_SIZE);
	if (ret)
		invalidate_trans(zdev, dma_addr, nr_pages);
	return ret;
}

int s390_iommu_map_pages(struct zpci_dev *zdev, dma_addr_t iova, phys_addr_t paddr, size_t pgcount,
			 int prot, gfp_t gfp)
{
	if (!range_is_good(zdev, iova, pgcount) || (paddr & (PAGE_SIZE - 1)))
		return -EINVAL;
	return validate_trans(zdev, paddr, iova, pgcount, prot, gfp);
}

size_t s390_iommu_unmap_pages(struct zpci_dev *zdev, dma_addr_t iova, size_t pgcount)
{
	if (!range_is_good(zdev, iova, pgcount))
		return 0;
	invalidate_trans(zdev, iova, pgcount);
	return pgcount * PAGE_SIZE;
}
