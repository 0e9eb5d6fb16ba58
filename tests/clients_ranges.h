/* SPDX-License-Identifier: MIT */
/*
 * What must be mapped, as a few ranges anywhere, against what the walker finds.
 */
#ifndef TESTS_CLIENTS_RANGES_H
#define TESTS_CLIENTS_RANGES_H

#include "tests/clients.h"

#define HW_RW (HW_READ | HW_WRITE)

struct mapped_range {
	uint64_t iova, paddr, size;
	unsigned int access;
};

struct ranges_check {
	const struct mapped_range *ranges;
	unsigned int count;
	uint64_t seen; /* bytes */
};

static inline bool ranges_check_leaf(void *context, const struct hw_found *found)
{
	struct ranges_check *check = context;
	const struct mapped_range *range = check->ranges, *end = range + check->count;

	assert_int_equal(found->item.kind, HW_LEAF);
	while (range < end && found->iova - range->iova >= range->size)
		range++;
	if (range == end)
		fail_msg("0x%llx is mapped", (unsigned long long)found->iova);
	assert_true(found->size <= range->size - (found->iova - range->iova));
	assert_int_equal(found->item.address, range->paddr + (found->iova - range->iova));
	assert_int_equal(found->access & HW_RW, range->access);
	check->seen += found->size;
	return true;
}

/* Leaves do not overlap, so that those which have the bytes of the ranges cover them. */
static inline void assert_ranges(struct iommu_domain *domain, const struct mapped_range *ranges,
				 unsigned int count)
{
	struct hw_tables tables = hw_tables_of(domain);
	struct ranges_check check = {.ranges = ranges, .count = count};
	struct hw_list_ops ops = {.found = ranges_check_leaf, .context = &check};
	uint64_t bytes = 0;

	assert_int_equal(hw_list(&tables, &ops), 0);
	for (unsigned int i = 0; i < count; i++)
		bytes += ranges[i].size;
	assert_int_equal(check.seen, bytes);
}

static inline void assert_nothing_mapped(struct iommu_domain *domain)
{
	assert_ranges(domain, NULL, 0);
}

/* The next format that a walker knows, of pages that are at most @granule bytes. */
static inline const struct iommu_format *next_walked(const struct iommu_format *format,
						     uint64_t granule)
{
	do
		format = iommu_format_next(format);
	while (format && (!hw_format_of(format) || smallest_page(format) > granule));
	return format;
}

#endif
