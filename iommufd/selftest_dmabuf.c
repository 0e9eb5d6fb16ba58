/* SPDX-License-Identifier: MIT */
/*
 * dma-bufs of no device: memory that nothing is in.
 */
#include <uiommu/iommufd_dmabuf.h>

#include "iommufd/pages.h"
#include "iommufd/selftest.h"

#define DMABUF_MAX (512 * IOPT_PAGE_SIZE)
#define DMABUF_AT  (UINT64_C(1) << 40) /* where no memory of a process is */

int iommufd_test_dmabuf_get(struct iommufd_ctx *ctx, const struct iommu_test_cmd *cmd)
{
	struct iommufd_dmabuf *dmabuf;
	int fd;

	if (cmd->dmabuf_get.length > DMABUF_MAX)
		return -EINVAL;
	fd = iommufd_dmabuf_export(ctx, DMABUF_AT, cmd->dmabuf_get.length, NULL, NULL, &dmabuf);
	if (fd >= 0)
		iommufd_dmabuf_put(dmabuf);
	return fd;
}

struct revocation {
	const struct iommufd_ctx *ctx;
	bool revoked;
};

static int revoke(void *file, void *arg)
{
	const struct revocation *revocation = arg;
	struct iommufd_dmabuf *dmabuf = file;

	/* One of another /dev/iommu would need that one's lock. */
	if (dmabuf->ctx != revocation->ctx)
		return -EINVAL;
	iommufd_dmabuf_revoke(dmabuf, revocation->revoked);
	return 0;
}

int iommufd_test_dmabuf_revoke(struct iommufd_ctx *ctx, const struct iommu_test_cmd *cmd)
{
	const struct iommufd_config *config = &ctx->config;
	struct revocation revocation = {.ctx = ctx, .revoked = cmd->dmabuf_revoke.revoked};

	if (!config->host || !config->host->with_file)
		return -EOPNOTSUPP;
	return config->host->with_file(config->host_context, IOMMUFD_FILE_DMABUF,
				       cmd->dmabuf_revoke.dmabuf_fd, revoke, &revocation);
}
