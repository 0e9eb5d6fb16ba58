/* SPDX-License-Identifier: MIT */
/*
 * The format of the mock devices of iommufd's test ABI, which no hardware has. Its
 * pages are half of a CPU's page, and its aperture begins above 0, to find code that
 * assumes otherwise. Equal items, as many
 * as a power of two, make one translation. It is not in the list of formats, and is found by name
 * only.
 */
#ifndef PGTABLE_MOCK_H
#define PGTABLE_MOCK_H

#define PT_PAGE_LG2       11
#define PT_APERTURE_START (1ULL << 24)

#include "pgtable/format.h"

#define MOCK_PRESENT BIT_ULL(0)
#define MOCK_READ    BIT_ULL(1)
#define MOCK_WRITE   BIT_ULL(2)
#define MOCK_LEAF    BIT_ULL(3) /* at the levels above 0 */
#define MOCK_DIRTY   BIT_ULL(4)
#define MOCK_RUN(l)  ((uint64_t)(l) << 5) /* log2 of the items of the entry */
#define MOCK_RUNS    MOCK_RUN(15)
#define MOCK_OA      0x000ffffffffff800ULL

#define PT_NAME           mock
#define PT_LEVELS         3
#define PT_OA_BITS        52
#define PT_RUNS           1
#define PT_GROWS          0
#define PT_SIGNED         0
#define PT_LEAF_KEY(item) ((item)&MOCK_LEAF)
#define PT_LEAF           MOCK_LEAF
#define PT_DIRTY          MOCK_DIRTY
#define PT_ATTRS_MASK     (~(MOCK_OA | MOCK_LEAF | MOCK_RUNS))

static const struct iommu_format pt_format = {
	.name = "mock",
	.family = "mock",
	.title = "mock device of the test ABI",
	.granule = 2048,
	.pgsizes = BIT_ULL(21) - BIT_ULL(11),
	.width_min = 31,
	.width_max = 31,
	.width_default = 31,
};

static inline unsigned int pt_levels(unsigned int address_width)
{
	return address_width == 31 ? PT_LEVELS : 0;
}

static inline uint64_t pt_attrs(int prot)
{
	return MOCK_PRESENT | (prot & IOMMU_READ ? MOCK_READ : 0) |
	       (prot & IOMMU_WRITE ? MOCK_WRITE : 0);
}

static inline uint64_t pt_leaf(uint64_t attrs, uint64_t oa, unsigned int level,
			       unsigned int run_lg2)
{
	return attrs | oa | (level ? MOCK_LEAF : 0) | MOCK_RUN(run_lg2);
}

static inline uint64_t pt_table(uint64_t oa, unsigned int level)
{
	return oa | MOCK_PRESENT;
}

static inline uint64_t pt_leaf_oa(uint64_t item, unsigned int level)
{
	return item & MOCK_OA;
}

static inline uint64_t pt_table_oa(uint64_t item)
{
	return item & MOCK_OA;
}

static inline unsigned int pt_run_lg2(uint64_t item, unsigned int level)
{
	return (item & MOCK_RUNS) >> 5;
}

#endif
