/* SPDX-License-Identifier: MIT */
/*
 * Instance memory of a Tegra's GPU: pages from anywhere, which the IOMMU makes
 * contiguous for it (drivers/gpu/drm/nouveau/nvkm/subdev/instmem/gk20a.c of the
 * kernel).
 */
#ifndef CLIENTS_GK20A_H
#define CLIENTS_GK20A_H

#include <uiommu/iommu.h>

/* An address with this bit is translated by the IOMMU; those below it are the area. */
#define GK20A_IOMMU_BIT 34

struct gk20a_instmem;
struct gk20a_instobj;

/**
 * gk20a_instmem_new() - Begin to make instance memory.
 * @domain: what the GPU goes through; stays the caller's. Its smallest page,
 *          4 KiB to 64 KiB, is the page of instance memory.
 *
 * All that this needs is charged to the domain's owner.
 *
 * Context: May block.
 * Return: what the other calls take; as ERR_PTR(): -EINVAL for a domain that does
 * not translate or has other pages; -ENOMEM.
 */
struct gk20a_instmem *gk20a_instmem_new(struct iommu_domain *domain);

/**
 * gk20a_instmem_del() - End.
 * @imem: instance memory without objects
 *
 * Context: Does not block.
 */
void gk20a_instmem_del(struct gk20a_instmem *imem);

/**
 * gk20a_instobj_new() - Make an object: memory that is contiguous for the GPU.
 * @imem: instance memory
 * @size: bytes, rounded up to pages, at least one
 * @align: what its address is to be a multiple of, rounded up to pages; then a
 *         power of two
 *
 * It has the lowest addresses that are free. All or nothing.
 *
 * Context: May block. Any number of threads.
 * Return: the object; as ERR_PTR(): -EINVAL for another @align; -ENOSPC when no
 * range of addresses is large enough; -ENOMEM, also for more than 8190 pages; an
 * error of iommu_map().
 */
struct gk20a_instobj *gk20a_instobj_new(struct gk20a_instmem *imem, uint32_t size, uint32_t align);

/**
 * gk20a_instobj_addr() - Tell where the GPU finds an object.
 * @obj: the object
 *
 * Context: Any.
 * Return: its address in the domain, with bit GK20A_IOMMU_BIT set.
 */
uint64_t gk20a_instobj_addr(const struct gk20a_instobj *obj);

/**
 * gk20a_instobj_size() - Tell how large an object is.
 * @obj: the object
 *
 * Context: Any.
 * Return: bytes, whole pages.
 */
uint64_t gk20a_instobj_size(const struct gk20a_instobj *obj);

/**
 * gk20a_instobj_page() - Find one of an object's pages.
 * @obj: the object
 * @index: which
 *
 * Context: Any.
 * Return: the memory.
 */
void *gk20a_instobj_page(const struct gk20a_instobj *obj, uint32_t index);

/**
 * gk20a_instobj_del() - Unmap an object and free its pages.
 * @obj: the object
 *
 * Context: Does not block, but for other calls on its instance memory.
 */
void gk20a_instobj_del(struct gk20a_instobj *obj);

#endif
