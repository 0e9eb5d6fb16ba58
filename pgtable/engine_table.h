/* SPDX-License-Identifier: MIT */
/*
 * Part of engine.h: where a table's items are, and how they lie in memory. An
 * item is in the processor's byte order here, and in the format's in a table.
 */

/* Where a test that includes this lets other threads run. */
#ifndef PT_STEP
#define PT_STEP()
#endif

/* A loop over levels, so that each one's shifts and masks are constants. */
#ifdef __clang__
#define PT_UNROLL _Pragma("clang loop unroll(full)")
#else
#define PT_UNROLL _Pragma("GCC unroll 6")
#endif

#define PT_SWAP (PT_BIG_ENDIAN != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__))

/* ---- items ---- */

/* From the one byte order to the other. */
static inline uint64_t item_swap(uint64_t item)
{
	return PT_SWAP ? __builtin_bswap64(item) : item;
}

static inline bool pt_is_leaf(uint64_t item, unsigned int level)
{
	return !level || PT_LEAF_KEY(item) == PT_LEAF;
}

static inline uint64_t item_load(const uint64_t *slot)
{
	PT_STEP();
	return item_swap(__atomic_load_n(slot, __ATOMIC_ACQUIRE));
}

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
 * Are all of n items of a level above 0 leaves? Named after the format, because
 * clang gives the clones' resolver external linkage.
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

/* Clear n items, the first of which is a leaf, up to one that is none; how many that were. */
static inline unsigned int clear_prefix(uint64_t *slot, unsigned int level, unsigned int n)
{
	const uint64_t empty = item_swap(pt_empty(level));
	unsigned int leaves = 1;

	if (!level)
		return items_clear_used(slot, empty, n);
	if (n > 1 && all_leaves(slot, n))
		leaves = n;
	while (leaves < n && slot[leaves] != empty && pt_is_leaf(item_swap(slot[leaves]), level))
		leaves++;
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

/* Hardware may mark the item, or whatever else of it, at the same time. */
static inline void slot_make_clean(uint64_t *slot)
{
	if (PT_DIRTY_INVERTED)
		__atomic_fetch_or(slot, item_swap(PT_DIRTY), __ATOMIC_SEQ_CST);
	else
		__atomic_fetch_and(slot, ~item_swap(PT_DIRTY), __ATOMIC_SEQ_CST);
}

/* ---- tables ---- */

/* Is the table of a level one whose number of items depends on the address width? */
static inline bool is_wide_top(const struct pgtable *pt, unsigned int level)
{
	return PT_WIDE_TOP && level == pt->wide_level;
}

static inline unsigned int items_in(const struct pgtable *pt, unsigned int level)
{
	return is_wide_top(pt, level) ? pt->wide_items : 1u << pt_index_lg2(level);
}

/* Where iova is in a table, for who knows already whether it is the top table, which alone may be
 * wide. */
static inline unsigned int index_below(uint64_t iova, unsigned int level, bool is_top,
				       unsigned int top_items)
{
	unsigned int items = PT_WIDE_TOP && is_top ? top_items : 1u << pt_index_lg2(level);

	return (iova >> pt_shift(level)) & (items - 1);
}

static inline unsigned int index_of(const struct pgtable *pt, uint64_t iova, unsigned int level)
{
	return (iova >> pt_shift(level)) & (items_in(pt, level) - 1);
}

static inline struct page *table_page(const uint64_t *table)
{
	return PT_OBJECTS ? table_object_page(table) : virt_to_page(table);
}

static inline uint64_t *page_table(const struct page *page)
{
	return PT_OBJECTS ? table_object_address(page) : page_address(page);
}

/* Of the table that a slot is in. */
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

static inline uint64_t table_item(const struct page *page, unsigned int level)
{
	return pt_table(virt_to_phys(page_table(page)), level);
}

/* Memory for a table of a level; with __GFP_ZERO its items are empty. */
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

/* Add to a table's count; with plain accesses for a thread that is alone. */
static inline int live_add(struct page *page, int items, bool alone)
{
	int live;

	PT_STEP();
	if (!alone)
		return atomic_fetch_add(&page->live, items);
	live = atomic_load_explicit(&page->live, memory_order_relaxed);
	atomic_store_explicit(&page->live, live + items, memory_order_relaxed);
	return live;
}

static inline uint64_t *top_table(uint64_t top)
{
	return (uint64_t *)(uintptr_t)(top & ~(uint64_t)(PAGE_SIZE - 1));
}

static inline unsigned int top_level(uint64_t top)
{
	return (unsigned int)(top & (PAGE_SIZE - 1)) - 1;
}

static inline uint64_t make_top(const uint64_t *table, unsigned int level)
{
	return (uint64_t)(uintptr_t)table | (level + 1);
}

/* Is iova beyond what the present top table spans? */
static inline bool above_top(uint64_t top, uint64_t iova)
{
	unsigned int bits = pt_shift(top_level(top) + 1);

	return PT_GROWS && bits < 64 && iova >> bits;
}

/*
 * Go straight down to the lowest table that holds a whole range, or to what there is
 * on the way. A bit of wide at pt_shift(n) or above says that the range is not inside
 * one slot of level n, or fills it.
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
		if (item == pt_empty(i) || pt_is_leaf(item, i))
			break;
		table = item_to_table(item);
		*level = i - 1;
	}
	return table;
}

/* walk(table, iova, levels, top_items), compiled for each number of levels. */
#define PT_WALK(walk, levels, table, iova, top_items)                      \
	((levels) == 4   ? walk(table, iova, MIN(4, PT_LEVELS), top_items) \
	 : (levels) == 3 ? walk(table, iova, MIN(3, PT_LEVELS), top_items) \
	 : (levels) == 5 ? walk(table, iova, MIN(5, PT_LEVELS), top_items) \
	 : (levels) == 2 ? walk(table, iova, MIN(2, PT_LEVELS), top_items) \
	 : (levels) == 1 ? walk(table, iova, 1, top_items)                 \
			 : walk(table, iova, PT_LEVELS, top_items))

/* The table of the lowest level that iova is in; NULL if there is none. */
static inline __attribute__((always_inline)) uint64_t *
walk_to_lowest(uint64_t *table, uint64_t iova, const unsigned int levels, unsigned int top_items)
{
	PT_UNROLL
	for (unsigned int level = levels - 1; level; level--) {
		bool is_top = level == levels - 1;
		uint64_t item = item_load(&table[index_below(iova, level, is_top, top_items)]);

		if (unlikely(item == pt_empty(level) || pt_is_leaf(item, level)))
			return NULL;
		table = item_to_table(item);
	}
	return table;
}

/* The same of a range that does not fill the table. */
static inline uint64_t *lowest_table(const struct pgtable *pt, uint64_t iova, uint64_t size)
{
	uint64_t top = atomic_load_explicit(&pt->top, memory_order_acquire);
	uint64_t last = iova + size - 1;

	if (unlikely(((iova ^ last) | size) >> pt_shift(1) || above_top(top, last)))
		return NULL;
	return PT_WALK(walk_to_lowest, top_level(top) + 1, top_table(top), iova, pt->wide_items);
}
