/* SPDX-License-Identifier: MIT */
/*
 * Part of engine.h: entries made into smaller ones of the same translation, while
 * hardware uses them and may mark them dirty.
 */

/* Mark all that a table has, which is not linked yet, dirty. */
static void mark_table(const struct pgtable *pt, uint64_t *table, unsigned int level)
{
	for (unsigned int i = 0; i < items_in(pt, level); i++) {
		uint64_t item = item_load(&table[i]);

		if (pt_is_leaf(item, level))
			item_store(&table[i], item_make_dirty(item));
		else
			mark_table(pt, item_to_table(item), level - 1);
	}
}

/*
 * Make an entry of 2^run items into smaller ones in the same items. Hardware
 * marks any one of them dirty, also while we go along: then begin again.
 */
static void split_run(const struct map *m, uint64_t *slot, unsigned int level, unsigned int run)
{
	unsigned int shift = pt_shift(level), n = 1u << run;
	unsigned int smaller = fls64_index(m->pt->pgsizes >> shift & (BIT_ULL(run) - 1));
	unsigned int same = PT_RUN_ADDRESSES ? 0 : smaller;
	uint64_t attrs = m->attrs;

	for (unsigned int i = 0; i < n;) {
		uint64_t paddr = m->paddr + ((uint64_t)(i >> same << same) << shift);
		uint64_t item = pt_leaf(attrs, paddr, level, smaller);
		bool dirty;

		item = __atomic_exchange_n(&slot[i], item_swap(item), __ATOMIC_SEQ_CST);
		dirty = item_is_dirty(item_swap(item));
		i = dirty && !item_is_dirty(attrs) ? 0 : i + 1;
		if (dirty)
			attrs = item_make_dirty(attrs);
	}
}

/* Make one leaf entry of 2^run slots into smaller ones, dirty if it was. */
static int split_entry(struct map *m, uint64_t *slot, unsigned int level, unsigned int run)
{
	uint64_t item = item_load(slot);
	struct page *new;
	int ret;

	m->attrs = item & PT_ATTRS_MASK;
	if (run) {
		split_run(m, slot, level, run);
		return 0;
	}
	m->max_level = level - 1;
	ret = map_new(m, level - 1, &new);
	if (ret)
		return ret;
	/* Hardware may mark the old entry up to the last moment. */
	while (!item_replace(slot, item, table_item(new, level))) {
		item = item_load(slot);
		if (item_is_dirty(item))
			mark_table(m->pt, page_table(new), level - 1);
	}
	return 0;
}

static int split_at(struct pgtable *pt, uint64_t iova, gfp_t gfp, struct iommu_iotlb_gather *gather)
{
	struct map m = {.pt = pt, .self = mm_thread_self(), .gather = gather, .gfp = gfp};
	uint64_t top, *table;
	unsigned int level;
	bool outermost;
	int ret = 0;

	if (!range_fits(pt, iova, iova))
		return 0;
	map_begin(&m, pt, gather, gfp);
	outermost = rcu_read_lock(m.self);
	top = top_load(pt);
	table = top_table(top);
	for (level = top_level(top); !ret && !above_top(top, iova);) {
		uint64_t *slot = &table[index_of(pt, iova, level)], item = item_load(slot);
		unsigned int bits;

		if (item == pt_empty(level))
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
		m.paddr = pt_leaf_oa(item, level) & ~(BIT_ULL(bits) - 1);
		m.left = BIT_ULL(bits);
		ret = split_entry(&m, &table[index_of(pt, m.iova, level)], level,
				  pt_run_lg2(item, level));
	}
	rcu_read_unlock(m.self, outermost);
	map_end(&m);
	return ret;
}

static int engine_split(struct pgtable *pt, uint64_t iova, gfp_t gfp,
			struct iommu_iotlb_gather *gather)
{
	struct mm_thread *self = mm_thread_self();
	int ret = split_at(pt, iova, gfp, gather);

	/* As map_retry(). */
	for (unsigned int tries = 0;
	     ret == -ENOMEM && self->short_of_own && !rcu_in_section(self) && tries < MAP_TRIES;
	     tries++) {
		rcu_free_own(self);
		ret = split_at(pt, iova, gfp, gather);
	}
	return ret;
}
