/* SPDX-License-Identifier: MIT */
/*
 * IOMMU_OPTION.
 */
#include <linux/capability.h>

#include "iommufd/iommufd.h"
#include "iommufd/user.h"

/*
 * Where a container's root lacks the capability, this is no real resource that
 * it is kept from.
 */
static bool may_change_accounting(void)
{
	return iommufd_caller_uid() == 0 || iommufd_caller_may(CAP_SYS_RESOURCE);
}

static int set_rlimit_mode(struct iommufd_ctx *ctx, uint64_t mode)
{
	if (!may_change_accounting())
		return -EPERM;
	if (!idmap_empty(&ctx->objects))
		return -EBUSY;
	if (mode > 1)
		return -EINVAL;
	ctx->account_mode = mode ? IOPT_PAGES_ACCOUNT_MM : IOPT_PAGES_ACCOUNT_USER;
	return 0;
}

static int option_rlimit_mode(struct iommufd_ctx *ctx, struct iommu_option *cmd)
{
	if (cmd->object_id)
		return -EOPNOTSUPP;
	switch (cmd->op) {
	case IOMMU_OPTION_OP_GET:
		cmd->val64 = ctx->account_mode == IOPT_PAGES_ACCOUNT_MM;
		return 0;
	case IOMMU_OPTION_OP_SET:
		return set_rlimit_mode(ctx, cmd->val64);
	default:
		return -EOPNOTSUPP;
	}
}

static int set_huge_pages(struct io_pagetable *iopt, uint64_t enable)
{
	if (enable > 1)
		return -EINVAL;
	if (!enable)
		return iopt_disable_large_pages(iopt);
	iopt_enable_large_pages(iopt);
	return 0;
}

static int option_huge_pages(struct iommufd_ctx *ctx, struct iommu_option *cmd)
{
	struct iommufd_ioas *ioas = iommufd_get_object(ctx, cmd->object_id, IOMMUFD_OBJ_IOAS);

	if (IS_ERR(ioas))
		return (int)PTR_ERR(ioas);
	switch (cmd->op) {
	case IOMMU_OPTION_OP_GET:
		cmd->val64 = !ioas->iopt.disable_large_pages;
		return 0;
	case IOMMU_OPTION_OP_SET:
		return set_huge_pages(&ioas->iopt, cmd->val64);
	default:
		return -EOPNOTSUPP;
	}
}

int iommufd_option(struct iommufd_ucmd *ucmd)
{
	struct iommu_option *cmd = ucmd->cmd;
	int rc = -EOPNOTSUPP;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	if (cmd->option_id == IOMMU_OPTION_RLIMIT_MODE)
		rc = option_rlimit_mode(ucmd->ctx, cmd);
	else if (cmd->option_id == IOMMU_OPTION_HUGE_PAGES)
		rc = option_huge_pages(ucmd->ctx, cmd);
	return rc ? rc : iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}
