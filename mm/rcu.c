/* SPDX-License-Identifier: MIT */
/*
 * Grace periods.
 *
 * A page that was unlinked waits in its thread's limbo[0]. When enough wait,
 * they move to limbo[1], the number of the grace period goes up, and a barrier
 * on every thread makes sure that each of them either shows its read section or
 * sees the unlinking. From then on the pages are free as soon as every thread is
 * outside a section or in one that began later.
 */
#include "mm/rcu.h"

#include "mm/page_alloc.h"

/*
 * A barrier on every thread may cost 100 us where processors are virtual; the more
 * pages share one, the colder they are when they are used again.
 */
#define LIMBO_BATCH 512

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

void rcu_wait_for_alone(void)
{
	for (struct mm_thread *t = mm_thread_list(); t; t = t->next)
		while (atomic_load_explicit(&t->rcu_seen, memory_order_acquire) & RCU_ALONE)
			plat_yield();
}

static void release_limbo(struct rcu_limbo *limbo)
{
	struct page *first = limbo->first;

	if (!first || (limbo->not_before && plat_clock_ms() < limbo->not_before) ||
	    !grace_period_over(limbo->after))
		return;
	limbo->first = NULL;
	limbo->count = 0;
	page_release_list(first);
}

void rcu_poll(struct mm_thread *self)
{
	struct rcu_limbo *young = &self->limbo[0], *old = &self->limbo[1];

	release_limbo(old);
	if (old->first || !young->first)
		return;
	*old = *young;
	*young = (struct rcu_limbo){0};
	old->after = atomic_fetch_add(&rcu_now, RCU_NEXT) + RCU_NEXT;
	if (old->after & RCU_BARRIERS)
		atomic_thread_fence(memory_order_seq_cst);
	else
		old->not_before = mm_barrier_begin();
	release_limbo(old);
}

void rcu_free_own(struct mm_thread *self)
{
	self->short_of_own = false;
	rcu_poll(self);
}

/* Nobody can be in what the thread has unlinked so far. */
static void release_all(struct mm_thread *self)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(self->limbo); i++) {
		struct page *first = self->limbo[i].first;

		self->limbo[i] = (struct rcu_limbo){0};
		page_release_list(first);
	}
}

void rcu_release_page_list(struct mm_thread *self, struct page *first)
{
	struct rcu_limbo *young = &self->limbo[0];
	struct page *last = first;
	unsigned int count = 1;

	/*
	 * A thread that starts now registers first, and then sees the unlinking. In a
	 * section of this thread a callback frees what the walk outside it is in.
	 */
	if (likely(mm_is_alone() && !rcu_in_section(self))) {
		if (unlikely(young->first || self->limbo[1].first))
			release_all(self);
		page_release_list(first);
		return;
	}
	for (; last->next; last = last->next)
		count++;
	last->next = young->first;
	young->first = first;
	young->count += count;
	if (young->count >= LIMBO_BATCH && !self->atomic_depth)
		rcu_poll(self);
}
