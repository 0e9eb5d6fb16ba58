/* SPDX-License-Identifier: MIT */
/*
 * The unmapping half of the engine. The head of engine.h describes how threads share a
 * set of tables. Nothing here allocates, and nothing fails.
 */

struct unmap {
	struct pgtable *pt;
	struct iommu_iotlb_gather *gather;
	uint64_t iova, left; /* the rest of the range */
	uint64_t total;      /* bytes unmapped, all of them before iova */
	bool hole;           /* found something that is not mapped: stop */
};

/*
 * Clear the leaves of the range in this table from *index on, where there is a leaf.
 * Entries are cleared whole, also if they extend beyond an end of the range. Returns
 * the number of slots, and moves *index behind the last one.
 */
static inline unsigned int clear_leaves(struct unmap *u, uint64_t *table, unsigned int level,
					unsigned int *index)
{
	unsigned int shift = pt_shift(level), first = *index, n = items_in(u->pt, level) - first;
	uint64_t into = u->iova & (BIT_ULL(shift) - 1), done;
	uint64_t slots = ((into + u->left - 1) >> shift) + 1;
	unsigned int begin = first, end;

	n = slots < n ? (unsigned int)slots : n;
	end = first + n;
	if (PT_RUNS) {
		unsigned int run = pt_run_lg2(item_load(&table[first]), level);
		uint64_t last = item_load(&table[end - 1]);

		begin = first >> run << run;
		if (last != pt_empty(level) && pt_is_leaf(last, level)) {
			run = pt_run_lg2(last, level);
			end = ((end - 1) >> run << run) + (1u << run);
		}
	}
	n = clear_prefix(&table[first], level, end - first);
	end = first + n;
	if (PT_RUNS && begin < first) {
		clear_items(&table[begin], level, first - begin);
		into += (uint64_t)(first - begin) << shift;
		first = begin;
	}
	done = ((uint64_t)(end - first) << shift) - into;
	u->total += done + into;
	u->iova += done;
	u->left -= MIN(u->left, done);
	*index = end;
	return end - first;
}

/* Are all items of a table in use? */
static inline bool table_full(const struct page *page, unsigned int level)
{
	return live_load(page) == 1 << pt_index_lg2(level);
}

/*
 * Is every address under this table, which is not the top, mapped? Sets *leaves if all
 * its own items are leaves.
 */
static bool subtree_full(const uint64_t *table, unsigned int level, bool *leaves)
{
	unsigned int items = 1u << pt_index_lg2(level);
	bool below;

	*leaves = true;
	if (!table_full(table_page(table), level))
		return false;
	PT_STEP();
	if (!level || all_leaves(table, items))
		return true;
	*leaves = false;
	for (unsigned int i = 0; i < items; i++) {
		uint64_t item = item_load(&table[i]);

		if (pt_is_leaf(item, level))
			continue;
		if (level == 1 ? !table_full(item_page(item), 0)
			       : !subtree_full(item_to_table(item), level - 1, &below))
			return false;
	}
	return true;
}

/* Kill a table that no thread can reach any more, and put it before next in a list. */
static inline struct page *retire(struct page *page, struct page *next)
{
	live_set(page, PT_DEAD);
	page->zeroed = false;
	page->next = next;
	return page;
}

/* Gather all tables of the lowest level under a table that no thread can reach any more. */
static void lowest_gather(struct unmap *u, const uint64_t *table)
{
	struct page *list = u->gather->freelist;
	unsigned int gone = 0;

	for (unsigned int i = 0; i < items_in(u->pt, 1); i++) {
		uint64_t item = item_peek(&table[i]);

		if (!pt_is_table(item, 1))
			continue;
		list = retire(item_page(item), list);
		gone++;
	}
	u->gather->freelist = list;
	u->gather->gone[0] += gone;
}

/*
 * Gather a table that no thread can reach any more, and, unless all its items are
 * leaves, all tables below it.
 */
static void subtree_gather(struct unmap *u, uint64_t *table, unsigned int level, bool leaves)
{
	if (level == 1 && !leaves)
		lowest_gather(u, table);
	for (unsigned int i = 0; level > 1 && !leaves && i < items_in(u->pt, level); i++) {
		uint64_t item = item_peek(&table[i]), *child = item_to_table(item);

		if (pt_is_table(item, level))
			subtree_gather(u, child, level - 1,
				       all_leaves(child, items_in(u->pt, level - 1)));
	}
	u->gather->freelist = retire(table_page(table), u->gather->freelist);
	u->gather->gone[level]++;
}

static unsigned int unmap_items(struct unmap *u, uint64_t *table, unsigned int level);

/*
 * Unmap the part of the range under a slot with a table. Returns true if the slot is
 * empty now.
 */
static bool unmap_slot(struct unmap *u, uint64_t *slot, uint64_t item, unsigned int level)
{
	uint64_t size = BIT_ULL(pt_shift(level)), *child = item_to_table(item), iova = u->iova;
	unsigned int gone;
	bool leaves;

	/* The whole range of the table is the caller's, so no other thread changes it. */
	if (!(iova & (size - 1)) && u->left >= size && subtree_full(child, level - 1, &leaves)) {
		bool emptied;

		gather_pending(u->pt, u->gather, iova, level - 1);
		emptied = slot_clear(slot, level, child);
		subtree_gather(u, child, level - 1, leaves);
		u->iova += size;
		u->left -= size;
		u->total += size;
		return emptied;
	}
	gone = unmap_items(u, child, level - 1);
	return gone && table_put(table_page(child), gone, false) &&
	       table_unlink(u->pt, slot, child, iova, level, u->gather);
}

/* Unmap the part of the range under this table. Returns how many of its items are empty now. */
static unsigned int unmap_items(struct unmap *u, uint64_t *table, unsigned int level)
{
	unsigned int index = index_of(u->pt, u->iova, level), gone = 0;
	unsigned int items = items_in(u->pt, level);

	while (u->left && index < items && !u->hole) {
		uint64_t item = item_load(&table[index]);

		if (item == pt_empty(level))
			u->hole = true;
		else if (pt_is_leaf(item, level))
			gone += clear_leaves(u, table, level, &index);
		else
			gone += unmap_slot(u, &table[index++], item, level);
	}
	return gone;
}

static void unmap_range(struct unmap *u, uint64_t top)
{
	uint64_t iova = u->iova, wide = (iova ^ (iova + u->left - 1)) | u->left, *table;
	unsigned int level, gone;

	table = descend(u->pt, top, iova, wide, &level);
	gone = unmap_items(u, table, level);
	if (gone && live_add(table_page(table), -(int)gone, false) == (int)gone)
		reap(u->pt, iova, level, u->gather);
}

/* The same from the present top. */
static inline void unmap_from_top(struct unmap *u)
{
	uint64_t top = top_load(u->pt);

	if (!above_top(top, u->iova))
		unmap_range(u, top);
}

static __noinline uint64_t unmap_anything(struct pgtable *pt, uint64_t iova, uint64_t size,
					  struct iommu_iotlb_gather *gather)
{
	struct unmap u = {.pt = pt, .gather = gather, .iova = iova, .left = size};

	unmap_from_top(&u);
	if (u.total)
		iommu_iotlb_gather_add_range(gather, u.iova - u.total, u.total);
	return u.total;
}

/*
 * The common case: leaves of one table of the lowest level, none of which belongs to an
 * entry that extends beyond the range. Returns the bytes unmapped, or 0 with nothing
 * changed.
 */
static inline uint64_t unmap_leaves(struct pgtable *pt, uint64_t iova, uint64_t size, bool single,
				    struct iommu_iotlb_gather *gather)
{
	unsigned int index = index_of(pt, iova, 0), n = (unsigned int)(size >> PT_PAGE_LG2);
	uint64_t *slot = lowest_slot(pt, iova, size);

	if (unlikely(!slot))
		return 0;
	if (PT_RUNS) {
		unsigned int run = pt_run_lg2(item_load(slot), 0);
		unsigned int run_last = pt_run_lg2(item_load(&slot[n - 1]), 0);

		if ((index & ((1u << run) - 1)) || ((index + n) & ((1u << run_last) - 1)))
			return 0;
	}
	n = clear_prefix(slot, 0, n);
	if (unlikely(!n))
		return 0;
	if (unlikely(live_add(slot_page(pt, slot, 0), -(int)n, single) == (int)n))
		reap(pt, iova, 0, gather);
	size = (uint64_t)n << PT_PAGE_LG2;
	iommu_iotlb_gather_add_range(gather, iova, size);
	return size;
}

static __noinline uint64_t unmap_leaves_or_more(struct pgtable *pt, uint64_t iova, uint64_t size,
						struct iommu_iotlb_gather *gather)
{
	struct mm_thread *self = mm_thread_self();
	bool outermost, single;
	uint64_t unmapped;

	outermost = rcu_read_lock_single(self, &single);
	unmapped = unmap_leaves(pt, iova, size, single, gather);
	if (unlikely(!unmapped)) {
		if (single)
			rcu_single_end(self);
		unmapped = unmap_anything(pt, iova, size, gather);
	}
	rcu_read_unlock(self, outermost);
	return unmapped;
}

static uint64_t engine_unmap(struct pgtable *pt, uint64_t iova, uint64_t size,
			     struct iommu_iotlb_gather *gather)
{
	if (likely(size == BIT_ULL(PT_PAGE_LG2)) && likely(unmap_page(pt, iova))) {
		iommu_iotlb_gather_add_range(gather, iova, size);
		return size;
	}
	if (unlikely(!range_fits(pt, iova, iova + size - 1)))
		return 0;
	return unmap_leaves_or_more(pt, iova, size, gather);
}
