/* SPDX-License-Identifier: MIT */
/*
 * AArch64 tables as SMMUv2 and SMMUv3 walk them (Arm Architecture Reference Manual,
 * D8.3 "Translation table descriptor formats"): what both stages and all granules
 * share. arm64_s1.h and arm64_s2.h have the attributes of each stage.
 *
 * A contiguous run (bit 52) is a number of neighbouring leaves that map one aligned
 * piece of memory. Each leaf has its own address; all other bits are equal.
 */
#ifndef PGTABLE_ARM64_H
#define PGTABLE_ARM64_H

/* The .c defines the granule: 12, 14 or 16. */
#define PT_PAGE_LG2      ARM_GRANULE_LG2
#define PT_INDEX_LG2     (ARM_GRANULE_LG2 - 3)
#define PT_WIDE_TOP      1
#define PT_RUN_ADDRESSES 1
#define PT_BREAKS        1
#define PT_DIRTY_NEEDS   ARM_DBM
/* Bits 51:48 of an address are in 15:12 of the item, with 64K pages only. */
#define PT_OA_LINEAR_LG2 (ARM_GRANULE_LG2 == 16 ? 48 : 64)

#define ARM_VALID      BIT_ULL(0)
#define ARM_NOT_BLOCK  BIT_ULL(1) /* a table, or a page at level 0 */
#define ARM_ACCESSED   BIT_ULL(10)
#define ARM_INNER      (3ULL << 8) /* SH: inner shareable */
#define ARM_OUTER      (2ULL << 8)
#define ARM_DBM        BIT_ULL(51) /* the item may be written, and bit 7 tells whether it was */
#define ARM_CONTIGUOUS BIT_ULL(52)
#define ARM_NOEXEC     BIT_ULL(54)
#define ARM_OA         (BIT_ULL(48) - BIT_ULL(ARM_GRANULE_LG2))
#define ARM_OA_HIGH    (ARM_GRANULE_LG2 == 16 ? 0xf000ULL : 0)

#include "pgtable/format.h"

#define PT_LEVELS         4
#define PT_OA_BITS        (ARM_GRANULE_LG2 == 16 ? 52 : 48)
#define PT_RUNS           1
#define PT_GROWS          0
#define PT_SIGNED         0
#define PT_LEAF_KEY(item) ((item) & (ARM_VALID | ARM_NOT_BLOCK))
#define PT_LEAF           ARM_VALID
#define PT_IS_TABLE(item) ((item)&ARM_NOT_BLOCK)
#define PT_ATTRS_MASK     (~(ARM_OA | ARM_OA_HIGH | ARM_NOT_BLOCK | ARM_CONTIGUOUS))

#define ARM_WIDTH_MIN 25 /* TxSZ is at most 39 */
#define ARM_WIDTH_MAX (ARM_GRANULE_LG2 == 16 ? 52 : 48)

/*
 * Pages, blocks at the levels that have them, and contiguous runs of each size except
 * the largest, whose runs hardware has only with 52 bits of output address.
 */
#define ARM_LARGEST BIT_ULL(42)
#define ARM_PGSIZES                                                                      \
	(ARM_GRANULE_LG2 == 12 ? BIT_ULL(12) | BIT_ULL(16) | BIT_ULL(21) | BIT_ULL(25) | \
					 BIT_ULL(30) | BIT_ULL(34)                       \
	 : ARM_GRANULE_LG2 == 14                                                         \
		 ? BIT_ULL(14) | BIT_ULL(21) | BIT_ULL(25) | BIT_ULL(30)                 \
		 : BIT_ULL(16) | BIT_ULL(21) | BIT_ULL(29) | BIT_ULL(34) | ARM_LARGEST)

/* log2 of the items of a contiguous run at a level. */
static inline unsigned int arm_run_lg2(unsigned int level)
{
	if (PT_PAGE_LG2 == 12)
		return 4;
	return PT_PAGE_LG2 == 14 && !level ? 7 : 5;
}

/* The least number of levels that translates so many bits. */
static inline unsigned int arm_levels(unsigned int width)
{
	if (width < ARM_WIDTH_MIN || width > ARM_WIDTH_MAX)
		return 0;
	return (width - PT_PAGE_LG2 + PT_INDEX_LG2 - 1) / PT_INDEX_LG2;
}

static inline uint64_t arm_oa(uint64_t oa)
{
	return (oa & ARM_OA) | (oa >> 36 & ARM_OA_HIGH);
}

static inline uint64_t pt_leaf(uint64_t attrs, uint64_t oa, unsigned int level,
			       unsigned int run_lg2)
{
	return attrs | arm_oa(oa) | (level ? 0 : ARM_NOT_BLOCK) | (run_lg2 ? ARM_CONTIGUOUS : 0);
}

static inline uint64_t pt_table(uint64_t oa, unsigned int level)
{
	return arm_oa(oa) | ARM_VALID | ARM_NOT_BLOCK;
}

static inline uint64_t pt_table_oa(uint64_t item)
{
	return (item & ARM_OA) | (item & ARM_OA_HIGH) << 36;
}

static inline uint64_t pt_leaf_oa(uint64_t item, unsigned int level)
{
	return pt_table_oa(item);
}

static inline unsigned int pt_run_lg2(uint64_t item, unsigned int level)
{
	return item & ARM_CONTIGUOUS ? arm_run_lg2(level) : 0;
}

#endif
