/* SPDX-License-Identifier: MIT */
/*
 * What format headers have in common. docs/architecture.md lists what one has to
 * define.
 */
#ifndef PGTABLE_FORMAT_H
#define PGTABLE_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include <uiommu/format.h>
#include <uiommu/iommu.h>

#include "plat/compiler.h"

/* Tables of 512 items of 8 bytes. */
#define PT_INDEX_LG2 9
#define PT_ITEMS     (1u << PT_INDEX_LG2)

/* What a format may define otherwise before it includes this. */
#ifndef PT_PAGE_LG2
#define PT_PAGE_LG2 12 /* log2 of the smallest page */
#endif
#ifndef PT_APERTURE_START
#define PT_APERTURE_START 0ULL /* the first input address, if not PT_SIGNED */
#endif

/* log2 of the bytes that one item of a level spans. */
static inline unsigned int pt_shift(unsigned int level)
{
	return PT_PAGE_LG2 + PT_INDEX_LG2 * level;
}

/* Levels of a layout that has exactly the widths min, min + 9 ... max; else 0. */
static inline unsigned int pt_levels_of_width(unsigned int width, unsigned int min,
					      unsigned int max)
{
	if (width < min || width > max || (width - PT_PAGE_LG2) % PT_INDEX_LG2)
		return 0;
	return (width - PT_PAGE_LG2) / PT_INDEX_LG2;
}

#endif
