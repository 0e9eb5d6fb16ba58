/* SPDX-License-Identifier: MIT */
/*
 * How each make's PASID tables lie: what core/pasid.c needs of a layout.
 */
#ifndef CORE_PASID_H
#define CORE_PASID_H

#include <uiommu/pasid.h>

#define PASID_LEVELS_MAX 3
#define PASID_WORDS_MAX  8

/* An entry: words, little-endian in memory. A bit of the first one says that it is valid. */
struct pasid_entry {
	uint64_t word[PASID_WORDS_MAX];
};

struct pasid_layout {
	unsigned int entry_lg2; /* log2 of an entry's bytes; an item of a directory has 8 */
	/* Bits of a PASID that index the tables of each level, level 0 the lowest. Its levels. */
	unsigned int (*levels)(unsigned int pasid_bits, unsigned int bits[PASID_LEVELS_MAX]);
	uint64_t valid; /* that bit */
	/* 0; -EINVAL for a domain or a first stage that it does not have. */
	int (*entry)(const struct iommu_domain_info *domain, const struct iommu_pasid_first *first,
		     uint16_t id, struct pasid_entry *entry);
	unsigned int (*form)(unsigned int levels);
};

/* Whether a format's name begins so: of Arm's there is one for each granule. */
static inline bool pasid_format_is(const char *format, const char *name)
{
	while (format && *name && *format == *name) {
		format++;
		name++;
	}
	return format && !*name;
}

extern const struct pasid_layout pasid_vtd, pasid_arm, pasid_amd;

#endif
