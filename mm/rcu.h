/* SPDX-License-Identifier: MIT */
/*
 * Read-side critical sections and grace periods. A walk of the tables is a read-side
 * critical section ("section" below): a table that was unlinked is reused only after
 * every walk that may have seen it has ended. A section costs two plain stores; the
 * thread that frees executes the barriers. Sections may sleep, and they nest. No thread
 * waits for a grace period.
 *
 * A short section can be single-threaded: no other thread uses the library, and none
 * begins to before the section ends, so its changes need no atomic operations. A new
 * thread waits for the end of such a section in mm_thread_register().
 */
#ifndef MM_RCU_H
#define MM_RCU_H

#include "mm/thread.h"

#define RCU_SINGLE   1UL /* in rcu_seen: the section is single-threaded */
#define RCU_BARRIERS 2UL /* in all numbers: readers must execute barriers themselves */
#define RCU_NEXT     4UL /* from the number of one grace period to the next */

extern atomic_ulong rcu_now __hidden; /* number of the current grace period */

static inline bool rcu_reader_barriers(void)
{
	return atomic_load_explicit(&rcu_now, memory_order_relaxed) & RCU_BARRIERS;
}

static inline unsigned long rcu_show(struct mm_thread *self, unsigned long flag)
{
	/* A thread that sees the number of a grace period sees what was unlinked before it. */
	unsigned long now = atomic_load_explicit(&rcu_now, memory_order_acquire);

	atomic_store_explicit(&self->rcu_seen, now | flag, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	return now;
}

/* Is the calling thread in a section? */
static inline bool rcu_read_lock_held(const struct mm_thread *self)
{
	return atomic_load_explicit(&self->rcu_seen, memory_order_relaxed) != 0;
}

/* Begin a section. Returns whether it is the outermost one, for rcu_read_unlock(). */
static inline bool rcu_read_lock(struct mm_thread *self)
{
	bool outermost = !atomic_load_explicit(&self->rcu_seen, memory_order_relaxed);

	if (likely(outermost) && unlikely(rcu_show(self, 0) & RCU_BARRIERS))
		atomic_thread_fence(memory_order_seq_cst);
	return outermost;
}

/*
 * As rcu_read_lock() where readers need no barriers, for a caller that does not nest:
 * returns false, and begins no section, if the thread is in one.
 */
static inline bool rcu_try_read_lock(struct mm_thread *self)
{
	if (unlikely(atomic_load_explicit(&self->rcu_seen, memory_order_relaxed)))
		return false;
	rcu_show(self, 0);
	return true;
}

static inline void rcu_read_unlock(struct mm_thread *self, bool outermost)
{
	if (likely(outermost))
		atomic_store_explicit(&self->rcu_seen, 0, memory_order_release);
}

/* End the single-threaded part of a section: the rest may take long, or sleep. */
static inline void rcu_single_end(struct mm_thread *self)
{
	unsigned long seen = atomic_load_explicit(&self->rcu_seen, memory_order_relaxed);

	atomic_store_explicit(&self->rcu_seen, seen & ~RCU_SINGLE, memory_order_release);
}

/*
 * Begin a single-threaded section. Returns false, and begins none, if the thread is in
 * a section already or other threads use the library.
 */
static inline bool rcu_try_read_lock_single(struct mm_thread *self)
{
	unsigned long now;

	if (unlikely(atomic_load_explicit(&self->rcu_seen, memory_order_relaxed)))
		return false;
	now = rcu_show(self, RCU_SINGLE);
	if (likely(!(now & RCU_BARRIERS) && mm_is_single_threaded()))
		return true;
	rcu_read_unlock(self, true);
	return false;
}

/*
 * As rcu_read_lock(). *single says whether the section is single-threaded until its end
 * or until rcu_single_end().
 */
static inline bool rcu_read_lock_single(struct mm_thread *self, bool *single)
{
	*single = rcu_try_read_lock_single(self);
	return *single || rcu_read_lock(self);
}

/* Called by a new thread that is counted: wait until no section is single-threaded. */
void rcu_wait_for_single(void);

/*
 * Free pages that no new walk can reach, as soon as no old walk can be in them. They
 * must be uncharged already, and are linked by ->next. Never blocks; enters the kernel
 * only outside atomic sections.
 */
void rcu_release_page_list(struct mm_thread *self, struct page *first);

/* Free what the calling thread can of its deferred pages; may enter the kernel. */
void rcu_poll(struct mm_thread *self);

/*
 * Do pages that the calling thread's callbacks have freed wait for the end of the
 * section that the thread is in? An allocation that fails because of that sets
 * failed_for_deferred.
 */
static inline bool rcu_has_deferred(const struct mm_thread *self)
{
	return rcu_read_lock_held(self) && (self->deferred[0].first || self->deferred[1].first);
}

/* Is the section of the calling thread nested in one that is around a callback? */
static inline bool rcu_is_nested(const struct mm_thread *self)
{
	return self->calls && self->calls->read_lock_held;
}

/* Called outside that section: free those pages. The allocation may be tried again. */
void rcu_free_deferred(struct mm_thread *self);

#endif
