// SPDX-License-Identifier: MIT
#include "tests/clients/tegra_drm.h"

#include "tests/clients/tegra_pages.h"
#include "plat/compiler.h"

int tegra_drm_init(struct tegra_drm *tegra, struct iommu_domain *domain, uint64_t dma_mask)
{
	struct iommu_domain_info info;
	struct iova_domain *carveout;
	uint64_t start, end;
	unsigned int shift;

	iommu_domain_get_info(domain, &info);
	if (!tegra_page_shift(&info, &shift))
		return -EINVAL;
	start = info.aperture_start & dma_mask;
	end = info.aperture_last & dma_mask;
	if (end < start || end - start < TEGRA_CARVEOUT_SZ)
		return -EINVAL;
	carveout = iova_domain_alloc(BIT_ULL(shift), (end - TEGRA_CARVEOUT_SZ + 1) >> shift,
				     end >> shift, GFP_KERNEL_ACCOUNT);
	if (IS_ERR(carveout))
		return (int)PTR_ERR(carveout);
	tegra->domain = domain;
	tegra->owner = info.owner;
	tegra->carveout.domain = carveout;
	tegra->carveout.shift = shift;
	tegra->carveout.limit = end >> shift;
	return 0;
}

void tegra_drm_exit(struct tegra_drm *tegra)
{
	iova_domain_free(tegra->carveout.domain);
}

void *tegra_drm_alloc(struct tegra_drm *tegra, size_t size, dma_addr_t *dma)
{
	unsigned int shift = tegra->carveout.shift;
	struct page *page;
	uint64_t pfn;
	int ret;

	size = tegra_align(size, BIT_ULL(shift));
	page = tegra_alloc_pages(size, GFP_KERNEL | __GFP_ZERO, tegra->owner);
	if (!page)
		return ERR_PTR(-ENOMEM);
	pfn = alloc_iova(tegra->carveout.domain, size >> shift, tegra->carveout.limit, true,
			 GFP_KERNEL);
	if (!pfn) {
		ret = -EBUSY;
		goto free_pages;
	}
	ret = iommu_map(tegra->domain, pfn << shift, virt_to_phys(page_address(page)), size,
			IOMMU_READ | IOMMU_WRITE, GFP_KERNEL);
	if (ret)
		goto free_iova;
	*dma = pfn << shift;
	return page_address(page);

free_iova:
	free_iova(tegra->carveout.domain, pfn, size >> shift);
free_pages:
	free_pages(page);
	return ERR_PTR(ret);
}

void tegra_drm_free(struct tegra_drm *tegra, size_t size, void *virt, dma_addr_t dma)
{
	unsigned int shift = tegra->carveout.shift;

	size = tegra_align(size, BIT_ULL(shift));
	iommu_unmap(tegra->domain, dma, size);
	free_iova(tegra->carveout.domain, dma >> shift, size >> shift);
	free_pages(virt_to_page(virt));
}
