/* SPDX-License-Identifier: MIT */
/*
 * The page allocator.
 *
 * Single pages come from the calling thread's cache, which exchanges batches of BATCH
 * pages with the depot. Blocks come from the buddy lists. One spinlock, zone.lock,
 * protects the depot and the buddy lists. The arena grows by a chunk of 2 MiB, only for
 * an allocation that may block, and under the mutex zone.grow. A new chunk is backed by
 * memory at once, so that using it later never enters the kernel. GFP_ATOMIC and
 * GFP_NOWAIT only try zone.lock; GFP_ATOMIC may use the reserve, which has no lock.
 */
#include "mm/page_alloc.h"

#include <uiommu/mm.h>

#include "mm/buddy.h"
#include "mm/fail.h"
#include "mm/memcg.h"
#include "mm/rcu.h"
#include "mm/shrinker.h"
#include "mm/slab.h"
#include "mm/thread.h"
#include "plat/spinlock.h"
#include "plat/string.h"

#define BATCH         256u
#define REFILL        (BATCH / 4)
#define SPARES        4u /* that a thread keeps if there are other threads */
#define CHUNK         ((size_t)2 << 20)
#define CHUNK_PAGES   (CHUNK >> PAGE_SHIFT)
#define ARENA_MOST    ((size_t)256 << 30)
#define ARENA_LEAST   ((size_t)64 << 20)
#define RESERVE_MOST  4096
#define SHRINK_ROUNDS 5

struct page_arena arena;

static struct {
	struct spinlock lock;
	struct page *depot;      /* lock: batches, by ->next_batch */
	struct plat_mutex grow;  /* taken before lock */
	atomic_size_t committed; /* grow; bytes of the arena that are backed */
	size_t pages_committed;  /* grow; bytes of arena.pages that are backed */
	unsigned int refill;     /* the most pages that an empty cache takes from the buddy lists */
} zone = {.refill = REFILL};

void page_alloc_in_order(void)
{
	zone.refill = 1;
}

struct page *phys_to_page(uint64_t paddr)
{
	uint64_t at = paddr - virt_to_phys(arena.base);

	return at < atomic_load(&zone.committed) ? page_at(at >> PAGE_SHIFT) : NULL;
}

/* Pages for GFP_ATOMIC only. A slot is emptied and filled by one atomic exchange. */
static struct {
	_Atomic(struct page *) slot[RESERVE_MOST];
	unsigned int size;
	atomic_uint missing;
} reserve;

static struct page *reserve_take(void)
{
	for (unsigned int i = 0; i < reserve.size; i++) {
		struct page *page;

		if (!atomic_load_explicit(&reserve.slot[i], memory_order_relaxed))
			continue;
		page = atomic_exchange(&reserve.slot[i], NULL);
		if (page) {
			atomic_fetch_add(&reserve.missing, 1);
			return page;
		}
	}
	return NULL;
}

/* Returns false if the reserve is full. */
static bool reserve_put(struct page *page)
{
	for (unsigned int i = 0; i < reserve.size; i++) {
		struct page *empty = NULL;

		if (atomic_compare_exchange_strong(&reserve.slot[i], &empty, page)) {
			atomic_fetch_sub(&reserve.missing, 1);
			return true;
		}
	}
	return false;
}

static inline bool reserve_is_short(void)
{
	return unlikely(atomic_load_explicit(&reserve.missing, memory_order_relaxed) != 0);
}

static size_t pages_bytes(size_t arena_bytes)
{
	size_t bytes = (arena_bytes >> PAGE_SHIFT) * sizeof(struct arena_page);

	return (bytes + CHUNK - 1) & ~(CHUNK - 1);
}

/* Back the next chunk of the arena and its struct pages. The caller holds zone.grow. */
static int commit_chunk(size_t at)
{
	size_t pages_end = ((at + CHUNK) >> PAGE_SHIFT) * sizeof(struct arena_page);

	while (zone.pages_committed < pages_end) {
		if (plat_commit((char *)arena.pages + zone.pages_committed, CHUNK))
			return -ENOMEM;
		zone.pages_committed += CHUNK;
	}
	return plat_commit(arena.base + at, CHUNK);
}

static int grow(void)
{
	size_t at, first;
	int ret = -ENOMEM;

	plat_mutex_lock(&zone.grow);
	at = atomic_load_explicit(&zone.committed, memory_order_relaxed);
	if (at + CHUNK <= arena.size)
		ret = commit_chunk(at);
	if (!ret) {
		first = at >> PAGE_SHIFT;
		atomic_store(&zone.committed, at + CHUNK);
		spin_lock(&zone.lock);
		/* The lowest block is freed last, and therefore allocated first. */
		for (size_t i = CHUNK_PAGES; i; i -= (size_t)1 << MAX_ORDER) {
			struct page *block = page_at(first + i - ((size_t)1 << MAX_ORDER));

			block->zeroed = true;
			buddy_put(block, MAX_ORDER);
		}
		spin_unlock(&zone.lock);
	}
	plat_mutex_unlock(&zone.grow);
	return ret;
}

/* The arena was too small for the reserve: begin again. */
static void page_init_undo(void)
{
	for (unsigned int i = 0; i < reserve.size; i++)
		atomic_store(&reserve.slot[i], NULL);
	plat_unreserve(arena.pages, pages_bytes(arena.size));
	plat_unreserve(arena.base, arena.size);
	atomic_store(&zone.committed, 0);
	zone.pages_committed = 0;
}

int page_init(uint64_t arena_bytes, unsigned int atomic_reserve, uint64_t phys_base)
{
	size_t size = arena_bytes ? (size_t)arena_bytes : ARENA_MOST;

	for (;;) {
		arena.base = plat_reserve(size);
		arena.pages = arena.base ? plat_reserve(pages_bytes(size)) : NULL;
		if (arena.pages)
			break;
		if (arena.base)
			plat_unreserve(arena.base, size);
		if (arena_bytes || size <= ARENA_LEAST)
			return -ENOMEM;
		size /= 2;
	}
	arena.size = size;
	arena.phys_offset =
		phys_base == UIOMMU_PHYS_IS_VIRT ? 0 : phys_base - (uintptr_t)arena.base;
	arena.pfn = virt_to_phys(arena.base) >> PAGE_SHIFT;
	plat_mutex_init(&zone.grow);
	reserve.size = atomic_reserve;
	atomic_store(&reserve.missing, atomic_reserve);
	for (unsigned int i = 0; i < atomic_reserve; i++) {
		struct page *page = buddy_take(0);

		if (!page && !grow())
			page = buddy_take(0);
		if (!page) {
			page_init_undo();
			return -ENOMEM;
		}
		reserve_put(page);
	}
	return 0;
}

/* Lock the zone. A caller that must not block only tries. */
static bool zone_lock(gfp_t gfp)
{
	if (!gfpflags_allow_blocking(gfp))
		return spin_trylock(&zone.lock);
	spin_lock(&zone.lock);
	return true;
}

/* Fill an empty cache from the depot or, with fewer pages, the buddy lists. */
static bool cache_refill(struct page_cache *cache, gfp_t gfp)
{
	struct page *batch, **last = &cache->first;

	if (!zone_lock(gfp))
		return false;
	batch = zone.depot;
	if (batch) {
		zone.depot = batch->next_batch;
		cache->first = batch;
		cache->count = batch->count;
	}
	/* In ascending order, so that the processor's prefetcher helps. */
	for (unsigned int i = 0; !batch && i < zone.refill; i++) {
		struct page *page = buddy_take(0);

		if (!page)
			break;
		page->next = NULL;
		*last = page;
		last = &page->next;
		cache->count++;
	}
	spin_unlock(&zone.lock);
	return cache->count != 0;
}

/*
 * Pass a whole batch to the depot. If the lock is held by another thread, the batch
 * stays in the cache and grows. After a grace period many pages come back at once; they
 * are better kept, since pages that another thread has written to are slow to write to.
 */
static void cache_flush(struct page_cache *cache)
{
	if (cache->nr_spares < (mm_is_single_threaded() ? 1 : SPARES)) {
		cache->first->count = cache->count;
		cache->first->next_batch = cache->spare;
		cache->spare = cache->first;
		cache->nr_spares++;
	} else {
		if (!spin_trylock(&zone.lock))
			return;
		cache->first->count = cache->count;
		cache->first->next_batch = zone.depot;
		zone.depot = cache->first;
		spin_unlock(&zone.lock);
	}
	cache->first = NULL;
	cache->count = 0;
}

/* Take the spare batch, which an empty cache tries first. */
static bool cache_use_spare(struct page_cache *cache)
{
	if (!cache->spare)
		return false;
	cache->first = cache->spare;
	cache->count = cache->first->count;
	cache->spare = cache->first->next_batch;
	cache->nr_spares--;
	return true;
}

/*
 * At the end of the arena: let shrinkers free pages. Returns false if that cannot help,
 * or if what they freed waits for the read-side critical section that the thread is in.
 */
static bool reclaim(struct mm_thread *self, gfp_t gfp, unsigned int *rounds)
{
	if (rcu_has_deferred(self)) {
		self->failed_for_deferred = true;
		return false;
	}
	if (!*rounds || !shrink_all(gfp))
		return false;
	--*rounds;
	rcu_poll(self);
	return true;
}

static __noinline struct page *cache_take_slow(struct mm_thread *self, gfp_t gfp)
{
	struct page_cache *cache = &self->pages;
	unsigned int rounds = SHRINK_ROUNDS;
	struct page *page;

	if (cache_use_spare(cache)) {
		;
	} else if (gfpflags_allow_blocking(gfp)) {
		/* Pages that wait for a grace period cost more than free pages. */
		if (!cache_refill(cache, gfp))
			rcu_poll(self);
		/* rcu_poll() and the shrinkers may have freed a whole batch and a spare one. */
		while (!cache->count && !cache_use_spare(cache) && !cache_refill(cache, gfp)) {
			if (grow() && !reclaim(self, gfp, &rounds))
				return NULL;
		}
	} else if (!cache_refill(cache, gfp)) {
		return gfp & __GFP_HIGH ? reserve_take() : NULL;
	}
	page = cache->first;
	cache->first = page->next;
	cache->count--;
	return page;
}

static inline struct page *cache_take(struct mm_thread *self, gfp_t gfp)
{
	struct page *page = self->pages.first;

	if (unlikely(!page))
		return cache_take_slow(self, gfp);
	self->pages.first = page->next;
	self->pages.count--;
	return page;
}

static inline void cache_put(struct mm_thread *self, struct page *page)
{
	struct page_cache *cache = &self->pages;

	page->next = cache->first;
	cache->first = page;
	if (unlikely(++cache->count >= BATCH))
		cache_flush(cache);
}

/* Return a list of single pages to the buddy lists. The caller holds zone.lock. */
static void buddy_put_list(struct page *page)
{
	struct page *next;

	for (; page; page = next) {
		next = page->next;
		buddy_put(page, 0);
	}
}

/*
 * Let the pages of one batch, of the depot or the thread's own, join their buddies.
 * Returns false if there is no batch.
 */
static bool depot_break(struct mm_thread *self)
{
	struct page_cache *cache = &self->pages;
	struct page *batch;

	spin_lock(&zone.lock);
	batch = zone.depot;
	if (batch) {
		zone.depot = batch->next_batch;
	} else if (cache->nr_spares > 1) {
		batch = cache->spare;
		cache->spare = batch->next_batch;
		cache->nr_spares--;
	}
	buddy_put_list(batch);
	spin_unlock(&zone.lock);
	return batch != NULL;
}

static __noinline struct page *block_take(struct mm_thread *self, unsigned int order, gfp_t gfp)
{
	unsigned int rounds = SHRINK_ROUNDS;
	struct page *page = NULL;

	if (order > MAX_ORDER)
		return NULL;
	for (;;) {
		if (zone_lock(gfp)) {
			page = buddy_take(order);
			spin_unlock(&zone.lock);
		}
		if (page || !gfpflags_allow_blocking(gfp))
			return page;
		if (!depot_break(self) && grow() && !reclaim(self, gfp, &rounds))
			return NULL;
	}
}

/* Free a block under the lock. While another thread holds the lock, it waits in the cache. */
static __noinline void block_put(struct mm_thread *self, struct page *page)
{
	struct page_cache *cache = &self->pages;

	page->next = cache->deferred;
	cache->deferred = page;
	if (!spin_trylock(&zone.lock))
		return;
	while (cache->deferred) {
		page = cache->deferred;
		cache->deferred = page->next;
		page->use = PAGE_FREE;
		buddy_put(page, page->order);
	}
	spin_unlock(&zone.lock);
}

static inline void count_use(struct mm_thread *self, enum page_use use, long pages)
{
	atomic_long *used = &self->pages.used[use];

	/* Only this thread writes it. */
	atomic_store_explicit(used, atomic_load_explicit(used, memory_order_relaxed) + pages,
			      memory_order_relaxed);
}

static const enum memcg_stat stat_of[PAGE_NR_USES] = {
	[PAGE_TABLE] = MEMCG_SEC_PAGETABLES, [PAGE_SLAB] = MEMCG_SLAB,
	[PAGE_OTHER] = MEMCG_OTHER,          [PAGE_OBJECT] = MEMCG_SLAB,
	[PAGE_BOUNCE] = MEMCG_OTHER,
};

enum memcg_stat page_stat(const struct page *page)
{
	return stat_of[page->use];
}

struct page *alloc_pages(gfp_t gfp, unsigned int order, struct mem_cgroup *memcg, enum page_use use)
{
	struct mm_thread *self = mm_thread_self();
	size_t bytes = PAGE_SIZE << order;
	struct page *page;

	if (mm_should_fail(self))
		return NULL;
	if (!memcg && (gfp & __GFP_ACCOUNT))
		memcg = self->active;
	if (memcg && unlikely(mem_cgroup_charge(memcg, bytes, stat_of[use], gfp)))
		return NULL;
	page = likely(!order) ? cache_take(self, gfp) : block_take(self, order, gfp);
	if (unlikely(!page)) {
		if (memcg)
			mem_cgroup_uncharge(memcg, bytes, stat_of[use]);
		return NULL;
	}
	page->use = use & 0xf;
	page->order = order & 0xf;
	page->next = NULL;
	page->memcg = memcg;
	if ((gfp & __GFP_ZERO) && !page->zeroed)
		memset(page_address(page), 0, bytes);
	page->zeroed = false;
	count_use(self, use, 1L << order);
	return page;
}

static size_t page_bytes(const struct page *page)
{
	return (page->use == PAGE_OBJECT ? 1 : PAGE_SIZE) << page->order;
}

void page_uncharge_list(struct page *first)
{
	struct mem_cgroup *memcg = NULL;
	enum memcg_stat stat = MEMCG_OTHER;
	size_t bytes = 0;

	/* Nearly all lists are of one use and one owner. */
	for (struct page *page = first; page; page = page->next) {
		if (bytes && (page->memcg != memcg || page_stat(page) != stat)) {
			mem_cgroup_uncharge(memcg, bytes, stat);
			bytes = 0;
		}
		memcg = page->memcg;
		stat = page_stat(page);
		if (memcg)
			bytes += page_bytes(page);
	}
	if (bytes)
		mem_cgroup_uncharge(memcg, bytes, stat);
}

static __noinline void page_release(struct mm_thread *self, struct page *page)
{
	if (page->use == PAGE_OBJECT) {
		free_table_object(page);
		return;
	}
	count_use(self, page->use, -(1L << page->order));
	if (page->order) {
		block_put(self, page);
		return;
	}
	page->use = PAGE_FREE;
	if (!reserve_is_short() || !reserve_put(page))
		cache_put(self, page);
}

/* Take the one-page tables that a list begins with, except one that would fill the cache. */
static struct page *release_tables(struct mm_thread *self, struct page *page)
{
	struct page *first = self->pages.first, *next;
	unsigned int before = self->pages.count, count = before;

	for (; page && page->use == PAGE_TABLE && !page->order && count < BATCH - 1; page = next) {
		next = page->next;
		page->use = PAGE_FREE;
		page->next = first;
		first = page;
		count++;
	}
	self->pages.first = first;
	self->pages.count = count;
	count_use(self, PAGE_TABLE, (long)before - (long)count);
	return page;
}

/* Nearly all pages are tables. */
void page_release_list(struct page *page)
{
	struct mm_thread *self = mm_thread_self();
	struct page *next;

	for (; page; page = next) {
		if (likely(!reserve_is_short()))
			page = release_tables(self, page);
		if (!page)
			break;
		next = page->next;
		page_release(self, page);
	}
}

void free_pages(struct page *page)
{
	page->next = NULL;
	page_uncharge_list(page);
	page_release_list(page);
}

void page_thread_exit(struct mm_thread *self)
{
	struct page_cache *cache = &self->pages;
	struct page *next;

	spin_lock(&zone.lock);
	do
		buddy_put_list(cache->first);
	while (cache_use_spare(cache));
	for (struct page *page = cache->deferred; page; page = next) {
		next = page->next;
		page->use = PAGE_FREE;
		buddy_put(page, page->order);
	}
	spin_unlock(&zone.lock);
	cache->first = cache->deferred = NULL;
	cache->count = 0;
}

void uiommu_mm_stat(struct uiommu_mm_stat *stat)
{
	long used[PAGE_NR_USES] = {0};
	struct mm_thread *self = mm_thread_self();
	long reserved;

	if (!self->atomic_depth)
		rcu_poll(self);
	for (struct mm_thread *t = mm_thread_list(); t; t = t->next)
		for (unsigned int use = PAGE_TABLE; use < PAGE_NR_USES; use++)
			used[use] +=
				atomic_load_explicit(&t->pages.used[use], memory_order_relaxed);
	reserved = (long)(reserve.size - atomic_load(&reserve.missing));
	stat->arena = atomic_load(&zone.committed);
	stat->tables = (uint64_t)used[PAGE_TABLE] << PAGE_SHIFT;
	stat->slab = (uint64_t)used[PAGE_SLAB] << PAGE_SHIFT;
	stat->other = (uint64_t)(used[PAGE_OTHER] + used[PAGE_BOUNCE]) << PAGE_SHIFT;
	stat->reserve = (uint64_t)reserved << PAGE_SHIFT;
	stat->free = stat->arena - stat->tables - stat->slab - stat->other - stat->reserve;
}
