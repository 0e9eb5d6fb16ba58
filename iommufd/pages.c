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
	struct iopt_pages *pages =
		iopt_cache_alloc(&pages_cache, "iopt_pages", sizeof(*pages), ctx);

	if (!pages)
		return NULL;
	pages->ctx = ctx;
	pages->node.start = uaddr;
	pages->node.last = uaddr + npages * IOPT_PAGE_SIZE - 1;
	if (pages->node.last < uaddr)
		pages->node.last = UINT64_MAX;
	pages->npages = npages;
	pages->refs = 1;
	pages->pid = iommufd_getpid();
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
	if (!pages)
		return ERR_PTR(-ENOMEM);
	iopt_pages_publish(pages);
	return pages;
}

void iopt_pages_put(struct iopt_pages *pages)
{
	if (--pages->refs)
		return;
	spin_lock(&all_lock);
	itree_remove(&all_pages, &pages->node);
	spin_unlock(&all_lock);
	/* Another process's mapping goes with that process. */
	if (pages->file && pages->pid == iommufd_getpid())
		iopt_pages_unmap_file(pages);
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
			ret = iommufd_populate(
				pages->ctx, pages->pid, pages->node.start + start * IOPT_PAGE_SIZE,
				end - start + 1, pages->writable && !pages->file_readonly);
			if (ret)
				return pages->file ? -EINVAL : ret;
		}
		if (end == last)
			break;
		first = end + 1;
	}
	return 0;
}

/*
 * The limit comes first: what is beyond it need not be faulted in to find out.
 */
int iopt_pages_pin(struct iopt_pages *pages, struct itree *tree, struct itree_node *node)
{
	uint64_t npages;
	int ret;

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
	return 0;
}

void iopt_pages_unpin(struct iopt_pages *pages, struct itree *tree, struct itree_node *node)
{
	uint64_t npages;

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

static int rw_own(struct iopt_pages *pages, uint64_t uaddr, void *data, uint64_t length, bool write)
{
	if (write)
		return iommufd_copy_to_user(pages->ctx, uaddr, data, length);
	return iommufd_copy_from_user(pages->ctx, data, uaddr, length);
}

/*
 * Memory of a process that forked off. What it had pinned outlives it; here that
 * is true of memory that it shared with us.
 */
static int rw_remote(struct iopt_pages *pages, uint64_t uaddr, void *data, uint64_t length,
		     bool write)
{
	struct iovec local = {.iov_base = data, .iov_len = length};
	struct iovec remote = {.iov_base = (void *)(uintptr_t)uaddr, .iov_len = length};
	ssize_t done = write ? process_vm_writev(pages->pid, &local, 1, &remote, 1, 0)
			     : process_vm_readv(pages->pid, &local, 1, &remote, 1, 0);

	if (done == (ssize_t)length)
		return 0;
	if (done < 0 && errno == ESRCH && pages->npinned)
		return rw_own(pages, uaddr, data, length, write);
	return -EFAULT;
}

int iopt_pages_rw(struct iopt_pages *pages, uint64_t start_byte, void *data, uint64_t length,
		  bool write)
{
	uint64_t uaddr = pages->node.start + start_byte;

	if (write && !pages->writable)
		return -EPERM;
	if (pages->unpinnable)
		return -EINVAL;
	if (pages->pid != iommufd_getpid())
		return rw_remote(pages, uaddr, data, length, write);
	return rw_own(pages, uaddr, data, length, write);
}

/* ---- who has user memory ---- */

unsigned int iopt_pages_pin_count(uint64_t uaddr)
{
	struct iopt_pages *pages;
	struct itree_node *node;
	unsigned int count = 0;

	spin_lock(&all_lock);
	for (node = itree_first(&all_pages, uaddr, uaddr); node;
	     node = itree_next(&all_pages, node, uaddr, uaddr)) {
		uint64_t index = (uaddr - node->start) >> IOPT_PAGE_SHIFT;

		pages = pages_of(node);
		if (itree_first(&pages->areas, index, index) ||
		    itree_first(&pages->accesses, index, index))
			count++;
	}
	spin_unlock(&all_lock);
	return count;
}

/* The part of user memory [start, last] that an area of @iopt has. */
static bool area_has(const struct iopt_area *area, const struct io_pagetable *iopt, uint64_t start,
		     uint64_t last, uint64_t *iova, uint64_t *length)
{
	uint64_t first = area->pages->node.start + area->start_byte;
	uint64_t end = first + (area->node.last - area->node.start);

	if (area->iopt != iopt || first > last || end < start)
		return false;
	*iova = area->node.start + (start > first ? start - first : 0);
	*length = MIN(end, last) - (start > first ? start : first) + 1;
	return true;
}

/* @start and @last lie within @pages or beyond its ends. */
static bool pages_find_area(struct iopt_pages *pages, const struct io_pagetable *iopt,
			    uint64_t start, uint64_t last, uint64_t *iova, uint64_t *length)
{
	uint64_t base = pages->node.start;
	uint64_t first_index = start > base ? (start - base) >> IOPT_PAGE_SHIFT : 0;
	uint64_t last_index = (last - base) >> IOPT_PAGE_SHIFT;
	struct itree_node *node;

	for (node = itree_first(&pages->areas, first_index, last_index); node;
	     node = itree_next(&pages->areas, node, first_index, last_index))
		if (area_has(container_of(node, struct iopt_area, pages_node), iopt, start, last,
			     iova, length))
			return true;
	return false;
}

bool iopt_find_user(struct io_pagetable *iopt, uint64_t start, uint64_t last, uint64_t *iova,
		    uint64_t *length)
{
	struct itree_node *node;
	bool found = false;

	spin_lock(&all_lock);
	for (node = itree_first(&all_pages, start, last); node && !found;
	     node = itree_next(&all_pages, node, start, last))
		if (!pages_of(node)->file)
			found = pages_find_area(pages_of(node), iopt, start, last, iova, length);
	spin_unlock(&all_lock);
	return found;
}
