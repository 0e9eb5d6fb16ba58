/* SPDX-License-Identifier: MIT */
/*
 * The union of combs whose teeth interleave. In general that is as hard as
 * simultaneous congruences are, but what bounds it here is that a comb with
 * gaps has few teeth (wide strides) or a short period (strides that are a small
 * number of pages): the cheapest of these is used,
 * - one comb alone: a floor sum;
 * - a period of all of them that is shorter than the range: walk one period;
 * - two combs: each one's blocks less those they share, which are a floor sum
 *   for every way in which a tooth of the one can lie on the blocks;
 * - walk all of the teeth, in order.
 */
#include "pgtable/comb_int.h"

/* Let the cursor show the next blocks up to @hi; false when there are none. */
static bool cursor_load(struct comb_cursor *cursor, uint64_t hi)
{
	const struct comb *comb = cursor->part->comb;
	unsigned int shift = cursor->part->shift;
	uint64_t offset = cursor->tooth * comb->stride;

	if (cursor->tooth >= comb->count)
		return false;
	cursor->lo = (comb->first + offset) >> shift;
	cursor->hi = (comb->last + offset) >> shift;
	cursor->tooth++;
	return cursor->lo <= hi;
}

/*
 * Extend the run that the cursor shows over the teeth that follow it without a
 * block between. Where a stride is a little more than a whole number of blocks
 * that is the rule, and the gap comes once in many teeth.
 */
static void cursor_extend(struct comb_cursor *cursor)
{
	const struct comb *comb = cursor->part->comb;
	unsigned int shift = cursor->part->shift;
	uint64_t size = BIT_ULL(shift);
	uint64_t gap = comb->stride - (comb->last - comb->first);
	uint64_t drift = comb->stride & (size - 1);
	uint64_t at = (comb->last + (cursor->tooth - 1) * comb->stride) & (size - 1);
	uint64_t teeth;

	/* The next one adjoins while the last byte's offset is below this. */
	if (gap >= 2 * size || at >= 2 * size - gap || !drift)
		return;
	teeth = (2 * size - gap - at - 1) / drift + 1;
	cursor->tooth += MIN(teeth, comb->count - cursor->tooth);
	cursor->hi = (comb->last + (cursor->tooth - 1) * comb->stride) >> shift;
}

static bool cursor_next(struct comb_cursor *cursor, uint64_t lo, uint64_t hi)
{
	if (!cursor_load(cursor, hi))
		return false;
	/* Jump over what is counted already. */
	if (cursor->hi < lo) {
		cursor->tooth = comb_tooth_from(cursor->part->comb, lo << cursor->part->shift);
		if (!cursor_load(cursor, hi))
			return false;
	}
	cursor_extend(cursor);
	return true;
}

/* Sink the top of a heap whose least lo is on top. */
static void heap_sink(struct comb_cursor **heap, size_t i, size_t nr)
{
	struct comb_cursor *cursor = heap[i];

	for (size_t child = 2 * i + 1; child < nr; child = 2 * i + 1) {
		if (child + 1 < nr && heap[child + 1]->lo < heap[child]->lo)
			child++;
		if (cursor->lo <= heap[child]->lo)
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = cursor;
}

static bool give_up(struct comb_part **parts, struct comb_work *work)
{
	size_t a = parts[0]->comb->tag;
	size_t b = parts[1]->comb->tag;

	work->tags[0] = MIN(a, b);
	work->tags[1] = MAX(a, b);
	return false;
}

/* Count by walking all teeth in order. */
static bool walk_teeth(struct comb_part **parts, size_t nr, uint64_t lo, uint64_t hi,
		       struct comb_work *work, uint64_t *blocks)
{
	struct comb_cursor **heap = work->heap;
	uint64_t next = lo; /* the first block that is not counted yet */
	size_t left = 0;

	*blocks = 0;
	for (size_t i = 0; i < nr; i++) {
		struct comb_cursor *cursor = &work->cursors[i];

		cursor->part = parts[i];
		cursor->tooth = comb_tooth_from(parts[i]->comb, lo << parts[i]->shift);
		if (cursor_next(cursor, lo, hi))
			heap[left++] = cursor;
	}
	for (size_t i = left / 2; i-- > 0;)
		heap_sink(heap, i, left);
	while (left) {
		struct comb_cursor *cursor = heap[0];
		uint64_t from = MAX(cursor->lo, next);
		uint64_t last = MIN(cursor->hi, hi);

		if (!work->steps--)
			return give_up(parts, work);
		if (last >= from) {
			*blocks += last - from + 1;
			next = last + 1;
		}
		if (!cursor_next(cursor, next, hi))
			heap[0] = heap[--left];
		if (left)
			heap_sink(heap, 0, left);
	}
	return true;
}

/* The blocks after which all parts repeat, or @limit if that is less. */
static uint64_t common_period(struct comb_part **parts, size_t nr, uint64_t limit)
{
	u128 period = 1;

	for (size_t i = 0; i < nr && period < limit; i++) {
		uint64_t stride = parts[i]->comb->stride;
		uint64_t one = stride / gcd_u64(stride, BIT_ULL(parts[i]->shift));

		period = period / gcd_u64((uint64_t)period, one) * one;
	}
	return (uint64_t)MIN(period, limit);
}

/* The ways in which a tooth can lie on the blocks, times the blocks it touches. */
static u128 tooth_ways(const struct comb_part *part)
{
	const struct comb *comb = part->comb;
	uint64_t size = BIT_ULL(part->shift);

	return (u128)(size / gcd_u64(size, comb->stride)) *
	       (((comb->last - comb->first) >> part->shift) + 2);
}

/*
 * Of the blocks block, block + step, ... (n of them), count those that an
 * endless part touches: j * stride must be in [start of the block - last, end
 * of the block - first] for some j, of which there is one at most.
 */
static uint64_t progression_hits(const struct comb_part *part, uint64_t block, u128 step,
				 uint64_t n)
{
	const struct comb *comb = part->comb;
	u128 shift = ((u128)comb->last / comb->stride + 2) * comb->stride;
	u128 start = shift + ((u128)block << part->shift);
	u128 end = start + BIT_ULL(part->shift) - 1;
	u128 bytes = step << part->shift;

	return (uint64_t)(floor_sum(n, comb->stride, bytes, end - comb->first) -
			  floor_sum(n, comb->stride, bytes, start - comb->last - 1));
}

/*
 * The blocks from lo to hi that both touch. Every teeth-th tooth of @a lies on
 * the blocks in the same way, so each block of it makes a progression.
 */
static uint64_t shared_blocks(const struct comb_part *a, const struct comb_part *b, uint64_t lo,
			      uint64_t hi)
{
	const struct comb *comb = a->comb;
	uint64_t size = BIT_ULL(a->shift);
	uint64_t teeth = size / gcd_u64(size, comb->stride);
	u128 step = ((u128)comb->stride * teeth) >> a->shift;
	uint64_t from = comb_tooth_from(comb, lo << a->shift);
	uint64_t shared = 0;

	for (uint64_t i = from; i < from + teeth && i < comb->count; i++) {
		uint64_t first = (comb->first + i * comb->stride) >> a->shift;
		uint64_t last = (comb->last + i * comb->stride) >> a->shift;

		for (uint64_t block = MAX(first, lo); block <= last && block <= hi; block++) {
			uint64_t n = (uint64_t)((hi - block) / step) + 1;

			shared += progression_hits(b, block, step, n);
		}
		/* The first of this tooth's kind may begin below lo; the next do not. */
		for (uint64_t block = first; block < lo && block <= last; block++)
			if (hi - block >= step)
				shared += progression_hits(b, (uint64_t)(block + step), step,
							   (uint64_t)((hi - block) / step));
	}
	return shared;
}

/* About how many steps walk_teeth() takes: the gaps of each part. */
static u128 walk_cost(struct comb_part **parts, size_t nr, uint64_t blocks)
{
	u128 cost = 0;

	for (size_t i = 0; i < nr; i++)
		cost += ((u128)blocks << parts[i]->shift) / parts[i]->comb->stride + 1;
	return cost;
}

/* A floor sum takes about as long as this many steps of a walk. */
#define FLOOR_SUM_STEPS 50

static bool union_of_range(struct comb_part **parts, size_t nr, uint64_t lo, uint64_t hi,
			   struct comb_work *work, uint64_t *blocks)
{
	const struct comb_part *a = parts[0];
	const struct comb_part *b = parts[1];

	if (nr > 2 ||
	    MIN(tooth_ways(a), tooth_ways(b)) * FLOOR_SUM_STEPS > walk_cost(parts, nr, hi - lo + 1))
		return walk_teeth(parts, nr, lo, hi, work, blocks);
	if (tooth_ways(a) > tooth_ways(b)) {
		a = parts[1];
		b = parts[0];
	}
	*blocks = part_blocks_upto(a, hi) - (lo ? part_blocks_upto(a, lo - 1) : 0) +
		  part_blocks_upto(b, hi) - (lo ? part_blocks_upto(b, lo - 1) : 0) -
		  shared_blocks(a, b, lo, hi);
	return true;
}

bool parts_union(struct comb_part **parts, size_t nr, uint64_t lo, uint64_t hi,
		 struct comb_work *work, uint64_t *blocks)
{
	uint64_t length = hi - lo + 1;
	uint64_t period, once = 0, rest = 0;

	if (nr == 1) {
		*blocks = part_blocks_upto(parts[0], hi) -
			  (lo ? part_blocks_upto(parts[0], lo - 1) : 0);
		return true;
	}
	period = common_period(parts, nr, length);
	if (!union_of_range(parts, nr, lo, lo + period - 1, work, &once))
		return false;
	if (length % period &&
	    !union_of_range(parts, nr, lo, lo + length % period - 1, work, &rest))
		return false;
	*blocks = once * (length / period) + rest;
	return true;
}
