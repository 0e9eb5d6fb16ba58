/* SPDX-License-Identifier: MIT */
/*
 * Looking into a context from outside, for a report.
 */
#include "iommufd/iommufd.h"

const char *iommufd_object_type_name(enum iommufd_object_type type)
{
	static const char *const names[IOMMUFD_OBJ_MAX] = {
		[IOMMUFD_OBJ_DEVICE] = "device",
		[IOMMUFD_OBJ_HWPT_PAGING] = "HWPT",
		[IOMMUFD_OBJ_HWPT_NESTED] = "nested HWPT",
		[IOMMUFD_OBJ_IOAS] = "IOAS",
		[IOMMUFD_OBJ_ACCESS] = "access",
		[IOMMUFD_OBJ_FAULT] = "fault queue",
		[IOMMUFD_OBJ_VIOMMU] = "vIOMMU",
		[IOMMUFD_OBJ_VDEVICE] = "vDEVICE",
		[IOMMUFD_OBJ_VEVENTQ] = "vEVENTQ",
		[IOMMUFD_OBJ_HW_QUEUE] = "hardware queue",
		[IOMMUFD_OBJ_SELFTEST] = "mock device",
	};

	return names[type];
}

static void inspect_ioas(const struct iommufd_ioas *ioas, struct iommufd_object_info *info)
{
	info->ioas_id = ioas->obj.id;
	info->nr_areas = ioas->iopt.nr_areas;
	info->mapped_bytes = ioas->iopt.mapped_bytes;
}

static void inspect_object(const struct iommufd_object *obj, struct iommufd_object_info *info)
{
	const struct iommufd_hwpt *hwpt;

	*info = (struct iommufd_object_info){
		.id = obj->id, .created_cmd = obj->created_cmd, .type = obj->type};
	switch (obj->type) {
	case IOMMUFD_OBJ_IOAS:
		inspect_ioas(container_of(obj, struct iommufd_ioas, obj), info);
		break;
	case IOMMUFD_OBJ_HWPT_PAGING:
	case IOMMUFD_OBJ_HWPT_NESTED:
		hwpt = container_of(obj, struct iommufd_hwpt, obj);
		info->domain = hwpt->domain;
		if (obj->type == IOMMUFD_OBJ_HWPT_PAGING && hwpt->ioas)
			inspect_ioas(hwpt->ioas, info);
		break;
	default:
		break;
	}
}

void iommufd_for_each_object(struct iommufd_ctx *ctx,
			     void (*each)(void *arg, const struct iommufd_object_info *info),
			     void *arg)
{
	struct mem_cgroup *before = iommufd_lock(ctx);
	struct iommufd_object_info info;
	struct iommufd_object *obj;

	for (uint32_t id = 1; (obj = idmap_next(&ctx->objects, &id)); id++) {
		if (!obj->live)
			continue;
		inspect_object(obj, &info);
		each(arg, &info);
	}
	iommufd_unlock(ctx, before);
}

void iommufd_check_memory(struct iommufd_ctx *ctx)
{
	struct mem_cgroup *before = iommufd_lock(ctx);
	struct iommufd_object *obj;

	for (uint32_t id = 1; (obj = idmap_next(&ctx->objects, &id)); id++)
		if (obj->live && obj->type == IOMMUFD_OBJ_IOAS)
			iopt_check_memory(&container_of(obj, struct iommufd_ioas, obj)->iopt);
	iommufd_unlock(ctx, before);
}
