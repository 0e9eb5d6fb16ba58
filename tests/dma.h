/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the DMA API share: a device with a domain of its own, behind
 * an IOTLB that counts its flushes, and what that device reads and writes.
 */
#ifndef TESTS_DMA_H
#define TESTS_DMA_H

#include <uiommu/dma-mapping.h>

#include "tests/device.h"
#include "tests/hw.h"

#include "hw/iotlb.h"

struct rig {
	struct mem_cgroup *memcg;
	struct iommu_domain *domain;
	struct iommu_group *group;
	struct hardware hw;
	struct iommu_device *dev;
	struct hw_iotlb *iotlb;
	unsigned int flushes;
	uint64_t page, last;
};

static inline void rig_flush(void *context, struct iommu_domain *domain, dma_addr_t iova,
			     dma_addr_t last, bool tables)
{
	struct rig *rig = context;

	__atomic_fetch_add(&rig->flushes, 1, __ATOMIC_SEQ_CST);
	hw_iotlb_invalidate(rig->iotlb, 1, iova, last, tables);
}

static const struct iommu_iotlb_ops rig_iotlb_ops = {.flush = rig_flush};

/* All but the set-up: regions may still be added to rig->hw. */
static inline void rig_prepare(struct rig *rig, const struct iommu_format *format,
			       unsigned int width)
{
	const struct hw_iotlb_shape shape = {
		.sets = 64, .ways = 4, .table_sets = 8, .table_ways = 4};

	*rig = (struct rig){.page = smallest_page(format)};
	rig->memcg = enter_cgroup(NULL);
	rig->domain =
		alloc_domain(&(struct shape){format, width}, IOMMU_DOMAIN_DMA, GFP_KERNEL_ACCOUNT);
	assert_false(IS_ERR(rig->domain));
	rig->last = domain_info(rig->domain).aperture_last;
	rig->iotlb = hw_iotlb_create(&shape);
	assert_non_null(rig->iotlb);
	iommu_domain_set_iotlb_ops(rig->domain, &rig_iotlb_ops, rig);
	rig->group = iommu_group_alloc(GFP_KERNEL_ACCOUNT);
	assert_false(IS_ERR(rig->group));
	rig->dev = new_device(&rig->hw, rig->group);
	assert_int_equal(iommu_group_set_default_domain(rig->group, rig->domain), 0);
}

static inline void rig_begin(struct rig *rig, const struct iommu_format *format)
{
	rig_prepare(rig, format, 0);
	assert_int_equal(iommu_setup_dma_ops(rig->dev, GFP_KERNEL_ACCOUNT), 0);
}

static inline void rig_end(struct rig *rig)
{
	iommu_device_unregister(rig->dev);
	iommu_group_put(rig->group);
	iommu_domain_free(rig->domain);
	hw_iotlb_destroy(rig->iotlb);
	leave_cgroup(rig->memcg);
}

/* Every format with addresses for all that the tests map, in its usual width. */
static inline const struct iommu_format *next_dma_format(const struct iommu_format *format)
{
	while ((format = iommu_format_next(format)))
		if (format->width_default > 32 && hw_format_of(format))
			break;
	return format;
}

#define for_each_dma_format(f) for (const struct iommu_format *f = NULL; (f = next_dma_format(f));)

/* One access of the device, through the IOTLB. */
static inline enum hw_fault rig_access(struct rig *rig, uint64_t iova, unsigned int access,
				       struct hw_translation *out)
{
	struct hw_tables tables = hw_tables_of(rig->domain);

	return hw_iotlb_translate(rig->iotlb, 1, &tables, iova, access, out);
}

static inline bool rig_is_mapped(struct rig *rig, uint64_t iova)
{
	struct hw_translation out;

	return rig_access(rig, iova, 0, &out) == HW_FAULT_NONE;
}

/* What the device reads or writes; stops before the first byte that it cannot reach. */
static inline size_t rig_dma(struct rig *rig, uint64_t iova, void *data, size_t bytes, bool write)
{
	size_t done = 0;

	while (done < bytes) {
		size_t chunk = rig->page - ((iova + done) & (rig->page - 1));
		struct hw_translation out;
		char *memory;

		if (chunk > bytes - done)
			chunk = bytes - done;
		if (rig_access(rig, iova + done, write ? HW_WRITE : HW_READ, &out))
			break;
		memory = (char *)phys_to_virt(out.paddr);
		if (write)
			memcpy(memory, (char *)data + done, chunk);
		else
			memcpy((char *)data + done, memory, chunk);
		done += chunk;
	}
	return done;
}

static inline unsigned int rig_stale(struct rig *rig)
{
	struct hw_tables tables = hw_tables_of(rig->domain);

	return hw_iotlb_check(rig->iotlb, 1, &tables, NULL);
}

/* Memory of the caller's: page-aligned, filled with random bytes. */
static inline unsigned char *new_memory(size_t bytes, uint64_t *random)
{
	unsigned char *memory = aligned_alloc(65536, (bytes + 65535) & ~(size_t)65535);

	assert_non_null(memory);
	for (size_t i = 0; i < bytes; i++)
		memory[i] = (unsigned char)(1 + random_below(random, 255)); /* never 0 */
	return memory;
}

static inline uint64_t paddr_of(const void *memory)
{
	return virt_to_phys(memory);
}

/* The device's access rights by direction. */
static inline unsigned int access_of(enum dma_data_direction dir)
{
	static const unsigned int access[] = {
		[DMA_BIDIRECTIONAL] = HW_READ | HW_WRITE,
		[DMA_TO_DEVICE] = HW_READ,
		[DMA_FROM_DEVICE] = HW_WRITE,
	};

	return access[dir];
}

#endif
