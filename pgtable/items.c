/* SPDX-License-Identifier: MIT */
#include "pgtable/items.h"

static inline __attribute__((always_inline)) uint64_t ordered(uint64_t item, bool swap)
{
	return swap ? __builtin_bswap64(item) : item;
}

#ifdef ITEMS_SANITIZED
/* Single stores that a sanitizer sees for what they are. */
static inline void fill_ordered(uint64_t *slot, uint64_t first, uint64_t step, unsigned int n,
				unsigned int run, bool swap)
{
	for (unsigned int i = 0; i < n; i++)
		__atomic_store_n(&slot[i],
				 ordered(first + (uint64_t)(i >> run << run) * step, swap),
				 __ATOMIC_RELAXED);
}
#else
static inline __attribute__((always_inline)) void store_ordered(items_v *to, const items_v *v,
								bool swap)
{
	items_v swapped = *v;

	for (unsigned int k = 0; swap && k < ITEMS_V; k++)
		swapped[k] = __builtin_bswap64(swapped[k]);
	*to = swapped;
}

static inline __attribute__((always_inline)) void fill_ordered(uint64_t *slot, uint64_t first,
							       uint64_t step, unsigned int n,
							       unsigned int run, bool swap)
{
	/* A run shorter than a vector repeats in it; a longer one takes several. */
	unsigned int in = run < 3 ? run : 3, vectors = 1u << (run - in), i = 0;
	uint64_t next = (uint64_t)ITEMS_V * step << (run - in);
	items_v v;

	for (unsigned int k = 0; k < ITEMS_V; k++)
		v[k] = first + (uint64_t)(k >> in << in) * step;
	for (; i + ITEMS_V * vectors <= n; v += next)
		for (unsigned int k = 0; k < vectors; k++, i += ITEMS_V)
			store_ordered((items_v *)&slot[i], &v, swap);
	for (; i < n; i++)
		__atomic_store_n(&slot[i],
				 ordered(first + (uint64_t)(i >> run << run) * step, swap),
				 __ATOMIC_RELAXED);
}
#endif

static ITEMS_CLONES void fill(uint64_t *slot, uint64_t first, uint64_t step, unsigned int n,
			      unsigned int run)
{
	fill_ordered(slot, first, step, n, run, false);
}

static ITEMS_CLONES void fill_swapped(uint64_t *slot, uint64_t first, uint64_t step, unsigned int n,
				      unsigned int run)
{
	fill_ordered(slot, first, step, n, run, true);
}

static ITEMS_CLONES bool all_equal(const uint64_t *slot, uint64_t value, unsigned int n)
{
	items_v differ = {0};
	uint64_t any = 0;
	unsigned int i;

	for (i = 0; i + ITEMS_V <= n; i += ITEMS_V)
		differ |= *(const items_v *)&slot[i] ^ value;
	for (; i < n; i++)
		any |= slot[i] ^ value;
	for (unsigned int k = 0; k < ITEMS_V; k++)
		any |= differ[k];
	return !any;
}

static ITEMS_CLONES bool none_equal(const uint64_t *slot, uint64_t value, unsigned int n)
{
	items_v equal = {0};
	uint64_t any = 0;
	unsigned int i;

	for (i = 0; i + ITEMS_V <= n; i += ITEMS_V)
		equal |= (items_v)(*(const items_v *)&slot[i] == value);
	for (; i < n; i++)
		any |= slot[i] == value;
	for (unsigned int k = 0; k < ITEMS_V; k++)
		any |= equal[k];
	return !any;
}

/* Compilers disagree on what a function with clones looks like to other files. */
void items_fill_many(uint64_t *slot, uint64_t first, uint64_t step, unsigned int n,
		     unsigned int run)
{
	fill(slot, first, step, n, run);
}

void items_fill_many_swapped(uint64_t *slot, uint64_t first, uint64_t step, unsigned int n,
			     unsigned int run)
{
	fill_swapped(slot, first, step, n, run);
}

bool items_all_equal_many(const uint64_t *slot, uint64_t value, unsigned int n)
{
	return all_equal(slot, value, n);
}

bool items_none_equal_many(const uint64_t *slot, uint64_t value, unsigned int n)
{
	return none_equal(slot, value, n);
}
