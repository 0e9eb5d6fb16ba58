/* SPDX-License-Identifier: MIT */
/*
 * Read sections and grace periods. A walk of the tables is a read section; a
 * table that was unlinked is reused only when every walk that may have seen it
 * has ended. A section costs two plain stores: who frees pays the barriers.
 * Sections may sleep. Nothing waits for a grace period.
 */
#ifndef MM_RCU_H
#define MM_RCU_H

#include "mm/thread.h"

extern atomic_ulong rcu_now;     /* number of the current grace period, from 1 */
extern bool rcu_reader_barriers; /* readers need barriers of their own */

static inline void rcu_read_lock(struct mm_thread *self)
{
	if (self->rcu_depth++)
		return;
	/* Who sees the number of a grace period sees what was unlinked before it. */
	atomic_store_explicit(&self->rcu_seen, atomic_load_explicit(&rcu_now, memory_order_acquire),
			      memory_order_relaxed);
	if (unlikely(rcu_reader_barriers))
		atomic_thread_fence(memory_order_seq_cst);
	else
		atomic_signal_fence(memory_order_seq_cst);
}

static inline void rcu_read_unlock(struct mm_thread *self)
{
	if (!--self->rcu_depth)
		atomic_store_explicit(&self->rcu_seen, 0, memory_order_release);
}

/*
 * Free pages that no new walk can reach, once no old one is in them. They are
 * uncharged at once. Linked by ->next. Never blocks; enters the kernel only
 * outside atomic sections.
 */
void rcu_free_page_list(struct mm_thread *self, struct page *first);

/* Free what the calling thread can of its limbo; may enter the kernel. */
void rcu_poll(struct mm_thread *self);

#endif
