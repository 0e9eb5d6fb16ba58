/* SPDX-License-Identifier: MIT */
/*
 * What programs hand to device models: IOMMU_HWPT_INVALIDATE, and entries of an array.
 */
#include "iommufd/viommu.h"

int iommufd_copy_user_data(const struct iommufd_user_data *data, uint32_t type, uint32_t index,
			   void *to, size_t min_len, size_t len)
{
	if (data->type != type || index >= data->entry_num || data->entry_len < min_len ||
	    data->entry_len > len)
		return -EINVAL;
	return iommufd_copy_struct_from_user(data->ctx, to, len,
					     data->uptr + (uint64_t)index * data->entry_len,
					     data->entry_len);
}

int iommufd_copy_to_user_data(const struct iommufd_user_data *data, const void *from, size_t len)
{
	return iommufd_copy_to_user(data->ctx, data->uptr, from, MIN(len, data->entry_len));
}

/* Far beyond what anybody has to invalidate at once. */
#define INVALIDATE_ENTRIES_MAX (1u << 19)
#define INVALIDATE_LEN_MAX     4096u

static int invalidate_object(struct iommufd_ctx *ctx, uint32_t id,
			     const struct iommufd_user_data *array, uint32_t *done)
{
	struct iommufd_object *obj = iommufd_get_object(ctx, id, IOMMUFD_OBJ_ANY);
	const struct iommufd_viommu *viommu;
	const struct iommufd_hwpt *hwpt;

	if (IS_ERR(obj))
		return (int)PTR_ERR(obj);
	if (obj->type == IOMMUFD_OBJ_HWPT_NESTED) {
		hwpt = container_of(obj, struct iommufd_hwpt, obj);
		return hwpt->ops->nested_invalidate(hwpt->nested, array, done);
	}
	if (obj->type == IOMMUFD_OBJ_VIOMMU) {
		viommu = container_of(obj, struct iommufd_viommu, obj);
		if (!viommu->ops->invalidate)
			return -EOPNOTSUPP;
		return viommu->ops->invalidate(viommu->context, array, done);
	}
	/* Before there were vIOMMUs, nothing else was looked for. */
	return iommufd_abi(ctx) < IOMMUFD_ABI_7_3 ? -ENOENT : -EINVAL;
}

static int invalidate(struct iommufd_ctx *ctx, const struct iommu_hwpt_invalidate *cmd,
		      uint32_t *done)
{
	struct iommufd_user_data array = {
		.ctx = ctx,
		.type = cmd->data_type,
		.entry_len = cmd->entry_len,
		.entry_num = cmd->entry_num,
		.uptr = cmd->data_uptr,
	};

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	if (cmd->entry_num &&
	    (!cmd->data_uptr || !cmd->entry_len || cmd->entry_len > INVALIDATE_LEN_MAX ||
	     cmd->entry_num > INVALIDATE_ENTRIES_MAX))
		return -EINVAL;
	return invalidate_object(ctx, cmd->hwpt_id, &array, done);
}

int iommufd_hwpt_invalidate(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_invalidate *cmd = ucmd->cmd;
	uint32_t done = 0;
	int rc = invalidate(ucmd->ctx, cmd, &done);

	cmd->entry_num = done;
	if (iommufd_ucmd_respond(ucmd, sizeof(*cmd)))
		return -EFAULT;
	return rc;
}
