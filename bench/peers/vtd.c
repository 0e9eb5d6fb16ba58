/* SPDX-License-Identifier: MIT */
/*
 * Second-stage tables as the VT-d driver wrote them before generic_pt. That part
 * of it is no file of its own: build.py takes the functions out.
 */
#include <linux/iommu.h>
#include <linux/sizes.h>

#include "drivers/iommu/iommu-pages.h"

/* No device is attached, nothing debugged. */
#define cache_tag_flush_range(domain, start, last, hint) ((void)(domain))
#define debug_dma_dump_mappings(dev)                     ((void)0)

#include "vtd_extract.h"

#include "bench/peers/peer.h"

#define WIDTH 48

static void *create(const struct peer *peer)
{
	struct dmar_domain *domain = calloc(1, sizeof(*domain));

	domain->nid = NUMA_NO_NODE;
	domain->iommu_coherency = 1;
	domain->iommu_superpage = 2; /* up to 1 GiB */
	domain->gaw = WIDTH;
	domain->agaw = width_to_agaw(WIDTH);
	domain->pgd = iommu_alloc_page_node(domain->nid, GFP_ATOMIC);
	return domain;
}

static void destroy(void *arg)
{
	struct dmar_domain *domain = arg;
	LIST_HEAD(tables);

	domain_unmap(domain, 0, DOMAIN_MAX_PFN(domain->gaw), &tables);
	iommu_put_pages_list(&tables);
	free(domain);
}

static int map(void *arg, uint64_t iova, uint64_t paddr, size_t pgsize, size_t count)
{
	struct dmar_domain *domain = arg;
	size_t mapped = 0;

	return intel_iommu_map_pages(&domain->domain, iova, paddr, pgsize, count,
				     IOMMU_READ | IOMMU_WRITE, GFP_KERNEL, &mapped);
}

static size_t unmap(void *arg, uint64_t iova, size_t pgsize, size_t count)
{
	struct dmar_domain *domain = arg;
	struct iommu_iotlb_gather gather;
	size_t done;

	iommu_iotlb_gather_init(&gather);
	gather.queued = true;
	done = intel_iommu_unmap_pages(&domain->domain, iova, pgsize, count, &gather);
	intel_iommu_tlb_sync(&domain->domain, &gather); /* frees the tables that went */
	return done;
}

static uint64_t lookup(void *arg, uint64_t iova)
{
	struct dmar_domain *domain = arg;

	return intel_iommu_iova_to_phys(&domain->domain, iova);
}

static uint64_t table_bytes(void *domain)
{
	return pages_bytes_used();
}

PEER(vtd, PEER_KERNEL "/vtd", PEER_BUILD, create, destroy, map, unmap, lookup, table_bytes);
