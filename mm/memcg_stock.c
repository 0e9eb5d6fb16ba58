/* SPDX-License-Identifier: MIT */
/*
 * Charging and uncharging through the calling thread's stocks.
 *
 * A stock is an amount that a thread has charged to a cgroup in advance. A charge is
 * taken from the thread's stock of that cgroup. If the stock does not suffice, it is
 * refilled with a batch, provided that no level's limit refuses the batch. Stocks are
 * invisible to users for these reasons:
 *
 * - Where memory.max would refuse a charge, the stocks under that level are taken back
 *   and the charge is tried again without a batch. While it is tried, the level's
 *   no_stock is not 0 and no thread adds to a stock under it.
 * - A stock exists only where no level is above memory.high: a batch that would exceed
 *   it is not charged, and an exact charge that exceeds it takes back all stocks under
 *   that level. So a charge from a stock cannot exceed memory.high. An uncharge adds
 *   only to a stock that exists.
 * - memory.peak is the peak of usage less stock. A stock keeps in low the least that it
 *   held after a charge. Before the shared usage changes on behalf of a stock, or the
 *   thread uses another stock, the stock is flushed: peak is raised to usage less low.
 *   Only the last used stock of a thread can be unflushed, so with a single thread peak
 *   is exact. With several threads a flush subtracts the stocks of its own thread only:
 *   peak may be too high by what other threads hold, and is never too low.
 *
 * Locks: the stocks of each thread have one lock. A thread never takes a second one. A
 * thread that must not wait for its own lock charges each level directly. If there is
 * only one thread, it sets "busy" by a plain store instead of taking the lock, which
 * saves half the time of a charge; mm_thread_register() has the barrier that this
 * needs.
 */
#include "mm/memcontrol.h"
#include "mm/rcu.h"
#include "mm/shrinker.h"
#include "mm/thread.h"

#define MEMCG_BATCH  ((size_t)64 * MEMCG_PAGE)
#define PEAK_FLUSHED SIZE_MAX
#define LOCK_TRIES   64

static inline bool single_threaded(void)
{
	return mm_is_single_threaded() && !rcu_reader_barriers();
}

/* Called by the thread that the stocks belong to. */
static inline bool stocks_try_enter(struct memcg_stocks *stocks)
{
	atomic_store_explicit(&stocks->busy, true, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	if (likely(single_threaded()))
		return true;
	atomic_store_explicit(&stocks->busy, false, memory_order_release);
	return spin_trylock(&stocks->lock);
}

/* Returns false after LOCK_TRIES tries if the caller must not wait; else lets others run. */
static bool try_again(unsigned int *tries, bool wait)
{
	cpu_relax();
	if (++*tries < LOCK_TRIES)
		return true;
	if (wait)
		plat_yield();
	return wait;
}

static bool stocks_enter(struct memcg_stocks *stocks, bool wait)
{
	unsigned int tries = 0;

	while (!stocks_try_enter(stocks)) {
		if (!try_again(&tries, wait))
			return false;
	}
	return true;
}

static inline void stocks_leave(struct memcg_stocks *stocks)
{
	if (likely(atomic_load_explicit(&stocks->busy, memory_order_relaxed)))
		atomic_store_explicit(&stocks->busy, false, memory_order_release);
	else
		spin_unlock(&stocks->lock);
}

/*
 * Called by any thread. The owner may still be inside without the lock, from when it
 * was the only thread: it leaves soon, and takes the lock from then on.
 */
static bool stocks_lock(struct memcg_stocks *stocks, bool wait)
{
	unsigned int tries = 0;

	do {
		if (spin_trylock(&stocks->lock)) {
			if (!atomic_load_explicit(&stocks->busy, memory_order_acquire))
				return true;
			spin_unlock(&stocks->lock);
		}
	} while (try_again(&tries, wait));
	return false;
}

/* The bytes that the thread certainly held in stock under @level since the last flush. */
static uint64_t stocked_under(const struct memcg_stocks *stocks, const struct mem_cgroup *level)
{
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < MEMCG_STOCKS; i++) {
		const struct memcg_stock *stock = &stocks->stock[i];

		if (stock->memcg && memcg_is_under(stock->memcg, level))
			bytes += MIN(stock->low, stock->bytes);
	}
	return bytes;
}

static void flush_peaks(const struct memcg_stocks *stocks, struct mem_cgroup *memcg)
{
	for (unsigned int d = 0; d <= memcg->depth; d++) {
		struct mem_cgroup *level = memcg->path[d];

		memcg_peak_raise(level, memcg_usage_now(level) - stocked_under(stocks, level));
	}
}

static void flush_last(struct memcg_stocks *stocks)
{
	struct memcg_stock *stock = &stocks->stock[stocks->last];

	if (!stock->memcg || stock->low == PEAK_FLUSHED)
		return;
	flush_peaks(stocks, stock->memcg);
	stock->low = PEAK_FLUSHED;
}

/* The stock is flushed. mem_cgroup_put() clears stocks first, so no cgroup is freed here. */
static void stock_clear(struct memcg_stock *stock)
{
	for (unsigned int i = 0; i < MEMCG_NR_STATS; i++) {
		if (stock->stat[i])
			memcg_stat_add(stock->memcg, i, stock->stat[i]);
		stock->stat[i] = 0;
	}
	memcg_uncharge_levels(stock->memcg, stock->bytes);
	stock->memcg = NULL;
	stock->bytes = 0;
}

static void stocks_clear_under(struct memcg_stocks *stocks, const struct mem_cgroup *level)
{
	for (unsigned int i = 0; i < MEMCG_STOCKS; i++) {
		struct memcg_stock *stock = &stocks->stock[i];

		if (!stock->memcg || (level && !memcg_is_under(stock->memcg, level)))
			continue;
		flush_last(stocks);
		stock_clear(stock);
	}
}

void memcg_drain_stocks(struct mem_cgroup *memcg, bool wait)
{
	mm_thread_self(); /* registered, so that no thread takes itself for the only one */
	for (struct mm_thread *thread = mm_thread_list(); thread; thread = thread->next) {
		if (!stocks_lock(&thread->stocks, wait))
			continue;
		stocks_clear_under(&thread->stocks, memcg);
		spin_unlock(&thread->stocks.lock);
	}
}

void mem_cgroup_thread_exit(struct mm_thread *self)
{
	struct mem_cgroup *active = self->active;

	self->active = NULL;
	mem_cgroup_put(active);
	stocks_lock(&self->stocks, true);
	stocks_clear_under(&self->stocks, NULL);
	spin_unlock(&self->stocks.lock);
}

/* Make the thread's stock of @memcg its last used one; NULL if it has none. */
static struct memcg_stock *stocks_find(struct memcg_stocks *stocks, const struct mem_cgroup *memcg)
{
	if (stocks->stock[stocks->last].memcg == memcg)
		return &stocks->stock[stocks->last];
	flush_last(stocks);
	for (unsigned int i = 0; i < MEMCG_STOCKS; i++) {
		if (stocks->stock[i].memcg == memcg) {
			stocks->last = i;
			return &stocks->stock[i];
		}
	}
	return NULL;
}

/* All stocks are flushed. Takes a free place, or evicts the other stocks in turn. */
static struct memcg_stock *stocks_install(struct memcg_stocks *stocks, struct mem_cgroup *memcg)
{
	unsigned int place = 0;

	while (place < MEMCG_STOCKS && stocks->stock[place].memcg)
		place++;
	if (place == MEMCG_STOCKS) {
		place = stocks->evict++ % MEMCG_STOCKS;
		stock_clear(&stocks->stock[place]);
	}
	stocks->last = place;
	stocks->stock[place].memcg = memcg;
	stocks->stock[place].low = PEAK_FLUSHED;
	return &stocks->stock[place];
}

static inline void stock_consume(struct memcg_stock *stock, size_t bytes, enum memcg_stat stat)
{
	stock->bytes -= bytes;
	stock->low = MIN(stock->low, stock->bytes);
	stock->stat[stat] += (long)bytes;
}

/* The result of one try to charge. */
struct attempt {
	struct mem_cgroup *over; /* the level that refused, or NULL */
	bool exact;              /* no stock was taken: memory.high may be passed */
};

static struct attempt charge_locked(struct memcg_stocks *stocks, struct mem_cgroup *memcg,
				    size_t bytes, enum memcg_stat stat)
{
	struct memcg_stock *stock = stocks_find(stocks, memcg);
	size_t have = stock ? stock->bytes : 0;
	struct attempt attempt = {0};

	if (have < bytes) {
		size_t need = bytes - have;

		flush_last(stocks);
		if (atomic_load(&memcg->users) && !memcg->exact &&
		    !memcg_charge_levels(memcg, need + MEMCG_BATCH, MEMCG_BOUND_STOCK)) {
			if (!stock)
				stock = stocks_install(stocks, memcg);
			need += MEMCG_BATCH;
		} else {
			attempt.exact = true;
			attempt.over = memcg_charge_levels(memcg, need, MEMCG_BOUND_MAX);
			if (attempt.over)
				return attempt;
		}
		if (stock)
			stock->bytes += need;
	}
	if (stock) {
		stock_consume(stock, bytes, stat);
	} else {
		memcg_stat_add(memcg, stat, (int64_t)bytes);
		flush_peaks(stocks, memcg);
	}
	return attempt;
}

/* The thread's stocks are locked by another thread: peak may count them as used. */
static void peak_raise_levels(struct mem_cgroup *memcg)
{
	for (unsigned int d = 0; d <= memcg->depth; d++)
		memcg_peak_raise(memcg->path[d], memcg_usage_now(memcg->path[d]));
}

static struct attempt charge_direct(struct mem_cgroup *memcg, size_t bytes, enum memcg_stat stat)
{
	struct attempt attempt = {.exact = true};

	attempt.over = memcg_charge_levels(memcg, bytes, MEMCG_BOUND_MAX);
	if (!attempt.over) {
		memcg_stat_add(memcg, stat, (int64_t)bytes);
		peak_raise_levels(memcg);
	}
	return attempt;
}

static struct attempt charge_once(struct memcg_stocks *stocks, struct mem_cgroup *memcg,
				  size_t bytes, enum memcg_stat stat, gfp_t gfp)
{
	struct attempt attempt;

	if (!stocks_enter(stocks, gfpflags_allow_blocking(gfp)))
		return charge_direct(memcg, bytes, stat);
	attempt = charge_locked(stocks, memcg, bytes, stat);
	stocks_leave(stocks);
	return attempt;
}

/*
 * @over refused the charge: take back the stocks under it and try again, also if a
 * level above it refuses then. A level that refuses in the end has no stock under it.
 */
static struct attempt charge_drained(struct memcg_stocks *stocks, struct mem_cgroup *memcg,
				     size_t bytes, enum memcg_stat stat, gfp_t gfp,
				     struct mem_cgroup *over)
{
	struct mem_cgroup *drained;
	struct attempt attempt;

	do {
		drained = over;
		atomic_fetch_add(&drained->no_stock, 1);
		memcg_drain_stocks(drained, gfpflags_allow_blocking(gfp));
		attempt = charge_once(stocks, memcg, bytes, stat, gfp);
		atomic_fetch_sub(&drained->no_stock, 1);
		over = attempt.over;
	} while (over && over->depth < drained->depth);
	return attempt;
}

static bool above_high(const struct mem_cgroup *level)
{
	return memcg_usage_now(level) > atomic_load_explicit(&level->high, memory_order_relaxed);
}

/* After an exact charge: keep memory.high as the head of this file describes. */
static void check_high(struct mem_cgroup *memcg, gfp_t gfp)
{
	unsigned int top = 0;
	bool above = false;

	while (top <= memcg->depth && !above_high(memcg->path[top]))
		top++;
	if (top > memcg->depth)
		return;
	memcg_drain_stocks(memcg->path[top], gfpflags_allow_blocking(gfp));
	for (unsigned int d = top; d <= memcg->depth; d++) {
		if (above_high(memcg->path[d])) {
			memcg_event(memcg->path[d], MEMCG_HIGH);
			above = true;
		}
	}
	if (above)
		shrink_all(gfp);
}

/*
 * Run the shrinkers to make the charge of @attempt possible. A shrinker may put the
 * last reference to the cgroup, to which nothing is charged yet.
 */
static struct attempt charge_shrinking(struct memcg_stocks *stocks, struct mem_cgroup *memcg,
				       size_t bytes, enum memcg_stat stat, gfp_t gfp,
				       struct attempt attempt)
{
	mem_cgroup_get(memcg);
	for (unsigned int round = 0; attempt.over && round < MEMCG_SHRINK_ROUNDS; round++) {
		if (!shrink_all(gfp))
			break;
		attempt = charge_drained(stocks, memcg, bytes, stat, gfp, attempt.over);
	}
	mem_cgroup_put(memcg);
	return attempt;
}

static __noinline int charge_slow(struct memcg_stocks *stocks, struct mem_cgroup *memcg,
				  size_t bytes, enum memcg_stat stat, gfp_t gfp)
{
	struct attempt attempt = charge_once(stocks, memcg, bytes, stat, gfp);

	if (attempt.over)
		attempt = charge_drained(stocks, memcg, bytes, stat, gfp, attempt.over);
	if (attempt.over) {
		memcg_event(attempt.over, MEMCG_MAX);
		attempt = charge_shrinking(stocks, memcg, bytes, stat, gfp, attempt);
	}
	if (attempt.over)
		return -ENOMEM;
	if (attempt.exact)
		check_high(memcg, gfp);
	return 0;
}

int mem_cgroup_charge(struct mem_cgroup *memcg, size_t bytes, enum memcg_stat stat, gfp_t gfp)
{
	struct memcg_stocks *stocks;
	struct memcg_stock *stock;

	if (!memcg)
		return 0;
	stocks = &mm_thread_self()->stocks;
	if (likely(stocks_try_enter(stocks))) {
		stock = &stocks->stock[stocks->last];
		if (likely(stock->memcg == memcg && stock->bytes >= bytes)) {
			stock_consume(stock, bytes, stat);
			stocks_leave(stocks);
			return 0;
		}
		stocks_leave(stocks);
	}
	return charge_slow(stocks, memcg, bytes, stat, gfp);
}

/* Put bytes back in stock if there is one. The caller holds the lock. */
static bool uncharge_locked(struct memcg_stocks *stocks, struct mem_cgroup *memcg, size_t bytes,
			    enum memcg_stat stat)
{
	struct memcg_stock *stock = stocks_find(stocks, memcg);

	if (!stock)
		return false;
	stock->stat[stat] -= (long)bytes;
	stock->bytes += bytes;
	if (stock->bytes > 2 * MEMCG_BATCH) {
		size_t surplus = stock->bytes - MEMCG_BATCH;

		flush_last(stocks);
		stock->bytes -= surplus;
		memcg_uncharge_levels(memcg, surplus);
	}
	return true;
}

static __noinline void uncharge_slow(struct memcg_stocks *stocks, struct mem_cgroup *memcg,
				     size_t bytes, enum memcg_stat stat)
{
	if (stocks_enter(stocks, false)) {
		bool stocked = uncharge_locked(stocks, memcg, bytes, stat);

		stocks_leave(stocks);
		if (stocked)
			return;
	} else {
		/* A flush in another thread may miss the present usage. */
		peak_raise_levels(memcg);
	}
	memcg_stat_add(memcg, stat, -(int64_t)bytes);
	memcg_uncharge_levels(memcg, bytes);
}

void mem_cgroup_uncharge(struct mem_cgroup *memcg, size_t bytes, enum memcg_stat stat)
{
	struct memcg_stocks *stocks;
	struct memcg_stock *stock;

	if (!memcg)
		return;
	stocks = &mm_thread_self()->stocks;
	if (likely(stocks_try_enter(stocks))) {
		stock = &stocks->stock[stocks->last];
		if (likely(stock->memcg == memcg && stock->bytes + bytes <= 2 * MEMCG_BATCH)) {
			stock->bytes += bytes;
			stock->stat[stat] -= (long)bytes;
			stocks_leave(stocks);
			return;
		}
		stocks_leave(stocks);
	}
	uncharge_slow(stocks, memcg, bytes, stat);
}
