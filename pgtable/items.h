/* SPDX-License-Identifier: MIT */
/*
 * Loops over the items of a table. Items change by single aligned 64-bit stores
 * or by vectors of such, never by memset(), whose stores may be of any size.
 */
#ifndef PGTABLE_ITEMS_H
#define PGTABLE_ITEMS_H

#include <stdbool.h>
#include <stdint.h>

#include "plat/compiler.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define ITEMS_SANITIZED
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define ITEMS_SANITIZED
#endif
#endif

/*
 * Compiled once more for each of the processor's wider vectors, and chosen when
 * the program is loaded; sanitizers are not up yet at that time.
 */
#if defined(__x86_64__) && defined(__linux__) && __STDC_HOSTED__ && !defined(ITEMS_SANITIZED)
#define ITEMS_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define ITEMS_CLONES
#endif

/* Eight items. Vectors that the processor lacks become several smaller ones. */
typedef uint64_t items_v __attribute__((vector_size(64), aligned(8), may_alias));
#define ITEMS_V 8u

/* n items in runs of 2^run equal ones: first, first + step, ... */
void items_fill_many(uint64_t *slot, uint64_t first, uint64_t step, unsigned int n,
		     unsigned int run);
/* The same in the other byte order. */
void items_fill_many_swapped(uint64_t *slot, uint64_t first, uint64_t step, unsigned int n,
			     unsigned int run);
bool items_all_equal_many(const uint64_t *slot, uint64_t value, unsigned int n);
bool items_none_equal_many(const uint64_t *slot, uint64_t value, unsigned int n);

static inline void items_fill(uint64_t *slot, uint64_t first, uint64_t step, unsigned int n,
			      unsigned int run, bool swap)
{
	if (n == 1)
		__atomic_store_n(slot, swap ? __builtin_bswap64(first) : first, __ATOMIC_RELAXED);
	else if (swap)
		items_fill_many_swapped(slot, first, step, n, run);
	else
		items_fill_many(slot, first, step, n, run);
}

static inline bool items_all_equal(const uint64_t *slot, uint64_t value, unsigned int n)
{
	return n == 1 ? *slot == value : items_all_equal_many(slot, value, n);
}

static inline bool items_none_equal(const uint64_t *slot, uint64_t value, unsigned int n)
{
	return n == 1 ? *slot != value : items_none_equal_many(slot, value, n);
}

#endif
