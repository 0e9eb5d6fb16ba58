/* SPDX-License-Identifier: MIT */
/*
 * Devices that are bound to a context, and what they are attached to.
 *
 * The core attaches groups, so a group here goes with the first of its devices
 * that is attached, and returns with the last. Each attached device is a user of
 * the HWPT, and has its reserved regions excluded from the IOAS.
 */
#include <string.h>

#include "iommufd/iommufd.h"
#include "iommufd/viommu.h"

static struct iommufd_group *find_group(struct iommufd_ctx *ctx, const struct iommu_group *group)
{
	struct iommufd_group *igroup;

	list_for_each_entry(igroup, &ctx->groups, link)
	{
		if (igroup->group == group)
			return igroup;
	}
	return NULL;
}

/* The context's view of a device's group, with one more device. NULL: no memory. */
static struct iommufd_group *get_group(struct iommufd_ctx *ctx, struct iommu_device *dev)
{
	struct iommu_group *group = iommu_group_get(dev);
	struct iommufd_group *igroup = find_group(ctx, group);

	if (igroup) {
		iommu_group_put(group);
		igroup->nr_bound++;
		return igroup;
	}
	igroup = kzalloc(sizeof(*igroup), GFP_KERNEL_ACCOUNT, ctx->owner);
	if (!igroup) {
		iommu_group_put(group);
		return NULL;
	}
	igroup->group = group;
	igroup->nr_bound = 1;
	INIT_LIST_HEAD(&igroup->devices);
	list_add_tail(&igroup->link, &ctx->groups);
	return igroup;
}

static void put_group(struct iommufd_group *igroup)
{
	if (--igroup->nr_bound)
		return;
	list_del(&igroup->link);
	iommu_group_put(igroup->group);
	kfree(igroup);
}

static struct iommufd_device *bind(struct iommufd_ctx *ctx, struct iommu_device *dev,
				   const struct iommufd_device_ops *ops, void *context)
{
	struct iommufd_device *idev;
	struct iommufd_group *igroup = get_group(ctx, dev);

	if (!igroup)
		return ERR_PTR(-ENOMEM);
	idev = iommufd_object_alloc(ctx, sizeof(*idev), IOMMUFD_OBJ_DEVICE);
	if (IS_ERR(idev)) {
		put_group(igroup);
		return idev;
	}
	idev->ctx = ctx;
	idev->igroup = igroup;
	idev->dev = dev;
	idev->ops = ops;
	idev->ops_context = context;
	INIT_LIST_HEAD(&idev->group_item);
	INIT_LIST_HEAD(&idev->pasids);
	idev->obj.users++; /* until iommufd_device_unbind() */
	iommufd_object_finalize(ctx, &idev->obj);
	return idev;
}

struct iommufd_device *iommufd_device_bind(struct iommufd_ctx *ctx, struct iommu_device *dev,
					   const struct iommufd_device_ops *ops, void *context,
					   uint32_t *id)
{
	struct mem_cgroup *before = iommufd_lock(ctx);
	struct iommufd_device *idev = bind(ctx, dev, ops, context);

	if (!IS_ERR(idev))
		*id = idev->obj.id;
	iommufd_unlock(ctx, before);
	return idev;
}

static bool is_attached(const struct iommufd_device *idev)
{
	return !list_empty(&idev->group_item);
}

static struct io_pagetable *iopt_of(struct iommufd_hwpt *hwpt)
{
	return &iommufd_hwpt_paging(hwpt)->ioas->iopt;
}

/* Tell a device model which first stage is in force, unless nothing changes. */
static void set_nested(struct iommufd_device *idev, void *nested, const void *old)
{
	if (nested != old && idev->ops->nested_attach)
		idev->ops->nested_attach(idev->ops_context, nested);
}

static void detach(struct iommufd_device *idev)
{
	struct iommufd_group *igroup = idev->igroup;
	struct iommufd_hwpt *hwpt = igroup->hwpt;

	list_del_init(&idev->group_item);
	if (list_empty(&igroup->devices)) {
		iommu_detach_group(hwpt->domain, igroup->group);
		igroup->hwpt = NULL;
	}
	set_nested(idev, NULL, hwpt->nested);
	if (hwpt->fault)
		iommufd_fault_auto_respond(hwpt->fault, idev, NULL);
	iopt_remove_reserved_iova(iopt_of(hwpt), idev->dev);
	iommufd_hwpt_put(idev->ctx, hwpt);
}

void iommufd_device_destroy(struct iommufd_object *obj)
{
	struct iommufd_device *idev = container_of(obj, struct iommufd_device, obj);

	iommufd_pasid_detach_all(idev);
	if (is_attached(idev))
		detach(idev);
	iommufd_vdevice_orphan(idev);
	put_group(idev->igroup);
}

void iommufd_device_unbind(struct iommufd_device *idev)
{
	struct iommufd_ctx *ctx = idev->ctx;
	struct mem_cgroup *before = iommufd_lock(ctx);

	idev->obj.users--;
	iommufd_object_destroy(ctx, &idev->obj);
	iommufd_unlock(ctx, before);
}

bool iommufd_device_fits(const struct iommufd_device *idev, const struct iommufd_hwpt *hwpt)
{
	const struct iommufd_hwpt *paging = iommufd_hwpt_paging(hwpt);
	const struct iommufd_device_ops *ops = idev->ops;
	const char *format = ops->format ? ops->format : idev->ctx->config.format;
	struct iommu_domain_info info;

	iommu_domain_get_info(paging->domain, &info);
	return !strcmp(info.format, format) && (!paging->dirty_tracking || ops->dirty_tracking) &&
	       (!paging->enforce_cache_coherency || ops->enforce_cache_coherency) &&
	       (!hwpt->nested || hwpt->ops->nested_alloc == ops->nested_alloc);
}

/* Whether the device itself, and not one of its PASIDs, may be attached to it. */
static int may_attach(const struct iommufd_device *idev, const struct iommufd_hwpt *hwpt)
{
	if (!iommufd_device_fits(idev, hwpt) || (!hwpt->pasid_compat && !list_empty(&idev->pasids)))
		return -EINVAL;
	return iommufd_viommu_may_attach(idev, hwpt);
}

static int do_attach(struct iommufd_device *idev, struct iommufd_hwpt *hwpt)
{
	struct iommufd_group *igroup = idev->igroup;
	int rc;

	if (is_attached(idev) || (igroup->hwpt && igroup->hwpt != hwpt))
		return -EINVAL;
	rc = may_attach(idev, hwpt);
	if (rc)
		return rc;
	rc = iopt_table_enforce_dev_resv_regions(iopt_of(hwpt), idev->dev, NULL);
	if (rc)
		return rc;
	if (!igroup->hwpt) {
		rc = iommu_attach_group(hwpt->domain, igroup->group);
		if (rc) {
			iopt_remove_reserved_iova(iopt_of(hwpt), idev->dev);
			return rc;
		}
		igroup->hwpt = hwpt;
	}
	hwpt->obj.users++;
	list_add_tail(&idev->group_item, &igroup->devices);
	set_nested(idev, hwpt->nested, NULL);
	return 0;
}

static void unreserve_all(struct iommufd_group *igroup, struct io_pagetable *iopt)
{
	struct iommufd_device *idev;

	list_for_each_entry(idev, &igroup->devices, group_item)
		iopt_remove_reserved_iova(iopt, idev->dev);
}

/* Exclude from another IOAS what is reserved for the group's devices. */
static int reserve_all(struct iommufd_group *igroup, struct io_pagetable *iopt)
{
	struct iommufd_device *idev;
	int rc;

	list_for_each_entry(idev, &igroup->devices, group_item)
	{
		rc = iopt_table_enforce_dev_resv_regions(iopt, idev->dev, NULL);
		if (rc) {
			unreserve_all(igroup, iopt);
			return rc;
		}
	}
	return 0;
}

static int all_may_attach(const struct iommufd_group *igroup, const struct iommufd_hwpt *hwpt)
{
	struct iommufd_device *idev;
	int rc;

	list_for_each_entry(idev, &igroup->devices, group_item)
	{
		rc = may_attach(idev, hwpt);
		if (rc)
			return rc;
	}
	return 0;
}

/* After the switch: every attached device is a user of the new one. */
static void move_devices(struct iommufd_group *igroup, struct iommufd_hwpt *hwpt,
			 struct iommufd_hwpt *old)
{
	struct iommufd_device *idev;

	igroup->hwpt = hwpt;
	list_for_each_entry(idev, &igroup->devices, group_item)
	{
		set_nested(idev, hwpt->nested, old->nested);
		if (old->fault)
			iommufd_fault_auto_respond(old->fault, idev, NULL);
		hwpt->obj.users++;
		iommufd_hwpt_put(idev->ctx, old);
	}
}

static int do_replace(struct iommufd_device *idev, struct iommufd_hwpt *hwpt)
{
	struct iommufd_group *igroup = idev->igroup;
	struct iommufd_hwpt *old = igroup->hwpt;
	bool other_ioas;
	int rc;

	if (!is_attached(idev))
		return -EINVAL;
	if (hwpt == old)
		return 0;
	rc = all_may_attach(igroup, hwpt);
	if (rc)
		return rc;
	other_ioas = iopt_of(hwpt) != iopt_of(old);
	if (other_ioas)
		rc = reserve_all(igroup, iopt_of(hwpt));
	if (rc)
		return rc;
	rc = iommu_group_replace_domain(igroup->group, hwpt->domain);
	if (rc) {
		if (other_ioas)
			unreserve_all(igroup, iopt_of(hwpt));
		return rc;
	}
	if (other_ioas)
		unreserve_all(igroup, iopt_of(old));
	move_devices(igroup, hwpt, old);
	return 0;
}

typedef int (*attach_fn)(struct iommufd_device *idev, struct iommufd_hwpt *hwpt);

/* Use an automatic HWPT of an IOAS that the device can do with, or a new one. */
static int attach_auto(struct iommufd_device *idev, struct iommufd_ioas *ioas, uint32_t *pt_id,
		       attach_fn attach)
{
	struct iommufd_hwpt *hwpt;
	int rc;

	list_for_each_entry(hwpt, &ioas->hwpts, hwpt_item)
	{
		if (!hwpt->auto_domain)
			continue;
		rc = attach(idev, hwpt);
		if (rc == -EINVAL) /* not compatible */
			continue;
		if (!rc)
			*pt_id = hwpt->obj.id;
		return rc;
	}
	hwpt = iommufd_hwpt_paging_alloc(idev->ctx, ioas, idev, 0, NULL);
	if (IS_ERR(hwpt))
		return (int)PTR_ERR(hwpt);
	rc = attach(idev, hwpt);
	if (rc) {
		iommufd_object_destroy(idev->ctx, &hwpt->obj);
		return rc;
	}
	hwpt->auto_domain = true;
	*pt_id = hwpt->obj.id;
	iommufd_object_finalize(idev->ctx, &hwpt->obj);
	return 0;
}

static int change_pt(struct iommufd_device *idev, uint32_t *pt_id, attach_fn attach)
{
	struct mem_cgroup *before = iommufd_lock(idev->ctx);
	struct iommufd_object *pt = iommufd_get_object(idev->ctx, *pt_id, IOMMUFD_OBJ_ANY);
	int rc = -EINVAL;

	if (IS_ERR(pt))
		rc = (int)PTR_ERR(pt);
	else if (pt->type == IOMMUFD_OBJ_IOAS)
		rc = attach_auto(idev, container_of(pt, struct iommufd_ioas, obj), pt_id, attach);
	else if (pt->type == IOMMUFD_OBJ_HWPT_PAGING || pt->type == IOMMUFD_OBJ_HWPT_NESTED)
		rc = attach(idev, container_of(pt, struct iommufd_hwpt, obj));
	iommufd_unlock(idev->ctx, before);
	return rc;
}

int iommufd_device_attach(struct iommufd_device *idev, uint32_t *pt_id)
{
	return change_pt(idev, pt_id, do_attach);
}

int iommufd_device_replace(struct iommufd_device *idev, uint32_t *pt_id)
{
	return change_pt(idev, pt_id, do_replace);
}

void iommufd_device_detach(struct iommufd_device *idev)
{
	struct mem_cgroup *before = iommufd_lock(idev->ctx);

	if (is_attached(idev))
		detach(idev);
	iommufd_unlock(idev->ctx, before);
}
