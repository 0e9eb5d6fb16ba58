/* SPDX-License-Identifier: MIT */
/*
 * Object caches: objects of one size and alignment from slabs of pages, charged
 * by the byte.
 */
#ifndef MM_SLAB_H
#define MM_SLAB_H

#include <stddef.h>

#include <uiommu/gfp.h>

struct mem_cgroup;
struct kmem_cache;

/*
 * A cache of objects of @size bytes (1 to 16384), each at a multiple of @align
 * (a power of two up to 16384, or 0 for 8). Returns NULL when out of memory.
 */
struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align);

/* Every object must have been freed. */
void kmem_cache_destroy(struct kmem_cache *cache);

/*
 * An object, zeroed with __GFP_ZERO, charged by its size to @memcg as "slab"; a
 * NULL @memcg with __GFP_ACCOUNT means the thread's active one. NULL on
 * failure.
 */
void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp, struct mem_cgroup *memcg);

/* Frees and uncharges; a NULL object is ignored. Never blocks. */
void kmem_cache_free(struct kmem_cache *cache, void *object);

/*
 * Memory of any size up to 64 KiB, charged likewise; by its size class, or in
 * whole pages above 8 KiB.
 */
void *kmalloc(size_t size, gfp_t gfp, struct mem_cgroup *memcg);
void kfree(void *object);

static inline void *kzalloc(size_t size, gfp_t gfp, struct mem_cgroup *memcg)
{
	return kmalloc(size, gfp | __GFP_ZERO, memcg);
}

#endif
