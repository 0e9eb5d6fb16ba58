/* SPDX-License-Identifier: MIT */
/*
 * Part of engine.h: where the items of a table are, and how they are stored in memory.
 * An item is in the processor's byte order here, and in the format's byte order in a
 * table.
 */

/*
 * Called before each access to what other threads may change or read, except where the
 * table cannot be reached. A test lets other threads run there.
 */
#ifndef PT_STEP
#define PT_STEP()
#endif

/* Unroll a loop over levels, so that the shifts and masks of each level are constants. */
#ifdef __clang__
#define PT_UNROLL _Pragma("clang loop unroll(full)")
#else
#define PT_UNROLL _Pragma("GCC unroll 6")
#endif

#define PT_SWAP (PT_BIG_ENDIAN != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__))

/* ---- items ---- */

/* Convert between the processor's byte order and the format's. */
static inline uint64_t item_swap(uint64_t item)
{
	return PT_SWAP ? __builtin_bswap64(item) : item;
}

static inline bool pt_is_leaf(uint64_t item, unsigned int level)
{
	return !level || PT_LEAF_KEY(item) == PT_LEAF;
}

/* A single test, where the format has a bit for it. */
static inline bool pt_is_table(uint64_t item, unsigned int level)
{
#ifdef PT_IS_TABLE
	return level && PT_IS_TABLE(item);
#else
	return item != pt_empty(level) && !pt_is_leaf(item, level);
#endif
}

static inline uint64_t item_load(const uint64_t *slot)
{
	PT_STEP();
	return item_swap(__atomic_load_n(slot, __ATOMIC_ACQUIRE));
}

/* Read an item of a table that no other thread can reach. */
static inline uint64_t item_peek(const uint64_t *slot)
{
	return item_swap(__atomic_load_n(slot, __ATOMIC_RELAXED));
}

/* The caller must mark the step if other threads can reach the table. */
static inline void item_store(uint64_t *slot, uint64_t item)
{
	__atomic_store_n(slot, item_swap(item), __ATOMIC_RELAXED);
}

static inline bool item_replace(uint64_t *slot, uint64_t old, uint64_t new)
{
	PT_STEP();
	old = item_swap(old);
	return __atomic_compare_exchange_n(slot, &old, item_swap(new), false, __ATOMIC_SEQ_CST,
					   __ATOMIC_RELAXED);
}

/*
 * Are all of n items, at a level above 0, leaves? Named after the format, because clang
 * gives the clones' resolver external linkage.
 */
#define PT_CAT_(a, b) a##b
#define PT_CAT(a, b)  PT_CAT_(a, b)
#define all_leaves    PT_CAT(all_leaves_, PT_NAME)
static ITEMS_CLONES bool all_leaves(const uint64_t *slot, unsigned int n)
{
	uint64_t other = 0;

	for (unsigned int i = 0; i < n; i++)
		other |= PT_LEAF_KEY(item_swap(slot[i])) ^ PT_LEAF;
	return !other;
}

static inline bool all_empty(const uint64_t *slot, unsigned int level, unsigned int n)
{
	return items_all_equal(slot, item_swap(pt_empty(level)), n);
}

static inline void clear_items(uint64_t *slot, unsigned int level, unsigned int n)
{
	/* A run of all of them: the same item n times. */
	items_fill(slot, item_swap(pt_empty(level)), 0, n, 31, false);
}

/* Clear n items, the first of which is a leaf, up to one that is not. Returns how many. */
static inline unsigned int clear_prefix(uint64_t *slot, unsigned int level, unsigned int n)
{
	const uint64_t empty = item_swap(pt_empty(level));
	unsigned int leaves = 1;

	PT_STEP();
	if (!level)
		return items_clear_used(slot, empty, n);
	if (n > 1 && all_leaves(slot, n))
		leaves = n;
	while (leaves < n && slot[leaves] != empty && pt_is_leaf(item_swap(slot[leaves]), level))
		leaves++;
	PT_STEP();
	clear_items(slot, level, leaves);
	return leaves;
}

/* ---- dirty bits ---- */

static inline bool item_is_dirty(uint64_t item)
{
	return PT_DIRTY && (item & PT_DIRTY_NEEDS) == PT_DIRTY_NEEDS &&
	       (bool)(item & PT_DIRTY) != PT_DIRTY_INVERTED;
}

static inline uint64_t item_make_dirty(uint64_t item)
{
	if ((item & PT_DIRTY_NEEDS) != PT_DIRTY_NEEDS)
		return item;
	return PT_DIRTY_INVERTED ? item & ~PT_DIRTY : item | PT_DIRTY;
}

static inline uint64_t item_make_clean(uint64_t item)
{
	if ((item & PT_DIRTY_NEEDS) != PT_DIRTY_NEEDS)
		return item;
	return PT_DIRTY_INVERTED ? item | PT_DIRTY : item & ~PT_DIRTY;
}

/* Hardware may set this bit or others of the item at the same time. */
static inline void slot_make_clean(uint64_t *slot)
{
	PT_STEP();
	if (PT_DIRTY_INVERTED)
		__atomic_fetch_or(slot, item_swap(PT_DIRTY), __ATOMIC_SEQ_CST);
	else
		__atomic_fetch_and(slot, ~item_swap(PT_DIRTY), __ATOMIC_SEQ_CST);
}

/* ---- tables ---- */

/* Does the number of items in the table of a level depend on the address width? */
static inline bool is_wide_top(const struct pgtable *pt, unsigned int level)
{
	return PT_WIDE_TOP && level == pt->wide_level;
}

static inline unsigned int items_in(const struct pgtable *pt, unsigned int level)
{
	return is_wide_top(pt, level) ? pt->wide_items : 1u << pt_index_lg2(level);
}

/* The index of iova in a table. */
static inline unsigned int index_of(const struct pgtable *pt, uint64_t iova, unsigned int level)
{
	return (iova >> pt_shift(level)) & (items_in(pt, level) - 1);
}

/*
 * The same for a caller that knows the level and the mask of the bits above it: in the
 * top table all bits of an address in the aperture, unless it is sign-extended.
 */
static inline size_t index_below(uint64_t iova, unsigned int level, uint64_t mask)
{
	return (iova >> pt_shift(level)) & mask;
}

static inline uint64_t index_mask(unsigned int level)
{
	return BIT_ULL(pt_index_lg2(level)) - 1;
}

/* The mask for index_below() in the top table. */
static inline uint64_t top_mask(const struct pgtable *pt)
{
	if (!PT_SIGNED)
		return ~0ULL;
	return PT_WIDE_TOP ? pt->wide_items - 1 : index_mask(PT_LEVELS - 1);
}

static inline struct page *table_page(const uint64_t *table)
{
	return PT_OBJECTS ? table_object_page(table) : virt_to_page(table);
}

#ifndef PT_TABLE_PFN /* a format may define it without shifting to and fro */
#define PT_TABLE_PFN(item) (pt_table_oa(item) >> PAGE_SHIFT)
#endif

/* The page of the table that an item leads to. */
static inline struct page *item_page(uint64_t item)
{
	if (PT_OBJECTS)
		return table_object_page(phys_to_virt(pt_table_oa(item)));
	return page_at(PT_TABLE_PFN(item) - arena.pfn);
}

static inline uint64_t *page_table(const struct page *page)
{
	return PT_OBJECTS ? table_object_address(page) : page_address(page);
}

/* The page of the table that a slot is in. */
static inline struct page *slot_page(const struct pgtable *pt, const uint64_t *slot,
				     unsigned int level)
{
	size_t bytes = pt->table_bytes[level];

	if (!PT_OBJECTS && pt_index_lg2(level) == 9 && !PT_WIDE_TOP)
		return virt_to_page(slot);
	return table_page((const uint64_t *)((uintptr_t)slot & ~(uintptr_t)(bytes - 1)));
}

static inline uint64_t *item_to_table(uint64_t item)
{
	return phys_to_virt(pt_table_oa(item));
}

/*
 * The slot of iova in the table that an item leads to. The part that comes from iova is
 * computed first, since the item arrives late from memory.
 */
static inline uint64_t *item_slot(uint64_t item, uint64_t iova, unsigned int level)
{
	uint64_t bytes = 8 * index_below(iova, level, index_mask(level)) - arena.phys_offset;

	OPTIMIZER_HIDE_VAR(bytes);
	return (uint64_t *)(uintptr_t)(pt_table_oa(item) + bytes);
}

static inline uint64_t table_item(const struct page *page, unsigned int level)
{
	return pt_table(virt_to_phys(page_table(page)), level);
}

/* Allocate a table of a level; with __GFP_ZERO its items are empty. */
static struct page *table_new(const struct pgtable *pt, unsigned int level, gfp_t gfp)
{
	unsigned int lg2 = fls64_index(pt->table_bytes[level]);
	bool fill = pt_empty(level) && gfp & __GFP_ZERO;
	struct page *page;

	if (fill)
		gfp &= ~__GFP_ZERO;
	page = PT_OBJECTS ? alloc_table_object(lg2, gfp, pt->owner)
			  : alloc_pages(gfp, lg2 - PAGE_SHIFT, pt->owner, PAGE_TABLE);
	if (unlikely(!page))
		return NULL;
	if (fill)
		clear_items(page_table(page), level, items_in(pt, level));
	page->level = (uint8_t)level;
	return page;
}

/* ---- a table's count of items in use ---- */

#define PT_DEAD (-0x40000000)
#define PT_TOP  0x100000

static inline int live_load(const struct page *page)
{
	PT_STEP();
	return atomic_load_explicit(&page->live, memory_order_relaxed);
}

static inline bool table_is_dead(const struct page *page)
{
	return live_load(page) < 0;
}

/* Returns the former count. Uses plain accesses if no other thread uses the library. */
static inline int live_add(struct page *page, int items, bool single)
{
	int live;

	PT_STEP();
	if (!single)
		return atomic_fetch_add(&page->live, items);
	live = atomic_load_explicit(&page->live, memory_order_relaxed);
	PT_STEP();
	atomic_store_explicit(&page->live, live + items, memory_order_relaxed);
	return live;
}

/* Kill a table in which no item is in use. Returns true if the caller owns it now. */
static inline bool live_kill(struct page *page)
{
	int empty = 0;

	PT_STEP();
	return atomic_compare_exchange_strong(&page->live, &empty, PT_DEAD);
}

/* Set the count of a table that no other thread can reach. */
static inline void live_set(struct page *page, int live)
{
	atomic_store_explicit(&page->live, live, memory_order_relaxed);
}

/* ---- the top table ---- */

static inline uint64_t top_load(const struct pgtable *pt)
{
	PT_STEP();
	return atomic_load_explicit(&pt->top, memory_order_acquire);
}

static inline bool top_replace(struct pgtable *pt, uint64_t old, uint64_t new)
{
	PT_STEP();
	return atomic_compare_exchange_strong(&pt->top, &old, new);
}

static inline uint64_t *top_table(uint64_t top)
{
	return (uint64_t *)(uintptr_t)(top & ~(uint64_t)(PAGE_SIZE - 1));
}

/* The same for a caller that knows how many levels there are. */
static inline uint64_t *top_table_of(uint64_t top, unsigned int levels)
{
	return (uint64_t *)(uintptr_t)(top - levels);
}

static inline unsigned int top_level(uint64_t top)
{
	return (unsigned int)(top & (PAGE_SIZE - 1)) - 1;
}

static inline uint64_t make_top(const uint64_t *table, unsigned int level)
{
	return (uint64_t)(uintptr_t)table | (level + 1);
}

/* Is iova beyond what so many levels span, in tables that can grow? */
static inline bool above_tables(uint64_t iova, unsigned int levels)
{
	return PT_GROWS && pt_shift(levels) < 64 && iova >> pt_shift(levels) % 64;
}

static inline bool above_top(uint64_t top, uint64_t iova)
{
	return above_tables(iova, top_level(top) + 1);
}

/*
 * Walk down to the lowest table that holds a whole range, or to the lowest one that
 * exists. A bit of wide at pt_shift(n) or above means that the range is not inside one
 * slot of level n, or fills it.
 */
static inline uint64_t *descend(const struct pgtable *pt, uint64_t top, uint64_t iova,
				uint64_t wide, unsigned int *level)
{
	uint64_t *table = top_table(top);

	*level = top_level(top);
	PT_UNROLL
	for (unsigned int i = PT_LEVELS - 1; i; i--) {
		uint64_t item;

		if (i > *level)
			continue;
		if (wide >> pt_shift(i))
			break;
		item = item_load(&table[index_of(pt, iova, i)]);
		if (!pt_is_table(item, i))
			break;
		table = item_to_table(item);
		*level = i - 1;
	}
	return table;
}

/* The levels that tables begin with if their top can grow, as in Linux. */
#define PT_LEVELS_AT_FIRST 3

/* walk(table, iova, levels, ...), compiled for each number of levels. */
#define PT_WALK(walk, levels, table, iova, ...)                              \
	(PT_GROWS && (levels) == PT_LEVELS_AT_FIRST                          \
		 ? walk(table, iova, PT_LEVELS_AT_FIRST, __VA_ARGS__)        \
	 : (levels) == 4 ? walk(table, iova, MIN(4, PT_LEVELS), __VA_ARGS__) \
	 : (levels) == 3 ? walk(table, iova, MIN(3, PT_LEVELS), __VA_ARGS__) \
	 : (levels) == 5 ? walk(table, iova, MIN(5, PT_LEVELS), __VA_ARGS__) \
	 : (levels) == 2 ? walk(table, iova, MIN(2, PT_LEVELS), __VA_ARGS__) \
	 : (levels) == 1 ? walk(table, iova, 1, __VA_ARGS__)                 \
			 : walk(table, iova, PT_LEVELS, __VA_ARGS__))

/* The slot of iova in a table of the lowest level; NULL if there is none. */
static inline __attribute__((always_inline)) uint64_t *
walk_to_slot(uint64_t *table, uint64_t iova, const unsigned int levels, uint64_t mask)
{
	uint64_t *slot = &table[index_below(iova, levels - 1, mask)];

	if (unlikely(above_tables(iova, levels)))
		return NULL;
	PT_UNROLL
	for (unsigned int level = levels - 1; level; level--) {
		uint64_t item = item_load(slot);

		if (unlikely(!pt_is_table(item, level)))
			return NULL;
		slot = item_slot(item, iova, level - 1);
	}
	return slot;
}

/* The same for a range that does not fill the table. */
static inline uint64_t *lowest_slot(const struct pgtable *pt, uint64_t iova, uint64_t size)
{
	uint64_t top = top_load(pt), last = iova + size - 1;

	if (unlikely(((iova ^ last) | size) >> pt_shift(1)))
		return NULL;
	return PT_WALK(walk_to_slot, top_level(top) + 1, top_table(top), iova, top_mask(pt));
}
