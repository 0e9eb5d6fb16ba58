/* SPDX-License-Identifier: MIT */
/*
 * Loops over the items of a table, in the form that compilers turn into vector
 * code. Items change by single aligned 64-bit stores or vectors of such; never
 * by memset(), whose stores may be of any size.
 */
#ifndef PGTABLE_ITEMS_H
#define PGTABLE_ITEMS_H

#include <stdbool.h>
#include <stdint.h>

#include "plat/compiler.h"

/* The thread sanitizer wants to see what hardware gives us for nothing. */
#if defined(__SANITIZE_THREAD__)
#define ITEM_STORE(slot, value) __atomic_store_n(slot, value, __ATOMIC_RELAXED)
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ITEM_STORE(slot, value) __atomic_store_n(slot, value, __ATOMIC_RELAXED)
#endif
#endif
#ifndef ITEM_STORE
#define ITEM_STORE(slot, value) (*(slot) = (value))
#endif

/* n items: first, first + step, ... */
static inline void items_fill(uint64_t *slot, uint64_t first, uint64_t step, unsigned int n)
{
	if (n == 1) {
		__atomic_store_n(slot, first, __ATOMIC_RELAXED);
		return;
	}
	for (unsigned int i = 0; i < n; i++)
		ITEM_STORE(&slot[i], first + i * step);
}

/* n items in runs of 2^run equal ones; step is between the items of no run. */
static inline void items_fill_runs(uint64_t *slot, uint64_t first, uint64_t step, unsigned int n,
				   unsigned int run)
{
	if (!run) {
		items_fill(slot, first, step, n);
		return;
	}
	for (unsigned int i = 0; i < n; i++)
		ITEM_STORE(&slot[i], first + (uint64_t)(i >> run << run) * step);
}

static inline void items_clear(uint64_t *slot, uint64_t empty, unsigned int n)
{
	items_fill(slot, empty, 0, n);
}

static inline bool items_all_equal(const uint64_t *slot, uint64_t value, unsigned int n)
{
	uint64_t differ = 0;

	for (unsigned int i = 0; i < n; i++)
		differ |= slot[i] ^ value;
	return !differ;
}

#endif
