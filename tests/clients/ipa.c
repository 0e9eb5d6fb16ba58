// SPDX-License-Identifier: MIT
#include "tests/clients/ipa.h"

#include "mm/page.h"
#include "plat/compiler.h"

static int map_region(struct iommu_domain *domain, const struct ipa_region *region,
		      dma_addr_t *iova, size_t *size)
{
	size_t offset = region->addr & (PAGE_SIZE - 1);
	int ret;

	if (!region->size)
		return 0;
	/* Up to a whole page is added. */
	if (!domain || region->size > SIZE_MAX - offset - (PAGE_SIZE - 1))
		return -EINVAL;
	*iova = region->addr - offset;
	*size = (offset + region->size + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
	ret = iommu_map(domain, *iova, *iova, *size, IOMMU_READ | IOMMU_WRITE, GFP_KERNEL);
	if (ret)
		*iova = *size = 0;
	return ret;
}

static void unmap_region(struct iommu_domain *domain, dma_addr_t *iova, size_t *size)
{
	if (*size)
		iommu_unmap(domain, *iova, *size);
	*iova = *size = 0;
}

int ipa_mem_init(struct ipa *ipa, struct iommu_domain *domain, const struct ipa_region *imem,
		 const struct ipa_region *smem)
{
	int ret;

	*ipa = (struct ipa){.domain = domain};
	ret = map_region(domain, imem, &ipa->imem_iova, &ipa->imem_size);
	if (!ret)
		ret = map_region(domain, smem, &ipa->smem_iova, &ipa->smem_size);
	if (ret)
		ipa_mem_exit(ipa);
	return ret;
}

void ipa_mem_exit(struct ipa *ipa)
{
	unmap_region(ipa->domain, &ipa->smem_iova, &ipa->smem_size);
	unmap_region(ipa->domain, &ipa->imem_iova, &ipa->imem_size);
}
