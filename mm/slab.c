/* SPDX-License-Identifier: MIT */
/*
 * Object caches.
 *
 * A slab is one block of pages cut into objects of one cache, from its beginning on.
 * Its descriptor is at the end of the block. For objects of BIG bytes and more the
 * descriptor is allocated separately, so that objects of a power of two fill the block.
 * page->slab of every page of the block points to the descriptor. In caches of tables,
 * a struct page for each object follows the descriptor.
 *
 * The state word of an object is its owner while it is allocated (a memory cgroup or
 * NULL), and a tagged link while it is free. Freeing begins with a compare-and-exchange
 * of that word, so that only one of two frees of an object succeeds.
 *
 * cache->lock protects the lists of slabs and of free objects. It is never held for
 * long, but its holder can be preempted. A caller that must not wait then does without
 * the lock: an allocation takes a new slab and puts what remains of it on
 * cache->arrived; a free puts the object on cache->freed. Both are stacks that the next
 * holder of the lock takes whole.
 */
#include "mm/slab.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mm/fail.h"
#include "mm/gfp.h"
#include "mm/memcg.h"
#include "mm/page.h"
#include "mm/thread.h"
#include "mm/warn.h"
#include "plat/spinlock.h"
#include "plat/string.h"

#define MIN_ALIGN 8u
#define MAX_SIZE  16384u
#define BIG       1024u

/* How often a caller that must not wait tries the lock. */
#define TRIES 64

/* The state word of a free object is odd: the address of the next free object, or 0, tagged. */
#define FREE_TAG ((uintptr_t)1)

struct slab {
	struct kmem_cache *cache;
	struct page *page;
	uintptr_t free; /* first free object, or 0; under cache->lock */
	struct slab *next, *prev;
	atomic_uintptr_t state[]; /* one per object */
};

struct kmem_cache {
	struct spinlock lock;
	struct slab *partial; /* under lock: slabs with allocated and with free objects */
	struct slab *spare;   /* under lock: a slab with no allocated object, or NULL */
	const char *name;
	uint32_t size;   /* charged for an object */
	uint32_t stride; /* from one object to the next */
	uint16_t count;  /* objects in a slab */
	uint8_t order;   /* of a slab's block */
	bool tables;     /* objects have a struct page each, after the states */

	__aligned_cache atomic_uintptr_t freed; /* objects, linked by their state words */
	_Atomic(struct slab *) arrived;         /* slabs, linked by ->next */
	atomic_uint slabs;
};

#define DESCRIPTOR(count)       (sizeof(struct slab) + (count) * sizeof(atomic_uintptr_t))
#define TABLE_DESCRIPTOR(count) (DESCRIPTOR(count) + (count) * sizeof(struct page))

#define SMALL_COUNT(bytes) \
	((PAGE_SIZE - sizeof(struct slab)) / ((bytes) + sizeof(atomic_uintptr_t)))

/* Size classes of kmalloc(): a page of small objects, at least a page of big ones. */
#define CLASS_SMALL(bytes)                                                 \
	{                                                                  \
		.name = "kmalloc-" #bytes, .size = bytes, .stride = bytes, \
		.count = SMALL_COUNT(bytes)                                \
	}
#define CLASS_BIG(bytes, block_order)                                                 \
	{                                                                             \
		.name = "kmalloc-" #bytes, .size = bytes, .stride = bytes,            \
		.count = (PAGE_SIZE << (block_order)) / (bytes), .order = block_order \
	}

#define CLASS_MIN_LG2 5
#define CLASS_MAX_LG2 16

static struct kmem_cache classes[] = {
	CLASS_SMALL(32),    CLASS_SMALL(64),     CLASS_SMALL(128),    CLASS_SMALL(256),
	CLASS_SMALL(512),   CLASS_BIG(1024, 0),  CLASS_BIG(2048, 0),  CLASS_BIG(4096, 0),
	CLASS_BIG(8192, 1), CLASS_BIG(16384, 2), CLASS_BIG(32768, 3), CLASS_BIG(65536, 4),
};
_Static_assert(ARRAY_SIZE(classes) == CLASS_MAX_LG2 - CLASS_MIN_LG2 + 1, "classes");

static char *slab_base(const struct slab *slab)
{
	return page_address(slab->page);
}

/* Index of the object at an address; count or more when there is none. */
static size_t slab_index(const struct slab *slab, const void *object)
{
	size_t offset = (size_t)((const char *)object - slab_base(slab));
	size_t index = offset / slab->cache->stride;

	return index * slab->cache->stride == offset ? index : SIZE_MAX;
}

static struct slab *slab_of(const void *object)
{
	if ((size_t)((const char *)object - arena.base) >= arena.size)
		return NULL;
	return virt_to_page(object)->slab;
}

static bool slab_is_outside(const struct kmem_cache *cache)
{
	return cache->stride >= BIG;
}

static void slab_set_pages(const struct kmem_cache *cache, struct page *page, struct slab *slab)
{
	for (size_t i = 0; i < (size_t)1 << cache->order; i++)
		page_at(page_index(page) + i)->slab = slab;
}

static struct slab *slab_descriptor(const struct kmem_cache *cache, struct page *page, gfp_t gfp)
{
	if (cache->tables)
		return kmalloc(TABLE_DESCRIPTOR(cache->count), gfp, NULL);
	if (slab_is_outside(cache))
		return kmalloc(DESCRIPTOR(cache->count), gfp, NULL);
	return (struct slab *)((char *)page_address(page) + (PAGE_SIZE << cache->order) -
			       DESCRIPTOR(cache->count));
}

/* A new slab with every object free, on no list. */
static struct slab *slab_create(struct kmem_cache *cache, gfp_t gfp)
{
	struct page *page;
	struct slab *slab;

	gfp = gfp_metadata(gfp);
	page = alloc_pages(gfp, cache->order, NULL, PAGE_SLAB);
	if (!page)
		return NULL;
	slab = slab_descriptor(cache, page, gfp);
	if (!slab) {
		free_pages(page);
		return NULL;
	}
	slab->cache = cache;
	slab->page = page;
	slab->next = slab->prev = NULL;
	slab->free = 0;
	for (size_t i = cache->count; i--;) {
		atomic_init(&slab->state[i], slab->free | FREE_TAG);
		slab->free = (uintptr_t)slab_base(slab) + i * cache->stride;
	}
	page->inuse = 0;
	slab_set_pages(cache, page, slab);
	atomic_fetch_add_explicit(&cache->slabs, 1, memory_order_relaxed);
	return slab;
}

static void slab_destroy(struct slab *slab)
{
	struct kmem_cache *cache = slab->cache;
	struct page *page = slab->page;

	slab_set_pages(cache, page, NULL);
	if (slab_is_outside(cache))
		kfree(slab);
	free_pages(page);
	atomic_fetch_sub_explicit(&cache->slabs, 1, memory_order_relaxed);
}

/* Destroy slabs that are linked by ->next. */
static void slab_destroy_list(struct slab *slab)
{
	struct slab *next;

	for (; slab; slab = next) {
		next = slab->next;
		slab_destroy(slab);
	}
}

/* Allocate one of a slab's free objects. */
static void *slab_take(struct slab *slab, struct mem_cgroup *memcg)
{
	uintptr_t object = slab->free;
	atomic_uintptr_t *state = &slab->state[slab_index(slab, (void *)object)];

	slab->free = atomic_load_explicit(state, memory_order_relaxed) & ~FREE_TAG;
	atomic_store_explicit(state, (uintptr_t)memcg, memory_order_relaxed);
	slab->page->inuse++;
	return (void *)object;
}

static void partial_add(struct slab *slab)
{
	struct kmem_cache *cache = slab->cache;

	slab->prev = NULL;
	slab->next = cache->partial;
	if (slab->next)
		slab->next->prev = slab;
	cache->partial = slab;
}

static void partial_del(struct slab *slab)
{
	if (slab->prev)
		slab->prev->next = slab->next;
	else
		slab->cache->partial = slab->next;
	if (slab->next)
		slab->next->prev = slab->prev;
}

/*
 * Return a freed object to its slab, under the lock. A slab that becomes empty is kept
 * as the spare one, or put on *@empty for the caller to destroy.
 */
static void slab_put(struct slab *slab, uintptr_t object, struct slab **empty)
{
	struct kmem_cache *cache = slab->cache;
	bool was_full = !slab->free;

	atomic_store_explicit(&slab->state[slab_index(slab, (void *)object)], slab->free | FREE_TAG,
			      memory_order_relaxed);
	slab->free = object;
	if (--slab->page->inuse) {
		if (was_full)
			partial_add(slab);
		return;
	}
	if (!was_full)
		partial_del(slab);
	if (!cache->spare) {
		cache->spare = slab;
	} else {
		slab->next = *empty;
		*empty = slab;
	}
}

/*
 * Take over what was put aside while the lock was held by another thread. An object can
 * be freed only after its slab is on ->arrived, so the objects are collected first.
 */
static void cache_settle(struct kmem_cache *cache, struct slab **empty)
{
	uintptr_t freed = atomic_load_explicit(&cache->freed, memory_order_relaxed);
	struct slab *slab, *next;

	if (unlikely(freed))
		freed = atomic_exchange_explicit(&cache->freed, 0, memory_order_acquire);
	slab = atomic_load_explicit(&cache->arrived, memory_order_relaxed);
	if (unlikely(slab != NULL))
		slab = atomic_exchange_explicit(&cache->arrived, NULL, memory_order_acquire);
	for (; slab; slab = next) {
		next = slab->next;
		if (slab->free)
			partial_add(slab);
	}
	while (freed) {
		uintptr_t object = freed;

		slab = slab_of((void *)object);
		freed = atomic_load_explicit(&slab->state[slab_index(slab, (void *)object)],
					     memory_order_relaxed) &
			~FREE_TAG;
		slab_put(slab, object, empty);
	}
}

/*
 * Lock a cache and settle it. A caller that must not wait gives up after TRIES tries.
 * Slabs to be destroyed after unlocking are put on *@empty.
 */
static bool cache_lock(struct kmem_cache *cache, bool may_wait, struct slab **empty)
{
	for (unsigned int tries = 0; !spin_trylock(&cache->lock); tries++) {
		if (tries >= TRIES) {
			if (!may_wait)
				return false;
			spin_lock(&cache->lock);
			break;
		}
		cpu_relax();
	}
	cache_settle(cache, empty);
	return true;
}

/*
 * Unlock a cache. What was put aside just now is taken over here, so that it does not
 * wait for the next call. What is put aside at the same moment may be missed.
 */
static void cache_unlock(struct kmem_cache *cache, struct slab **empty)
{
	for (;;) {
		spin_unlock(&cache->lock);
		if (likely(!atomic_load_explicit(&cache->freed, memory_order_relaxed) &&
			   !atomic_load_explicit(&cache->arrived, memory_order_relaxed)))
			break;
		if (!spin_trylock(&cache->lock))
			break;
		cache_settle(cache, empty);
	}
	slab_destroy_list(*empty);
}

/* Put a new slab that has one allocated object on the lists. */
static void cache_add(struct kmem_cache *cache, struct slab *slab, bool may_wait)
{
	struct slab *empty = NULL;

	if (cache_lock(cache, may_wait, &empty)) {
		if (slab->free)
			partial_add(slab);
		cache_unlock(cache, &empty);
		return;
	}
	slab->next = atomic_load_explicit(&cache->arrived, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&cache->arrived, &slab->next, slab,
						      memory_order_release, memory_order_relaxed))
		;
}

/* Allocate an object of a slab that is on the lists, under the lock; or return NULL. */
static void *cache_take(struct kmem_cache *cache, struct mem_cgroup *memcg)
{
	struct slab *slab = cache->partial;
	void *object;

	if (!slab) {
		slab = cache->spare;
		if (!slab)
			return NULL;
		cache->spare = NULL;
		partial_add(slab);
	}
	object = slab_take(slab, memcg);
	if (!slab->free)
		partial_del(slab);
	return object;
}

static void *object_alloc(struct kmem_cache *cache, gfp_t gfp, struct mem_cgroup *memcg)
{
	bool may_wait = gfpflags_allow_blocking(gfp);
	struct slab *empty = NULL, *slab;
	void *object = NULL;

	if (cache_lock(cache, may_wait, &empty)) {
		object = cache_take(cache, memcg);
		cache_unlock(cache, &empty);
	}
	if (object)
		return object;
	slab = slab_create(cache, gfp);
	if (!slab)
		return NULL;
	object = slab_take(slab, memcg);
	cache_add(cache, slab, may_wait);
	return object;
}

void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp, struct mem_cgroup *memcg)
{
	struct mm_thread *self = mm_thread_self();
	void *object;

	if (mm_should_fail(self))
		return NULL;
	if (!memcg && (gfp & __GFP_ACCOUNT))
		memcg = self->active;
	if (memcg && mem_cgroup_charge(memcg, cache->size, MEMCG_SLAB, gfp))
		return NULL;
	object = object_alloc(cache, gfp, memcg);
	if (!object) {
		if (memcg)
			mem_cgroup_uncharge(memcg, cache->size, MEMCG_SLAB);
		return NULL;
	}
	if (gfp & __GFP_ZERO)
		memset(object, 0, cache->size);
	return object;
}

static void object_free(struct slab *slab, void *object, atomic_uintptr_t *state)
{
	struct kmem_cache *cache = slab->cache;
	struct slab *empty = NULL;
	uintptr_t first;

	if (cache_lock(cache, false, &empty)) {
		slab_put(slab, (uintptr_t)object, &empty);
		cache_unlock(cache, &empty);
		return;
	}
	first = atomic_load_explicit(&cache->freed, memory_order_relaxed);
	do
		atomic_store_explicit(state, first | FREE_TAG, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&cache->freed, &first, (uintptr_t)object,
						      memory_order_release, memory_order_relaxed));
}

/* Free an object of @cache, or of any cache if @cache is NULL. */
static void checked_free(struct kmem_cache *cache, void *object)
{
	static atomic_uint said_foreign, said_twice;
	struct slab *slab = slab_of(object);
	atomic_uintptr_t *state;
	uintptr_t owner;
	size_t index;

	if (slab && !cache)
		cache = slab->cache;
	index = slab && slab->cache == cache ? slab_index(slab, object) : SIZE_MAX;
	if (index == SIZE_MAX || index >= cache->count) {
		mm_warn_once(&said_foreign, "freed what is not an object of",
			     cache ? cache->name : "any cache", (uintptr_t)object);
		return;
	}
	state = &slab->state[index];
	owner = atomic_load_explicit(state, memory_order_relaxed);
	while (!(owner & FREE_TAG) &&
	       !atomic_compare_exchange_weak_explicit(state, &owner, FREE_TAG, memory_order_acq_rel,
						      memory_order_relaxed))
		;
	if (owner & FREE_TAG) {
		mm_warn_once(&said_twice, "freed twice, an object of", cache->name,
			     (uintptr_t)object);
		return;
	}
	if (owner)
		mem_cgroup_uncharge((struct mem_cgroup *)owner, cache->size, MEMCG_SLAB);
	object_free(slab, object, state);
}

void kmem_cache_free(struct kmem_cache *cache, void *object)
{
	if (object)
		checked_free(cache, object);
}

void kfree(void *object)
{
	if (object)
		checked_free(NULL, object);
}

void *kmalloc(size_t size, gfp_t gfp, struct mem_cgroup *memcg)
{
	unsigned int lg2 = size > 1 ? fls64_index(size - 1) + 1 : 0;

	if (lg2 > CLASS_MAX_LG2)
		return NULL;
	return kmem_cache_alloc(&classes[MAX(lg2, CLASS_MIN_LG2) - CLASS_MIN_LG2], gfp, memcg);
}

/* ---- tables ---- */

static struct kmem_cache small_tables = {.name = "table-2048",
					 .size = 2048,
					 .stride = 2048,
					 .count = PAGE_SIZE / 2048,
					 .tables = true};
static struct kmem_cache big_tables = {.name = "table-16384",
				       .size = 16384,
				       .stride = 16384,
				       .count = 1,
				       .order = 2,
				       .tables = true};

static struct page *slab_table_pages(const struct slab *slab)
{
	return (struct page *)&slab->state[slab->cache->count];
}

struct page *table_object_page(const void *table)
{
	const struct slab *slab = virt_to_page(table)->slab;

	return slab_table_pages(slab) + slab_index(slab, table);
}

void *table_object_address(const struct page *page)
{
	const struct slab *slab = page->slab;

	return slab_base(slab) + (size_t)(page - slab_table_pages(slab)) * slab->cache->stride;
}

struct page *alloc_table_object(unsigned int size_lg2, gfp_t gfp, struct mem_cgroup *memcg)
{
	struct kmem_cache *cache =
		BIT_ULL(size_lg2) == small_tables.size ? &small_tables : &big_tables;
	struct page *page;
	void *table;

	if (!memcg && (gfp & __GFP_ACCOUNT))
		memcg = mm_thread_self()->active;
	if (memcg && mem_cgroup_charge(memcg, cache->size, MEMCG_SLAB, gfp))
		return NULL;
	/* Charged through its struct page, as pages are. */
	table = kmem_cache_alloc(cache, gfp & ~(__GFP_ACCOUNT | __GFP_ZERO), NULL);
	if (!table) {
		if (memcg)
			mem_cgroup_uncharge(memcg, cache->size, MEMCG_SLAB);
		return NULL;
	}
	page = table_object_page(table);
	*page = (struct page){
		.use = PAGE_OBJECT, .memcg = memcg, .slab = virt_to_page(table)->slab};
	page->order = size_lg2 & 0xf;
	return page;
}

void free_table_object(struct page *page)
{
	checked_free(page->slab->cache, table_object_address(page));
}

/*
 * Choose the smallest block that objects and descriptor leave at most an eighth of
 * unused, or else the largest block.
 */
static void cache_layout(struct kmem_cache *cache)
{
	size_t fixed = slab_is_outside(cache) ? 0 : sizeof(struct slab);
	size_t each = cache->stride + (slab_is_outside(cache) ? 0 : sizeof(atomic_uintptr_t));

	for (unsigned int order = 0; order <= MAX_ORDER; order++) {
		size_t room = (PAGE_SIZE << order) - fixed;

		cache->order = (uint8_t)order;
		cache->count = (uint16_t)(room / each);
		if (cache->count && (room % each) * 8 <= PAGE_SIZE << order)
			break;
	}
}

struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align, gfp_t gfp)
{
	struct kmem_cache *cache;

	if (!size || size > MAX_SIZE || align > MAX_SIZE || (align & (align - 1)))
		return NULL;
	align = MAX(align, MIN_ALIGN);
	cache = kzalloc(sizeof(*cache), gfp_metadata(gfp), NULL);
	if (!cache)
		return NULL;
	cache->name = name;
	cache->size = (uint32_t)size;
	cache->stride = (uint32_t)((size + align - 1) & ~(align - 1));
	cache_layout(cache);
	return cache;
}

void kmem_cache_destroy(struct kmem_cache *cache)
{
	static atomic_uint said;
	struct slab *empty = NULL;

	if (!cache)
		return;
	cache_lock(cache, true, &empty);
	if (cache->spare) {
		cache->spare->next = empty;
		empty = cache->spare;
		cache->spare = NULL;
	}
	cache_unlock(cache, &empty);
	if (atomic_load_explicit(&cache->slabs, memory_order_relaxed)) {
		mm_warn_once(&said, "destroyed with objects in use, cache", cache->name,
			     (uintptr_t)cache);
		return;
	}
	kfree(cache);
}
