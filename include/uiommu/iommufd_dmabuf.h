/* SPDX-License-Identifier: MIT */
/*
 * Memory of a device that a program maps for other devices, by IOMMU_IOAS_MAP_FILE.
 */
#ifndef UIOMMU_IOMMUFD_DMABUF_H
#define UIOMMU_IOMMUFD_DMABUF_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct iommufd_ctx;
struct iommufd_dmabuf;

/**
 * iommufd_dmabuf_export() - Give a program memory of a device as a file.
 * @ctx: the context of the ioctl that this is called in
 * @paddr: where the memory is, a multiple of 4096
 * @length: bytes, a multiple of 4096
 * @release: called when nothing needs the memory any more; with the context locked, if it
 *           is still there. May be NULL.
 * @context: handed to it
 * @dmabuf: becomes the dma-buf, until iommufd_dmabuf_put()
 *
 * Context: May block.
 * Return: a descriptor of the calling process; -EINVAL; -ENOMEM; -EOPNOTSUPP when the host
 * has no files; and @release is not called.
 */
int iommufd_dmabuf_export(struct iommufd_ctx *ctx, uint64_t paddr, uint64_t length,
			  void (*release)(void *context), void *context,
			  struct iommufd_dmabuf **dmabuf);

/**
 * iommufd_dmabuf_revoke() - Take the memory back, or give it again.
 * @dmabuf: the dma-buf
 * @revoked: which of the two
 *
 * When this returns no domain maps any of what is taken back. Mappings that were there
 * remain, and translate nothing, also when the memory is given again.
 *
 * Context: May block. Any thread. Cannot fail and does not allocate.
 */
void iommufd_dmabuf_revoke(struct iommufd_dmabuf *dmabuf, bool revoked);

/**
 * iommufd_dmabuf_put() - Have no more to do with a dma-buf.
 * @dmabuf: the dma-buf; its file and what is mapped of it stay
 *
 * Context: May block. Not at the same time as iommufd_ctx_destroy().
 */
void iommufd_dmabuf_put(struct iommufd_dmabuf *dmabuf);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
