/* SPDX-License-Identifier: MIT */
/*
 * Arm SMMUv3: context descriptors of 64 bytes (5.4), in one table of up to 1024, or in
 * tables of 64 KiB that a table of 8-byte descriptors leads to (5.3, S1Fmt 2).
 */
#include "core/pasid.h"
#include "plat/compiler.h"

#define CD_T0SZ(width) ((uint64_t)(64 - (width)))
#define CD_TG0(tg)     ((uint64_t)(tg) << 6)
#define CD_INNER_WBWA  (1ULL << 8)
#define CD_OUTER_WBWA  (1ULL << 10)
#define CD_SHARED      (3ULL << 12) /* inner shareable */
#define CD_EPD1        BIT_ULL(30)  /* there is no TTB1 */
#define CD_VALID       BIT_ULL(31)
#define CD_IPS(ips)    ((uint64_t)(ips) << 32)
#define CD_AA64        BIT_ULL(41)
#define CD_RECORD      BIT_ULL(45) /* faults are recorded... */
#define CD_ABORT       BIT_ULL(46) /* ...and abort */
#define CD_ASID(id)    ((uint64_t)(id) << 48)
#define CD_IPS_52      6
/* What pgtable/arm64_s1.h's indexes mean. */
#define CD_MAIR 0x04ff44ULL

#define LINEAR_BITS 10

static unsigned int levels(unsigned int pasid_bits, unsigned int bits[PASID_LEVELS_MAX])
{
	if (pasid_bits <= LINEAR_BITS) {
		bits[0] = pasid_bits;
		return 1;
	}
	bits[0] = LINEAR_BITS;
	bits[1] = pasid_bits - LINEAR_BITS;
	return 2;
}

/* TG0 of a granule; -1: none. */
static int granule(uint64_t bytes)
{
	switch (bytes) {
	case 4096:
		return 0;
	case 65536:
		return 1;
	case 16384:
		return 2;
	default:
		return -1;
	}
}

static int entry(const struct iommu_domain_info *domain, const struct iommu_pasid_first *first,
		 uint16_t id, struct pasid_entry *to)
{
	int tg = granule(domain->pgsizes & -domain->pgsizes);

	if (first || tg < 0 || !pasid_format_is(domain->format, "arm64-s1"))
		return -EINVAL;
	*to = (struct pasid_entry){{
		CD_T0SZ(domain->address_width) | CD_TG0(tg) | CD_INNER_WBWA | CD_OUTER_WBWA |
			CD_SHARED | CD_EPD1 | CD_VALID | CD_IPS(CD_IPS_52 - 1) | CD_AA64 |
			CD_RECORD | CD_ABORT | CD_ASID(id),
		domain->root,
		0,
		CD_MAIR,
	}};
	return 0;
}

static unsigned int form(unsigned int nr_levels)
{
	return nr_levels == 2 ? 2 : 0;
}

const struct pasid_layout pasid_arm = {
	.entry_lg2 = 6,
	.levels = levels,
	.valid = CD_VALID,
	.entry = entry,
	.form = form,
};
