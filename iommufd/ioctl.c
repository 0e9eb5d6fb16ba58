/* SPDX-License-Identifier: MIT */
/*
 * From an ioctl's number to the function that carries it out, and its struct
 * from the caller's version to ours and back.
 */
#include <uiommu/abi/vfio.h>

#include "iommufd/iommufd.h"
#include "iommufd/user.h"
#include "iommufd/viommu.h"

static int destroy(struct iommufd_ucmd *ucmd)
{
	const struct iommu_destroy *cmd = ucmd->cmd;

	return iommufd_object_remove(ucmd->ctx, cmd->id);
}

#define END_OF(type, member) (offsetof(type, member) + sizeof(((type *)NULL)->member))

/* Evaluates to 0, or does not compile. */
#define MUST_BE(condition) (0 * sizeof(struct { int wrong : (condition) ? 1 : -1; }))

/* @last is the last member of the struct's first version. */
#define OP(_cmd, _struct, last, function)                                     \
	[_IOC_NR(_cmd) - IOMMUFD_CMD_BASE] = {                                \
		.name = #_cmd,                                                \
		.cmd = _cmd,                                                  \
		.size = sizeof(struct _struct) +                              \
			MUST_BE(sizeof(struct _struct) <= IOMMUFD_UCMD_MAX && \
				offsetof(struct _struct, size) == 0),         \
		.min_size = END_OF(struct _struct, last),                     \
		.execute = function,                                          \
	}

static const struct iommufd_ioctl_op ops[] = {
	OP(IOMMU_DESTROY, iommu_destroy, id, destroy),
	OP(IOMMU_FAULT_QUEUE_ALLOC, iommu_fault_alloc, out_fault_fd, iommufd_fault_alloc),
	OP(IOMMU_GET_HW_INFO, iommu_hw_info, __reserved, iommufd_get_hw_info),
	OP(IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, __reserved, iommufd_hwpt_alloc),
	OP(IOMMU_HWPT_GET_DIRTY_BITMAP, iommu_hwpt_get_dirty_bitmap, data,
	   iommufd_hwpt_get_dirty_bitmap),
	OP(IOMMU_HWPT_INVALIDATE, iommu_hwpt_invalidate, __reserved, iommufd_hwpt_invalidate),
	OP(IOMMU_HWPT_SET_DIRTY_TRACKING, iommu_hwpt_set_dirty_tracking, __reserved,
	   iommufd_hwpt_set_dirty_tracking),
	OP(IOMMU_HW_QUEUE_ALLOC, iommu_hw_queue_alloc, length, iommufd_hw_queue_alloc_ioctl),
	OP(IOMMU_IOAS_ALLOC, iommu_ioas_alloc, out_ioas_id, iommufd_ioas_alloc_ioctl),
	OP(IOMMU_IOAS_ALLOW_IOVAS, iommu_ioas_allow_iovas, allowed_iovas, iommufd_ioas_allow_iovas),
	OP(IOMMU_IOAS_CHANGE_PROCESS, iommu_ioas_change_process, __reserved,
	   iommufd_ioas_change_process),
	OP(IOMMU_IOAS_COPY, iommu_ioas_copy, src_iova, iommufd_ioas_copy),
	OP(IOMMU_IOAS_IOVA_RANGES, iommu_ioas_iova_ranges, out_iova_alignment,
	   iommufd_ioas_iova_ranges),
	OP(IOMMU_IOAS_MAP, iommu_ioas_map, iova, iommufd_ioas_map),
	OP(IOMMU_IOAS_MAP_FILE, iommu_ioas_map_file, iova, iommufd_ioas_map_file),
	OP(IOMMU_IOAS_NOIOMMU_GET_PA, iommu_ioas_noiommu_get_pa, out_phys,
	   iommufd_ioas_noiommu_get_pa),
	OP(IOMMU_IOAS_UNMAP, iommu_ioas_unmap, length, iommufd_ioas_unmap),
	OP(IOMMU_OPTION, iommu_option, val64, iommufd_option),
	OP(IOMMU_VDEVICE_ALLOC, iommu_vdevice_alloc, virt_id, iommufd_vdevice_alloc_ioctl),
	OP(IOMMU_VEVENTQ_ALLOC, iommu_veventq_alloc, __reserved, iommufd_veventq_alloc_ioctl),
	OP(IOMMU_VFIO_IOAS, iommu_vfio_ioas, __reserved, iommufd_vfio_ioas),
	OP(IOMMU_VIOMMU_ALLOC, iommu_viommu_alloc, out_viommu_id, iommufd_viommu_alloc_ioctl),
};

/* What iommufd_find_op() says of a number that is VFIO's, or nobody's. */
static const struct iommufd_ioctl_op not_ours;

/*
 * The line for an ioctl, by its number alone as in the kernel; a line of zeroes
 * for a gap in the table.
 */
static const struct iommufd_ioctl_op *iommufd_find_op(unsigned int cmd, bool test_abi)
{
	static const struct iommufd_ioctl_op gap = {.cmd = 0};
	unsigned int nr = _IOC_NR(cmd);

	if (nr < IOMMUFD_CMD_BASE)
		return &not_ours;
	if (nr - IOMMUFD_CMD_BASE < ARRAY_SIZE(ops))
		return &ops[nr - IOMMUFD_CMD_BASE];
	if (!test_abi || nr > _IOC_NR(iommufd_test_op.cmd))
		return &not_ours;
	return nr == _IOC_NR(iommufd_test_op.cmd) ? &iommufd_test_op : &gap;
}

const char *iommufd_ioctl_name(unsigned int cmd)
{
	const struct iommufd_ioctl_op *op = iommufd_find_op(cmd, true);

	if (op->cmd && op->cmd == cmd)
		return op->name;
	switch (cmd) {
	case VFIO_GET_API_VERSION:
		return "VFIO_GET_API_VERSION";
	case VFIO_CHECK_EXTENSION:
		return "VFIO_CHECK_EXTENSION";
	case VFIO_SET_IOMMU:
		return "VFIO_SET_IOMMU";
	case VFIO_IOMMU_GET_INFO:
		return "VFIO_IOMMU_GET_INFO";
	case VFIO_IOMMU_MAP_DMA:
		return "VFIO_IOMMU_MAP_DMA";
	case VFIO_IOMMU_UNMAP_DMA:
		return "VFIO_IOMMU_UNMAP_DMA";
	case VFIO_IOMMU_DIRTY_PAGES:
		return "VFIO_IOMMU_DIRTY_PAGES";
	default:
		return NULL;
	}
}

int iommufd_ucmd_respond(struct iommufd_ucmd *ucmd, size_t cmd_len)
{
	return iommufd_copy_to_user(ucmd->ctx, ucmd->ubuffer, ucmd->cmd,
				    MIN(ucmd->user_size, cmd_len));
}

static int execute(struct iommufd_ctx *ctx, const struct iommufd_ioctl_op *op, unsigned int cmd,
		   uint64_t arg)
{
	uint64_t buffer[IOMMUFD_UCMD_MAX / sizeof(uint64_t)];
	struct iommufd_ucmd ucmd = {.ctx = ctx, .ubuffer = arg, .cmd = buffer};
	int rc = iommufd_copy_from_user(ctx, &ucmd.user_size, arg, sizeof(ucmd.user_size));

	if (rc)
		return rc;
	if (op->cmd != cmd)
		return -ENOTTY;
	if (ucmd.user_size < op->min_size)
		return -EINVAL;
	rc = iommufd_copy_struct_from_user(ctx, buffer, op->size, arg, ucmd.user_size);
	return rc ? rc : op->execute(&ucmd);
}

int iommufd_ioctl(struct iommufd_ctx *ctx, unsigned int cmd, void *arg)
{
	const struct iommufd_ioctl_op *op = iommufd_find_op(cmd, ctx->config.test_abi);
	struct mem_cgroup *before;
	int rc;

	/* Before there is a lock, since the memory of a program may come late. */
	iommufd_read_ahead((uintptr_t)arg);
	before = iommufd_lock(ctx);
	rc = iommufd_may_change(ctx, __builtin_return_address(0));
	if (rc) {
		iommufd_unlock(ctx, before);
		return rc;
	}
	ctx->cmd = cmd;
	if (op == &not_ours)
		rc = iommufd_vfio_ioctl(ctx, cmd, (uintptr_t)arg);
	else
		rc = execute(ctx, op, cmd, (uintptr_t)arg);
	ctx->cmd = 0;
	iommufd_unlock(ctx, before);
	return rc;
}
