/* SPDX-License-Identifier: MIT */
/*
 * AMD: GCR3 tables of 512 items of 8 bytes, in one to three levels. The lowest items are
 * the guest's CR3: the top table of x86-64 tables (AMD IOMMU 2.2.6.3).
 */
#include "core/pasid.h"
#include "plat/compiler.h"

#define GCR3_VALID BIT_ULL(0)

static unsigned int levels(unsigned int pasid_bits, unsigned int bits[PASID_LEVELS_MAX])
{
	unsigned int nr = (pasid_bits + 8) / 9;

	for (unsigned int level = 0; level < nr; level++)
		bits[level] = 9;
	return nr;
}

static int entry(const struct iommu_domain_info *domain, const struct iommu_pasid_first *first,
		 uint16_t id, struct pasid_entry *to)
{
	/* The domain ID is the device's. */
	if (first || !pasid_format_is(domain->format, "x86_64"))
		return -EINVAL;
	*to = (struct pasid_entry){{domain->root | GCR3_VALID}};
	return 0;
}

static unsigned int form(unsigned int nr_levels)
{
	return nr_levels - 1;
}

const struct pasid_layout pasid_amd = {
	.entry_lg2 = 3,
	.levels = levels,
	.valid = GCR3_VALID,
	.entry = entry,
	.form = form,
};
