/* SPDX-License-Identifier: MIT */
/*
 * What a Tegra's host1x and its display share: memory in whole pages of their
 * domain.
 */
#ifndef CLIENTS_TEGRA_PAGES_H
#define CLIENTS_TEGRA_PAGES_H

#include <stdbool.h>

#include <uiommu/iommu.h>

#include "mm/page.h"

/* log2 of a domain's smallest page, if it has pages that memory can be had in. */
static inline bool tegra_page_shift(const struct iommu_domain_info *info, unsigned int *shift)
{
	if (!info->format)
		return false;
	*shift = (unsigned int)__builtin_ctzll(info->pgsizes);
	return *shift >= PAGE_SHIFT && *shift <= PAGE_SHIFT + MAX_ORDER;
}

/* @size rounded up to pages of @granule bytes; 0 when there is no such number. */
static inline size_t tegra_align(size_t size, uint64_t granule)
{
	return (size + granule - 1) & ~(granule - 1);
}

/* A block of the next power of two above @size bytes, or NULL: it has a largest size. */
static inline struct page *tegra_alloc_pages(size_t size, gfp_t gfp, struct mem_cgroup *owner)
{
	unsigned int order = 0;

	if (!size)
		return NULL;
	while (order <= MAX_ORDER && PAGE_SIZE << order < size)
		order++;
	return order <= MAX_ORDER ? alloc_pages(gfp, order, owner, PAGE_OTHER) : NULL;
}

#endif
