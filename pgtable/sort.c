/* SPDX-License-Identifier: MIT */
#include "pgtable/sort.h"

static void swap_bytes(char *a, char *b, size_t size)
{
	while (size--) {
		char byte = *a;

		*a++ = *b;
		*b++ = byte;
	}
}

/* Sink element @i of a heap of @nr elements, which has the last element on top. */
static void sink(char *base, size_t i, size_t nr, size_t size,
		 bool (*before)(const void *, const void *))
{
	for (size_t child = 2 * i + 1; child < nr; child = 2 * i + 1) {
		if (child + 1 < nr && before(base + child * size, base + (child + 1) * size))
			child++;
		if (!before(base + i * size, base + child * size))
			return;
		swap_bytes(base + i * size, base + child * size, size);
		i = child;
	}
}

void heap_sort(void *base, size_t nr, size_t size, bool (*before)(const void *, const void *))
{
	for (size_t i = nr / 2; i-- > 0;)
		sink(base, i, nr, size, before);
	for (size_t end = nr; end-- > 1;) {
		swap_bytes(base, (char *)base + end * size, size);
		sink(base, 0, end, size, before);
	}
}
