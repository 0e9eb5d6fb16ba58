/* SPDX-License-Identifier: MIT */
/*
 * What a domain has for the DMA API: a set of addresses, without those that are
 * reserved for its devices.
 */
#include "dma/dma.h"

#include "mm/slab.h"
#include "plat/string.h"

static void cookie_free(struct iommu_domain *domain, struct iommu_domain_cookie *base)
{
	struct iommu_dma_cookie *cookie = (struct iommu_dma_cookie *)base;

	fq_free(atomic_load(&cookie->fq));
	iommu_dma_free_msi_pages(cookie);
	iova_domain_free(cookie->iovad);
	kfree(cookie);
}

/* Page frame 0 is never used: many drivers take address 0 for a failure. */
static int find_addresses(struct iommu_dma_cookie *cookie)
{
	struct iommu_domain_info info;

	iommu_domain_get_info(cookie->domain, &info);
	cookie->shift = ffs64_index(info.pgsizes);
	cookie->mask = BIT_ULL(cookie->shift) - 1;
	cookie->first_pfn = MAX(info.aperture_start >> cookie->shift, 1);
	cookie->last_pfn = info.aperture_last >> cookie->shift;
	return cookie->first_pfn <= cookie->last_pfn ? 0 : -EINVAL;
}

/* Charged to the domain's owner, whatever the calling thread's cgroup is. */
static struct iova_domain *alloc_iovad(const struct iommu_dma_cookie *cookie, gfp_t gfp)
{
	struct mem_cgroup *owner = dma_owner(cookie), *active;
	struct iova_domain *iovad;

	if (!owner)
		return iova_domain_alloc(cookie->mask + 1, cookie->first_pfn, cookie->last_pfn,
					 gfp);
	active = mem_cgroup_get(mem_cgroup_active());
	mem_cgroup_set_active(owner);
	iovad = iova_domain_alloc(cookie->mask + 1, cookie->first_pfn, cookie->last_pfn,
				  gfp | __GFP_ACCOUNT);
	mem_cgroup_set_active(active);
	mem_cgroup_put(active);
	return iovad;
}

static struct iommu_dma_cookie *cookie_alloc(struct iommu_domain *domain, gfp_t gfp)
{
	struct iommu_dma_cookie *cookie = kzalloc(sizeof(*cookie), gfp, domain->pt.owner);
	int ret;

	if (!cookie)
		return ERR_PTR(-ENOMEM);
	cookie->cookie.free = cookie_free;
	cookie->domain = domain;
	mm_mutex_init(&cookie->msi_lock);
	ret = find_addresses(cookie);
	if (ret)
		goto free_cookie;
	cookie->iovad = alloc_iovad(cookie, gfp);
	if (IS_ERR(cookie->iovad)) {
		ret = (int)PTR_ERR(cookie->iovad);
		goto free_cookie;
	}
	return cookie;

free_cookie:
	kfree(cookie);
	return ERR_PTR(ret);
}

/* Reserve one region, or the part of it that the set has addresses for. */
static int reserve_region(struct iommu_dma_cookie *cookie, const struct iommu_resv_region *region,
			  gfp_t gfp)
{
	uint64_t first = region->start >> cookie->shift;
	uint64_t last = (region->start + (region->length - 1)) >> cookie->shift;

	first = MAX(first, cookie->first_pfn);
	last = MIN(last, cookie->last_pfn);
	return first <= last ? reserve_iova(cookie->iovad, first, last, gfp) : 0;
}

static int reserve_regions(struct iommu_dma_cookie *cookie, struct iommu_device *dev, gfp_t gfp)
{
	struct iommu_resv_region *list;
	int ret = iommu_get_resv_regions(dev, &list);

	for (const struct iommu_resv_region *region = list; region && !ret; region = region->next)
		ret = reserve_region(cookie, region, gfp);
	iommu_put_resv_regions(list);
	return ret;
}

/* The first device sets the domain up, with the regions reserved for it; all or nothing. */
static int setup_domain(struct iommu_domain *domain, struct iommu_device *dev, gfp_t gfp)
{
	struct iommu_dma_cookie *cookie = cookie_alloc(domain, gfp);
	struct iommu_domain_cookie *first = NULL;
	int ret;

	if (IS_ERR(cookie))
		return (int)PTR_ERR(cookie);
	ret = reserve_regions(cookie, dev, gfp);
	if (!ret && atomic_compare_exchange_strong(&domain->cookie, &first, &cookie->cookie))
		return 0;
	cookie_free(domain, &cookie->cookie);
	/* Another thread has set the domain up first. */
	return ret ? ret : reserve_regions(domain_dma_cookie(domain), dev, gfp);
}

int iommu_setup_dma_ops(struct iommu_device *dev, gfp_t gfp)
{
	struct iommu_domain *domain = iommu_get_dma_domain(dev);
	struct iommu_dma_cookie *cookie;
	int ret;

	might_sleep_if(mm_thread_self(), true);
	if (gfp_refused(gfp) || !domain || domain->type != IOMMU_DOMAIN_DMA)
		return -EINVAL;
	cookie = domain_dma_cookie(domain);
	ret = cookie ? reserve_regions(cookie, dev, gfp) : setup_domain(domain, dev, gfp);
	if (!ret)
		dev->dma.domain = domain;
	return ret;
}
