// SPDX-License-Identifier: MIT
/*
 * Mapping, copying and unmapping in one IO address space, and where a mapping
 * goes when the caller leaves that open.
 */
#include "iommufd/lookup.h"
#include "iommufd/pages.h"
#include "plat/compiler.h"

int iopt_check_iova(struct io_pagetable *iopt, uint64_t iova, uint64_t length)
{
	uint64_t last;

	if (iova & (iopt->iova_alignment - 1))
		return -EINVAL;
	if (__builtin_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;
	if (itree_first(&iopt->reserved, iova, last))
		return -EINVAL;
	return itree_first(&iopt->areas, iova, last) ? -EEXIST : 0;
}

/* ---- choosing an iova ---- */

struct iova_request {
	uint64_t length, alignment;
	uint64_t offset; /* in a page, as the memory has it */
};

/* Whether it fits in [start, last]; moves *start to where. */
static bool fits(const struct iova_request *request, uint64_t *start, uint64_t last)
{
	uint64_t at;

	if (__builtin_add_overflow(*start, request->alignment - 1, &at))
		return false;
	at = (at & ~(request->alignment - 1)) | request->offset;
	if (at >= last || last - at < request->length - 1)
		return false;
	*start = at;
	return true;
}

static bool fits_in_gap(struct io_pagetable *iopt, const struct iova_request *request,
			uint64_t start, uint64_t last, uint64_t *iova)
{
	uint64_t gap_start, gap_last;

	while (itree_gap(&iopt->areas, &iopt->reserved, &start, last, &gap_start, &gap_last)) {
		if (fits(request, &gap_start, gap_last)) {
			*iova = gap_start;
			return true;
		}
		if (gap_last >= last)
			break;
		start = gap_last + 1;
	}
	return false;
}

/*
 * The first place from @from on in what is allowed. Neither the first page nor
 * the last is ever given out: drivers take 0 for no address.
 */
static int find_iova(struct io_pagetable *iopt, const struct iova_request *request, uint64_t from,
		     uint64_t *iova)
{
	const uint64_t end = UINT64_MAX - IOPT_PAGE_SIZE;
	struct itree_node *node;

	if (from < IOPT_PAGE_SIZE)
		from = IOPT_PAGE_SIZE;
	if (itree_empty(&iopt->allowed))
		return fits_in_gap(iopt, request, from, end, iova) ? 0 : -ENOSPC;
	for (node = itree_first(&iopt->allowed, from, end); node;
	     node = itree_next(&iopt->allowed, node, from, end)) {
		uint64_t start = node->start > from ? node->start : from;
		uint64_t last = MIN(node->last, end);

		if (fits(request, &start, last) && fits_in_gap(iopt, request, start, last, iova))
			return 0;
	}
	return -ENOSPC;
}

static uint64_t roundup_pow_of_two(uint64_t size)
{
	return size <= 1 ? 1 : UINT64_C(2) << fls64_index(size - 1);
}

/*
 * As aligned as the memory is and the length makes sense, up to a huge page, so
 * that large leaves can be used. Where the last such request was answered there
 * was nothing below, and nothing has become free since.
 */
int iopt_alloc_iova(struct io_pagetable *iopt, uint64_t *iova, uint64_t uaddr, uint64_t length)
{
	struct iova_request request = {.length = length, .offset = uaddr & IOPT_PAGE_MASK};
	uint64_t from = 0;
	int ret;

	if (!length || length >= UINT64_MAX / 2)
		return -EOVERFLOW;
	request.alignment = roundup_pow_of_two(length);
	if (uaddr)
		request.alignment = MIN(request.alignment, uaddr & -uaddr);
	request.alignment = MIN(request.alignment, IOPT_HUGE_SIZE);
	if (request.alignment < iopt->iova_alignment)
		return -EINVAL;
	if (iopt->hint_alignment == request.alignment && iopt->hint_offset == request.offset &&
	    iopt->hint_length && iopt->hint_length <= length)
		from = iopt->hint_iova;
	ret = find_iova(iopt, &request, from, iova);
	if (ret)
		return ret;
	iopt->hint_alignment = request.alignment;
	iopt->hint_offset = request.offset;
	iopt->hint_length = length;
	iopt->hint_iova = *iova;
	return 0;
}

/* ---- mapping ---- */

/* Areas that are to be mapped one behind the other, linked by node.right until then. */
struct area_chain {
	struct itree_node *first, *last;
};

static void chain_add(struct area_chain *chain, struct iopt_area *area)
{
	if (chain->last)
		chain->last->right = &area->node;
	else
		chain->first = &area->node;
	chain->last = &area->node;
}

static void chain_free(struct area_chain *chain)
{
	struct itree_node *node = chain->first;

	while (node) {
		struct itree_node *next = node->right;

		iopt_area_free(iopt_area_of(node));
		node = next;
	}
}

/* Give each area its iova and its rights. */
static int chain_place(struct io_pagetable *iopt, struct area_chain *chain, uint64_t iova, int prot)
{
	for (struct itree_node *node = chain->first; node; node = node->right) {
		struct iopt_area *area = iopt_area_of(node);

		if ((prot & IOMMU_WRITE) && !area->pages->writable)
			return -EPERM;
		if (area->start_byte & IOPT_PAGE_MASK & (iopt->iova_alignment - 1))
			return -EINVAL;
		area->prot = prot;
		node->start = iova;
		if (__builtin_add_overflow(node->last, iova, &node->last))
			return -EOVERFLOW;
		iova = node->last + 1;
	}
	return 0;
}

static int chain_fill(struct area_chain *chain)
{
	struct itree_node *node, *undo;
	int ret;

	for (node = chain->first; node; node = node->right) {
		ret = iopt_area_fill_domains(iopt_area_of(node));
		if (ret)
			goto undo;
	}
	return 0;

undo:
	for (undo = chain->first; undo != node; undo = undo->right)
		iopt_area_unfill_domains(iopt_area_of(undo));
	return ret;
}

static void chain_insert(struct area_chain *chain)
{
	struct itree_node *node = chain->first;

	while (node) {
		struct itree_node *next = node->right;

		iopt_area_insert(iopt_area_of(node));
		node = next;
	}
}

/* Map all areas of @chain from one iova on, or none; they are freed then. */
static int map_chain(struct io_pagetable *iopt, struct area_chain *chain, uint64_t length,
		     uint64_t *iova, int prot, unsigned int flags)
{
	struct iopt_area *first = iopt_area_of(chain->first);
	uint64_t at = *iova;
	int ret = -EINVAL;

	if (!length || (length & (iopt->iova_alignment - 1)))
		goto err_free;
	if (flags & IOPT_FIXED)
		ret = iopt_check_iova(iopt, at, length);
	else
		ret = iopt_alloc_iova(iopt, &at, iopt_pages_uaddr(first->pages) + first->start_byte,
				      length);
	if (!ret)
		ret = chain_place(iopt, chain, at, prot);
	if (!ret)
		ret = chain_fill(chain);
	if (ret)
		goto err_free;
	chain_insert(chain);
	*iova = at;
	if (unlikely(iommufd_observer))
		iommufd_observer->mapped(iopt, at, length);
	return 0;

err_free:
	chain_free(chain);
	return ret;
}

static int map_pages(struct io_pagetable *iopt, struct iopt_pages *pages, uint64_t start_byte,
		     uint64_t length, uint64_t *iova, int prot, unsigned int flags)
{
	struct area_chain chain = {0};
	struct iopt_area *area;

	if (IS_ERR(pages))
		return PTR_ERR(pages);
	area = iopt_area_alloc(iopt, pages, start_byte, length);
	if (!area) {
		iopt_pages_put(pages);
		return -ENOMEM;
	}
	chain_add(&chain, area);
	return map_chain(iopt, &chain, length, iova, prot, flags);
}

int iopt_map_user_pages(struct io_pagetable *iopt, uint64_t *iova, uint64_t uaddr, uint64_t length,
			int iommu_prot, unsigned int flags)
{
	struct iopt_pages *pages =
		iopt_pages_alloc(iopt->ctx, uaddr, length, iommu_prot & IOMMU_WRITE);

	return map_pages(iopt, pages, uaddr & IOPT_PAGE_MASK, length, iova, iommu_prot, flags);
}

int iopt_map_file_pages(struct io_pagetable *iopt, uint64_t *iova, int fd, uint64_t start,
			uint64_t length, int iommu_prot, unsigned int flags)
{
	bool writable = iommu_prot & IOMMU_WRITE;
	struct iopt_pages *pages = iopt_pages_alloc_dmabuf(iopt->ctx, fd, start, length, writable);

	if (!pages)
		pages = iopt_pages_alloc_file(iopt->ctx, fd, start, length, writable);
	else if (!IS_ERR(pages))
		iommu_prot = (iommu_prot & ~IOMMU_CACHE) | IOMMU_MMIO;
	return map_pages(iopt, pages, start & IOPT_PAGE_MASK, length, iova, iommu_prot, flags);
}

/* New areas of @dst for what [iova, last] of @src maps without a hole. */
static int chain_copy(struct area_chain *chain, struct io_pagetable *dst, struct io_pagetable *src,
		      uint64_t iova, uint64_t last)
{
	for (;;) {
		struct iopt_area *from = iopt_area_at(src, iova), *area;
		uint64_t end;

		if (!from)
			return -ENOENT;
		end = MIN(last, from->node.last);
		area = iopt_area_alloc(dst, from->pages, iopt_area_byte(from, iova),
				       end - iova + 1);
		if (!area)
			return -ENOMEM;
		from->pages->refs++;
		chain_add(chain, area);
		if (end == last)
			return 0;
		iova = end + 1;
	}
}

int iopt_copy(struct io_pagetable *dst, uint64_t *dst_iova, struct io_pagetable *src,
	      uint64_t src_iova, uint64_t length, int iommu_prot, unsigned int flags)
{
	struct area_chain chain = {0};
	uint64_t last;
	int ret;

	if (!length)
		return -EINVAL;
	if (__builtin_add_overflow(src_iova, length - 1, &last))
		return -EOVERFLOW;
	ret = chain_copy(&chain, dst, src, src_iova, last);
	if (ret) {
		chain_free(&chain);
		return ret;
	}
	return map_chain(dst, &chain, length, dst_iova, iommu_prot, flags);
}

/* ---- unmapping ---- */

/* How often accesses are asked to let go of an area. */
#define NOTIFY_TRIES 100

static int evict_accesses(struct io_pagetable *iopt, uint64_t iova)
{
	for (unsigned int tries = 0; tries <= NOTIFY_TRIES; tries++) {
		struct iopt_area *area = iopt_area_at(iopt, iova);

		if (!area || !area->num_accesses)
			return 0;
		area->prevent_access = true;
		iommufd_access_notify_unmap(iopt, area->node.start,
					    area->node.last - area->node.start + 1);
	}
	return -EDEADLOCK;
}

static int unmap_range(struct io_pagetable *iopt, uint64_t start, uint64_t last, uint64_t *unmapped)
{
	struct iopt_area *area;
	uint64_t done = 0;
	int ret = 0;

	while ((area = iopt_area_of(itree_first(&iopt->areas, start, last)))) {
		uint64_t area_start = area->node.start, area_last = area->node.last;

		ret = area_start < start || area_last > last ? -ENOENT : 0;
		if (!ret && area->num_locks)
			ret = -EBUSY;
		if (!ret && area->num_accesses) {
			ret = evict_accesses(iopt, area_start);
			start = area_start;
			if (!ret)
				continue; /* they may have changed what is mapped */
		}
		if (ret)
			break;
		iopt_area_check(area, false);
		iopt_area_remove(area);
		if (unlikely(iommufd_observer))
			iommufd_observer->unmapped(iopt, area_start, area_last - area_start + 1);
		iopt_area_unfill_domains(area);
		iopt_area_free(area);
		iopt->hint_length = 0;
		done += area_last - area_start + 1;
		if (area_last >= last)
			break;
		start = area_last + 1;
	}
	if (unmapped)
		*unmapped = done;
	return ret;
}

int iopt_unmap_iova(struct io_pagetable *iopt, uint64_t iova, uint64_t length, uint64_t *unmapped)
{
	uint64_t last;

	if (!length)
		return -EINVAL;
	if (__builtin_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;
	return unmap_range(iopt, iova, last, unmapped);
}

int iopt_unmap_all(struct io_pagetable *iopt, uint64_t *unmapped)
{
	return unmap_range(iopt, 0, UINT64_MAX, unmapped);
}

int iopt_for_each_area(struct io_pagetable *iopt, uint64_t iova, uint64_t last, bool contiguous,
		       int (*each)(void *arg, uint64_t start, uint64_t last), void *arg)
{
	for (;;) {
		struct itree_node *node = itree_first(&iopt->areas, iova, last);
		int ret;

		if (contiguous && (!node || node->start > iova))
			return -ENOENT;
		if (!node)
			return 0;
		ret = each(arg, node->start > iova ? node->start : iova, MIN(node->last, last));
		if (ret || node->last >= last)
			return ret;
		iova = node->last + 1;
	}
}
