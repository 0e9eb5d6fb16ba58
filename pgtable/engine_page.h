/* SPDX-License-Identifier: MIT */
/*
 * Part of engine.h: one page, mapped or unmapped by a thread that is alone, in a
 * table that is there and stays. So small a call is counted in instructions: here no
 * other function is called, so that nothing is put on the stack. Whatever is not as
 * simple is left for the functions that can do everything.
 */

/* Where a page's item is; NULL if its table is not there. */
static inline uint64_t *page_slot(const struct pgtable *pt, uint64_t iova)
{
	uint64_t top = top_load(pt);

	return PT_WALK(walk_to_slot, top_level(top) + 1, top_table(top), iova, top_mask(pt));
}

/* False if that was not so simple, and nothing was changed. */
static inline bool map_page(struct pgtable *pt, uint64_t iova, uint64_t paddr, uint64_t attrs)
{
	struct mm_thread *self = plat_self;
	bool done = false;
	uint64_t *slot;

	if (unlikely(!address_fits(pt, iova) || !oa_fits(paddr) || !self ||
		     !rcu_try_read_lock_alone(self)))
		return false;
	slot = page_slot(pt, iova);
	if (likely(slot && item_load(slot) == pt_empty(0))) {
		struct page *page = slot_page(pt, slot, 0);

		done = !table_is_dead(page) && !page_is_unsynced(pt, iova);
		if (likely(done)) {
			live_add(page, 1, true);
			PT_STEP();
			item_store(slot, pt_leaf(attrs, paddr, 0, 0));
		}
	}
	rcu_read_unlock(self, true);
	return done;
}

static inline bool unmap_page(struct pgtable *pt, uint64_t iova)
{
	struct mm_thread *self = plat_self;
	bool done = false;
	uint64_t *slot, item;

	if (unlikely(!address_fits(pt, iova) || !self || !rcu_try_read_lock_alone(self)))
		return false;
	slot = page_slot(pt, iova);
	item = likely(slot) ? item_load(slot) : pt_empty(0);
	if (likely(item != pt_empty(0) && (!PT_RUNS || !pt_run_lg2(item, 0)))) {
		struct page *page = slot_page(pt, slot, 0);

		done = live_load(page) > 1;
		if (likely(done)) {
			PT_STEP();
			item_store(slot, pt_empty(0));
			live_add(page, -1, true);
		}
	}
	rcu_read_unlock(self, true);
	return done;
}
