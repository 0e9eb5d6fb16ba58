/* SPDX-License-Identifier: MIT */
/* Thread states, and initialising the library on first use. */
#include "mm/thread.h"

#include <uiommu/mm.h>

#include "mm/rcu.h"

#define DEFAULT_ARENA   ((uint64_t)256 << 30)
#define DEFAULT_RESERVE 64
#define MAX_RESERVE     4096
#define CHUNK           ((uint64_t)2 << 20)

#define STATE_BYTES ((sizeof(struct mm_thread) + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1))

enum {
	MM_DOWN,
	MM_COMING_UP,
	MM_UP
};

static atomic_int mm_state;
/* Set in the child of a process whose other threads used the library at the fork. */
static atomic_bool orphaned;
static _Atomic(struct mm_thread *) threads;
static atomic_uint nr_states;
atomic_uint mm_nr_threads;

/*
 * Returns true if the library is initialised, waiting for another thread that is doing
 * it. Returns false if the caller must do it.
 */
static bool mm_is_up(void)
{
	int down;

	do {
		down = MM_DOWN;
		if (atomic_compare_exchange_strong(&mm_state, &down, MM_COMING_UP))
			return false;
		while (atomic_load(&mm_state) == MM_COMING_UP)
			plat_yield();
	} while (atomic_load(&mm_state) != MM_UP); /* the other thread has failed */
	return true;
}

static void refuse_orphans(void)
{
	if (atomic_load(&orphaned))
		plat_panic("cannot be used in this child of fork(): other threads of its parent "
			   "were using it; see uiommu_init(3)");
}

/*
 * Other threads are not in the child, but what they were doing is: locks that they
 * hold, walks that do not end, tables half made. Where there was none it goes on.
 */
static void forked(void)
{
	unsigned int own = plat_self != NULL;

	if (atomic_load(&mm_nr_threads) == own && atomic_load(&mm_state) != MM_COMING_UP)
		return;
	atomic_store(&orphaned, true);
	plat_forked();
}

static int mm_init(uint64_t arena_bytes, unsigned int reserve, uint64_t phys_base)
{
	int ret;

	plat_watch_forks(forked);
	refuse_orphans();
	if (mm_is_up())
		return -EBUSY;
	if (!plat_barrier_init())
		atomic_fetch_or(&rcu_now, RCU_BARRIERS);
	ret = page_init(arena_bytes, reserve, phys_base);
	atomic_store(&mm_state, ret ? MM_DOWN : MM_UP);
	return ret;
}

int uiommu_init(const struct uiommu_config *config)
{
	if (!config)
		return mm_init(0, DEFAULT_RESERVE, UIOMMU_PHYS_IS_VIRT);
	if (config->arena_bytes % CHUNK || config->arena_bytes > DEFAULT_ARENA ||
	    config->atomic_reserve > MAX_RESERVE)
		return -EINVAL;
	if (config->phys_base != UIOMMU_PHYS_IS_VIRT && config->phys_base % CHUNK)
		return -EINVAL;
	return mm_init(config->arena_bytes, config->atomic_reserve, config->phys_base);
}

/* Reuse a state whose thread has ended, with the pages that are still deferred in it. */
static struct mm_thread *reuse_state(void)
{
	for (struct mm_thread *t = mm_thread_list(); t; t = t->next) {
		unsigned int free = 0;

		if (atomic_compare_exchange_strong(&t->in_use, &free, 1))
			return t;
	}
	return NULL;
}

static struct mm_thread *new_state(void)
{
	struct mm_thread *t = plat_reserve(STATE_BYTES);

	if (!t || plat_commit(t, STATE_BYTES))
		plat_panic("out of memory for the state of a thread");
	t->index = atomic_fetch_add(&nr_states, 1);
	atomic_store(&t->in_use, 1);
	t->next = atomic_load(&threads);
	while (!atomic_compare_exchange_weak(&threads, &t->next, t))
		;
	return t;
}

uint64_t mm_barrier_begin(void)
{
	static atomic_uint said;

	if (plat_barrier_all())
		return 0;
	if (!atomic_exchange_explicit(&said, 1, memory_order_relaxed))
		plat_warn("membarrier() has begun to fail: freed tables are used again a little "
			  "later, and threads start more slowly");
	return plat_clock_ms() + PLAT_SETTLE_MS;
}

void mm_barrier_all(void)
{
	uint64_t until = mm_barrier_begin();

	while (until && plat_clock_ms() < until)
		plat_yield();
}

struct mm_thread *mm_thread_register(void)
{
	struct mm_thread *self;

	refuse_orphans();
	if (atomic_load(&mm_state) != MM_UP) {
		int ret = mm_init(0, DEFAULT_RESERVE, UIOMMU_PHYS_IS_VIRT);

		if (ret && ret != -EBUSY)
			plat_panic("no address space for the arena");
	}
	/*
	 * Before the first walk: from now on, what other threads free waits for this
	 * one. A thread that was the only one either sees that it is not any more, or
	 * shows that it is inside its stocks or in a single-threaded section.
	 */
	atomic_fetch_add(&mm_nr_threads, 1);
	if (!rcu_reader_barriers())
		mm_barrier_all();
	rcu_wait_for_single();
	self = reuse_state();
	if (!self)
		self = new_state();
	plat_self = self;
	plat_thread_started(self, mm_thread_exit);
	return self;
}

void mm_thread_exit(struct mm_thread *self)
{
	mem_cgroup_thread_exit(self);
	rcu_poll(self);
	page_thread_exit(self);
	self->atomic_depth = 0;
	self->fail_nth = 0;
	self->fail_hit = false;
	atomic_store(&self->in_use, 0);
	atomic_fetch_sub(&mm_nr_threads, 1);
}

struct mm_thread *mm_thread_list(void)
{
	return atomic_load_explicit(&threads, memory_order_acquire);
}
