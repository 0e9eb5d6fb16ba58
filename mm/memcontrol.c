/* SPDX-License-Identifier: MIT */
/*
 * The tree of memory cgroups: references, and the counters of each level.
 *
 * A charge goes from the root to the leaf by compare-and-exchange, an uncharge from the
 * leaf to the root. So at no time is a cgroup above its own memory.max, above that of
 * an ancestor, or above its parent's usage.
 */
#include "mm/memcontrol.h"

#include "mm/slab.h"
#include "mm/thread.h"

static void life_get(struct mem_cgroup *memcg)
{
	atomic_fetch_add_explicit(&memcg->life, 1, memory_order_relaxed);
}

/* If @memcg was freed, returns its parent, whose reference the caller then owns. */
static struct mem_cgroup *life_put(struct mem_cgroup *memcg)
{
	struct mem_cgroup *parent;

	if (atomic_fetch_sub_explicit(&memcg->life, 1, memory_order_acq_rel) != 1)
		return NULL;
	parent = memcg->depth ? memcg->path[memcg->depth - 1] : NULL;
	kfree(memcg);
	return parent;
}

struct mem_cgroup *mem_cgroup_create(struct mem_cgroup *parent)
{
	struct mem_cgroup *memcg;

	if (parent && parent->depth + 1 >= MEMCG_MAX_DEPTH)
		return NULL;
	memcg = kzalloc(sizeof(*memcg), GFP_KERNEL, NULL);
	if (!memcg)
		return NULL;
	if (parent) {
		memcg->depth = parent->depth + 1;
		for (unsigned int d = 0; d < memcg->depth; d++)
			memcg->path[d] = parent->path[d];
		mem_cgroup_get(parent);
	}
	memcg->path[memcg->depth] = memcg;
	atomic_init(&memcg->max, MEMCG_UNLIMITED);
	atomic_init(&memcg->high, MEMCG_UNLIMITED);
	atomic_init(&memcg->users, 1);
	atomic_init(&memcg->life, 1);
	return memcg;
}

struct mem_cgroup *mem_cgroup_get(struct mem_cgroup *memcg)
{
	/*
	 * users was 0: @memcg was alive because of its charges, and now because of a
	 * user as well.
	 */
	if (memcg && atomic_fetch_add(&memcg->users, 1) == 0)
		life_get(memcg);
	return memcg;
}

/* Returns the cgroup that the caller must put next. */
static struct mem_cgroup *user_put(struct mem_cgroup *memcg)
{
	if (atomic_fetch_sub(&memcg->users, 1) != 1)
		return NULL;
	memcg_drain_stocks(memcg, true);
	return life_put(memcg);
}

void mem_cgroup_put(struct mem_cgroup *memcg)
{
	while (memcg)
		memcg = user_put(memcg);
}

struct mem_cgroup *mem_cgroup_set_active(struct mem_cgroup *memcg)
{
	struct mm_thread *self = mm_thread_self();
	struct mem_cgroup *before = self->active;

	self->active = mem_cgroup_get(memcg);
	mem_cgroup_put(before);
	return before;
}

struct mem_cgroup *mem_cgroup_active(void)
{
	return plat_self ? plat_self->active : NULL;
}

static uint64_t level_bound(struct mem_cgroup *level, enum memcg_bound bound)
{
	uint64_t max = atomic_load_explicit(&level->max, memory_order_relaxed);
	uint64_t high;

	if (bound == MEMCG_BOUND_MAX)
		return max;
	if (atomic_load_explicit(&level->no_stock, memory_order_relaxed))
		return 0;
	high = atomic_load_explicit(&level->high, memory_order_relaxed);
	return MIN(max, high);
}

static bool level_has_room(struct mem_cgroup *level, uint64_t usage, uint64_t bytes,
			   enum memcg_bound bound)
{
	uint64_t most = level_bound(level, bound);

	return usage <= most && bytes <= most - usage;
}

static bool level_charge(struct mem_cgroup *level, uint64_t bytes, enum memcg_bound bound)
{
	uint64_t usage = memcg_usage_now(level);

	do {
		if (!level_has_room(level, usage, bytes, bound))
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		&level->usage, &usage, usage + bytes, memory_order_acq_rel, memory_order_relaxed));
	if (!usage && bytes)
		life_get(level);
	return true;
}

/* The caller keeps the level alive. */
static void level_uncharge(struct mem_cgroup *level, uint64_t bytes)
{
	if (atomic_fetch_sub_explicit(&level->usage, bytes, memory_order_acq_rel) == bytes && bytes)
		life_put(level);
}

struct mem_cgroup *memcg_charge_levels(struct mem_cgroup *memcg, uint64_t bytes,
				       enum memcg_bound bound)
{
	struct mem_cgroup *level;
	unsigned int d;

	/*
	 * Check all levels first: a charge that is undone disturbs other threads. Begin
	 * at the leaf, so that the lowest level that is full is the one that refuses.
	 */
	for (d = memcg->depth + 1; d-- > 0;) {
		level = memcg->path[d];
		if (!level_has_room(level, memcg_usage_now(level), bytes, bound))
			return level;
	}
	for (d = 0; d <= memcg->depth; d++) {
		if (!level_charge(memcg->path[d], bytes, bound))
			goto undo;
	}
	return NULL;

undo:
	level = memcg->path[d];
	while (d-- > 0)
		level_uncharge(memcg->path[d], bytes);
	return level;
}

void memcg_uncharge_levels(struct mem_cgroup *memcg, uint64_t bytes)
{
	/* memcg, and with it the path, may have been alive only because of its usage. */
	life_get(memcg);
	for (unsigned int d = memcg->depth + 1; d-- > 0;)
		level_uncharge(memcg->path[d], bytes);
	mem_cgroup_put(life_put(memcg));
}

void memcg_stat_add(struct mem_cgroup *memcg, enum memcg_stat stat, int64_t bytes)
{
	for (unsigned int d = 0; d <= memcg->depth; d++)
		atomic_fetch_add_explicit(&memcg->path[d]->stat[stat], bytes, memory_order_relaxed);
}

void memcg_event(struct mem_cgroup *memcg, enum memcg_event event)
{
	for (unsigned int d = 0; d <= memcg->depth; d++)
		atomic_fetch_add_explicit(&memcg->path[d]->events[event], 1, memory_order_relaxed);
}

void memcg_peak_raise(struct mem_cgroup *level, uint64_t used)
{
	uint64_t peak = atomic_load_explicit(&level->peak, memory_order_relaxed);

	while (used > peak &&
	       !atomic_compare_exchange_weak_explicit(&level->peak, &peak, used,
						      memory_order_relaxed, memory_order_relaxed))
		;
}
