/* SPDX-License-Identifier: MIT */
/*
 * Part of engine.h: top tables that grow (PT_GROWS). The tables that a map call needs
 * above the present top are made and filled where no other thread can reach them, and
 * published by one change of pt->top when nothing can fail any more. So a call that
 * fails leaves the top as it was.
 */

/* The level of a top that spans an address. */
static inline unsigned int level_of_top(uint64_t iova)
{
	unsigned int level = PT_LEVELS_AT_FIRST - 1;

	while (above_tables(iova, level + 1))
		level++;
	return level;
}

/*
 * Link the present top below a taller one that no other thread can reach yet: in the
 * first slot of a table of the next level. Returns that slot; NULL when out of memory.
 */
static uint64_t *link_top(struct map *m, struct page *taller, unsigned int level, uint64_t top)
{
	struct page *page = taller;

	for (; level > top_level(top) + 1; level--) {
		uint64_t *slot = page_table(page);
		uint64_t item = item_peek(slot);
		struct page *child = item == pt_empty(level) ? NULL : item_page(item);

		if (!child) {
			child = table_alloc(m, level - 1, __GFP_ZERO);
			if (!child)
				return NULL;
			item_store(slot, table_item(child, level));
			page->live++;
		}
		page = child;
	}
	item_store(page_table(page), table_item(table_page(top_table(top)), level));
	page->live++;
	return page_table(page);
}

/*
 * Publish a taller top that leads to the present one. Returns false if another thread
 * has changed the top; then there is nothing to undo.
 */
static bool publish_above(struct map *m, uint64_t top, uint64_t taller)
{
	struct page *former = table_page(top_table(top));

	if (!top_replace(m->pt, top, taller))
		return false;
	if (live_add(former, -PT_TOP, false) == PT_TOP)
		reap(m->pt, 0, top_level(top), m->gather);
	return true;
}

/*
 * Publish a taller top that has items of its own for all that the present top spans.
 * The present top must be empty, and is killed so that no other thread can add an item.
 * Returns false if it is not empty, or if another thread has changed the top.
 */
static bool publish_instead(struct map *m, uint64_t top, uint64_t taller)
{
	struct page *former = table_page(top_table(top));
	int empty = PT_TOP;

	PT_STEP();
	if (!atomic_compare_exchange_strong(&former->live, &empty, PT_DEAD + PT_TOP))
		return false;
	gather_pending(m->pt, m->gather, 0, top_level(top));
	if (top_replace(m->pt, top, taller)) {
		former->zeroed = !pt_empty(top_level(top));
		table_gather(m->pt, former, 0, m->gather);
		iommu_iotlb_gather_add_range(m->gather, 0, m->pt->aperture_last);
		return true;
	}
	/* It is below the other thread's top now, and becomes usable again. */
	if (live_add(former, -PT_DEAD, false) == PT_DEAD)
		reap(m->pt, 0, top_level(top), m->gather);
	return false;
}

/* Publish a taller top, with the present top below it, or in place of it if @instead. */
static int publish_top(struct map *m, struct page *taller, unsigned int level, uint64_t top,
		       bool instead)
{
	uint64_t *slot = NULL;

	if (!instead) {
		slot = link_top(m, taller, level, top);
		if (!slot)
			return -ENOMEM;
	}
	if (m->stream)
		items_stream_end();
	taller->live += PT_TOP;
	if (instead ? publish_instead(m, top, make_top(page_table(taller), level))
		    : publish_above(m, top, make_top(page_table(taller), level)))
		return 0;
	if (slot)
		item_store(slot, pt_empty(top_level(top) + 1));
	/*
	 * If the top has not changed, another call maps a part of the range, or has
	 * mapped it.
	 */
	return top_load(m->pt) == top ? -EADDRINUSE : MAP_TOP_CHANGED;
}

/*
 * Put a taller top above the present one, with the rest of the range below it. A range
 * from 0 on covers all that the present top spans, and may have leaves larger than
 * that. May return MAP_TOP_CHANGED.
 */
static __noinline int map_above(struct map *m, uint64_t top)
{
	const struct map_place before = map_place(m);
	unsigned int level = level_of_top(map_last(m));
	struct page *taller;
	int ret;

	if (!before.iova && live_load(table_page(top_table(top))) > PT_TOP)
		return -EADDRINUSE;
	taller = table_alloc(m, level, __GFP_ZERO);
	if (!taller)
		return -ENOMEM;
	ret = map_private(m, taller, level);
	if (!ret) {
		ret = publish_top(m, taller, level, top, !before.iova);
		if (ret)
			table_discard(m, taller, level, 0, items_in(m->pt, level));
	}
	if (ret)
		map_go_back(m, &before);
	return ret;
}
