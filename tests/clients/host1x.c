// SPDX-License-Identifier: MIT
#include "tests/clients/host1x.h"

#include "tests/clients/tegra_pages.h"
#include "plat/compiler.h"

#define SLOTS      512
#define SLOT_BYTES 8u

int host1x_init(struct host1x *host, struct iommu_domain *domain, uint64_t dma_mask)
{
	struct iommu_domain_info info;
	unsigned int shift;
	uint64_t first;

	iommu_domain_get_info(domain, &info);
	if (!tegra_page_shift(&info, &shift))
		return -EINVAL;
	host->domain = domain;
	host->owner = info.owner;
	host->iova_end = info.aperture_last & dma_mask;
	first = (info.aperture_start & dma_mask) >> shift;
	host->iova = iova_domain_alloc(BIT_ULL(shift), first ? first : 1, host->iova_end >> shift,
				       GFP_KERNEL_ACCOUNT);
	return IS_ERR(host->iova) ? (int)PTR_ERR(host->iova) : 0;
}

void host1x_exit(struct host1x *host)
{
	iova_domain_free(host->iova);
}

int host1x_pushbuffer_init(struct host1x *host, struct host1x_pushbuffer *pb)
{
	uint64_t granule = iova_granule(host->iova), pfn;
	struct page *page;
	size_t size;
	int ret;

	*pb = (struct host1x_pushbuffer){.size = SLOTS * SLOT_BYTES};
	pb->fence = pb->size - SLOT_BYTES;
	/* One word more, for the command that leads back to the start. */
	size = tegra_align(pb->size + sizeof(uint32_t), granule);
	page = tegra_alloc_pages(size, GFP_KERNEL, host->owner);
	if (!page)
		return -ENOMEM;
	pfn = alloc_iova(host->iova, size / granule, host->iova_end / granule, true, GFP_KERNEL);
	if (!pfn) {
		ret = -ENOMEM;
		goto free_pages;
	}
	ret = iommu_map(host->domain, pfn * granule, virt_to_phys(page_address(page)), size,
			IOMMU_READ, GFP_KERNEL);
	if (ret)
		goto free_iova;
	pb->dma = pfn * granule;
	pb->mapped = page_address(page);
	pb->phys = virt_to_phys(pb->mapped);
	pb->alloc_size = (uint32_t)size;
	return 0;

free_iova:
	free_iova(host->iova, pfn, size / granule);
free_pages:
	free_pages(page);
	return ret;
}

void host1x_pushbuffer_destroy(struct host1x *host, struct host1x_pushbuffer *pb)
{
	uint64_t granule = iova_granule(host->iova);

	if (!pb->mapped)
		return;
	iommu_unmap(host->domain, pb->dma, pb->alloc_size);
	free_iova(host->iova, pb->dma / granule, pb->alloc_size / granule);
	free_pages(virt_to_page(pb->mapped));
	pb->mapped = NULL;
	pb->phys = 0;
}

int host1x_pushbuffer_push(struct host1x_pushbuffer *pb, uint32_t op1, uint32_t op2)
{
	if (pb->pos == pb->fence)
		return -ENOSPC;
	pb->mapped[pb->pos / sizeof(uint32_t)] = op1;
	pb->mapped[pb->pos / sizeof(uint32_t) + 1] = op2;
	pb->pos = (pb->pos + SLOT_BYTES) & (pb->size - 1);
	return 0;
}

void host1x_pushbuffer_pop(struct host1x_pushbuffer *pb, unsigned int slots)
{
	pb->fence = (pb->fence + slots * SLOT_BYTES) & (pb->size - 1);
}
