/* SPDX-License-Identifier: MIT */
/*
 * A protection domain's list of intervals is cut wherever a registration begins
 * or ends, and the cuts stay: intervals are not joined again, nor leaves of the
 * tables put together, because then the end of a registration would have to
 * allocate in order to cut anew. It goes away with the intervals themselves.
 */
#include "tests/clients/usnic.h"

#include "mm/page.h"
#include "mm/slab.h"
#include "plat/compiler.h"
#include "plat/plat.h"

struct usnic_uiom_reg {
	uint64_t vpn_start, vpn_last;
	struct usnic_uiom_reg *next;
};

struct usnic_uiom_pd {
	struct iommu_domain *domain;
	struct mem_cgroup *owner; /* the domain's */
	page_phys_fn phys;
	void *context;
	struct plat_mutex lock; /* protects what follows */
	struct usnic_uiom_interval *intervals;
	struct usnic_uiom_reg *regs;
};

/* Put a new interval at *at. */
static int add_interval(struct usnic_uiom_interval **at, uint64_t start, uint64_t last,
			struct mem_cgroup *memcg)
{
	struct usnic_uiom_interval *interval = kmalloc(sizeof(*interval), GFP_KERNEL, memcg);

	if (!interval)
		return -ENOMEM;
	*interval = (struct usnic_uiom_interval){
		.start = start,
		.last = last,
		.ref_cnt = 1,
		.next = *at,
	};
	*at = interval;
	return 0;
}

/* Append what of [start, last] is not in @b to the list that ends at *@tail. */
static int add_missing(struct usnic_uiom_interval ***tail, uint64_t start, uint64_t last,
		       const struct usnic_uiom_interval *b, struct mem_cgroup *memcg)
{
	int ret = 0;

	/* All before start is in the list, in b, or not asked for; b ends behind it. */
	for (; !ret && start <= last; b = b->next) {
		uint64_t end = b && b->start <= last ? b->start : last + 1;

		if (start < end) {
			ret = add_interval(*tail, start, end - 1, memcg);
			if (!ret)
				*tail = &(**tail)->next;
		}
		if (end > last)
			break;
		start = b->last + 1;
	}
	return ret;
}

int usnic_uiom_get_intervals_diff(const struct usnic_uiom_interval *a,
				  const struct usnic_uiom_interval *b, struct mem_cgroup *memcg,
				  struct usnic_uiom_interval **diff)
{
	struct usnic_uiom_interval **tail = diff;
	int ret = 0;

	*diff = NULL;
	for (; a && !ret; a = a->next) {
		while (b && b->last < a->start)
			b = b->next;
		ret = add_missing(&tail, a->start, a->last, b, memcg);
	}
	if (ret) {
		usnic_uiom_put_interval_set(*diff);
		*diff = NULL;
	}
	return ret;
}

void usnic_uiom_put_interval_set(struct usnic_uiom_interval *intervals)
{
	while (intervals) {
		struct usnic_uiom_interval *next = intervals->next;

		kfree(intervals);
		intervals = next;
	}
}

struct usnic_uiom_pd *usnic_uiom_alloc_pd(struct iommu_domain *domain, page_phys_fn phys,
					  void *context)
{
	struct iommu_domain_info info;
	struct usnic_uiom_pd *pd;

	iommu_domain_get_info(domain, &info);
	if (!info.format)
		return ERR_PTR(-EINVAL);
	pd = kzalloc(sizeof(*pd), GFP_KERNEL, info.owner);
	if (!pd)
		return ERR_PTR(-ENOMEM);
	pd->domain = domain;
	pd->owner = info.owner;
	pd->phys = phys;
	pd->context = context;
	plat_mutex_init(&pd->lock);
	return pd;
}

static uint64_t interval_bytes(const struct usnic_uiom_interval *interval)
{
	return (interval->last - interval->start + 1) << PAGE_SHIFT;
}

/* Unmap each interval, up to the first page of it that is not mapped. */
static void unmap_intervals(struct usnic_uiom_pd *pd, const struct usnic_uiom_interval *interval)
{
	struct iommu_iotlb_gather gather;

	iommu_iotlb_gather_init(&gather);
	for (; interval; interval = interval->next)
		iommu_unmap_fast(pd->domain, interval->start << PAGE_SHIFT,
				 interval_bytes(interval), &gather);
	iommu_iotlb_sync(pd->domain, &gather);
}

static int map_interval(struct usnic_uiom_pd *pd, const struct usnic_uiom_interval *interval)
{
	uint64_t va = interval->start << PAGE_SHIFT;
	struct page_runs runs = {
		.phys = pd->phys,
		.context = pd->context,
		.address = va,
		.pages = interval->last - interval->start + 1,
		.writable = true,
	};
	struct iommu_sg run;
	int ret;

	while ((ret = page_runs_next(&runs, &run)) > 0) {
		ret = iommu_map(pd->domain, va, run.paddr, run.length,
				IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE, GFP_KERNEL);
		if (ret)
			break;
		va += run.length;
	}
	return ret;
}

/* Map all or nothing; and let what is mapped already be unmapped exactly. */
static int map_intervals(struct usnic_uiom_pd *pd, const struct usnic_uiom_interval *intervals,
			 const struct usnic_uiom_reg *reg)
{
	int ret = 0;

	for (const struct usnic_uiom_interval *at = intervals; at && !ret; at = at->next)
		ret = map_interval(pd, at);
	if (!ret)
		ret = iommu_split_mapping(pd->domain, reg->vpn_start << PAGE_SHIFT,
					  (reg->vpn_last - reg->vpn_start + 1) << PAGE_SHIFT,
					  GFP_KERNEL);
	if (ret)
		unmap_intervals(pd, intervals);
	return ret;
}

/* Let no interval reach over @vpn; true if @spare became the second part of one. */
static bool cut_intervals(struct usnic_uiom_interval *at, uint64_t vpn,
			  struct usnic_uiom_interval *spare)
{
	while (at && at->last < vpn)
		at = at->next;
	if (!at || at->start >= vpn)
		return false;
	*spare = *at;
	spare->start = vpn;
	at->last = vpn - 1;
	at->next = spare;
	return true;
}

/* Count @reg in; @added is what it alone has. Both lists become one. */
static void insert_reg(struct usnic_uiom_pd *pd, const struct usnic_uiom_reg *reg,
		       struct usnic_uiom_interval *added)
{
	struct usnic_uiom_interval **at = &pd->intervals;

	while (*at || added) {
		if (added && (!*at || added->start < (*at)->start)) {
			struct usnic_uiom_interval *next = added->next;

			added->next = *at;
			*at = added;
			added = next;
		} else if ((*at)->start >= reg->vpn_start && (*at)->last <= reg->vpn_last) {
			(*at)->ref_cnt++;
		}
		at = &(*at)->next;
	}
}

/* Everything that may fail comes before anything that shows. */
static int add_reg(struct usnic_uiom_pd *pd, struct usnic_uiom_reg *reg)
{
	struct usnic_uiom_interval all = {.start = reg->vpn_start, .last = reg->vpn_last};
	struct usnic_uiom_interval *added, *spares = NULL;
	int ret;

	ret = usnic_uiom_get_intervals_diff(&all, pd->intervals, pd->owner, &added);
	for (unsigned int i = 0; i < 2 && !ret; i++)
		ret = add_interval(&spares, 0, 0, pd->owner);
	if (!ret)
		ret = map_intervals(pd, added, reg);
	if (ret) {
		usnic_uiom_put_interval_set(added);
	} else {
		uint64_t ends[] = {reg->vpn_start, reg->vpn_last + 1};

		for (unsigned int i = 0; i < 2; i++) {
			struct usnic_uiom_interval *rest = spares->next;

			if (cut_intervals(pd->intervals, ends[i], spares))
				spares = rest;
		}
		insert_reg(pd, reg, added);
		reg->next = pd->regs;
		pd->regs = reg;
	}
	usnic_uiom_put_interval_set(spares);
	return ret;
}

struct usnic_uiom_reg *usnic_uiom_reg_get(struct usnic_uiom_pd *pd, uint64_t addr, size_t size)
{
	uint64_t last = addr + (size - 1);
	struct usnic_uiom_reg *reg;
	int ret;

	/* The end of the last page must be an address, too. */
	if (!size || last < addr || last >= ~(uint64_t)(PAGE_SIZE - 1))
		return ERR_PTR(-EINVAL);
	reg = kzalloc(sizeof(*reg), GFP_KERNEL, pd->owner);
	if (!reg)
		return ERR_PTR(-ENOMEM);
	reg->vpn_start = addr >> PAGE_SHIFT;
	reg->vpn_last = last >> PAGE_SHIFT;
	plat_mutex_lock(&pd->lock);
	ret = add_reg(pd, reg);
	plat_mutex_unlock(&pd->lock);
	if (ret) {
		kfree(reg);
		return ERR_PTR(ret);
	}
	return reg;
}

/* Unmap what only @reg has; its ends are ends of intervals. */
static void remove_reg(struct usnic_uiom_pd *pd, const struct usnic_uiom_reg *reg)
{
	struct usnic_uiom_interval **at = &pd->intervals, *removed = NULL, **tail = &removed;

	while (*at && (*at)->last < reg->vpn_start)
		at = &(*at)->next;
	while (*at && (*at)->start <= reg->vpn_last) {
		struct usnic_uiom_interval *interval = *at;

		if (--interval->ref_cnt) {
			at = &interval->next;
			continue;
		}
		*at = interval->next;
		interval->next = NULL;
		*tail = interval;
		tail = &interval->next;
	}
	unmap_intervals(pd, removed);
	usnic_uiom_put_interval_set(removed);
}

int usnic_uiom_reg_release(struct usnic_uiom_pd *pd, const struct usnic_uiom_reg *reg)
{
	struct usnic_uiom_reg **at = &pd->regs, *found;

	plat_mutex_lock(&pd->lock);
	while (*at && *at != reg)
		at = &(*at)->next;
	found = *at;
	if (found) {
		*at = found->next;
		remove_reg(pd, found);
	}
	plat_mutex_unlock(&pd->lock);
	kfree(found);
	return found ? 0 : -EINVAL;
}

void usnic_uiom_dealloc_pd(struct usnic_uiom_pd *pd)
{
	while (pd->regs)
		usnic_uiom_reg_release(pd, pd->regs);
	kfree(pd);
}
