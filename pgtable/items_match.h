/* SPDX-License-Identifier: MIT */
/* The loop that looks for dirty items. It only reads, as hardware marks items meanwhile. */
#ifndef PGTABLE_ITEMS_MATCH_H
#define PGTABLE_ITEMS_MATCH_H

#include <stdint.h>

#define ITEMS_MATCH 64u

/*
 * Which of n items, at most ITEMS_MATCH, have value in the bits of mask: bit i stands
 * for the i-th item. Item, mask and value are in the byte order of the table.
 */
uint64_t items_match(const uint64_t *slot, unsigned int n, uint64_t mask, uint64_t value);

#endif
