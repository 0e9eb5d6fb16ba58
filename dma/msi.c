/* SPDX-License-Identifier: MIT */
/*
 * Message signalled interrupts are writes by a device. They go through the IOMMU unless
 * the hardware has a window for them: so the page that they are written to gets a
 * mapping, one for all devices of a domain.
 */
#include "dma/dma.h"

#include "mm/slab.h"

struct iommu_dma_msi_page {
	struct iommu_dma_msi_page *next;
	phys_addr_t paddr;
	dma_addr_t iova;
};

/* The mappings are freed with the domain's tables, and the addresses with their set. */
void iommu_dma_free_msi_pages(struct iommu_dma_cookie *cookie)
{
	while (cookie->msi_pages) {
		struct iommu_dma_msi_page *page = cookie->msi_pages;

		cookie->msi_pages = page->next;
		kfree(page);
	}
}

static struct iommu_dma_msi_page *find_by_paddr(const struct iommu_dma_cookie *cookie,
						phys_addr_t paddr)
{
	struct iommu_dma_msi_page *page = cookie->msi_pages;

	while (page && page->paddr != paddr)
		page = page->next;
	return page;
}

static bool is_iova_used(const struct iommu_dma_cookie *cookie, dma_addr_t iova)
{
	const struct iommu_dma_msi_page *page = cookie->msi_pages;

	while (page && page->iova != iova)
		page = page->next;
	return page;
}

/* The first granule of a window that is not used for a page; 0 when there is none. */
static dma_addr_t iova_in_window(const struct iommu_dma_cookie *cookie,
				 const struct iommu_resv_region *window)
{
	uint64_t granule = cookie->mask + 1;
	uint64_t at = (window->start + cookie->mask) & ~cookie->mask;

	at = MAX(at, cookie->first_pfn << cookie->shift);
	for (; at - window->start + granule <= window->length; at += granule)
		if (!is_iova_used(cookie, at))
			return at;
	return 0;
}

static int map_msi_page(struct iommu_device *dev, struct iommu_dma_cookie *cookie,
			struct iommu_dma_msi_page *page, const struct iommu_resv_region *window)
{
	uint64_t granule = cookie->mask + 1;
	int ret;

	if (window)
		page->iova = iova_in_window(cookie, window);
	else
		page->iova = iommu_dma_alloc_iova(dev, cookie, granule, dev->dma.mask, GFP_KERNEL);
	if (!page->iova)
		return -ENOMEM;
	ret = iommu_map(cookie->domain, page->iova, page->paddr, granule,
			IOMMU_WRITE | IOMMU_NOEXEC | IOMMU_MMIO, GFP_KERNEL);
	if (ret && !window)
		iommu_dma_free_iova(cookie, page->iova, granule);
	return ret;
}

/* The caller holds msi_lock. */
static struct iommu_dma_msi_page *get_msi_page_locked(struct iommu_device *dev,
						      struct iommu_dma_cookie *cookie,
						      phys_addr_t paddr,
						      const struct iommu_resv_region *window)
{
	struct iommu_dma_msi_page *page = find_by_paddr(cookie, paddr);
	int ret;

	if (page)
		return page;
	page = kzalloc(sizeof(*page), GFP_KERNEL, dma_owner(cookie));
	if (!page)
		return ERR_PTR(-ENOMEM);
	page->paddr = paddr;
	ret = map_msi_page(dev, cookie, page, window);
	if (ret) {
		kfree(page);
		return ERR_PTR(ret);
	}
	page->next = cookie->msi_pages;
	cookie->msi_pages = page;
	return page;
}

static struct iommu_dma_msi_page *get_msi_page(struct iommu_device *dev,
					       struct iommu_dma_cookie *cookie, phys_addr_t paddr,
					       const struct iommu_resv_region *window)
{
	struct iommu_dma_msi_page *page;

	if (!mm_mutex_lock(&cookie->msi_lock))
		return ERR_PTR(-EDEADLK);
	page = get_msi_page_locked(dev, cookie, paddr, window);
	mm_mutex_unlock(&cookie->msi_lock);
	return page;
}

static const struct iommu_resv_region *find_region(const struct iommu_resv_region *list,
						   enum iommu_resv_type type)
{
	while (list && list->type != type)
		list = list->next;
	return list;
}

static bool is_in_hardware_window(const struct iommu_resv_region *list, phys_addr_t msi_addr)
{
	for (const struct iommu_resv_region *region = find_region(list, IOMMU_RESV_MSI); region;
	     region = find_region(region->next, IOMMU_RESV_MSI))
		if (msi_addr - region->start < region->length)
			return true;
	return false;
}

int iommu_dma_prepare_msi(struct iommu_device *dev, phys_addr_t msi_addr, dma_addr_t *iova)
{
	struct iommu_dma_cookie *cookie = device_dma_cookie(dev);
	struct iommu_dma_msi_page *page;
	struct iommu_resv_region *list;
	int ret;

	might_sleep_if(mm_thread_self(), true);
	if (!cookie)
		return -EINVAL;
	ret = iommu_get_resv_regions(dev, &list);
	if (ret)
		return ret;
	*iova = msi_addr;
	if (!is_in_hardware_window(list, msi_addr)) {
		page = get_msi_page(dev, cookie, granule_start(cookie, msi_addr),
				    find_region(list, IOMMU_RESV_SW_MSI));
		if (IS_ERR(page))
			ret = (int)PTR_ERR(page);
		else
			*iova = page->iova + (msi_addr & cookie->mask);
	}
	iommu_put_resv_regions(list);
	return ret;
}
