/* SPDX-License-Identifier: MIT */
/*
 * Object caches: objects of one size and alignment from slabs of pages, charged
 * by the byte.
 */
#ifndef MM_SLAB_H
#define MM_SLAB_H

#include <stddef.h>
#include <stdint.h>

#include <uiommu/gfp.h>

struct mem_cgroup;
struct kmem_cache;
struct page;

/*
 * Create a cache of objects of @size bytes (1 to 16384), each at a multiple of @align
 * (a power of two up to 16384, or 0 for 8). Returns NULL when out of memory.
 */
struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align, gfp_t gfp);

/* Every object must have been freed. */
void kmem_cache_destroy(struct kmem_cache *cache);

/*
 * Allocate an object, zeroed with __GFP_ZERO, and charge its size to @memcg as "slab".
 * A NULL @memcg with __GFP_ACCOUNT means the thread's active one. Returns NULL on
 * failure.
 */
void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp, struct mem_cgroup *memcg);

/* Free and uncharge an object; NULL is ignored. Never blocks. */
void kmem_cache_free(struct kmem_cache *cache, void *object);

/*
 * Allocate memory of any size up to 64 KiB. The charge is that of its size class, or of
 * whole pages above 8 KiB.
 */
void *kmalloc(size_t size, gfp_t gfp, struct mem_cgroup *memcg);
void kfree(void *object);

static inline void *kzalloc(size_t size, gfp_t gfp, struct mem_cgroup *memcg)
{
	return kmalloc(size, gfp | __GFP_ZERO, memcg);
}

/*
 * Allocate an I/O page table that is not a whole page, of 2^11 or 2^14 bytes and
 * aligned to its size. It has a struct page, which is used and freed like that of a
 * page. The contents are undefined. Charged to @memcg as "slab". Returns NULL on
 * failure.
 */
struct page *alloc_table_object(unsigned int size_lg2, gfp_t gfp, struct mem_cgroup *memcg);
struct page *table_object_page(const void *table);
void *table_object_address(const struct page *page);

/* For mm/page_alloc.c: free one that was uncharged. */
void free_table_object(struct page *page);

#endif
