/* SPDX-License-Identifier: MIT */
/*
 * The state of one thread that uses the library. States are kept in a list that only
 * grows. The state of a thread that has ended is given to the next new thread.
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

/* A callback that runs on a thread, and the set of tables that it is called for. */
struct mm_call {
	const void *tables;
	struct mm_call *outer;
	bool read_lock_held; /* its caller is in a read-side critical section (rcu.h) */
};

struct mm_thread {
	/*
	 * Grace periods (rcu.c): 0 outside read-side critical sections. Read by other
	 * threads.
	 */
	atomic_ulong rcu_seen;
	struct rcu_deferred {
		struct page *first; /* unlinked pages that a walk may still be in */
		unsigned int count;
		unsigned long after; /* may be freed when every reader has seen this number, */
		uint64_t not_before; /* and after this plat_clock_ms(), if there was no barrier */
	} deferred[2];
	unsigned int index;        /* index in the list, for sharded counters */
	unsigned int atomic_depth; /* iommu_atomic_enter() */
	const void
		*allocates_for; /* the set of tables that a table is being allocated for, or NULL */
	struct mm_call *calls;  /* the callbacks that run on the thread, innermost first */
	bool shrinking;         /* a shrinker is running on the thread (shrinker.c) */
	bool failed_for_deferred; /* an allocation failed, see rcu_has_deferred() */

	/* Fault injection (fail.c). */
	unsigned int fail_nth; /* 0: off */
	bool fail_sticky, fail_hit;

	struct mem_cgroup *active;
	struct memcg_stocks stocks;

	struct page_cache pages;

	atomic_uint in_use;     /* an int, since not every processor has atomics for bytes */
	struct mm_thread *next; /* constant once the state is in the list */
};

/* Make a state for the calling thread, and initialise the library if necessary. */
struct mm_thread *mm_thread_register(void) __cold;

/* Give the state up; what runs when the thread ends. */
void mm_thread_exit(struct mm_thread *self);

/*
 * mm_barrier_all() makes every other thread pass a memory barrier, which may include
 * waiting for its stores to become visible. mm_barrier_begin() does not wait: it
 * returns the time from which on they are visible, 0 for now.
 */
void mm_barrier_all(void);
uint64_t mm_barrier_begin(void);

/* The first state in the list of all states; iterate by ->next. */
struct mm_thread *mm_thread_list(void);

/* The number of threads that have a state now. */
extern atomic_uint mm_nr_threads __hidden;

/* For a thread that has a state: true if no other thread has one. */
static inline bool mm_is_single_threaded(void)
{
	return atomic_load_explicit(&mm_nr_threads, memory_order_acquire) == 1;
}

static inline struct mm_thread *mm_thread_self(void)
{
	struct mm_thread *self = plat_self;

	return likely(self != NULL) ? self : mm_thread_register();
}

/* Call these around a callback: while it runs, it must not free the tables. */
static inline void mm_call_begin(struct mm_thread *self, struct mm_call *call, const void *tables)
{
	*call = (struct mm_call){
		.tables = tables,
		.outer = self->calls,
		.read_lock_held = atomic_load_explicit(&self->rcu_seen, memory_order_relaxed) != 0,
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
