// SPDX-License-Identifier: MIT
/*
 * One area: a range of iova, and its translation in the domains of its table.
 */
#include "iommufd/pages.h"
#include "plat/compiler.h"

static _Atomic(struct kmem_cache *) area_cache;

struct iopt_area *iopt_area_alloc(struct io_pagetable *iopt, struct iopt_pages *pages,
				  uint64_t start_byte, uint64_t length)
{
	struct iopt_area *area =
		iopt_cache_alloc(&area_cache, "iopt_area", sizeof(*area), iopt->ctx);

	if (!area)
		return NULL;
	area->iopt = iopt;
	area->pages = pages;
	area->start_byte = start_byte;
	area->node.last = length - 1; /* until it has an iova */
	area->pages_node.start = start_byte >> IOPT_PAGE_SHIFT;
	area->pages_node.last = (start_byte + length - 1) >> IOPT_PAGE_SHIFT;
	return area;
}

static void free_area(struct iopt_area *area)
{
	kmem_cache_free(atomic_load_explicit(&area_cache, memory_order_relaxed), area);
}

void iopt_area_free(struct iopt_area *area)
{
	iopt_pages_put(area->pages);
	free_area(area);
}

void iopt_area_insert(struct iopt_area *area)
{
	itree_insert(&area->iopt->areas, &area->node);
	area->iopt->nr_areas++;
	area->iopt->mapped_bytes += area->node.last - area->node.start + 1;
}

void iopt_area_remove(struct iopt_area *area)
{
	itree_remove(&area->iopt->areas, &area->node);
	area->iopt->nr_areas--;
	area->iopt->mapped_bytes -= area->node.last - area->node.start + 1;
}

int iopt_area_pin(struct iopt_area *area)
{
	return iopt_pages_pin(area->pages, &area->pages->areas, &area->pages_node);
}

void iopt_area_unpin(struct iopt_area *area)
{
	iopt_pages_unpin(area->pages, &area->pages->areas, &area->pages_node);
}

struct area_fill {
	struct iommu_domain *domain;
	uint64_t iova, left; /* what is yet to be mapped */
	uint64_t offset;     /* where the area begins in the next page */
	uint64_t step;       /* the most that one entry may map, or 0 */
	int prot;
};

static int fill_run(void *arg, uint64_t paddr, uint64_t npages)
{
	struct area_fill *fill = arg;
	uint64_t size = MIN((npages << IOPT_PAGE_SHIFT) - fill->offset, fill->left);

	paddr += fill->offset;
	fill->offset = 0;
	while (size) {
		uint64_t part = fill->step ? MIN(size, fill->step) : size;
		int ret = iommu_map(fill->domain, fill->iova, paddr, part, fill->prot,
				    GFP_KERNEL_ACCOUNT);

		if (ret)
			return ret;
		fill->iova += part;
		fill->left -= part;
		paddr += part;
		size -= part;
	}
	return 0;
}

int iopt_area_fill(struct iopt_area *area, struct iommu_domain *domain)
{
	const struct itree_node *index = &area->pages_node;
	struct iopt_pages *pages = area->pages;
	struct area_fill fill = {
		.domain = domain,
		.iova = area->node.start,
		.left = area->node.last - area->node.start + 1,
		.offset = area->start_byte & IOPT_PAGE_MASK,
		.step = area->iopt->disable_large_pages ? IOPT_PAGE_SIZE : 0,
		.prot = area->prot,
	};
	uint64_t npages = index->last - index->start + 1;
	int ret = 0;

	if (!pages->device)
		ret = iommufd_phys_runs(pages->ctx, iopt_pages_mm(pages),
					iopt_pages_uaddr(pages) + (index->start << IOPT_PAGE_SHIFT),
					npages, fill_run, &fill);
	else if (!pages->revoked)
		ret = fill_run(&fill,
			       iopt_pages_dmabuf_paddr(pages) + (index->start << IOPT_PAGE_SHIFT),
			       npages);
	if (ret && fill.iova != area->node.start)
		iommu_unmap(domain, area->node.start, fill.iova - area->node.start);
	return ret;
}

void iopt_area_unfill(struct iopt_area *area, struct iommu_domain *domain)
{
	iommu_unmap(domain, area->node.start, area->node.last - area->node.start + 1);
}

int iopt_area_fill_domains(struct iopt_area *area)
{
	struct list_head *domains = &area->iopt->domains;
	struct iopt_domain *filled, *undo;
	int ret;

	if (list_empty(domains))
		return 0;
	ret = iopt_area_pin(area);
	if (ret)
		return ret;
	list_for_each_entry(filled, domains, link)
	{
		ret = iopt_area_fill(area, filled->domain);
		if (ret)
			goto undo;
	}
	return 0;

undo:
	list_for_each_entry(undo, domains, link)
	{
		if (undo == filled)
			break;
		iopt_area_unfill(area, undo->domain);
	}
	iopt_area_unpin(area);
	return ret;
}

void iopt_area_unfill_domains(struct iopt_area *area)
{
	struct iopt_domain *filled;

	if (list_empty(&area->iopt->domains))
		return;
	list_for_each_entry(filled, &area->iopt->domains, link)
		iopt_area_unfill(area, filled->domain);
	iopt_area_unpin(area);
}

/* ---- cutting, for VFIO type1 version 1 ---- */

static int can_split(const struct iopt_area *area, uint64_t right_start)
{
	struct io_pagetable *iopt = area->iopt;
	uint64_t mask = iopt->iova_alignment - 1;

	if (area->prevent_access)
		return -EBUSY;
	if ((right_start & mask) || (iopt_area_byte(area, right_start) & mask))
		return -EINVAL;
	if (area->num_accesses)
		return -EINVAL; /* whose pins would belong to either */
	if (!list_empty(&iopt->domains) && !iopt->disable_large_pages)
		return -EINVAL; /* one entry may reach over the border */
	return 0;
}

static int split_area(struct iopt_area *area, uint64_t last)
{
	struct iopt_pages *pages = area->pages;
	uint64_t start = area->node.start, end = area->node.last;
	struct iopt_area *left, *right;
	int ret;

	if (last == start || last == end)
		return 0;
	ret = can_split(area, last + 1);
	if (ret)
		return ret;
	left = iopt_area_alloc(area->iopt, pages, area->start_byte, last - start + 1);
	right = iopt_area_alloc(area->iopt, pages, iopt_area_byte(area, last + 1), end - last);
	if (!left || !right) {
		free_area(left);
		free_area(right);
		return -ENOMEM;
	}
	left->node.start = start;
	left->node.last = last;
	right->node.start = last + 1;
	right->node.last = end;
	left->prot = right->prot = area->prot;
	pages->refs++;
	if (!list_empty(&area->iopt->domains))
		iopt_pages_split(pages, &area->pages_node, &left->pages_node, &right->pages_node);
	iopt_area_remove(area);
	free_area(area);
	iopt_area_insert(left);
	iopt_area_insert(right);
	return 0;
}

int iopt_cut_iova(struct io_pagetable *iopt, const uint64_t *iovas, unsigned int nr)
{
	int ret = 0;

	for (unsigned int i = 0; i < nr && !ret; i++) {
		struct iopt_area *area = iopt_area_at(iopt, iovas[i]);

		if (area)
			ret = split_area(area, iovas[i]);
	}
	return ret;
}
