// SPDX-License-Identifier: MIT
/*
 * One IO address space: what may be mapped where, and the domains that have all
 * of it. A domain comes in by being filled with every area, or not at all; the
 * pages of an area are pinned while there is one.
 */
#include "iommufd/pages.h"
#include "plat/compiler.h"

void iopt_init(struct io_pagetable *iopt, struct iommufd_ctx *ctx)
{
	*iopt = (struct io_pagetable){.ctx = ctx, .iova_alignment = 1};
	INIT_LIST_HEAD(&iopt->domains);
	INIT_LIST_HEAD(&iopt->accesses);
}

void iopt_free_ranges(struct itree *ranges)
{
	while (!itree_empty(ranges)) {
		struct itree_node *node = ranges->root;

		itree_remove(ranges, node);
		kfree(container_of(node, struct iopt_range, node));
	}
}

/* Domains and accesses are gone, and so are the areas. */
void iopt_destroy(struct io_pagetable *iopt)
{
	iopt_free_ranges(&iopt->allowed);
	iopt_free_ranges(&iopt->reserved);
}

/* ---- allowed and reserved ranges ---- */

int iopt_set_allow_iova(struct io_pagetable *iopt, struct itree *ranges)
{
	struct itree_node *node;
	struct itree old;

	for (node = itree_first(ranges, 0, UINT64_MAX); node;
	     node = itree_next(ranges, node, 0, UINT64_MAX))
		if (itree_first(&iopt->reserved, node->start, node->last))
			return -EADDRINUSE;
	old = iopt->allowed;
	iopt->allowed = *ranges;
	*ranges = old;
	iopt->hint_length = 0;
	return 0;
}

int iopt_reserve_iova(struct io_pagetable *iopt, uint64_t start, uint64_t last, void *owner)
{
	struct iopt_range *range;

	if (itree_first(&iopt->areas, start, last) || itree_first(&iopt->allowed, start, last))
		return -EADDRINUSE;
	range = kzalloc(sizeof(*range), GFP_KERNEL_ACCOUNT, iopt->ctx->owner);
	if (!range)
		return -ENOMEM;
	range->node.start = start;
	range->node.last = last;
	range->owner = owner;
	itree_insert(&iopt->reserved, &range->node);
	return 0;
}

void iopt_remove_reserved_iova(struct io_pagetable *iopt, void *owner)
{
	struct itree_node *node, *next;

	for (node = itree_first(&iopt->reserved, 0, UINT64_MAX); node; node = next) {
		struct iopt_range *range = container_of(node, struct iopt_range, node);

		next = itree_next(&iopt->reserved, node, 0, UINT64_MAX);
		if (range->owner == owner) {
			itree_remove(&iopt->reserved, node);
			kfree(range);
		}
	}
	iopt->hint_length = 0;
}

static int reserve_regions(struct io_pagetable *iopt, struct iommu_device *dev,
			   const struct iommu_resv_region *region, uint64_t *sw_msi_start)
{
	unsigned int hw_msi = 0, sw_msi = 0;
	int ret;

	for (; region; region = region->next) {
		if (region->type == IOMMU_RESV_DIRECT_RELAXABLE)
			continue;
		if (sw_msi_start && region->type == IOMMU_RESV_MSI)
			hw_msi++;
		if (sw_msi_start && region->type == IOMMU_RESV_SW_MSI) {
			*sw_msi_start = region->start;
			sw_msi++;
		}
		ret = iopt_reserve_iova(iopt, region->start, region->start + region->length - 1,
					dev);
		if (ret)
			return ret;
	}
	return (hw_msi && sw_msi) || sw_msi > 1 ? -EINVAL : 0;
}

int iopt_table_enforce_dev_resv_regions(struct io_pagetable *iopt, struct iommu_device *dev,
					uint64_t *sw_msi_start)
{
	struct iommu_resv_region *list = NULL;
	int ret = iommu_get_resv_regions(dev, &list);

	if (ret)
		return ret;
	ret = reserve_regions(iopt, dev, list, sw_msi_start);
	if (ret)
		iopt_remove_reserved_iova(iopt, dev);
	iommu_put_resv_regions(list);
	return ret;
}

int iopt_for_each_usable(struct io_pagetable *iopt,
			 int (*each)(void *arg, uint64_t start, uint64_t last), void *arg)
{
	uint64_t cursor = 0, start, last;
	int ret;

	while (itree_gap(&iopt->reserved, NULL, &cursor, UINT64_MAX, &start, &last)) {
		ret = each(arg, start, last);
		if (ret || last == UINT64_MAX)
			return ret;
		cursor = last + 1;
	}
	return 0;
}

/* ---- alignment ---- */

static int check_iova_alignment(struct io_pagetable *iopt, uint64_t alignment)
{
	uint64_t mask = alignment - 1;
	struct itree_node *node;

	for (node = itree_first(&iopt->areas, 0, UINT64_MAX); node;
	     node = itree_next(&iopt->areas, node, 0, UINT64_MAX)) {
		uint64_t length = node->last - node->start + 1;
		uint64_t offset = iopt_area_of(node)->start_byte & IOPT_PAGE_MASK;

		if ((node->start | length | offset) & mask)
			return -EADDRINUSE;
	}
	return 0;
}

int iopt_calculate_iova_alignment(struct io_pagetable *iopt)
{
	uint64_t alignment = iopt->disable_large_pages ? IOPT_PAGE_SIZE : 1;
	struct iommufd_access *access;
	struct iopt_domain *filled;

	list_for_each_entry(filled, &iopt->domains, link) if (filled->pgsize > alignment)
		alignment = filled->pgsize;
	list_for_each_entry(access, &iopt->accesses, link) if (access->iova_alignment > alignment)
		alignment = access->iova_alignment;
	if (alignment > iopt->iova_alignment) {
		int ret = check_iova_alignment(iopt, alignment);

		if (ret)
			return ret;
	}
	iopt->iova_alignment = alignment;
	return 0;
}

int iopt_add_access(struct io_pagetable *iopt, struct iommufd_access *access)
{
	int ret;

	list_add_tail(&access->link, &iopt->accesses);
	ret = iopt_calculate_iova_alignment(iopt);
	if (ret)
		list_del(&access->link);
	return ret;
}

void iopt_enable_large_pages(struct io_pagetable *iopt)
{
	iopt->disable_large_pages = false;
	iopt_calculate_iova_alignment(iopt);
}

int iopt_disable_large_pages(struct io_pagetable *iopt)
{
	int ret;

	if (iopt->disable_large_pages)
		return 0;
	if (!list_empty(&iopt->domains) && !itree_empty(&iopt->areas))
		return -EINVAL;
	iopt->disable_large_pages = true;
	ret = iopt_calculate_iova_alignment(iopt);
	if (ret)
		iopt->disable_large_pages = false;
	return ret;
}

/* ---- domains ---- */

static int reserve_outside(struct io_pagetable *iopt, const struct iommu_domain_info *info,
			   struct iommu_domain *domain)
{
	int ret = 0;

	if (info->aperture_start)
		ret = iopt_reserve_iova(iopt, 0, info->aperture_start - 1, domain);
	if (!ret && info->aperture_last != UINT64_MAX)
		ret = iopt_reserve_iova(iopt, info->aperture_last + 1, UINT64_MAX, domain);
	return ret;
}

/* Unmap every area below @end, or all; the first domain's were pinned for it. */
static void unfill_domain(struct io_pagetable *iopt, struct iommu_domain *domain,
			  const struct itree_node *end, bool only)
{
	struct itree_node *node;

	for (node = itree_first(&iopt->areas, 0, UINT64_MAX); node && node != end;
	     node = itree_next(&iopt->areas, node, 0, UINT64_MAX)) {
		iopt_area_unfill(iopt_area_of(node), domain);
		if (only)
			iopt_area_unpin(iopt_area_of(node));
	}
}

static int fill_domain(struct io_pagetable *iopt, struct iommu_domain *domain)
{
	bool only = list_empty(&iopt->domains);
	struct itree_node *node;
	int ret;

	for (node = itree_first(&iopt->areas, 0, UINT64_MAX); node;
	     node = itree_next(&iopt->areas, node, 0, UINT64_MAX)) {
		struct iopt_area *area = iopt_area_of(node);

		ret = only ? iopt_area_pin(area) : 0;
		if (!ret) {
			ret = iopt_area_fill(area, domain);
			if (ret && only)
				iopt_area_unpin(area);
		}
		if (ret) {
			unfill_domain(iopt, domain, node, only);
			return ret;
		}
	}
	return 0;
}

int iopt_table_add_domain(struct io_pagetable *iopt, struct iommu_domain *domain)
{
	struct iommu_domain_info info;
	struct iopt_domain *filled;
	uint64_t alignment;
	int ret;

	list_for_each_entry(filled, &iopt->domains,
			    link) if (filled->domain == domain) return -EEXIST;
	iommu_domain_get_info(domain, &info);
	if (!info.pgsizes)
		return -EINVAL;
	alignment = info.pgsizes & -info.pgsizes;
	if (alignment > IOPT_PAGE_SIZE)
		return -EINVAL;
	if (alignment > iopt->iova_alignment) {
		ret = check_iova_alignment(iopt, alignment);
		if (ret)
			return ret;
	}
	ret = reserve_outside(iopt, &info, domain);
	if (ret)
		goto err_reserved;
	filled = kzalloc(sizeof(*filled), GFP_KERNEL_ACCOUNT, iopt->ctx->owner);
	if (!filled) {
		ret = -ENOMEM;
		goto err_reserved;
	}
	ret = fill_domain(iopt, domain);
	if (ret)
		goto err_free;
	filled->domain = domain;
	filled->pgsize = alignment;
	list_add_tail(&filled->link, &iopt->domains);
	iopt->iova_alignment = alignment > iopt->iova_alignment ? alignment : iopt->iova_alignment;
	return 0;

err_free:
	kfree(filled);
err_reserved:
	iopt_remove_reserved_iova(iopt, domain);
	return ret;
}

void iopt_table_remove_domain(struct io_pagetable *iopt, struct iommu_domain *domain)
{
	struct iopt_domain *filled;

	list_for_each_entry(filled, &iopt->domains, link) if (filled->domain == domain) goto found;
	return;
found:
	list_del(&filled->link);
	unfill_domain(iopt, domain, NULL, list_empty(&iopt->domains));
	kfree(filled);
	iopt_remove_reserved_iova(iopt, domain);
	iopt_calculate_iova_alignment(iopt);
}
