/* SPDX-License-Identifier: MIT */
/*
 * Pages: blocks of 2^order times 4096 bytes from one arena, each with a struct page.
 * They are charged when they are allocated, and uncharged when they are freed.
 */
#ifndef MM_PAGE_H
#define MM_PAGE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <uiommu/gfp.h>

#include "plat/compiler.h"

#define PAGE_SHIFT 12
#define PAGE_SIZE  ((size_t)1 << PAGE_SHIFT)
#define MAX_ORDER  6

struct mem_cgroup;
struct slab;

/* The uses of pages, which uiommu_mm_stat() counts. */
enum page_use {
	PAGE_FREE,
	PAGE_TABLE,  /* an I/O page table: charged as sec_pagetables */
	PAGE_SLAB,   /* its objects are charged, not the page */
	PAGE_OTHER,  /* anything else */
	PAGE_OBJECT, /* a table that is an object (mm/slab.h): charged as slab */
	PAGE_BOUNCE, /* used by a device in place of the caller's memory */
	PAGE_NR_USES,
};

/*
 * There is one for each page of the arena, and one for each table that is an object. In
 * a block of several pages only the first one's fields are used, except ->slab, which
 * is set in all pages of a slab.
 */
struct page {
	union {
		atomic_int live;    /* a table: items in use, or PT_DEAD */
		unsigned int inuse; /* PAGE_SLAB: objects handed out */
		unsigned int count; /* free, and first of a batch: pages in the batch */
	};
	uint8_t use : 4;   /* enum page_use */
	uint8_t order : 4; /* log2 of its pages; PAGE_OBJECT: of its bytes */
	uint8_t level;     /* of a table */
	uint8_t zeroed;    /* the page is free, or about to be freed, and all its bytes are 0 */
	uint8_t listed;    /* in the buddy list of order listed - 1; only buddy.c uses this */
	struct page *next; /* in a free list, a gather or a slab list */
	union {
		struct mem_cgroup *memcg; /* in use: the cgroup that it is charged to, or NULL */
		struct page *prev;        /* in a buddy list */
		struct page *next_batch;  /* first of a batch in the depot */
	};
	union {
		struct slab *slab;     /* PAGE_SLAB, PAGE_OBJECT */
		uint64_t bounce_paddr; /* PAGE_BOUNCE: the address that it replaces */
	};
	/*
	 * Pad to a cache line: threads that use neighbouring tables do not share one
	 * for live.
	 */
	uint64_t apart[4];
};

/* A struct page in the arena has two lines, since processors prefetch a line's neighbour. */
struct arena_page {
	struct page page;
	char apart[sizeof(struct page)];
};

/*
 * Per-thread cache of single pages. It has more than one batch, so that a thread whose
 * use varies around the size of one batch does not go to the depot each time.
 */
struct page_cache {
	struct page *first; /* pages to allocate from and to free to */
	unsigned int count;
	struct page *spare; /* whole batches, linked by ->next_batch */
	unsigned int nr_spares;
	struct page
		*deferred; /* blocks whose lock was held by another thread when they were freed */
	atomic_long used[PAGE_NR_USES]; /* pages allocated less pages freed */
};

/* Where the arena is; set once by page_init(). */
extern struct page_arena {
	char *base;
	struct arena_page *pages;
	uint64_t phys_offset; /* paddr = address + phys_offset */
	uint64_t pfn;         /* of the first page: paddr / PAGE_SIZE */
	size_t size;
} arena __hidden;

/* A page of the arena by its number, from 0, and the number of a page. */
static inline struct page *page_at(size_t index)
{
	return &arena.pages[index].page;
}

static inline size_t page_index(const struct page *page)
{
	return (size_t)((const struct arena_page *)page - arena.pages);
}

static inline void *page_address(const struct page *page)
{
	return arena.base + (page_index(page) << PAGE_SHIFT);
}

static inline struct page *virt_to_page(const void *address)
{
	return page_at((size_t)((const char *)address - arena.base) >> PAGE_SHIFT);
}

static inline uint64_t virt_to_phys(const void *address)
{
	return (uint64_t)(uintptr_t)address + arena.phys_offset;
}

static inline void *phys_to_virt(uint64_t paddr)
{
	return (void *)(uintptr_t)(paddr - arena.phys_offset);
}

/* The page at a physical address; NULL for an address outside the arena. */
struct page *phys_to_page(uint64_t paddr);

/*
 * Allocate 2^order pages, aligned to their size, and charge them to @memcg (or to no
 * cgroup for NULL). The contents are 0 with __GFP_ZERO, else undefined. Returns NULL
 * when memory or the budget is exhausted. GFP_ATOMIC and GFP_NOWAIT never wait and
 * never enter the kernel.
 */
struct page *alloc_pages(gfp_t gfp, unsigned int order, struct mem_cgroup *memcg,
			 enum page_use use);

/*
 * From now on allocate pages that were never used in ascending order, without gaps:
 * this is slower, but keeps what is allocated together. Call it before there is a
 * second thread.
 */
void page_alloc_in_order(void);

/* Free and uncharge one block. Set ->zeroed before if every byte of it is 0. */
void free_pages(struct page *page);

int page_init(uint64_t arena_bytes, unsigned int atomic_reserve, uint64_t phys_base);
struct mm_thread;
void page_thread_exit(struct mm_thread *self);

#endif
