/* SPDX-License-Identifier: MIT */
/*
 * Reserved regions, and the 1:1 mappings of the direct ones.
 */
#include "core/device.h"

#include "mm/gfp.h"
#include "mm/slab.h"

static uint64_t region_last(const struct iommu_resv_region *region)
{
	return region->start + (region->length - 1);
}

struct iommu_resv_region *iommu_alloc_resv_region(phys_addr_t start, uint64_t length, int prot,
						  enum iommu_resv_type type, gfp_t gfp)
{
	struct iommu_resv_region *region;

	might_sleep_if(mm_thread_self(), gfpflags_allow_blocking(gfp));
	if (!length || start + (length - 1) < start || gfp_refused(gfp))
		return NULL;
	region = kzalloc(sizeof(*region), gfp, NULL);
	if (!region)
		return NULL;
	region->start = start;
	region->length = length;
	region->prot = prot;
	region->type = type;
	return region;
}

void iommu_put_resv_regions(struct iommu_resv_region *list)
{
	while (list) {
		struct iommu_resv_region *next = list->next;

		kfree(list);
		list = next;
	}
}

static bool comes_before(const struct iommu_resv_region *a, const struct iommu_resv_region *b)
{
	return a->start < b->start || (a->start == b->start && a->type < b->type);
}

static void insert_sorted(struct iommu_resv_region **list, struct iommu_resv_region *region)
{
	while (*list && !comes_before(region, *list))
		list = &(*list)->next;
	region->next = *list;
	*list = region;
}

/* Extend @region over @other, which begins at or after it, if they touch. */
static bool absorb(struct iommu_resv_region *region, const struct iommu_resv_region *other)
{
	uint64_t last = region_last(region);

	if (region->type != other->type || (other->start > last && other->start - last > 1))
		return false;
	region->length = MAX(last, region_last(other)) - region->start + 1;
	region->prot |= other->prot;
	return true;
}

/* Move regions from an unsorted list to a sorted one that has no touching pairs. */
static void merge_regions(struct iommu_resv_region **list)
{
	struct iommu_resv_region *sorted = NULL;

	while (*list) {
		struct iommu_resv_region *region = *list;

		*list = region->next;
		insert_sorted(&sorted, region);
	}
	*list = sorted;
	for (struct iommu_resv_region *region = sorted; region; region = region->next) {
		struct iommu_resv_region **place = &region->next;

		while (*place) {
			struct iommu_resv_region *other = *place;

			if (!absorb(region, other)) {
				place = &other->next;
				continue;
			}
			*place = other->next;
			kfree(other);
		}
	}
}

int iommu_device_resv_regions(struct iommu_device *dev, struct iommu_resv_region **list)
{
	int ret;

	*list = NULL;
	if (!dev->ops->get_resv_regions)
		return 0;
	ret = dev->ops->get_resv_regions(dev, list);
	if (ret) {
		iommu_put_resv_regions(*list);
		*list = NULL;
	}
	return ret;
}

int iommu_get_resv_regions(struct iommu_device *dev, struct iommu_resv_region **list)
{
	int ret;

	might_sleep_if(mm_thread_self(), true);
	*list = NULL;
	if (!mm_mutex_lock(&dev->group->lock))
		return -EDEADLK;
	ret = iommu_device_resv_regions(dev, list);
	mm_mutex_unlock(&dev->group->lock);
	merge_regions(list);
	return ret;
}

static int add_device_regions(struct iommu_device *dev, void *data)
{
	struct iommu_resv_region **list = data, *more;
	int ret = iommu_device_resv_regions(dev, &more);

	while (*list)
		list = &(*list)->next;
	*list = more;
	return ret;
}

int iommu_get_group_resv_regions(struct iommu_group *group, struct iommu_resv_region **list)
{
	int ret;

	*list = NULL;
	ret = iommu_group_for_each_dev(group, list, add_device_regions);
	if (ret) {
		iommu_put_resv_regions(*list);
		*list = NULL;
	}
	merge_regions(list);
	return ret;
}

static bool is_direct(const struct iommu_resv_region *region)
{
	return region->type == IOMMU_RESV_DIRECT || region->type == IOMMU_RESV_DIRECT_RELAXABLE;
}

/* Asks for the page's last byte, because the first page is mapped to address 0. */
static bool page_is_mapped(struct iommu_domain *domain, uint64_t address, uint64_t page_mask)
{
	return iommu_iova_to_phys(domain, address | page_mask) != 0;
}

/* Map [start, last] 1:1 and note it in @done. */
static int map_run(struct iommu_domain *domain, uint64_t start, uint64_t last, int prot,
		   struct iommu_resv_region **done)
{
	struct iommu_resv_region *run;
	int ret;

	run = iommu_alloc_resv_region(start, last - start + 1, prot, IOMMU_RESV_DIRECT, GFP_KERNEL);
	if (!run)
		return -ENOMEM;
	ret = iommu_map(domain, start, start, run->length, prot, GFP_KERNEL);
	if (ret) {
		kfree(run);
		return ret;
	}
	run->next = *done;
	*done = run;
	return 0;
}

/*
 * Go page by page, since devices of a group may share a part of their regions. Runs of
 * pages that are not mapped yet are mapped by one call.
 */
static int map_region(struct iommu_domain *domain, const struct iommu_resv_region *region,
		      struct iommu_resv_region **done)
{
	uint64_t mask = domain->misaligned;
	uint64_t page = region->start & ~mask, last_page = region_last(region) & ~mask;
	uint64_t start = 0;
	bool in_run = false;

	if (region_last(region) > domain->pt.aperture_last)
		return -ERANGE;
	for (;; page += mask + 1) {
		bool mapped = page_is_mapped(domain, page, mask);
		int ret = 0;

		if (!mapped && !in_run)
			start = page;
		if (mapped && in_run)
			ret = map_run(domain, start, page - 1, region->prot, done);
		in_run = !mapped;
		if (ret)
			return ret;
		if (page == last_page)
			break;
	}
	return in_run ? map_run(domain, start, last_page | mask, region->prot, done) : 0;
}

int iommu_create_direct_mappings(struct iommu_domain *domain, struct iommu_device *dev,
				 struct iommu_resv_region **done)
{
	struct iommu_resv_region *list;
	int ret;

	ret = iommu_device_resv_regions(dev, &list);
	for (const struct iommu_resv_region *region = list; region && !ret; region = region->next) {
		if (region->type == IOMMU_RESV_DIRECT)
			dev->require_direct = true;
		if (domain && domain->type == IOMMU_DOMAIN_DMA && is_direct(region))
			ret = map_region(domain, region, done);
	}
	iommu_put_resv_regions(list);
	return ret;
}

void iommu_undo_direct_mappings(struct iommu_domain *domain, struct iommu_resv_region *done)
{
	for (const struct iommu_resv_region *run = done; run; run = run->next)
		iommu_unmap(domain, run->start, run->length);
	iommu_put_resv_regions(done);
}
