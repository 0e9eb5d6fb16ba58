/* SPDX-License-Identifier: MIT */
/*
 * vDEVICEs: what a device is called in a virtual machine.
 */
#include "iommufd/viommu.h"

static struct iommufd_vdevice *vdevice_of(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_vdevice, obj);
}

static struct iommufd_vdevice *find(const struct iommufd_viommu *viommu, uint64_t virt_id)
{
	struct iommufd_vdevice *vdevice;

	list_for_each_entry(vdevice, &viommu->vdevices, link)
	{
		if (vdevice->virt_id == virt_id)
			return vdevice;
	}
	return NULL;
}

void *iommufd_viommu_find_device(const struct iommufd_viommu *viommu, uint64_t virt_id)
{
	const struct iommufd_vdevice *vdevice = find(viommu, virt_id);

	return vdevice ? vdevice->idev->ops_context : NULL;
}

struct iommufd_viommu *iommufd_device_viommu(const struct iommufd_device *idev, uint64_t *virt_id)
{
	if (!idev->vdevice)
		return NULL;
	*virt_id = idev->vdevice->virt_id;
	return idev->vdevice->viommu;
}

void iommufd_vdevice_destroy(struct iommufd_object *obj)
{
	struct iommufd_vdevice *vdevice = vdevice_of(obj);

	list_del(&vdevice->link);
	vdevice->idev->vdevice = NULL;
	vdevice->viommu->obj.users--;
}

void iommufd_vdevice_orphan(struct iommufd_device *idev)
{
	if (idev->vdevice)
		iommufd_object_tombstone(idev->ctx, &idev->vdevice->obj);
}

int iommufd_vdevice_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_vdevice_alloc *cmd = ucmd->cmd;
	struct iommufd_viommu *viommu = iommufd_get_viommu(ucmd->ctx, cmd->viommu_id);
	struct iommufd_vdevice *vdevice;
	struct iommufd_device *idev;
	int rc;

	if (IS_ERR(viommu))
		return (int)PTR_ERR(viommu);
	idev = iommufd_get_object(ucmd->ctx, cmd->dev_id, IOMMUFD_OBJ_DEVICE);
	if (IS_ERR(idev))
		return (int)PTR_ERR(idev);
	if (!iommufd_viommu_fits(viommu, idev))
		return -EINVAL;
	if (idev->vdevice || find(viommu, cmd->virt_id))
		return -EEXIST;
	vdevice = iommufd_object_alloc(ucmd->ctx, sizeof(*vdevice), IOMMUFD_OBJ_VDEVICE);
	if (IS_ERR(vdevice))
		return (int)PTR_ERR(vdevice);
	cmd->out_vdevice_id = vdevice->obj.id;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc) {
		iommufd_object_abort(ucmd->ctx, &vdevice->obj);
		return rc;
	}
	vdevice->virt_id = cmd->virt_id;
	vdevice->idev = idev;
	vdevice->viommu = viommu;
	viommu->obj.users++;
	idev->vdevice = vdevice;
	list_add_tail(&vdevice->link, &viommu->vdevices);
	iommufd_object_finalize(ucmd->ctx, &vdevice->obj);
	return 0;
}
