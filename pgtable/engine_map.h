/* SPDX-License-Identifier: MIT */
/*
 * The mapping half of the engine: engine.h has what it rests on, and how
 * threads share a set of tables.
 */

struct map {
	struct pgtable *pt;
	struct mm_thread *self;
	struct iommu_iotlb_gather *gather;
	uint64_t attrs;
	uint64_t iova, paddr, left; /* what remains; moves on as slots are filled */
	unsigned int max_level;     /* highest level that may have leaves */
	gfp_t gfp;
	unsigned int grown; /* levels put on top */
	bool reap;          /* a count went back to 0 at iova */
	bool made;          /* tables[] counts */
	long tables[IOMMU_MAX_LEVELS];
};

static inline void map_begin(struct map *m, struct pgtable *pt, struct iommu_iotlb_gather *gather,
			     gfp_t gfp)
{
	m->pt = pt;
	m->self = mm_thread_self();
	m->gather = gather;
	m->max_level = PT_LEVELS;
	m->gfp = gfp;
	m->grown = 0;
	m->reap = m->made = false;
}

static inline void map_end(struct map *m)
{
	if (m->made)
		pgtable_count_add(m->pt, m->self, m->tables, 1);
}

static struct page *table_alloc(struct map *m, unsigned int level, gfp_t zero)
{
	struct page *page = table_new(m->pt, level, m->gfp | zero);

	if (unlikely(!page))
		return NULL;
	atomic_store_explicit(&page->live, 0, memory_order_relaxed);
	if (!m->made)
		memset(m->tables, 0, sizeof(m->tables));
	m->made = true;
	m->tables[level]++;
	return page;
}

/* Free a table that was never linked, with the first slots that are made. */
static void table_discard(struct map *m, struct page *page, unsigned int level, unsigned int from,
			  unsigned int end)
{
	uint64_t *table = page_table(page);

	for (unsigned int i = from; level && i < end; i++) {
		uint64_t item = item_load(&table[i]);

		if (item == pt_empty(level) || pt_is_leaf(item, level))
			continue;
		table_discard(m, table_page(item_to_table(item)), level - 1, 0,
			      items_in(m->pt, level - 1));
	}
	m->tables[level]--;
	free_pages(page);
}

/* How many slots from iova on, at most room, are to be leaves of this level. */
static inline unsigned int leaf_slots(const struct map *m, unsigned int level, unsigned int room)
{
	unsigned int shift = pt_shift(level);
	uint64_t slots = m->left >> shift;

	if (level && (level > m->max_level || !(m->pt->pgsizes >> shift & 1) ||
		      ((m->iova | m->paddr) & (BIT_ULL(shift) - 1))))
		return 0;
	return slots < room ? (unsigned int)slots : room;
}

/* Largest run, as a log2 of slots, that alignment and n slots allow for entry. */
static inline unsigned int run_at(const struct map *m, unsigned int level, uint64_t place,
				  unsigned int n)
{
	unsigned int shift = pt_shift(level);
	unsigned int align = ffs64_index((place >> shift) | BIT_ULL(pt_index_lg2(level) - 1));
	uint64_t sizes = m->pt->pgsizes >> shift & ((2ULL << MIN(align, fls64_index(n))) - 1);

	return fls64_index(sizes);
}

/* Slots until the physical address passes a bound beyond which items count differently. */
static inline unsigned int linear_slots(const struct map *m, unsigned int level)
{
	uint64_t bytes =
		BIT_ULL(PT_OA_LINEAR_LG2 % 64) - (m->paddr & (BIT_ULL(PT_OA_LINEAR_LG2 % 64) - 1));

	return (unsigned int)MIN(bytes >> pt_shift(level), 1u << 31);
}

/* n items that count up from the one of m->paddr; runs of 2^run have one address, or not. */
static inline void write_items(struct map *m, uint64_t *slot, unsigned int level, unsigned int n,
			       unsigned int run)
{
	unsigned int shift = pt_shift(level), same = PT_RUN_ADDRESSES ? 0 : run;
	uint64_t step = pt_leaf(0, BIT_ULL(shift), level, 0) - pt_leaf(0, 0, level, 0);

	items_fill(slot, pt_leaf(m->attrs, m->paddr, level, run), step, n, same, PT_SWAP);
	m->iova += (uint64_t)n << shift;
	m->paddr += (uint64_t)n << shift;
}

/* Write n leaf slots. The longest runs are in the middle, in one go. */
static inline void write_leaves(struct map *m, uint64_t *slot, unsigned int level, unsigned int n)
{
	if (!PT_RUNS)
		write_items(m, slot, level, n, 0);
	while (PT_RUNS && n) {
		unsigned int run = run_at(m, level, m->iova | m->paddr, n);
		unsigned int longest = run_at(m, level, m->iova ^ m->paddr, n);
		unsigned int slots = run == longest ? n >> run << run : 1u << run;

		if (PT_OA_LINEAR_LG2 < 64)
			slots = MIN(slots, linear_slots(m, level));
		write_items(m, slot, level, slots, run);
		slot += slots;
		n -= slots;
	}
}

/* Is nothing mapped under this slot, which only threads that change the top hold? */
static bool soon_empty(const struct map *m, const uint64_t *slot, unsigned int level)
{
	uint64_t item = item_load(slot), *table;

	if (!PT_GROWS || m->iova || level < PT_LEVELS_AT_FIRST)
		return false;
	if (item == pt_empty(level))
		return true;
	if (pt_is_leaf(item, level))
		return false;
	table = item_to_table(item);
	level--;
	return all_empty(&table[1], level, items_in(m->pt, level) - 1) &&
	       (item_load(table) == pt_empty(level) || soon_empty(m, table, level));
}

/* Fill n empty slots of a linked table with leaves. */
static inline int place_leaves(struct map *m, uint64_t *table, unsigned int level,
			       unsigned int index, unsigned int n)
{
	struct page *page = table_page(table);
	int live = atomic_fetch_add(&page->live, (int)n);

	PT_STEP();
	if (unlikely(live < 0))
		return -EAGAIN;
	if (live && unlikely(!all_empty(&table[index], level, n))) {
		m->reap |= atomic_fetch_sub(&page->live, (int)n) == (int)n;
		return soon_empty(m, &table[index], level) ? -EAGAIN : -EADDRINUSE;
	}
	m->left -= (uint64_t)n << pt_shift(level);
	write_leaves(m, &table[index], level, n);
	return 0;
}

static int map_new(struct map *m, unsigned int level, struct page **new);

/* Fill a table that is not linked yet, from iova to its end or the range's. */
static int map_private(struct map *m, struct page *page, unsigned int level)
{
	unsigned int first = index_of(m->pt, m->iova, level), index = first;
	unsigned int items = items_in(m->pt, level);
	uint64_t *table = page_table(page);
	int ret = 0;

	while (m->left && index < items) {
		unsigned int n = leaf_slots(m, level, items - index);
		struct page *child;

		if (n) {
			m->left -= (uint64_t)n << pt_shift(level);
			write_leaves(m, &table[index], level, n);
			index += n;
			continue;
		}
		ret = map_new(m, level - 1, &child);
		if (ret)
			break;
		item_store(&table[index++], table_item(child, level));
	}
	atomic_store_explicit(&page->live, (int)(index - first), memory_order_relaxed);
	if (ret)
		table_discard(m, page, level, first, index);
	return ret;
}

/* Make and fill the table of a level that iova is in. */
static int map_new(struct map *m, unsigned int level, struct page **new)
{
	uint64_t span = BIT_ULL(pt_shift(level + 1));
	bool whole = !(m->iova & (span - 1)) && m->left >= span;

	*new = table_alloc(m, level, whole ? 0 : __GFP_ZERO);
	return *new ? map_private(m, *new, level) : -ENOMEM;
}

/*
 * Make a table for a slot that holds old: nothing, or a dead table. -EEXIST when
 * somebody else changed the slot first. *counted is set once the slot has its
 * place in the table's count.
 */
static int link_new(struct map *m, uint64_t *slot, unsigned int level, uint64_t old, bool *counted)
{
	uint64_t iova = m->iova, paddr = m->paddr, left = m->left;
	struct page *new;
	int ret;

	/* Only a top that was taken away dies with an item in it: there is another. */
	if (PT_GROWS && old != pt_empty(level) && table_is_dead(slot_page(m->pt, slot, level)))
		return -EAGAIN;
	ret = map_new(m, level - 1, &new);
	if (!ret && old == pt_empty(level) && !*counted) {
		*counted = true;
		if (atomic_fetch_add(&slot_page(m->pt, slot, level)->live, 1) < 0)
			ret = -EAGAIN;
	}
	if (!ret) {
		if (old != pt_empty(level))
			gather_pending(m->pt, m->gather);
		if (item_replace(slot, old, table_item(new, level)))
			return 0;
		ret = -EEXIST;
	}
	if (ret == -EAGAIN || ret == -EEXIST)
		table_discard(m, new, level - 1, 0, items_in(m->pt, level - 1));
	m->iova = iova;
	m->paddr = paddr;
	m->left = left;
	return ret;
}

static int map_table(struct map *m, uint64_t *table, unsigned int level);

/* Map what of the range lies under one slot that is not to be a leaf. */
static int map_slot(struct map *m, uint64_t *slot, unsigned int level)
{
	bool counted = false;
	int ret;

	for (;;) {
		uint64_t item = item_load(slot);

		if (item != pt_empty(level)) {
			if (pt_is_leaf(item, level)) {
				ret = -EADDRINUSE;
				break;
			}
			ret = map_table(m, item_to_table(item), level - 1);
			if (ret != -EAGAIN) {
				if (!counted)
					return ret;
				break;
			}
		}
		ret = link_new(m, slot, level, item, &counted);
		if (!ret && item == pt_empty(level))
			return 0;
		if (ret != -EEXIST)
			break;
	}
	/* Who was counted, but linked nothing of its own in an empty slot. */
	if (counted && ret != -EAGAIN)
		m->reap |= atomic_fetch_sub(&slot_page(m->pt, slot, level)->live, 1) == 1;
	return ret;
}

/*
 * Map as much of the range as this linked table spans. -EAGAIN: the table is
 * dead, and nothing was done since.
 */
static int map_table(struct map *m, uint64_t *table, unsigned int level)
{
	unsigned int index = index_of(m->pt, m->iova, level);
	unsigned int items = items_in(m->pt, level);
	int ret = 0;

	while (m->left && index < items && !ret) {
		unsigned int n = leaf_slots(m, level, items - index);

		if (n) {
			ret = place_leaves(m, table, level, index, n);
			index += n;
		} else {
			ret = map_slot(m, &table[index++], level);
		}
	}
	return ret;
}

/*
 * Top tables that grow by a level, for formats that can (PT_GROWS). One that is
 * being replaced is dead for a few instructions: who meets it waits for the new
 * one.
 */

/* Gather a top table that nothing leads to any more. */
static void top_gather(struct map *m, struct page *page, unsigned int level)
{
	table_gather(m->pt, page, m->gather);
	iommu_iotlb_gather_add_range(m->gather, 0, m->pt->aperture_last);
	page->zeroed = false;
}

/*
 * Put a taller top table over the present one; over nothing if that is empty,
 * and then the present one goes. -EAGAIN when that is done, by whomever.
 */
static __noinline int grow_top(struct map *m, uint64_t top)
{
	unsigned int level = top_level(top);
	struct page *page = table_page(top_table(top)), *new;
	int live = PT_TOP, held;
	uint64_t taller;

	new = table_alloc(m, level + 1, __GFP_ZERO);
	if (!new)
		return -ENOMEM;
	taller = make_top(page_table(new), level + 1);
	atomic_store(&new->live, PT_TOP);
	if (atomic_compare_exchange_strong(&page->live, &live, PT_DEAD)) {
		PT_STEP();
		atomic_store(&m->pt->top, taller);
		top_gather(m, page, level);
		return -EAGAIN;
	}
	/* Counted in, it cannot die before it is linked, nor be linked when dead. */
	if (atomic_fetch_add(&page->live, 1) < 0) {
		table_discard(m, new, level + 1, 0, 0);
		return -EAGAIN;
	}
	item_store(page_table(new), table_item(page, level + 1));
	atomic_store(&new->live, PT_TOP + 1);
	if (atomic_compare_exchange_strong(&m->pt->top, &top, taller)) {
		m->grown++;
		held = PT_TOP + 1;
	} else {
		table_discard(m, new, level + 1, 0, 0);
		held = 1;
	}
	PT_STEP();
	if (atomic_fetch_sub(&page->live, held) == held)
		reap(m->pt, 0, level, m->gather);
	return -EAGAIN;
}

/* Take a top table away again that the failing call has put over another. */
static __noinline void shrink_top(struct map *m)
{
	uint64_t top = atomic_load(&m->pt->top), item = item_load(top_table(top));
	struct page *page = table_page(top_table(top)), *child;
	unsigned int level = top_level(top);
	int only_child = PT_TOP + 1;

	if (level < PT_LEVELS_AT_FIRST || item == pt_empty(level) || pt_is_leaf(item, level))
		return;
	/* A top before it is one, and counted in besides: nobody may replace it yet. */
	child = table_page(item_to_table(item));
	if (atomic_fetch_add(&child->live, PT_TOP + 1) < 0)
		return;
	PT_STEP();
	if (atomic_compare_exchange_strong(&page->live, &only_child, PT_DEAD)) {
		PT_STEP();
		atomic_store(&m->pt->top, make_top(page_table(child), level - 1));
		atomic_fetch_sub(&child->live, 1);
		top_gather(m, page, level);
	} else if (atomic_fetch_sub(&child->live, PT_TOP + 1) == PT_TOP + 1) {
		reap(m->pt, 0, level - 1, m->gather);
	}
}

static inline int map_range(struct map *m, uint64_t top)
{
	uint64_t last = m->iova + m->left - 1;
	uint64_t *table = top_table(top);
	unsigned int level = top_level(top), n;
	int ret;

	/* Go straight down to the lowest table that holds the whole range. */
	while (level) {
		unsigned int shift = pt_shift(level);
		uint64_t item;

		if ((m->iova ^ last) >> shift || m->left >> shift)
			break;
		item = item_load(&table[index_of(m->pt, m->iova, level)]);
		if (item == pt_empty(level) || pt_is_leaf(item, level))
			break;
		table = item_to_table(item);
		level--;
	}
	n = leaf_slots(m, level, items_in(m->pt, level));
	if (likely((uint64_t)n << pt_shift(level) == m->left))
		ret = place_leaves(m, table, level, index_of(m->pt, m->iova, level), n);
	else
		ret = map_table(m, table, level);
	return ret;
}

/*
 * Once more, from what is the top now: after a table on the way was dead, or
 * where the top did not span the range, which it may have ceased to do.
 */
static __noinline int map_again(struct map *m)
{
	uint64_t top = atomic_load(&m->pt->top);

	/* Who replaces it is between two stores; counting in now would be in vain. */
	if (PT_GROWS && table_is_dead(table_page(top_table(top)))) {
		if (gfpflags_allow_blocking(m->gfp))
			plat_yield();
		cpu_relax();
		return -EAGAIN;
	}
	if (above_top(top, m->iova + m->left - 1))
		return grow_top(m, top);
	return map_table(m, top_table(top), top_level(top));
}

/* Leave nothing of a mapping that began at iova and failed at m->iova. */
static __noinline void map_undo(struct map *m, uint64_t iova)
{
	struct unmap u = {.pt = m->pt, .gather = m->gather, .iova = iova, .left = m->iova - iova};

	if (m->reap)
		reap(m->pt, m->iova, 0, m->gather);
	if (u.left) {
		unmap_from_top(&u);
		iommu_iotlb_gather_add_range(m->gather, iova, u.total);
	}
	for (; m->grown; m->grown--)
		shrink_top(m);
}

static int engine_map(struct pgtable *pt, uint64_t iova, uint64_t paddr, uint64_t size, int prot,
		      gfp_t gfp, struct iommu_iotlb_gather *gather)
{
	uint64_t last = iova + size - 1, top;
	struct map m;
	int ret;

	map_begin(&m, pt, gather, gfp);
	m.attrs = pt_attrs(prot);
	/* Formats that begin a mapping dirty, to spare hardware the note. */
	if (item_is_dirty(pt_attrs(IOMMU_READ | IOMMU_WRITE)) &&
	    unlikely(atomic_load_explicit(&pt->track_dirty, memory_order_relaxed)))
		m.attrs = item_make_clean(m.attrs);
	m.iova = iova;
	m.paddr = paddr;
	m.left = size;
	if (unlikely(!range_fits(pt, iova, last) ||
		     (PT_OA_BITS < 64 && (paddr + size - 1) >> PT_OA_BITS % 64)))
		return -ERANGE;
	rcu_read_lock(m.self);
	top = atomic_load_explicit(&pt->top, memory_order_acquire);
	ret = unlikely(above_top(top, last)) ? -EAGAIN : map_range(&m, top);
	while (unlikely(ret == -EAGAIN))
		ret = map_again(&m);
	if (unlikely(ret)) {
		map_undo(&m, iova);
	} else if (unlikely(atomic_load_explicit(&pt->unsynced, memory_order_relaxed))) {
		gather->tables = true;
		iommu_iotlb_gather_add_range(gather, iova, size);
	}
	rcu_read_unlock(m.self);
	map_end(&m);
	return ret;
}

static void engine_shrink(struct pgtable *pt, unsigned int levels,
			  struct iommu_iotlb_gather *gather)
{
	uint64_t top = atomic_load(&pt->top), before = 0;
	struct map m;

	map_begin(&m, pt, gather, 0);
	rcu_read_lock(m.self);
	while (PT_GROWS && top != before && top_level(top) + 1 > levels) {
		before = top;
		shrink_top(&m);
		top = atomic_load(&pt->top);
	}
	rcu_read_unlock(m.self);
}

/* Mark all that a table has, which is not linked yet, dirty. */
static void mark_table(const struct pgtable *pt, uint64_t *table, unsigned int level)
{
	for (unsigned int i = 0; i < items_in(pt, level); i++) {
		uint64_t item = item_load(&table[i]);

		if (pt_is_leaf(item, level))
			item_store(&table[i], item_make_dirty(item));
		else
			mark_table(pt, item_to_table(item), level - 1);
	}
}

/*
 * Make an entry of 2^run items into smaller ones in the same items. Hardware
 * marks any one of them dirty, also while we go along: then begin again.
 */
static void split_run(const struct map *m, uint64_t *slot, unsigned int level, unsigned int run)
{
	unsigned int shift = pt_shift(level), n = 1u << run;
	unsigned int smaller = fls64_index(m->pt->pgsizes >> shift & (BIT_ULL(run) - 1));
	unsigned int same = PT_RUN_ADDRESSES ? 0 : smaller;
	uint64_t attrs = m->attrs;

	for (unsigned int i = 0; i < n;) {
		uint64_t paddr = m->paddr + ((uint64_t)(i >> same << same) << shift);
		uint64_t item = pt_leaf(attrs, paddr, level, smaller);
		bool dirty;

		item = __atomic_exchange_n(&slot[i], item_swap(item), __ATOMIC_SEQ_CST);
		dirty = item_is_dirty(item_swap(item));
		i = dirty && !item_is_dirty(attrs) ? 0 : i + 1;
		if (dirty)
			attrs = item_make_dirty(attrs);
	}
}

/* Make one leaf entry of 2^run slots into smaller ones, dirty if it was. */
static int split_entry(struct map *m, uint64_t *slot, unsigned int level, unsigned int run)
{
	uint64_t item = item_load(slot);
	struct page *new;
	int ret;

	m->attrs = item & PT_ATTRS_MASK;
	if (run) {
		split_run(m, slot, level, run);
		return 0;
	}
	m->max_level = level - 1;
	ret = map_new(m, level - 1, &new);
	if (ret)
		return ret;
	/* Hardware may mark the old entry up to the last moment. */
	while (!item_replace(slot, item, table_item(new, level))) {
		item = item_load(slot);
		if (item_is_dirty(item))
			mark_table(m->pt, page_table(new), level - 1);
	}
	return 0;
}

static int engine_split(struct pgtable *pt, uint64_t iova, gfp_t gfp,
			struct iommu_iotlb_gather *gather)
{
	struct map m = {.pt = pt, .self = mm_thread_self(), .gather = gather, .gfp = gfp};
	uint64_t top, *table;
	unsigned int level;
	int ret = 0;

	if (!range_fits(pt, iova, iova))
		return 0;
	map_begin(&m, pt, gather, gfp);
	rcu_read_lock(m.self);
	top = atomic_load_explicit(&pt->top, memory_order_acquire);
	table = top_table(top);
	for (level = top_level(top); !ret && !above_top(top, iova);) {
		uint64_t *slot = &table[index_of(pt, iova, level)], item = item_load(slot);
		unsigned int bits;

		if (item == pt_empty(level))
			break;
		if (!pt_is_leaf(item, level)) {
			table = item_to_table(item);
			level--;
			continue;
		}
		bits = pt_shift(level) + pt_run_lg2(item, level);
		if (!(iova & (BIT_ULL(bits) - 1)))
			break;
		m.iova = iova & ~(BIT_ULL(bits) - 1);
		m.paddr = pt_leaf_oa(item, level) & ~(BIT_ULL(bits) - 1);
		m.left = BIT_ULL(bits);
		ret = split_entry(&m, &table[index_of(pt, m.iova, level)], level,
				  pt_run_lg2(item, level));
	}
	rcu_read_unlock(m.self);
	map_end(&m);
	return ret;
}
