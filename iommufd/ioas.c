// SPDX-License-Identifier: MIT
/*
 * The ioctls on IO address spaces.
 */
#include "iommufd/pages.h"
#include "plat/compiler.h"

#define MAP_FLAGS (IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE)

struct iommufd_ioas *iommufd_ioas_alloc(struct iommufd_ctx *ctx)
{
	struct iommufd_ioas *ioas = iommufd_object_alloc(ctx, sizeof(*ioas), IOMMUFD_OBJ_IOAS);

	if (IS_ERR(ioas))
		return ioas;
	iopt_init(&ioas->iopt, ctx);
	INIT_LIST_HEAD(&ioas->hwpts);
	return ioas;
}

void iommufd_ioas_destroy(struct iommufd_object *obj)
{
	struct iommufd_ioas *ioas = container_of(obj, struct iommufd_ioas, obj);

	iopt_unmap_all(&ioas->iopt, NULL);
	iopt_destroy(&ioas->iopt);
}

int iommufd_ioas_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_alloc *cmd = ucmd->cmd;
	struct iommufd_ioas *ioas;
	int ret;

	if (cmd->flags)
		return -EOPNOTSUPP;
	ioas = iommufd_ioas_alloc(ucmd->ctx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	cmd->out_ioas_id = ioas->obj.id;
	ret = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (ret) {
		iommufd_object_destroy(ucmd->ctx, &ioas->obj);
		return ret;
	}
	iommufd_object_finalize(ucmd->ctx, &ioas->obj);
	return 0;
}

static struct iommufd_ioas *get_ioas(struct iommufd_ucmd *ucmd, uint32_t id)
{
	return iommufd_get_object(ucmd->ctx, id, IOMMUFD_OBJ_IOAS);
}

/* ---- ranges ---- */

struct range_copy {
	struct iommufd_ucmd *ucmd;
	uint64_t to;
	uint32_t nr, max;
};

static int copy_range(void *arg, uint64_t start, uint64_t last)
{
	struct iommu_iova_range range = {.start = start, .last = last};
	struct range_copy *copy = arg;
	uint32_t index = copy->nr++;

	if (index >= copy->max)
		return 0;
	return iommufd_copy_to_user(copy->ucmd->ctx, copy->to + index * sizeof(range), &range,
				    sizeof(range));
}

int iommufd_ioas_iova_ranges(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_iova_ranges *cmd = ucmd->cmd;
	struct range_copy copy = {.ucmd = ucmd, .to = cmd->allowed_iovas, .max = cmd->num_iovas};
	struct iommufd_ioas *ioas;
	int ret;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	ioas = get_ioas(ucmd, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	ret = iopt_for_each_usable(&ioas->iopt, copy_range, &copy);
	if (ret)
		return ret;
	cmd->num_iovas = copy.nr;
	cmd->out_iova_alignment = ioas->iopt.iova_alignment;
	ret = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (ret)
		return ret;
	return copy.nr > copy.max ? -EMSGSIZE : 0;
}

static int load_ranges(struct iommufd_ctx *ctx, struct itree *ranges, uint64_t from, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++) {
		struct iommu_iova_range range;
		struct iopt_range *allowed;

		if (iommufd_copy_from_user(ctx, &range, from + i * sizeof(range), sizeof(range)))
			return -EFAULT;
		if (range.start >= range.last || itree_first(ranges, range.start, range.last))
			return -EINVAL;
		allowed = kzalloc(sizeof(*allowed), GFP_KERNEL_ACCOUNT, ctx->owner);
		if (!allowed)
			return -ENOMEM;
		allowed->node.start = range.start;
		allowed->node.last = range.last;
		itree_insert(ranges, &allowed->node);
	}
	return 0;
}

int iommufd_ioas_allow_iovas(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_allow_iovas *cmd = ucmd->cmd;
	struct itree ranges = {0};
	struct iommufd_ioas *ioas;
	int ret;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	ioas = get_ioas(ucmd, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	ret = load_ranges(ucmd->ctx, &ranges, cmd->allowed_iovas, cmd->num_iovas);
	if (!ret)
		ret = iopt_set_allow_iova(&ioas->iopt, &ranges);
	iopt_free_ranges(&ranges);
	return ret;
}

/* ---- mapping ---- */

/* User memory is always coherent with the CPU. */
static int to_prot(uint32_t flags)
{
	return IOMMU_CACHE | (flags & IOMMU_IOAS_MAP_WRITEABLE ? IOMMU_WRITE : 0) |
	       (flags & IOMMU_IOAS_MAP_READABLE ? IOMMU_READ : 0);
}

static unsigned int to_iopt_flags(uint32_t flags)
{
	return flags & IOMMU_IOAS_MAP_FIXED_IOVA ? IOPT_FIXED : 0;
}

static bool has_access(uint32_t flags)
{
	return flags & (IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE);
}

int iommufd_ioas_map(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_map *cmd = ucmd->cmd;
	struct iommufd_ioas *ioas;
	uint64_t iova = cmd->iova;
	int ret;

	if ((cmd->flags & ~MAP_FLAGS) || cmd->__reserved)
		return -EOPNOTSUPP;
	if (cmd->iova == UINT64_MAX || cmd->length == UINT64_MAX)
		return -EOVERFLOW;
	if (!has_access(cmd->flags))
		return -EINVAL;
	ioas = get_ioas(ucmd, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	ret = iopt_map_user_pages(&ioas->iopt, &iova, cmd->user_va, cmd->length,
				  to_prot(cmd->flags), to_iopt_flags(cmd->flags));
	if (ret)
		return ret;
	cmd->iova = iova;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}

int iommufd_ioas_map_file(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_map_file *cmd = ucmd->cmd;
	struct iommufd_ioas *ioas;
	uint64_t iova = cmd->iova;
	int ret;

	if (cmd->flags & ~MAP_FLAGS)
		return -EOPNOTSUPP;
	if (cmd->iova == UINT64_MAX || cmd->length == UINT64_MAX)
		return -EOVERFLOW;
	if (!has_access(cmd->flags))
		return -EINVAL;
	ioas = get_ioas(ucmd, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	ret = iopt_map_file_pages(&ioas->iopt, &iova, cmd->fd, cmd->start, cmd->length,
				  to_prot(cmd->flags), to_iopt_flags(cmd->flags));
	if (ret)
		return ret;
	cmd->iova = iova;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}

int iommufd_ioas_copy(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_copy *cmd = ucmd->cmd;
	struct iommufd_ioas *src, *dst;
	uint64_t iova = cmd->dst_iova, last;
	int ret;

	iommufd_test_syz_conv_iova_id(ucmd, cmd->src_ioas_id, &cmd->src_iova, &cmd->flags);
	if (cmd->flags & ~MAP_FLAGS)
		return -EOPNOTSUPP;
	if (cmd->length == UINT64_MAX || cmd->src_iova == UINT64_MAX || cmd->dst_iova == UINT64_MAX)
		return -EOVERFLOW;
	if (!has_access(cmd->flags))
		return -EINVAL;
	src = get_ioas(ucmd, cmd->src_ioas_id);
	if (IS_ERR(src))
		return PTR_ERR(src);
	/* Whatever the other id is. */
	if (!cmd->length)
		return -EINVAL;
	if (__builtin_add_overflow(cmd->src_iova, cmd->length - 1, &last))
		return -EOVERFLOW;
	dst = get_ioas(ucmd, cmd->dst_ioas_id);
	if (IS_ERR(dst))
		return PTR_ERR(dst);
	ret = iopt_copy(&dst->iopt, &iova, &src->iopt, cmd->src_iova, cmd->length,
			to_prot(cmd->flags), to_iopt_flags(cmd->flags));
	if (ret)
		return ret;
	cmd->dst_iova = iova;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}

int iommufd_ioas_unmap(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_unmap *cmd = ucmd->cmd;
	struct iommufd_ioas *ioas = get_ioas(ucmd, cmd->ioas_id);
	uint64_t unmapped = 0;
	int ret;

	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	if (cmd->iova == 0 && cmd->length == UINT64_MAX) {
		ret = iopt_unmap_all(&ioas->iopt, &unmapped);
	} else if (cmd->iova == UINT64_MAX || cmd->length == UINT64_MAX) {
		ret = -EOVERFLOW;
	} else {
		ret = iopt_unmap_iova(&ioas->iopt, cmd->iova, cmd->length, &unmapped);
		if (!ret && !unmapped)
			ret = -ENOENT;
	}
	if (ret)
		return ret;
	cmd->length = unmapped;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}
