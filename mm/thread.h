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

/* A callback that runs on a thread, with the set of tables that it is called for. */
struct mm_call {
	const void *tables;
	struct mm_call *outer;
	bool in_section; /* a section of its caller is around it (rcu.h) */
};

struct mm_thread {
	/* Grace periods (rcu.c): 0 outside read sections. Read by others. */
	atomic_ulong rcu_seen;
	struct rcu_limbo {
		struct page *first; /* unlinked pages that a walk may still be in */
		unsigned int count;
		unsigned long after; /* free when every reader has seen this, */
		uint64_t not_before; /* and by plat_clock_ms(), where there was no barrier */
	} limbo[2];
	unsigned int index;        /* its place in the list, for sharded counters */
	unsigned int atomic_depth; /* iommu_atomic_enter() */
	const void *allocates_for; /* the set of tables that is getting one, or NULL */
	struct mm_call *calls;     /* callbacks that run on it, the innermost first */
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

/* Give the state up; what runs when the thread ends. */
void mm_thread_exit(struct mm_thread *self);

/*
 * Make every other thread pass a memory barrier, which may mean to wait a little for
 * what it has stored; or say from when on that is visible, 0 for now.
 */
void mm_barrier_all(void);
uint64_t mm_barrier_begin(void);

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

/* Around a callback: while it runs, the tables must not be freed by it. */
static inline void mm_call_begin(struct mm_thread *self, struct mm_call *call, const void *tables)
{
	*call = (struct mm_call){
		.tables = tables,
		.outer = self->calls,
		.in_section = atomic_load_explicit(&self->rcu_seen, memory_order_relaxed) != 0,
	};
	self->calls = call;
}

static inline void mm_call_end(struct mm_thread *self, const struct mm_call *call)
{
	self->calls = call->outer;
}

/* Does one of the callbacks that run on the thread belong to a call on these tables? */
static inline bool mm_is_called_for(const struct mm_thread *self, const void *tables)
{
	const struct mm_call *call = self->calls;

	while (call && call->tables != tables)
		call = call->outer;
	return call != NULL;
}

#endif
