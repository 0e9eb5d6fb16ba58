/* SPDX-License-Identifier: MIT */
/*
 * A Tegra's display and video engines, whose firmware and other private memory is
 * mapped at the top of their addresses, in the carveout
 * (drivers/gpu/drm/tegra/drm.c of the kernel).
 */
#ifndef CLIENTS_TEGRA_DRM_H
#define CLIENTS_TEGRA_DRM_H

#include <uiommu/iommu.h>
#include <uiommu/iova.h>

/* The carveout's size; what is below it is for buffers of programs. */
#define TEGRA_CARVEOUT_SZ (UINT64_C(64) << 20)

struct tegra_drm {
	struct iommu_domain *domain;
	struct mem_cgroup *owner; /* the domain's */
	struct {
		struct iova_domain *domain;
		unsigned int shift; /* of its page frame numbers */
		uint64_t limit;     /* the last one */
	} carveout;
};

/**
 * tegra_drm_init() - Set the carveout out.
 * @tegra: room
 * @domain: what the engines go through; stays the caller's
 * @dma_mask: the addresses that they can use
 *
 * Context: May block.
 * Return: 0; -EINVAL for a domain that does not translate, whose pages are not 4 KiB
 * to 64 KiB, or that has not more than the carveout under @dma_mask; -ENOMEM.
 */
int tegra_drm_init(struct tegra_drm *tegra, struct iommu_domain *domain, uint64_t dma_mask);

/**
 * tegra_drm_exit() - End.
 * @tegra: the engines; all memory was freed
 *
 * Context: Does not block.
 */
void tegra_drm_exit(struct tegra_drm *tegra);

/**
 * tegra_drm_alloc() - Make memory that the engines can use.
 * @tegra: the engines
 * @size: bytes, rounded up to pages of the domain
 * @dma: where its address for them goes
 *
 * Physically contiguous and all zeros; charged to the domain's owner. All or
 * nothing.
 *
 * Context: May block. Any number of threads.
 * Return: the memory; as ERR_PTR(): -ENOMEM when memory is short or @size is 0 or
 * more than 256 KiB; -EBUSY when the carveout is full, or what it must note finds
 * no memory; an error of iommu_map().
 */
void *tegra_drm_alloc(struct tegra_drm *tegra, size_t size, dma_addr_t *dma);

/**
 * tegra_drm_free() - Unmap memory and free it.
 * @tegra: the engines
 * @size: as allocated
 * @virt: the memory
 * @dma: its address for the engines
 *
 * Context: Does not block.
 */
void tegra_drm_free(struct tegra_drm *tegra, size_t size, void *virt, dma_addr_t dma);

#endif
