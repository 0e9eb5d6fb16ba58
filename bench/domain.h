/* SPDX-License-Identifier: MIT */
/* Domains for the benchmarks. Each call must do all that it was asked for. */
#ifndef BENCH_DOMAIN_H
#define BENCH_DOMAIN_H

#include <uiommu/iommu.h>

#include "bench/measure.h"

#define K4 4096ULL
#define M1 (1ULL << 20)
#define M2 (2ULL << 20)
#define G1 (1ULL << 30)
#define PA (64 * G1 + K4) /* one page off, so that 4K pages are not joined */

static inline struct iommu_domain *new_domain(const char *format)
{
	const struct iommu_domain_params params = {.format = format};
	struct iommu_domain *domain = iommu_domain_alloc(&params, GFP_KERNEL_ACCOUNT);

	if (IS_ERR(domain))
		fail("%s: no domain: error %ld", format, PTR_ERR(domain));
	return domain;
}

static inline void map(struct iommu_domain *domain, uint64_t iova, uint64_t paddr, uint64_t size)
{
	int ret =
		iommu_map(domain, iova, paddr, size, IOMMU_READ | IOMMU_WRITE, GFP_KERNEL_ACCOUNT);

	if (ret)
		fail("map %#llx: error %d", (unsigned long long)iova, ret);
}

static inline void unmap(struct iommu_domain *domain, uint64_t iova, uint64_t size)
{
	if (iommu_unmap(domain, iova, size) != size)
		fail("unmap %#llx: not all of it", (unsigned long long)iova);
}

#endif
