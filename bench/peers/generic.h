/* SPDX-License-Identifier: MIT */
/*
 * A format of the kernel's generic_pt. Its file includes the kernel's, names the
 * kernel's FORMAT and its CONFIG, our NAME for it, and then includes this.
 */
#include "bench/peers/peer.h"

#define JOIN_NAMES(a, b, c)       JOIN_NAMES_AGAIN(a, b, c)
#define JOIN_NAMES_AGAIN(a, b, c) a##b##c
#define FORMAT_TABLE              struct JOIN_NAMES(pt_iommu_, FORMAT, )
#define FORMAT_CONFIG             struct JOIN_NAMES(pt_iommu_, FORMAT, _cfg)
#define FORMAT_INIT               JOIN_NAMES(pt_iommu_, FORMAT, _init)
#define FORMAT_IOVA_TO_PHYS       JOIN_NAMES(pt_iommu_, FORMAT, _iova_to_phys)

static spinlock_t top_lock;

static void change_top(struct pt_iommu *table, phys_addr_t address, unsigned int level)
{
}

static spinlock_t *get_top_lock(struct pt_iommu *table)
{
	return &top_lock;
}

static const struct pt_iommu_driver_ops driver_ops = {
	.change_top = change_top,
	.get_top_lock = get_top_lock,
};
static const struct iommu_domain_ops domain_ops;

static void *create(const struct peer *peer)
{
	FORMAT_TABLE *table = calloc(1, sizeof(*table));
	const FORMAT_CONFIG config = CONFIG;

	table->iommu.driver_ops = &driver_ops;
	table->iommu.nid = NUMA_NO_NODE;
	table->iommu.domain.ops = &domain_ops;
	if (FORMAT_INIT(table, &config, GFP_KERNEL)) {
		free(table);
		return NULL;
	}
	return table;
}

static void destroy(void *arg)
{
	FORMAT_TABLE *table = arg;

	pt_iommu_deinit(&table->iommu);
	free(table);
}

/* As iommu_map_nosync(): the table code chooses the page sizes. */
static int map(void *arg, uint64_t iova, uint64_t paddr, size_t pgsize, size_t count)
{
	struct pt_iommu *table = &((FORMAT_TABLE *)arg)->iommu;
	size_t mapped = 0;

	return table->ops->map_range(table, iova, paddr, pgsize * count, IOMMU_READ | IOMMU_WRITE,
				     GFP_KERNEL, &mapped);
}

/* Tables are freed at once, as a flush queue would do later. */
static size_t unmap(void *arg, uint64_t iova, size_t pgsize, size_t count)
{
	struct pt_iommu *table = &((FORMAT_TABLE *)arg)->iommu;
	struct iommu_iotlb_gather gather;
	size_t done;

	iommu_iotlb_gather_init(&gather);
	gather.queued = true;
	done = table->ops->unmap_range(table, iova, pgsize * count, &gather);
	iommu_put_pages_list(&gather.freelist);
	return done;
}

static uint64_t lookup(void *arg, uint64_t iova)
{
	return FORMAT_IOVA_TO_PHYS(&((FORMAT_TABLE *)arg)->iommu.domain, iova);
}

static uint64_t table_bytes(void *table)
{
	return pages_bytes_used();
}

PEER(generic, PEER_KERNEL "/" NAME, PEER_BUILD, create, destroy, map, unmap, lookup, table_bytes);
