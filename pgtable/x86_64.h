/* SPDX-License-Identifier: MIT */
/*
 * The x86-64 CPU's own layout: VT-d first stage (VT-d specification, 9.7
 * "First-Stage Paging Entries") and AMD guest tables, "v2" (AMD I/O
 * Virtualization Technology Specification, 2.2.6). Addresses are sign-extended.
 */
#ifndef PGTABLE_X86_64_H
#define PGTABLE_X86_64_H

#include "pgtable/format.h"

#define X86_PRESENT  BIT_ULL(0)
#define X86_WRITE    BIT_ULL(1)
#define X86_USER     BIT_ULL(2) /* devices access as user */
#define X86_ACCESSED BIT_ULL(5)
#define X86_DIRTY    BIT_ULL(6)
#define X86_LEAF     BIT_ULL(7) /* page size, at the levels above 0 */
#define X86_TABLE    BIT_ULL(9) /* ignored by hardware: set in the items of tables */
#define X86_NOEXEC   BIT_ULL(63)
#define X86_OA       0x000ffffffffff000ULL

#define PT_NAME           x86_64
#define PT_LEVELS         5
#define PT_OA_BITS        52
#define PT_RUNS           0
#define PT_GROWS          0
#define PT_SIGNED         1
#define PT_LEAF_KEY(item) ((item)&X86_LEAF)
#define PT_LEAF           X86_LEAF
#define PT_IS_TABLE(item) ((item)&X86_TABLE)
#define PT_DIRTY          X86_DIRTY
#define PT_ATTRS_MASK     (~(X86_OA | X86_LEAF))

static const struct iommu_format pt_format = {
	.name = "x86_64",
	.family = "x86_64",
	.title = "x86-64 (Intel VT-d first stage, AMD v2)",
	.granule = 4096,
	.pgsizes = BIT_ULL(12) | BIT_ULL(21) | BIT_ULL(30),
	.width_min = 48,
	.width_max = 57,
	.width_default = 48,
};

static inline unsigned int pt_levels(unsigned int address_width)
{
	return pt_levels_of_width(address_width, 48, 57);
}

/*
 * The format has no write-only permission: a writable mapping is readable. Accessed and
 * dirty are set in advance, so that hardware need not write them; the engine clears
 * dirty while writes are tracked.
 */
static inline uint64_t pt_attrs(int prot)
{
	return X86_PRESENT | X86_USER | X86_ACCESSED |
	       (prot & IOMMU_WRITE ? X86_WRITE | X86_DIRTY : 0) |
	       (prot & IOMMU_NOEXEC ? X86_NOEXEC : 0);
}

static inline uint64_t pt_leaf(uint64_t attrs, uint64_t oa, unsigned int level,
			       unsigned int run_lg2)
{
	return attrs | oa | (level ? X86_LEAF : 0);
}

static inline uint64_t pt_table(uint64_t oa, unsigned int level)
{
	return oa | X86_PRESENT | X86_WRITE | X86_USER | X86_ACCESSED | X86_TABLE;
}

static inline uint64_t pt_leaf_oa(uint64_t item, unsigned int level)
{
	return item & X86_OA;
}

static inline uint64_t pt_table_oa(uint64_t item)
{
	return item & X86_OA;
}

static inline unsigned int pt_run_lg2(uint64_t item, unsigned int level)
{
	return 0;
}

#endif
