/* SPDX-License-Identifier: MIT */
#include "pgtable/items_match.h"

#include "pgtable/items.h"

static inline uint64_t match_one_by_one(const uint64_t *slot, unsigned int n, uint64_t mask,
					uint64_t value)
{
	uint64_t found = 0;

	for (unsigned int i = 0; i < n; i++) {
		uint64_t item = __atomic_load_n(&slot[i], __ATOMIC_RELAXED);

		found |= (uint64_t)((item & mask) == value) << i;
	}
	return found;
}

#ifdef ITEMS_SANITIZED
uint64_t items_match(const uint64_t *slot, unsigned int n, uint64_t mask, uint64_t value)
{
	return match_one_by_one(slot, n, mask, value);
}
#else
/*
 * Each lane collects the bits of its own items: compilers cannot turn a vector of
 * comparisons into a mask in a way that is fast on every processor.
 */
static ITEMS_CLONES uint64_t match_all(const uint64_t *slot, uint64_t mask, uint64_t value)
{
	items_v bits = {1, 2, 4, 8, 16, 32, 64, 128}, lanes = {0};
	uint64_t found = 0;

	for (unsigned int i = 0; i < ITEMS_MATCH; i += ITEMS_V) {
		items_v item = *(const items_v *)&slot[i];

		lanes |= (items_v)((item & mask) == value) & bits;
		bits <<= ITEMS_V;
	}
	for (unsigned int k = 0; k < ITEMS_V; k++)
		found |= lanes[k];
	return found;
}

uint64_t items_match(const uint64_t *slot, unsigned int n, uint64_t mask, uint64_t value)
{
	return n == ITEMS_MATCH ? match_all(slot, mask, value)
				: match_one_by_one(slot, n, mask, value);
}
#endif
