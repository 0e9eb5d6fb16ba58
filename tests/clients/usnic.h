/* SPDX-License-Identifier: MIT */
/*
 * What the Cisco usNIC driver does with the memory that its users register
 * (drivers/infiniband/hw/usnic/usnic_uiom*.c of the kernel). A page is mapped at
 * the user's own address, once however many registrations have it, and unmapped
 * with the last of them.
 */
#ifndef CLIENTS_USNIC_H
#define CLIENTS_USNIC_H

#include <uiommu/iommu.h>

#include "tests/clients/page_runs.h"

struct mem_cgroup;

/**
 * struct usnic_uiom_interval - Pages in a list of intervals.
 * @start: first page, as a number
 * @last: last page
 * @ref_cnt: how many registrations have all of it; never a part of it
 * @next: the next interval, which begins behind @last
 */
struct usnic_uiom_interval {
	uint64_t start;
	uint64_t last;
	unsigned int ref_cnt;
	struct usnic_uiom_interval *next;
};

/**
 * usnic_uiom_get_intervals_diff() - Find what one list has and another has not.
 * @a: the one list, in order, without overlaps
 * @b: the other, likewise
 * @memcg: the cgroup that the result is charged to
 * @diff: where the result goes: a list in order, each @ref_cnt 1
 *
 * Context: May block.
 * Return: 0; -ENOMEM with nothing in @diff.
 */
int usnic_uiom_get_intervals_diff(const struct usnic_uiom_interval *a,
				  const struct usnic_uiom_interval *b, struct mem_cgroup *memcg,
				  struct usnic_uiom_interval **diff);

/**
 * usnic_uiom_put_interval_set() - Free a list of intervals.
 * @intervals: its first, or NULL
 *
 * Context: Any.
 */
void usnic_uiom_put_interval_set(struct usnic_uiom_interval *intervals);

struct usnic_uiom_pd;
struct usnic_uiom_reg;

/**
 * usnic_uiom_alloc_pd() - Make a protection domain.
 * @domain: what it maps in; stays the caller's, and must outlive the return value
 * @phys: tells where a page of the user's memory is
 * @context: handed to @phys
 *
 * All that it needs is charged to the domain's owner.
 *
 * Context: May block.
 * Return: the protection domain; as ERR_PTR(): -EINVAL when @domain does not
 * translate; -ENOMEM.
 */
struct usnic_uiom_pd *usnic_uiom_alloc_pd(struct iommu_domain *domain, page_phys_fn phys,
					  void *context);

/**
 * usnic_uiom_dealloc_pd() - Free a protection domain and all its registrations.
 * @pd: the protection domain
 *
 * Context: Does not block. No other call on @pd may be under way.
 */
void usnic_uiom_dealloc_pd(struct usnic_uiom_pd *pd);

/**
 * usnic_uiom_reg_get() - Register memory of a user.
 * @pd: the protection domain
 * @addr: where it begins for the user, and will for the device
 * @size: bytes; the pages that they touch are registered
 *
 * Asks for those pages, and maps those, that no other registration has. They can
 * be written to, whatever the user wants of them, because another registration of
 * the page may want that later. All or nothing, but that a large leaf of another
 * registration may be left split.
 *
 * The series gives GFP_KERNEL to iommu_map() here, under a spinlock in the
 * kernel; so that it is right, the lock is a mutex.
 *
 * Context: May block. Any number of threads.
 * Return: the registration; as ERR_PTR(): -EINVAL for a size of 0 or a range that
 * wraps when its end is rounded up; an error of @phys or iommu_map().
 */
struct usnic_uiom_reg *usnic_uiom_reg_get(struct usnic_uiom_pd *pd, uint64_t addr, size_t size);

/**
 * usnic_uiom_reg_release() - End a registration.
 * @pd: the protection domain
 * @reg: the registration
 *
 * Unmaps the pages that no other registration has. Never allocates.
 *
 * Context: May block. Any number of threads.
 * Return: 0; -EINVAL when @pd has no such registration.
 */
int usnic_uiom_reg_release(struct usnic_uiom_pd *pd, const struct usnic_uiom_reg *reg);

#endif
