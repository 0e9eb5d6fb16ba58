/* SPDX-License-Identifier: MIT */
/*
 * Strided ranges: a range of addresses repeated at a fixed stride. `size` must know,
 * for every level of tables, how many aligned blocks a set of ranges touches, for
 * ranges of any count, without iterating over the repeats.
 */
#ifndef PGTABLE_STRIDED_H
#define PGTABLE_STRIDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Repeat i is the bytes first + i * stride to last + i * stride, inclusive, for i below
 * count. Repeats do not overlap (stride > last - first, unless count is 1), and the
 * last one ends below 2^64.
 */
struct strided {
	uint64_t first;
	uint64_t last;
	uint64_t stride;
	uint64_t count; /* not 0 */
	size_t tag;     /* the caller's number for the range */
};

/* The last byte of the last repeat. */
static inline uint64_t strided_end(const struct strided *range)
{
	return range->last + (range->count - 1) * range->stride;
}

/* Do two ranges overlap? The time does not depend on the counts. */
bool strided_overlap(const struct strided *a, const struct strided *b);

/*
 * Find two ranges that overlap. Destroys @ranges. Returns true with their tags in
 * @tags, the smaller tag first.
 */
bool strided_find_overlap(struct strided *ranges, size_t nr, size_t tags[2]);

/*
 * The work area of strided_blocks(): memory for @nr ranges of each kind, and the steps
 * that it may still take through repeats where there is no closed form.
 */
struct strided_work {
	struct block_run *runs;
	struct strided_part *parts;
	struct strided_part **active;
	struct strided_cursor *cursors;
	struct strided_cursor **heap;
	uint64_t steps;
	size_t tags[2]; /* two of the ranges that took too many steps */
};

#define STRIDED_STEPS 300000000u

/* Bytes of memory for @nr ranges, and the layout of a work area in it. */
size_t strided_work_bytes(size_t nr);
void strided_work_init(struct strided_work *work, size_t nr, void *memory);

/*
 * Count the distinct blocks of 2^shift bytes, aligned to that, that the ranges touch.
 * Returns false when three or more ranges of huge counts interleave in a way that takes
 * more steps than are left; two of them are in work->tags.
 */
bool strided_blocks(const struct strided *ranges, size_t nr, unsigned int shift,
		    struct strided_work *work, uint64_t *blocks);

#endif
