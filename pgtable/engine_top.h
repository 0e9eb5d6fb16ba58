/* SPDX-License-Identifier: MIT */
/*
 * Part of engine.h: top tables that grow by a level, for formats that can
 * (PT_GROWS). A top table that is being replaced is dead for a few instructions:
 * who meets it waits for the new one.
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
 * and then the present one goes.
 */
static __noinline int grow_top(struct map *m, uint64_t top)
{
	uint64_t *old = top_table(top);
	unsigned int level = top_level(top);
	struct page *page = virt_to_page(old), *new = table_alloc(m, level + 1, __GFP_ZERO);
	uint64_t taller;
	int live = 0;

	if (!new)
		return -ENOMEM;
	taller = make_top(page_address(new), level + 1);
	if (atomic_compare_exchange_strong(&page->live, &live, PT_DEAD)) {
		atomic_store(&m->pt->top, taller);
		top_gather(m, page, level);
		return 0;
	}
	*(uint64_t *)page_address(new) = pt_table(virt_to_phys(old), level + 1);
	atomic_store(&new->live, 1);
	if (live < 0 || !atomic_compare_exchange_strong(&m->pt->top, &top, taller)) {
		table_discard(m, new, level + 1, 0, 0);
		cpu_relax();
		return 0;
	}
	m->grown++;
	/* Emptied meanwhile by somebody who took it for the top? */
	if (atomic_load(&page->live) == 0)
		reap(m->pt, page_address(new), level + 1, 0, true, m->gather);
	return 0;
}

/* Take a top table away again that the failing call has put over another. */
static __noinline void shrink_top(struct map *m)
{
	uint64_t top = atomic_load(&m->pt->top), item = item_load(top_table(top));
	struct page *page = virt_to_page(top_table(top)), *child;
	int only_child = 1;

	if (item == PT_EMPTY || pt_is_leaf(item, top_level(top)))
		return;
	/* Counted in, the child cannot die before it is the top again. */
	child = virt_to_page(item_to_table(item));
	if (atomic_fetch_add(&child->live, 1) < 0)
		return;
	if (atomic_compare_exchange_strong(&page->live, &only_child, PT_DEAD)) {
		atomic_store(&m->pt->top, make_top(page_address(child), top_level(top) - 1));
		top_gather(m, page, top_level(top));
		atomic_fetch_sub(&child->live, 1);
	} else if (atomic_fetch_sub(&child->live, 1) == 1) {
		reap(m->pt, top_table(top), top_level(top), 0, true, m->gather);
	}
}
