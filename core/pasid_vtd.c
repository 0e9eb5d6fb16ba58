/* SPDX-License-Identifier: MIT */
/*
 * VT-d, scalable mode: a directory of 8 bytes for each 64 PASIDs, and tables of 64 entries
 * (Intel VT-d 9.5 "Scalable-Mode PASID Directory Entry", 9.6 "PASID Table Entry").
 */
#include "core/pasid.h"
#include "plat/compiler.h"

#define VTD_PRESENT   BIT_ULL(0)
#define VTD_AW(lv)    ((uint64_t)((lv)-2) << 2) /* of the second stage */
#define VTD_PGTT(how) ((uint64_t)(how) << 6)
#define VTD_PGSNP     BIT_ULL(24) /* of word 1: the walk snoops */
#define VTD_SRE       BIT_ULL(0)  /* of word 2: supervisor requests are allowed */
#define VTD_FSPM(lv)  ((uint64_t)((lv)-4) << 2)

enum {
	VTD_FIRST = 1,
	VTD_SECOND,
	VTD_NESTED
};

/* The least directory has 128 items, PDTS 0. */
static unsigned int levels(unsigned int pasid_bits, unsigned int bits[PASID_LEVELS_MAX])
{
	bits[0] = 6;
	bits[1] = pasid_bits < 13 ? 7 : pasid_bits - 6;
	return 2;
}

static bool first_stage(struct pasid_entry *entry, uint64_t root, unsigned int width)
{
	if (width != 48 && width != 57)
		return false;
	entry->word[2] = root | VTD_FSPM(width == 57 ? 5 : 4);
	return true;
}

static int entry(const struct iommu_domain_info *domain, const struct iommu_pasid_first *first,
		 uint16_t id, struct pasid_entry *to)
{
	bool second = pasid_format_is(domain->format, "vtd");
	unsigned int how = first ? VTD_NESTED : second ? VTD_SECOND : VTD_FIRST;

	*to = (struct pasid_entry){{VTD_PRESENT | VTD_PGTT(how), VTD_PGSNP | id}};
	if (second)
		to->word[0] |= domain->root | VTD_AW(domain->levels);
	if (second && first)
		return first->root & 0xfff || !first_stage(to, first->root, first->address_width)
			       ? -EINVAL
			       : 0;
	if (second)
		return 0;
	if (first || !pasid_format_is(domain->format, "x86_64") ||
	    !first_stage(to, domain->root, domain->address_width))
		return -EINVAL;
	to->word[2] |= VTD_SRE;
	return 0;
}

static unsigned int form(unsigned int nr_levels)
{
	return 0;
}

const struct pasid_layout pasid_vtd = {
	.entry_lg2 = 6,
	.levels = levels,
	.valid = VTD_PRESENT,
	.entry = entry,
	.form = form,
};
