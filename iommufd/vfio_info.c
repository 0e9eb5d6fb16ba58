/* SPDX-License-Identifier: MIT */
/*
 * VFIO_IOMMU_GET_INFO and its capabilities.
 */
#include <uiommu/abi/vfio.h>

#include "iommufd/iommufd.h"

#define CPU_PAGE_SIZE 4096ull

/* Where the reply's parts are: the struct, the two capabilities, the ranges. */
#define DMA_AVAIL  sizeof(struct vfio_iommu_type1_info)
#define IOVA_RANGE (DMA_AVAIL + (sizeof(struct vfio_iommu_type1_info_dma_avail) + 7) / 8 * 8)
#define RANGES     (IOVA_RANGE + sizeof(struct vfio_iommu_type1_info_cap_iova_range))

/* Sizes below the CPU's page cannot be mapped one by one: the page stands for them. */
static uint64_t page_sizes(const struct iommufd_ioas *ioas)
{
	const struct iommufd_hwpt *hwpt;
	uint64_t sizes = ~0ull;

	list_for_each_entry(hwpt, &ioas->hwpts, hwpt_item)
	{
		struct iommu_domain_info info;

		iommu_domain_get_info(hwpt->domain, &info);
		sizes &= info.pgsizes;
	}
	if (sizes & (CPU_PAGE_SIZE - 1))
		sizes = (sizes & ~(CPU_PAGE_SIZE - 1)) | CPU_PAGE_SIZE;
	return MAX(sizes, ioas->iopt.iova_alignment);
}

struct range_writer {
	struct iommufd_ctx *ctx;
	uint64_t to; /* where the next one goes, or 0 to count only */
	uint32_t nr;
};

static int write_range(void *arg, uint64_t start, uint64_t last)
{
	const struct vfio_iova_range range = {.start = start, .end = last};
	struct range_writer *writer = arg;

	if (writer->to && iommufd_copy_to_user(writer->ctx, writer->to + writer->nr * sizeof(range),
					       &range, sizeof(range)))
		return -EFAULT;
	writer->nr++;
	return 0;
}

/* All capabilities, behind the struct at @arg. */
static int write_caps(struct iommufd_ctx *ctx, struct iommufd_ioas *ioas, uint64_t arg)
{
	const struct vfio_iommu_type1_info_dma_avail avail = {
		.header = {.id = VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, .version = 1, .next = IOVA_RANGE},
		/* The budget is the limit, not a number of mappings. */
		.avail = UINT32_MAX,
	};
	struct vfio_iommu_type1_info_cap_iova_range iova = {
		.header = {.id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, .version = 1},
	};
	struct range_writer writer = {.ctx = ctx, .to = arg + RANGES};
	int rc = iopt_for_each_usable(&ioas->iopt, write_range, &writer);

	iova.nr_iovas = writer.nr;
	if (rc || iommufd_copy_to_user(ctx, arg + DMA_AVAIL, &avail, sizeof(avail)) ||
	    iommufd_copy_to_user(ctx, arg + IOVA_RANGE, &iova, sizeof(iova)))
		return -EFAULT;
	return 0;
}

int iommufd_vfio_get_info(struct iommufd_ctx *ctx, uint64_t arg)
{
	struct vfio_iommu_type1_info info = {.argsz = 0};
	const size_t minimum = offsetof(struct vfio_iommu_type1_info, cap_offset);
	struct range_writer counter = {.ctx = ctx};
	struct iommufd_ioas *ioas = ctx->vfio_ioas;
	size_t known, all;

	if (iommufd_copy_from_user(ctx, &info, arg, minimum))
		return -EFAULT;
	if (info.argsz < minimum)
		return -EINVAL;
	if (!ioas)
		return -ENODEV;
	iopt_for_each_usable(&ioas->iopt, write_range, &counter);
	all = RANGES + counter.nr * sizeof(struct vfio_iova_range);
	known = MIN(info.argsz, sizeof(info));
	if (info.argsz >= all) {
		if (write_caps(ctx, ioas, arg))
			return -EFAULT;
		info.cap_offset = DMA_AVAIL;
	}
	info.argsz = (uint32_t)all;
	info.flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
	info.iova_pgsizes = page_sizes(ioas);
	return iommufd_copy_to_user(ctx, arg, &info, known);
}
