/* SPDX-License-Identifier: MIT */
/* What strided.c and strided_union.c share. */
#ifndef PGTABLE_STRIDED_INTERNAL_H
#define PGTABLE_STRIDED_INTERNAL_H

#include "pgtable/strided.h"
#include "plat/compiler.h"

typedef unsigned __int128 u128;

/* The blocks lo to hi, all of which are touched. */
struct block_run {
	uint64_t lo;
	uint64_t hi;
};

/*
 * A range with untouched blocks between its repeats: no two repeats touch the same
 * block. Its hull is the blocks lo to hi; within the hull the range can be treated as
 * one without end.
 */
struct strided_part {
	const struct strided *range;
	unsigned int shift;
	uint64_t lo;
	uint64_t hi;
};

/* A position in the repeats of a part: blocks lo to hi come next. */
struct strided_cursor {
	const struct strided_part *part;
	uint64_t repeat;
	uint64_t lo;
	uint64_t hi;
};

/* The sum of floor((a * i + b) / m) for i below n, modulo 2^128. n, m < 2^64. */
u128 floor_sum(u128 n, u128 m, u128 a, u128 b);

uint64_t gcd_u64(uint64_t a, uint64_t b);

/* The first repeat that ends at @address or later; count when there is none. */
uint64_t strided_repeat_from(const struct strided *range, uint64_t address);

/* How many blocks of the part are at or below @block. */
uint64_t part_blocks_upto(const struct strided_part *part, uint64_t block);

/*
 * Count the blocks of lo to hi that at least one of @nr parts touches; the hull of each
 * part covers lo to hi. Returns false when that takes too many steps.
 */
bool parts_union(struct strided_part **parts, size_t nr, uint64_t lo, uint64_t hi,
		 struct strided_work *work, uint64_t *blocks);

#endif
