/* SPDX-License-Identifier: MIT */
/*
 * Memory of a vIOMMU that a program maps: registers or queues that it shares with the
 * hardware, without an ioctl in between. The host puts it at an offset of the program's
 * /dev/iommu. No two of one context have the same offset at a time.
 */
#include "iommufd/pages.h"
#include "iommufd/viommu.h"
#include "mm/memcg.h"

/* The lowest offset with room. */
static uint64_t find_offset(struct iommufd_ctx *ctx, size_t length, struct list_head **before)
{
	struct iommufd_shared *shared;
	uint64_t offset = 0;

	list_for_each_entry(shared, &ctx->shared, ctx_link)
	{
		if (shared->offset - offset >= length)
			break;
		offset = shared->offset + shared->length;
	}
	*before = &shared->ctx_link;
	return offset;
}

void *iommufd_viommu_share(struct iommufd_viommu *viommu, size_t length, uint64_t *offset)
{
	struct iommufd_ctx *ctx = viommu->ctx;
	const struct iommufd_host *host = ctx->config.host;
	struct iommufd_shared *shared;
	struct list_head *before;

	if (!host || !host->share_memory)
		return ERR_PTR(-EOPNOTSUPP);
	shared = kzalloc(sizeof(*shared), GFP_KERNEL_ACCOUNT, ctx->owner);
	if (!shared)
		return ERR_PTR(-ENOMEM);
	if (mem_cgroup_charge(ctx->owner, length, MEMCG_OTHER, GFP_KERNEL_ACCOUNT))
		goto err_free;
	shared->offset = find_offset(ctx, length, &before);
	shared->memory = host->share_memory(ctx->config.host_context, shared->offset, length);
	if (!shared->memory)
		goto err_uncharge;
	shared->viommu = viommu;
	shared->length = length;
	list_add_tail(&shared->link, &viommu->shared);
	list_add_tail(&shared->ctx_link, before);
	*offset = shared->offset;
	return shared->memory;

err_uncharge:
	mem_cgroup_uncharge(ctx->owner, length, MEMCG_OTHER);
err_free:
	kfree(shared);
	return ERR_PTR(-ENOMEM);
}

void iommufd_viommu_unshare(struct iommufd_viommu *viommu)
{
	struct iommufd_ctx *ctx = viommu->ctx;
	struct iommufd_shared *shared, *next;

	list_for_each_entry_safe(shared, next, &viommu->shared, link)
	{
		ctx->config.host->unshare_memory(ctx->config.host_context, shared->offset,
						 shared->length);
		mem_cgroup_uncharge(ctx->owner, shared->length, MEMCG_OTHER);
		list_del(&shared->link);
		list_del(&shared->ctx_link);
		kfree(shared);
	}
}

bool iommufd_viommu_is_mapped(const struct iommufd_viommu *viommu)
{
	const struct iommufd_config *config = &viommu->ctx->config;
	const struct iommufd_shared *shared;

	list_for_each_entry(shared, &viommu->shared, link)
	{
		if (shared->mapped &&
		    config->host->is_mapped(config->host_context, shared->offset, shared->length))
			return true;
	}
	return false;
}

int iommufd_mmap(struct iommufd_ctx *ctx, uint64_t offset, uint64_t length)
{
	struct mem_cgroup *before = iommufd_lock(ctx);
	struct iommufd_shared *shared;
	int rc = -ENXIO;

	length = (length + IOPT_PAGE_MASK) & ~IOPT_PAGE_MASK;
	list_for_each_entry(shared, &ctx->shared, ctx_link)
	{
		if (shared->offset != offset || shared->length != length)
			continue;
		shared->mapped = true;
		rc = 0;
	}
	iommufd_unlock(ctx, before);
	return rc;
}
