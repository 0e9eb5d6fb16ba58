/* SPDX-License-Identifier: MIT */
#include "tests/clients/arm_dma.h"

#include "tests/clients/page_runs.h"
#include "mm/page.h"
#include "mm/slab.h"
#include "mm/warn.h"
#include "plat/compiler.h"
#include "plat/spinlock.h"

#define BITMAP_BYTES PAGE_SIZE
#define BITMAP_BITS  (8 * BITMAP_BYTES)
#define BITMAP_SPAN  (BITMAP_BITS << PAGE_SHIFT)
#define MOST_BYTES   BIT_ULL(32)
#define MOST_ALIGN   BIT_ULL(8) /* CONFIG_ARM_DMA_IOMMU_ALIGNMENT, in pages */

struct dma_iommu_mapping {
	struct iommu_domain *domain;
	struct mem_cgroup *owner; /* the domain's */
	dma_addr_t base;
	size_t pages;
	struct spinlock lock; /* protects what follows */
	unsigned int nr_bitmaps;
	uint64_t *bitmaps[MOST_BYTES / BITMAP_SPAN]; /* a bit is 1 for a page in use */
};

static size_t pages_of(phys_addr_t paddr, size_t size)
{
	uint64_t offset = paddr & (PAGE_SIZE - 1);

	return (size + offset + (PAGE_SIZE - 1)) >> PAGE_SHIFT;
}

/* How many bits a bitmap has: the last one may be cut short. */
static size_t bits_of(const struct dma_iommu_mapping *mapping, size_t index)
{
	return MIN(mapping->pages - index * BITMAP_BITS, BITMAP_BITS);
}

/* The first bit from @start on, before @end, that is @set; or @end. */
static size_t bitmap_find(const uint64_t *bitmap, size_t start, size_t end, bool set)
{
	for (size_t word = start / 64; word * 64 < end; word++) {
		uint64_t bits = set ? bitmap[word] : ~bitmap[word];

		if (word == start / 64)
			bits &= ~0ULL << (start % 64);
		if (bits)
			return MIN(word * 64 + ffs64_index(bits), end);
	}
	return end;
}

/* The first @count bits that are clear, from a multiple of @align on; or @end. */
static size_t bitmap_find_area(const uint64_t *bitmap, size_t end, size_t count, size_t align)
{
	size_t start = 0;

	for (;;) {
		size_t in_use;

		start = (bitmap_find(bitmap, start, end, false) + align - 1) & ~(align - 1);
		if (count > end || start > end - count)
			return end;
		in_use = bitmap_find(bitmap, start, start + count, true);
		if (in_use == start + count)
			return start;
		start = in_use + 1;
	}
}

static void bitmap_put(uint64_t *bitmap, size_t start, size_t count, bool set)
{
	while (count) {
		size_t bit = start % 64, part = MIN(64 - bit, count);
		uint64_t mask = (~0ULL >> (64 - part)) << bit;

		if (set)
			bitmap[start / 64] |= mask;
		else
			bitmap[start / 64] &= ~mask;
		start += part;
		count -= part;
	}
}

/* Add a bitmap; the lock is held, and is a spinlock. */
static bool extend_mapping(struct dma_iommu_mapping *mapping, gfp_t gfp)
{
	uint64_t *bitmap;

	if (mapping->nr_bitmaps * BITMAP_BITS >= mapping->pages)
		return false;
	bitmap = kzalloc(BITMAP_BYTES, gfp, mapping->owner);
	if (!bitmap)
		return false;
	mapping->bitmaps[mapping->nr_bitmaps++] = bitmap;
	return true;
}

struct dma_iommu_mapping *arm_iommu_create_mapping(struct iommu_domain *domain, dma_addr_t base,
						   uint64_t size)
{
	struct dma_iommu_mapping *mapping;
	struct iommu_domain_info info;

	if (size > MOST_BYTES)
		return ERR_PTR(-ERANGE);
	if (!size || !base || ((base | size) & (PAGE_SIZE - 1)) || base + (size - 1) < base)
		return ERR_PTR(-EINVAL);
	iommu_domain_get_info(domain, &info);
	mapping = kzalloc(sizeof(*mapping), GFP_KERNEL, info.owner);
	if (!mapping)
		return ERR_PTR(-ENOMEM);
	mapping->domain = domain;
	mapping->owner = info.owner;
	mapping->base = base;
	mapping->pages = size >> PAGE_SHIFT;
	if (!extend_mapping(mapping, GFP_KERNEL)) {
		kfree(mapping);
		return ERR_PTR(-ENOMEM);
	}
	return mapping;
}

void arm_iommu_release_mapping(struct dma_iommu_mapping *mapping)
{
	for (unsigned int i = 0; i < mapping->nr_bitmaps; i++)
		kfree(mapping->bitmaps[i]);
	kfree(mapping);
}

/* What a range of @count pages is aligned to, in pages. */
static size_t alignment(size_t count)
{
	size_t align = 1;

	while (align < count && align < MOST_ALIGN)
		align *= 2;
	return align;
}

static dma_addr_t take_iova(struct dma_iommu_mapping *mapping, size_t count)
{
	dma_addr_t iova = ARM_MAPPING_ERROR;

	spin_lock(&mapping->lock);
	for (unsigned int i = 0; i < mapping->nr_bitmaps || extend_mapping(mapping, GFP_ATOMIC);
	     i++) {
		size_t bits = bits_of(mapping, i);
		size_t start = bitmap_find_area(mapping->bitmaps[i], bits, count, alignment(count));

		if (start < bits) {
			bitmap_put(mapping->bitmaps[i], start, count, true);
			iova = mapping->base + i * BITMAP_SPAN + (start << PAGE_SHIFT);
			break;
		}
	}
	spin_unlock(&mapping->lock);
	return iova;
}

/* No range goes from one bitmap to the next. */
static dma_addr_t alloc_iova_range(struct dma_iommu_mapping *mapping, size_t count)
{
	return count && count <= BITMAP_BITS ? take_iova(mapping, count) : ARM_MAPPING_ERROR;
}

/* Tell whether the window has given out all of a range; which bits those are. */
static bool find_iova(struct dma_iommu_mapping *mapping, dma_addr_t iova, size_t count,
		      uint64_t **bitmap, size_t *start)
{
	uint64_t page = (iova - mapping->base) >> PAGE_SHIFT;
	size_t index = page / BITMAP_BITS;
	bool found;

	if (iova < mapping->base || page >= mapping->pages || !count)
		return false;
	*start = page % BITMAP_BITS;
	spin_lock(&mapping->lock);
	found = index < mapping->nr_bitmaps && count <= bits_of(mapping, index) - *start &&
		bitmap_find(mapping->bitmaps[index], *start, *start + count, false) ==
			*start + count;
	*bitmap = found ? mapping->bitmaps[index] : NULL;
	spin_unlock(&mapping->lock);
	return found;
}

/* First unmapped, then free for others. */
static void unmap_and_free(struct dma_iommu_mapping *mapping, dma_addr_t iova, size_t count,
			   size_t mapped, const void *caller)
{
	static atomic_uint said;
	uint64_t *bitmap;
	size_t start;

	iova &= ~(uint64_t)(PAGE_SIZE - 1);
	if (!find_iova(mapping, iova, count, &bitmap, &start)) {
		mm_warn_once(&said, "unmapping what no window has given out, called from", NULL,
			     (uintptr_t)caller);
		return;
	}
	iommu_unmap(mapping->domain, iova, mapped << PAGE_SHIFT);
	spin_lock(&mapping->lock);
	bitmap_put(bitmap, start, count, false);
	spin_unlock(&mapping->lock);
}

static int phys_of_array(void *context, uint64_t address, bool writable, phys_addr_t *paddr)
{
	*paddr = ((const phys_addr_t *)context)[address >> PAGE_SHIFT];
	return 0;
}

dma_addr_t arm_iommu_map_pages(struct dma_iommu_mapping *mapping, const phys_addr_t *pages,
			       size_t count, int prot)
{
	struct page_runs runs = {
		.phys = phys_of_array,
		.context = (void *)(uintptr_t)pages,
		.pages = count,
	};
	dma_addr_t dma_addr = alloc_iova_range(mapping, count), iova = dma_addr;
	struct iommu_sg run;

	if (dma_addr == ARM_MAPPING_ERROR)
		return dma_addr;
	while (page_runs_next(&runs, &run) > 0) {
		if (iommu_map(mapping->domain, iova, run.paddr, run.length, prot, GFP_KERNEL)) {
			unmap_and_free(mapping, dma_addr, count, (iova - dma_addr) >> PAGE_SHIFT,
				       NULL);
			return ARM_MAPPING_ERROR;
		}
		iova += run.length;
	}
	return dma_addr;
}

void arm_iommu_unmap_pages(struct dma_iommu_mapping *mapping, dma_addr_t dma_addr, size_t count)
{
	unmap_and_free(mapping, dma_addr, count, count, __builtin_return_address(0));
}

/* Empty, or reaching over 2^64 once its end is rounded up. */
static bool is_bad(phys_addr_t paddr, size_t size)
{
	return !size || paddr + (size - 1) < paddr || size > SIZE_MAX - 2 * PAGE_SIZE;
}

dma_addr_t arm_iommu_map_page(struct dma_iommu_mapping *mapping, phys_addr_t paddr, size_t size,
			      int prot)
{
	uint64_t offset = paddr & (PAGE_SIZE - 1);
	size_t count = pages_of(paddr, size);
	dma_addr_t iova;

	if (is_bad(paddr, size))
		return ARM_MAPPING_ERROR;
	iova = alloc_iova_range(mapping, count);
	if (iova == ARM_MAPPING_ERROR)
		return iova;
	if (iommu_map(mapping->domain, iova, paddr - offset, count << PAGE_SHIFT, prot,
		      GFP_KERNEL)) {
		unmap_and_free(mapping, iova, count, 0, NULL);
		return ARM_MAPPING_ERROR;
	}
	return iova + offset;
}

dma_addr_t arm_iommu_map_resource(struct dma_iommu_mapping *mapping, phys_addr_t paddr, size_t size,
				  int prot)
{
	return arm_iommu_map_page(mapping, paddr, size, prot | IOMMU_MMIO);
}

void arm_iommu_unmap_page(struct dma_iommu_mapping *mapping, dma_addr_t dma_addr, size_t size)
{
	unmap_and_free(mapping, dma_addr, pages_of(dma_addr, size), pages_of(dma_addr, size),
		       __builtin_return_address(0));
}

/* Map the pieces of one range, which has @size bytes from its first page on. */
static int map_sg_chunk(struct dma_iommu_mapping *mapping, const struct arm_dma_sg *sg, size_t size,
			dma_addr_t *handle, int prot)
{
	size_t count = pages_of(0, size), done = 0;
	dma_addr_t iova = alloc_iova_range(mapping, count);

	if (iova == ARM_MAPPING_ERROR)
		return -ENOMEM;
	for (; done < count; sg++) {
		size_t pages = pages_of(sg->paddr, sg->length);
		int ret = iommu_map(mapping->domain, iova + (done << PAGE_SHIFT),
				    sg->paddr & ~(uint64_t)(PAGE_SIZE - 1), pages << PAGE_SHIFT,
				    prot, GFP_KERNEL);

		if (ret) {
			unmap_and_free(mapping, iova, count, done, NULL);
			return ret;
		}
		done += pages;
	}
	*handle = iova;
	return 0;
}

/* How many pieces from sg[0] on are one range; its @size from its first page on. */
static unsigned int chunk_length(const struct arm_dma_sg *sg, unsigned int nents, size_t max_seg,
				 size_t *size)
{
	unsigned int i = 1;

	*size = (sg->paddr & (PAGE_SIZE - 1)) + sg->length;
	for (; i < nents; i++) {
		if (((sg[i].paddr | *size) & (PAGE_SIZE - 1)) || *size > max_seg ||
		    sg[i].length > max_seg - *size)
			break;
		*size += sg[i].length;
	}
	return i;
}

static bool has_bad_piece(const struct arm_dma_sg *sg, unsigned int nents)
{
	for (unsigned int i = 0; i < nents; i++)
		if (is_bad(sg[i].paddr, sg[i].length))
			return true;
	return false;
}

int arm_iommu_map_sg(struct dma_iommu_mapping *mapping, struct arm_dma_sg *sg, unsigned int nents,
		     size_t max_seg, int prot)
{
	unsigned int ranges = 0, pieces;

	if (!nents || has_bad_piece(sg, nents))
		return -EINVAL;
	for (unsigned int i = 0; i < nents; i++)
		sg[i].dma_length = 0;
	for (unsigned int i = 0; i < nents; i += pieces, ranges++) {
		uint64_t offset = sg[i].paddr & (PAGE_SIZE - 1);
		dma_addr_t handle;
		size_t size;
		int ret;

		pieces = chunk_length(sg + i, nents - i, max_seg, &size);
		ret = map_sg_chunk(mapping, sg + i, size, &handle, prot);
		if (ret) {
			arm_iommu_unmap_sg(mapping, sg, ranges);
			for (i = 0; i < ranges; i++)
				sg[i].dma_length = 0;
			return ret == -ENOMEM ? ret : -EINVAL;
		}
		sg[ranges].dma_address = handle + offset;
		sg[ranges].dma_length = size - offset;
	}
	return (int)ranges;
}

void arm_iommu_unmap_sg(struct dma_iommu_mapping *mapping, const struct arm_dma_sg *sg,
			unsigned int nents)
{
	for (unsigned int i = 0; i < nents; i++)
		if (sg[i].dma_length)
			arm_iommu_unmap_page(mapping, sg[i].dma_address, sg[i].dma_length);
}
