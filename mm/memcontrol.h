/* SPDX-License-Identifier: MIT */
/*
 * What the files of the memory cgroups share: the cgroup itself and its
 * counters. Everybody else includes mm/memcg.h.
 *
 * usage is what is charged: in use, or held in the stock of some thread. The
 * difference shows nowhere outside: who reads or refuses drains stocks first.
 *
 * Lifetime. users counts references that people took and children; life counts
 * one for "users is not 0" and one for "usage is not 0", and the cgroup goes
 * with the last of both. So a charge needs no reference of its own, and charging
 * touches life only when usage leaves or reaches 0. A stock needs none either:
 * when users reaches 0, mem_cgroup_put() takes the cgroup out of every stock
 * before it drops its life, and none takes it in again while users is 0.
 */
#ifndef MM_MEMCONTROL_H
#define MM_MEMCONTROL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mm/memcg.h"

#define MEMCG_MAX_DEPTH 64
#define MEMCG_PAGE      4096
/* What "max" stands for: the most whole pages that a size can count. */
#define MEMCG_UNLIMITED ((uint64_t)INT64_MAX / MEMCG_PAGE * MEMCG_PAGE)
/* How often a charge runs the shrinkers while they make progress. */
#define MEMCG_SHRINK_ROUNDS 5

enum memcg_event {
	MEMCG_HIGH,
	MEMCG_MAX,
	MEMCG_NR_EVENTS,
};

struct mem_cgroup {
	_Atomic uint64_t max;
	_Atomic uint64_t high;
	/* Chargers that need every byte of room here: nobody stocks meanwhile. */
	atomic_uint pressed;
	unsigned int depth;
	bool exact;                               /* no stocks are taken of it */
	struct mem_cgroup *path[MEMCG_MAX_DEPTH]; /* the root to [depth], itself */

	atomic_ulong users;
	atomic_ulong life;
	_Atomic uint64_t usage;
	_Atomic uint64_t peak; /* of what was in use, not of usage */
	_Atomic int64_t stat[MEMCG_NR_STATS];
	_Atomic uint64_t events[MEMCG_NR_EVENTS];
};

/* What a charge keeps to at each level. */
enum memcg_bound {
	MEMCG_BOUND_MAX,   /* memory.max only */
	MEMCG_BOUND_STOCK, /* memory.high too, and other chargers' need */
};

static inline uint64_t memcg_usage_now(const struct mem_cgroup *memcg)
{
	return atomic_load_explicit(&memcg->usage, memory_order_relaxed);
}

static inline bool memcg_is_under(const struct mem_cgroup *memcg, const struct mem_cgroup *level)
{
	return memcg->depth >= level->depth && memcg->path[level->depth] == level;
}

/* Charge each level or none; returns NULL, or the level that refused. */
struct mem_cgroup *memcg_charge_levels(struct mem_cgroup *memcg, uint64_t bytes,
				       enum memcg_bound bound);

/* May free the cgroup: not with a stock's lock held, unless a stock holds it. */
void memcg_uncharge_levels(struct mem_cgroup *memcg, uint64_t bytes);

void memcg_stat_add(struct mem_cgroup *memcg, enum memcg_stat stat, int64_t bytes);

/* Count an event of a cgroup, which is one of each ancestor too. */
void memcg_event(struct mem_cgroup *memcg, enum memcg_event event);

void memcg_peak_raise(struct mem_cgroup *level, uint64_t used);

/*
 * From now on no thread keeps a stock of this cgroup. Where many threads charge for
 * one owner in turn, peak would count what the others hold.
 */
static inline void memcg_keep_exact(struct mem_cgroup *memcg)
{
	memcg->exact = true;
}

/*
 * Take back every stock of a cgroup and its descendants, so that usage, peak
 * and stat are exact. With wait false, stocks whose lock cannot be had by a few
 * tries are left.
 */
void memcg_drain_stocks(struct mem_cgroup *memcg, bool wait);

#endif
