/* SPDX-License-Identifier: MIT */
/*
 * Our side: the public API of the library as it is shipped, with everything that
 * it does for a caller, charged to a memory cgroup.
 */
#include <string.h>

#include <uiommu/iommu.h>

#include "bench/peers/peer.h"

static void *create(const struct peer *peer)
{
	const struct iommu_domain_params params = {.format = strchr(peer->impl, '/') + 1};
	struct iommu_domain *domain = iommu_domain_alloc(&params, GFP_KERNEL_ACCOUNT);

	return IS_ERR(domain) ? NULL : domain;
}

static void destroy(void *domain)
{
	iommu_domain_free(domain);
}

static int map(void *domain, uint64_t iova, uint64_t paddr, size_t pgsize, size_t count)
{
	return iommu_map(domain, iova, paddr, pgsize * count, IOMMU_READ | IOMMU_WRITE,
			 GFP_KERNEL_ACCOUNT);
}

static size_t unmap(void *domain, uint64_t iova, size_t pgsize, size_t count)
{
	return iommu_unmap(domain, iova, pgsize * count);
}

static uint64_t lookup(void *domain, uint64_t iova)
{
	return iommu_iova_to_phys(domain, iova);
}

static uint64_t table_bytes(void *domain)
{
	struct iommu_domain_info info;

	iommu_domain_get_info(domain, &info);
	return info.table_bytes;
}

#define UIOMMU(name, format) \
	PEER(name, "uiommu/" format, "as shipped", create, destroy, map, unmap, lookup, table_bytes)

UIOMMU(vtd, "vtd");
UIOMMU(x86_64, "x86_64");
UIOMMU(amdv1, "amdv1");
UIOMMU(arm64_s1, "arm64-s1");
UIOMMU(riscv64, "riscv64");
