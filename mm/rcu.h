/* SPDX-License-Identifier: MIT */
/*
 * Read sections and grace periods. A walk of the tables is a read section; a
 * table that was unlinked is reused only when every walk that may have seen it
 * has ended. A section costs two plain stores: who frees pays the barriers.
 * Sections may sleep, and nest. Nothing waits for a grace period.
 *
 * A section that is short can ask to be alone: where no other thread uses the
 * library, none begins to before it ends, and what it changes needs no atomic
 * operations. A thread that is new waits for it in mm_thread_register().
 */
#ifndef MM_RCU_H
#define MM_RCU_H

#include "mm/thread.h"

#define RCU_ALONE    1UL /* in rcu_seen */
#define RCU_BARRIERS 2UL /* in all numbers: readers need barriers of their own */
#define RCU_NEXT     4UL /* from one grace period's number to the next one's */

extern atomic_ulong rcu_now __hidden; /* number of the current grace period */

static inline bool rcu_reader_barriers(void)
{
	return atomic_load_explicit(&rcu_now, memory_order_relaxed) & RCU_BARRIERS;
}

static inline unsigned long rcu_show(struct mm_thread *self, unsigned long flag)
{
	/* Who sees the number of a grace period sees what was unlinked before it. */
	unsigned long now = atomic_load_explicit(&rcu_now, memory_order_acquire);

	atomic_store_explicit(&self->rcu_seen, now | flag, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	return now;
}

/* Is the calling thread in a section? */
static inline bool rcu_in_section(const struct mm_thread *self)
{
	return atomic_load_explicit(&self->rcu_seen, memory_order_relaxed) != 0;
}

/* Whether the thread is in no section yet, which the end of this one must know. */
static inline bool rcu_read_lock(struct mm_thread *self)
{
	bool outermost = !atomic_load_explicit(&self->rcu_seen, memory_order_relaxed);

	if (likely(outermost) && unlikely(rcu_show(self, 0) & RCU_BARRIERS))
		atomic_thread_fence(memory_order_seq_cst);
	return outermost;
}

/*
 * The same where readers need no barriers, for who does without sections in
 * others: false, and none begins, if the thread is in one.
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

/* The rest of the section may take long, or sleep. */
static inline void rcu_alone_end(struct mm_thread *self)
{
	unsigned long seen = atomic_load_explicit(&self->rcu_seen, memory_order_relaxed);

	atomic_store_explicit(&self->rcu_seen, seen & ~RCU_ALONE, memory_order_release);
}

/* A section that is alone; false, and none begins, if the thread is in one or not alone. */
static inline bool rcu_try_read_lock_alone(struct mm_thread *self)
{
	unsigned long now;

	if (unlikely(atomic_load_explicit(&self->rcu_seen, memory_order_relaxed)))
		return false;
	now = rcu_show(self, RCU_ALONE);
	if (likely(!(now & RCU_BARRIERS) && mm_is_alone()))
		return true;
	rcu_read_unlock(self, true);
	return false;
}

/* As rcu_read_lock(); *alone says whether it is, until rcu_alone_end() or its end. */
static inline bool rcu_read_lock_alone(struct mm_thread *self, bool *alone)
{
	*alone = rcu_try_read_lock_alone(self);
	return *alone || rcu_read_lock(self);
}

/* For a thread that is new and is counted: until no other goes by being alone. */
void rcu_wait_for_alone(void);

/*
 * Free pages that no new walk can reach, once no old one is in them. They were
 * uncharged. Linked by ->next. Never blocks; enters the kernel only outside atomic
 * sections.
 */
void rcu_release_page_list(struct mm_thread *self, struct page *first);

/* Free what the calling thread can of its limbo; may enter the kernel. */
void rcu_poll(struct mm_thread *self);

/*
 * Do pages wait for the end of the section that the calling thread is in? Its callbacks
 * have freed them. An allocation that fails for want of them says so by short_of_own.
 */
static inline bool rcu_waits_for_own(const struct mm_thread *self)
{
	return rcu_in_section(self) && (self->limbo[0].first || self->limbo[1].first);
}

/* Is a section of the calling thread in another one, which is around a callback? */
static inline bool rcu_is_nested(const struct mm_thread *self)
{
	return self->calls && self->calls->in_section;
}

/* Outside of that section: free those pages. What failed may be tried again. */
void rcu_free_own(struct mm_thread *self);

#endif
