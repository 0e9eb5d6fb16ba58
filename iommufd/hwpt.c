/* SPDX-License-Identifier: MIT */
/*
 * Hardware page tables. A paging one is a domain of the core that holds all of
 * an IOAS. A nested one is a first stage, which only the device model
 * understands, above a paging one: devices are attached to the domain of that. It is
 * made on the paging one, or on a vIOMMU that has it.
 *
 * An HWPT that was made for an attachment (auto_domain) goes with its last
 * device; all others go by IOMMU_DESTROY.
 */
#include <uiommu/dirty.h>

#include "iommufd/iommufd.h"
#include "iommufd/viommu.h"

static struct iommufd_hwpt *hwpt_of(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_hwpt, obj);
}

static void paging_destroy(struct iommufd_hwpt *hwpt)
{
	if (!list_empty(&hwpt->hwpt_item)) {
		list_del_init(&hwpt->hwpt_item);
		iopt_table_remove_domain(&hwpt->ioas->iopt, hwpt->domain);
	}
	iommu_domain_free(hwpt->domain);
	hwpt->ioas->obj.users--;
}

static void nested_destroy(struct iommufd_hwpt *hwpt)
{
	if (hwpt->nested)
		hwpt->ops->nested_free(hwpt->nested);
	if (hwpt->viommu)
		hwpt->viommu->obj.users--;
	hwpt->parent->obj.users--;
}

void iommufd_hwpt_destroy(struct iommufd_object *obj)
{
	struct iommufd_hwpt *hwpt = hwpt_of(obj);

	if (hwpt->parent)
		nested_destroy(hwpt);
	else
		paging_destroy(hwpt);
	if (hwpt->fault)
		hwpt->fault->obj.users--;
}

void iommufd_hwpt_put(struct iommufd_ctx *ctx, struct iommufd_hwpt *hwpt)
{
	if (!--hwpt->obj.users && hwpt->auto_domain)
		iommufd_object_destroy(ctx, &hwpt->obj);
}

/* A domain for a device, as the device model understands @data, if there is any. */
static struct iommu_domain *domain_for(const struct iommufd_ctx *ctx,
				       const struct iommufd_device *idev,
				       const struct iommufd_user_data *data)
{
	const struct iommufd_device_ops *ops = idev->ops;
	struct iommu_domain_params params = {
		.type = IOMMU_DOMAIN_UNMANAGED,
		.format = ops->format ? ops->format : ctx->config.format,
		.address_width = ops->format ? ops->address_width : ctx->config.address_width,
		.pgsizes = ops->pgsizes,
	};
	int rc = data ? ops->paging_config(idev->ops_context, data, &params) : 0;

	return rc ? ERR_PTR(rc) : iommu_domain_alloc(&params, GFP_KERNEL_ACCOUNT);
}

/* Give a new HWPT its domain, filled with the IOAS. */
static int paging_populate(struct iommufd_ctx *ctx, struct iommufd_hwpt *hwpt,
			   struct iommufd_device *idev, const struct iommufd_user_data *data)
{
	struct iommu_domain *domain = domain_for(ctx, idev, data);
	int rc;

	if (IS_ERR(domain))
		return (int)PTR_ERR(domain);
	hwpt->domain = domain;
	if (hwpt->dirty_tracking && !iommu_domain_tracks_dirty(domain))
		return -EOPNOTSUPP;
	rc = iopt_table_add_domain(&hwpt->ioas->iopt, domain);
	if (rc)
		return rc;
	list_add_tail(&hwpt->hwpt_item, &hwpt->ioas->hwpts);
	return 0;
}

#define PAGING_FLAGS \
	(IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMU_HWPT_ALLOC_PASID)

/* Whether there is hardware for what the flags and @data ask for. */
static bool can_page(const struct iommufd_device_ops *ops, uint32_t flags,
		     const struct iommufd_user_data *data)
{
	return !(flags & ~(uint32_t)PAGING_FLAGS) &&
	       (!(flags & IOMMU_HWPT_ALLOC_NEST_PARENT) || ops->nested_alloc) &&
	       (!(flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING) || ops->dirty_tracking) &&
	       (!(flags & IOMMU_HWPT_ALLOC_PASID) || ops->pasid_domains) &&
	       (!data || ops->paging_config);
}

struct iommufd_hwpt *iommufd_hwpt_paging_alloc(struct iommufd_ctx *ctx, struct iommufd_ioas *ioas,
					       struct iommufd_device *idev, uint32_t flags,
					       const struct iommufd_user_data *data)
{
	struct iommufd_hwpt *hwpt;
	int rc;

	if (!can_page(idev->ops, flags, data))
		return ERR_PTR(-EOPNOTSUPP);
	hwpt = iommufd_object_alloc(ctx, sizeof(*hwpt), IOMMUFD_OBJ_HWPT_PAGING);
	if (IS_ERR(hwpt))
		return hwpt;
	INIT_LIST_HEAD(&hwpt->hwpt_item);
	ioas->obj.users++;
	hwpt->ioas = ioas;
	hwpt->ops = idev->ops;
	hwpt->nest_parent = flags & IOMMU_HWPT_ALLOC_NEST_PARENT;
	hwpt->dirty_tracking = flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	hwpt->pasid_compat = flags & IOMMU_HWPT_ALLOC_PASID;
	hwpt->enforce_cache_coherency = idev->ops->enforce_cache_coherency;
	rc = paging_populate(ctx, hwpt, idev, data);
	if (rc) {
		iommufd_object_destroy(ctx, &hwpt->obj);
		return ERR_PTR(rc);
	}
	return hwpt;
}

/* Whether a first stage for @idev can stand on @parent, and on @viommu if there is one. */
static int may_nest(const struct iommufd_hwpt *parent, const struct iommufd_viommu *viommu,
		    const struct iommufd_device *idev, uint32_t flags,
		    const struct iommufd_user_data *data)
{
	const uint32_t known = IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID;

	if (flags & ~known || !data->entry_len || !idev->ops->nested_alloc ||
	    (flags & IOMMU_HWPT_ALLOC_PASID && !idev->ops->pasid_domains))
		return -EOPNOTSUPP;
	if (viommu && !viommu->ops->nested_alloc)
		return -EOPNOTSUPP;
	/* What one make of hardware nests on is nothing to another. */
	if (parent->auto_domain || !parent->nest_parent ||
	    parent->ops->nested_alloc != idev->ops->nested_alloc ||
	    (viommu && !iommufd_viommu_fits(viommu, idev)))
		return -EINVAL;
	return 0;
}

static struct iommufd_hwpt *nested_alloc(struct iommufd_ctx *ctx, struct iommufd_hwpt *parent,
					 struct iommufd_viommu *viommu, struct iommufd_device *idev,
					 uint32_t flags, const struct iommufd_user_data *data)
{
	int rc = may_nest(parent, viommu, idev, flags, data);
	struct iommufd_hwpt *hwpt;

	if (rc)
		return ERR_PTR(rc);
	hwpt = iommufd_object_alloc(ctx, sizeof(*hwpt), IOMMUFD_OBJ_HWPT_NESTED);
	if (IS_ERR(hwpt))
		return hwpt;
	INIT_LIST_HEAD(&hwpt->hwpt_item);
	parent->obj.users++;
	hwpt->parent = parent;
	if (viommu)
		viommu->obj.users++;
	hwpt->viommu = viommu;
	hwpt->domain = parent->domain;
	hwpt->ops = idev->ops;
	hwpt->pasid_compat = flags & IOMMU_HWPT_ALLOC_PASID;
	rc = viommu ? viommu->ops->nested_alloc(viommu->context, data, &hwpt->nested)
		    : idev->ops->nested_alloc(idev->ops_context, data, &hwpt->nested);
	if (rc) {
		hwpt->nested = NULL;
		iommufd_object_destroy(ctx, &hwpt->obj);
		return ERR_PTR(rc);
	}
	return hwpt;
}

/* The new HWPT on whatever object cmd->pt_id names. ERR_PTR. */
static struct iommufd_hwpt *alloc_on(struct iommufd_ctx *ctx, const struct iommu_hwpt_alloc *cmd)
{
	struct iommufd_user_data data = {
		.ctx = ctx,
		.type = cmd->data_type,
		.entry_len = cmd->data_len,
		.entry_num = 1,
		.uptr = cmd->data_uptr,
	};
	struct iommufd_device *idev = iommufd_get_object(ctx, cmd->dev_id, IOMMUFD_OBJ_DEVICE);
	struct iommufd_viommu *viommu;
	struct iommufd_object *pt;

	if (IS_ERR(idev))
		return (void *)idev;
	pt = iommufd_get_object(ctx, cmd->pt_id, IOMMUFD_OBJ_ANY);
	if (IS_ERR(pt))
		return ERR_PTR(-EINVAL);
	switch (pt->type) {
	case IOMMUFD_OBJ_HWPT_PAGING:
		return nested_alloc(ctx, hwpt_of(pt), NULL, idev, cmd->flags, &data);
	case IOMMUFD_OBJ_VIOMMU:
		viommu = container_of(pt, struct iommufd_viommu, obj);
		return nested_alloc(ctx, viommu->hwpt, viommu, idev, cmd->flags, &data);
	case IOMMUFD_OBJ_IOAS:
		return iommufd_hwpt_paging_alloc(ctx, container_of(pt, struct iommufd_ioas, obj),
						 idev, cmd->flags, cmd->data_len ? &data : NULL);
	default:
		return ERR_PTR(-EINVAL);
	}
}

static int set_fault(struct iommufd_ctx *ctx, struct iommufd_hwpt *hwpt, uint32_t fault_id)
{
	struct iommufd_fault *fault = iommufd_get_object(ctx, fault_id, IOMMUFD_OBJ_FAULT);

	if (IS_ERR(fault))
		return (int)PTR_ERR(fault);
	fault->obj.users++;
	hwpt->fault = fault;
	return 0;
}

int iommufd_hwpt_alloc(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_alloc *cmd = ucmd->cmd;
	struct iommufd_hwpt *hwpt;
	int rc = 0;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	if ((cmd->data_type == IOMMU_HWPT_DATA_NONE) != !cmd->data_len)
		return -EINVAL;
	hwpt = alloc_on(ucmd->ctx, cmd);
	if (IS_ERR(hwpt))
		return (int)PTR_ERR(hwpt);
	if (cmd->flags & IOMMU_HWPT_FAULT_ID_VALID)
		rc = set_fault(ucmd->ctx, hwpt, cmd->fault_id);
	cmd->out_hwpt_id = hwpt->obj.id;
	if (!rc)
		rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc) {
		iommufd_object_destroy(ucmd->ctx, &hwpt->obj);
		return rc;
	}
	iommufd_object_finalize(ucmd->ctx, &hwpt->obj);
	return 0;
}

int iommufd_hwpt_set_dirty_tracking(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_set_dirty_tracking *cmd = ucmd->cmd;
	struct iommufd_hwpt *hwpt;

	if (cmd->flags & ~(uint32_t)IOMMU_HWPT_DIRTY_TRACKING_ENABLE)
		return -EOPNOTSUPP;
	hwpt = iommufd_get_object(ucmd->ctx, cmd->hwpt_id, IOMMUFD_OBJ_HWPT_PAGING);
	if (IS_ERR(hwpt))
		return (int)PTR_ERR(hwpt);
	return iommufd_dirty_track(hwpt, cmd->flags & IOMMU_HWPT_DIRTY_TRACKING_ENABLE);
}

int iommufd_hwpt_get_dirty_bitmap(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_get_dirty_bitmap *cmd = ucmd->cmd;
	struct iommufd_hwpt *hwpt;

	if (cmd->flags & ~(uint32_t)IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR || cmd->__reserved)
		return -EOPNOTSUPP;
	hwpt = iommufd_get_object(ucmd->ctx, cmd->hwpt_id, IOMMUFD_OBJ_HWPT_PAGING);
	if (IS_ERR(hwpt))
		return (int)PTR_ERR(hwpt);
	return iommufd_dirty_read(hwpt, cmd);
}
