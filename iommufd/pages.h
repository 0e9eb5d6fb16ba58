/* SPDX-License-Identifier: MIT */
/*
 * User memory that areas map: what the files about pages offer each other. All
 * of it belongs to ctx->lock, unless said otherwise.
 */
#ifndef IOMMUFD_PAGES_H
#define IOMMUFD_PAGES_H

#include <stdatomic.h>

#include "iommufd/iommufd.h"
#include "iommufd/itree.h"
#include "iommufd/user.h"

#define IOPT_PAGE_SHIFT 12
#define IOPT_PAGE_SIZE  (UINT64_C(1) << IOPT_PAGE_SHIFT)
#define IOPT_PAGE_MASK  (IOPT_PAGE_SIZE - 1)
#define IOPT_HUGE_SIZE  (UINT64_C(2) << 20)

/*
 * Pages [0, npages) of user memory, shared by an area and its copies. The trees
 * hold page indices: a page is pinned while a node in one of them covers it.
 */
struct iopt_pages {
	struct itree_node node; /* by address, among those of all processes */
	struct iommufd_ctx *ctx;
	uint64_t npages;
	uint64_t npinned;          /* pages that a node covers, as accounted */
	struct itree areas;        /* areas that fill domains */
	struct itree accesses;     /* of struct iopt_pages_access */
	unsigned int refs;         /* areas that point here */
	struct iommufd_mm *source; /* of the process that mapped it, with a reference */
	union {
		struct {                                 /* neither file nor device */
			struct iommufd_backing *backing; /* its file, once it was pinned, or NULL */
			uint64_t backing_offset;
		};
		struct { /* file: which, and where in it */
			dev_t dev;
			ino_t ino;
			uint64_t file_start;
		};
		struct { /* device: whose it is, at offset node.start, with a reference */
			struct iommufd_dmabuf *dmabuf;
			struct list_head dmabuf_link; /* in dmabuf->pages */
		};
	};
	uint32_t file_offset; /* bytes of our own mapping before the first page */
	uint8_t account_mode; /* enum iommufd_account_mode */
	bool writable;
	bool file;          /* of a file, which this process maps itself */
	bool file_readonly; /* because it may not be written by mappings; pins do not care */
	bool unpinnable;    /* a file of the wrong kind, or too short: it is not mapped */
	bool looked;        /* for a backing */
	bool told;          /* that the process has given it back */
	bool charged;       /* of a file: to another process, which takes it over now */
	bool device;        /* of a dma-buf */
	bool revoked;       /* of a dma-buf: it is in no table, and does not return */
};

static inline uint64_t iopt_pages_uaddr(const struct iopt_pages *pages)
{
	return pages->node.start;
}

/* Where its addresses are valid. */
static inline struct iommufd_mm *iopt_pages_mm(const struct iopt_pages *pages)
{
	return pages->file ? iommufd_mm_own() : pages->source;
}

/* Pins of the same pages by accesses. */
struct iopt_pages_access {
	struct itree_node node;
	unsigned int users;
};

/* A range of iova. */
struct iopt_area {
	struct itree_node node;       /* in iopt->areas, by iova */
	struct itree_node pages_node; /* in pages->areas while domains are filled */
	struct io_pagetable *iopt;
	struct iopt_pages *pages; /* with a reference */
	uint64_t start_byte;      /* where in pages it begins */
	unsigned int num_accesses;
	uint16_t num_locks; /* accesses that do not let go */
	uint8_t prot;
	bool prevent_access; /* being unmapped: no new pins */
};

static inline struct iopt_area *iopt_area_of(struct itree_node *node)
{
	return node ? container_of(node, struct iopt_area, node) : NULL;
}

/* The area that covers @iova, or NULL. */
static inline struct iopt_area *iopt_area_at(const struct io_pagetable *iopt, uint64_t iova)
{
	return iopt_area_of(itree_first(&iopt->areas, iova, iova));
}

/* Where in area->pages an iova lies. */
static inline uint64_t iopt_area_byte(const struct iopt_area *area, uint64_t iova)
{
	return area->start_byte + (iova - area->node.start);
}

/* ---- pages.c ---- */

/* A zeroed object of @size from the cache in @slot, which is made with the first one. */
void *iopt_cache_alloc(_Atomic(struct kmem_cache *) *slot, const char *name, size_t size,
		       struct iommufd_ctx *ctx);

/* -EINVAL for a length of 0 or a huge one, -EOVERFLOW, -ENOMEM. */
struct iopt_pages *iopt_pages_alloc(struct iommufd_ctx *ctx, uint64_t uaddr, uint64_t length,
				    bool writable);
void iopt_pages_put(struct iopt_pages *pages);

/* [uaddr, + npages), with one reference; not to be found until it is published. */
struct iopt_pages *iopt_pages_new(struct iommufd_ctx *ctx, uint64_t uaddr, uint64_t npages,
				  bool writable);
void iopt_pages_publish(struct iopt_pages *pages);

/*
 * Put @node, which covers page indices, into @tree of @pages: what it adds is
 * faulted in and accounted. -EFAULT, -ENOMEM; -EINVAL of a file.
 */
int iopt_pages_pin(struct iopt_pages *pages, struct itree *tree, struct itree_node *node);
void iopt_pages_unpin(struct iopt_pages *pages, struct itree *tree, struct itree_node *node);

/* Put two in the place of one in pages->areas, which together cover the same. */
void iopt_pages_split(struct iopt_pages *pages, struct itree_node *old, struct itree_node *left,
		      struct itree_node *right);

/* Pins by accesses; equal ranges are counted. Fails as iopt_pages_pin() does. */
int iopt_pages_add_access(struct iopt_pages *pages, uint64_t first, uint64_t last);
/* False when there is no such. */
bool iopt_pages_remove_access(struct iopt_pages *pages, uint64_t first, uint64_t last);

/* Copy between @data and the memory; -EFAULT, -EPERM; -EINVAL of a file. */
int iopt_pages_rw(struct iopt_pages *pages, uint64_t start_byte, void *data, uint64_t length,
		  bool write);

/* Tell the host of memory that is gone; @all: however much there is to look at. */
void iopt_area_check(struct iopt_area *area, bool all);

/* ---- backing.c ---- */

struct iommufd_backing;

/* The file that all of [start, end) is shared memory of, and where in it; or NULL. */
struct iommufd_backing *iommufd_backing_get(const struct iommufd_mm *mm, uint64_t start,
					    uint64_t end, uint64_t *offset);
void iommufd_backing_put(struct iommufd_backing *backing);
/* Copy, whether the process still is there or not. 0 or -EFAULT. */
int iommufd_backing_rw(struct iommufd_backing *backing, uint64_t offset, void *data, size_t length,
		       bool write);

/* Call @each for all pages, pinned or not, that are the caller's memory at @uaddr. */
void iopt_pages_find(uint64_t uaddr,
		     void (*each)(void *arg, const struct iopt_pages *pages, uint64_t index),
		     void *arg);

/* ---- file_pages.c ---- */

/* As iopt_pages_alloc(), and -EBADF for a bad @fd. What cannot be pinned fails when it is. */
struct iopt_pages *iopt_pages_alloc_file(struct iommufd_ctx *ctx, int fd, uint64_t start,
					 uint64_t length, bool writable);
void iopt_pages_unmap_file(struct iopt_pages *pages);

/* ---- populate.c ---- */

/* Fault memory in for reading or writing, as a pin does. 0 or -EFAULT. */
int iommufd_populate(struct iommufd_ctx *ctx, struct iommufd_mm *mm, uint64_t uaddr,
		     uint64_t npages, bool write);

/*
 * The same of pages that are known to be memory. @unshare: give private pages that
 * are only to be read their own frames, where they can be written.
 */
int iommufd_fault_in(struct iommufd_mm *mm, uint64_t uaddr, uint64_t npages, bool write,
		     bool unshare);

/* ---- dmabuf.c ---- */

/* Memory of a device. All of it belongs to ctx->lock while there is a context. */
struct iommufd_dmabuf {
	struct iommufd_ctx *ctx; /* that it was exported in, NULL when that is gone */
	struct list_head link;   /* in ctx->dmabufs */
	uint64_t paddr, length;
	bool revoked;
	unsigned int refs;      /* its file, who exported it, and pages */
	struct list_head pages; /* of iopt_pages */
	void (*release)(void *context);
	void *release_context;
};

/* NULL when @fd is no dma-buf of ours. ERR_PTR: -EINVAL, -ENODEV, -ENOMEM. */
struct iopt_pages *iopt_pages_alloc_dmabuf(struct iommufd_ctx *ctx, int fd, uint64_t start,
					   uint64_t length, bool writable);
void iopt_pages_put_dmabuf(struct iopt_pages *pages);
/* Of the first page. */
uint64_t iopt_pages_dmabuf_paddr(const struct iopt_pages *pages);

/* ---- phys.c ---- */

/*
 * Call @each for every run of contiguous physical addresses in pages of user
 * memory, in order, until it fails.
 */
int iommufd_phys_runs(struct iommufd_ctx *ctx, struct iommufd_mm *mm, uint64_t uaddr,
		      uint64_t npages, int (*each)(void *arg, uint64_t paddr, uint64_t npages),
		      void *arg);
/* Frame numbers are real ones: memory must not change its frame while pinned. */
bool iommufd_phys_is_real(const struct iommufd_ctx *ctx);

/* ---- pagemap.c: what /proc says about memory; all of it is thread-safe ---- */

#define PAGEMAP_PRESENT   (UINT64_C(1) << 63)
#define PAGEMAP_FILE      (UINT64_C(1) << 61)
#define PAGEMAP_EXCLUSIVE (UINT64_C(1) << 56)
#define PAGEMAP_SWAPPED   (UINT64_C(1) << 62)
#define PAGEMAP_PFN(e)    ((e) & ((UINT64_C(1) << 55) - 1))

#define PAGE_SCAN_PRESENT (1u << 3)
#define PAGE_SCAN_SWAPPED (1u << 4)
#define PAGE_SCAN_HUGE    (1u << 6)

/* getpid(), nearly for free, and right after any kind of fork. */
pid_t iommufd_getpid(void);

/* Its pagemap, which may be kept open by the library. A negative errno. */
int iommufd_pagemap_get(const struct iommufd_mm *mm);
void iommufd_pagemap_put(const struct iommufd_mm *mm, int fd);
/* Entries of pages; false when they cannot be read. */
bool iommufd_pagemap_read(int fd, uint64_t uaddr, uint64_t *entries, unsigned int nr);
/*
 * The first range in [start, end) with @category set, or clear if @without.
 * 1 when there is one, 0 when there is none, a negative errno where the system
 * cannot tell.
 */
int iommufd_pagemap_scan(int fd, uint64_t start, uint64_t end, unsigned int category, bool without,
			 uint64_t *found_start, uint64_t *found_end);

struct user_vma {
	uint64_t start, end;
	uint64_t offset; /* of a file */
	dev_t dev;
	ino_t ino;
	bool read, write, shared, file;
};
/*
 * The mapping at @uaddr. 0; -ENOENT for none, with the start of the next one, or
 * UINT64_MAX; -ESRCH when the process is gone; -ENOTTY if unknown.
 */
int iommufd_vma_at(const struct iommufd_mm *mm, uint64_t uaddr, struct user_vma *vma);

/* ---- smaps.c ---- */

/* The first huge pages in [start, end), where nothing else tells. */
bool iommufd_smaps_huge(const struct iommufd_mm *mm, uint64_t start, uint64_t end,
			uint64_t *found_start, uint64_t *found_end);

/* ---- account.c ---- */

/* How pages that are mapped now are accounted. */
uint8_t iopt_account_mode(struct iommufd_ctx *ctx);
/* -ENOMEM beyond the limit. */
int iopt_account(struct iopt_pages *pages, uint64_t npages);
void iopt_unaccount(struct iopt_pages *pages, uint64_t npages);
/* The same of pages that count, or are to count, as those of @mm. */
int iopt_account_to(struct iommufd_ctx *ctx, struct iommufd_mm *mm, uint8_t mode, uint64_t npages);
void iopt_unaccount_from(struct iommufd_mm *mm, uint8_t mode, uint64_t npages);

/* ---- access.c ---- */

#define IOPT_PIN_LOCK (1u << 31) /* unmapping it is -EBUSY */

/*
 * Pin [iova, last], which is whole pages of user memory, all or nothing; @pages, which
 * may be NULL, becomes the user address of each. As iommufd_access_pin_pages().
 */
int iopt_pin_range(struct io_pagetable *iopt, uint64_t iova, uint64_t last, void **pages,
		   unsigned int flags);
void iopt_unpin_range(struct io_pagetable *iopt, uint64_t iova, uint64_t last, unsigned int flags);

/* ---- area.c ---- */

/* Of bytes [start_byte, + length) of @pages, whose reference it takes; NULL. */
struct iopt_area *iopt_area_alloc(struct io_pagetable *iopt, struct iopt_pages *pages,
				  uint64_t start_byte, uint64_t length);
/* Also gives the reference back. */
void iopt_area_free(struct iopt_area *area);
void iopt_area_insert(struct iopt_area *area);
void iopt_area_remove(struct iopt_area *area);
/* Make its pages pinned or not for the sake of domains. Fails as iopt_pages_pin() does. */
int iopt_area_pin(struct iopt_area *area);
void iopt_area_unpin(struct iopt_area *area);
/* Map it in one domain, all or nothing, and undo that. */
int iopt_area_fill(struct iopt_area *area, struct iommu_domain *domain);
void iopt_area_unfill(struct iopt_area *area, struct iommu_domain *domain);
/* Pin, and map in all domains; nothing to do if there are none. */
int iopt_area_fill_domains(struct iopt_area *area);
void iopt_area_unfill_domains(struct iopt_area *area);

/* ---- map.c ---- */

int iopt_check_iova(struct io_pagetable *iopt, uint64_t iova, uint64_t length);
/* The lowest iova with room; -ENOSPC, -EINVAL, -EOVERFLOW. */
int iopt_alloc_iova(struct io_pagetable *iopt, uint64_t *iova, uint64_t uaddr, uint64_t length);

/* ---- iopt.c ---- */

/* What domain is filled: in iopt->domains. */
struct iopt_domain {
	struct list_head link;
	struct iommu_domain *domain;
	uint64_t pgsize; /* its smallest page */
};

int iopt_add_access(struct io_pagetable *iopt, struct iommufd_access *access);
/* After something changed what alignment is needed: -EADDRINUSE over an area. */
int iopt_calculate_iova_alignment(struct io_pagetable *iopt);

#endif
