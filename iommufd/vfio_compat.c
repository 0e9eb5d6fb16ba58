/* SPDX-License-Identifier: MIT */
/*
 * VFIO's type1 ioctls on /dev/iommu. They know of no IOAS, so one of them is
 * the one that they act on: ctx->vfio_ioas.
 *
 * Type1 proper lets an unmap cut a mapping, which large entries forbid: once
 * VFIO_TYPE1_IOMMU is chosen there are none, and areas are split where an unmap
 * starts and ends.
 */
#include <uiommu/abi/vfio.h>

#include "iommufd/iommufd.h"

#define END_OF(type, member) (offsetof(type, member) + sizeof(((type *)NULL)->member))

static struct iommufd_ioas *compat_ioas(struct iommufd_ctx *ctx)
{
	return ctx->vfio_ioas ? ctx->vfio_ioas : ERR_PTR(-ENODEV);
}

int iommufd_vfio_compat_create(struct iommufd_ctx *ctx)
{
	struct mem_cgroup *before = iommufd_lock(ctx);
	struct iommufd_ioas *ioas;
	int rc = 0;

	if (!ctx->vfio_ioas) {
		ioas = iommufd_ioas_alloc(ctx);
		if (IS_ERR(ioas)) {
			rc = (int)PTR_ERR(ioas);
		} else {
			ctx->vfio_ioas = ioas;
			iommufd_object_finalize(ctx, &ioas->obj);
		}
	}
	iommufd_unlock(ctx, before);
	return rc;
}

void iommufd_vfio_compat_destroy(struct iommufd_ctx *ctx)
{
	struct mem_cgroup *before = iommufd_lock(ctx);
	struct iommufd_ioas *ioas = ctx->vfio_ioas;

	ctx->vfio_ioas = NULL;
	if (ioas)
		iommufd_object_destroy(ctx, &ioas->obj);
	iommufd_unlock(ctx, before);
}

uint32_t iommufd_vfio_compat_ioas(struct iommufd_ctx *ctx)
{
	struct mem_cgroup *before = iommufd_lock(ctx);
	uint32_t id = ctx->vfio_ioas ? ctx->vfio_ioas->obj.id : 0;

	iommufd_unlock(ctx, before);
	return id;
}

int iommufd_vfio_ioas(struct iommufd_ucmd *ucmd)
{
	struct iommu_vfio_ioas *cmd = ucmd->cmd;
	struct iommufd_ctx *ctx = ucmd->ctx;
	struct iommufd_ioas *ioas;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	switch (cmd->op) {
	case IOMMU_VFIO_IOAS_GET:
		ioas = compat_ioas(ctx);
		if (IS_ERR(ioas))
			return (int)PTR_ERR(ioas);
		cmd->ioas_id = ioas->obj.id;
		return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	case IOMMU_VFIO_IOAS_SET:
		ioas = iommufd_get_object(ctx, cmd->ioas_id, IOMMUFD_OBJ_IOAS);
		if (IS_ERR(ioas))
			return (int)PTR_ERR(ioas);
		ctx->vfio_ioas = ioas;
		return 0;
	case IOMMU_VFIO_IOAS_CLEAR:
		ctx->vfio_ioas = NULL;
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

static int check_extension(struct iommufd_ctx *ctx, uint64_t extension)
{
	struct iommufd_ioas *ioas;
	struct iommufd_hwpt *hwpt;

	switch (extension) {
	case VFIO_TYPE1_IOMMU:
	case VFIO_TYPE1v2_IOMMU:
	case VFIO_UNMAP_ALL:
		return 1;
	case VFIO_DMA_CC_IOMMU:
		ioas = compat_ioas(ctx);
		if (IS_ERR(ioas))
			return (int)PTR_ERR(ioas);
		list_for_each_entry(hwpt, &ioas->hwpts,
				    hwpt_item) if (!hwpt->enforce_cache_coherency) return 0;
		return 1;
	default:
		return 0;
	}
}

static int set_iommu(struct iommufd_ctx *ctx, uint64_t type)
{
	struct iommufd_ioas *ioas;

	if (type != VFIO_TYPE1_IOMMU && type != VFIO_TYPE1v2_IOMMU)
		return -EINVAL;
	ioas = compat_ioas(ctx);
	if (IS_ERR(ioas))
		return (int)PTR_ERR(ioas);
	return type == VFIO_TYPE1_IOMMU ? iopt_disable_large_pages(&ioas->iopt) : 0;
}

static int map_dma(struct iommufd_ctx *ctx, uint64_t arg)
{
	struct vfio_iommu_type1_dma_map map;
	struct iommufd_ioas *ioas;
	int prot = IOMMU_CACHE;
	uint64_t iova;

	if (iommufd_copy_from_user(ctx, &map, arg, sizeof(map)))
		return -EFAULT;
	if (map.argsz < sizeof(map) ||
	    map.flags & ~(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE))
		return -EINVAL;
	if (map.flags & VFIO_DMA_MAP_FLAG_READ)
		prot |= IOMMU_READ;
	if (map.flags & VFIO_DMA_MAP_FLAG_WRITE)
		prot |= IOMMU_WRITE;
	ioas = compat_ioas(ctx);
	if (IS_ERR(ioas))
		return (int)PTR_ERR(ioas);
	iova = map.iova;
	return iopt_map_user_pages(&ioas->iopt, &iova, map.vaddr, map.size, prot, IOPT_FIXED);
}

static int unmap_range(struct io_pagetable *iopt, uint64_t iova, uint64_t size, uint64_t *unmapped)
{
	if (iopt->disable_large_pages) {
		/* Cut behind these; nothing is in front of 0. */
		const uint64_t cuts[] = {iova + size - 1, iova - 1};
		int rc = iopt_cut_iova(iopt, cuts, iova ? 2 : 1);

		if (rc)
			return rc;
	}
	return iopt_unmap_iova(iopt, iova, size, unmapped);
}

static int unmap_dma(struct iommufd_ctx *ctx, uint64_t arg)
{
	struct vfio_iommu_type1_dma_unmap unmap;
	const size_t length = END_OF(struct vfio_iommu_type1_dma_unmap, size);
	struct iommufd_ioas *ioas;
	uint64_t unmapped = 0;
	int rc;

	if (iommufd_copy_from_user(ctx, &unmap, arg, length))
		return -EFAULT;
	if (unmap.argsz < length || unmap.flags & ~VFIO_DMA_UNMAP_FLAG_ALL)
		return -EINVAL;
	ioas = compat_ioas(ctx);
	if (IS_ERR(ioas))
		return (int)PTR_ERR(ioas);
	if (!(unmap.flags & VFIO_DMA_UNMAP_FLAG_ALL))
		rc = unmap_range(&ioas->iopt, unmap.iova, unmap.size, &unmapped);
	else if (unmap.iova || unmap.size)
		return -EINVAL;
	else
		rc = iopt_unmap_all(&ioas->iopt, &unmapped);
	/* Also after an error: some of it may be gone. */
	unmap.size = unmapped;
	return iommufd_copy_to_user(ctx, arg, &unmap, length) ? -EFAULT : rc;
}

int iommufd_vfio_ioctl(struct iommufd_ctx *ctx, unsigned int cmd, uint64_t arg)
{
	switch (cmd) {
	case VFIO_GET_API_VERSION:
		return VFIO_API_VERSION;
	case VFIO_CHECK_EXTENSION:
		return check_extension(ctx, arg);
	case VFIO_SET_IOMMU:
		return set_iommu(ctx, arg);
	case VFIO_IOMMU_GET_INFO:
		return iommufd_vfio_get_info(ctx, arg);
	case VFIO_IOMMU_MAP_DMA:
		return map_dma(ctx, arg);
	case VFIO_IOMMU_UNMAP_DMA:
		return unmap_dma(ctx, arg);
	default:
		return -ENOTTY;
	}
}
