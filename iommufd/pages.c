// SPDX-License-Identifier: MIT
/*
 * Ranges of user memory. Which of their pages are pinned follows from who holds
 * them: the areas that fill domains and the accesses, kept as intervals, so that
 * what is remembered grows with their number and not with memory.
 */
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "iommufd/pages.h"
#include "plat/compiler.h"
#include "plat/spinlock.h"

/* All there are in the process, by address; what they hold is their contexts'. */
static struct spinlock all_lock;
static struct itree all_pages;

static _Atomic(struct kmem_cache *) pages_cache;

static struct kmem_cache *get_cache(_Atomic(struct kmem_cache *) *slot, const char *name,
				    size_t size)
{
	struct kmem_cache *cache = atomic_load_explicit(slot, memory_order_acquire);
	struct kmem_cache *first = NULL;

	if (cache)
		return cache;
	cache = kmem_cache_create(name, size, 0, GFP_KERNEL);
	if (!cache || atomic_compare_exchange_strong(slot, &first, cache))
		return cache;
	kmem_cache_destroy(cache); /* another thread was first */
	return first;
}

void *iopt_cache_alloc(_Atomic(struct kmem_cache *) *slot, const char *name, size_t size,
		       struct iommufd_ctx *ctx)
{
	struct kmem_cache *cache = get_cache(slot, name, size);

	if (!cache)
		return NULL;
	return kmem_cache_alloc(cache, GFP_KERNEL_ACCOUNT | __GFP_ZERO, ctx->owner);
}

static struct iopt_pages *pages_of(struct itree_node *node)
{
	return node ? container_of(node, struct iopt_pages, node) : NULL;
}

struct iopt_pages *iopt_pages_new(struct iommufd_ctx *ctx, uint64_t uaddr, uint64_t npages,
				  bool writable)
{
	struct iommufd_mm *source = iommufd_caller_mm();
	struct iopt_pages *pages;

	if (IS_ERR(source))
		return (void *)source;
	pages = iopt_cache_alloc(&pages_cache, "iopt_pages", sizeof(*pages), ctx);
	if (!pages) {
		iommufd_mm_put(source);
		return ERR_PTR(-ENOMEM);
	}
	pages->ctx = ctx;
	pages->node.start = uaddr;
	pages->node.last = uaddr + npages * IOPT_PAGE_SIZE - 1;
	if (pages->node.last < uaddr)
		pages->node.last = UINT64_MAX;
	pages->npages = npages;
	pages->refs = 1;
	pages->source = source;
	pages->writable = writable;
	pages->account_mode = iopt_account_mode(ctx);
	return pages;
}

void iopt_pages_publish(struct iopt_pages *pages)
{
	spin_lock(&all_lock);
	itree_insert(&all_pages, &pages->node);
	spin_unlock(&all_lock);
}

struct iopt_pages *iopt_pages_alloc(struct iommufd_ctx *ctx, uint64_t uaddr, uint64_t length,
				    bool writable)
{
	uint64_t offset = uaddr & IOPT_PAGE_MASK, end;
	struct iopt_pages *pages;

	if (!length || length > UINT64_MAX - IOPT_PAGE_SIZE)
		return ERR_PTR(-EINVAL);
	if (__builtin_add_overflow(uaddr, length, &end))
		return ERR_PTR(-EOVERFLOW);
	pages = iopt_pages_new(ctx, uaddr - offset,
			       (length + offset + IOPT_PAGE_MASK) >> IOPT_PAGE_SHIFT, writable);
	if (!IS_ERR(pages))
		iopt_pages_publish(pages);
	return pages;
}

void iopt_pages_put(struct iopt_pages *pages)
{
	if (--pages->refs)
		return;
	if (pages->device) {
		iopt_pages_put_dmabuf(pages);
	} else {
		spin_lock(&all_lock);
		itree_remove(&all_pages, &pages->node);
		spin_unlock(&all_lock);
	}
	if (pages->file)
		iopt_pages_unmap_file(pages);
	else if (!pages->device && pages->backing)
		iommufd_backing_put(pages->backing);
	iommufd_mm_put(pages->source);
	kmem_cache_free(atomic_load_explicit(&pages_cache, memory_order_relaxed), pages);
}

/* ---- pins ---- */

/* How many pages of [first, last] nobody holds; each such part is faulted in if @fault. */
static int uncovered(struct iopt_pages *pages, uint64_t first, uint64_t last, bool fault,
		     uint64_t *npages)
{
	uint64_t start, end;
	int ret;

	*npages = 0;
	while (itree_gap(&pages->areas, &pages->accesses, &first, last, &start, &end)) {
		*npages += end - start + 1;
		if (fault) {
			ret = iommufd_populate(pages->ctx, iopt_pages_mm(pages),
					       pages->node.start + start * IOPT_PAGE_SIZE,
					       end - start + 1,
					       pages->writable && !pages->file_readonly);
			if (ret)
				return pages->file ? -EINVAL : ret;
		}
		if (end == last)
			break;
		first = end + 1;
	}
	return 0;
}

static void keep_backing(struct iopt_pages *pages)
{
	uint64_t start = pages->node.start;

	if (pages->looked || pages->file)
		return;
	pages->looked = true;
	pages->backing =
		iommufd_backing_get(pages->source, start, start + pages->npages * IOPT_PAGE_SIZE,
				    &pages->backing_offset);
}

/*
 * The limit comes first: what is beyond it need not be faulted in to find out. Memory of a
 * device stays where it is.
 */
int iopt_pages_pin(struct iopt_pages *pages, struct itree *tree, struct itree_node *node)
{
	uint64_t npages;
	int ret;

	if (pages->device) {
		itree_insert(tree, node);
		return 0;
	}
	if (pages->unpinnable)
		return -EINVAL;
	uncovered(pages, node->start, node->last, false, &npages);
	ret = iopt_account(pages, npages);
	if (ret)
		return ret;
	ret = uncovered(pages, node->start, node->last, true, &npages);
	if (ret) {
		uncovered(pages, node->start, node->last, false, &npages);
		iopt_unaccount(pages, npages);
		return ret;
	}
	spin_lock(&all_lock);
	itree_insert(tree, node);
	spin_unlock(&all_lock);
	keep_backing(pages);
	return 0;
}

void iopt_pages_unpin(struct iopt_pages *pages, struct itree *tree, struct itree_node *node)
{
	uint64_t npages;

	if (pages->device) {
		itree_remove(tree, node);
		return;
	}
	spin_lock(&all_lock);
	itree_remove(tree, node);
	spin_unlock(&all_lock);
	uncovered(pages, node->start, node->last, false, &npages);
	iopt_unaccount(pages, npages);
}

void iopt_pages_split(struct iopt_pages *pages, struct itree_node *old, struct itree_node *left,
		      struct itree_node *right)
{
	spin_lock(&all_lock);
	itree_remove(&pages->areas, old);
	itree_insert(&pages->areas, left);
	itree_insert(&pages->areas, right);
	spin_unlock(&all_lock);
}

static struct iopt_pages_access *find_access(struct iopt_pages *pages, uint64_t first,
					     uint64_t last)
{
	struct itree_node *node = itree_first(&pages->accesses, first, last);

	while (node && (node->start != first || node->last != last))
		node = itree_next(&pages->accesses, node, first, last);
	return node ? container_of(node, struct iopt_pages_access, node) : NULL;
}

int iopt_pages_add_access(struct iopt_pages *pages, uint64_t first, uint64_t last)
{
	struct iopt_pages_access *access = find_access(pages, first, last);
	int ret;

	if (pages->device)
		return -EINVAL;
	if (access) {
		access->users++;
		return 0;
	}
	access = kzalloc(sizeof(*access), GFP_KERNEL_ACCOUNT, pages->ctx->owner);
	if (!access)
		return -ENOMEM;
	access->node.start = first;
	access->node.last = last;
	access->users = 1;
	ret = iopt_pages_pin(pages, &pages->accesses, &access->node);
	if (ret)
		kfree(access);
	return ret;
}

bool iopt_pages_remove_access(struct iopt_pages *pages, uint64_t first, uint64_t last)
{
	struct iopt_pages_access *access = find_access(pages, first, last);

	if (!access)
		return false;
	if (!--access->users) {
		iopt_pages_unpin(pages, &pages->accesses, &access->node);
		kfree(access);
	}
	return true;
}

/* ---- reading and writing ---- */

int iopt_pages_rw(struct iopt_pages *pages, uint64_t start_byte, void *data, uint64_t length,
		  bool write)
{
	int ret;

	if (write && !pages->writable)
		return -EPERM;
	if (pages->unpinnable || pages->device)
		return -EINVAL;
	ret = iommufd_mm_rw(iopt_pages_mm(pages), pages->node.start + start_byte, data, length,
			    write);
	if (ret && !pages->file && pages->backing)
		ret = iommufd_backing_rw(pages->backing, pages->backing_offset + start_byte, data,
					 length, write);
	return ret;
}

/* ---- who has user memory ---- */

/* Which page of @pages is the memory at @uaddr of @mm, in @vma if that is known. */
static bool is_at(const struct iopt_pages *pages, struct iommufd_mm *mm, uint64_t uaddr,
		  const struct user_vma *vma, uint64_t *index)
{
	uint64_t offset = uaddr - pages->node.start;

	if (iopt_pages_mm(pages) == mm && uaddr >= pages->node.start && uaddr <= pages->node.last) {
		*index = offset >> IOPT_PAGE_SHIFT;
		return true;
	}
	if (!pages->file || !vma || pages->dev != vma->dev || pages->ino != vma->ino)
		return false;
	*index = (vma->offset + (uaddr - vma->start) - pages->file_start) >> IOPT_PAGE_SHIFT;
	return *index < pages->npages;
}

void iopt_pages_find(uint64_t uaddr,
		     void (*each)(void *arg, const struct iopt_pages *pages, uint64_t index),
		     void *arg)
{
	struct iommufd_mm *mm = iommufd_caller_mm();
	const struct iopt_pages *pages;
	struct itree_node *node;
	struct user_vma vma;
	bool shared;
	uint64_t index;

	if (IS_ERR(mm))
		return;
	shared = !iommufd_vma_at(mm, uaddr, &vma) && vma.shared && vma.file;
	spin_lock(&all_lock);
	for (node = itree_first(&all_pages, 0, UINT64_MAX); node;
	     node = itree_next(&all_pages, node, 0, UINT64_MAX)) {
		pages = pages_of(node);
		if (is_at(pages, mm, uaddr, shared ? &vma : NULL, &index))
			each(arg, pages, index);
	}
	spin_unlock(&all_lock);
	iommufd_mm_put(mm);
}

static void count_pin(void *arg, const struct iopt_pages *pages, uint64_t index)
{
	unsigned int *count = arg;

	if (itree_first(&pages->areas, index, index) || itree_first(&pages->accesses, index, index))
		++*count;
}

unsigned int iopt_pages_pin_count(uint64_t uaddr)
{
	unsigned int count = 0;

	iopt_pages_find(uaddr, count_pin, &count);
	return count;
}

/* ---- memory that its process has given back ---- */

/* Larger ones are walked at a close only. */
#define SCAN_MAX (UINT64_C(4) << 20)

/*
 * The first part of [start, end) that is in no mapping, or, where everything was
 * faulted in, is not there any more: something else has been mapped in its place.
 */
static bool find_gone(const struct iommufd_ctx *ctx, const struct iommufd_mm *mm, uint64_t start,
		      uint64_t end, bool scan, uint64_t *gone, uint64_t *gone_end)
{
	const unsigned int there = PAGE_SCAN_PRESENT | PAGE_SCAN_SWAPPED;
	struct user_vma vma;
	int fd, ret;

	for (uint64_t at = start; at < end; at = vma.end) {
		ret = iommufd_vma_at(mm, at, &vma);
		if (ret == -ENOENT) {
			*gone = at;
			*gone_end = MIN(vma.start, end);
			return true;
		}
		if (ret)
			return false;
	}
	if (!scan || ctx->config.phys != IOMMUFD_PHYS_AUTO)
		return false;
	fd = iommufd_pagemap_get(mm);
	ret = iommufd_pagemap_scan(fd, start, end, there, true, gone, gone_end);
	iommufd_pagemap_put(mm, fd);
	return ret == 1;
}

void iopt_area_check(struct iopt_area *area, bool all)
{
	struct iopt_pages *pages = area->pages;
	const struct iommufd_host *host = pages->ctx->config.host;
	uint64_t length = area->node.last - area->node.start + 1;
	uint64_t uaddr = iopt_pages_uaddr(pages) + area->start_byte, start, end;

	if (!host || !host->memory_gone || pages->file || pages->device || pages->told ||
	    list_empty(&area->iopt->domains))
		return;
	if (!find_gone(pages->ctx, pages->source, uaddr & ~IOPT_PAGE_MASK,
		       (uaddr + length + IOPT_PAGE_MASK) & ~IOPT_PAGE_MASK,
		       all || length <= SCAN_MAX, &start, &end))
		return;
	pages->told = true;
	start = start > uaddr ? start : uaddr;
	end = MIN(end, uaddr + length);
	host->memory_gone(pages->ctx->config.host_context, start, end - start,
			  area->node.start + (start - uaddr), end - start);
}

void iopt_check_memory(struct io_pagetable *iopt)
{
	struct itree_node *node;

	for (node = itree_first(&iopt->areas, 0, UINT64_MAX); node;
	     node = itree_next(&iopt->areas, node, 0, UINT64_MAX))
		iopt_area_check(container_of(node, struct iopt_area, node), true);
}
