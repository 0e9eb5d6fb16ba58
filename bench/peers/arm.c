/* SPDX-License-Identifier: MIT */
/*
 * The kernel's io-pgtable-arm.c, 64-bit formats of both stages, under what
 * __iommu_map(), __iommu_unmap() and arm-smmu-v3 do around it.
 */
#include "drivers/iommu/io-pgtable-arm.c"

#include "bench/peers/peer.h"

static void flush_all(void *cookie)
{
}

static void flush_walk(unsigned long iova, size_t size, size_t granule, void *cookie)
{
}

static void gather_page(struct iommu_iotlb_gather *gather, unsigned long iova, size_t granule,
			void *cookie)
{
	iommu_iotlb_gather_add_page(cookie, gather, iova, granule);
}

static const struct iommu_flush_ops flush_ops = {
	.tlb_flush_all = flush_all,
	.tlb_flush_walk = flush_walk,
	.tlb_add_page = gather_page,
};
static const struct iommu_domain_ops domain_ops;
static struct iommu_domain domain = {.ops = &domain_ops};
static struct device device;

static void *create(enum io_pgtable_fmt format, struct io_pgtable_init_fns *fns)
{
	struct io_pgtable_cfg cfg = {
		.pgsize_bitmap = SZ_4K | SZ_2M | SZ_1G,
		.ias = 48,
		.oas = 48,
		.coherent_walk = true,
		.tlb = &flush_ops,
		.iommu_dev = &device,
	};
	struct io_pgtable *table = fns->alloc(&cfg, &domain);

	if (!table)
		return NULL;
	table->fmt = format;
	table->cookie = &domain;
	table->cfg = cfg;
	return &table->ops;
}

static void *create_s1(const struct peer *peer)
{
	return create(ARM_64_LPAE_S1, &io_pgtable_arm_64_lpae_s1_init_fns);
}

static void *create_s2(const struct peer *peer)
{
	return create(ARM_64_LPAE_S2, &io_pgtable_arm_64_lpae_s2_init_fns);
}

static void destroy(void *ops)
{
	io_pgtable_arm_64_lpae_s1_init_fns.free(io_pgtable_ops_to_pgtable(ops));
}

/* A call of the kernel's function maps at most to the end of a table. */
static int map(void *arg, uint64_t iova, uint64_t paddr, size_t pgsize, size_t count)
{
	struct io_pgtable_ops *ops = arg;

	while (count) {
		size_t mapped = 0;
		int ret =
			ops->map_pages(ops, iova, paddr, pgsize, count,
				       IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE, GFP_KERNEL, &mapped);

		if (ret)
			return ret;
		iova += mapped;
		paddr += mapped;
		count -= mapped / pgsize;
	}
	return 0;
}

static size_t unmap(void *arg, uint64_t iova, size_t pgsize, size_t count)
{
	struct io_pgtable_ops *ops = arg;
	struct iommu_iotlb_gather gather;
	size_t done = 0, step;

	iommu_iotlb_gather_init(&gather);
	gather.queued = true;
	do {
		step = ops->unmap_pages(ops, iova + done, pgsize, count - done / pgsize, &gather);
		done += step;
	} while (step && done < pgsize * count);
	return done;
}

static uint64_t lookup(void *arg, uint64_t iova)
{
	struct io_pgtable_ops *ops = arg;

	return ops->iova_to_phys(ops, iova);
}

static uint64_t table_bytes(void *ops)
{
	return pages_bytes_used();
}

#ifdef PEERS_NO_FENCE
#define SUFFIX " no fence"
#else
#define SUFFIX ""
PEER(arm64_s2, PEER_KERNEL "/arm64-s2", PEER_BUILD, create_s2, destroy, map, unmap, lookup,
     table_bytes);
#endif
PEER(arm64_s1, PEER_KERNEL "/arm64-s1" SUFFIX, PEER_BUILD, create_s1, destroy, map, unmap, lookup,
     table_bytes);
