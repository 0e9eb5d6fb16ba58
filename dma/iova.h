/* SPDX-License-Identifier: MIT */
/*
 * What the files of the IOVA allocator share. Locks: that of a thread's cache comes
 * before that of the depot; the set's own lock is taken with neither of them held. Each
 * is held for a few instructions, and nothing is allocated or freed under it.
 */
#ifndef DMA_IOVA_H
#define DMA_IOVA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <uiommu/iova.h>
#include <uiommu/mm.h>

#include "dma/iova_tree.h"
#include "plat/compiler.h"
#include "plat/spinlock.h"

/* Ranges of 2^0 to 2^5 granules are cached. */
#define IOVA_CACHED_ORDERS 6
/* Threads beyond this number share caches. */
#define IOVA_CACHES 64

struct mem_cgroup;
struct iova_cache;
struct iova_magazine;

/* Lists of magazines, linked by ->next. */
struct iova_depot {
	struct iova_magazine *full, *empty;
	unsigned int nr_full, nr_empty;
};

struct iova_rcache {
	_Atomic(struct iova_cache *)
		cache[IOVA_CACHES]; /* by mm_thread index; they exist as long as the set */
	struct spinlock lock;       /* protects depot */
	struct iova_depot depot[IOVA_CACHED_ORDERS];
	_Atomic uint64_t bytes; /* of caches and magazines */
};

struct iova_domain {
	uint64_t granule, start, end;
	struct mem_cgroup *owner; /* holds a reference; or NULL */
	struct shrinker shrinker;

	__aligned_cache struct spinlock lock; /* protects the trees */
	atomic_uint markers;                  /* threads in iova_tree_mark() */
	struct iova_tree used;                /* including reserved ranges */
	struct iova_tree reserved;            /* including what is below start and above end */
	_Atomic uint64_t in_use;              /* granules, changed under lock */
	_Atomic uint64_t bytes;               /* of nodes, changed under lock */

	struct iova_rcache rcache;
};

/* How often a caller that must not wait tries a lock. */
#define IOVA_LOCK_TRIES 64

static inline bool iova_try_lock(struct spinlock *lock)
{
	for (unsigned int tries = 0; tries < IOVA_LOCK_TRIES; tries++) {
		if (spin_trylock(lock))
			return true;
		cpu_relax();
	}
	return false;
}

/* A range of 2^order granules from the calling thread's cache, or 0. */
uint64_t iova_rcache_get(struct iova_domain *iovad, unsigned int order, uint64_t limit);
/* Returns false if the cache is full. */
bool iova_rcache_put(struct iova_domain *iovad, unsigned int order, uint64_t pfn);
/* After a miss: allocate what a later iova_rcache_put() needs, if memory allows it. */
void iova_rcache_prepare(struct iova_domain *iovad, unsigned int order, gfp_t gfp);
/* Free everything that is cached, except in caches whose lock is held. Returns granules. */
uint64_t iova_rcache_flush(struct iova_domain *iovad);
/* How many granules iova_rcache_flush() would free. */
uint64_t iova_rcache_count(struct iova_domain *iovad);
/* Free the caches and all that is in them; the set is not used any more. */
void iova_rcache_drop(struct iova_domain *iovad);

#endif
