/* SPDX-License-Identifier: MIT */
/* What the walk and the listing share. */
#ifndef HW_READ_H
#define HW_READ_H

#include "hw/decode.h"

#define HW_ALL_ACCESS (HW_READ | HW_WRITE | HW_EXEC)

/* Copy items from memory, into the CPU's byte order. False where there is no memory. */
bool hw_read_items(const struct hw_tables *tables, const struct hw_layout *layout, uint64_t paddr,
		   unsigned int count, uint64_t *values);

/*
 * Compare a leaf with another of the items that form it, @value at @index: makes
 * @item bad if they do not give the same leaf, and adds up who was accessed.
 */
void hw_join_item(const struct hw_tables *tables, const struct hw_layout *layout, uint64_t value,
		  unsigned int level, unsigned int index, struct hw_item *item);

/* The first item of the leaf that the one at @index belongs to. */
static inline unsigned int hw_run_first(const struct hw_item *item, unsigned int index)
{
	return index >> item->run_lg2 << item->run_lg2;
}

#endif
