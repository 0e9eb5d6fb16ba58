/* SPDX-License-Identifier: MIT */
/*
 * Single strided ranges, pairs of them, and the sweep over many. Repeats are counted by
 * floor sums: repeat i touches floor((last + i * stride) / block) - floor((first + i *
 * stride) / block) + 1 blocks, and a sum of such floors over i has a closed form by
 * Euclid's algorithm. All arithmetic is exact: addresses fit in 64 bits and products in
 * 128. Where a floor sum does not fit, only the difference of two is used, which is
 * correct modulo 2^128.
 */
#include "pgtable/strided_internal.h"
#include "pgtable/sort.h"

u128 floor_sum(u128 n, u128 m, u128 a, u128 b)
{
	u128 sum = 0;

	while (n) {
		u128 top;
		u128 old = m;

		sum += n * (n - 1) / 2 * (a / m) + n * (b / m);
		a %= m;
		b %= m;
		top = a * n + b;
		if (top < m)
			break;
		n = top / m;
		b = top % m;
		m = a;
		a = old;
	}
	return sum;
}

uint64_t gcd_u64(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

uint64_t strided_repeat_from(const struct strided *range, uint64_t address)
{
	uint64_t repeat;

	if (address <= range->last)
		return 0;
	if (range->count == 1)
		return 1;
	repeat = (address - range->last - 1) / range->stride + 1;
	return MIN(repeat, range->count);
}

/* How many repeats begin at @address or before. */
static uint64_t strided_repeats_upto(const struct strided *range, uint64_t address)
{
	uint64_t repeats;

	if (address < range->first)
		return 0;
	if (range->count == 1)
		return 1;
	repeats = (address - range->first) / range->stride;
	return repeats < range->count ? repeats + 1 : range->count;
}

/*
 * Repeat i of a overlaps repeat j of b if and only if j * b->stride is in [a->first + i
 * * a->stride - b->last, a->last + i * a->stride - b->first]. Among the repeats of a
 * that touch b's hull, j may be any integer: if a repeat of a overlaps a repeat outside
 * the hull, in a b without end, it overlaps the outermost repeat of b as well.
 */
bool strided_overlap(const struct strided *a, const struct strided *b)
{
	uint64_t from = strided_repeat_from(a, b->first);
	uint64_t upto = strided_repeats_upto(a, strided_end(b));
	u128 shift, low, high;

	if (from >= upto)
		return false;
	if (b->count == 1)
		return true;
	/* A multiple of b's stride that keeps the dividends from becoming negative. */
	shift = ((u128)b->last / b->stride + 2) * b->stride;
	low = shift + a->first + (u128)from * a->stride - b->last - 1;
	high = shift + a->last + (u128)from * a->stride - b->first;
	return floor_sum(upto - from, b->stride, a->stride, high) !=
	       floor_sum(upto - from, b->stride, a->stride, low);
}

static bool begins_before(const void *a, const void *b)
{
	return ((const struct strided *)a)->first < ((const struct strided *)b)->first;
}

bool strided_find_overlap(struct strided *ranges, size_t nr, size_t tags[2])
{
	size_t nr_open = 0; /* ranges at the front that may extend to the next one */

	heap_sort(ranges, nr, sizeof(*ranges), begins_before);
	for (size_t i = 0; i < nr; i++) {
		const struct strided next = ranges[i];
		size_t kept = 0;

		for (size_t j = 0; j < nr_open; j++) {
			if (strided_overlap(&ranges[j], &next)) {
				tags[0] = MIN(next.tag, ranges[j].tag);
				tags[1] = MAX(next.tag, ranges[j].tag);
				return true;
			}
			if (strided_end(&ranges[j]) > next.first)
				ranges[kept++] = ranges[j];
		}
		ranges[kept] = next;
		nr_open = kept + 1;
	}
	return false;
}

uint64_t part_blocks_upto(const struct strided_part *part, uint64_t block)
{
	const struct strided *range = part->range;
	u128 size = (u128)1 << part->shift;
	uint64_t repeats, last;
	u128 blocks;

	if (block < part->lo)
		return 0;
	block = MIN(block, part->hi);
	repeats = strided_repeats_upto(range, (block << part->shift) | (uint64_t)(size - 1));
	blocks = floor_sum(repeats, size, range->stride, range->last) -
		 floor_sum(repeats, size, range->stride, range->first) + repeats;
	/* The last of these repeats may extend beyond @block. */
	last = (range->last + (repeats - 1) * range->stride) >> part->shift;
	return (uint64_t)blocks - (last > block ? last - block : 0);
}

/* Whether a range touches every block from its first to its last. */
static bool strided_is_solid(const struct strided *range, unsigned int shift)
{
	u128 size = (u128)1 << shift;
	uint64_t repeat = range->last - range->first;

	if (range->count == 1 || range->stride - repeat <= size)
		return true;
	/* The stride is a whole number of blocks, so all gaps are equal. */
	return range->stride % size == 0 &&
	       ((range->first + range->stride) >> shift) - (range->last >> shift) <= 1;
}

static bool run_before(const void *a, const void *b)
{
	return ((const struct block_run *)a)->lo < ((const struct block_run *)b)->lo;
}

static bool part_before(const void *a, const void *b)
{
	return ((const struct strided_part *)a)->lo < ((const struct strided_part *)b)->lo;
}

/* Sort runs and join those that overlap or adjoin. Returns how many are left. */
static size_t merge_runs(struct block_run *runs, size_t nr, uint64_t *blocks)
{
	size_t kept = 0;

	heap_sort(runs, nr, sizeof(*runs), run_before);
	for (size_t i = 0; i < nr; i++) {
		if (kept && runs[i].lo <= runs[kept - 1].hi + 1)
			runs[kept - 1].hi = MAX(runs[kept - 1].hi, runs[i].hi);
		else
			runs[kept++] = runs[i];
	}
	*blocks = 0;
	for (size_t i = 0; i < kept; i++)
		*blocks += runs[i].hi - runs[i].lo + 1;
	return kept;
}

/* A sweep upwards, with the parts whose hull covers the current block. */
struct sweep {
	struct strided_part *parts; /* sorted */
	size_t nr_parts;
	size_t upcoming;
	struct strided_part **active;
	size_t nr_active;
};

static void sweep_to(struct sweep *sweep, uint64_t block)
{
	size_t kept = 0;

	while (sweep->upcoming < sweep->nr_parts && sweep->parts[sweep->upcoming].lo <= block)
		sweep->active[sweep->nr_active++] = &sweep->parts[sweep->upcoming++];
	for (size_t i = 0; i < sweep->nr_active; i++)
		if (sweep->active[i]->hi >= block)
			sweep->active[kept++] = sweep->active[i];
	sweep->nr_active = kept;
}

/* The last block up to @limit at which the same parts are active. */
static uint64_t sweep_segment(const struct sweep *sweep, uint64_t limit)
{
	if (sweep->upcoming < sweep->nr_parts)
		limit = MIN(limit, sweep->parts[sweep->upcoming].lo - 1);
	for (size_t i = 0; i < sweep->nr_active; i++)
		limit = MIN(limit, sweep->active[i]->hi);
	return limit;
}

/* Add the blocks from lo to hi that parts touch. There is no run between lo and hi. */
static bool sweep_gap(struct sweep *sweep, uint64_t lo, uint64_t hi, struct strided_work *work,
		      uint64_t *blocks)
{
	while (lo <= hi) {
		uint64_t last, more;

		sweep_to(sweep, lo);
		if (!sweep->nr_active) {
			if (sweep->upcoming == sweep->nr_parts)
				return true;
			lo = sweep->parts[sweep->upcoming].lo;
			continue;
		}
		last = sweep_segment(sweep, hi);
		if (!parts_union(sweep->active, sweep->nr_active, lo, last, work, &more))
			return false;
		*blocks += more;
		lo = last + 1;
	}
	return true;
}

bool strided_blocks(const struct strided *ranges, size_t nr, unsigned int shift,
		    struct strided_work *work, uint64_t *blocks)
{
	struct sweep sweep = {.parts = work->parts, .active = work->active};
	size_t nr_runs = 0;
	uint64_t lo = 0;

	for (size_t i = 0; i < nr; i++) {
		uint64_t first = ranges[i].first >> shift;
		uint64_t last = strided_end(&ranges[i]) >> shift;

		if (strided_is_solid(&ranges[i], shift))
			work->runs[nr_runs++] = (struct block_run){first, last};
		else
			work->parts[sweep.nr_parts++] =
				(struct strided_part){&ranges[i], shift, first, last};
	}
	nr_runs = merge_runs(work->runs, nr_runs, blocks);
	heap_sort(work->parts, sweep.nr_parts, sizeof(*work->parts), part_before);
	for (size_t i = 0; i < nr_runs; i++) {
		if (work->runs[i].lo > lo &&
		    !sweep_gap(&sweep, lo, work->runs[i].lo - 1, work, blocks))
			return false;
		lo = work->runs[i].hi + 1;
	}
	return sweep_gap(&sweep, lo, UINT64_MAX >> shift, work, blocks);
}

size_t strided_work_bytes(size_t nr)
{
	return nr * (sizeof(struct block_run) + sizeof(struct strided_part) +
		     sizeof(struct strided_part *) + sizeof(struct strided_cursor) +
		     sizeof(struct strided_cursor *));
}

void strided_work_init(struct strided_work *work, size_t nr, void *memory)
{
	work->parts = memory;
	work->cursors = (void *)(work->parts + nr);
	work->runs = (void *)(work->cursors + nr);
	work->active = (void *)(work->runs + nr);
	work->heap = (void *)(work->active + nr);
	work->steps = STRIDED_STEPS;
}
