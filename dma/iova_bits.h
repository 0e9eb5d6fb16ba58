/* SPDX-License-Identifier: MIT */
/*
 * Blocks in a mask of 64 free places, and arrays of codes. A code has 8 bits and is
 * less than 128. A word has 8 codes, the first in its lowest bits whatever the byte
 * order is.
 */
#ifndef DMA_IOVA_BITS_H
#define DMA_IOVA_BITS_H

#include <stdint.h>

#include "plat/compiler.h"

#define CODE_ONES  0x0101010101010101ULL
#define CODE_HIGHS (0x80 * CODE_ONES)

/* Where blocks of 2^order places may begin. */
static inline uint64_t block_starts(unsigned int order)
{
	static const uint64_t starts[] = {
		~0ULL,
		0x5555555555555555ULL,
		0x1111111111111111ULL,
		0x0101010101010101ULL,
		0x0001000100010001ULL,
		0x0000000100000001ULL,
		1,
	};

	return starts[order];
}

/* The places where a free block of 2^order places begins. */
static inline uint64_t free_blocks(uint64_t free, unsigned int order)
{
	for (unsigned int i = 0; i < order; i++)
		free &= free >> (1u << i);
	return free & block_starts(order);
}

/* The code of a mask: 1 plus the order of its largest free block, or 0. */
static inline unsigned int free_code(uint64_t free)
{
	unsigned int order = 0;

	if (!free)
		return 0;
	for (; order < 6; order++) {
		free &= (free >> (1u << order)) & block_starts(order + 1);
		if (!free)
			break;
	}
	return order + 1;
}

/* Bits 0 to @last. */
static inline uint64_t mask_to(unsigned int last)
{
	return ~0ULL >> (63 - last);
}

static inline uint64_t mask_between(unsigned int first, unsigned int last)
{
	return mask_to(last) & (~0ULL << first);
}

static inline unsigned int code_get(const uint64_t *codes, unsigned int i)
{
	return codes[i / 8] >> (8 * (i % 8)) & 0xff;
}

static inline void code_set(uint64_t *codes, unsigned int i, unsigned int code)
{
	unsigned int shift = 8 * (i % 8);

	codes[i / 8] = (codes[i / 8] & ~(0xffULL << shift)) | (uint64_t)code << shift;
}

/* Sets the highest bit of each byte that is at least @code. */
static inline uint64_t word_at_least(uint64_t word, unsigned int code)
{
	return ((word | CODE_HIGHS) - code * CODE_ONES) & CODE_HIGHS;
}

/* The last index up to @last whose code is at least @code; -1 for none. */
static inline int codes_find_last(const uint64_t *codes, unsigned int code, int last)
{
	uint64_t keep;

	if (last < 0)
		return -1;
	keep = mask_to(8 * (last % 8) + 7);
	for (int i = last / 8; i >= 0; i--, keep = ~0ULL) {
		uint64_t found = word_at_least(codes[i], code) & keep;

		if (found)
			return i * 8 + (int)fls64_index(found) / 8;
	}
	return -1;
}

/* The indexes among the first 8 * @words whose code is at least @code, as a mask. */
static inline uint64_t codes_at_least(const uint64_t *codes, unsigned int words, unsigned int code)
{
	uint64_t mask = 0;

	/* The product gathers a bit of each byte in the highest byte. */
	for (unsigned int i = 0; i < words; i++)
		mask |= ((word_at_least(codes[i], code) >> 7) * 0x0102040810204080ULL >> 56)
			<< (8 * i);
	return mask;
}

static inline uint64_t word_max(uint64_t a, uint64_t b)
{
	uint64_t more = ((a | CODE_HIGHS) - b) & CODE_HIGHS;
	uint64_t take = (more - (more >> 7)) | more;

	return (a & take) | (b & ~take);
}

static inline unsigned int codes_max(const uint64_t *codes, unsigned int words)
{
	uint64_t max = codes[0];

	for (unsigned int i = 1; i < words; i++)
		max = word_max(max, codes[i]);
	max = word_max(max, max >> 32);
	max = word_max(max, max >> 16);
	max = word_max(max, max >> 8);
	return max & 0xff;
}

/* The code of a node from the codes of its children; @whole is that of a free child. */
static inline unsigned int codes_sum(const uint64_t *codes, unsigned int words, unsigned int whole)
{
	unsigned int max = codes_max(codes, words);

	if (max < whole)
		return max;
	return whole - 1 + free_code(codes_at_least(codes, words, whole));
}

/*
 * Change the code of a child. Returns the code of its node, which was @sum. Most
 * changes are known not to affect it without a look at the other children.
 */
static inline unsigned int codes_change(uint64_t *codes, unsigned int words, unsigned int i,
					unsigned int code, unsigned int whole, unsigned int sum)
{
	unsigned int old = code_get(codes, i);

	if (old == code)
		return sum;
	code_set(codes, i, code);
	if (code < whole && old < code)
		return MAX(sum, code);
	if (code < old && old < whole && old < sum)
		return sum;
	return codes_sum(codes, words, whole);
}

#endif
