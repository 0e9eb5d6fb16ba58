/* SPDX-License-Identifier: MIT */
/*
 * Unions and overlaps of strided ranges, compared with a bitmap of one bit per block.
 * Blocks and strides are small here, which makes no difference to the code under test,
 * so that few bits are enough to reach every method of counting.
 */
#include "tests/common.h"

#include "pgtable/strided_internal.h"

#define SEED 0x5eed0001ULL
#define SPAN 400000 /* bytes of address space */

static uint8_t touched[SPAN];

static struct strided random_range(uint64_t *state, uint64_t span, uint64_t longest,
				   uint64_t widest)
{
	struct strided range = {.count = 1};
	uint64_t length = 1 + random_below(state, longest), most;

	range.first = random_below(state, span - length);
	range.last = range.first + length - 1;
	if (random_below(state, 8)) {
		range.stride = length + random_below(state, widest);
		most = (span - 1 - range.last) / range.stride + 1;
		range.count = random_below(state, 2) ? most : 1 + random_below(state, most);
	}
	return range;
}

static void paint(const struct strided *range, unsigned int shift)
{
	for (uint64_t i = 0; i < range->count; i++)
		for (uint64_t block = (range->first + i * range->stride) >> shift;
		     block <= (range->last + i * range->stride) >> shift; block++)
			touched[block] = 1;
}

static uint64_t count_painted(void)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < SPAN; i++)
		sum += touched[i];
	return sum;
}

static uint64_t union_of(const struct strided *ranges, size_t nr, unsigned int shift)
{
	void *memory = malloc(strided_work_bytes(nr));
	struct strided_work work;
	uint64_t blocks;

	assert_non_null(memory);
	strided_work_init(&work, nr, memory);
	assert_true(strided_blocks(ranges, nr, shift, &work, &blocks));
	free(memory);
	return blocks;
}

static void check_unions(uint64_t *state, unsigned int rounds, size_t most, uint64_t span,
			 uint64_t longest, uint64_t widest)
{
	for (unsigned int round = 0; round < SCALED(rounds); round++) {
		struct strided ranges[8];
		size_t nr = 1 + random_below(state, most);
		unsigned int shift = (unsigned int)random_below(state, 7);

		memset(touched, 0, sizeof(touched));
		for (size_t i = 0; i < nr; i++) {
			ranges[i] = random_range(state, span, longest, widest);
			paint(&ranges[i], shift);
		}
		assert_int_equal(union_of(ranges, nr, shift), count_painted());
	}
}

static void test_unions(void **unused)
{
	uint64_t state = SEED;

	print_message("seed %#llx\n", SEED);
	check_unions(&state, 4000, 8, 3000, 40, 100);
	check_unions(&state, 2000, 6, 30000, 300, 400);
	check_unions(&state, 3000, 2, SPAN, 10, 300); /* pairs: by floor sums */
	check_unions(&state, 1000, 3, SPAN, 4, 70);
}

static void test_pairwise_sums(void **unused)
{
	/* Coprime strides, few ways to lie on a block: only the floor sums are cheap. */
	struct strided ranges[2] = {{3, 3, 1009, 390, 0}, {1, 2, 307, 1300, 1}};

	for (unsigned int shift = 0; shift < 4; shift++) {
		memset(touched, 0, sizeof(touched));
		paint(&ranges[0], shift);
		paint(&ranges[1], shift);
		assert_int_equal(union_of(ranges, 2, shift), count_painted());
	}
}

static bool overlap_slowly(const struct strided *a, const struct strided *b)
{
	for (uint64_t i = 0; i < a->count; i++)
		for (uint64_t j = 0; j < b->count; j++)
			if (a->first + i * a->stride <= b->last + j * b->stride &&
			    b->first + j * b->stride <= a->last + i * a->stride)
				return true;
	return false;
}

static void test_overlaps(void **unused)
{
	uint64_t state = SEED + 1;
	unsigned int found = 0;

	for (unsigned int round = 0; round < SCALED(200000); round++) {
		uint64_t span = 20 + random_below(&state, 2000);
		struct strided a = random_range(&state, span, 6, 60);
		struct strided b = random_range(&state, span, 6, 60);
		bool expected = overlap_slowly(&a, &b);

		assert_int_equal(strided_overlap(&a, &b), expected);
		assert_int_equal(strided_overlap(&b, &a), expected);
		found += expected;
	}
	assert_in_range(found, SCALED(20000), SCALED(180000));
}

static void test_find_overlap(void **unused)
{
	uint64_t state = SEED + 2;
	unsigned int found = 0;

	for (unsigned int round = 0; round < SCALED(20000); round++) {
		struct strided ranges[5], copy[5];
		bool expected = false;
		size_t tags[2];

		for (size_t i = 0; i < 5; i++) {
			ranges[i] = random_range(&state, 3000, 3, 3000);
			ranges[i].tag = i;
			for (size_t j = 0; j < i; j++)
				expected |= overlap_slowly(&ranges[i], &ranges[j]);
		}
		memcpy(copy, ranges, sizeof(copy));
		assert_int_equal(strided_find_overlap(copy, 5, tags), expected);
		if (expected) {
			assert_true(tags[0] < tags[1] && tags[1] < 5);
			assert_true(overlap_slowly(&ranges[tags[0]], &ranges[tags[1]]));
		}
		found += expected;
	}
	assert_in_range(found, SCALED(1000), SCALED(19000));
}

/* At the end of the address space nothing may overflow. */
static void test_ends(void **unused)
{
	struct strided whole = {0, UINT64_MAX, 0, 1, 0};
	struct strided ends[2] = {{0, 4095, 0xfffffffffffff000ULL, 2, 0},
				  {4096, 8191, 1ULL << 33, 1ULL << 31, 1}};

	assert_int_equal(union_of(&whole, 1, 21), 1ULL << 43);
	assert_int_equal(union_of(&whole, 1, 57), 128);
	assert_int_equal(union_of(ends, 1, 21), 2);
	assert_int_equal(union_of(ends, 1, 48), 2);
	assert_int_equal(union_of(ends, 2, 21), (1ULL << 31) + 1);
	assert_false(strided_overlap(&ends[0], &ends[1]));
	assert_true(strided_overlap(&ends[0], &whole));
	assert_true(strided_overlap(&whole, &ends[1]));
}

/*
 * Two ranges with a billion repeats and coprime strides. Teeth of one page that
 * each begin a block: the blocks are 2 j and 3 k, so two of three are touched;
 * the odd strides below share as many as the Chinese remainder theorem says.
 */
static void test_billions(void **unused)
{
	const uint64_t block = 1 << 21;
	struct strided small[2] = {{0, 4095, 2 * block, 3000000000, 0},
				   {0, 4095, 3 * block, 2000000000, 1}};
	struct strided large[2] = {{0, 4095, 1000003 * block, 1 << 23, 0},
				   {0, 4095, 1000033 * block, 1 << 23, 1}};

	assert_int_equal(union_of(small, 2, 21), 4000000000);
	/* They meet at multiples of the product: 0 and eight more. */
	assert_int_equal(union_of(large, 2, 21),
			 2 * (1ULL << 23) - ((1ULL << 23) - 1) / 1000033 - 1);
}

/* Out of steps it says so, and between whom. */
static void test_giving_up(void **unused)
{
	const struct strided ranges[3] = {
		{0, 0, 1009, 390, 2}, {1, 1, 1013, 390, 7}, {2, 2, 997, 390, 5}};
	void *memory = malloc(strided_work_bytes(3));
	struct strided_work work;
	uint64_t blocks;

	strided_work_init(&work, 3, memory);
	work.steps = 1000;
	assert_false(strided_blocks(ranges, 3, 2, &work, &blocks));
	assert_true(work.tags[0] < work.tags[1]);
	work.steps = 1200;
	assert_true(strided_blocks(ranges, 3, 2, &work, &blocks));
	free(memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unions),    cmocka_unit_test(test_pairwise_sums),
		cmocka_unit_test(test_overlaps),  cmocka_unit_test(test_find_overlap),
		cmocka_unit_test(test_ends),      cmocka_unit_test(test_billions),
		cmocka_unit_test(test_giving_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
