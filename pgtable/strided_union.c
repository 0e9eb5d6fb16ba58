/* SPDX-License-Identifier: MIT */
/*
 * The union of ranges whose repeats interleave. In general this is as hard as
 * simultaneous congruences, but a range with gaps has few repeats (wide strides) or a
 * short period (strides that are a small number of pages). The cheapest of these
 * methods is used:
 *
 * - a single range: a floor sum;
 * - a common period that is shorter than the range: walk one period;
 * - two ranges: the blocks of each less those they share, which are a floor sum for
 *   every way in which a repeat of one range can lie on the blocks;
 * - otherwise walk all repeats, in order.
 */
#include "pgtable/strided_internal.h"

/* Load the next blocks up to @hi into the cursor. Returns false when there are none. */
static bool cursor_load(struct strided_cursor *cursor, uint64_t hi)
{
	const struct strided *range = cursor->part->range;
	unsigned int shift = cursor->part->shift;
	uint64_t offset = cursor->repeat * range->stride;

	if (cursor->repeat >= range->count)
		return false;
	cursor->lo = (range->first + offset) >> shift;
	cursor->hi = (range->last + offset) >> shift;
	cursor->repeat++;
	return cursor->lo <= hi;
}

/*
 * Extend the cursor's run over the following repeats that adjoin. Where a stride is a
 * little more than a whole number of blocks, most repeats adjoin, with one gap in many
 * repeats.
 */
static void cursor_extend(struct strided_cursor *cursor)
{
	const struct strided *range = cursor->part->range;
	unsigned int shift = cursor->part->shift;
	uint64_t size = BIT_ULL(shift);
	uint64_t gap = range->stride - (range->last - range->first);
	uint64_t drift = range->stride & (size - 1);
	uint64_t at = (range->last + (cursor->repeat - 1) * range->stride) & (size - 1);
	uint64_t repeats;

	/* The next repeat adjoins while the offset of the last byte is below this. */
	if (gap >= 2 * size || at >= 2 * size - gap || !drift)
		return;
	repeats = (2 * size - gap - at - 1) / drift + 1;
	cursor->repeat += MIN(repeats, range->count - cursor->repeat);
	cursor->hi = (range->last + (cursor->repeat - 1) * range->stride) >> shift;
}

static bool cursor_next(struct strided_cursor *cursor, uint64_t lo, uint64_t hi)
{
	if (!cursor_load(cursor, hi))
		return false;
	/* Skip what is counted already. */
	if (cursor->hi < lo) {
		cursor->repeat =
			strided_repeat_from(cursor->part->range, lo << cursor->part->shift);
		if (!cursor_load(cursor, hi))
			return false;
	}
	cursor_extend(cursor);
	return true;
}

/* Sink the top of a heap that has the least lo on top. */
static void heap_sink(struct strided_cursor **heap, size_t i, size_t nr)
{
	struct strided_cursor *cursor = heap[i];

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

static bool give_up(struct strided_part **parts, struct strided_work *work)
{
	size_t a = parts[0]->range->tag;
	size_t b = parts[1]->range->tag;

	work->tags[0] = MIN(a, b);
	work->tags[1] = MAX(a, b);
	return false;
}

/* Count by walking all repeats in order. */
static bool walk_repeats(struct strided_part **parts, size_t nr, uint64_t lo, uint64_t hi,
			 struct strided_work *work, uint64_t *blocks)
{
	struct strided_cursor **heap = work->heap;
	uint64_t next = lo; /* the first block that is not counted yet */
	size_t left = 0;

	*blocks = 0;
	for (size_t i = 0; i < nr; i++) {
		struct strided_cursor *cursor = &work->cursors[i];

		cursor->part = parts[i];
		cursor->repeat = strided_repeat_from(parts[i]->range, lo << parts[i]->shift);
		if (cursor_next(cursor, lo, hi))
			heap[left++] = cursor;
	}
	for (size_t i = left / 2; i-- > 0;)
		heap_sink(heap, i, left);
	while (left) {
		struct strided_cursor *cursor = heap[0];
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

/* The number of blocks after which all parts repeat, or @limit if that is less. */
static uint64_t common_period(struct strided_part **parts, size_t nr, uint64_t limit)
{
	u128 period = 1;

	for (size_t i = 0; i < nr && period < limit; i++) {
		uint64_t stride = parts[i]->range->stride;
		uint64_t one = stride / gcd_u64(stride, BIT_ULL(parts[i]->shift));

		period = period / gcd_u64((uint64_t)period, one) * one;
	}
	return (uint64_t)MIN(period, limit);
}

/* The number of ways in which a repeat can lie on the blocks, times the blocks it touches. */
static u128 repeat_ways(const struct strided_part *part)
{
	const struct strided *range = part->range;
	uint64_t size = BIT_ULL(part->shift);

	return (u128)(size / gcd_u64(size, range->stride)) *
	       (((range->last - range->first) >> part->shift) + 2);
}

/*
 * Of n blocks, block, block + step, ..., count those that a part without end touches: j
 * * stride must be in [start of the block - last, end of the block - first] for some j.
 * There is at most one such j.
 */
static uint64_t progression_hits(const struct strided_part *part, uint64_t block, u128 step,
				 uint64_t n)
{
	const struct strided *range = part->range;
	u128 shift = ((u128)range->last / range->stride + 2) * range->stride;
	u128 start = shift + ((u128)block << part->shift);
	u128 end = start + BIT_ULL(part->shift) - 1;
	u128 bytes = step << part->shift;

	return (uint64_t)(floor_sum(n, range->stride, bytes, end - range->first) -
			  floor_sum(n, range->stride, bytes, start - range->last - 1));
}

/*
 * The blocks from lo to hi that both parts touch. One in @repeats repeats of @a lies on
 * the blocks in the same way, so each of its blocks makes a progression.
 */
static uint64_t shared_blocks(const struct strided_part *a, const struct strided_part *b,
			      uint64_t lo, uint64_t hi)
{
	const struct strided *range = a->range;
	uint64_t size = BIT_ULL(a->shift);
	uint64_t repeats = size / gcd_u64(size, range->stride);
	u128 step = ((u128)range->stride * repeats) >> a->shift;
	uint64_t from = strided_repeat_from(range, lo << a->shift);
	uint64_t shared = 0;

	for (uint64_t i = from; i < from + repeats && i < range->count; i++) {
		uint64_t first = (range->first + i * range->stride) >> a->shift;
		uint64_t last = (range->last + i * range->stride) >> a->shift;

		for (uint64_t block = MAX(first, lo); block <= last && block <= hi; block++) {
			uint64_t n = (uint64_t)((hi - block) / step) + 1;

			shared += progression_hits(b, block, step, n);
		}
		/* The first of these repeats may begin below lo; the following ones do not. */
		for (uint64_t block = first; block < lo && block <= last; block++)
			if (hi - block >= step)
				shared += progression_hits(b, (uint64_t)(block + step), step,
							   (uint64_t)((hi - block) / step));
	}
	return shared;
}

/* The approximate number of steps of walk_repeats(): the gaps of each part. */
static u128 walk_cost(struct strided_part **parts, size_t nr, uint64_t blocks)
{
	u128 cost = 0;

	for (size_t i = 0; i < nr; i++)
		cost += ((u128)blocks << parts[i]->shift) / parts[i]->range->stride + 1;
	return cost;
}

/* The steps of a walk that take as long as a floor sum. */
#define FLOOR_SUM_STEPS 50

static bool union_of_range(struct strided_part **parts, size_t nr, uint64_t lo, uint64_t hi,
			   struct strided_work *work, uint64_t *blocks)
{
	const struct strided_part *a = parts[0];
	const struct strided_part *b = parts[1];

	if (nr > 2 || MIN(repeat_ways(a), repeat_ways(b)) * FLOOR_SUM_STEPS >
			      walk_cost(parts, nr, hi - lo + 1))
		return walk_repeats(parts, nr, lo, hi, work, blocks);
	if (repeat_ways(a) > repeat_ways(b)) {
		a = parts[1];
		b = parts[0];
	}
	*blocks = part_blocks_upto(a, hi) - (lo ? part_blocks_upto(a, lo - 1) : 0) +
		  part_blocks_upto(b, hi) - (lo ? part_blocks_upto(b, lo - 1) : 0) -
		  shared_blocks(a, b, lo, hi);
	return true;
}

bool parts_union(struct strided_part **parts, size_t nr, uint64_t lo, uint64_t hi,
		 struct strided_work *work, uint64_t *blocks)
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
