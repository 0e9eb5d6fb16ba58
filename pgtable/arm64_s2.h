/* SPDX-License-Identifier: MIT */
/*
 * AArch64 stage 2 (Arm Architecture Reference Manual, D8.3 and D8.5): SMMU stream table
 * entries with S2TTB. Bit 7 is "may be written"; with DBM, set means dirty.
 *
 * Up to 16 top tables may be concatenated to one table of the level below. This is done
 * where the walk would otherwise begin at a level at which not every implementation can
 * begin (D8.1.9, "Implications of the effective minimum T0SZ value on the initial stage
 * 2 lookup level"): level 0, which is the fourth from below, and with 16K pages level
 * 1.
 */
#ifndef PGTABLE_ARM64_S2_H
#define PGTABLE_ARM64_S2_H

#define PT_DIRTY ARM_WRITE

#include "pgtable/arm64.h"

#define ARM_MEM(attr) \
	((uint64_t)(attr) << 2) /* MemAttr: 15 write-back, 5 non-cacheable, 1 device */
#define ARM_READ  BIT_ULL(6)    /* S2AP */
#define ARM_WRITE BIT_ULL(7)

#define ARM_JOINED_LG2 4

static const struct iommu_format pt_format = {
	.name = ARM_NAME,
	.family = "arm64-s2",
	.title = "Arm SMMU stage 2, " ARM_GRANULE " pages",
	.granule = BIT_ULL(PT_PAGE_LG2),
	.pgsizes = ARM_PGSIZES,
	.pgsizes_default = ARM_PGSIZES & ~ARM_LARGEST,
	.width_min = ARM_WIDTH_MIN,
	.width_max = ARM_WIDTH_MAX,
	.width_default = 48,
	.features = IOMMU_FEATURE_BBML2,
};

static inline unsigned int pt_levels(unsigned int width)
{
	unsigned int levels = arm_levels(width);
	bool join = levels >= (PT_PAGE_LG2 == 14 ? 3 : 4);

	return join && width <= pt_shift(levels - 1) + ARM_JOINED_LG2 ? levels - 1 : levels;
}

static inline unsigned int pt_top_index_lg2(unsigned int width)
{
	return width - pt_shift(pt_levels(width) - 1);
}

/* A writable mapping begins dirty, so that hardware need not set the bit. */
static inline uint64_t pt_attrs(int prot)
{
	uint64_t attrs = ARM_VALID | ARM_ACCESSED;

	attrs |= prot & IOMMU_READ ? ARM_READ : 0;
	attrs |= prot & IOMMU_WRITE ? ARM_DBM | ARM_WRITE : 0;
	attrs |= prot & IOMMU_NOEXEC ? ARM_NOEXEC : 0;
	if (prot & IOMMU_MMIO)
		return attrs | ARM_MEM(1) | ARM_OUTER;
	return attrs | (prot & IOMMU_CACHE ? ARM_MEM(15) | ARM_INNER : ARM_MEM(5) | ARM_OUTER);
}

#endif
