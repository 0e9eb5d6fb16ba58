/* SPDX-License-Identifier: MIT */
/*
 * The mapping half of the engine. The head of engine.h describes how threads share a
 * set of tables.
 */

/* A call that fills so many tables of the lowest level bypasses the caches. */
#define PT_STREAM_TABLES 2048

/* How often a call begins again with the memory that a shrinker has freed inside it. */
#define MAP_TRIES 64

/*
 * What the functions below return besides 0 and a negative errno: another thread has
 * changed the tables first, and the function has done nothing. No caller waits for that
 * thread.
 */
enum map_retry {
	/* The linked table is dead: put another one in its slot. */
	MAP_TABLE_DEAD = 1,
	/* The slot has changed: read it again. */
	MAP_SLOT_CHANGED,
	/* The top has changed: begin the walk again there. */
	MAP_TOP_CHANGED,
};

struct map {
	struct pgtable *pt;
	struct mm_thread *self;
	struct iommu_iotlb_gather *gather;
	uint64_t attrs;
	/*
	 * The rest of the present piece, and of the pieces after it; updated as slots
	 * are filled.
	 */
	uint64_t iova, paddr, left, rest;
	const struct iommu_sg *sg, *sg_end; /* the pieces after it */
	gfp_t gfp;
	bool stream;       /* its tables are more than the caches hold */
	unsigned int made; /* bit mask of the levels that tables[] counts a table of */
	unsigned int tables[IOMMU_MAX_LEVELS];
};

static inline void map_begin(struct map *m, struct pgtable *pt, struct iommu_iotlb_gather *gather,
			     gfp_t gfp)
{
	m->pt = pt;
	m->self = mm_thread_self();
	m->gather = gather;
	m->rest = 0;
	m->gfp = gfp;
	m->stream = false;
	m->made = 0;
}

static inline void map_end(const struct map *m)
{
	if (m->made)
		pgtable_count_add(m->pt, m->self, m->tables, m->made);
}

static struct page *table_alloc(struct map *m, unsigned int level, gfp_t zero)
{
	struct page *page;

	m->self->allocates_for = m->pt;
	page = table_new(m->pt, level, m->gfp | zero);
	m->self->allocates_for = NULL;
	if (unlikely(!page))
		return NULL;
	live_set(page, 0);
	if (!(m->made & 1u << level))
		m->tables[level] = 0;
	m->made |= 1u << level;
	m->tables[level]++;
	return page;
}

/* Free a table that was never linked, and the tables in its slots [from, end). */
static void table_discard(struct map *m, struct page *page, unsigned int level, unsigned int from,
			  unsigned int end)
{
	uint64_t *table = page_table(page);

	for (unsigned int i = from; level && i < end; i++) {
		uint64_t item = item_peek(&table[i]);

		if (!pt_is_table(item, level))
			continue;
		table_discard(m, table_page(item_to_table(item)), level - 1, 0,
			      items_in(m->pt, level - 1));
	}
	m->tables[level]--;
	free_pages(page);
}

/* How many slots from iova on, at most room, can be leaves of this level. */
static inline unsigned int leaf_slots(const struct map *m, unsigned int level, unsigned int room)
{
	unsigned int shift = pt_shift(level), least = PT_LEAST_RUN_LG2(level);
	uint64_t slots = m->left >> shift;

	if (level && (!(m->pt->pgsizes >> (shift + least) & 1) ||
		      ((m->iova | m->paddr) & (BIT_ULL(shift + least) - 1))))
		return 0;
	return (slots < room ? (unsigned int)slots : room) >> least << least;
}

/* The leaves to write: n slots of a table, from iova on. */
struct leaves {
	const struct pgtable *pt;
	uint64_t attrs, iova, paddr;
	unsigned int level, n;
	bool check;  /* check that the slots are empty */
	bool stream; /* a whole table, which will not be read soon */
};

/* log2 of the largest run that alignment and n slots allow at a place. */
static inline unsigned int run_at(const struct leaves *l, uint64_t place, unsigned int n)
{
	unsigned int shift = pt_shift(l->level);
	unsigned int align = ffs64_index((place >> shift) | BIT_ULL(pt_index_lg2(l->level) - 1));
	uint64_t sizes = l->pt->pgsizes >> shift & ((2ULL << MIN(align, fls64_index(n))) - 1);

	return fls64_index(sizes);
}

/* Slots up to the next physical address where items stop counting up linearly. */
static inline unsigned int linear_slots(const struct leaves *l, uint64_t paddr)
{
	uint64_t bytes =
		BIT_ULL(PT_OA_LINEAR_LG2 % 64) - (paddr & (BIT_ULL(PT_OA_LINEAR_LG2 % 64) - 1));

	return (unsigned int)MIN(bytes >> pt_shift(l->level), 1u << 31);
}

/* How many of n items are in whole empty runs of 2^run items, from the first item on. */
static __noinline unsigned int empty_runs(const uint64_t *slot, unsigned int level, unsigned int n,
					  unsigned int run)
{
	unsigned int empty = 0;

	if (likely(all_empty(slot, level, n)))
		return n;
	while (empty < n && all_empty(&slot[empty], level, 1u << run))
		empty += 1u << run;
	return empty;
}

/* Write n items that count up from the item of paddr, in runs of 2^run items. */
static inline unsigned int write_items(const struct leaves *l, uint64_t *slot, uint64_t paddr,
				       unsigned int n, unsigned int run)
{
	unsigned int level = l->level, same = PT_RUN_ADDRESSES ? 0 : run;
	/* The difference between the items of neighbours, which is a power of two. */
	uint64_t step = pt_leaf(0, BIT_ULL(pt_shift(level)), level, 0) - pt_leaf(0, 0, level, 0);
	unsigned int step_lg2 = ffs64_index(step);
	uint64_t first = pt_leaf(l->attrs, paddr, level, run);

	if (unlikely(l->stream)) {
		items_stream(slot, first, step_lg2, n, same, PT_SWAP);
		return n;
	}
	if (l->check && !(PT_RUNS && run))
		return items_fill_empty(slot, first, step_lg2, n, same, PT_SWAP,
					item_swap(pt_empty(level)));
	/*
	 * Each item of a run stands for all of them: none may be written before all are
	 * empty.
	 */
	if (PT_RUNS && l->check)
		n = empty_runs(slot, level, n, run);
	items_fill(slot, first, step_lg2, n, same, PT_SWAP);
	return n;
}

/*
 * Write leaves. The longest runs are in the middle and are written by one loop. Returns
 * how many slots were written, which is less than n if the next slot is not empty.
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

/* The part of a call that consists of n leaves in one table. */
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
	if (!m->left && m->rest) {
		struct iommu_sg piece = pgtable_next_piece(&m->sg, m->sg_end);

		m->paddr = piece.paddr;
		m->left = piece.length;
		m->rest -= piece.length;
	}
}

/* The last address of the rest of the range. */
static inline uint64_t map_last(const struct map *m)
{
	return m->iova + (m->left + m->rest - 1);
}

/*
 * Fill empty slots of a linked table with leaves. Returns MAP_TABLE_DEAD; or
 * -EADDRINUSE if not all slots were empty, with those that were filled emptied again.
 * Then the count may be 0: map_undo() looks for empty tables.
 */
static inline int place_leaves(struct leaves *l, uint64_t *slot, bool single)
{
	struct page *page = slot_page(l->pt, slot, l->level);
	int live = live_add(page, (int)l->n, single);
	unsigned int done;

	if (unlikely(live < 0))
		return MAP_TABLE_DEAD;
	l->check = live != 0;
	PT_STEP();
	done = write_leaves(l, slot);
	if (likely(done == l->n))
		return 0;
	PT_STEP();
	if (done)
		clear_items(slot, l->level, done);
	live_add(page, -(int)l->n, single);
	return -EADDRINUSE;
}

static int map_new(struct map *m, unsigned int level, struct page **new);

/* Fill a table that is not linked yet, from iova to the end of the table or the range. */
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
	live_set(page, (int)(index - first));
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

/* A place in the range that a call can go back to. */
struct map_place {
	uint64_t iova, paddr, left, rest;
	const struct iommu_sg *sg;
};

static inline struct map_place map_place(const struct map *m)
{
	return (struct map_place){m->iova, m->paddr, m->left, m->rest, m->sg};
}

/* What was mapped from there on must be undone, or in tables that will never be linked. */
static inline void map_go_back(struct map *m, const struct map_place *place)
{
	m->iova = place->iova;
	m->paddr = place->paddr;
	m->left = place->left;
	m->rest = place->rest;
	m->sg = place->sg;
}

/*
 * Make a table and link it in a slot whose item is old: empty, or that of a dead table.
 * *counted is set once the slot is counted in its table. May return MAP_TABLE_DEAD, for
 * the table with the slot, or MAP_SLOT_CHANGED.
 */
static int link_new(struct map *m, uint64_t *slot, unsigned int level, uint64_t old, bool *counted)
{
	const struct map_place before = map_place(m);
	struct page *new;
	int ret = map_new(m, level - 1, &new);

	if (ret) {
		map_go_back(m, &before);
		return ret;
	}
	if (old == pt_empty(level) && !*counted) {
		*counted = live_add(slot_page(m->pt, slot, level), 1, false) >= 0;
		if (!*counted)
			ret = MAP_TABLE_DEAD;
	}
	if (!ret) {
		if (m->stream)
			items_stream_end();
		if (old != pt_empty(level))
			gather_pending(m->pt, m->gather, before.iova, level - 1);
		if (item_replace(slot, old, table_item(new, level)))
			return 0;
		ret = MAP_SLOT_CHANGED;
	}
	table_discard(m, new, level - 1, 0, items_in(m->pt, level - 1));
	map_go_back(m, &before);
	return ret;
}

static int map_table(struct map *m, uint64_t *table, unsigned int level);

/*
 * Map the part of the range under one slot that cannot be a leaf. May return
 * MAP_TABLE_DEAD, for the table with the slot.
 */
static int map_slot(struct map *m, uint64_t *slot, unsigned int level)
{
	bool counted = false;
	int ret;

	do {
		uint64_t item = item_load(slot);

		if (item != pt_empty(level)) {
			ret = -EADDRINUSE;
			if (!pt_is_leaf(item, level))
				ret = map_table(m, item_to_table(item), level - 1);
			if (ret != MAP_TABLE_DEAD)
				break;
		}
		ret = link_new(m, slot, level, item, &counted);
		if (!ret && item == pt_empty(level))
			return 0;
	} while (ret == MAP_SLOT_CHANGED);
	/* Another thread has linked the table in the slot, and has counted it. */
	if (counted)
		live_add(slot_page(m->pt, slot, level), -1, false);
	return ret;
}

/*
 * The first slot of a table may hold a former top that is empty but not yet removed by
 * the thread that put the table above it. A range from 0 on is then mapped below the
 * former top, though it might have larger leaves here.
 */
static inline bool has_former_top(const struct map *m, const uint64_t *slot, unsigned int level)
{
	return PT_GROWS && !m->iova && level >= PT_LEVELS_AT_FIRST &&
	       pt_is_table(item_load(slot), level);
}

/* Map the part of the range that this linked table spans. May return MAP_TABLE_DEAD. */
static int map_table(struct map *m, uint64_t *table, unsigned int level)
{
	unsigned int index = index_of(m->pt, m->iova, level);
	unsigned int items = items_in(m->pt, level);
	int ret = 0;

	while (m->left && index < items && !ret) {
		uint64_t *slot = &table[index];
		unsigned int n = leaf_slots(m, level, items - index);

		if (!n || has_former_top(m, slot, level)) {
			ret = map_slot(m, slot, level);
			index++;
		} else {
			struct leaves leaves = leaves_of(m, level, n);

			ret = place_leaves(&leaves, slot, false);
			if (!ret)
				advance(m, level, n);
			index += n;
		}
	}
	return ret;
}

#include "pgtable/engine_grow.h"

static inline int map_range(struct map *m, uint64_t top)
{
	uint64_t wide = (m->iova ^ map_last(m)) | (m->left + m->rest), *table;
	unsigned int level;

	table = descend(m->pt, top, m->iova, wide, &level);
	return map_table(m, table, level);
}

/* Map the rest of the range, from the present top. */
static __noinline int map_from_top(struct map *m)
{
	uint64_t top = top_load(m->pt);
	bool fits = !PT_GROWS || !above_top(top, map_last(m));
	int ret = 0;

	/* What the present top spans comes first, unless leaves may be larger than that. */
	if (fits || (m->iova && !above_top(top, m->iova)))
		ret = map_table(m, top_table(top), top_level(top));
	/* Another thread, in publish_instead(), maps all that this top spans. */
	if (PT_GROWS && ret == MAP_TABLE_DEAD && top_load(m->pt) == top)
		return -EADDRINUSE;
	return fits || ret ? ret : map_above(m, top);
}

/* Undo a mapping of size bytes that began at iova and failed at m->iova. */
static __noinline void map_undo(struct map *m, uint64_t iova, uint64_t size)
{
	struct unmap u = {.pt = m->pt, .gather = m->gather, .iova = iova, .left = m->iova - iova};

	/* A table that was counted but not used in the end may have a count of 0 now. */
	reap(m->pt, m->iova, 0, m->gather);
	if (u.left)
		unmap_from_top(&u);
	/* Beyond m->iova, too, items were visible for a moment before one that was in use. */
	iommu_iotlb_gather_add_range(m->gather, iova, size);
}

/*
 * Try again after a failure, as long as an allocation fails because what a shrinker has
 * unmapped is freed only after the read-side critical section. Each try is a new
 * section.
 */
static __cold int map_retry(struct map *m, const struct map_place *start)
{
	int ret = -ENOMEM;

	for (unsigned int tries = 0; ret == -ENOMEM && tries < MAP_TRIES; tries++) {
		if (!m->self->failed_for_deferred || rcu_is_nested(m->self))
			break;
		rcu_read_unlock(m->self, true);
		m->pt->sync(m->pt, m->gather);
		rcu_free_deferred(m->self);
		rcu_read_lock(m->self);
		map_go_back(m, start);
		do
			ret = map_from_top(m);
		while (ret > 0);
		if (ret)
			map_undo(m, start->iova, start->left + start->rest);
	}
	return ret;
}

/* The slow path of a map call, for a caller in a read-side critical section. */
static __noinline int map_anything(struct map *m)
{
	uint64_t iova = m->iova, size = m->left + m->rest, top = top_load(m->pt);
	struct map_place start = map_place(m);
	int ret;

	m->stream = size >> pt_shift(1) >= PT_STREAM_TABLES;
	ret = above_top(top, iova + size - 1) ? MAP_TOP_CHANGED : map_range(m, top);
	/* Each time, another thread has made progress. The top changes a few times at most. */
	while (unlikely(ret > 0))
		ret = map_from_top(m);
	if (unlikely(ret)) {
		map_undo(m, iova, size);
		if (ret == -ENOMEM)
			ret = map_retry(m, &start);
	}
	map_end(m);
	return ret;
}

/* A device may have cached tables that were unlinked before the new mapping was linked. */
static inline void flush_if_unflushed(const struct pgtable *pt, uint64_t iova, uint64_t size,
				      struct iommu_iotlb_gather *gather)
{
	if (likely(!range_is_unflushed(pt, iova, size)))
		return;
	gather->tables = true;
	iommu_iotlb_gather_add_range(gather, iova, size);
}

/*
 * The common case, which allocates nothing: the range becomes leaves of one table of
 * the lowest level that exists. Returns false if this is not the case.
 */
static inline bool map_in_place(struct pgtable *pt, uint64_t iova, uint64_t paddr, uint64_t size,
				uint64_t attrs, bool single)
{
	struct leaves leaves = {pt,    attrs, iova, paddr, 0, (unsigned int)(size >> PT_PAGE_LG2),
				false, false};
	uint64_t *slot = lowest_slot(pt, iova, size);

	return likely(slot) && likely(!place_leaves(&leaves, slot, single));
}

static __noinline int map_leaves_or_more(struct pgtable *pt, uint64_t iova, uint64_t paddr,
					 uint64_t size, uint64_t attrs, gfp_t gfp,
					 struct iommu_iotlb_gather *gather)
{
	struct mm_thread *self = mm_thread_self();
	bool outermost, single;
	int ret = 0;

	outermost = rcu_read_lock_single(self, &single);
	if (unlikely(!map_in_place(pt, iova, paddr, size, attrs, single))) {
		struct map m;

		if (single)
			rcu_single_end(self);
		map_begin(&m, pt, gather, gfp);
		m.attrs = attrs;
		m.iova = iova;
		m.paddr = paddr;
		m.left = size;
		ret = map_anything(&m);
	}
	if (!ret)
		flush_if_unflushed(pt, iova, size, gather);
	rcu_read_unlock(self, outermost);
	return ret;
}

static inline uint64_t attrs_of(const struct pgtable *pt, int prot)
{
	uint64_t attrs = pt_attrs(prot);

	/* For formats that begin a mapping dirty, to spare hardware the write. */
	if (item_is_dirty(pt_attrs(IOMMU_READ | IOMMU_WRITE)) &&
	    unlikely(atomic_load_explicit(&pt->track_dirty, memory_order_relaxed)))
		attrs = item_make_clean(attrs);
	return attrs;
}

static int engine_map(struct pgtable *pt, uint64_t iova, uint64_t paddr, uint64_t size, int prot,
		      gfp_t gfp, struct iommu_iotlb_gather *gather)
{
	uint64_t attrs = attrs_of(pt, prot);

	if (likely(size == BIT_ULL(PT_PAGE_LG2)) && likely(map_page(pt, iova, paddr, attrs)))
		return 0;
	if (unlikely(!range_fits(pt, iova, iova + size - 1) || !oa_fits(paddr + size - 1)))
		return -ERANGE;
	return map_leaves_or_more(pt, iova, paddr, size, attrs, gfp, gather);
}
