/* SPDX-License-Identifier: MIT */
/* The DMA API, inside: what a domain has for it, and the functions that its files share. */
#ifndef DMA_DMA_H
#define DMA_DMA_H

#include <uiommu/dma-mapping.h>
#include <uiommu/iova.h>
#include <uiommu/trace.h>

#include "core/device.h"
#include "mm/gfp.h"
#include "mm/page.h"
#include "plat/plat.h"

struct iommu_dma_fq;
struct iommu_dma_msi_page;

/*
 * Which rule a field follows:
 *
 * (c) constant once the domain has the cookie (a) atomic (m) under msi_lock
 */
struct iommu_dma_cookie {
	struct iommu_domain_cookie cookie;
	struct iommu_domain *domain;          /* (c) */
	struct iova_domain *iovad;            /* (c) */
	uint64_t mask;                        /* (c) bytes of a granule, minus one */
	unsigned int shift;                   /* (c) log2 of a granule */
	uint64_t first_pfn, last_pfn;         /* (c) of the addresses */
	_Atomic(struct iommu_dma_fq *) fq;    /* (a) NULL in strict mode */
	struct mm_mutex msi_lock;             /* held while memory is allocated */
	struct iommu_dma_msi_page *msi_pages; /* (m) */
};

/* The DMA cookie of a domain, or NULL. */
static inline struct iommu_dma_cookie *domain_dma_cookie(struct iommu_domain *domain)
{
	/* The core's struct is its first member. */
	return (struct iommu_dma_cookie *)atomic_load_explicit(&domain->cookie,
							       memory_order_acquire);
}

/* The DMA cookie of a device's domain; NULL if that was not set up for the device. */
static inline struct iommu_dma_cookie *device_dma_cookie(const struct iommu_device *dev)
{
	struct iommu_domain *domain =
		atomic_load_explicit(&dev->group->default_domain, memory_order_acquire);

	if (unlikely(!domain || dev->dma.domain != domain))
		return NULL;
	return domain_dma_cookie(domain);
}

/*
 * The start of the granule of @address, and the bytes of all granules that @size bytes
 * touch.
 */
static inline uint64_t granule_start(const struct iommu_dma_cookie *cookie, uint64_t address)
{
	return address & ~cookie->mask;
}

static inline uint64_t granule_bytes(const struct iommu_dma_cookie *cookie, uint64_t address,
				     uint64_t size)
{
	return (size + (address & cookie->mask) + cookie->mask) & ~cookie->mask;
}

static inline struct mem_cgroup *dma_owner(const struct iommu_dma_cookie *cookie)
{
	return cookie->domain->pt.owner;
}

/* The flags of the gfp of a caller's buffer that apply to all other allocations. */
static inline gfp_t gfp_beside_buffer(gfp_t gfp)
{
	return gfp & ~(GFP_POLICY_MASK | __GFP_ZERO);
}

/* IOMMU_* for a direction; 0 for an invalid one. */
int dma_info_to_prot(enum dma_data_direction dir, unsigned long attrs);

/* Allocate @bytes of addresses, whole granules, up to @mask. Returns 0 if there are none. */
dma_addr_t iommu_dma_alloc_iova(struct iommu_device *dev, struct iommu_dma_cookie *cookie,
				uint64_t bytes, uint64_t mask, gfp_t gfp);

static inline void iommu_dma_free_iova(struct iommu_dma_cookie *cookie, dma_addr_t iova,
				       uint64_t bytes)
{
	free_iova_fast(cookie->iovad, iova >> cookie->shift, bytes >> cookie->shift);
}

/*
 * Flush the mappings in @gather, and free their addresses. At once; or, with @lazy, by
 * way of a flush queue if the domain has them.
 */
void iommu_dma_finish_unmap(struct iommu_dma_cookie *cookie, dma_addr_t iova, uint64_t bytes,
			    struct iommu_iotlb_gather *gather, bool lazy);

/* Report a range that is not completely mapped, and what the device may still access of it. */
void iommu_dma_unmap_mismatch(struct iommu_device *dev, struct iommu_dma_cookie *cookie,
			      dma_addr_t iova, struct iommu_iotlb_gather *gather) __cold;

/*
 * Unmap granules and free their addresses. Returns false, and reports it, if they are
 * not completely mapped.
 */
bool iommu_dma_unmap(struct iommu_device *dev, struct iommu_dma_cookie *cookie, dma_addr_t iova,
		     uint64_t bytes, bool lazy);

/*
 * Must parts of pages be copied? For the public functions, with the device and the
 * arguments.
 */
static inline bool dma_needs_bounce(const struct iommu_device *dev,
				    const struct iommu_dma_cookie *cookie, uint64_t address,
				    uint64_t size)
{
	return unlikely(dev->dma.untrusted) && ((address | size) & cookie->mask);
}

dma_addr_t dma_map_bounced(struct iommu_device *dev, struct iommu_dma_cookie *cookie,
			   phys_addr_t paddr, size_t size, enum dma_data_direction dir,
			   unsigned long attrs);
void dma_unmap_bounced(struct iommu_device *dev, struct iommu_dma_cookie *cookie, dma_addr_t addr,
		       size_t size, enum dma_data_direction dir, unsigned long attrs);

/*
 * The flush queues of a domain. fq_put() queues addresses that were unmapped. It
 * returns false if they must be flushed now by fq_flush(), which flushes what @gather
 * has and all that is queued, and returns how many queued ranges it has freed.
 */
bool fq_put(struct iommu_dma_fq *fq, dma_addr_t iova, uint64_t bytes);
unsigned long fq_flush(struct iommu_dma_fq *fq, struct iommu_iotlb_gather *gather);
/* Called for each mapping: the queued ranges grow older. */
void fq_tick(struct iommu_dma_fq *fq);
void fq_free(struct iommu_dma_fq *fq);

void iommu_dma_free_msi_pages(struct iommu_dma_cookie *cookie);

/* The public functions without their tracepoints, for lists that are mapped piece by piece. */
dma_addr_t iommu_dma_map_page(struct iommu_device *dev, phys_addr_t paddr, size_t size,
			      enum dma_data_direction dir, unsigned long attrs);
void iommu_dma_unmap_page(struct iommu_device *dev, dma_addr_t addr, size_t size,
			  enum dma_data_direction dir, unsigned long attrs);

extern _Atomic(const struct dma_trace_ops *) dma_trace_set;

static inline bool dma_is_traced(void)
{
	return atomic_load_explicit(&dma_trace_set, memory_order_relaxed) != NULL;
}

/* Call trace_dma(map, dev, ...) to report an event to the tracer, if there is one. */
#define trace_dma(event, ...)                                                       \
	do {                                                                        \
		const struct dma_trace_ops *ops__ =                                 \
			atomic_load_explicit(&dma_trace_set, memory_order_acquire); \
                                                                                    \
		if (unlikely(ops__ != NULL) && ops__->event)                        \
			ops__->event(__VA_ARGS__);                                  \
	} while (0)

#endif
