/* SPDX-License-Identifier: MIT */
/* What comb.c and comb_union.c share. */
#ifndef PGTABLE_COMB_INT_H
#define PGTABLE_COMB_INT_H

#include "pgtable/comb.h"
#include "plat/compiler.h"

typedef unsigned __int128 u128;

/* Blocks lo to hi, all of them touched. */
struct comb_run {
	uint64_t lo;
	uint64_t hi;
};

/*
 * A comb with blocks between its teeth: no two teeth touch the same block. Its
 * hull is the blocks lo to hi; within it the comb is as good as endless.
 */
struct comb_part {
	const struct comb *comb;
	unsigned int shift;
	uint64_t lo;
	uint64_t hi;
};

/* Where a walk through a part's teeth is: blocks lo to hi come next. */
struct comb_cursor {
	const struct comb_part *part;
	uint64_t tooth;
	uint64_t lo;
	uint64_t hi;
};

/* The sum of floor((a * i + b) / m) for i below n, modulo 2^128. n, m < 2^64. */
u128 floor_sum(u128 n, u128 m, u128 a, u128 b);

uint64_t gcd_u64(uint64_t a, uint64_t b);

/* The first tooth that ends at @address or later; count when there is none. */
uint64_t comb_tooth_from(const struct comb *comb, uint64_t address);

/* How many blocks of the part are at or below @block. */
uint64_t part_blocks_upto(const struct comb_part *part, uint64_t block);

/*
 * How many blocks of lo to hi at least one of @nr parts touches; the hull of
 * each covers lo to hi. False when that takes too many steps.
 */
bool parts_union(struct comb_part **parts, size_t nr, uint64_t lo, uint64_t hi,
		 struct comb_work *work, uint64_t *blocks);

#endif
