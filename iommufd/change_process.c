/* SPDX-License-Identifier: MIT */
/*
 * IOMMU_IOAS_CHANGE_PROCESS: what is pinned counts as the calling process's from now on,
 * of every IOAS or of none. Only files: memory of a process stays that process's.
 */
#include "iommufd/pages.h"
#include "plat/compiler.h"

/* Call @each for every area of the context, until it fails. */
static int for_each_area(struct iommufd_ctx *ctx, int (*each)(struct iopt_area *area, void *arg),
			 void *arg)
{
	struct iommufd_object *obj;
	struct itree_node *node;
	struct itree *areas;
	int ret = 0;

	for (uint32_t id = 1; (obj = idmap_next(&ctx->objects, &id)); id++) {
		if (!obj->live || obj->type != IOMMUFD_OBJ_IOAS)
			continue;
		areas = &container_of(obj, struct iommufd_ioas, obj)->iopt.areas;
		for (node = itree_first(areas, 0, UINT64_MAX); node && !ret;
		     node = itree_next(areas, node, 0, UINT64_MAX))
			ret = each(container_of(node, struct iopt_area, node), arg);
	}
	return ret;
}

static int check_area(struct iopt_area *area, void *arg)
{
	return area->pages->file ? 0 : -EINVAL;
}

/* Copies of an area share their pages: these are counted with the first one. */
static int charge_area(struct iopt_area *area, void *arg)
{
	struct iopt_pages *pages = area->pages;
	int ret;

	if (pages->charged || pages->source == arg)
		return 0;
	ret = iopt_account_to(pages->ctx, arg, pages->account_mode, pages->npinned);
	pages->charged = !ret;
	return ret;
}

static int undo_area(struct iopt_area *area, void *arg)
{
	struct iopt_pages *pages = area->pages;

	if (pages->charged)
		iopt_unaccount_from(arg, pages->account_mode, pages->npinned);
	pages->charged = false;
	return 0;
}

static int move_area(struct iopt_area *area, void *arg)
{
	struct iopt_pages *pages = area->pages;

	if (!pages->charged)
		return 0;
	iopt_unaccount_from(pages->source, pages->account_mode, pages->npinned);
	iommufd_mm_put(pages->source);
	pages->source = iommufd_mm_get(arg);
	pages->charged = false;
	return 0;
}

int iommufd_ioas_change_process(struct iommufd_ucmd *ucmd)
{
	const struct iommu_ioas_change_process *cmd = ucmd->cmd;
	struct iommufd_mm *mm;
	int ret;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	ret = for_each_area(ucmd->ctx, check_area, NULL);
	if (ret)
		return ret;
	mm = iommufd_caller_mm();
	if (IS_ERR(mm))
		return (int)PTR_ERR(mm);
	ret = for_each_area(ucmd->ctx, charge_area, mm);
	for_each_area(ucmd->ctx, ret ? undo_area : move_area, mm);
	iommufd_mm_put(mm);
	return ret;
}
