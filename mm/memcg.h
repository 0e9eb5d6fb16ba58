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
 * Charge bytes to a cgroup and all its ancestors, or to none of them. A NULL
 * cgroup takes everything. A blocking gfp runs the shrinkers before it fails.
 * Returns 0 or -ENOMEM, which memory.events counts. What is charged keeps the
 * cgroup alive: who remembers it for the uncharge needs no reference.
 */
int mem_cgroup_charge(struct mem_cgroup *memcg, size_t bytes, enum memcg_stat stat, gfp_t gfp);
void mem_cgroup_uncharge(struct mem_cgroup *memcg, size_t bytes, enum memcg_stat stat);

struct mm_thread;

/*
 * Return the stock of a thread that ends, and drop its active cgroup. Charges
 * and uncharges of that thread come before.
 */
void mem_cgroup_thread_exit(struct mm_thread *self);

/*
 * What a thread has charged in advance, so that most charges touch no shared
 * line. Locked by its thread to use it and by others to take it back. All 0 is
 * a valid, empty state.
 */
#define MEMCG_STOCKS 4

struct memcg_stock {
	struct mem_cgroup *memcg;  /* whose; NULL when unused */
	size_t bytes;              /* charged to memcg, not in use */
	size_t low;                /* least that bytes was after a charge since the last fold */
	long stat[MEMCG_NR_STATS]; /* changes not yet counted in memcg's */
};

struct memcg_stocks {
	struct spinlock lock;
	atomic_bool busy;    /* its thread is the only one, and inside without the lock */
	unsigned int last;   /* the one that was used last */
	unsigned int victim; /* counts those that gave way */
	struct memcg_stock stock[MEMCG_STOCKS];
};

#endif
