/* SPDX-License-Identifier: MIT */
#include "pgtable/items.h"

#ifdef ITEMS_SANITIZED
/* Single stores that a sanitizer sees for what they are. */
static void fill(uint64_t *slot, uint64_t first, uint64_t step, unsigned int n, unsigned int run)
{
	for (unsigned int i = 0; i < n; i++)
		__atomic_store_n(&slot[i], first + (uint64_t)(i >> run << run) * step,
				 __ATOMIC_RELAXED);
}
#else
static ITEMS_CLONES void fill(uint64_t *slot, uint64_t first, uint64_t step, unsigned int n,
			      unsigned int run)
{
	/* A run shorter than a vector repeats in it; a longer one takes several. */
	unsigned int in = run < 3 ? run : 3, vectors = 1u << (run - in), i = 0;
	uint64_t next = (uint64_t)ITEMS_V * step << (run - in);
	items_v v;

	for (unsigned int k = 0; k < ITEMS_V; k++)
		v[k] = first + (uint64_t)(k >> in << in) * step;
	for (; i + ITEMS_V * vectors <= n; v += next)
		for (unsigned int k = 0; k < vectors; k++, i += ITEMS_V)
			*(items_v *)&slot[i] = v;
	for (; i < n; i++)
		__atomic_store_n(&slot[i], first + (uint64_t)(i >> run << run) * step,
				 __ATOMIC_RELAXED);
}
#endif

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

bool items_all_equal_many(const uint64_t *slot, uint64_t value, unsigned int n)
{
	return all_equal(slot, value, n);
}

bool items_none_equal_many(const uint64_t *slot, uint64_t value, unsigned int n)
{
	return none_equal(slot, value, n);
}
