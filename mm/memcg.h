/* SPDX-License-Identifier: MIT */
/*
 * Charging to memory cgroups, inside the library.
 */
#ifndef MM_MEMCG_H
#define MM_MEMCG_H

#include <stddef.h>

#include <uiommu/gfp.h>
#include <uiommu/memcontrol.h>

#include "plat/spinlock.h"

/* The kinds of memory that memory.stat tells apart. */
enum memcg_stat {
	MEMCG_SEC_PAGETABLES,
	MEMCG_SLAB,
	MEMCG_OTHER, /* counts in "kernel" only */
	MEMCG_NR_STATS,
};

/*
 * Charge bytes to a cgroup and all its ancestors, or to none of them. A NULL cgroup
 * takes everything. With a blocking gfp the shrinkers run before the charge fails.
 * Returns 0 or -ENOMEM, which memory.events counts. A charge keeps the cgroup alive:
 * the caller needs no reference to uncharge it later.
 */
int mem_cgroup_charge(struct mem_cgroup *memcg, size_t bytes, enum memcg_stat stat, gfp_t gfp);
void mem_cgroup_uncharge(struct mem_cgroup *memcg, size_t bytes, enum memcg_stat stat);

struct mm_thread;

/*
 * Return the stock of a thread that ends, and drop its active cgroup. The thread must
 * not charge or uncharge after that.
 */
void mem_cgroup_thread_exit(struct mm_thread *self);

/*
 * What a thread has charged in advance, so that most charges touch no shared cache
 * line. The thread takes the lock to use it, other threads take the lock to take it
 * back. All 0 is a valid, empty state.
 */
#define MEMCG_STOCKS 4

struct memcg_stock {
	struct mem_cgroup *memcg; /* the cgroup it is of; NULL when unused */
	size_t bytes;             /* charged to memcg, not in use */
	size_t low;               /* the least that bytes was after a charge since the last flush */
	long stat[MEMCG_NR_STATS]; /* changes that are not counted in memcg's yet */
};

struct memcg_stocks {
	struct spinlock lock;
	atomic_bool busy;   /* its thread is the only one, and uses the stocks without the lock */
	unsigned int last;  /* the stock that was used last */
	unsigned int evict; /* index of the next stock to evict, modulo MEMCG_STOCKS */
	struct memcg_stock stock[MEMCG_STOCKS];
};

#endif
