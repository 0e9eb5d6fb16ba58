/* SPDX-License-Identifier: MIT */
/*
 * Objects: what has an id. An object is reserved by iommufd_object_alloc() and
 * becomes visible with iommufd_object_finalize(), after which its maker can no
 * longer fail. Destroying allocates nothing and cannot fail: whatever might
 * stand in the way is counted in obj->users before.
 */
#include <stdio.h>

#include "iommufd/iommufd.h"
#include "iommufd/viommu.h"

/* Stands for an id that is not to be used again. */
static struct iommufd_object tombstone;

static void (*const destructors[IOMMUFD_OBJ_MAX])(struct iommufd_object *obj) = {
	[IOMMUFD_OBJ_DEVICE] = iommufd_device_destroy,
	[IOMMUFD_OBJ_HWPT_PAGING] = iommufd_hwpt_destroy,
	[IOMMUFD_OBJ_HWPT_NESTED] = iommufd_hwpt_destroy,
	[IOMMUFD_OBJ_IOAS] = iommufd_ioas_destroy,
	[IOMMUFD_OBJ_ACCESS] = iommufd_access_destroy_object,
	[IOMMUFD_OBJ_FAULT] = iommufd_fault_destroy,
	[IOMMUFD_OBJ_VIOMMU] = iommufd_viommu_destroy,
	[IOMMUFD_OBJ_VDEVICE] = iommufd_vdevice_destroy,
	[IOMMUFD_OBJ_VEVENTQ] = iommufd_veventq_destroy,
	[IOMMUFD_OBJ_HW_QUEUE] = iommufd_hw_queue_destroy,
	[IOMMUFD_OBJ_SELFTEST] = iommufd_selftest_destroy,
};

void *iommufd_object_alloc(struct iommufd_ctx *ctx, size_t size, enum iommufd_object_type type)
{
	struct iommufd_object *obj = kzalloc(size, GFP_KERNEL_ACCOUNT, ctx->owner);
	int rc;

	if (!obj)
		return ERR_PTR(-ENOMEM);
	obj->type = type;
	obj->created_cmd = ctx->cmd;
	rc = idmap_alloc(&ctx->objects, ctx->owner, obj, &obj->id);
	if (rc) {
		kfree(obj);
		return ERR_PTR(rc);
	}
	return obj;
}

void iommufd_object_finalize(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	obj->live = true;
}

void iommufd_object_abort(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	idmap_erase(&ctx->objects, obj->id);
	kfree(obj);
}

void *iommufd_get_object(struct iommufd_ctx *ctx, uint32_t id, enum iommufd_object_type type)
{
	struct iommufd_object *obj = idmap_find(&ctx->objects, id);

	if (!obj || !obj->live || (type != IOMMUFD_OBJ_ANY && obj->type != type))
		return ERR_PTR(-ENOENT);
	return obj;
}

/* All but its id. */
static void destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	if (ctx->vfio_ioas && &ctx->vfio_ioas->obj == obj)
		ctx->vfio_ioas = NULL;
	destructors[obj->type](obj);
	kfree(obj);
}

void iommufd_object_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	idmap_erase(&ctx->objects, obj->id);
	destroy(ctx, obj);
}

void iommufd_object_tombstone(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	idmap_replace(&ctx->objects, obj->id, &tombstone);
	destroy(ctx, obj);
}

static bool is_mapped(struct iommufd_object *obj)
{
	return obj->type == IOMMUFD_OBJ_VIOMMU &&
	       iommufd_viommu_is_mapped(container_of(obj, struct iommufd_viommu, obj));
}

int iommufd_object_remove(struct iommufd_ctx *ctx, uint32_t id)
{
	struct iommufd_object *obj = iommufd_get_object(ctx, id, IOMMUFD_OBJ_ANY);

	if (IS_ERR(obj))
		return (int)PTR_ERR(obj);
	if (obj->users || is_mapped(obj))
		return -EBUSY;
	iommufd_object_destroy(ctx, obj);
	return 0;
}

/* One pass over the objects that nothing uses; their going may free others. */
static bool destroy_unused(struct iommufd_ctx *ctx)
{
	struct iommufd_object *obj;
	bool any = false;

	for (uint32_t id = 1; (obj = idmap_next(&ctx->objects, &id)); id++) {
		if (obj->users)
			continue;
		if (obj == &tombstone)
			idmap_erase(&ctx->objects, id);
		else
			iommufd_object_destroy(ctx, obj);
		any = true;
	}
	return any;
}

/*
 * Let go of one that its driver or its file, and nothing else, still holds: the
 * program has closed /dev/iommu without unbinding, or before the file.
 */
static bool destroy_held(struct iommufd_ctx *ctx, enum iommufd_object_type type)
{
	struct iommufd_object *obj;

	for (uint32_t id = 1; (obj = idmap_next(&ctx->objects, &id)); id++) {
		if (obj->type != type)
			continue;
		obj->users = 0;
		iommufd_object_destroy(ctx, obj);
		return true;
	}
	return false;
}

void iommufd_destroy_all(struct iommufd_ctx *ctx)
{
	while (!idmap_empty(&ctx->objects)) {
		if (destroy_unused(ctx) || destroy_held(ctx, IOMMUFD_OBJ_DEVICE) ||
		    destroy_held(ctx, IOMMUFD_OBJ_ACCESS) || destroy_held(ctx, IOMMUFD_OBJ_FAULT) ||
		    destroy_held(ctx, IOMMUFD_OBJ_VEVENTQ))
			continue;
		fputs("uiommu: bug: objects of an iommufd use each other\n", stderr);
		return;
	}
}
