/* SPDX-License-Identifier: MIT */
/*
 * The library's memory: its size, its failures on demand, its statistics.
 */
#ifndef UIOMMU_MM_H
#define UIOMMU_MM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uiommu/gfp.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/**
 * struct uiommu_config - How the library's memory is laid out.
 * @arena_bytes: most that all tables and objects together may take, a multiple
 *               of 2 MiB; 0 for as much address space as can be reserved, up
 *               to 256 GiB. Only what is used takes real memory.
 * @atomic_reserve: pages of 4096 bytes that are set aside at start and that
 *                  only GFP_ATOMIC may use, 0 to 4096
 * @phys_base: physical address that tables take the arena's first byte to be
 *             at, a multiple of 2 MiB; UIOMMU_PHYS_IS_VIRT to let tables hold
 *             virtual addresses
 */
struct uiommu_config {
	uint64_t arena_bytes;
	unsigned int atomic_reserve;
	uint64_t phys_base;
};

#define UIOMMU_PHYS_IS_VIRT (~(uint64_t)0)

/**
 * uiommu_init() - Set the library's memory up.
 * @config: the layout, or NULL for the default: an arena as large as can be
 *          reserved, 64 pages for atomic allocations, physical addresses equal
 *          to virtual ones
 *
 * Calling it is optional: the first use of the library does so with NULL, and ends the
 * process with a message if there is no address space. If several threads use the library
 * first, one of them sets it up while the others wait; if it fails, another one tries.
 *
 * After fork() the child has a copy of the library that it may use, if no thread but the
 * one that forked was using it; threads that have ended do not count. With other threads,
 * what they were doing would never end in the child: there, the first use of the library
 * ends the child with a message (abort()). The child may always exec() and exit.
 *
 * Freed tables are used again once membarrier(2) says that no thread walks them. If it
 * begins to fail, as by a filter of system calls that came later, that is reported once;
 * from then on they wait 20 ms more, and so does each thread at its first call. Where
 * it fails from the beginning each walk has a memory barrier instead.
 *
 * Context: May block. Must come before any other call.
 * Return: 0; -EBUSY when the library is set up already; -EINVAL for a size or
 * an address out of range; -ENOMEM when the address space cannot be had.
 */
int uiommu_init(const struct uiommu_config *config);

/**
 * uiommu_fail_nth() - Let one of the calling thread's coming allocations fail.
 * @nth: which: 1 is the next one; 0 switches injection off
 * @sticky: true to let each allocation after it fail too
 *
 * As /proc/self/fail-nth in the kernel. Counted is every page, object and
 * charge that the library allocates for the calling thread, whatever its gfp.
 *
 * Context: Any; acts on the calling thread only.
 * Return: true when an allocation had failed by the previous setting.
 */
bool uiommu_fail_nth(unsigned int nth, bool sticky);

/**
 * struct uiommu_mm_stat - What the library's memory is used for, in bytes.
 * @arena: taken from the system so far
 * @tables: I/O page tables, with those that are freed but may still be in use by a
 *          walk of another thread
 * @slab: slabs of small objects, free space in them included
 * @other: pages handed out for anything else
 * @reserve: free pages kept for GFP_ATOMIC
 * @free: every other free page; arena is the sum of the rest
 */
struct uiommu_mm_stat {
	uint64_t arena;
	uint64_t tables;
	uint64_t slab;
	uint64_t other;
	uint64_t reserve;
	uint64_t free;
};

/**
 * uiommu_mm_stat() - Read the statistics of the library's memory.
 * @stat: where they go
 *
 * Outside atomic sections, the pages that the calling thread has freed and no walk uses
 * any more are counted as free.
 *
 * Context: Any; takes short spinlocks only. Exact when no call is under way.
 */
void uiommu_mm_stat(struct uiommu_mm_stat *stat);

/**
 * struct shrinker - Callbacks that free memory when it is short.
 * @count_objects: how many objects could be freed now, 0 for none
 * @scan_objects: free up to @nr objects; returns how many were freed. May be
 *                called from any thread that makes a blocking allocation, also
 *                from one that is inside a call into uiommu: it must not wait
 *                for a thread that may be allocating. One runs at a time; what it
 *                allocates itself runs no shrinkers.
 * @next: used by the library
 *
 * Both callbacks may call the functions of iommu.h, dirty.h, dma-mapping.h, iova.h,
 * gfp.h, memcontrol.h and this file, for any domain, including the domain of the call
 * that they run in, if they use other ranges than that call. They must not free that
 * domain: it is not freed, and that is reported once. They may free other domains, and
 * register and unregister shrinkers. Functions of device.h that may block, functions that
 * begin with one (iommu_setup_dma_ops(), iommu_dma_prepare_msi()), and iommufd_ioctl()
 * would wait for locks under which other threads allocate: they return -EDEADLK, or do
 * nothing if they return nothing, and that is reported once.
 */
struct shrinker {
	unsigned long (*count_objects)(struct shrinker *shrinker);
	unsigned long (*scan_objects)(struct shrinker *shrinker, unsigned long nr);
	struct shrinker *next;
};

/**
 * register_shrinker() - Let a shrinker be called when memory is short.
 * @shrinker: the shrinker; stays registered until unregister_shrinker()
 *
 * Shrinkers run when a blocking allocation meets memory.max, memory.high or
 * the end of the arena, unless it has __GFP_NORETRY.
 *
 * Context: May block.
 */
void register_shrinker(struct shrinker *shrinker);

/**
 * unregister_shrinker() - Take a shrinker off the list again.
 * @shrinker: a registered shrinker
 *
 * Context: May block: waits for a run of it that is under way, unless it is called by
 * a shrinker, be it the same one.
 */
void unregister_shrinker(struct shrinker *shrinker);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
