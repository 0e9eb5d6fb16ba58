/* SPDX-License-Identifier: MIT */
/*
 * The state of one thread that uses the library. States are kept in a list that
 * only grows; a state whose thread has ended is given to the next one.
 */
#ifndef MM_THREAD_H
#define MM_THREAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mm/memcg.h"
#include "mm/page.h"
#include "plat/compiler.h"
#include "plat/plat.h"

struct mm_thread {
	/* Grace periods (rcu.c): 0 outside read sections. Read by others. */
	atomic_ulong rcu_seen;
	struct rcu_limbo {
		struct page *first; /* unlinked pages that a walk may still be in */
		unsigned int count;
		unsigned long after; /* free when every reader has seen this */
	} limbo[2];
	unsigned int nested;       /* sections in others: of what its callbacks call */
	unsigned int index;        /* its place in the list, for sharded counters */
	unsigned int atomic_depth; /* iommu_atomic_enter() */
	bool shrinking;            /* a shrinker is running on it (shrinker.c) */
	bool short_of_own;         /* an allocation failed for pages in its own limbo (rcu.h) */

	/* Fault injection (fail.c). */
	unsigned int fail_nth; /* 0: off */
	bool fail_sticky, fail_hit;

	struct mem_cgroup *active;
	struct memcg_stocks stocks;

	struct page_cache pages;

	atomic_uint in_use;     /* words: not every processor has atomics for bytes */
	struct mm_thread *next; /* fixed once listed */
};

/* Make a state for the calling thread and set the library up if need be. */
struct mm_thread *mm_thread_register(void) __cold;

/* First of the list of all states; walk it by ->next. */
struct mm_thread *mm_thread_list(void);

/* How many threads have a state now. */
extern atomic_uint mm_nr_threads __hidden;

/* For a thread that has a state: no other one has. */
static inline bool mm_is_alone(void)
{
	return atomic_load_explicit(&mm_nr_threads, memory_order_acquire) == 1;
}

static inline struct mm_thread *mm_thread_self(void)
{
	struct mm_thread *self = plat_self;

	return likely(self != NULL) ? self : mm_thread_register();
}

#endif
