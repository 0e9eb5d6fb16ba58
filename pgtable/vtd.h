/* SPDX-License-Identifier: MIT */
/*
 * VT-d second stage (Intel Virtualization Technology for Directed I/O
 * Architecture Specification, 9.8 "Second-Stage Paging Entries").
 */
#ifndef PGTABLE_VTD_H
#define PGTABLE_VTD_H

#include "pgtable/format.h"

#define VTD_READ  BIT_ULL(0)
#define VTD_WRITE BIT_ULL(1)
#define VTD_LEAF  BIT_ULL(7)  /* page size, at the levels above 0 */
#define VTD_DIRTY BIT_ULL(9)  /* written by hardware with SSADE, else ignored */
#define VTD_TABLE BIT_ULL(10) /* ignored by hardware: set in the items of tables */
#define VTD_SNOOP BIT_ULL(11)
#define VTD_OA    0x000ffffffffff000ULL

#define PT_NAME           vtd
#define PT_LEVELS         5
#define PT_OA_BITS        52
#define PT_RUNS           0
#define PT_GROWS          0
#define PT_SIGNED         0
#define PT_LEAF_KEY(item) ((item)&VTD_LEAF)
#define PT_LEAF           VTD_LEAF
#define PT_IS_TABLE(item) ((item)&VTD_TABLE)
#define PT_DIRTY          VTD_DIRTY
#define PT_ATTRS_MASK     (~(VTD_OA | VTD_LEAF))

static const struct iommu_format pt_format = {
	.name = "vtd",
	.family = "vtd",
	.title = "Intel VT-d second stage",
	.granule = 4096,
	.pgsizes = BIT_ULL(12) | BIT_ULL(21) | BIT_ULL(30),
	.width_min = 39,
	.width_max = 57,
	.width_default = 48,
};

static inline unsigned int pt_levels(unsigned int address_width)
{
	return pt_levels_of_width(address_width, 39, 57);
}

static inline uint64_t pt_attrs(int prot)
{
	return (prot & IOMMU_READ ? VTD_READ : 0) | (prot & IOMMU_WRITE ? VTD_WRITE : 0) |
	       (prot & IOMMU_CACHE ? VTD_SNOOP : 0);
}

static inline uint64_t pt_leaf(uint64_t attrs, uint64_t oa, unsigned int level,
			       unsigned int run_lg2)
{
	return attrs | oa | (level ? VTD_LEAF : 0);
}

static inline uint64_t pt_table(uint64_t oa, unsigned int level)
{
	return oa | VTD_READ | VTD_WRITE | VTD_TABLE;
}

static inline uint64_t pt_leaf_oa(uint64_t item, unsigned int level)
{
	return item & VTD_OA;
}

static inline uint64_t pt_table_oa(uint64_t item)
{
	return item & VTD_OA;
}

static inline unsigned int pt_run_lg2(uint64_t item, unsigned int level)
{
	return 0;
}

#endif
