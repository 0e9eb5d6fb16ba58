/* SPDX-License-Identifier: MIT */
/*
 * The loop that looks for dirty items, which hardware marks meanwhile: it only reads.
 */
#ifndef PGTABLE_ITEMS_MATCH_H
#define PGTABLE_ITEMS_MATCH_H

#include <stdint.h>

#define ITEMS_MATCH 64u

/*
 * Which of n items, at most ITEMS_MATCH, have value in the bits of mask: bit i for the
 * i-th. All three are as they are in memory.
 */
uint64_t items_match(const uint64_t *slot, unsigned int n, uint64_t mask, uint64_t value);

#endif
