/* SPDX-License-Identifier: MIT */
/*
 * Addresses for devices: which are in use, and which to use next. The calls are
 * those of include/linux/iova.h of the kernel; a range is a page frame number and
 * a size in granules, and the caller passes both to free it.
 */
#ifndef UIOMMU_IOVA_H
#define UIOMMU_IOVA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uiommu/gfp.h>
#include <uiommu/iommu.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct iova_domain;

/**
 * iova_domain_alloc() - Make a set of addresses, all of them free.
 * @granule: bytes that one page frame number stands for, a power of two from
 *           2^10 on
 * @start_pfn: first page frame number that is ever given out, not 0
 * @end_pfn: last one, at most (2^64 - 1) / @granule
 * @gfp: allocation context; with __GFP_ACCOUNT the calling thread's active
 *       memory cgroup becomes the owner, which is charged for all that the set
 *       ever needs
 *
 * Context: May block.
 * Return: the set; or as ERR_PTR(): -EINVAL for arguments out of range or a
 * @gfp that iommu_map() would refuse; -ENOMEM when memory or the budget is
 * short.
 */
struct iova_domain *iova_domain_alloc(uint64_t granule, uint64_t start_pfn, uint64_t end_pfn,
				      gfp_t gfp);

/**
 * iova_domain_free() - Free a set of addresses, with all that is in use of it.
 * @iovad: the set, or NULL
 *
 * Context: May block. No other call on @iovad may be under way.
 */
void iova_domain_free(struct iova_domain *iovad);

/**
 * iova_granule() - Tell what one page frame number stands for.
 * @iovad: the set
 *
 * Context: Any.
 * Return: bytes.
 */
uint64_t iova_granule(const struct iova_domain *iovad);

/**
 * alloc_iova() - Take the highest free range below a limit.
 * @iovad: the set
 * @size: granules, not 0
 * @limit_pfn: last page frame number that the range may have
 * @size_aligned: let the range begin at a multiple of @size rounded up to a
 *                power of two
 * @gfp: allocation context of what the set must keep
 *
 * The number of steps depends only on the width of the addresses, not on how many
 * ranges are in use. Therefore, if @size is not a power of two or not @size_aligned,
 * and 64 higher holes have room for half of it but not for all of it, it is then only
 * looked for in free blocks of @size rounded up to a power of two, each at a multiple
 * of its size.
 *
 * Context: May block if @gfp does. Any number of threads.
 * Return: the range's first page frame number; 0 when there is no such range,
 * or memory or the budget is short, or @size is 0, or, for a @gfp that may not
 * block, when the set is being changed by a thread that does not run.
 */
uint64_t alloc_iova(struct iova_domain *iovad, uint64_t size, uint64_t limit_pfn, bool size_aligned,
		    gfp_t gfp);

/**
 * free_iova() - Free a range.
 * @iovad: the set
 * @pfn: its first page frame number
 * @size: its granules, as allocated
 *
 * Cannot fail and does not allocate. A range that is not completely in use is not
 * freed, and reported once. While another thread that does not run is changing the set,
 * the range counts as used until that thread has finished.
 *
 * Context: Any; does not block.
 */
void free_iova(struct iova_domain *iovad, uint64_t pfn, uint64_t size);

/**
 * alloc_iova_fast() - Take a range that is aligned to its size, from the caches first.
 * @iovad: the set
 * @size: granules, not 0; up to 32 of them are cached, rounded up to a power of two
 * @limit_pfn: last page frame number that the range may have
 * @flush_rcache: when there is none, give back what all caches hold and try again
 * @gfp: allocation context
 *
 * Context: As alloc_iova().
 * Return: as alloc_iova().
 */
uint64_t alloc_iova_fast(struct iova_domain *iovad, uint64_t size, uint64_t limit_pfn,
			 bool flush_rcache, gfp_t gfp);

/**
 * free_iova_fast() - Give a range of alloc_iova_fast() back, to the caches first.
 * @iovad: the set
 * @pfn: its first page frame number
 * @size: its granules, as allocated
 *
 * Cannot fail and does not allocate.
 *
 * Context: Any; does not block.
 */
void free_iova_fast(struct iova_domain *iovad, uint64_t pfn, uint64_t size);

/**
 * reserve_iova() - Keep a range from ever being given out.
 * @iovad: the set
 * @pfn_lo: first page frame number
 * @pfn_hi: last page frame number
 * @gfp: allocation context
 *
 * What of it is reserved already stays so.
 *
 * Context: May block if @gfp does.
 * Return: 0; -EINVAL when @pfn_hi is less than @pfn_lo; -EBUSY when a part of
 * it has been given out; -ENOMEM when memory or the budget is short, with
 * nothing changed.
 */
int reserve_iova(struct iova_domain *iovad, uint64_t pfn_lo, uint64_t pfn_hi, gfp_t gfp);

/**
 * struct iova_domain_info - What there is to know about a set of addresses.
 * @used: granules in use, what the caches hold included, reserved ones not
 * @cached: granules that the caches hold
 * @bytes: memory that the set takes
 */
struct iova_domain_info {
	uint64_t used;
	uint64_t cached;
	uint64_t bytes;
};

/**
 * iova_domain_get_info() - Describe a set of addresses.
 * @iovad: the set
 * @info: where the description goes
 *
 * Context: Any; does not block. Exact when no change is under way.
 */
void iova_domain_get_info(struct iova_domain *iovad, struct iova_domain_info *info);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
