/* SPDX-License-Identifier: MIT */
/*
 * Sets of addresses.
 *
 * A set is changed under its lock. The nodes that a change takes are counted under the
 * lock, allocated without it, and then the change is tried again. A caller that must
 * not wait for the lock tries a number of times. Then an allocation fails, and a free
 * marks its range in the tree (iova_tree_mark()), where the next holder of the lock
 * finds and frees it.
 *
 * A thread that marks a range (a marker) walks nodes that may be taken out of the tree
 * meanwhile if the range is wrong. So a node that is taken out stays in ->emptied until
 * the lock is released while there is no marker: a marker that comes later cannot find
 * it.
 */
#include "dma/iova.h"

#include "mm/gfp.h"
#include "mm/memcg.h"
#include "mm/slab.h"
#include "mm/warn.h"

/* Created with the first set. There is one of each for the process, as there is one arena. */
static _Atomic(struct kmem_cache *) leaf_cache, node_cache, domain_cache;

static struct kmem_cache *get_cache(_Atomic(struct kmem_cache *) *slot, const char *name,
				    size_t size, size_t align, gfp_t gfp)
{
	struct kmem_cache *cache = atomic_load_explicit(slot, memory_order_acquire);
	struct kmem_cache *first = NULL;

	if (cache)
		return cache;
	cache = kmem_cache_create(name, size, align, gfp);
	if (!cache || atomic_compare_exchange_strong(slot, &first, cache))
		return cache;
	kmem_cache_destroy(cache); /* another thread was first */
	return first;
}

static bool get_caches(gfp_t gfp)
{
	return get_cache(&leaf_cache, "iova_leaf", sizeof(struct iova_leaf), 0, gfp) &&
	       get_cache(&node_cache, "iova_node", sizeof(struct iova_node), 0, gfp) &&
	       get_cache(&domain_cache, "iova_domain", sizeof(struct iova_domain),
			 _Alignof(struct iova_domain), gfp);
}

/* ---- the lock ---- */

static struct iova_domain *of_tree(struct iova_tree *used)
{
	return container_of(used, struct iova_domain, used);
}

static bool in_bounds(const struct iova_domain *iovad, uint64_t pfn, uint64_t size)
{
	return size && pfn >= iovad->start && pfn <= iovad->end && size - 1 <= iovad->end - pfn;
}

static __cold void warn_bad_free(uint64_t pfn)
{
	static atomic_uint said;

	mm_warn_once(&said, "freed what is not in use, from IOVA page frame", NULL, pfn);
}

static void add_in_use(struct iova_domain *iovad, uint64_t granules)
{
	atomic_store_explicit(&iovad->in_use,
			      atomic_load_explicit(&iovad->in_use, memory_order_relaxed) + granules,
			      memory_order_relaxed);
}

/* Called under the lock. */
static void clear(struct iova_tree *used, uint64_t lo, uint64_t hi)
{
	struct iova_domain *iovad = of_tree(used);

	if (iova_tree_has_any(&iovad->reserved, lo, hi) || !iova_tree_clear(used, lo, hi))
		warn_bad_free(lo);
	else
		add_in_use(iovad, lo - hi - 1);
}

static bool iova_lock(struct iova_domain *iovad, bool may_wait)
{
	if (!iova_try_lock(&iovad->lock)) {
		if (!may_wait)
			return false;
		spin_lock(&iovad->lock);
	}
	if (unlikely(iova_tree_is_marked(&iovad->used)))
		iova_tree_settle(&iovad->used, clear);
	return true;
}

static void free_nodes(struct iova_head *head)
{
	struct iova_head *next;

	for (; head; head = next) {
		next = head->next;
		kfree(head);
	}
}

/* The nodes that were taken out of the tree, if there is no marker that may be in them. */
static struct iova_head *take_emptied(struct iova_domain *iovad)
{
	struct iova_head *emptied = iovad->used.emptied;

	/* A read-modify-write, so that the read is ordered after the nodes were taken out. */
	if (likely(!emptied) || atomic_fetch_add(&iovad->markers, 0))
		return NULL;
	iovad->used.emptied = NULL;
	return emptied;
}

static void count_bytes(struct iova_domain *iovad)
{
	uint64_t leaves = iovad->used.leaves + iovad->reserved.leaves;
	uint64_t nodes = iovad->used.nodes + iovad->reserved.nodes;

	atomic_store_explicit(&iovad->bytes,
			      leaves * sizeof(struct iova_leaf) + nodes * sizeof(struct iova_node),
			      memory_order_relaxed);
}

static void iova_unlock(struct iova_domain *iovad)
{
	for (;;) {
		struct iova_head *emptied = take_emptied(iovad);

		count_bytes(iovad);
		spin_unlock(&iovad->lock);
		free_nodes(emptied);
		/* Ranges that were marked just now do not wait for the next call. */
		if (likely(!iova_tree_is_marked(&iovad->used)) || !spin_trylock(&iovad->lock))
			return;
		iova_tree_settle(&iovad->used, clear);
	}
}

/* ---- nodes in store ---- */

static bool pool_has(const struct iova_pool *pool, const struct iova_pool *need)
{
	return pool->leaves >= need->leaves && pool->nodes >= need->nodes;
}

static bool pool_add(struct iova_domain *iovad, struct iova_head **list, struct kmem_cache *cache,
		     gfp_t gfp)
{
	struct iova_head *head = kmem_cache_alloc(cache, gfp_metadata(gfp), iovad->owner);

	if (!head)
		return false;
	head->next = *list;
	*list = head;
	return true;
}

static bool pool_fill(struct iova_domain *iovad, struct iova_pool *pool,
		      const struct iova_pool *need, gfp_t gfp)
{
	for (; pool->leaves < need->leaves; pool->leaves++)
		if (!pool_add(iovad, &pool->leaf, leaf_cache, gfp))
			return false;
	for (; pool->nodes < need->nodes; pool->nodes++)
		if (!pool_add(iovad, &pool->node, node_cache, gfp))
			return false;
	return true;
}

static void pool_free(struct iova_pool *pool)
{
	free_nodes(pool->leaf);
	free_nodes(pool->node);
}

/* ---- ranges ---- */

/* Under the lock: take a range if the pool has the nodes for it, or count the nodes. */
static uint64_t take(struct iova_domain *iovad, uint64_t size, uint64_t limit, bool aligned,
		     struct iova_pool *pool, struct iova_pool *need)
{
	uint64_t pfn = iova_tree_place(&iovad->used, size, limit, aligned);

	if (pfn == IOVA_NONE)
		return 0;
	if (unlikely(!iova_tree_set_in_leaf(&iovad->used, pfn, pfn + size - 1))) {
		iova_tree_missing(&iovad->used, pfn, pfn + size - 1, need);
		if (!pool_has(pool, need))
			return 0;
		iova_tree_set(&iovad->used, pfn, pfn + size - 1, pool);
	}
	add_in_use(iovad, size);
	return pfn;
}

/* The pool grows with each round, and no change takes more nodes than two paths have. */
static uint64_t alloc_range(struct iova_domain *iovad, uint64_t size, uint64_t limit, bool aligned,
			    gfp_t gfp)
{
	struct iova_pool pool = {0};
	uint64_t pfn = 0;

	limit = MIN(limit, iovad->end);
	if (!size || limit < iovad->start || size - 1 > limit - iovad->start)
		return 0;
	while (iova_lock(iovad, gfpflags_allow_blocking(gfp))) {
		struct iova_pool need = {0};

		pfn = take(iovad, size, limit, aligned, &pool, &need);
		iova_unlock(iovad);
		if (pfn || pool_has(&pool, &need) || !pool_fill(iovad, &pool, &need, gfp))
			break;
	}
	pool_free(&pool);
	return pfn;
}

uint64_t alloc_iova(struct iova_domain *iovad, uint64_t size, uint64_t limit_pfn, bool size_aligned,
		    gfp_t gfp)
{
	might_sleep_if(mm_thread_self(), gfpflags_allow_blocking(gfp));
	return alloc_range(iovad, size, limit_pfn, size_aligned, gfp);
}

void free_iova(struct iova_domain *iovad, uint64_t pfn, uint64_t size)
{
	bool right;

	if (!in_bounds(iovad, pfn, size)) {
		warn_bad_free(pfn);
		return;
	}
	if (likely(iova_lock(iovad, false))) {
		clear(&iovad->used, pfn, pfn + size - 1);
		iova_unlock(iovad);
		return;
	}
	atomic_fetch_add(&iovad->markers, 1);
	right = iova_tree_mark(&iovad->used, pfn, pfn + size - 1);
	atomic_fetch_sub(&iovad->markers, 1);
	if (!right)
		warn_bad_free(pfn);
	/* The lock may have been released before its holder could see the marks. */
	if (iova_try_lock(&iovad->lock)) {
		iova_tree_settle(&iovad->used, clear);
		iova_unlock(iovad);
	}
}

uint64_t alloc_iova_fast(struct iova_domain *iovad, uint64_t size, uint64_t limit_pfn,
			 bool flush_rcache, gfp_t gfp)
{
	bool cached = size - 1 < 1u << (IOVA_CACHED_ORDERS - 1);
	uint64_t pfn;

	might_sleep_if(mm_thread_self(), gfpflags_allow_blocking(gfp));
	if (cached) {
		unsigned int order = size > 1 ? fls64_index(size - 1) + 1 : 0;

		pfn = iova_rcache_get(iovad, order, limit_pfn);
		if (likely(pfn))
			return pfn;
		iova_rcache_prepare(iovad, order, gfp);
		size = BIT_ULL(order);
	}
	pfn = alloc_range(iovad, size, limit_pfn, true, gfp);
	if (unlikely(!pfn) && flush_rcache && iova_rcache_flush(iovad))
		pfn = alloc_range(iovad, size, limit_pfn, true, gfp);
	return pfn;
}

void free_iova_fast(struct iova_domain *iovad, uint64_t pfn, uint64_t size)
{
	if (size - 1 < 1u << (IOVA_CACHED_ORDERS - 1)) {
		unsigned int order = size > 1 ? fls64_index(size - 1) + 1 : 0;

		size = BIT_ULL(order);
		if (likely(in_bounds(iovad, pfn, size) && !(pfn & (size - 1)) &&
			   iova_rcache_put(iovad, order, pfn)))
			return;
	}
	free_iova(iovad, pfn, size);
}

/* Under the lock: is nothing of a range in use, except reserved addresses? */
static bool is_reservable(const struct iova_domain *iovad, uint64_t lo, uint64_t hi)
{
	uint64_t at = lo;

	while (at <= hi) {
		uint64_t used = iova_tree_next(&iovad->used, at, true);

		if (used > hi)
			return true;
		at = iova_tree_next(&iovad->reserved, used, false);
		if (at == used)
			return false;
	}
	return true;
}

/* Returns -EAGAIN when it needs more nodes than the pools have. */
static int try_reserve(struct iova_domain *iovad, uint64_t lo, uint64_t hi,
		       struct iova_pool pool[2], struct iova_pool need[2])
{
	if (!is_reservable(iovad, lo, hi))
		return -EBUSY;
	iova_tree_missing(&iovad->used, lo, hi, &need[0]);
	iova_tree_missing(&iovad->reserved, lo, hi, &need[1]);
	if (!pool_has(&pool[0], &need[0]) || !pool_has(&pool[1], &need[1]))
		return -EAGAIN;
	iova_tree_set(&iovad->used, lo, hi, &pool[0]);
	iova_tree_set(&iovad->reserved, lo, hi, &pool[1]);
	return 0;
}

static int reserve(struct iova_domain *iovad, uint64_t lo, uint64_t hi, gfp_t gfp)
{
	struct iova_pool pool[2] = {0};
	int ret;

	do {
		struct iova_pool need[2] = {0};

		ret = -ENOMEM;
		if (!iova_lock(iovad, gfpflags_allow_blocking(gfp)))
			break;
		ret = try_reserve(iovad, lo, hi, pool, need);
		iova_unlock(iovad);
		if (ret == -EAGAIN && (!pool_fill(iovad, &pool[0], &need[0], gfp) ||
				       !pool_fill(iovad, &pool[1], &need[1], gfp)))
			ret = -ENOMEM;
	} while (ret == -EAGAIN);
	pool_free(&pool[0]);
	pool_free(&pool[1]);
	return ret;
}

int reserve_iova(struct iova_domain *iovad, uint64_t pfn_lo, uint64_t pfn_hi, gfp_t gfp)
{
	int ret;

	might_sleep_if(mm_thread_self(), gfpflags_allow_blocking(gfp));
	if (pfn_hi < pfn_lo)
		return -EINVAL;
	/* The rest is never allocated anyway. */
	pfn_lo = MAX(pfn_lo, iovad->start);
	pfn_hi = MIN(pfn_hi, iovad->end);
	if (pfn_hi < pfn_lo)
		return 0;
	ret = reserve(iovad, pfn_lo, pfn_hi, gfp);
	if (ret == -EBUSY && iova_rcache_flush(iovad))
		ret = reserve(iovad, pfn_lo, pfn_hi, gfp);
	return ret;
}

/* ---- sets ---- */

static unsigned long count_cached(struct shrinker *shrinker)
{
	return iova_rcache_count(container_of(shrinker, struct iova_domain, shrinker));
}

static unsigned long free_cached(struct shrinker *shrinker, unsigned long nr)
{
	return iova_rcache_flush(container_of(shrinker, struct iova_domain, shrinker));
}

static int reserve_outside(struct iova_domain *iovad, gfp_t gfp)
{
	int ret = reserve(iovad, 0, iovad->start - 1, gfp);

	if (!ret && iovad->end < iova_tree_span(&iovad->used) - 1)
		ret = reserve(iovad, iovad->end + 1, iova_tree_span(&iovad->used) - 1, gfp);
	return ret;
}

static void domain_delete(struct iova_domain *iovad)
{
	struct mem_cgroup *owner = iovad->owner;

	iova_tree_drop(&iovad->used);
	iova_tree_drop(&iovad->reserved);
	free_nodes(iovad->used.emptied);
	free_nodes(iovad->reserved.emptied);
	kfree(iovad);
	mem_cgroup_put(owner);
}

struct iova_domain *iova_domain_alloc(uint64_t granule, uint64_t start_pfn, uint64_t end_pfn,
				      gfp_t gfp)
{
	struct mem_cgroup *owner;
	struct iova_domain *iovad;

	might_sleep_if(mm_thread_self(), gfpflags_allow_blocking(gfp));
	if (gfp_refused(gfp) || granule < 1024 || (granule & (granule - 1)) || !start_pfn ||
	    end_pfn < start_pfn || end_pfn > ~0ULL / granule)
		return ERR_PTR(-EINVAL);
	if (!get_caches(gfp))
		return ERR_PTR(-ENOMEM);
	/* Not before the shrinkers have run, as they may change it. */
	owner = gfp & __GFP_ACCOUNT ? mem_cgroup_active() : NULL;
	iovad = kmem_cache_alloc(domain_cache, gfp | __GFP_ZERO, owner);
	if (!iovad)
		return ERR_PTR(-ENOMEM);
	iovad->granule = granule;
	iovad->start = start_pfn;
	iovad->end = end_pfn;
	iovad->owner = mem_cgroup_get(owner);
	iova_tree_init(&iovad->used, fls64_index(end_pfn) + 1);
	iova_tree_init(&iovad->reserved, fls64_index(end_pfn) + 1);
	if (reserve_outside(iovad, gfp)) {
		domain_delete(iovad);
		return ERR_PTR(-ENOMEM);
	}
	iovad->shrinker.count_objects = count_cached;
	iovad->shrinker.scan_objects = free_cached;
	register_shrinker(&iovad->shrinker);
	return iovad;
}

void iova_domain_free(struct iova_domain *iovad)
{
	if (!iovad)
		return;
	unregister_shrinker(&iovad->shrinker);
	iova_rcache_drop(iovad);
	domain_delete(iovad);
}

uint64_t iova_granule(const struct iova_domain *iovad)
{
	return iovad->granule;
}

void iova_domain_get_info(struct iova_domain *iovad, struct iova_domain_info *info)
{
	/* Complete the frees that were only marked. */
	if (iova_lock(iovad, false))
		iova_unlock(iovad);
	info->used = atomic_load_explicit(&iovad->in_use, memory_order_relaxed);
	info->cached = iova_rcache_count(iovad);
	info->bytes = sizeof(*iovad) + atomic_load_explicit(&iovad->bytes, memory_order_relaxed) +
		      atomic_load_explicit(&iovad->rcache.bytes, memory_order_relaxed);
}
