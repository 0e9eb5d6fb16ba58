/* SPDX-License-Identifier: MIT */
/* The limits of a device: the addresses that it can send, the segments that it can take. */
#include "dma/dma.h"

/* A mask that is all ones from bit 0 on. */
static bool is_bit_mask(uint64_t mask)
{
	return mask && !(mask & (mask + 1));
}

static bool dma_supported(struct iommu_device *dev, uint64_t mask)
{
	const struct iommu_dma_cookie *cookie = device_dma_cookie(dev);

	return is_bit_mask(mask) && (!cookie || mask >> cookie->shift >= cookie->first_pfn);
}

int dma_set_mask(struct iommu_device *dev, uint64_t mask)
{
	if (!dma_supported(dev, mask))
		return -EIO;
	dev->dma.mask = mask;
	return 0;
}

int dma_set_coherent_mask(struct iommu_device *dev, uint64_t mask)
{
	if (!dma_supported(dev, mask))
		return -EIO;
	dev->dma.coherent_mask = mask;
	return 0;
}

uint64_t dma_get_required_mask(struct iommu_device *dev)
{
	return DMA_BIT_MASK(32);
}

void dma_set_max_seg_size(struct iommu_device *dev, unsigned int size)
{
	dev->dma.max_seg_size = size;
}

void dma_set_seg_boundary(struct iommu_device *dev, uint64_t mask)
{
	dev->dma.seg_boundary = mask;
}

void dev_set_untrusted(struct iommu_device *dev, bool untrusted)
{
	dev->dma.untrusted = untrusted;
}

void dma_set_phys_to_virt(struct iommu_device *dev, dma_phys_to_virt_t find)
{
	dev->dma.phys_to_virt = find;
}

int dma_mapping_error(struct iommu_device *dev, dma_addr_t addr)
{
	return addr == DMA_MAPPING_ERROR ? -ENOMEM : 0;
}
