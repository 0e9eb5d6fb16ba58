/* SPDX-License-Identifier: MIT */
/*
 * What a device must see of a domain: segments of mapped memory. Which leaves a
 * segment has follows from the call that made it: every address is in the largest
 * leaf that lies within what was mapped and is aligned on both sides.
 */
#ifndef TESTS_HW_MODEL_H
#define TESTS_HW_MODEL_H

#include "tests/common.h"

#define MAX_SEGMENTS 256

struct segment {
	uint64_t iova, last;    /* mapped still */
	uint64_t from, to;      /* first and last address that leaves were chosen for */
	uint64_t paddr;         /* of @from */
	unsigned int below_lg2; /* all leaves are smaller than 2^this */
	int prot;
};

struct hw_model {
	uint64_t pgsizes;
	unsigned int count;
	struct segment segments[MAX_SEGMENTS]; /* by iova */
};

struct piece {
	uint64_t iova, last, paddr;
	unsigned int size_lg2;
};

/* The leaf of a segment that @iova is in. */
static inline struct piece model_leaf(const struct hw_model *model, const struct segment *segment,
				      uint64_t iova)
{
	uint64_t sizes = model->pgsizes;

	if (segment->below_lg2 < 64)
		sizes &= (1ULL << segment->below_lg2) - 1;
	while (sizes) {
		unsigned int lg2 = 63 - (unsigned int)__builtin_clzll(sizes);
		uint64_t in_leaf = (1ULL << lg2) - 1, start = iova & ~in_leaf;
		uint64_t paddr = segment->paddr + (start - segment->from);

		if (start >= segment->from && (start | in_leaf) <= segment->to &&
		    !(paddr & in_leaf))
			return (struct piece){start, start | in_leaf, paddr, lg2};
		sizes &= in_leaf;
	}
	fail_msg("no leaf for 0x%llx", (unsigned long long)iova);
	return (struct piece){0};
}

/* Are there more leaves than @most in a new segment? */
static inline bool model_is_long(const struct hw_model *model, const struct segment *segment,
				 unsigned int most)
{
	uint64_t iova = segment->from;

	for (unsigned int leaves = 0; leaves < most; leaves++) {
		struct piece leaf = model_leaf(model, segment, iova);

		if (leaf.last == segment->to)
			return false;
		iova = leaf.last + 1;
	}
	return true;
}

/* Index of the first segment that ends at or after @iova. */
static inline unsigned int model_at(const struct hw_model *model, uint64_t iova)
{
	unsigned int low = 0, high = model->count;

	while (low < high) {
		unsigned int middle = (low + high) / 2;

		if (model->segments[middle].last < iova)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static inline const struct segment *model_find(const struct hw_model *model, uint64_t iova)
{
	unsigned int i = model_at(model, iova);

	return i < model->count && model->segments[i].iova <= iova ? &model->segments[i] : NULL;
}

static inline bool model_is_free(const struct hw_model *model, uint64_t iova, uint64_t last)
{
	unsigned int i = model_at(model, iova);

	return i == model->count || model->segments[i].iova > last;
}

/* Put @count segments in the place of the one at @i, or before it. */
static inline void model_replace(struct hw_model *model, unsigned int i, bool take_out,
				 const struct segment *segments, unsigned int count)
{
	struct segment *at = &model->segments[i];

	assert_true(model->count + count <= MAX_SEGMENTS);
	memmove(at + count, at + take_out, (model->count - i - take_out) * sizeof(*at));
	memcpy(at, segments, count * sizeof(*at));
	model->count += count;
	model->count -= take_out;
}

static inline void model_map(struct hw_model *model, const struct segment *segment)
{
	model_replace(model, model_at(model, segment->iova), false, segment, 1);
}

/* Take [iova, last] out of the segment at @i, and put @count others there. */
static inline void model_cut(struct hw_model *model, unsigned int i, uint64_t iova, uint64_t last,
			     const struct segment *between, unsigned int nr_between)
{
	struct segment old = model->segments[i], parts[4];
	unsigned int count = 0;

	if (old.iova < iova) {
		parts[count] = old;
		parts[count++].last = iova - 1;
	}
	for (unsigned int k = 0; k < nr_between; k++)
		parts[count++] = between[k];
	if (old.last > last) {
		parts[count] = old;
		parts[count++].iova = last + 1;
	}
	model_replace(model, i, true, parts, count);
}

/* Whole leaves, up to the first address that is not mapped. Returns the bytes. */
static inline uint64_t model_unmap(struct hw_model *model, uint64_t iova, uint64_t last)
{
	uint64_t unmapped = 0;

	while (iova <= last) {
		unsigned int i = model_at(model, iova);
		const struct segment *segment = &model->segments[i];
		uint64_t start, end;

		if (i == model->count || segment->iova > iova)
			break;
		start = model_leaf(model, segment, iova).iova;
		end = segment->last < last ? segment->last : last;
		end = model_leaf(model, segment, end).last;
		unmapped += end - start + 1;
		model_cut(model, i, start, end, NULL, 0);
		if (end == UINT64_MAX)
			break;
		iova = end + 1;
	}
	return unmapped;
}

/* The two parts of the leaf that begins before @iova and reaches over it. */
static inline bool model_halves(const struct hw_model *model, uint64_t iova,
				struct segment halves[2])
{
	const struct segment *segment = model_find(model, iova);
	struct piece leaf;

	if (!segment)
		return false;
	leaf = model_leaf(model, segment, iova);
	if (leaf.iova == iova)
		return false;
	for (unsigned int i = 0; i < 2; i++) {
		halves[i] = *segment;
		halves[i].iova = halves[i].from = i ? iova : leaf.iova;
		halves[i].last = halves[i].to = i ? leaf.last : iova - 1;
		halves[i].paddr = leaf.paddr + (halves[i].iova - leaf.iova);
	}
	return true;
}

static inline void model_split(struct hw_model *model, uint64_t iova)
{
	struct segment halves[2];

	if (model_halves(model, iova, halves))
		model_cut(model, model_at(model, iova), halves[0].iova, halves[1].last, halves, 2);
}

#endif
