/* SPDX-License-Identifier: MIT */
/*
 * Bounce buffers for devices that are not trusted. If such a device may access only a
 * part of a page, it gets a page of the library's with a copy of that part and zeros
 * around it. The whole pages of a mapping are mapped as they are.
 *
 * Which pages of a mapping are copies follows from its address and size. The tables
 * tell which page a copy is, and its struct page tells the address that it replaces.
 */
#include "dma/dma.h"

#include "plat/string.h"

enum way {
	TO_COPY,
	FROM_COPY,
};

static void *original(struct iommu_device *dev, phys_addr_t paddr)
{
	return dev->dma.phys_to_virt ? dev->dma.phys_to_virt(dev, paddr) : phys_to_virt(paddr);
}

/* Copy @bytes from @offset on, in one direction or the other. */
static void bounce(struct iommu_device *dev, struct page *copy, uint64_t offset, size_t bytes,
		   enum way way)
{
	char *mine = (char *)page_address(copy) + offset;
	void *theirs = original(dev, copy->bounce_paddr + offset);

	if (way == TO_COPY)
		memcpy(mine, theirs, bytes);
	else
		memcpy(theirs, mine, bytes);
}

/* Allocate a page, full of zeros, for the copy of the granule at @paddr. */
static struct page *copy_alloc(const struct iommu_dma_cookie *cookie, phys_addr_t paddr)
{
	unsigned int order = cookie->shift > PAGE_SHIFT ? cookie->shift - PAGE_SHIFT : 0;
	struct page *copy =
		alloc_pages(GFP_ATOMIC | __GFP_ZERO, order, dma_owner(cookie), PAGE_BOUNCE);

	if (copy)
		copy->bounce_paddr = paddr;
	return copy;
}

/* The parts of a mapping: a part of a granule, whole granules, a part of another one. */
struct parts {
	uint64_t start, end; /* of the granules of the mapping */
	uint64_t head;       /* bytes of the mapping in a copied first granule */
	uint64_t tail;       /* bytes of the mapping in a copied last granule */
};

/* @address may be either the input or the physical address of a mapping. */
static struct parts find_parts(const struct iommu_dma_cookie *cookie, uint64_t address,
			       uint64_t size)
{
	uint64_t offset = address & cookie->mask, granule = cookie->mask + 1;
	struct parts parts = {.start = address - offset};

	parts.end = parts.start + granule_bytes(cookie, address, size);
	if (offset || size < granule)
		parts.head = MIN(size, granule - offset);
	if (size > parts.head)
		parts.tail = (offset + size) & cookie->mask;
	return parts;
}

/* The copies of one mapping; NULL where there is none. */
struct copies {
	struct page *head, *tail;
};

static void copies_free(struct copies copies)
{
	if (copies.head)
		free_pages(copies.head);
	if (copies.tail)
		free_pages(copies.tail);
}

static void copies_bounce(struct iommu_device *dev, struct copies copies, uint64_t offset,
			  const struct parts *parts, enum way way)
{
	if (copies.head)
		bounce(dev, copies.head, offset, parts->head, way);
	if (copies.tail)
		bounce(dev, copies.tail, 0, parts->tail, way);
}

static int copies_alloc(const struct iommu_dma_cookie *cookie, const struct parts *parts,
			struct copies *copies)
{
	*copies = (struct copies){NULL, NULL};
	if (parts->head)
		copies->head = copy_alloc(cookie, parts->start);
	if (parts->tail)
		copies->tail = copy_alloc(cookie, parts->end - (cookie->mask + 1));
	if ((parts->head && !copies->head) || (parts->tail && !copies->tail)) {
		copies_free(*copies);
		return -ENOMEM;
	}
	return 0;
}

static int map_parts(const struct iommu_dma_cookie *cookie, dma_addr_t iova,
		     const struct parts *parts, struct copies copies, int prot)
{
	uint64_t granule = cookie->mask + 1, start = parts->start, end = parts->end;
	struct iommu_sg sg[3];
	unsigned int nents = 0;

	if (copies.head) {
		sg[nents++] = (struct iommu_sg){virt_to_phys(page_address(copies.head)), granule};
		start += granule;
	}
	if (copies.tail)
		end -= granule;
	if (end != start)
		sg[nents++] = (struct iommu_sg){start, end - start};
	if (copies.tail)
		sg[nents++] = (struct iommu_sg){virt_to_phys(page_address(copies.tail)), granule};
	return iommu_map_sg(cookie->domain, iova, sg, nents, prot, GFP_ATOMIC) < 0 ? -ENOMEM : 0;
}

/*
 * The contents are copied also for a device that only writes: it may not write all of
 * them, and unmapping copies everything back.
 */
dma_addr_t dma_map_bounced(struct iommu_device *dev, struct iommu_dma_cookie *cookie,
			   phys_addr_t paddr, size_t size, enum dma_data_direction dir,
			   unsigned long attrs)
{
	struct parts parts = find_parts(cookie, paddr, size);
	uint64_t bytes = parts.end - parts.start;
	int prot = dma_info_to_prot(dir, attrs);
	struct copies copies;
	dma_addr_t iova;

	if (!prot || !size || bytes < size || paddr + (size - 1) < paddr)
		return DMA_MAPPING_ERROR;
	if (copies_alloc(cookie, &parts, &copies))
		return DMA_MAPPING_ERROR;
	copies_bounce(dev, copies, paddr - parts.start, &parts, TO_COPY);
	iova = iommu_dma_alloc_iova(dev, cookie, bytes, dev->dma.mask, GFP_ATOMIC);
	if (!iova)
		goto free_copies;
	if (map_parts(cookie, iova, &parts, copies, prot))
		goto free_iova;
	return iova + (paddr - parts.start);

free_iova:
	iommu_dma_free_iova(cookie, iova, bytes);
free_copies:
	copies_free(copies);
	return DMA_MAPPING_ERROR;
}

/* The copy that the device uses at an address; NULL if it uses the caller's memory. */
static struct page *find_copy(const struct iommu_dma_cookie *cookie, dma_addr_t iova)
{
	phys_addr_t paddr = iommu_iova_to_phys(cookie->domain, granule_start(cookie, iova));
	struct page *page = paddr ? phys_to_page(paddr) : NULL;

	return page && page->use == PAGE_BOUNCE ? page : NULL;
}

/* The device has lost its access before the bytes are copied back, so they cannot change. */
void dma_unmap_bounced(struct iommu_device *dev, struct iommu_dma_cookie *cookie, dma_addr_t addr,
		       size_t size, enum dma_data_direction dir, unsigned long attrs)
{
	struct parts parts = find_parts(cookie, addr, size);
	struct copies copies = {NULL, NULL};

	if (parts.head)
		copies.head = find_copy(cookie, parts.start);
	if (parts.tail)
		copies.tail = find_copy(cookie, parts.end - 1);
	if (!iommu_dma_unmap(dev, cookie, parts.start, parts.end - parts.start, false))
		return;
	if (dir != DMA_TO_DEVICE && !(attrs & DMA_ATTR_SKIP_CPU_SYNC))
		copies_bounce(dev, copies, addr - parts.start, &parts, FROM_COPY);
	copies_free(copies);
}

/* Only the ends of a mapping can be copies, so only those of a part of it can be. */
static void sync_part(struct iommu_device *dev, dma_addr_t addr, size_t size, enum way way)
{
	const struct iommu_dma_cookie *cookie = device_dma_cookie(dev);
	uint64_t first_bytes;
	struct page *copy;

	if (!cookie || !dev->dma.untrusted || !size)
		return;
	first_bytes = MIN(size, cookie->mask + 1 - (addr & cookie->mask));
	copy = find_copy(cookie, addr);
	if (copy)
		bounce(dev, copy, addr & cookie->mask, first_bytes, way);
	if (size == first_bytes)
		return;
	copy = find_copy(cookie, addr + size - 1);
	if (copy)
		bounce(dev, copy, 0, ((addr + size - 1) & cookie->mask) + 1, way);
}

void dma_sync_single_for_cpu(struct iommu_device *dev, dma_addr_t addr, size_t size,
			     enum dma_data_direction dir)
{
	if (dir != DMA_TO_DEVICE)
		sync_part(dev, addr, size, FROM_COPY);
}

void dma_sync_single_for_device(struct iommu_device *dev, dma_addr_t addr, size_t size,
				enum dma_data_direction dir)
{
	if (dir != DMA_FROM_DEVICE)
		sync_part(dev, addr, size, TO_COPY);
}
