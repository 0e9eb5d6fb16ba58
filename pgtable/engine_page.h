/* SPDX-License-Identifier: MIT */
/*
 * Part of engine.h: one page, mapped or unmapped while no other thread uses the
 * library, in a table that exists and stays. Every instruction counts in so small a
 * call: it calls no function, so that nothing is saved on the stack. All other cases
 * are left to the general functions.
 */

/* The slot of a page; NULL if its table does not exist. */
static inline uint64_t *page_slot(const struct pgtable *pt, uint64_t iova)
{
	uint64_t top = top_load(pt);

	return PT_WALK(walk_to_slot, top_level(top) + 1, top_table(top), iova, top_mask(pt));
}

/* Returns false, with nothing changed, if the case is not that simple. */
static inline bool map_page(struct pgtable *pt, uint64_t iova, uint64_t paddr, uint64_t attrs)
{
	struct mm_thread *self = plat_self;
	bool done = false;
	uint64_t *slot;

	if (unlikely(!address_fits(pt, iova) || !oa_fits(paddr) || !self ||
		     !rcu_try_read_lock_single(self)))
		return false;
	slot = page_slot(pt, iova);
	if (likely(slot && item_load(slot) == pt_empty(0))) {
		struct page *page = slot_page(pt, slot, 0);

		done = !table_is_dead(page) && !page_is_unflushed(pt, iova);
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

	if (unlikely(!address_fits(pt, iova) || !self || !rcu_try_read_lock_single(self)))
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
