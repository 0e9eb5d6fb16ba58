/* SPDX-License-Identifier: MIT */
/*
 * Single combs, pairs of them, and the sweep over many. Teeth are counted by
 * floor sums: tooth i touches floor((last + i * stride) / block) -
 * floor((first + i * stride) / block) + 1 blocks, and a sum of such floors over
 * i has a closed form by Euclid's algorithm. All arithmetic is exact: addresses
 * fit in 64 bits, products in 128, and where a floor sum exceeds those only
 * differences of two are used, which come out right modulo 2^128.
 */
#include "pgtable/comb_int.h"
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

uint64_t comb_tooth_from(const struct comb *comb, uint64_t address)
{
	uint64_t tooth;

	if (address <= comb->last)
		return 0;
	if (comb->count == 1)
		return 1;
	tooth = (address - comb->last - 1) / comb->stride + 1;
	return MIN(tooth, comb->count);
}

/* How many teeth begin at @address or before. */
static uint64_t comb_teeth_upto(const struct comb *comb, uint64_t address)
{
	uint64_t teeth;

	if (address < comb->first)
		return 0;
	if (comb->count == 1)
		return 1;
	teeth = (address - comb->first) / comb->stride;
	return teeth < comb->count ? teeth + 1 : comb->count;
}

/*
 * Tooth i of a meets tooth j of b if and only if j * b->stride is in
 * [a->first + i * a->stride - b->last, a->last + i * a->stride - b->first].
 * For the teeth of a that meet b's hull, j may be any integer: a tooth of an
 * endless b outside the hull that is met has the outermost one met as well.
 */
bool combs_overlap(const struct comb *a, const struct comb *b)
{
	uint64_t from = comb_tooth_from(a, b->first);
	uint64_t upto = comb_teeth_upto(a, comb_end(b));
	u128 shift, low, high;

	if (from >= upto)
		return false;
	if (b->count == 1)
		return true;
	/* A multiple of b's stride that keeps what is divided from going below 0. */
	shift = ((u128)b->last / b->stride + 2) * b->stride;
	low = shift + a->first + (u128)from * a->stride - b->last - 1;
	high = shift + a->last + (u128)from * a->stride - b->first;
	return floor_sum(upto - from, b->stride, a->stride, high) !=
	       floor_sum(upto - from, b->stride, a->stride, low);
}

static bool begins_before(const void *a, const void *b)
{
	return ((const struct comb *)a)->first < ((const struct comb *)b)->first;
}

bool combs_find_overlap(struct comb *combs, size_t nr, size_t tags[2])
{
	size_t nr_open = 0; /* at the front: those that may reach the next one */

	heap_sort(combs, nr, sizeof(*combs), begins_before);
	for (size_t i = 0; i < nr; i++) {
		const struct comb next = combs[i];
		size_t kept = 0;

		for (size_t j = 0; j < nr_open; j++) {
			if (combs_overlap(&combs[j], &next)) {
				tags[0] = MIN(next.tag, combs[j].tag);
				tags[1] = MAX(next.tag, combs[j].tag);
				return true;
			}
			if (comb_end(&combs[j]) > next.first)
				combs[kept++] = combs[j];
		}
		combs[kept] = next;
		nr_open = kept + 1;
	}
	return false;
}

uint64_t part_blocks_upto(const struct comb_part *part, uint64_t block)
{
	const struct comb *comb = part->comb;
	u128 size = (u128)1 << part->shift;
	uint64_t teeth, last;
	u128 blocks;

	if (block < part->lo)
		return 0;
	block = MIN(block, part->hi);
	teeth = comb_teeth_upto(comb, (block << part->shift) | (uint64_t)(size - 1));
	blocks = floor_sum(teeth, size, comb->stride, comb->last) -
		 floor_sum(teeth, size, comb->stride, comb->first) + teeth;
	/* The last of these teeth may reach beyond. */
	last = (comb->last + (teeth - 1) * comb->stride) >> part->shift;
	return (uint64_t)blocks - (last > block ? last - block : 0);
}

/* Whether a comb touches every block from its first to its last. */
static bool comb_is_solid(const struct comb *comb, unsigned int shift)
{
	u128 size = (u128)1 << shift;
	uint64_t tooth = comb->last - comb->first;

	if (comb->count == 1 || comb->stride - tooth <= size)
		return true;
	/* A stride of whole blocks: every gap is as the first. */
	return comb->stride % size == 0 &&
	       ((comb->first + comb->stride) >> shift) - (comb->last >> shift) <= 1;
}

static bool run_before(const void *a, const void *b)
{
	return ((const struct comb_run *)a)->lo < ((const struct comb_run *)b)->lo;
}

static bool part_before(const void *a, const void *b)
{
	return ((const struct comb_part *)a)->lo < ((const struct comb_part *)b)->lo;
}

/* Sort runs and join those that overlap or adjoin; returns how many are left. */
static size_t merge_runs(struct comb_run *runs, size_t nr, uint64_t *blocks)
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

/* The parts whose hull covers the current block, as a sweep goes upwards. */
struct sweep {
	struct comb_part *parts; /* sorted */
	size_t nr_parts;
	size_t upcoming;
	struct comb_part **active;
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

/* The last block up to @limit with the same parts active. */
static uint64_t sweep_segment(const struct sweep *sweep, uint64_t limit)
{
	if (sweep->upcoming < sweep->nr_parts)
		limit = MIN(limit, sweep->parts[sweep->upcoming].lo - 1);
	for (size_t i = 0; i < sweep->nr_active; i++)
		limit = MIN(limit, sweep->active[i]->hi);
	return limit;
}

/* Add the blocks from lo to hi that parts touch; no run is there. */
static bool sweep_gap(struct sweep *sweep, uint64_t lo, uint64_t hi, struct comb_work *work,
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

bool comb_blocks(const struct comb *combs, size_t nr, unsigned int shift, struct comb_work *work,
		 uint64_t *blocks)
{
	struct sweep sweep = {.parts = work->parts, .active = work->active};
	size_t nr_runs = 0;
	uint64_t lo = 0;

	for (size_t i = 0; i < nr; i++) {
		uint64_t first = combs[i].first >> shift;
		uint64_t last = comb_end(&combs[i]) >> shift;

		if (comb_is_solid(&combs[i], shift))
			work->runs[nr_runs++] = (struct comb_run){first, last};
		else
			work->parts[sweep.nr_parts++] =
				(struct comb_part){&combs[i], shift, first, last};
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

size_t comb_work_bytes(size_t nr)
{
	return nr *
	       (sizeof(struct comb_run) + sizeof(struct comb_part) + sizeof(struct comb_part *) +
		sizeof(struct comb_cursor) + sizeof(struct comb_cursor *));
}

void comb_work_init(struct comb_work *work, size_t nr, void *memory)
{
	work->parts = memory;
	work->cursors = (void *)(work->parts + nr);
	work->runs = (void *)(work->cursors + nr);
	work->active = (void *)(work->runs + nr);
	work->heap = (void *)(work->active + nr);
	work->steps = COMB_STEPS;
}
