/* SPDX-License-Identifier: MIT */
/* Sorting without a C library. */
#ifndef PGTABLE_SORT_H
#define PGTABLE_SORT_H

#include <stdbool.h>
#include <stddef.h>

/* Sort @nr elements of @size bytes in place: n log n at worst, not stable. */
void heap_sort(void *base, size_t nr, size_t size, bool (*before)(const void *, const void *));

#endif
