/* SPDX-License-Identifier: MIT */
/* The AMD driver's own table code, which was there before generic_pt. */
#include "drivers/iommu/amd/io_pgtable.c"

#include "bench/peers/peer.h"

/* What the rest of the driver defines for it. */
unsigned long amd_iommu_pgsize_bitmap = AMD_IOMMU_PGSIZES;
u64 amd_iommu_efr, amd_iommu_efr2;
struct list_head ioapic_map, hpet_map;

void amd_iommu_update_and_flush_device_table(struct protection_domain *domain)
{
}

void amd_iommu_domain_flush_pages(struct protection_domain *domain, u64 address, size_t size)
{
}

static void *create(const struct peer *peer)
{
	struct protection_domain *domain = calloc(1, sizeof(*domain));

	spin_lock_init(&domain->lock);
	domain->iop.pgtbl.cfg.amd.nid = NUMA_NO_NODE;
	if (!io_pgtable_amd_iommu_v1_init_fns.alloc(&domain->iop.pgtbl.cfg, domain)) {
		free(domain);
		return NULL;
	}
	domain->iop.pgtbl.fmt = AMD_IOMMU_V1;
	return domain;
}

static void destroy(void *arg)
{
	struct protection_domain *domain = arg;

	io_pgtable_amd_iommu_v1_init_fns.free(&domain->iop.pgtbl);
	free(domain);
}

static int map(void *arg, uint64_t iova, uint64_t paddr, size_t pgsize, size_t count)
{
	struct io_pgtable_ops *ops = &((struct protection_domain *)arg)->iop.pgtbl.ops;
	size_t mapped = 0;

	return ops->map_pages(ops, iova, paddr, pgsize, count, IOMMU_PROT_IR | IOMMU_PROT_IW,
			      GFP_KERNEL, &mapped);
}

static size_t unmap(void *arg, uint64_t iova, size_t pgsize, size_t count)
{
	struct io_pgtable_ops *ops = &((struct protection_domain *)arg)->iop.pgtbl.ops;

	return ops->unmap_pages(ops, iova, pgsize, count, NULL);
}

static uint64_t lookup(void *arg, uint64_t iova)
{
	struct io_pgtable_ops *ops = &((struct protection_domain *)arg)->iop.pgtbl.ops;

	return ops->iova_to_phys(ops, iova);
}

static uint64_t table_bytes(void *domain)
{
	return pages_bytes_used();
}

PEER(amdv1, PEER_KERNEL "/amdv1", PEER_BUILD, create, destroy, map, unmap, lookup, table_bytes);
