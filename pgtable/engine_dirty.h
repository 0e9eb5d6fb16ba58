/* SPDX-License-Identifier: MIT */
/*
 * Part of engine.h: the dirty bits of leaves. Hardware sets them at any time by atomic
 * operations, so they are changed by atomic operations only, here and where entries are
 * split.
 */
#include "pgtable/items_match.h"

/*
 * record() may call the library, also for the same addresses. So the items after a
 * dirty range are read only after the range was reported, and items read before are
 * read again. If record() has emptied the table that the walk is in, the walk begins
 * again from the top.
 */
struct dirty_walk {
	struct pgtable *pt;
	const struct iommu_dirty_bitmap *dirty;
	uint64_t first, last; /* dirty range that is not reported yet, or that was reported last */
	uint64_t lowest;      /* of all reported ranges */
	bool pending;
	bool reported;
	bool lost; /* record() has emptied the table */
	bool clear;
};

static void dirty_report(struct dirty_walk *w)
{
	if (!w->reported)
		w->lowest = w->first;
	w->reported = true;
	w->pending = false;
	if (w->dirty->record)
		w->dirty->record(w->dirty->context, w->first, w->last);
}

/*
 * Extend the range to what begins at first, or begin a range there. Returns false if
 * the present range must be reported before.
 */
static inline bool dirty_begin(struct dirty_walk *w, uint64_t first)
{
	if (w->pending)
		return first == w->last + 1;
	w->first = first;
	w->pending = true;
	return true;
}

static void dirty_report_in(struct dirty_walk *w, const uint64_t *table)
{
	dirty_report(w);
	w->lost = live_load(table_page(table)) < 0;
}

/* Changes an item only if it is dirty: another thread may unmap or replace it meanwhile. */
static inline void slot_clean(uint64_t *slot)
{
	uint64_t item;

	if (!PT_DIRTY_INVERTED) {
		slot_make_clean(slot);
		return;
	}
	do
		item = item_load(slot);
	while (item_is_dirty(item) && !item_replace(slot, item, item_make_clean(item)));
}

/* Is an entry of n items dirty? Hardware marks the item that it has used. */
static inline bool entry_is_dirty(uint64_t *slot, unsigned int n, bool clear)
{
	bool any = false;

	for (unsigned int i = 0; i < n; i++) {
		bool dirty = item_is_dirty(item_load(&slot[i]));

		any |= dirty;
		if (clear && dirty)
			slot_clean(&slot[i]);
	}
	return any;
}

/* log2 of the items of the entry that an item is part of; 0 where there is no entry. */
static inline unsigned int entry_run(const uint64_t *slot)
{
	uint64_t item = item_load(slot);

	return !PT_RUNS || item == pt_empty(0) ? 0 : pt_run_lg2(item, 0);
}

/* Part of a table of the lowest level: its items, and the addresses that are to be read. */
struct dirty_part {
	uint64_t *table, base; /* address of item 0 */
	uint64_t iova, last;
};

/*
 * Has record() put an entry there that begins before the end of the last reported
 * range? Such an entry is left for the next read.
 */
static inline bool dirty_reaches_back(const struct dirty_walk *w, uint64_t first)
{
	return unlikely(w->reported && first <= w->last);
}

/* Clean n items that begin with an entry of 2^run items, and extend the range to their end. */
static inline void dirty_leaf(struct dirty_walk *w, const struct dirty_part *p, uint64_t *slot,
			      unsigned int n, unsigned int run, uint64_t first)
{
	for (unsigned int i = 0; w->clear && i < n; i++)
		if (!run || item_is_dirty(item_load(&slot[i])))
			slot_clean(&slot[i]);
	w->last = MIN(first + ((uint64_t)n << pt_shift(0)) - 1, p->last);
}

/* The same where record() may have changed what was found: one entry after the other. */
static __noinline unsigned int dirty_items_again(struct dirty_walk *w, const struct dirty_part *p,
						 unsigned int index, unsigned int n, uint64_t found)
{
	unsigned int next = index + n;

	while (found) {
		unsigned int at = index + ffs64_index(found), run, begin;
		uint64_t item = item_load(&p->table[at]), first;

		if (!item_is_dirty(item)) {
			found &= found - 1;
			continue;
		}
		run = PT_RUNS ? pt_run_lg2(item, 0) : 0;
		begin = at >> run << run;
		n = 1u << run;
		first = p->base + ((uint64_t)begin << pt_shift(0));
		if (dirty_reaches_back(w, first)) {
			;
		} else if (dirty_begin(w, MAX(first, p->iova))) {
			dirty_leaf(w, p, &p->table[begin], n, run, first);
		} else {
			dirty_report_in(w, p->table);
			if (w->lost)
				break;
			continue; /* read the same item again */
		}
		next = MAX(next, begin + n);
		found = begin + n - index < ITEMS_MATCH ? found & ~0ULL << (begin + n - index) : 0;
	}
	return next;
}

/*
 * n items from index on, of which the bits of found are dirty, bit 0 the first. Returns
 * the index where to go on.
 */
static inline unsigned int dirty_items(struct dirty_walk *w, const struct dirty_part *p,
				       unsigned int index, unsigned int n, uint64_t found)
{
	unsigned int next = index + n;

	while (found) {
		unsigned int at = ffs64_index(found), run = entry_run(&p->table[index + at]);
		unsigned int begin = (index + at) >> run << run, count = 1u << run;
		uint64_t first = p->base + ((uint64_t)begin << pt_shift(0));

		if (unlikely(!dirty_begin(w, MAX(first, p->iova))))
			return dirty_items_again(w, p, index, n, found);
		/* There are several entries of one item, or one entry of several items. */
		if (!PT_RUNS)
			count = ~(found >> at) ? ffs64_index(~(found >> at)) : ITEMS_MATCH;
		dirty_leaf(w, p, &p->table[begin], count, run, first);
		at = begin + count - index;
		next = MAX(next, begin + count);
		found = at < ITEMS_MATCH ? found & ~0ULL << at : 0;
	}
	return next;
}

/* Read the dirty entries of [iova, last], all of it in this table of the lowest level. */
static void dirty_leaves(struct dirty_walk *w, uint64_t *table, uint64_t iova, uint64_t last)
{
	const uint64_t dirty = PT_DIRTY_INVERTED ? PT_DIRTY_NEEDS : PT_DIRTY_NEEDS | PT_DIRTY;
	unsigned int index = index_of(w->pt, iova, 0), end = index_of(w->pt, last, 0), run;
	struct dirty_part p = {.table = table, .iova = iova, .last = last};

	p.base = (iova >> pt_shift(0) << pt_shift(0)) - ((uint64_t)index << pt_shift(0));
	/* Read whole entries, any item of which may be the dirty one. */
	run = entry_run(&table[end]);
	end = ((end >> run) + 1) << run;
	run = entry_run(&table[index]);
	index = index >> run << run;
	if (dirty_reaches_back(w, p.base + ((uint64_t)index << pt_shift(0))))
		index += 1u << run;
	while (index < end && !w->lost) {
		unsigned int n = MIN(end - index, ITEMS_MATCH);
		uint64_t found;

		PT_STEP();
		found = items_match(&table[index], n, item_swap(PT_DIRTY_NEEDS | PT_DIRTY),
				    item_swap(dirty));

		index = dirty_items(w, &p, index, n, found);
	}
}

/* Read what [iova, last], all of it in this table, has below it. */
static void dirty_table(struct dirty_walk *w, uint64_t *table, unsigned int level, uint64_t iova,
			uint64_t last)
{
	unsigned int index = index_of(w->pt, iova, level), end = index_of(w->pt, last, level) + 1;

	if (!level) {
		dirty_leaves(w, table, iova, last);
		return;
	}
	while (index < end && !w->lost) {
		uint64_t item = item_load(&table[index]), span = BIT_ULL(pt_shift(level)), end_here;
		unsigned int n = 1;

		if (item != pt_empty(level) && pt_is_leaf(item, level)) {
			n = 1u << pt_run_lg2(item, level);
			span *= n;
			index &= ~(n - 1);
		}
		end_here = MIN(last, iova | (span - 1));
		if (pt_is_table(item, level)) {
			dirty_table(w, item_to_table(item), level - 1, iova, end_here);
		} else if (item != pt_empty(level) && entry_is_dirty(&table[index], n, false)) {
			if (dirty_reaches_back(w, iova & ~(span - 1))) {
				;
			} else if (dirty_begin(w, iova)) {
				entry_is_dirty(&table[index], n, w->clear);
				w->last = end_here;
			} else {
				dirty_report_in(w, table);
				index = index_of(w->pt, iova, level);
				continue;
			}
		}
		index += n;
		iova = end_here + 1;
	}
}

/* The same for a range that may extend beyond the tables. */
static void dirty_range(struct dirty_walk *w, uint64_t iova, uint64_t last)
{
	do {
		uint64_t top = top_load(w->pt);
		unsigned int bits = pt_shift(top_level(top) + 1);

		if (iova > last || above_top(top, iova))
			return;
		if (PT_GROWS && bits < 64)
			last = MIN(last, BIT_ULL(bits) - 1);
		w->lost = false;
		dirty_table(w, top_table(top), top_level(top), iova, last);
		iova = MAX(iova, w->last + 1);
	} while (w->lost);
}

static void engine_read_dirty(struct pgtable *pt, uint64_t iova, uint64_t last, bool clear,
			      const struct iommu_dirty_bitmap *dirty)
{
	struct dirty_walk w = {.pt = pt, .dirty = dirty, .clear = clear};
	struct mm_thread *self = mm_thread_self();
	struct mm_call call;
	bool outermost;

	outermost = rcu_read_lock(self);
	mm_call_begin(self, &call, pt);
	dirty_range(&w, iova, MIN(last, pt->aperture_last));
	if (PT_SIGNED && pt->sign_extended)
		dirty_range(&w, MAX(iova, ~pt->aperture_last), last);
	rcu_read_unlock(self, outermost);
	call.read_lock_held = !outermost;
	if (w.pending)
		dirty_report(&w);
	mm_call_end(self, &call);
	if (clear && w.reported) {
		dirty->gather->start = MIN(dirty->gather->start, w.lowest);
		dirty->gather->last = MAX(dirty->gather->last, w.last);
	}
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
	top = top_load(pt);
	table = top_table(top);
	for (level = top_level(top); !marked && !above_top(top, iova);) {
		uint64_t *slot = &table[index_of(pt, iova, level)], item = item_load(slot);

		if (item == pt_empty(level))
			break;
		if (pt_is_leaf(item, level)) {
			if (!item_is_dirty(item_make_dirty(item)))
				break; /* the entry is not writable */
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
