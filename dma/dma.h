/* SPDX-License-Identifier: MIT */
/*
 * The DMA API, inside: what a domain has for it, and the calls that its files
 * share.
 */
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
 * Who may touch a field:
 * (c) constant once the domain has the cookie
 * (a) atomic
 * (m) under msi_lock
 */
struct iommu_dma_cookie {
	struct iommu_domain_cookie cookie;
	struct iommu_domain *domain;          /* (c) */
	struct iova_domain *iovad;            /* (c) */
	uint64_t mask;                        /* (c) bytes of a granule, less one */
	unsigned int shift;                   /* (c) log2 of a granule */
	uint64_t first_pfn, last_pfn;         /* (c) of the addresses */
	_Atomic(struct iommu_dma_fq *) fq;    /* (a) NULL in strict mode */
	struct mm_mutex msi_lock;             /* held over allocations */
	struct iommu_dma_msi_page *msi_pages; /* (m) */
};

/* The cookie of a domain, or NULL. */
static inline struct iommu_dma_cookie *domain_dma_cookie(struct iommu_domain *domain)
{
	/* It begins with the core's part. */
	return (struct iommu_dma_cookie *)atomic_load_explicit(&domain->cookie,
							       memory_order_acquire);
}

/* That of the domain which a device uses; NULL when it was not set up for that. */
static inline struct iommu_dma_cookie *device_dma_cookie(const struct iommu_device *dev)
{
	struct iommu_domain *domain =
		atomic_load_explicit(&dev->group->default_domain, memory_order_acquire);

	if (unlikely(!domain || dev->dma.domain != domain))
		return NULL;
	return domain_dma_cookie(domain);
}

/* The first granule of @address, and the bytes of all that @size bytes there touch. */
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

/* What of the gfp of a caller's buffer counts for everything else. */
static inline gfp_t gfp_beside_buffer(gfp_t gfp)
{
	return gfp & ~(GFP_POLICY_MASK | __GFP_ZERO);
}

/* IOMMU_* for a direction; 0 for one that is none. */
int dma_info_to_prot(enum dma_data_direction dir, unsigned long attrs);

/* @bytes of addresses, whole granules, up to @mask; 0 when there are none. */
dma_addr_t iommu_dma_alloc_iova(struct iommu_device *dev, struct iommu_dma_cookie *cookie,
				uint64_t bytes, uint64_t mask, gfp_t gfp);

static inline void iommu_dma_free_iova(struct iommu_dma_cookie *cookie, dma_addr_t iova,
				       uint64_t bytes)
{
	free_iova_fast(cookie->iovad, iova >> cookie->shift, bytes >> cookie->shift);
}

/*
 * Addresses whose mappings are in @gather: devices are to forget the one, and
 * the other can be used again. At once, or with @lazy when the domain likes.
 */
void iommu_dma_finish_unmap(struct iommu_dma_cookie *cookie, dma_addr_t iova, uint64_t bytes,
			    struct iommu_iotlb_gather *gather, bool lazy);

/* Report a range that is not mapped as a whole, with what the device may still see of it. */
void iommu_dma_unmap_mismatch(struct iommu_device *dev, struct iommu_dma_cookie *cookie,
			      dma_addr_t iova, struct iommu_iotlb_gather *gather) __cold;

/* Unmap and give back granules; false (and reported) for what is not mapped as a whole. */
bool iommu_dma_unmap(struct iommu_device *dev, struct iommu_dma_cookie *cookie, dma_addr_t iova,
		     uint64_t bytes, bool lazy);

/* Mappings of which parts of pages are copied; of the public functions for such devices. */
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
 * The flush queues of a domain. fq_put() queues addresses that were unmapped; false
 * when they must be flushed now, which fq_flush() does, with what @gather has and
 * all that is queued. It tells how many queued ranges came free.
 */
bool fq_put(struct iommu_dma_fq *fq, dma_addr_t iova, uint64_t bytes);
unsigned long fq_flush(struct iommu_dma_fq *fq, struct iommu_iotlb_gather *gather);
/* A call that maps has come: what is queued grows older. */
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

/* Tell who traces, if anybody does: trace_dma(map, dev, ...). */
#define trace_dma(event, ...)                                                       \
	do {                                                                        \
		const struct dma_trace_ops *ops__ =                                 \
			atomic_load_explicit(&dma_trace_set, memory_order_acquire); \
                                                                                    \
		if (unlikely(ops__ != NULL) && ops__->event)                        \
			ops__->event(__VA_ARGS__);                                  \
	} while (0)

#endif
