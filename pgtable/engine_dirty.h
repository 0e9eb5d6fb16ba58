/* SPDX-License-Identifier: MIT */
/*
 * Part of engine.h: the dirty bits of leaves, which hardware sets at any time
 * by an atomic operation of its own. So they are changed by atomic operations
 * only, here and where entries are split.
 */

struct dirty_walk {
	const struct pgtable *pt;
	const struct iommu_dirty_bitmap *dirty;
	uint64_t first, last; /* dirty range that is not reported yet */
	bool pending;
	bool clear;
};

static void dirty_report(struct dirty_walk *w)
{
	struct iommu_iotlb_gather *gather = w->dirty->gather;

	if (!w->pending)
		return;
	w->pending = false;
	if (w->dirty->record)
		w->dirty->record(w->dirty->context, w->first, w->last);
	if (!w->clear)
		return;
	gather->start = MIN(gather->start, w->first);
	gather->last = MAX(gather->last, w->last);
}

static void dirty_add(struct dirty_walk *w, uint64_t first, uint64_t last)
{
	if (!w->pending || first != w->last + 1) {
		dirty_report(w);
		w->first = first;
		w->pending = true;
	}
	w->last = last;
}

/* Is an entry of n items dirty? Hardware marks whichever item it has used. */
static inline bool entry_is_dirty(uint64_t *slot, unsigned int n, bool clear)
{
	bool any = false;

	for (unsigned int i = 0; i < n; i++) {
		bool dirty = item_is_dirty(item_load(&slot[i]));

		any |= dirty;
		if (clear && dirty)
			slot_make_clean(&slot[i]);
	}
	return any;
}

/* What [iova, last], all of it in this table, has below it. */
static void dirty_table(struct dirty_walk *w, uint64_t *table, unsigned int level, uint64_t iova,
			uint64_t last)
{
	unsigned int index = index_of(w->pt, iova, level), end = index_of(w->pt, last, level) + 1;

	while (index < end) {
		uint64_t item = item_load(&table[index]), span = BIT_ULL(pt_shift(level));
		unsigned int n = 1;

		if (item != pt_empty(level) && pt_is_leaf(item, level)) {
			n = 1u << pt_run_lg2(item, level);
			span *= n;
			index &= ~(n - 1);
		}
		span = MIN(last, iova | (span - 1));
		if (item != pt_empty(level) && !pt_is_leaf(item, level))
			dirty_table(w, item_to_table(item), level - 1, iova, span);
		else if (item != pt_empty(level) && entry_is_dirty(&table[index], n, w->clear))
			dirty_add(w, iova, span);
		index += n;
		iova = span + 1;
	}
}

/* The same for a range that may lie beyond the tables. */
static void dirty_range(struct dirty_walk *w, uint64_t top, uint64_t iova, uint64_t last)
{
	unsigned int bits = pt_shift(top_level(top) + 1);

	if (iova > last || above_top(top, iova))
		return;
	if (PT_GROWS && bits < 64)
		last = MIN(last, BIT_ULL(bits) - 1);
	dirty_table(w, top_table(top), top_level(top), iova, last);
}

static void engine_read_dirty(struct pgtable *pt, uint64_t iova, uint64_t last, bool clear,
			      const struct iommu_dirty_bitmap *dirty)
{
	struct dirty_walk w = {.pt = pt, .dirty = dirty, .clear = clear};
	struct mm_thread *self = mm_thread_self();
	bool outermost;
	uint64_t top;

	outermost = rcu_read_lock(self);
	top = atomic_load_explicit(&pt->top, memory_order_acquire);
	dirty_range(&w, top, iova, MIN(last, pt->aperture_last));
	if (PT_SIGNED && pt->sign_extended)
		dirty_range(&w, top, MAX(iova, ~pt->aperture_last), last);
	rcu_read_unlock(self, outermost);
	dirty_report(&w);
}

static bool engine_mark_dirty(struct pgtable *pt, uint64_t iova)
{
	struct mm_thread *self = mm_thread_self();
	bool marked = false, outermost;
	unsigned int level;
	uint64_t top, *table;

	if (!range_fits(pt, iova, iova))
		return false;
	outermost = rcu_read_lock(self);
	top = atomic_load_explicit(&pt->top, memory_order_acquire);
	table = top_table(top);
	for (level = top_level(top); !marked && !above_top(top, iova);) {
		uint64_t *slot = &table[index_of(pt, iova, level)], item = item_load(slot);

		if (item == pt_empty(level))
			break;
		if (pt_is_leaf(item, level)) {
			if (!item_is_dirty(item_make_dirty(item)))
				break; /* it cannot be written */
			marked = item_is_dirty(item) ||
				 item_replace(slot, item, item_make_dirty(item));
			continue;
		}
		table = item_to_table(item);
		level--;
	}
	rcu_read_unlock(self, outermost);
	return marked;
}
