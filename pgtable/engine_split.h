/* SPDX-License-Identifier: MIT */
/*
 * Part of engine.h: splitting large entries.
 */

/* Make one leaf entry of 2^run slots into smaller ones. */
static int split_entry(struct map *m, uint64_t *slot, unsigned int level, unsigned int run)
{
	unsigned int shift = pt_shift(level);
	uint64_t item = *slot;
	struct page *new;
	int ret;

	m->attrs = item & PT_ATTRS_MASK;
	if (run) {
		unsigned int smaller = fls64_index(m->pt->pgsizes >> shift & (BIT_ULL(run) - 1));
		uint64_t step = pt_leaf(0, BIT_ULL(shift), level, 0) - pt_leaf(0, 0, level, 0);

		items_fill(slot, pt_leaf(m->attrs, m->paddr, level, smaller), step, 1u << run,
			   smaller);
		return 0;
	}
	m->max_level = level - 1;
	ret = map_new(m, level - 1, &new);
	if (!ret)
		item_replace(slot, item, pt_table(virt_to_phys(page_address(new)), level));
	return ret;
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
		uint64_t *slot = &table[index_of(iova, level)], item = item_load(slot);
		unsigned int bits;

		if (item == PT_EMPTY)
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
		m.paddr = pt_leaf_oa(item, level);
		m.left = BIT_ULL(bits);
		ret = split_entry(&m, &table[index_of(m.iova, level)], level,
				  pt_run_lg2(item, level));
	}
	rcu_read_unlock(m.self);
	map_end(&m);
	return ret;
}
