/* SPDX-License-Identifier: MIT */
/*
 * What the PASIDs of a device are attached to.
 *
 * A PASID goes to a HWPT with IOMMU_HWPT_ALLOC_PASID, and so does the device itself
 * while one of its PASIDs is attached. A HWPT that was made for an attachment has no such
 * flag. Reserved regions are those of the device: a PASID excludes nothing from an IOAS.
 *
 * A device whose model wants it has a PASID table, which hardware reads: an entry is there
 * before the model is told of an attachment, and gone before it is told of its end.
 */
#include <uiommu/iommufd_pasid.h>

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

/* ---- the PASID table ---- */

struct iommu_pasid_table *iommufd_device_pasid_table(const struct iommufd_device *idev)
{
	return idev->pasid_table;
}

static void flush_entry(void *context, uint32_t pasid, bool tables)
{
	const struct iommufd_device *idev = context;

	if (idev->ops->pasid_flush)
		idev->ops->pasid_flush(idev->ops_context, pasid, tables);
}

static int need_table(struct iommufd_device *idev)
{
	const struct iommu_pasid_params params = {
		.layout = *idev->ops->pasid_layout,
		.pasid_bits = idev->ops->max_pasid_log2,
		.flush = flush_entry,
		.context = idev,
	};
	struct iommu_pasid_table *table;

	if (idev->pasid_table)
		return 0;
	table = iommu_pasid_table_alloc(&params, GFP_KERNEL_ACCOUNT);
	if (IS_ERR(table))
		return (int)PTR_ERR(table);
	idev->pasid_table = table;
	return 0;
}

static void drop_table(struct iommufd_device *idev)
{
	if (!list_empty(&idev->pasids))
		return;
	iommu_pasid_table_free(idev->pasid_table);
	idev->pasid_table = NULL;
}

/* Of a PASID that is set, or whose tables are there, it cannot run out of memory. */
static int set_entry(struct iommufd_device *idev, uint32_t pasid, const struct iommufd_hwpt *hwpt)
{
	uint16_t id = (uint16_t)iommufd_hwpt_paging(hwpt)->obj.id;
	struct iommu_pasid_first first;
	int rc;

	if (!idev->ops->pasid_layout)
		return 0;
	rc = need_table(idev);
	if (!rc && hwpt->nested)
		rc = idev->ops->pasid_first ? idev->ops->pasid_first(hwpt->nested, &first)
					    : -EOPNOTSUPP;
	if (rc)
		return rc;
	return iommu_pasid_set(idev->pasid_table, pasid, hwpt->domain, hwpt->nested ? &first : NULL,
			       id, GFP_KERNEL_ACCOUNT);
}

static void clear_entry(struct iommufd_device *idev, uint32_t pasid)
{
	if (idev->pasid_table)
		iommu_pasid_clear(idev->pasid_table, pasid);
}

/* ---- attaching ---- */

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
	rc = set_entry(idev, pasid, hwpt);
	if (rc)
		goto err_table;
	rc = tell(idev, pasid, hwpt);
	if (rc)
		goto err_entry;
	attached->pasid = pasid;
	attached->hwpt = hwpt;
	hwpt->obj.users++;
	list_add_tail(&attached->link, &idev->pasids);
	return 0;

err_entry:
	clear_entry(idev, pasid);
err_table:
	drop_table(idev);
	kfree(attached);
	return rc;
}

static int replace(struct iommufd_device *idev, uint32_t pasid, struct iommufd_hwpt *hwpt)
{
	struct iommufd_pasid *attached = iommufd_pasid_find(idev, pasid);
	int rc = attached ? may_attach(idev, pasid, hwpt) : -EINVAL;
	struct iommufd_hwpt *old;

	if (rc || attached->hwpt == hwpt)
		return rc;
	old = attached->hwpt;
	rc = set_entry(idev, pasid, hwpt);
	if (rc)
		return rc;
	rc = tell(idev, pasid, hwpt);
	if (rc) {
		set_entry(idev, pasid, old);
		return rc;
	}
	if (old->fault)
		iommufd_fault_auto_respond(old->fault, idev, attached);
	attached->hwpt = hwpt;
	hwpt->obj.users++;
	iommufd_hwpt_put(idev->ctx, old);
	return 0;
}

static void detach(struct iommufd_device *idev, struct iommufd_pasid *attached)
{
	clear_entry(idev, attached->pasid);
	tell(idev, attached->pasid, NULL);
	if (attached->hwpt->fault)
		iommufd_fault_auto_respond(attached->hwpt->fault, idev, attached);
	iommufd_hwpt_put(idev->ctx, attached->hwpt);
	list_del(&attached->link);
	drop_table(idev);
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
