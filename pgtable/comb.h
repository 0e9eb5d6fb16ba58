/* SPDX-License-Identifier: MIT */
/*
 * Combs: a range of addresses repeated at a fixed stride. How many aligned
 * blocks a set of combs touches is what `size` has to know for every level of
 * tables, for combs of any count, without going through their teeth.
 */
#ifndef PGTABLE_COMB_H
#define PGTABLE_COMB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Tooth i is the bytes first + i * stride to last + i * stride, inclusive, for
 * i below count. Teeth do not overlap (stride > last - first, unless count is
 * 1) and the last one ends below 2^64.
 */
struct comb {
	uint64_t first;
	uint64_t last;
	uint64_t stride;
	uint64_t count; /* not 0 */
	size_t tag;     /* the caller's, to name the comb by */
};

/* The last byte of the last tooth. */
static inline uint64_t comb_end(const struct comb *comb)
{
	return comb->last + (comb->count - 1) * comb->stride;
}

/* Whether a byte is in both. Takes time that does not depend on the counts. */
bool combs_overlap(const struct comb *a, const struct comb *b);

/*
 * Find two combs that overlap; uses @combs up. True with their tags in @tags,
 * the smaller first.
 */
bool combs_find_overlap(struct comb *combs, size_t nr, size_t tags[2]);

/*
 * What comb_blocks() works in: room for @nr combs of each kind, and the steps
 * that it may still take through teeth where nothing shorter is known.
 */
struct comb_work {
	struct comb_run *runs;
	struct comb_part *parts;
	struct comb_part **active;
	struct comb_cursor *cursors;
	struct comb_cursor **heap;
	uint64_t steps;
	size_t tags[2]; /* two of those that took too many */
};

#define COMB_STEPS 300000000u

/* Bytes of memory for @nr combs, and how a work area is laid out in it. */
size_t comb_work_bytes(size_t nr);
void comb_work_init(struct comb_work *work, size_t nr, void *memory);

/*
 * Count the distinct blocks of 2^shift bytes, aligned to that, that the combs
 * touch. False when three or more combs of huge counts interleave in a way that
 * takes more steps than there are: two of them are in work->tags.
 */
bool comb_blocks(const struct comb *combs, size_t nr, unsigned int shift, struct comb_work *work,
		 uint64_t *blocks);

#endif
