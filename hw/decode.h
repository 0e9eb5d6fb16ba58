/* SPDX-License-Identifier: MIT */
/* What the formats' decoders share, and the formats themselves. */
#ifndef HW_DECODE_H
#define HW_DECODE_H

#include "hw/walk.h"

extern const struct hw_format hw_vtd, hw_x86_64, hw_amdv1;
extern const struct hw_format hw_arm64_s1, hw_arm64_s2, hw_riscv64, hw_s390;

/* Bits @high to @low of an item, moved down. */
static inline uint64_t hw_bits(uint64_t item, unsigned int high, unsigned int low)
{
	return item << (63 - high) >> (63 - high + low);
}

/* The same bits where they are: an address. */
static inline uint64_t hw_address(uint64_t item, unsigned int high, unsigned int low)
{
	return hw_bits(item, high, low) << low;
}

static inline bool hw_bit(uint64_t item, unsigned int bit)
{
	return item >> bit & 1;
}

/* A mask of bits @high to @low. */
static inline uint64_t hw_ones(unsigned int high, unsigned int low)
{
	return hw_address(UINT64_MAX, high, low);
}

/* Make @out an item that faults. */
static inline void hw_bad(struct hw_item *out, enum hw_fault fault, const char *why)
{
	out->kind = HW_BAD;
	out->fault = fault;
	out->why = why;
}

/*
 * Make @out a leaf or a table, or a bad item where the address is too wide or, of
 * a leaf, not aligned.
 */
void hw_set_leaf(const struct hw_layout *layout, struct hw_item *out, uint64_t address,
		 unsigned int size_lg2);
void hw_set_table(const struct hw_layout *layout, struct hw_item *out, uint64_t address,
		  unsigned int next_level);

/*
 * The layout of 512 items in every table and pages of 4 KiB, but for the width of
 * input addresses. -EINVAL for another granule or too wide an output.
 */
int hw_layout_512(const struct hw_tables *tables, struct hw_layout *layout, unsigned int levels,
		  const char *const *names, unsigned int most_output);

/* Values of hw_field.kind_mask. */
#define HW_IN_LEAF  (1u << HW_LEAF)
#define HW_IN_TABLE (1u << HW_TABLE)
#define HW_IN_BAD   (1u << HW_BAD)
#define HW_IN_USED  (HW_IN_LEAF | HW_IN_TABLE | HW_IN_BAD)
#define HW_IN_ALL   (HW_IN_USED | 1u << HW_EMPTY)

#endif
