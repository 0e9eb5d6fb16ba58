/* SPDX-License-Identifier: MIT */
/*
 * s390 tables for zPCI: region, segment and page tables of the z/Architecture
 * (Principles of Operation, "Region-Table Entries", "Segment-Table Entries",
 * "Page-Table Entries"), big-endian. Levels 2 to 4 are the region-third, the
 * region-second and the region-first table; which of them is the top is part of the
 * function's I/O translation anchor.
 *
 * Region and segment tables have 2048 items, page tables 256, so neither fills a page:
 * they are objects, charged by the byte. Empty items are marked invalid. All mappings
 * are readable.
 */
#ifndef PGTABLE_S390_H
#define PGTABLE_S390_H

#define PT_BIG_ENDIAN    1
#define PT_OBJECTS       1
#define PT_LEVELS_DIFFER 1

#include "pgtable/format.h"

#define S390_INVALID      BIT_ULL(5)                  /* of region and segment entries */
#define S390_PAGE_INVALID BIT_ULL(10)                 /* of page entries */
#define S390_LARGE        BIT_ULL(10)                 /* FC of segment entries: a leaf of 1 MiB */
#define S390_PROTECT      BIT_ULL(9)                  /* read only */
#define S390_REGION(type) ((uint64_t)(type) << 2 | 3) /* TT, and a table length of 2048 items */

#define PT_NAME           s390
#define PT_LEVELS         5
#define PT_OA_BITS        64
#define PT_RUNS           0
#define PT_GROWS          0
#define PT_SIGNED         0
#define PT_LEAF_KEY(item) ((item) & (S390_LARGE | S390_INVALID))
#define PT_LEAF           S390_LARGE
#define PT_DIRTY          0ULL
#define PT_ATTRS_MASK     S390_PROTECT

static const struct iommu_format pt_format = {
	.name = "s390",
	.family = "s390",
	.title = "s390 zPCI",
	.granule = 4096,
	.pgsizes = BIT_ULL(12) | BIT_ULL(20),
	.pgsizes_default = BIT_ULL(12),
	.width_min = 42,
	.width_max = 64,
	.width_default = 42,
};

static inline unsigned int pt_index_lg2(unsigned int level)
{
	return level ? 11 : 8;
}

static inline unsigned int pt_shift(unsigned int level)
{
	return level ? 20 + 11 * (level - 1) : PT_PAGE_LG2;
}

static inline uint64_t pt_empty(unsigned int level)
{
	return level ? S390_INVALID : S390_PAGE_INVALID;
}

static inline unsigned int pt_levels(unsigned int width)
{
	return width == 42 ? 3 : width == 53 ? 4 : width == 64 ? 5 : 0;
}

static inline uint64_t pt_attrs(int prot)
{
	return prot & IOMMU_WRITE ? 0 : S390_PROTECT;
}

static inline uint64_t pt_leaf(uint64_t attrs, uint64_t oa, unsigned int level,
			       unsigned int run_lg2)
{
	return attrs | oa | (level ? S390_LARGE : 0);
}

static inline uint64_t pt_table(uint64_t oa, unsigned int level)
{
	return oa | (level > 1 ? S390_REGION(level - 1) : 0);
}

/* Region and segment tables lie at multiples of 16 KiB, page tables of 2 KiB. */
static inline uint64_t pt_table_oa(uint64_t item)
{
	return item & ~0x7ffULL;
}

static inline uint64_t pt_leaf_oa(uint64_t item, unsigned int level)
{
	return item & ~(BIT_ULL(PT_PAGE_LG2) - 1);
}

static inline unsigned int pt_run_lg2(uint64_t item, unsigned int level)
{
	return 0;
}

#endif
