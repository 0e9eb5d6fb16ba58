/* SPDX-License-Identifier: MIT */
/*
 * IOMMU_GET_HW_INFO.
 */
#include "iommufd/iommufd.h"

#define INFO_MAX 4096u

static int clear_user(struct iommufd_ctx *ctx, uint64_t to, uint64_t len)
{
	static const char zeros[INFO_MAX];
	int rc = 0;

	for (uint64_t done = 0; done < len && !rc; done += INFO_MAX)
		rc = iommufd_copy_to_user(ctx, to + done, zeros, MIN(len - done, INFO_MAX));
	return rc;
}

/* What the device model knows, of the type that is asked for. */
static int fetch(const struct iommufd_device *idev, uint32_t want, void *info, uint32_t *type,
		 size_t *len)
{
	int rc = 0;

	*type = IOMMU_HW_INFO_TYPE_NONE;
	*len = 0;
	if (idev->ops->hw_info)
		rc = idev->ops->hw_info(idev->ops_context, info, INFO_MAX, type, len);
	if (!rc && (*len > INFO_MAX || (*len && *type == IOMMU_HW_INFO_TYPE_NONE)))
		rc = -ENODEV;
	if (!rc && want != IOMMU_HW_INFO_TYPE_DEFAULT && want != *type)
		rc = -EOPNOTSUPP;
	return rc;
}

int iommufd_get_hw_info(struct iommufd_ucmd *ucmd)
{
	struct iommu_hw_info *cmd = ucmd->cmd;
	uint32_t want = cmd->flags & IOMMU_HW_INFO_FLAG_INPUT_TYPE ? cmd->in_data_type : 0;
	struct iommufd_device *idev;
	uint32_t type, copied;
	char info[INFO_MAX];
	size_t len;
	int rc;

	if (cmd->flags & ~(uint32_t)IOMMU_HW_INFO_FLAG_INPUT_TYPE || cmd->__reserved[0] ||
	    cmd->__reserved[1] || cmd->__reserved[2])
		return -EOPNOTSUPP;
	idev = iommufd_get_object(ucmd->ctx, cmd->dev_id, IOMMUFD_OBJ_DEVICE);
	if (IS_ERR(idev))
		return (int)PTR_ERR(idev);
	rc = fetch(idev, want, info, &type, &len);
	if (rc)
		return rc;
	copied = MIN(cmd->data_len, (uint32_t)len);
	if (iommufd_copy_to_user(ucmd->ctx, cmd->data_uptr, info, copied) ||
	    clear_user(ucmd->ctx, cmd->data_uptr + copied, cmd->data_len - copied))
		return -EFAULT;
	cmd->data_len = (uint32_t)len;
	cmd->out_data_type = type;
	cmd->out_max_pasid_log2 = idev->ops->max_pasid_log2;
	cmd->out_capabilities = idev->ops->capabilities |
				(idev->ops->dirty_tracking ? IOMMU_HW_CAP_DIRTY_TRACKING : 0);
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}
