/* SPDX-License-Identifier: MIT */
/*
 * RISC-V Sv39, Sv48 and Sv57, and their x4 variants for second stages (RISC-V
 * Privileged Architecture, 12.4 to 12.6 and 18.5; Svnapot). The RISC-V IOMMU walks them
 * as the CPU does.
 *
 * x4 variants have two more bits of input address, which are not sign-extended, and a
 * top table of 16 KiB. Svnapot: 16 equal items map 64 KiB; the lowest four bits of
 * their page number are 8.
 */
#ifndef PGTABLE_RISCV64_H
#define PGTABLE_RISCV64_H

#define PT_WIDE_TOP         1
#define PT_IS_SIGNED(width) riscv_is_signed(width)

#include "pgtable/format.h"

#define RISCV_VALID     BIT_ULL(0)
#define RISCV_READ      BIT_ULL(1)
#define RISCV_WRITE     BIT_ULL(2)
#define RISCV_EXEC      BIT_ULL(3)
#define RISCV_USER      BIT_ULL(4) /* devices, and all second stages, access as user */
#define RISCV_ACCESSED  BIT_ULL(6)
#define RISCV_DIRTY     BIT_ULL(7)
#define RISCV_TABLE     BIT_ULL(8) /* RSW, for software: set in the items of tables */
#define RISCV_NAPOT     BIT_ULL(63)
#define RISCV_PPN       0x003ffffffffffc00ULL
#define RISCV_NAPOT_64K (8ULL << 10)

#define RISCV_NAPOT_LG2 4

#define PT_NAME    riscv64
#define PT_LEVELS  5
#define PT_OA_BITS 56
#define PT_RUNS    1
#define PT_GROWS   0
#define PT_SIGNED  1
/* Leaves are marked accessed in advance; the bit is reserved in the items of tables. */
#define PT_LEAF_KEY(item)  ((item)&RISCV_ACCESSED)
#define PT_LEAF            RISCV_ACCESSED
#define PT_IS_TABLE(item)  ((item)&RISCV_TABLE)
#define PT_TABLE_PFN(item) (((item)&RISCV_PPN) >> 10)
#define PT_DIRTY           RISCV_DIRTY
#define PT_ATTRS_MASK      (~(RISCV_PPN | RISCV_NAPOT))

static const struct iommu_format pt_format = {
	.name = "riscv64",
	.family = "riscv64",
	.title = "RISC-V Sv39/48/57, and x4",
	.granule = 4096,
	.pgsizes =
		BIT_ULL(12) | BIT_ULL(16) | BIT_ULL(21) | BIT_ULL(30) | BIT_ULL(39) | BIT_ULL(48),
	.width_min = 39,
	.width_max = 59,
	.width_default = 48,
};

static inline bool riscv_is_signed(unsigned int width)
{
	return pt_levels_of_width(width, 39, 57);
}

static inline unsigned int pt_levels(unsigned int width)
{
	return riscv_is_signed(width) ? pt_levels_of_width(width, 39, 57)
				      : pt_levels_of_width(width - 2, 39, 57);
}

static inline unsigned int pt_top_index_lg2(unsigned int width)
{
	return PT_INDEX_LG2 + (riscv_is_signed(width) ? 0 : 2);
}

/*
 * The format has no write-only permission: a writable mapping is readable. Accessed and
 * dirty are set in advance, so that hardware need not write them; the engine clears
 * dirty while writes are tracked.
 */
static inline uint64_t pt_attrs(int prot)
{
	return RISCV_VALID | RISCV_READ | RISCV_USER | RISCV_ACCESSED |
	       (prot & IOMMU_WRITE ? RISCV_WRITE | RISCV_DIRTY : 0) |
	       (prot & IOMMU_NOEXEC ? 0 : RISCV_EXEC);
}

static inline uint64_t pt_leaf(uint64_t attrs, uint64_t oa, unsigned int level,
			       unsigned int run_lg2)
{
	return attrs | oa >> 2 | (run_lg2 ? RISCV_NAPOT | RISCV_NAPOT_64K : 0);
}

static inline uint64_t pt_table(uint64_t oa, unsigned int level)
{
	return oa >> 2 | RISCV_VALID | RISCV_TABLE;
}

static inline uint64_t pt_table_oa(uint64_t item)
{
	uint64_t ppn = item & RISCV_PPN;

	OPTIMIZER_HIDE_VAR(ppn); /* shifted after that: an address can be */
	return ppn << 2;
}

static inline unsigned int pt_run_lg2(uint64_t item, unsigned int level)
{
	return item & RISCV_NAPOT ? RISCV_NAPOT_LG2 : 0;
}

static inline uint64_t pt_leaf_oa(uint64_t item, unsigned int level)
{
	return pt_table_oa(item & RISCV_NAPOT ? item & ~RISCV_NAPOT_64K : item);
}

#endif
