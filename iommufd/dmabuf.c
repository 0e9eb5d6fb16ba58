/* SPDX-License-Identifier: MIT */
/*
 * dma-bufs: memory of a device, not of a process, which a program maps for other devices
 * by a file. The device can take it back at any time (revoke): what is mapped of it goes
 * from all tables then, and does not return when the device gives it again.
 *
 * A dma-buf is mapped in the context that it was exported in, whose lock is that of all
 * of it.
 */
#include <uiommu/iommufd_dmabuf.h>

#include "iommufd/pages.h"
#include "plat/compiler.h"

static void put(struct iommufd_dmabuf *dmabuf)
{
	if (--dmabuf->refs)
		return;
	if (dmabuf->ctx)
		list_del(&dmabuf->link);
	if (dmabuf->release)
		dmabuf->release(dmabuf->release_context);
	kfree(dmabuf);
}

static struct iommufd_dmabuf *dmabuf_alloc(struct iommufd_ctx *ctx, uint64_t paddr, uint64_t length)
{
	struct iommufd_dmabuf *dmabuf = kzalloc(sizeof(*dmabuf), GFP_KERNEL_ACCOUNT, ctx->owner);

	if (!dmabuf)
		return NULL;
	dmabuf->ctx = ctx;
	dmabuf->paddr = paddr;
	dmabuf->length = length;
	dmabuf->refs = 1;
	INIT_LIST_HEAD(&dmabuf->pages);
	list_add_tail(&dmabuf->link, &ctx->dmabufs);
	return dmabuf;
}

static int export(struct iommufd_ctx *ctx, struct iommufd_dmabuf *dmabuf)
{
	const struct iommufd_host *host = ctx->config.host;

	if (!host || !host->install_file || !host->with_file)
		return -EOPNOTSUPP;
	return host->install_file(ctx->config.host_context, IOMMUFD_FILE_DMABUF, dmabuf);
}

int iommufd_dmabuf_export(struct iommufd_ctx *ctx, uint64_t paddr, uint64_t length,
			  void (*release)(void *context), void *context,
			  struct iommufd_dmabuf **dmabuf)
{
	struct mem_cgroup *before;
	int fd = -ENOMEM;

	if (!length || (paddr | length) & IOPT_PAGE_MASK || paddr + (length - 1) < paddr)
		return -EINVAL;
	before = iommufd_lock(ctx);
	*dmabuf = dmabuf_alloc(ctx, paddr, length);
	if (*dmabuf) {
		fd = export(ctx, *dmabuf);
		if (fd < 0)
			put(*dmabuf);
	}
	if (fd >= 0) {
		(*dmabuf)->refs++;
		(*dmabuf)->release = release;
		(*dmabuf)->release_context = context;
	}
	iommufd_unlock(ctx, before);
	return fd;
}

/* Drop a reference; the context may be gone. */
static void put_unlocked(struct iommufd_dmabuf *dmabuf)
{
	struct iommufd_ctx *ctx = dmabuf->ctx;
	struct mem_cgroup *before;

	if (!ctx) {
		put(dmabuf);
		return;
	}
	before = iommufd_lock(ctx);
	put(dmabuf);
	iommufd_unlock(ctx, before);
}

void iommufd_dmabuf_put(struct iommufd_dmabuf *dmabuf)
{
	put_unlocked(dmabuf);
}

void iommufd_dmabuf_release(struct iommufd_dmabuf *dmabuf)
{
	put_unlocked(dmabuf);
}

/* ---- the device takes it back ---- */

static void unfill(struct iopt_pages *pages)
{
	struct iopt_domain *filled;
	struct itree_node *node;

	for (node = itree_first(&pages->areas, 0, UINT64_MAX); node;
	     node = itree_next(&pages->areas, node, 0, UINT64_MAX)) {
		struct iopt_area *area = container_of(node, struct iopt_area, pages_node);

		list_for_each_entry(filled, &area->iopt->domains, link)
			iopt_area_unfill(area, filled->domain);
	}
}

void iommufd_dmabuf_revoke(struct iommufd_dmabuf *dmabuf, bool revoked)
{
	struct iommufd_ctx *ctx = dmabuf->ctx;
	struct iopt_pages *pages;
	struct mem_cgroup *before;

	if (!ctx) {
		dmabuf->revoked = revoked;
		return;
	}
	before = iommufd_lock(ctx);
	dmabuf->revoked = revoked;
	list_for_each_entry(pages, &dmabuf->pages, dmabuf_link)
	{
		if (!revoked || pages->revoked)
			continue;
		unfill(pages);
		pages->revoked = true;
	}
	iommufd_unlock(ctx, before);
}

/* The context closes. Nothing of it is mapped any more. */
void iommufd_dmabufs_orphan(struct iommufd_ctx *ctx)
{
	struct iommufd_dmabuf *dmabuf, *next;

	list_for_each_entry_safe(dmabuf, next, &ctx->dmabufs, link)
	{
		list_del(&dmabuf->link);
		dmabuf->ctx = NULL;
	}
}

/* ---- its pages ---- */

struct range {
	struct iommufd_ctx *ctx;
	uint64_t start, length;
	bool writable;
	struct iopt_pages *pages; /* the answer */
};

static struct iopt_pages *pages_alloc(struct iommufd_dmabuf *dmabuf, const struct range *range)
{
	uint64_t first = range->start & ~IOPT_PAGE_MASK, last;
	struct iopt_pages *pages;

	if (dmabuf->ctx != range->ctx || !range->length ||
	    __builtin_add_overflow(range->start, range->length - 1, &last) ||
	    last >= dmabuf->length)
		return ERR_PTR(-EINVAL);
	if (dmabuf->revoked)
		return ERR_PTR(-ENODEV);
	pages = iopt_pages_new(range->ctx, first, ((last - first) >> IOPT_PAGE_SHIFT) + 1,
			       range->writable);
	if (IS_ERR(pages))
		return pages;
	dmabuf->refs++;
	pages->device = true;
	pages->dmabuf = dmabuf;
	list_add_tail(&pages->dmabuf_link, &dmabuf->pages);
	return pages;
}

static int call_pages_alloc(void *file, void *arg)
{
	struct range *range = arg;

	range->pages = pages_alloc(file, range);
	return 0;
}

struct iopt_pages *iopt_pages_alloc_dmabuf(struct iommufd_ctx *ctx, int fd, uint64_t start,
					   uint64_t length, bool writable)
{
	const struct iommufd_config *config = &ctx->config;
	struct range range = {.ctx = ctx, .start = start, .length = length, .writable = writable};

	if (!config->host || !config->host->with_file ||
	    config->host->with_file(config->host_context, IOMMUFD_FILE_DMABUF, fd, call_pages_alloc,
				    &range))
		return NULL;
	return range.pages;
}

void iopt_pages_put_dmabuf(struct iopt_pages *pages)
{
	list_del(&pages->dmabuf_link);
	put(pages->dmabuf);
}

uint64_t iopt_pages_dmabuf_paddr(const struct iopt_pages *pages)
{
	return pages->dmabuf->paddr + pages->node.start;
}
