/* SPDX-License-Identifier: MIT */
/*
 * Pages: blocks of 2^order times 4096 bytes from one arena, each with a struct
 * page. Allocating charges, freeing uncharges.
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

/* What pages are used for; uiommu_mm_stat() counts each. */
enum page_use {
	PAGE_FREE,
	PAGE_TABLE,  /* an I/O page table: charged as sec_pagetables */
	PAGE_SLAB,   /* its objects are charged, not the page */
	PAGE_OTHER,  /* anything else */
	PAGE_OBJECT, /* a table that is an object (mm/slab.h): charged as slab */
	PAGE_BOUNCE, /* what a device uses in the place of memory of the caller's */
	PAGE_NR_USES,
};

/*
 * One per page of the arena, and one per table that is an object. For a block of
 * several pages the first one's counts, but for ->slab, which all pages of a slab
 * have.
 */
struct page {
	union {
		atomic_int live;    /* a table: items in use, or PT_DEAD */
		unsigned int inuse; /* PAGE_SLAB: objects handed out */
		unsigned int count; /* free, first of a batch: pages in it */
	};
	uint8_t use : 4;   /* enum page_use */
	uint8_t order : 4; /* log2 of its pages; PAGE_OBJECT: of its bytes */
	uint8_t level;     /* a table's */
	uint8_t zeroed;    /* free, or about to be: every byte is 0 */
	uint8_t listed;    /* in the buddy list of order listed - 1; buddy.c's alone */
	struct page *next; /* in a free list, a gather or a slab list */
	union {
		struct mem_cgroup *memcg; /* in use: charged to, or NULL */
		struct page *prev;        /* in a buddy list */
		struct page *next_batch;  /* first of a batch in the depot */
	};
	union {
		struct slab *slab;     /* PAGE_SLAB, PAGE_OBJECT */
		uint64_t bounce_paddr; /* PAGE_BOUNCE: in the place of what */
	};
	/* A cache line each: threads in neighbouring tables do not share one for live. */
	uint64_t apart[4];
};

/* One of the arena's has two lines: processors like to fetch a line's neighbour as well. */
struct arena_page {
	struct page page;
	char apart[sizeof(struct page)];
};

/*
 * Per-thread cache of single pages, in more than one batch, so that a thread which
 * goes to and fro over the edge of one does not go to the depot each time.
 */
struct page_cache {
	struct page *first; /* what is given out and taken back */
	unsigned int count;
	struct page *spare; /* whole batches, by ->next_batch */
	unsigned int nr_spares;
	struct page *deferred;          /* blocks whose lock was busy when they were freed */
	atomic_long used[PAGE_NR_USES]; /* pages taken less pages given back */
};

/* Where the arena is; set once by page_init(). */
extern struct page_arena {
	char *base;
	struct arena_page *pages;
	uint64_t phys_offset; /* paddr = address + phys_offset */
	uint64_t pfn;         /* of the first page: paddr / PAGE_SIZE */
	size_t size;
} arena __hidden;

/* A page of the arena by its number, from 0, and back. */
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

/* The page at a physical address; NULL where there is none of the arena. */
struct page *phys_to_page(uint64_t paddr);

/*
 * Allocate 2^order pages, aligned to their size, and charge them to @memcg (or
 * to nobody for NULL). Contents are 0 with __GFP_ZERO, else anything. Returns
 * NULL when memory or the budget is short. GFP_ATOMIC and GFP_NOWAIT never wait
 * and never enter the kernel.
 */
struct page *alloc_pages(gfp_t gfp, unsigned int order, struct mem_cgroup *memcg,
			 enum page_use use);

/*
 * From now on hand pages out that were never used in ascending order, without
 * gaps: dearer, but what is allocated lies together. Before any other thread.
 */
void page_alloc_in_order(void);

/* Free and uncharge one block. Set ->zeroed if every byte of it is 0. */
void free_pages(struct page *page);

int page_init(uint64_t arena_bytes, unsigned int atomic_reserve, uint64_t phys_base);
struct mm_thread;
void page_thread_exit(struct mm_thread *self);

#endif
