/* SPDX-License-Identifier: MIT */
/*
 * What happens to domains is counted for the report and traced. The linker puts
 * these functions in the place of the core's for the rooms above it (--wrap), so
 * that the core itself has nothing to look at.
 */
#include <uiommu/iommu.h>

#include "plat/compiler.h"
#include "supervisor/supervisor.h"

int __real_iommu_map(struct iommu_domain *domain, dma_addr_t iova, phys_addr_t paddr, size_t size,
		     int prot, gfp_t gfp);
ssize_t __real_iommu_map_sg(struct iommu_domain *domain, dma_addr_t iova, const struct iommu_sg *sg,
			    unsigned int nents, int prot, gfp_t gfp);
size_t __real_iommu_unmap(struct iommu_domain *domain, dma_addr_t iova, size_t size);
size_t __real_iommu_unmap_fast(struct iommu_domain *domain, dma_addr_t iova, size_t size,
			       struct iommu_iotlb_gather *gather);

struct iommu_domain *__real_iommu_domain_alloc(const struct iommu_domain_params *params, gfp_t gfp);

struct iommu_domain *__wrap_iommu_domain_alloc(const struct iommu_domain_params *params, gfp_t gfp);
int __wrap_iommu_map(struct iommu_domain *domain, dma_addr_t iova, phys_addr_t paddr, size_t size,
		     int prot, gfp_t gfp);
ssize_t __wrap_iommu_map_sg(struct iommu_domain *domain, dma_addr_t iova, const struct iommu_sg *sg,
			    unsigned int nents, int prot, gfp_t gfp);
size_t __wrap_iommu_unmap(struct iommu_domain *domain, dma_addr_t iova, size_t size);
size_t __wrap_iommu_unmap_fast(struct iommu_domain *domain, dma_addr_t iova, size_t size,
			       struct iommu_iotlb_gather *gather);

__thread struct report_counters *counters_here;

static inline void add(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static void count_map(uint64_t size)
{
	struct report_counters *c = counters_here;

	if (!c)
		return;
	add(size ? &c->maps : &c->maps_failed, 1);
	add(&c->map_bytes, size);
}

static void count_unmap(uint64_t size)
{
	struct report_counters *c = counters_here;

	if (!c)
		return;
	add(&c->unmaps, 1);
	add(&c->unmap_bytes, size);
}

/* No device caches anything here: this is what one would be told to forget. */
static void count_flush(void *context, struct iommu_domain *domain, dma_addr_t iova,
			dma_addr_t last, bool tables)
{
	struct report_counters *c = counters_here;

	if (!c)
		return;
	add(&c->flushes, 1);
	add(&c->flushed_tables, tables);
}

static const struct iommu_iotlb_ops counting = {.flush = count_flush};

struct iommu_domain *__wrap_iommu_domain_alloc(const struct iommu_domain_params *params, gfp_t gfp)
{
	struct iommu_domain *domain = __real_iommu_domain_alloc(params, gfp);

	if (!IS_ERR(domain))
		iommu_domain_set_iotlb_ops(domain, &counting, NULL);
	return domain;
}

int __wrap_iommu_map(struct iommu_domain *domain, dma_addr_t iova, phys_addr_t paddr, size_t size,
		     int prot, gfp_t gfp)
{
	int ret = __real_iommu_map(domain, iova, paddr, size, prot, gfp);

	count_map(ret ? 0 : size);
	if (unlikely(tracing) && !ret)
		trace_map(iova, paddr, size);
	return ret;
}

/* One event for each run of adjoining pieces, as they are mapped. */
static void trace_pieces(uint64_t iova, const struct iommu_sg *sg, unsigned int nents)
{
	for (unsigned int i = 0; i < nents;) {
		uint64_t paddr = sg[i].paddr, size = 0;

		for (; i < nents && sg[i].paddr == paddr + size; i++)
			size += sg[i].length;
		if (size)
			trace_map(iova, paddr, size);
		iova += size;
	}
}

ssize_t __wrap_iommu_map_sg(struct iommu_domain *domain, dma_addr_t iova, const struct iommu_sg *sg,
			    unsigned int nents, int prot, gfp_t gfp)
{
	ssize_t ret = __real_iommu_map_sg(domain, iova, sg, nents, prot, gfp);

	count_map(ret > 0 ? (uint64_t)ret : 0);
	if (unlikely(tracing) && ret > 0)
		trace_pieces(iova, sg, nents);
	return ret;
}

size_t __wrap_iommu_unmap(struct iommu_domain *domain, dma_addr_t iova, size_t size)
{
	size_t ret = __real_iommu_unmap(domain, iova, size);

	count_unmap(ret);
	if (unlikely(tracing))
		trace_unmap(iova, size, ret);
	return ret;
}

size_t __wrap_iommu_unmap_fast(struct iommu_domain *domain, dma_addr_t iova, size_t size,
			       struct iommu_iotlb_gather *gather)
{
	size_t ret = __real_iommu_unmap_fast(domain, iova, size, gather);

	count_unmap(ret);
	if (unlikely(tracing))
		trace_unmap(iova, size, ret);
	return ret;
}
