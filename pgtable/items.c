/* SPDX-License-Identifier: MIT */
#include "pgtable/items.h"

#define INLINE static inline __attribute__((always_inline))

INLINE uint64_t ordered(uint64_t item, bool swap)
{
	return swap ? __builtin_bswap64(item) : item;
}

INLINE bool is_empty(const uint64_t *slot, uint64_t empty)
{
	return __atomic_load_n(slot, __ATOMIC_RELAXED) == empty;
}

/* Fill the items from the i-th on, one by one; with check up to the first non-empty one. */
INLINE unsigned int fill_slowly(uint64_t *slot, unsigned int i, uint64_t first,
				unsigned int step_lg2, unsigned int n, unsigned int run, bool swap,
				bool check, uint64_t empty)
{
	for (; i < n && (!check || is_empty(&slot[i], empty)); i++)
		__atomic_store_n(&slot[i],
				 ordered(first + ((uint64_t)(i >> run << run) << step_lg2), swap),
				 __ATOMIC_RELAXED);
	return i;
}

#ifdef ITEMS_SANITIZED
/* Single stores, which a sanitizer can instrument. */
INLINE unsigned int fill(uint64_t *slot, uint64_t first, unsigned int step_lg2, unsigned int n,
			 unsigned int run, bool swap, bool check, uint64_t empty)
{
	return fill_slowly(slot, 0, first, step_lg2, n, run, swap, check, empty);
}

INLINE unsigned int clear_fast(uint64_t *slot, uint64_t empty, unsigned int n)
{
	return 0;
}
#else
/* The number of vectors that are tested at once. */
#define BLOCK 4u

typedef uint64_t half_v __attribute__((vector_size(32)));
typedef uint64_t quarter_v __attribute__((vector_size(16)));

INLINE bool any_bit(const items_v *v)
{
	half_v half = __builtin_shufflevector(*v, *v, 0, 1, 2, 3) |
		      __builtin_shufflevector(*v, *v, 4, 5, 6, 7);
	quarter_v quarter = __builtin_shufflevector(half, half, 0, 1) |
			    __builtin_shufflevector(half, half, 2, 3);

	return quarter[0] | quarter[1];
}

/* Is any item of so many vectors non-empty (used), or empty (not used)? */
INLINE bool any_item(const uint64_t *slot, unsigned int vectors, uint64_t empty, bool used)
{
	items_v any = {0};

	for (unsigned int k = 0; k < vectors; k++) {
		items_v item = *(const items_v *)&slot[k * ITEMS_V];

		if (used)
			any |= item ^ empty;
		else
			any |= (items_v)(item == empty);
	}
	return any_bit(&any);
}

INLINE void store_ordered(uint64_t *slot, const items_v *v, bool swap)
{
	items_v swapped = *v;

	for (unsigned int k = 0; swap && k < ITEMS_V; k++)
		swapped[k] = __builtin_bswap64(swapped[k]);
	*(items_v *)slot = swapped;
}

/* The difference of the items of a vector to its first one, for runs of 2^0 to 2^3 items. */
static const items_v offset_in[] = {
	{0, 1, 2, 3, 4, 5, 6, 7}, {0, 0, 2, 2, 4, 4, 6, 6}, {0, 0, 0, 0, 4, 4, 4, 4}, {0}};

struct counting {
	items_v v;
	uint64_t next;             /* what is added to all its items */
	unsigned int stored, same; /* vectors stored so far, and a mask of those that are equal */
};

INLINE bool fill_vectors(uint64_t *slot, struct counting *c, unsigned int vectors, bool swap,
			 bool check, uint64_t empty)
{
	if (check && any_item(slot, vectors, empty, true))
		return false;
	for (unsigned int k = 0; k < vectors; k++) {
		store_ordered(&slot[k * ITEMS_V], &c->v, swap);
		if (!(++c->stored & c->same))
			c->v += c->next;
	}
	return true;
}

INLINE unsigned int fill(uint64_t *slot, uint64_t first, unsigned int step_lg2, unsigned int n,
			 unsigned int run, bool swap, bool check, uint64_t empty)
{
	/* A run shorter than a vector repeats in it; a longer run takes several vectors. */
	unsigned int in = run < 3 ? run : 3, i = 0;
	struct counting c = {
		.v = first + (offset_in[in] << step_lg2),
		.next = (uint64_t)ITEMS_V << step_lg2 << (run - in),
		.same = (1u << (run - in)) - 1,
	};

	for (; i + BLOCK * ITEMS_V <= n; i += BLOCK * ITEMS_V)
		if (!fill_vectors(&slot[i], &c, BLOCK, swap, check, empty))
			return fill_slowly(slot, i, first, step_lg2, n, run, swap, check, empty);
	while (i + ITEMS_V <= n && fill_vectors(&slot[i], &c, 1, swap, check, empty))
		i += ITEMS_V;
	return fill_slowly(slot, i, first, step_lg2, n, run, swap, check, empty);
}

INLINE bool clear_vectors(uint64_t *slot, unsigned int vectors, uint64_t empty)
{
	if (any_item(slot, vectors, empty, false))
		return false;
	for (unsigned int k = 0; k < vectors; k++)
		*(items_v *)&slot[k * ITEMS_V] = (items_v){0} + empty;
	return true;
}

/* Clear whole vectors of n items, up to one with an empty item. Returns how many items. */
INLINE unsigned int clear_fast(uint64_t *slot, uint64_t empty, unsigned int n)
{
	unsigned int i = 0;

	for (; i + BLOCK * ITEMS_V <= n; i += BLOCK * ITEMS_V)
		if (!clear_vectors(&slot[i], BLOCK, empty))
			return i;
	while (i + ITEMS_V <= n && clear_vectors(&slot[i], 1, empty))
		i += ITEMS_V;
	return i;
}
#endif

#define FILL(name, swap, check)                                                      \
	static ITEMS_CLONES unsigned int name(uint64_t *slot, uint64_t first,        \
					      unsigned int step_lg2, unsigned int n, \
					      unsigned int run, uint64_t empty)      \
	{                                                                            \
		return fill(slot, first, step_lg2, n, run, swap, check, empty);      \
	}
FILL(fill_plain, false, false)
FILL(fill_swapped, true, false)
FILL(fill_plain_empty, false, true)
FILL(fill_swapped_empty, true, true)

static ITEMS_CLONES unsigned int clear_used(uint64_t *slot, uint64_t empty, unsigned int n)
{
	unsigned int i = clear_fast(slot, empty, n);

	for (; i < n && !is_empty(&slot[i], empty); i++)
		__atomic_store_n(&slot[i], empty, __ATOMIC_RELAXED);
	return i;
}

static ITEMS_CLONES bool all_equal(const uint64_t *slot, uint64_t value, unsigned int n)
{
	items_v differ = {0};
	uint64_t any = 0;
	unsigned int i;

	for (i = 0; i + ITEMS_V <= n; i += ITEMS_V)
		differ |= *(const items_v *)&slot[i] ^ value;
	for (; i < n; i++)
		any |= slot[i] ^ value;
	for (unsigned int k = 0; k < ITEMS_V; k++)
		any |= differ[k];
	return !any;
}

/* Compilers disagree on how other files must declare a function with clones. */
void items_fill_many(uint64_t *slot, uint64_t first, unsigned int step_lg2, unsigned int n,
		     unsigned int run, bool swap)
{
	(swap ? fill_swapped : fill_plain)(slot, first, step_lg2, n, run, 0);
}

#if defined(__x86_64__) && !defined(ITEMS_SANITIZED)
void items_stream(uint64_t *slot, uint64_t first, unsigned int step_lg2, unsigned int n,
		  unsigned int run, bool swap)
{
	const uint64_t step = 1ULL << step_lg2, mask = (1ULL << run) - 1;

	if (!run && !swap) {
		for (unsigned int i = 0; i < n; i++, first += step)
			__builtin_ia32_movnti64((long long *)&slot[i], (long long)first);
		return;
	}
	for (unsigned int i = 0; i < n; i++)
		__builtin_ia32_movnti64(
			(long long *)&slot[i],
			(long long)ordered(first + ((i & ~mask) << step_lg2), swap));
}

void items_stream_end(void)
{
	__builtin_ia32_sfence();
}
#else
void items_stream(uint64_t *slot, uint64_t first, unsigned int step_lg2, unsigned int n,
		  unsigned int run, bool swap)
{
	items_fill_many(slot, first, step_lg2, n, run, swap);
}

void items_stream_end(void)
{
}
#endif

unsigned int items_fill_empty_many(uint64_t *slot, uint64_t first, unsigned int step_lg2,
				   unsigned int n, unsigned int run, bool swap, uint64_t empty)
{
	return (swap ? fill_swapped_empty : fill_plain_empty)(slot, first, step_lg2, n, run, empty);
}

unsigned int items_clear_used_many(uint64_t *slot, uint64_t empty, unsigned int n)
{
	return clear_used(slot, empty, n);
}

bool items_all_equal_many(const uint64_t *slot, uint64_t value, unsigned int n)
{
	return all_equal(slot, value, n);
}
