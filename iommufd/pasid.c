/* SPDX-License-Identifier: MIT */
/*
 * What the PASIDs of a device are attached to.
 *
 * A PASID goes to a HWPT with IOMMU_HWPT_ALLOC_PASID, and so does the device itself
 * while one of its PASIDs is attached. A HWPT that was made for an attachment has no such
 * flag. Reserved regions are those of the device: a PASID excludes nothing from an IOAS.
 */
#include "iommufd/iommufd.h"
#include "iommufd/viommu.h"

struct iommufd_pasid *iommufd_pasid_find(const struct iommufd_device *idev, uint32_t pasid)
{
	struct iommufd_pasid *attached;

	list_for_each_entry(attached, &idev->pasids, link)
	{
		if (attached->pasid == pasid)
			return attached;
	}
	return NULL;
}

/* Tell the device model. Only an attachment can fail. */
static int tell(const struct iommufd_device *idev, uint32_t pasid, struct iommufd_hwpt *hwpt)
{
	const struct iommufd_device_ops *ops = idev->ops;

	if (!ops->pasid_attach)
		return 0;
	return ops->pasid_attach(idev->ops_context, pasid, hwpt ? hwpt->domain : NULL,
				 hwpt ? hwpt->nested : NULL);
}

static int may_attach(const struct iommufd_device *idev, uint32_t pasid,
		      const struct iommufd_hwpt *hwpt)
{
	bool attached = !list_empty(&idev->group_item);

	if (!pasid || pasid >> idev->ops->max_pasid_log2 || !hwpt->pasid_compat ||
	    (attached && !idev->igroup->hwpt->pasid_compat) || !iommufd_device_fits(idev, hwpt))
		return -EINVAL;
	return iommufd_viommu_may_attach(idev, hwpt);
}

static int attach(struct iommufd_device *idev, uint32_t pasid, struct iommufd_hwpt *hwpt)
{
	struct iommufd_pasid *attached;
	int rc = may_attach(idev, pasid, hwpt);

	if (!rc && iommufd_pasid_find(idev, pasid))
		rc = -EBUSY;
	if (rc)
		return rc;
	attached = kzalloc(sizeof(*attached), GFP_KERNEL_ACCOUNT, idev->ctx->owner);
	if (!attached)
		return -ENOMEM;
	rc = tell(idev, pasid, hwpt);
	if (rc) {
		kfree(attached);
		return rc;
	}
	attached->pasid = pasid;
	attached->hwpt = hwpt;
	hwpt->obj.users++;
	list_add_tail(&attached->link, &idev->pasids);
	return 0;
}

static int replace(struct iommufd_device *idev, uint32_t pasid, struct iommufd_hwpt *hwpt)
{
	struct iommufd_pasid *attached = iommufd_pasid_find(idev, pasid);
	int rc = attached ? may_attach(idev, pasid, hwpt) : -EINVAL;
	struct iommufd_hwpt *old;

	if (rc || attached->hwpt == hwpt)
		return rc;
	rc = tell(idev, pasid, hwpt);
	if (rc)
		return rc;
	old = attached->hwpt;
	if (old->fault)
		iommufd_fault_auto_respond(old->fault, idev, attached);
	attached->hwpt = hwpt;
	hwpt->obj.users++;
	iommufd_hwpt_put(idev->ctx, old);
	return 0;
}

static void detach(struct iommufd_device *idev, struct iommufd_pasid *attached)
{
	tell(idev, attached->pasid, NULL);
	if (attached->hwpt->fault)
		iommufd_fault_auto_respond(attached->hwpt->fault, idev, attached);
	iommufd_hwpt_put(idev->ctx, attached->hwpt);
	list_del(&attached->link);
	kfree(attached);
}

void iommufd_pasid_detach_all(struct iommufd_device *idev)
{
	while (!list_empty(&idev->pasids))
		detach(idev, list_first_entry(&idev->pasids, struct iommufd_pasid, link));
}

/* What would be made for an IOAS could not be attached. */
static struct iommufd_hwpt *get_hwpt(struct iommufd_ctx *ctx, uint32_t pt_id)
{
	struct iommufd_object *pt = iommufd_get_object(ctx, pt_id, IOMMUFD_OBJ_ANY);

	if (IS_ERR(pt))
		return (void *)pt;
	if (pt->type != IOMMUFD_OBJ_HWPT_PAGING && pt->type != IOMMUFD_OBJ_HWPT_NESTED)
		return ERR_PTR(-EINVAL);
	return container_of(pt, struct iommufd_hwpt, obj);
}

static int change(struct iommufd_device *idev, uint32_t pasid, uint32_t pt_id,
		  int (*to)(struct iommufd_device *idev, uint32_t pasid, struct iommufd_hwpt *hwpt))
{
	struct mem_cgroup *before = iommufd_lock(idev->ctx);
	struct iommufd_hwpt *hwpt = get_hwpt(idev->ctx, pt_id);
	int rc = IS_ERR(hwpt) ? (int)PTR_ERR(hwpt) : to(idev, pasid, hwpt);

	iommufd_unlock(idev->ctx, before);
	return rc;
}

int iommufd_device_attach_pasid(struct iommufd_device *idev, uint32_t pasid, uint32_t pt_id)
{
	return change(idev, pasid, pt_id, attach);
}

int iommufd_device_replace_pasid(struct iommufd_device *idev, uint32_t pasid, uint32_t pt_id)
{
	return change(idev, pasid, pt_id, replace);
}

void iommufd_device_detach_pasid(struct iommufd_device *idev, uint32_t pasid)
{
	struct mem_cgroup *before = iommufd_lock(idev->ctx);
	struct iommufd_pasid *attached = iommufd_pasid_find(idev, pasid);

	if (attached)
		detach(idev, attached);
	iommufd_unlock(idev->ctx, before);
}
