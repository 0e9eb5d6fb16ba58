/* SPDX-License-Identifier: MIT */
/*
 * What format headers have in common: defaults of what most of them define alike, and
 * may define otherwise before they include this. docs/writing-a-format.md lists all
 * that a format must define.
 */
#ifndef PGTABLE_FORMAT_H
#define PGTABLE_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include <uiommu/format.h>
#include <uiommu/iommu.h>

#include "plat/compiler.h"

#ifndef PT_PAGE_LG2
#define PT_PAGE_LG2 12 /* log2 of the smallest page */
#endif
#ifndef PT_INDEX_LG2
#define PT_INDEX_LG2 9 /* log2 of the items of a table */
#endif
#ifndef PT_APERTURE_START
#define PT_APERTURE_START 0ULL /* the first input address, where it is not signed */
#endif
#ifndef PT_IS_SIGNED
#define PT_IS_SIGNED(width) PT_SIGNED /* of PT_SIGNED formats: is this width sign-extended? */
#endif
#ifndef PT_BIG_ENDIAN
#define PT_BIG_ENDIAN 0
#endif
#ifndef PT_OBJECTS
#define PT_OBJECTS 0 /* 1: tables are objects, not pages */
#endif
#ifndef PT_WIDE_TOP
#define PT_WIDE_TOP 0 /* 1: pt_top_index_lg2() returns how many items the top table has */
#endif
#ifndef PT_RUN_ADDRESSES
#define PT_RUN_ADDRESSES 0 /* 1: each item of a run has its own address; 0: all items are equal */
#endif
#ifndef PT_LEAST_RUN_LG2
#define PT_LEAST_RUN_LG2(level) 0 /* log2 of the items of a level's smallest entry */
#endif
#ifndef PT_BREAKS
#define PT_BREAKS 0 /* 1: a live entry must be emptied and flushed before its size changes */
#endif
#ifndef PT_OA_LINEAR_LG2
#define PT_OA_LINEAR_LG2 64 /* log2 of the memory over which items count up with addresses */
#endif
#ifndef PT_DIRTY_INVERTED
#define PT_DIRTY_INVERTED 0 /* 1: PT_DIRTY is set in clean items */
#endif
#ifndef PT_DIRTY_NEEDS
#define PT_DIRTY_NEEDS 0ULL /* bits without which an item is never dirty */
#endif

#if !PT_WIDE_TOP
static inline unsigned int pt_top_index_lg2(unsigned int width)
{
	return 0; /* as in any table of the level */
}
#endif

#ifndef PT_LEVELS_DIFFER
/* log2 of the items of a level's tables. */
static inline unsigned int pt_index_lg2(unsigned int level)
{
	return PT_INDEX_LG2;
}

/* log2 of the bytes that one item of a level spans. */
static inline unsigned int pt_shift(unsigned int level)
{
	return PT_PAGE_LG2 + PT_INDEX_LG2 * level;
}

/* The value of an item that translates nothing. */
static inline uint64_t pt_empty(unsigned int level)
{
	return 0;
}
#endif

/* Levels of a layout that has only the widths min, min + 9 ... max; 0 for any other width. */
static inline unsigned int pt_levels_of_width(unsigned int width, unsigned int min,
					      unsigned int max)
{
	if (width < min || width > max || (width - PT_PAGE_LG2) % PT_INDEX_LG2)
		return 0;
	return (width - PT_PAGE_LG2) / PT_INDEX_LG2;
}

#endif
