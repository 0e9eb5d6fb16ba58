/* SPDX-License-Identifier: MIT */
/*
 * The cgroup and its counters, which the files of the memory cgroups share. All other
 * files include mm/memcg.h.
 *
 * usage is what is charged: bytes in use, or held in the stock of some thread. The
 * difference is never visible to users: stocks are drained before usage is read or a
 * charge is refused.
 *
 * Lifetime: users counts references and children. life counts one for "users is not 0"
 * and one for "usage is not 0"; the cgroup is freed when life drops to 0. So a charge
 * needs no reference of its own, and it changes life only when usage leaves or reaches
 * 0. A stock needs no reference either: when users drops to 0, mem_cgroup_put() clears
 * every stock of the cgroup before it drops life, and no thread stocks it again while
 * users is 0.
 */
#ifndef MM_MEMCONTROL_H
#define MM_MEMCONTROL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mm/memcg.h"

#define MEMCG_MAX_DEPTH 64
#define MEMCG_PAGE      4096
/* The value of "max": the most whole pages that a size can count. */
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
	/* Charges under way that need all bytes left here: no thread stocks meanwhile. */
	atomic_uint no_stock;
	unsigned int depth;
	bool exact; /* no thread keeps a stock of it */
	struct mem_cgroup
		*path[MEMCG_MAX_DEPTH]; /* from the root to itself, which is path[depth] */

	atomic_ulong users;
	atomic_ulong life;
	_Atomic uint64_t usage;
	_Atomic uint64_t peak; /* of the bytes in use, not of usage */
	_Atomic int64_t stat[MEMCG_NR_STATS];
	_Atomic uint64_t events[MEMCG_NR_EVENTS];
};

/* The limits that a charge must keep at each level. */
enum memcg_bound {
	MEMCG_BOUND_MAX,   /* memory.max only */
	MEMCG_BOUND_STOCK, /* memory.high as well, and no_stock */
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

/* May free the cgroup. Must not be called with a stock's lock held, unless a stock holds it. */
void memcg_uncharge_levels(struct mem_cgroup *memcg, uint64_t bytes);

void memcg_stat_add(struct mem_cgroup *memcg, enum memcg_stat stat, int64_t bytes);

/* Count an event of a cgroup, which counts for each ancestor as well. */
void memcg_event(struct mem_cgroup *memcg, enum memcg_event event);

void memcg_peak_raise(struct mem_cgroup *level, uint64_t used);

/*
 * From now on no thread keeps a stock of this cgroup. Where many threads charge one
 * owner in turn, peak would include what the other threads hold in stock.
 */
static inline void memcg_keep_exact(struct mem_cgroup *memcg)
{
	memcg->exact = true;
}

/*
 * Take back every stock of a cgroup and its descendants, so that usage, peak and stat
 * are exact. With wait false, a stock is left if its lock is not free within a few
 * tries.
 */
void memcg_drain_stocks(struct mem_cgroup *memcg, bool wait);

#endif
