/* SPDX-License-Identifier: MIT */
/*
 * AArch64 stage 1 (Arm Architecture Reference Manual, D8.3 and D8.4): SMMU
 * context descriptors with TTB0.
 *
 * AttrIndx chooses a byte of MAIR as Linux sets it up: 0 normal non-cacheable,
 * 1 normal write-back, 2 device. Bit 7 of AP is "read-only"; with DBM, clear
 * means dirty.
 */
#ifndef PGTABLE_ARM64_S1_H
#define PGTABLE_ARM64_S1_H

#define PT_DIRTY          ARM_READ_ONLY
#define PT_DIRTY_INVERTED 1

#include "pgtable/arm64.h"

#define ARM_ATTR(index) ((uint64_t)(index) << 2)
#define ARM_USER        BIT_ULL(6) /* AP[1]: unprivileged transactions, too */
#define ARM_READ_ONLY   BIT_ULL(7) /* AP[2] */
#define ARM_NOT_GLOBAL  BIT_ULL(11)
#define ARM_PNOEXEC     BIT_ULL(53)

static const struct iommu_format pt_format = {
	.name = ARM_NAME,
	.family = "arm64-s1",
	.title = "Arm SMMU stage 1, " ARM_GRANULE " pages",
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
	return arm_levels(width);
}

static inline unsigned int pt_top_index_lg2(unsigned int width)
{
	return width - pt_shift(arm_levels(width) - 1);
}

/* A writable mapping is readable. It begins dirty, so that hardware need not set the bit. */
static inline uint64_t pt_attrs(int prot)
{
	uint64_t attrs = ARM_VALID | ARM_ACCESSED | ARM_NOT_GLOBAL;

	attrs |= prot & IOMMU_WRITE ? ARM_DBM : ARM_READ_ONLY;
	attrs |= prot & IOMMU_PRIV ? 0 : ARM_USER;
	attrs |= prot & IOMMU_NOEXEC ? ARM_NOEXEC | ARM_PNOEXEC : 0;
	if (prot & IOMMU_MMIO)
		return attrs | ARM_ATTR(2) | ARM_OUTER;
	return attrs | (prot & IOMMU_CACHE ? ARM_ATTR(1) | ARM_INNER : ARM_ATTR(0) | ARM_OUTER);
}

#endif
