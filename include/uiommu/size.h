/* SPDX-License-Identifier: MIT */
/*
 * How many tables a set of mappings needs, without making any: in closed form,
 * so that it costs the same for a page and for an exabyte of pages.
 */
#ifndef UIOMMU_SIZE_H
#define UIOMMU_SIZE_H

#include <stddef.h>
#include <stdint.h>

#include <uiommu/iommu.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/**
 * struct iommu_size_map - A mapping, or many alike at a fixed distance.
 * @iova: first input address, a multiple of the smallest page size
 * @size: bytes, a multiple of the smallest page size, not 0
 * @backing: size and alignment in bytes of the physically contiguous pieces: a
 *           power of two, at least the smallest page size; 0 for that. The
 *           range is cut into such pieces from @iova on, the last one may be
 *           shorter; each begins at a multiple of @backing in physical memory,
 *           and none adjoins the next.
 * @count: how many times the mapping is made, not 0
 * @stride: bytes from the start of one to the start of the next: a multiple of
 *          the smallest page size, at least @size. Not used if @count is 1.
 */
struct iommu_size_map {
	uint64_t iova;
	uint64_t size;
	uint64_t backing;
	uint64_t count;
	uint64_t stride;
};

/**
 * enum iommu_size_reason - Why iommu_size() refused.
 * @IOMMU_SIZE_GOOD: it did not
 * @IOMMU_SIZE_FORMAT: there is no such format
 * @IOMMU_SIZE_WIDTH: the format does not have that address width
 * @IOMMU_SIZE_BAD_IOVA: iova is not a multiple of the smallest page size
 * @IOMMU_SIZE_BAD_SIZE: size is 0 or not a multiple of the smallest page size
 * @IOMMU_SIZE_BAD_BACKING: backing is not a power of two or too small
 * @IOMMU_SIZE_BAD_COUNT: count is 0
 * @IOMMU_SIZE_BAD_STRIDE: stride is not a multiple of the smallest page size
 * @IOMMU_SIZE_WRAPS: the range, or the last repetition, passes 2^64
 * @IOMMU_SIZE_APERTURE: it passes the last address that can be mapped
 * @IOMMU_SIZE_OVERLAP: two mappings overlap, or repetitions of one do
 * @IOMMU_SIZE_INTERLEAVED: three or more repeated mappings interleave in a way
 *                          that would take too long to count
 * @IOMMU_SIZE_MEMORY: out of memory
 */
enum iommu_size_reason {
	IOMMU_SIZE_GOOD,
	IOMMU_SIZE_FORMAT,
	IOMMU_SIZE_WIDTH,
	IOMMU_SIZE_BAD_IOVA,
	IOMMU_SIZE_BAD_SIZE,
	IOMMU_SIZE_BAD_BACKING,
	IOMMU_SIZE_BAD_COUNT,
	IOMMU_SIZE_BAD_STRIDE,
	IOMMU_SIZE_WRAPS,
	IOMMU_SIZE_APERTURE,
	IOMMU_SIZE_OVERLAP,
	IOMMU_SIZE_INTERLEAVED,
	IOMMU_SIZE_MEMORY,
};

/**
 * struct iommu_size_table - One table.
 * @bytes: bytes that it takes
 * @span_lg2: log2 of the bytes of input address that it translates
 */
struct iommu_size_table {
	uint64_t bytes;
	unsigned int span_lg2;
};

/**
 * struct iommu_size - What a set of mappings needs in one domain.
 * @format: the format's name
 * @address_width: bits of input address
 * @aperture_last: last input address that can be mapped
 * @granule: the smallest page size in bytes
 * @levels: levels of tables once everything is mapped
 * @tables: tables per level, level 0 the lowest, the top table included
 * @bytes: bytes per level
 * @each: one table of each level, also of those that a table may grow by
 * @entries: leaf entries per level: what one translation takes counts once,
 *           however many items it is repeated in
 * @top_bytes: bytes that are allocated with the domain: one top table
 * @table_bytes: bytes that mapping adds
 * @reason: why there is no answer; of the fields above, those up to @granule and
 *          @each are valid then, and not even those without a format of that width
 * @maps: the map or the two maps (ascending) that @reason is about, as indices
 *        into the array; both the same when it is about one
 */
struct iommu_size {
	const char *format;
	unsigned int address_width;
	uint64_t aperture_last;
	uint64_t granule;
	unsigned int levels;
	uint64_t tables[IOMMU_MAX_LEVELS];
	uint64_t bytes[IOMMU_MAX_LEVELS];
	struct iommu_size_table each[IOMMU_MAX_LEVELS];
	uint64_t entries[IOMMU_MAX_LEVELS];
	uint64_t top_bytes;
	uint64_t table_bytes;
	enum iommu_size_reason reason;
	size_t maps[2];
};

/**
 * iommu_size() - Compute what a set of mappings needs, without making it.
 * @format: name of the format, as in iommu_domain_params
 * @address_width: bits of input address, or 0 for the format's default
 * @maps: the mappings, in the order in which they are made
 * @nr: how many
 * @size: where the answer goes, and when there is none, why
 *
 * The answer is exactly what a domain of this library holds after an
 * iommu_map() of each piece. Addresses of a sign-extended format are those of
 * its lower half. The time taken does not depend on sizes or counts, unless
 * repeated mappings of different strides interleave.
 *
 * Context: May block. Any thread.
 * Return: 0; -EINVAL for an unknown format, width or a bad map; -ERANGE for a
 * map beyond the aperture; -EADDRINUSE for maps that overlap; -E2BIG for maps
 * that interleave too much; -ENOMEM. @size->reason tells them apart.
 */
int iommu_size(const char *format, unsigned int address_width, const struct iommu_size_map *maps,
	       size_t nr, struct iommu_size *size);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
