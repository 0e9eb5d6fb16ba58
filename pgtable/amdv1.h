/* SPDX-License-Identifier: MIT */
/*
 * AMD host tables, "v1" (AMD I/O Virtualization Technology (IOMMU) Specification, 2.2.3
 * "I/O Page Tables for Host Translations"). The number of levels is part of the device
 * table entry, so a table may grow at the top.
 *
 * NextLevel (11:9) of an item: 1 to 6 points to a table of that level, counted from 1;
 * 0 is a leaf of the level's own size; 7 is a leaf whose size 2^s is encoded in its
 * address: bit s-1 is the lowest clear bit at or above bit 12. Every slot that such a
 * leaf covers holds the same item.
 */
#ifndef PGTABLE_AMDV1_H
#define PGTABLE_AMDV1_H

/* Hardware has an erratum with single items of 512 GiB: a run has at least two of them. */
#define PT_LEAST_RUN_LG2(level) ((level) == 3)
#define AMD_BROKEN_SIZE         BIT_ULL(39)

#include "pgtable/format.h"

#define AMD_PRESENT     BIT_ULL(0)
#define AMD_DIRTY       BIT_ULL(6) /* written by hardware with HAD, else ignored */
#define AMD_NEXT(level) ((uint64_t)(level) << 9)
#define AMD_NEXT_MASK   AMD_NEXT(7)
#define AMD_COHERENT    BIT_ULL(60) /* FC: force snooping */
#define AMD_READ        BIT_ULL(61)
#define AMD_WRITE       BIT_ULL(62)
#define AMD_OA          0x000ffffffffff000ULL

#define PT_NAME    amdv1
#define PT_LEVELS  6
#define PT_OA_BITS 52
#define PT_RUNS    1
#define PT_GROWS   1
#define PT_SIGNED  0
/* NextLevel is 1 to 6 in the item of a table, 0 or 7 in a leaf. */
#define PT_IS_TABLE(item) (((item) + AMD_NEXT(1)) & AMD_NEXT(6))
#define PT_LEAF_KEY(item) (PT_IS_TABLE(item) | ((item)&AMD_PRESENT))
#define PT_LEAF           AMD_PRESENT
#define PT_DIRTY          AMD_DIRTY
#define PT_ATTRS_MASK     (~(AMD_OA | AMD_NEXT_MASK))

static const struct iommu_format pt_format = {
	.name = "amdv1",
	.family = "amdv1",
	.title = "AMD v1 (host tables)",
	.granule = 4096,
	.pgsizes = (BIT_ULL(52) - BIT_ULL(12)) & ~AMD_BROKEN_SIZE,
	.width_min = 21,
	.width_max = 64,
	.width_default = 64,
};

static inline unsigned int pt_levels(unsigned int address_width)
{
	if (address_width < 21 || address_width > 64)
		return 0;
	return (address_width - 12 + 8) / 9;
}

static inline uint64_t pt_attrs(int prot)
{
	return AMD_PRESENT | (prot & IOMMU_READ ? AMD_READ : 0) |
	       (prot & IOMMU_WRITE ? AMD_WRITE : 0) | (prot & IOMMU_CACHE ? AMD_COHERENT : 0);
}

static inline uint64_t pt_leaf(uint64_t attrs, uint64_t oa, unsigned int level,
			       unsigned int run_lg2)
{
	unsigned int size_lg2;

	if (!run_lg2)
		return attrs | oa;
	size_lg2 = pt_shift(level) + run_lg2;
	return attrs | oa | (BIT_ULL(size_lg2 - 1) - BIT_ULL(12)) | AMD_NEXT(7);
}

static inline uint64_t pt_table(uint64_t oa, unsigned int level)
{
	/* NextLevel counts from 1, and level, that of the table with this item, from 0. */
	return oa | AMD_PRESENT | AMD_READ | AMD_WRITE | AMD_NEXT(level);
}

/* log2 of the bytes that an item with NextLevel 7 translates. */
static inline unsigned int amd_size_lg2(uint64_t item)
{
	return ffs64_index(~(item | (BIT_ULL(12) - 1))) + 1;
}

static inline uint64_t pt_leaf_oa(uint64_t item, unsigned int level)
{
	uint64_t oa = item & AMD_OA;

	if ((item & AMD_NEXT_MASK) == AMD_NEXT(7))
		oa &= ~(BIT_ULL(amd_size_lg2(item)) - 1);
	return oa;
}

static inline uint64_t pt_table_oa(uint64_t item)
{
	return item & AMD_OA;
}

static inline unsigned int pt_run_lg2(uint64_t item, unsigned int level)
{
	if ((item & AMD_NEXT_MASK) != AMD_NEXT(7))
		return 0;
	return amd_size_lg2(item) - pt_shift(level);
}

#endif
