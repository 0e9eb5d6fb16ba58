/* SPDX-License-Identifier: MIT */
/*
 * vIOMMUs: the part of an IOMMU that one virtual machine has. What it can do only the
 * device model knows; here are its objects.
 */
#include "iommufd/viommu.h"

static struct iommufd_viommu *viommu_of(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_viommu, obj);
}

void iommufd_viommu_destroy(struct iommufd_object *obj)
{
	struct iommufd_viommu *viommu = viommu_of(obj);

	if (viommu->ops)
		viommu->ops->free(viommu->context);
	iommufd_viommu_unshare(viommu);
	viommu->hwpt->obj.users--;
}

struct iommufd_viommu *iommufd_get_viommu(struct iommufd_ctx *ctx, uint32_t id)
{
	struct iommufd_object *obj = iommufd_get_object(ctx, id, IOMMUFD_OBJ_VIOMMU);

	return IS_ERR(obj) ? (void *)obj : viommu_of(obj);
}

bool iommufd_viommu_fits(const struct iommufd_viommu *viommu, const struct iommufd_device *idev)
{
	return viommu->device_ops->viommu_alloc == idev->ops->viommu_alloc;
}

int iommufd_viommu_may_attach(const struct iommufd_device *idev, const struct iommufd_hwpt *hwpt)
{
	const struct iommufd_viommu *viommu = hwpt->viommu;

	if (!viommu || (idev->vdevice && idev->vdevice->viommu == viommu))
		return 0;
	if (viommu->ops->needs_vdevice && !viommu->ops->needs_vdevice(hwpt->nested))
		return 0;
	return -ENOENT;
}

/* The object, not made by its device model yet. ERR_PTR. */
static struct iommufd_viommu *viommu_alloc(struct iommufd_ctx *ctx, struct iommufd_device *idev,
					   struct iommufd_hwpt *hwpt)
{
	struct iommufd_viommu *viommu =
		iommufd_object_alloc(ctx, sizeof(*viommu), IOMMUFD_OBJ_VIOMMU);

	if (IS_ERR(viommu))
		return viommu;
	viommu->ctx = ctx;
	viommu->device_ops = idev->ops;
	hwpt->obj.users++;
	viommu->hwpt = hwpt;
	INIT_LIST_HEAD(&viommu->vdevices);
	INIT_LIST_HEAD(&viommu->veventqs);
	INIT_LIST_HEAD(&viommu->hw_queues);
	INIT_LIST_HEAD(&viommu->shared);
	return viommu;
}

static int make(struct iommufd_viommu *viommu, struct iommufd_device *idev,
		const struct iommu_viommu_alloc *cmd)
{
	const struct iommufd_user_data data = {
		.ctx = viommu->ctx,
		.type = cmd->type,
		.entry_len = cmd->data_len,
		.entry_num = 1,
		.uptr = cmd->data_uptr,
	};
	const struct iommufd_viommu_ops *ops = NULL;
	int rc = idev->ops->viommu_alloc(idev->ops_context, viommu, cmd->type,
					 cmd->data_len ? &data : NULL, &ops, &viommu->context);

	if (!rc)
		viommu->ops = ops;
	return rc;
}

static struct iommufd_hwpt *get_parent(struct iommufd_ctx *ctx, uint32_t id)
{
	struct iommufd_object *obj = iommufd_get_object(ctx, id, IOMMUFD_OBJ_HWPT_PAGING);
	struct iommufd_hwpt *hwpt;

	if (IS_ERR(obj))
		return (void *)obj;
	hwpt = container_of(obj, struct iommufd_hwpt, obj);
	return hwpt->nest_parent ? hwpt : ERR_PTR(-EINVAL);
}

int iommufd_viommu_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_viommu_alloc *cmd = ucmd->cmd;
	struct iommufd_viommu *viommu;
	struct iommufd_device *idev;
	struct iommufd_hwpt *hwpt;
	int rc;

	if (cmd->flags || cmd->type == IOMMU_VIOMMU_TYPE_DEFAULT || cmd->__reserved)
		return -EOPNOTSUPP;
	idev = iommufd_get_object(ucmd->ctx, cmd->dev_id, IOMMUFD_OBJ_DEVICE);
	if (IS_ERR(idev))
		return (int)PTR_ERR(idev);
	if (!idev->ops->viommu_alloc)
		return -EOPNOTSUPP;
	hwpt = get_parent(ucmd->ctx, cmd->hwpt_id);
	if (IS_ERR(hwpt))
		return (int)PTR_ERR(hwpt);
	if (hwpt->ops->nested_alloc != idev->ops->nested_alloc)
		return -EINVAL;
	viommu = viommu_alloc(ucmd->ctx, idev, hwpt);
	if (IS_ERR(viommu))
		return (int)PTR_ERR(viommu);
	rc = make(viommu, idev, cmd);
	cmd->out_viommu_id = viommu->obj.id;
	if (!rc)
		rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc) {
		iommufd_object_destroy(ucmd->ctx, &viommu->obj);
		return rc;
	}
	iommufd_object_finalize(ucmd->ctx, &viommu->obj);
	return 0;
}
