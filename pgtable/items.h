/* SPDX-License-Identifier: MIT */
/*
 * Loops over the items of a table. Items change by single aligned 64-bit stores or by
 * vectors of them, never by memset(), whose stores may be of any size.
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
 * The functions are compiled once more for each wider vector of the processor, and one
 * version is chosen when the program is loaded. Sanitizers are not initialised yet at
 * that time.
 */
#if defined(__x86_64__) && defined(__linux__) && __STDC_HOSTED__ && !defined(ITEMS_SANITIZED)
#define ITEMS_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define ITEMS_CLONES
#endif

/* Eight items. If the processor lacks such vectors, the compiler uses several smaller ones. */
typedef uint64_t items_v __attribute__((vector_size(64), aligned(8), may_alias));
#define ITEMS_V 8u

/*
 * The loops store and compare items as they are in memory. swap tells that the items,
 * which must be counted up, are in the other byte order.
 */

/* Write n items in runs of 2^run equal ones: first, first + 2^step_lg2, ... */
void items_fill_many(uint64_t *slot, uint64_t first, unsigned int step_lg2, unsigned int n,
		     unsigned int run, bool swap);
/*
 * The same past the caches, if the processor can. Call items_stream_end() before
 * linking them.
 */
void items_stream(uint64_t *slot, uint64_t first, unsigned int step_lg2, unsigned int n,
		  unsigned int run, bool swap);
void items_stream_end(void);
/*
 * As items_fill_many(), up to the first item that is not empty. Returns how many were
 * written.
 */
unsigned int items_fill_empty_many(uint64_t *slot, uint64_t first, unsigned int step_lg2,
				   unsigned int n, unsigned int run, bool swap, uint64_t empty);
/* Write empty to n items, up to the first that is empty already. Returns how many. */
unsigned int items_clear_used_many(uint64_t *slot, uint64_t empty, unsigned int n);
bool items_all_equal_many(const uint64_t *slot, uint64_t value, unsigned int n);

static inline void item_put(uint64_t *slot, uint64_t item, bool swap)
{
	__atomic_store_n(slot, swap ? __builtin_bswap64(item) : item, __ATOMIC_RELAXED);
}

static inline void items_fill(uint64_t *slot, uint64_t first, unsigned int step_lg2, unsigned int n,
			      unsigned int run, bool swap)
{
	if (n == 1)
		item_put(slot, first, swap);
	else
		items_fill_many(slot, first, step_lg2, n, run, swap);
}

static inline unsigned int items_fill_empty(uint64_t *slot, uint64_t first, unsigned int step_lg2,
					    unsigned int n, unsigned int run, bool swap,
					    uint64_t empty)
{
	if (n != 1)
		return items_fill_empty_many(slot, first, step_lg2, n, run, swap, empty);
	if (__atomic_load_n(slot, __ATOMIC_RELAXED) != empty)
		return 0;
	item_put(slot, first, swap);
	return 1;
}

static inline unsigned int items_clear_used(uint64_t *slot, uint64_t empty, unsigned int n)
{
	if (n != 1)
		return items_clear_used_many(slot, empty, n);
	if (__atomic_load_n(slot, __ATOMIC_RELAXED) == empty)
		return 0;
	__atomic_store_n(slot, empty, __ATOMIC_RELAXED);
	return 1;
}

static inline bool items_all_equal(const uint64_t *slot, uint64_t value, unsigned int n)
{
	return n == 1 ? *slot == value : items_all_equal_many(slot, value, n);
}

#endif
