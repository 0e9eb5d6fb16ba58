/* SPDX-License-Identifier: MIT */
/*
 * The table formats that the library knows.
 */
#ifndef UIOMMU_FORMAT_H
#define UIOMMU_FORMAT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/**
 * struct iommu_format - One hardware layout of I/O page tables.
 * @name: as in iommu_domain_params.format
 * @family: the name that formats of different granules share; without others,
 *          @name
 * @title: what it is, for people
 * @granule: bytes of the smallest page
 * @pgsizes: every leaf size, bit n for 2^n bytes
 * @pgsizes_default: those that a domain uses which asks for none, or 0 for all
 * @width_min: fewest bits of input address
 * @width_max: most bits of input address
 * @width_default: the bits that address_width 0 stands for
 * @features: what of enum iommu_feature makes a difference to its hardware
 */
struct iommu_format {
	const char *name;
	const char *family;
	const char *title;
	uint64_t granule;
	uint64_t pgsizes;
	uint64_t pgsizes_default;
	unsigned int width_min;
	unsigned int width_max;
	unsigned int width_default;
	unsigned int features;
};

/**
 * iommu_format_find() - Look a format up by name.
 * @name: the name
 *
 * Context: Any. Return values live as long as the library.
 * Return: the format, or NULL when there is none of that name.
 */
const struct iommu_format *iommu_format_find(const char *name);

/**
 * iommu_format_find_granule() - Look a format up by family and granule.
 * @name: a family's name, or a format's
 * @granule: bytes of the smallest page, or 0 for any: the first in the list
 *
 * Context: Any. Return values live as long as the library.
 * Return: the format, or NULL when there is none of that name and granule.
 */
const struct iommu_format *iommu_format_find_granule(const char *name, uint64_t granule);

/**
 * iommu_format_next() - List the formats.
 * @format: the one before, or NULL for the first
 *
 * Context: Any.
 * Return: the next format, or NULL after the last.
 */
const struct iommu_format *iommu_format_next(const struct iommu_format *format);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
