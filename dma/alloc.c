/* SPDX-License-Identifier: MIT */
/*
 * Memory for the CPU and a device: contiguous for both, or for the device only.
 *
 * The caller's gfp is that of a buffer. Its flags that choose where memory comes from
 * apply to the buffer only; the other flags apply to all allocations: tables, lists and
 * addresses.
 *
 * Freeing flushes at once, also in lazy mode: after it the pages may be allocated by
 * anyone.
 */
#include "dma/dma.h"

#include "mm/slab.h"

#define LIST_BYTES 65536 /* the most that kmalloc() allocates */
#define MOST_ORDER 4     /* log2 of the pages of the largest block: 64 KiB */

static unsigned int smallest_order(const struct iommu_dma_cookie *cookie)
{
	return cookie->shift > PAGE_SHIFT ? cookie->shift - PAGE_SHIFT : 0;
}

/* The pages that @size bytes need, in multiples of a granule; 0 if there cannot be so many. */
static uint64_t buffer_pages(const struct iommu_dma_cookie *cookie, size_t size)
{
	uint64_t unit = PAGE_SIZE << smallest_order(cookie);

	if (!size || size > PTRDIFF_MAX)
		return 0;
	return ((size + unit - 1) & ~(unit - 1)) >> PAGE_SHIFT;
}

/* The least order whose block has so many pages. */
static unsigned int order_of(uint64_t pages)
{
	return pages > 1 ? fls64_index(pages - 1) + 1 : 0;
}

void *dma_alloc_attrs(struct iommu_device *dev, size_t size, dma_addr_t *dma_handle, gfp_t gfp,
		      unsigned long attrs)
{
	struct iommu_dma_cookie *cookie = device_dma_cookie(dev);
	uint64_t pages = cookie ? buffer_pages(cookie, size) : 0;
	struct page *page;
	dma_addr_t iova;

	might_sleep_if(mm_thread_self(), gfpflags_allow_blocking(gfp));
	if (!pages || order_of(pages) > MOST_ORDER)
		return NULL;
	page = alloc_pages(gfp | __GFP_ZERO, order_of(pages), dma_owner(cookie), PAGE_OTHER);
	if (!page)
		return NULL;
	gfp = gfp_beside_buffer(gfp);
	iova = iommu_dma_alloc_iova(dev, cookie, pages << PAGE_SHIFT, dev->dma.coherent_mask, gfp);
	if (!iova)
		goto free_page;
	if (iommu_map(cookie->domain, iova, virt_to_phys(page_address(page)), pages << PAGE_SHIFT,
		      dma_info_to_prot(DMA_BIDIRECTIONAL, attrs), gfp))
		goto free_iova;
	*dma_handle = iova;
	trace_dma(alloc, dev, page_address(page), iova, size, gfp, attrs);
	return page_address(page);

free_iova:
	iommu_dma_free_iova(cookie, iova, pages << PAGE_SHIFT);
free_page:
	free_pages(page);
	return NULL;
}

void dma_free_attrs(struct iommu_device *dev, size_t size, void *cpu_addr, dma_addr_t dma_handle,
		    unsigned long attrs)
{
	struct iommu_dma_cookie *cookie = device_dma_cookie(dev);

	if (!cpu_addr || !cookie)
		return;
	trace_dma(free, dev, cpu_addr, dma_handle, size, attrs);
	if (iommu_dma_unmap(dev, cookie, dma_handle, buffer_pages(cookie, size) << PAGE_SHIFT,
			    false))
		free_pages(virt_to_page(cpu_addr));
}

/* Blocks in the order of their allocation, linked by ->next. */
struct blocks {
	struct page *first, *last;
	unsigned int pieces; /* adjoining blocks count as one */
};

static bool adjoins(const struct page *before, const struct page *page)
{
	return before && before + ((size_t)1 << before->order) == page;
}

static void blocks_add(struct blocks *blocks, struct page *page)
{
	if (!adjoins(blocks->last, page))
		blocks->pieces++;
	if (blocks->last)
		blocks->last->next = page;
	else
		blocks->first = page;
	blocks->last = page;
}

static void blocks_free(struct page *page)
{
	while (page) {
		struct page *next = page->next;

		free_pages(page);
		page = next;
	}
}

/*
 * Allocate the largest blocks first, and smaller ones as soon as there is none of a
 * size. Only for the smallest size other memory is reclaimed.
 */
static int blocks_alloc(const struct iommu_dma_cookie *cookie, uint64_t pages, gfp_t gfp,
			unsigned long attrs, struct blocks *blocks)
{
	unsigned int smallest = smallest_order(cookie);
	unsigned int order = attrs & DMA_ATTR_ALLOC_SINGLE_PAGES ? smallest : MOST_ORDER;

	*blocks = (struct blocks){NULL, NULL, 0};
	while (pages) {
		struct page *page;

		order = MIN(order, fls64_index(pages));
		page = alloc_pages(gfp | __GFP_ZERO | (order > smallest ? __GFP_NORETRY : 0), order,
				   dma_owner(cookie), PAGE_OTHER);
		if (page) {
			blocks_add(blocks, page);
			pages -= 1ULL << order;
		} else if (order-- == smallest) {
			blocks_free(blocks->first);
			return -ENOMEM;
		}
	}
	return 0;
}

/* The list of pieces, after the head of the table. */
static struct sg_table *table_alloc(const struct iommu_dma_cookie *cookie,
				    const struct blocks *blocks, gfp_t gfp)
{
	size_t bytes = sizeof(struct sg_table) + blocks->pieces * sizeof(struct iommu_sg);
	const struct page *before = NULL;
	struct sg_table *sgt;

	if (bytes > LIST_BYTES)
		return NULL;
	sgt = kzalloc(bytes, gfp, dma_owner(cookie));
	if (!sgt)
		return NULL;
	sgt->sgl = (struct iommu_sg *)(sgt + 1);
	for (const struct page *page = blocks->first; page; page = page->next) {
		size_t block = PAGE_SIZE << page->order;

		if (!adjoins(before, page))
			sgt->sgl[sgt->nents++].paddr = virt_to_phys(page_address(page));
		sgt->sgl[sgt->nents - 1].length += block;
		sgt->size += block;
		before = page;
	}
	return sgt;
}

static int table_map(struct iommu_device *dev, struct iommu_dma_cookie *cookie,
		     struct sg_table *sgt, int prot, gfp_t gfp)
{
	ssize_t ret;

	sgt->dma_address =
		iommu_dma_alloc_iova(dev, cookie, sgt->size, dev->dma.coherent_mask, gfp);
	if (!sgt->dma_address)
		return -ENOMEM;
	ret = iommu_map_sg(cookie->domain, sgt->dma_address, sgt->sgl, sgt->nents, prot, gfp);
	if (ret < 0)
		iommu_dma_free_iova(cookie, sgt->dma_address, sgt->size);
	return ret < 0 ? (int)ret : 0;
}

struct sg_table *dma_alloc_noncontiguous(struct iommu_device *dev, size_t size,
					 enum dma_data_direction dir, gfp_t gfp,
					 unsigned long attrs)
{
	struct iommu_dma_cookie *cookie = device_dma_cookie(dev);
	uint64_t pages = cookie ? buffer_pages(cookie, size) : 0;
	int prot = dma_info_to_prot(dir, attrs);
	struct blocks blocks;
	struct sg_table *sgt;

	might_sleep_if(mm_thread_self(), gfpflags_allow_blocking(gfp));
	if (!pages || !prot || blocks_alloc(cookie, pages, gfp, attrs, &blocks))
		return NULL;
	gfp = gfp_beside_buffer(gfp);
	sgt = table_alloc(cookie, &blocks, gfp);
	if (!sgt)
		goto free_blocks;
	if (table_map(dev, cookie, sgt, prot, gfp))
		goto free_table;
	trace_dma(alloc_sgt, dev, sgt, dir, gfp, attrs);
	return sgt;

free_table:
	kfree(sgt);
free_blocks:
	blocks_free(blocks.first);
	return NULL;
}

void dma_free_noncontiguous(struct iommu_device *dev, struct sg_table *sgt)
{
	struct iommu_dma_cookie *cookie = device_dma_cookie(dev);

	if (!sgt || !cookie)
		return;
	trace_dma(free_sgt, dev, sgt);
	if (!iommu_dma_unmap(dev, cookie, sgt->dma_address, sgt->size, false))
		return;
	/* The blocks are still linked by ->next in the order of the list. */
	blocks_free(virt_to_page(phys_to_virt(sgt->sgl[0].paddr)));
	kfree(sgt);
}

void *sg_virt(const struct iommu_sg *sg)
{
	return phys_to_virt(sg->paddr);
}
