/* SPDX-License-Identifier: MIT */
/*
 * Grace periods.
 *
 * A page that was unlinked waits in its thread's list deferred[0]. When enough pages
 * wait, they move to deferred[1], the number of the grace period is incremented, and a
 * barrier on every thread makes sure that each thread either shows its read-side
 * critical section or sees that the pages are unlinked. The pages may be freed as soon
 * as every thread is outside a critical section or in one that began later.
 */
#include "mm/rcu.h"

#include "mm/page_alloc.h"

/*
 * A barrier on every thread may take 100 us on virtual processors; but the more pages
 * share one, the colder they are in the cache when they are used again.
 */
#define DEFERRED_BATCH 512

atomic_ulong rcu_now = RCU_NEXT;

static bool grace_period_over(unsigned long after)
{
	for (struct mm_thread *t = mm_thread_list(); t; t = t->next) {
		unsigned long seen = atomic_load_explicit(&t->rcu_seen, memory_order_acquire);

		if (seen && seen < after)
			return false;
	}
	return true;
}

void rcu_wait_for_single(void)
{
	for (struct mm_thread *t = mm_thread_list(); t; t = t->next)
		while (atomic_load_explicit(&t->rcu_seen, memory_order_acquire) & RCU_SINGLE)
			plat_yield();
}

static void release_deferred(struct rcu_deferred *deferred)
{
	struct page *first = deferred->first;

	if (!first || (deferred->not_before && plat_clock_ms() < deferred->not_before) ||
	    !grace_period_over(deferred->after))
		return;
	deferred->first = NULL;
	deferred->count = 0;
	page_release_list(first);
}

void rcu_poll(struct mm_thread *self)
{
	struct rcu_deferred *young = &self->deferred[0], *old = &self->deferred[1];

	release_deferred(old);
	if (old->first || !young->first)
		return;
	*old = *young;
	*young = (struct rcu_deferred){0};
	old->after = atomic_fetch_add(&rcu_now, RCU_NEXT) + RCU_NEXT;
	if (old->after & RCU_BARRIERS)
		atomic_thread_fence(memory_order_seq_cst);
	else
		old->not_before = mm_barrier_begin();
	release_deferred(old);
}

void rcu_free_deferred(struct mm_thread *self)
{
	self->failed_for_deferred = false;
	rcu_poll(self);
}

/* No thread can be using what this thread has unlinked so far. */
static void release_all(struct mm_thread *self)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(self->deferred); i++) {
		struct page *first = self->deferred[i].first;

		self->deferred[i] = (struct rcu_deferred){0};
		page_release_list(first);
	}
}

void rcu_release_page_list(struct mm_thread *self, struct page *first)
{
	struct rcu_deferred *young = &self->deferred[0];
	struct page *last = first;
	unsigned int count = 1;

	/*
	 * A thread that starts now registers first, and then sees that the pages are
	 * unlinked. If this thread is in a critical section, a callback is freeing
	 * pages that the walk around the callback may still use.
	 */
	if (likely(mm_is_single_threaded() && !rcu_read_lock_held(self))) {
		if (unlikely(young->first || self->deferred[1].first))
			release_all(self);
		page_release_list(first);
		return;
	}
	for (; last->next; last = last->next)
		count++;
	last->next = young->first;
	young->first = first;
	young->count += count;
	if (young->count >= DEFERRED_BATCH && !self->atomic_depth)
		rcu_poll(self);
}
