/* SPDX-License-Identifier: MIT */
/*
 * The mapping half of the engine: engine.h has what it rests on, and how
 * threads share a set of tables.
 */

/* A call that fills so many tables of the lowest level would only wear the caches out. */
#define PT_STREAM_TABLES 2048

/* How often to begin again where waiting for another thread is not allowed. */
#define MAP_TRIES 64

struct map {
	struct pgtable *pt;
	struct mm_thread *self;
	struct iommu_iotlb_gather *gather;
	uint64_t attrs;
	uint64_t iova, paddr, left; /* what remains; moves on as slots are filled */
	unsigned int max_level;     /* highest level that may have leaves */
	gfp_t gfp;
	unsigned int grown; /* levels put on top */
	bool stream;        /* its tables are more than the caches hold */
	bool made;          /* tables[] counts */
	unsigned int tables[IOMMU_MAX_LEVELS];
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
	m->stream = false;
	m->made = false;
}

static inline void map_end(const struct map *m)
{
	if (m->made)
		pgtable_count_add(m->pt, m->self, m->tables);
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

		if (!pt_is_table(item, level))
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

/* Leaves to be written: n slots of a table, from iova on. */
struct leaves {
	const struct pgtable *pt;
	uint64_t attrs, iova, paddr;
	unsigned int level, n;
	bool check;  /* that the slots are empty */
	bool stream; /* a whole table, which nobody reads soon */
};

/* Largest run, as a log2 of slots, that alignment and n slots allow for entry. */
static inline unsigned int run_at(const struct leaves *l, uint64_t place, unsigned int n)
{
	unsigned int shift = pt_shift(l->level);
	unsigned int align = ffs64_index((place >> shift) | BIT_ULL(pt_index_lg2(l->level) - 1));
	uint64_t sizes = l->pt->pgsizes >> shift & ((2ULL << MIN(align, fls64_index(n))) - 1);

	return fls64_index(sizes);
}

/* Slots until the physical address passes a bound beyond which items count differently. */
static inline unsigned int linear_slots(const struct leaves *l, uint64_t paddr)
{
	uint64_t bytes =
		BIT_ULL(PT_OA_LINEAR_LG2 % 64) - (paddr & (BIT_ULL(PT_OA_LINEAR_LG2 % 64) - 1));

	return (unsigned int)MIN(bytes >> pt_shift(l->level), 1u << 31);
}

/* n items that count up from the one of paddr; runs of 2^run have one address, or not. */
static inline unsigned int write_items(const struct leaves *l, uint64_t *slot, uint64_t paddr,
				       unsigned int n, unsigned int run)
{
	unsigned int level = l->level, same = PT_RUN_ADDRESSES ? 0 : run;
	/* A power of two, the same for each item. */
	uint64_t step = pt_leaf(0, BIT_ULL(pt_shift(level)), level, 0) - pt_leaf(0, 0, level, 0);
	unsigned int step_lg2 = ffs64_index(step);
	uint64_t first = pt_leaf(l->attrs, paddr, level, run);

	if (unlikely(l->stream)) {
		items_stream(slot, first, step_lg2, n, same, PT_SWAP);
		return n;
	}
	if (l->check)
		return items_fill_empty(slot, first, step_lg2, n, same, PT_SWAP,
					item_swap(pt_empty(level)));
	items_fill(slot, first, step_lg2, n, same, PT_SWAP);
	return n;
}

/*
 * Write leaves. The longest runs are in the middle, in one go. How many slots were
 * written: less than n if the next is not empty.
 */
static inline unsigned int write_leaves(const struct leaves *l, uint64_t *slot)
{
	unsigned int done = 0;

	if (!PT_RUNS || l->n == 1)
		return write_items(l, slot, l->paddr, l->n, 0);
	while (done < l->n) {
		uint64_t offset = (uint64_t)done << pt_shift(l->level);
		uint64_t iova = l->iova + offset, paddr = l->paddr + offset;
		unsigned int run = run_at(l, iova | paddr, l->n - done);
		unsigned int longest = run_at(l, iova ^ paddr, l->n - done), n = 1u << run;

		if (run == longest)
			n = (l->n - done) >> run << run;
		if (PT_OA_LINEAR_LG2 < 64)
			n = MIN(n, linear_slots(l, paddr));
		offset = write_items(l, &slot[done], paddr, n, run);
		done += (unsigned int)offset;
		if (unlikely(offset < n))
			break;
	}
	return done;
}

/* What of a call are leaves in one table, n of them. */
static inline struct leaves leaves_of(const struct map *m, unsigned int level, unsigned int n)
{
	return (struct leaves){m->pt, m->attrs, m->iova, m->paddr, level, n, false, false};
}

static inline void advance(struct map *m, unsigned int level, unsigned int n)
{
	uint64_t bytes = (uint64_t)n << pt_shift(level);

	m->iova += bytes;
	m->paddr += bytes;
	m->left -= bytes;
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

/*
 * Fill empty slots of a linked table with leaves. -EAGAIN: the table is dead;
 * -EADDRINUSE: not all were empty, and those that were are so again. The count may be
 * 0 then: map_undo() looks for what is empty.
 */
static inline int place_leaves(struct leaves *l, uint64_t *slot, bool alone)
{
	struct page *page = slot_page(l->pt, slot, l->level);
	int live = live_add(page, (int)l->n, alone);
	unsigned int done;

	PT_STEP();
	if (unlikely(live < 0))
		return -EAGAIN;
	l->check = live != 0;
	done = write_leaves(l, slot);
	if (likely(done == l->n))
		return 0;
	if (done)
		clear_items(slot, l->level, done);
	live_add(page, -(int)l->n, alone);
	return -EADDRINUSE;
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
			struct leaves leaves = leaves_of(m, level, n);

			leaves.stream = m->stream && n == items;
			write_leaves(&leaves, &table[index]);
			advance(m, level, n);
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
		if (m->stream)
			items_stream_end();
		if (old != pt_empty(level))
			gather_pending(m->pt, m->gather, iova, level - 1);
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
		atomic_fetch_sub(&slot_page(m->pt, slot, level)->live, 1);
	return ret;
}

/* Make the next n slots of a linked table leaves. */
static int map_leaves(struct map *m, uint64_t *slot, unsigned int level, unsigned int n)
{
	struct leaves leaves = leaves_of(m, level, n);
	int ret = place_leaves(&leaves, slot, false);

	if (!ret)
		advance(m, level, n);
	else if (ret == -EADDRINUSE && soon_empty(m, slot, level))
		ret = -EAGAIN;
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
			ret = map_leaves(m, &table[index], level, n);
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
	table_gather(m->pt, page, 0, m->gather);
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

	if (level < PT_LEVELS_AT_FIRST || !pt_is_table(item, level))
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
	uint64_t wide = (m->iova ^ (m->iova + m->left - 1)) | m->left, *table;
	unsigned int level;

	table = descend(m->pt, top, m->iova, wide, &level);
	return map_table(m, table, level);
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

/* Leave nothing of a mapping of size bytes that began at iova and failed at m->iova. */
static __noinline void map_undo(struct map *m, uint64_t iova, uint64_t size)
{
	struct unmap u = {.pt = m->pt, .gather = m->gather, .iova = iova, .left = m->iova - iova};

	/* Who failed may have brought a table's count back to 0. */
	reap(m->pt, m->iova, 0, m->gather);
	if (u.left)
		unmap_from_top(&u);
	/* Beyond m->iova, too, items were there for a moment before one that was in use. */
	iommu_iotlb_gather_add_range(m->gather, iova, size);
	for (; m->grown; m->grown--)
		shrink_top(m);
}

/* Whatever it takes, for a caller in a read section. */
static __noinline int map_anything(struct pgtable *pt, uint64_t iova, uint64_t paddr, uint64_t size,
				   uint64_t attrs, gfp_t gfp, struct iommu_iotlb_gather *gather)
{
	uint64_t top = atomic_load_explicit(&pt->top, memory_order_acquire);
	struct map m;
	int ret;

	map_begin(&m, pt, gather, gfp);
	m.attrs = attrs;
	m.iova = iova;
	m.paddr = paddr;
	m.left = size;
	m.stream = size >> pt_shift(1) >= PT_STREAM_TABLES;
	ret = above_top(top, iova + size - 1) ? -EAGAIN : map_range(&m, top);
	for (unsigned int tries = 0; unlikely(ret == -EAGAIN); tries++)
		ret = tries < MAP_TRIES || gfpflags_allow_blocking(gfp) ? map_again(&m) : -ENOMEM;
	if (unlikely(ret))
		map_undo(&m, iova, size);
	map_end(&m);
	return ret;
}

/*
 * The common case, in which nothing is allocated: the range becomes leaves of one
 * table of the lowest level, which is there. False if it does not.
 */
static inline bool map_in_place(struct pgtable *pt, uint64_t iova, uint64_t paddr, uint64_t size,
				uint64_t attrs, bool alone)
{
	struct leaves leaves = {pt,    attrs, iova, paddr, 0, (unsigned int)(size >> PT_PAGE_LG2),
				false, false};
	uint64_t *slot = lowest_slot(pt, iova, size);

	return likely(slot) && likely(!place_leaves(&leaves, slot, alone));
}

static __noinline int map_leaves_or_more(struct pgtable *pt, uint64_t iova, uint64_t paddr,
					 uint64_t size, uint64_t attrs, gfp_t gfp,
					 struct iommu_iotlb_gather *gather)
{
	struct mm_thread *self = mm_thread_self();
	bool outermost, alone;
	int ret = 0;

	outermost = rcu_read_lock_alone(self, &alone);
	if (unlikely(!map_in_place(pt, iova, paddr, size, attrs, alone))) {
		if (alone)
			rcu_alone_end(self);
		ret = map_anything(pt, iova, paddr, size, attrs, gfp, gather);
	}
	if (unlikely(is_unsynced(pt, iova, size)) && !ret) {
		gather->tables = true;
		iommu_iotlb_gather_add_range(gather, iova, size);
	}
	rcu_read_unlock(self, outermost);
	return ret;
}

static int engine_map(struct pgtable *pt, uint64_t iova, uint64_t paddr, uint64_t size, int prot,
		      gfp_t gfp, struct iommu_iotlb_gather *gather)
{
	uint64_t attrs = pt_attrs(prot);

	/* Formats that begin a mapping dirty, to spare hardware the note. */
	if (item_is_dirty(pt_attrs(IOMMU_READ | IOMMU_WRITE)) &&
	    unlikely(atomic_load_explicit(&pt->track_dirty, memory_order_relaxed)))
		attrs = item_make_clean(attrs);
	if (likely(size == BIT_ULL(PT_PAGE_LG2)) && likely(map_page(pt, iova, paddr, attrs)))
		return 0;
	if (unlikely(!range_fits(pt, iova, iova + size - 1) || !oa_fits(paddr + size - 1)))
		return -ERANGE;
	return map_leaves_or_more(pt, iova, paddr, size, attrs, gfp, gather);
}

static void engine_shrink(struct pgtable *pt, unsigned int levels,
			  struct iommu_iotlb_gather *gather)
{
	uint64_t top = atomic_load(&pt->top), before = 0;
	bool outermost;
	struct map m;

	map_begin(&m, pt, gather, 0);
	outermost = rcu_read_lock(m.self);
	while (PT_GROWS && top != before && top_level(top) + 1 > levels) {
		before = top;
		shrink_top(&m);
		top = atomic_load(&pt->top);
	}
	rcu_read_unlock(m.self, outermost);
}
