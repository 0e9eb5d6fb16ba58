/* SPDX-License-Identifier: MIT */
/*
 * Allocation contexts, with the kernel's names and meanings
 * (Documentation/core-api/memory-allocation.rst).
 */
#ifndef UIOMMU_GFP_H
#define UIOMMU_GFP_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** typedef gfp_t - How an allocation may be made: an OR of the flags below. */
typedef unsigned int gfp_t;

/* Where the memory may come from. iommu_map() refuses all four. */
#define __GFP_DMA     ((gfp_t)0x0001)
#define __GFP_HIGHMEM ((gfp_t)0x0002)
#define __GFP_DMA32   ((gfp_t)0x0004)
#define __GFP_COMP    ((gfp_t)0x0008)

/* What it is like. */
#define __GFP_ZERO    ((gfp_t)0x0010) /* every byte is 0 */
#define __GFP_ACCOUNT ((gfp_t)0x0020) /* charge the active memory cgroup */
#define __GFP_NOWARN  ((gfp_t)0x0040) /* failing is expected: say nothing */
#define __GFP_NORETRY ((gfp_t)0x0080) /* do not run shrinkers for it */

/* What the allocation may do to succeed. */
#define __GFP_HIGH           ((gfp_t)0x0100) /* may use the atomic reserve */
#define __GFP_IO             ((gfp_t)0x0200)
#define __GFP_FS             ((gfp_t)0x0400)
#define __GFP_DIRECT_RECLAIM ((gfp_t)0x0800) /* may block */
#define __GFP_KSWAPD_RECLAIM ((gfp_t)0x1000)
#define __GFP_RECLAIM        (__GFP_DIRECT_RECLAIM | __GFP_KSWAPD_RECLAIM)

#define GFP_ATOMIC         (__GFP_HIGH | __GFP_KSWAPD_RECLAIM)
#define GFP_NOWAIT         (__GFP_KSWAPD_RECLAIM)
#define GFP_KERNEL         (__GFP_RECLAIM | __GFP_IO | __GFP_FS)
#define GFP_KERNEL_ACCOUNT (GFP_KERNEL | __GFP_ACCOUNT)

/* Flags that choose memory for the caller's buffer; never for our metadata. */
#define GFP_POLICY_MASK (__GFP_DMA | __GFP_HIGHMEM | __GFP_DMA32 | __GFP_COMP)

/**
 * gfpflags_allow_blocking() - Tell whether an allocation may block.
 * @gfp: allocation context
 *
 * Context: Any. Pure function.
 * Return: true when @gfp has __GFP_DIRECT_RECLAIM.
 */
static inline bool gfpflags_allow_blocking(gfp_t gfp)
{
	return (gfp & __GFP_DIRECT_RECLAIM) != 0;
}

/**
 * iommu_atomic_enter() - Begin an atomic section on the calling thread.
 *
 * Inside it a blocking gfp is a bug of the caller: the first one is reported
 * with its call site, once per process. Nothing that uiommu frees inside the
 * section enters the kernel. Sections nest.
 *
 * Context: Any; acts on the calling thread only.
 */
void iommu_atomic_enter(void);

/**
 * iommu_atomic_exit() - End the innermost atomic section of the calling thread.
 *
 * Context: Any. Each call matches one iommu_atomic_enter().
 */
void iommu_atomic_exit(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
