/* SPDX-License-Identifier: MIT */
/*
 * One open /dev/iommu.
 */
#include <uiommu/format.h>

#include "iommufd/iommufd.h"
#include "mm/thread.h"
#include "mm/warn.h"

static void lock_init(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(lock, &attr);
	pthread_mutexattr_destroy(&attr);
}

struct mem_cgroup *iommufd_lock(struct iommufd_ctx *ctx)
{
	struct mem_cgroup *before = mem_cgroup_active();

	pthread_mutex_lock(&ctx->lock);
	if (ctx->owner && before != ctx->owner) {
		/* The thread's setting is what kept it alive. */
		mem_cgroup_get(before);
		mem_cgroup_set_active(ctx->owner);
	}
	return before;
}

void iommufd_unlock(struct iommufd_ctx *ctx, struct mem_cgroup *before)
{
	if (ctx->owner && before != ctx->owner) {
		mem_cgroup_set_active(before);
		mem_cgroup_put(before);
	}
	pthread_mutex_unlock(&ctx->lock);
}

int iommufd_may_change(const struct iommufd_ctx *ctx, const void *caller)
{
	static atomic_uint said;

	if (!ctx->cmd && !ctx->in_unmap && !mm_thread_self()->shrinking)
		return 0;
	mm_warn_once(&said, "a callback changes the iommufd context that it is called by, from",
		     NULL, (uintptr_t)caller);
	return -EDEADLK;
}

static bool config_is_valid(const struct iommufd_config *config)
{
	const struct iommu_format *format =
		config->format ? iommu_format_find(config->format) : NULL;
	unsigned int width = config->address_width;

	return format && config->phys <= IOMMUFD_PHYS_SCATTERED &&
	       (!width || (width >= format->width_min && width <= format->width_max));
}

struct iommufd_ctx *iommufd_ctx_create(const struct iommufd_config *config)
{
	struct iommufd_ctx *ctx;

	if (!config_is_valid(config))
		return ERR_PTR(-EINVAL);
	ctx = kzalloc(sizeof(*ctx), GFP_KERNEL_ACCOUNT, config->owner);
	if (!ctx)
		return ERR_PTR(-ENOMEM);
	lock_init(&ctx->lock);
	ctx->owner = mem_cgroup_get(config->owner);
	ctx->config = *config;
	ctx->config.format = iommu_format_find(config->format)->name;
	ctx->account_mode = IOPT_PAGES_ACCOUNT_USER;
	INIT_LIST_HEAD(&ctx->groups);
	INIT_LIST_HEAD(&ctx->shared);
	INIT_LIST_HEAD(&ctx->dmabufs);
	return ctx;
}

void iommufd_ctx_destroy(struct iommufd_ctx *ctx)
{
	struct mem_cgroup *before = iommufd_lock(ctx);
	struct mem_cgroup *owner = ctx->owner;

	ctx->cmd = 0;
	iommufd_destroy_all(ctx);
	iommufd_dmabufs_orphan(ctx);
	iommufd_unlock(ctx, before);
	pthread_mutex_destroy(&ctx->lock);
	kfree(ctx);
	mem_cgroup_put(owner);
}
