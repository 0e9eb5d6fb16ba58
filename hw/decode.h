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

/* Make @out an item that faults. */
static inline void hw_bad(struct hw_item *out, enum hw_fault fault, const char *why)
{
	out->kind = HW_BAD;
	out->fault = fault;
	out->why = why;
}

#endif
