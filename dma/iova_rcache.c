/* SPDX-License-Identifier: MIT */
/*
 * Caches of ranges that the tree has in use but that are free to all others, like the
 * kernel's rcache.
 *
 * A thread's cache has two magazines of each order. The loaded one is used; the
 * previous one takes its place when that helps, so that no sequence of calls goes to
 * the depot in every call. As a free does not allocate, the magazines are allocated by
 * the allocations that find none.
 *
 * When a thread ends, its cache is used by the next thread with its index.
 */
#include "dma/iova.h"

#include "mm/gfp.h"
#include "mm/slab.h"
#include "mm/thread.h"

#define MAGAZINE_ROOM 126
/* The most magazines in the depot, of each order. */
#define DEPOT_ROOM 32

struct iova_magazine {
	struct iova_magazine *next;
	unsigned int count;
	unsigned int order; /* for the code that flushes it */
	uint64_t pfn[MAGAZINE_ROOM];
};
_Static_assert(sizeof(struct iova_magazine) == 1024, "a size class of kmalloc()");

struct iova_cache {
	__aligned_cache struct spinlock lock;
	struct {
		struct iova_magazine *loaded, *prev;
	} of[IOVA_CACHED_ORDERS];
};

static struct iova_cache *own_cache(struct iova_domain *iovad)
{
	unsigned int index = mm_thread_self()->index % IOVA_CACHES;

	return atomic_load_explicit(&iovad->rcache.cache[index], memory_order_acquire);
}

static bool is_full(const struct iova_magazine *magazine)
{
	return !magazine || magazine->count == MAGAZINE_ROOM;
}

/* The newest range that ends at @limit or below, or 0. */
static uint64_t magazine_take(struct iova_magazine *magazine, unsigned int order, uint64_t limit)
{
	uint64_t pfn;

	for (unsigned int i = magazine ? magazine->count : 0; i--;) {
		pfn = magazine->pfn[i];
		if (pfn + (BIT_ULL(order) - 1) > limit)
			continue;
		magazine->pfn[i] = magazine->pfn[--magazine->count];
		return pfn;
	}
	return 0;
}

static void magazine_push(struct iova_magazine **list, unsigned int *nr,
			  struct iova_magazine *magazine)
{
	magazine->next = *list;
	*list = magazine;
	(*nr)++;
}

static struct iova_magazine *magazine_pop(struct iova_magazine **list, unsigned int *nr)
{
	struct iova_magazine *magazine = *list;

	if (magazine) {
		*list = magazine->next;
		(*nr)--;
	}
	return magazine;
}

static void swap_magazines(struct iova_cache *cache, unsigned int order)
{
	struct iova_magazine *magazine = cache->of[order].loaded;

	cache->of[order].loaded = cache->of[order].prev;
	cache->of[order].prev = magazine;
}

/* Exchange the empty loaded magazine for a full one. */
static bool trade_for_full(struct iova_domain *iovad, struct iova_cache *cache, unsigned int order)
{
	struct iova_depot *depot = &iovad->rcache.depot[order];
	struct iova_magazine *empty = cache->of[order].loaded, *full;

	if (!empty || empty->count || !iova_try_lock(&iovad->rcache.lock))
		return false;
	full = magazine_pop(&depot->full, &depot->nr_full);
	if (full) {
		magazine_push(&depot->empty, &depot->nr_empty, empty);
		cache->of[order].loaded = full;
	}
	spin_unlock(&iovad->rcache.lock);
	return full;
}

/* Exchange the full loaded magazine for an empty one. */
static bool trade_for_empty(struct iova_domain *iovad, struct iova_cache *cache, unsigned int order)
{
	struct iova_depot *depot = &iovad->rcache.depot[order];
	struct iova_magazine *full = cache->of[order].loaded, *empty;

	if (!full || !iova_try_lock(&iovad->rcache.lock))
		return false;
	empty = magazine_pop(&depot->empty, &depot->nr_empty);
	if (empty) {
		magazine_push(&depot->full, &depot->nr_full, full);
		cache->of[order].loaded = empty;
	}
	spin_unlock(&iovad->rcache.lock);
	return empty;
}

static __noinline uint64_t get_slow(struct iova_domain *iovad, struct iova_cache *cache,
				    unsigned int order, uint64_t limit)
{
	uint64_t pfn = magazine_take(cache->of[order].loaded, order, limit);

	if (pfn)
		return pfn;
	pfn = magazine_take(cache->of[order].prev, order, limit);
	if (pfn) {
		swap_magazines(cache, order);
		return pfn;
	}
	if (!trade_for_full(iovad, cache, order))
		return 0;
	return magazine_take(cache->of[order].loaded, order, limit);
}

uint64_t iova_rcache_get(struct iova_domain *iovad, unsigned int order, uint64_t limit)
{
	struct iova_cache *cache = own_cache(iovad);
	struct iova_magazine *magazine;
	uint64_t pfn;

	if (!cache || !spin_trylock(&cache->lock))
		return 0;
	magazine = cache->of[order].loaded;
	if (likely(magazine && magazine->count &&
		   magazine->pfn[magazine->count - 1] + (BIT_ULL(order) - 1) <= limit))
		pfn = magazine->pfn[--magazine->count];
	else
		pfn = get_slow(iovad, cache, order, limit);
	spin_unlock(&cache->lock);
	return pfn;
}

bool iova_rcache_put(struct iova_domain *iovad, unsigned int order, uint64_t pfn)
{
	struct iova_cache *cache = own_cache(iovad);
	bool room = true;

	if (!cache || !spin_trylock(&cache->lock))
		return false;
	if (unlikely(is_full(cache->of[order].loaded))) {
		if (!is_full(cache->of[order].prev))
			swap_magazines(cache, order);
		else
			room = trade_for_empty(iovad, cache, order);
	}
	if (likely(room)) {
		struct iova_magazine *magazine = cache->of[order].loaded;

		magazine->pfn[magazine->count++] = pfn;
	}
	spin_unlock(&cache->lock);
	return room;
}

/* ---- making them ---- */

static void *alloc_counted(struct iova_domain *iovad, size_t size, gfp_t gfp)
{
	void *object =
		kzalloc(size, gfp_metadata(gfp) | __GFP_NOWARN | __GFP_NORETRY, iovad->owner);

	if (object)
		atomic_fetch_add_explicit(&iovad->rcache.bytes, size, memory_order_relaxed);
	return object;
}

static void free_counted(struct iova_domain *iovad, void *object, size_t size)
{
	if (!object)
		return;
	kfree(object);
	atomic_fetch_sub_explicit(&iovad->rcache.bytes, size, memory_order_relaxed);
}

static struct iova_cache *make_cache(struct iova_domain *iovad, gfp_t gfp)
{
	unsigned int index = mm_thread_self()->index % IOVA_CACHES;
	struct iova_cache *cache = own_cache(iovad), *first = NULL;

	if (cache)
		return cache;
	cache = alloc_counted(iovad, sizeof(*cache), gfp);
	if (!cache || atomic_compare_exchange_strong(&iovad->rcache.cache[index], &first, cache))
		return cache;
	free_counted(iovad, cache,
		     sizeof(*cache)); /* another thread that shares the cache was first */
	return first;
}

static bool depot_wants_empty(const struct iova_depot *depot)
{
	return !depot->nr_empty && depot->nr_full < DEPOT_ROOM;
}

/*
 * Does the cache, or the depot as the next one to exchange for a full one, need a
 * magazine? Puts @magazine there, unless it is NULL.
 */
static bool place_magazine(struct iova_domain *iovad, struct iova_cache *cache, unsigned int order,
			   struct iova_magazine *magazine)
{
	struct iova_depot *depot = &iovad->rcache.depot[order];
	struct iova_magazine **place = NULL;
	bool wanted;

	if (!iova_try_lock(&cache->lock))
		return false;
	if (!cache->of[order].loaded)
		place = &cache->of[order].loaded;
	else if (!cache->of[order].prev)
		place = &cache->of[order].prev;
	wanted = place;
	if (place) {
		*place = magazine;
	} else if (iova_try_lock(&iovad->rcache.lock)) {
		wanted = depot_wants_empty(depot);
		if (wanted && magazine)
			magazine_push(&depot->empty, &depot->nr_empty, magazine);
		spin_unlock(&iovad->rcache.lock);
	}
	spin_unlock(&cache->lock);
	return wanted;
}

void iova_rcache_prepare(struct iova_domain *iovad, unsigned int order, gfp_t gfp)
{
	struct iova_cache *cache = make_cache(iovad, gfp);
	struct iova_magazine *magazine;

	if (!cache || !place_magazine(iovad, cache, order, NULL))
		return;
	magazine = alloc_counted(iovad, sizeof(*magazine), gfp);
	if (!magazine)
		return;
	magazine->order = order;
	if (!place_magazine(iovad, cache, order, magazine))
		free_counted(iovad, magazine, sizeof(*magazine));
}

/* ---- giving back ---- */

static void move_list(struct iova_magazine **to, struct iova_magazine *from)
{
	while (from) {
		struct iova_magazine *next = from->next;

		from->next = *to;
		*to = from;
		from = next;
	}
}

static void move_one(struct iova_magazine **to, struct iova_magazine **from)
{
	if (*from) {
		(*from)->next = *to;
		*to = *from;
		*from = NULL;
	}
}

/* Take all magazines of the caches and the depot whose lock is free. */
static struct iova_magazine *take_all(struct iova_domain *iovad)
{
	struct iova_rcache *rcache = &iovad->rcache;
	struct iova_magazine *all = NULL;

	for (unsigned int i = 0; i < IOVA_CACHES; i++) {
		struct iova_cache *cache =
			atomic_load_explicit(&rcache->cache[i], memory_order_acquire);

		if (!cache || !iova_try_lock(&cache->lock))
			continue;
		for (unsigned int order = 0; order < IOVA_CACHED_ORDERS; order++) {
			move_one(&all, &cache->of[order].loaded);
			move_one(&all, &cache->of[order].prev);
		}
		spin_unlock(&cache->lock);
	}
	if (!iova_try_lock(&rcache->lock))
		return all;
	for (unsigned int order = 0; order < IOVA_CACHED_ORDERS; order++) {
		move_list(&all, rcache->depot[order].full);
		move_list(&all, rcache->depot[order].empty);
		rcache->depot[order] = (struct iova_depot){0};
	}
	spin_unlock(&rcache->lock);
	return all;
}

uint64_t iova_rcache_flush(struct iova_domain *iovad)
{
	struct iova_magazine *magazine = take_all(iovad), *next;
	uint64_t granules = 0;

	for (; magazine; magazine = next) {
		next = magazine->next;
		for (unsigned int i = 0; i < magazine->count; i++)
			free_iova(iovad, magazine->pfn[i], BIT_ULL(magazine->order));
		granules += (uint64_t)magazine->count << magazine->order;
		free_counted(iovad, magazine, sizeof(*magazine));
	}
	return granules;
}

static uint64_t granules_of(const struct iova_magazine *magazine)
{
	return magazine ? (uint64_t)magazine->count << magazine->order : 0;
}

uint64_t iova_rcache_count(struct iova_domain *iovad)
{
	struct iova_rcache *rcache = &iovad->rcache;
	uint64_t granules = 0;

	for (unsigned int i = 0; i < IOVA_CACHES; i++) {
		struct iova_cache *cache =
			atomic_load_explicit(&rcache->cache[i], memory_order_acquire);

		if (!cache || !iova_try_lock(&cache->lock))
			continue;
		for (unsigned int order = 0; order < IOVA_CACHED_ORDERS; order++)
			granules += granules_of(cache->of[order].loaded) +
				    granules_of(cache->of[order].prev);
		spin_unlock(&cache->lock);
	}
	if (!iova_try_lock(&rcache->lock))
		return granules;
	for (unsigned int order = 0; order < IOVA_CACHED_ORDERS; order++)
		for (struct iova_magazine *m = rcache->depot[order].full; m; m = m->next)
			granules += granules_of(m);
	spin_unlock(&rcache->lock);
	return granules;
}

void iova_rcache_drop(struct iova_domain *iovad)
{
	struct iova_magazine *magazine = take_all(iovad), *next;

	for (; magazine; magazine = next) {
		next = magazine->next;
		kfree(magazine);
	}
	for (unsigned int i = 0; i < IOVA_CACHES; i++)
		kfree(atomic_load_explicit(&iovad->rcache.cache[i], memory_order_relaxed));
}
