/* SPDX-License-Identifier: MIT */
/*
 * One contiguous piece of memory: allocating an address, mapping, and unmapping. The
 * order of unmapping matters: the mapping is removed, devices forget it, and only then
 * may the address be used again.
 */
#include "dma/dma.h"

#include "mm/warn.h"

int dma_info_to_prot(enum dma_data_direction dir, unsigned long attrs)
{
	static const uint8_t prot[] = {
		[DMA_BIDIRECTIONAL] = IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE,
		[DMA_TO_DEVICE] = IOMMU_READ | IOMMU_CACHE,
		[DMA_FROM_DEVICE] = IOMMU_WRITE | IOMMU_CACHE,
	};

	if (unlikely((unsigned int)dir >= ARRAY_SIZE(prot)))
		return 0;
	return prot[dir] | (attrs & DMA_ATTR_PRIVILEGED ? IOMMU_PRIV : 0);
}

static uint64_t alloc_pfn(struct iommu_device *dev, struct iommu_dma_cookie *cookie, uint64_t size,
			  uint64_t limit, gfp_t gfp)
{
	uint64_t low = UINT32_MAX >> cookie->shift, pfn;

	/*
	 * Below 4 GiB first: whether a device sends all bits of its addresses correctly
	 * is not known before it must. If an allocation there has failed once, it is
	 * not tried again.
	 */
	if (limit > low && !atomic_load_explicit(&dev->dma.above_4g, memory_order_relaxed)) {
		pfn = alloc_iova_fast(cookie->iovad, size, low, false, gfp);
		if (likely(pfn))
			return pfn;
		atomic_store_explicit(&dev->dma.above_4g, true, memory_order_relaxed);
	}
	return alloc_iova_fast(cookie->iovad, size, limit, true, gfp);
}

dma_addr_t iommu_dma_alloc_iova(struct iommu_device *dev, struct iommu_dma_cookie *cookie,
				uint64_t bytes, uint64_t mask, gfp_t gfp)
{
	struct iommu_dma_fq *fq = atomic_load_explicit(&cookie->fq, memory_order_acquire);
	uint64_t limit = MIN(mask >> cookie->shift, cookie->last_pfn);
	uint64_t size = bytes >> cookie->shift;
	struct iommu_iotlb_gather gather;
	uint64_t pfn;

	if (unlikely(fq))
		fq_tick(fq);
	pfn = alloc_pfn(dev, cookie, size, limit, gfp);
	if (unlikely(!pfn && fq)) {
		iommu_iotlb_gather_init(&gather);
		if (fq_flush(fq, &gather))
			pfn = alloc_pfn(dev, cookie, size, limit, gfp);
	}
	return pfn << cookie->shift;
}

static inline dma_addr_t map_granules(struct iommu_device *dev, struct iommu_dma_cookie *cookie,
				      phys_addr_t paddr, size_t size, int prot)
{
	uint64_t bytes = granule_bytes(cookie, paddr, size);
	dma_addr_t iova;

	/* It wraps, or is as large as that. */
	if (unlikely(!size || bytes < size || paddr + (size - 1) < paddr))
		return DMA_MAPPING_ERROR;
	iova = iommu_dma_alloc_iova(dev, cookie, bytes, dev->dma.mask, GFP_ATOMIC);
	if (unlikely(!iova))
		return DMA_MAPPING_ERROR;
	if (unlikely(iommu_map(cookie->domain, iova, granule_start(cookie, paddr), bytes, prot,
			       GFP_ATOMIC))) {
		iommu_dma_free_iova(cookie, iova, bytes);
		return DMA_MAPPING_ERROR;
	}
	return iova + (paddr & cookie->mask);
}

void iommu_dma_finish_unmap(struct iommu_dma_cookie *cookie, dma_addr_t iova, uint64_t bytes,
			    struct iommu_iotlb_gather *gather, bool lazy)
{
	struct iommu_dma_fq *fq = atomic_load_explicit(&cookie->fq, memory_order_acquire);

	if (unlikely(fq && lazy)) {
		/*
		 * Tables do not wait in a queue: until their flush, each call that maps
		 * would need a flush of its own (pgtable/engine.h). So flush now.
		 */
		if (!gather->pending && fq_put(fq, iova, bytes))
			return;
		fq_flush(fq, gather);
	} else {
		iommu_iotlb_sync_if_needed(cookie->domain, gather);
	}
	iommu_dma_free_iova(cookie, iova, bytes);
}

void iommu_dma_unmap_mismatch(struct iommu_device *dev, struct iommu_dma_cookie *cookie,
			      dma_addr_t iova, struct iommu_iotlb_gather *gather)
{
	static atomic_uint said;

	iommu_iotlb_sync_if_needed(cookie->domain, gather);
	mm_warn_once(&said, "DMA unmap of what is not mapped as a whole, address, device",
		     dev->name, iova);
}

__hot bool iommu_dma_unmap(struct iommu_device *dev, struct iommu_dma_cookie *cookie,
			   dma_addr_t iova, uint64_t bytes, bool lazy)
{
	struct iommu_iotlb_gather gather;

	iommu_iotlb_gather_init(&gather);
	if (unlikely(iommu_unmap_fast(cookie->domain, iova, bytes, &gather) != bytes)) {
		iommu_dma_unmap_mismatch(dev, cookie, iova, &gather);
		return false;
	}
	iommu_dma_finish_unmap(cookie, iova, bytes, &gather, lazy);
	return true;
}

static inline __attribute__((always_inline)) dma_addr_t map_page(struct iommu_device *dev,
								 phys_addr_t paddr, size_t size,
								 enum dma_data_direction dir,
								 unsigned long attrs)
{
	struct iommu_dma_cookie *cookie = device_dma_cookie(dev);

	if (unlikely(!cookie))
		return DMA_MAPPING_ERROR;
	if (unlikely(dma_needs_bounce(dev, cookie, paddr, size)))
		return dma_map_bounced(dev, cookie, paddr, size, dir, attrs);
	return map_granules(dev, cookie, paddr, size, dma_info_to_prot(dir, attrs));
}

static inline __attribute__((always_inline)) void unmap_page(struct iommu_device *dev,
							     dma_addr_t addr, size_t size,
							     enum dma_data_direction dir,
							     unsigned long attrs)
{
	struct iommu_dma_cookie *cookie = device_dma_cookie(dev);

	if (unlikely(!cookie))
		return;
	if (unlikely(dma_needs_bounce(dev, cookie, addr, size)))
		dma_unmap_bounced(dev, cookie, addr, size, dir, attrs);
	else
		iommu_dma_unmap(dev, cookie, granule_start(cookie, addr),
				granule_bytes(cookie, addr, size), !dev->dma.untrusted);
}

dma_addr_t iommu_dma_map_page(struct iommu_device *dev, phys_addr_t paddr, size_t size,
			      enum dma_data_direction dir, unsigned long attrs)
{
	return map_page(dev, paddr, size, dir, attrs);
}

void iommu_dma_unmap_page(struct iommu_device *dev, dma_addr_t addr, size_t size,
			  enum dma_data_direction dir, unsigned long attrs)
{
	unmap_page(dev, addr, size, dir, attrs);
}

/* Not inlined, so that the untraced path need not keep the arguments. */
static __cold dma_addr_t map_page_traced(struct iommu_device *dev, phys_addr_t paddr, size_t size,
					 enum dma_data_direction dir, unsigned long attrs)
{
	dma_addr_t addr = iommu_dma_map_page(dev, paddr, size, dir, attrs);

	if (addr != DMA_MAPPING_ERROR)
		trace_dma(map, dev, false, paddr, addr, size, dir, attrs);
	return addr;
}

static __cold void unmap_page_traced(struct iommu_device *dev, dma_addr_t addr, size_t size,
				     enum dma_data_direction dir, unsigned long attrs)
{
	trace_dma(unmap, dev, false, addr, size, dir, attrs);
	iommu_dma_unmap_page(dev, addr, size, dir, attrs);
}

__hot dma_addr_t dma_map_page_attrs(struct iommu_device *dev, phys_addr_t page, size_t offset,
				    size_t size, enum dma_data_direction dir, unsigned long attrs)
{
	if (unlikely(dma_is_traced()))
		return map_page_traced(dev, page + offset, size, dir, attrs);
	return map_page(dev, page + offset, size, dir, attrs);
}

__hot void dma_unmap_page_attrs(struct iommu_device *dev, dma_addr_t addr, size_t size,
				enum dma_data_direction dir, unsigned long attrs)
{
	if (unlikely(dma_is_traced()))
		unmap_page_traced(dev, addr, size, dir, attrs);
	else
		unmap_page(dev, addr, size, dir, attrs);
}

dma_addr_t dma_map_resource(struct iommu_device *dev, phys_addr_t paddr, size_t size,
			    enum dma_data_direction dir, unsigned long attrs)
{
	struct iommu_dma_cookie *cookie = device_dma_cookie(dev);
	int prot = dma_info_to_prot(dir, attrs);
	dma_addr_t addr;

	if (!cookie || !prot)
		return DMA_MAPPING_ERROR;
	addr = map_granules(dev, cookie, paddr, size, (prot & ~IOMMU_CACHE) | IOMMU_MMIO);
	if (addr != DMA_MAPPING_ERROR)
		trace_dma(map, dev, true, paddr, addr, size, dir, attrs);
	return addr;
}

void dma_unmap_resource(struct iommu_device *dev, dma_addr_t addr, size_t size,
			enum dma_data_direction dir, unsigned long attrs)
{
	struct iommu_dma_cookie *cookie = device_dma_cookie(dev);

	trace_dma(unmap, dev, true, addr, size, dir, attrs);
	if (cookie)
		iommu_dma_unmap(dev, cookie, granule_start(cookie, addr),
				granule_bytes(cookie, addr, size), !dev->dma.untrusted);
}
