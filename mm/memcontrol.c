/* SPDX-License-Identifier: MIT */
/*
 * The tree of memory cgroups: references, and the counters of each level.
 *
 * A charge climbs from the leaf to the root by compare-and-swap, so no level is
 * above its maximum even for an instant. An uncharge goes from the root down:
 * until the leaf, its last, the leaf's usage keeps the whole path alive.
 */
#include "mm/memcontrol.h"

#include "mm/slab.h"
#include "mm/thread.h"

static void life_get(struct mem_cgroup *memcg)
{
	atomic_fetch_add_explicit(&memcg->life, 1, memory_order_relaxed);
}

/* Returns the parent, whose reference is then the caller's, if @memcg went. */
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
	/* From 0: what is charged keeps it alive, and now a user does as well. */
	if (memcg && atomic_fetch_add(&memcg->users, 1) == 0)
		life_get(memcg);
	return memcg;
}

/* Returns what is to be put next. */
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
	if (atomic_load_explicit(&level->pressed, memory_order_relaxed))
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

/* True when nothing is charged any more: the caller then drops that life. */
static bool level_uncharge(struct mem_cgroup *level, uint64_t bytes)
{
	return atomic_fetch_sub_explicit(&level->usage, bytes, memory_order_acq_rel) == bytes &&
	       bytes;
}

struct mem_cgroup *memcg_charge_levels(struct mem_cgroup *memcg, uint64_t bytes,
				       enum memcg_bound bound)
{
	struct mem_cgroup *level;
	unsigned int d;

	/* Look first: a charge that is undone gets in the way of others. */
	for (d = memcg->depth + 1; d-- > 0;) {
		level = memcg->path[d];
		if (!level_has_room(level, memcg_usage_now(level), bytes, bound))
			return level;
	}
	for (d = memcg->depth + 1; d-- > 0;) {
		if (!level_charge(memcg->path[d], bytes, bound))
			goto undo;
	}
	return NULL;

undo:
	level = memcg->path[d];
	/* The caller's hold on memcg is one on all of these: none can go. */
	while (++d <= memcg->depth) {
		if (level_uncharge(memcg->path[d], bytes))
			life_put(memcg->path[d]);
	}
	return level;
}

void memcg_uncharge_levels(struct mem_cgroup *memcg, uint64_t bytes)
{
	unsigned int depth = memcg->depth;

	for (unsigned int d = 0; d < depth; d++) {
		if (level_uncharge(memcg->path[d], bytes))
			life_put(memcg->path[d]);
	}
	if (level_uncharge(memcg, bytes))
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
