/* SPDX-License-Identifier: MIT */
/*
 * Part of engine.h: splitting large entries.
 */

/* Mark all that a table has, which is not linked yet, dirty. */
static void mark_table(uint64_t *table, unsigned int level)
{
	for (unsigned int i = 0; i < PT_ITEMS; i++) {
		if (pt_is_leaf(table[i], level))
			table[i] |= PT_DIRTY;
		else
			mark_table(item_to_table(table[i]), level - 1);
	}
}

/* Make an entry of 2^run items into smaller ones in the same items. */
static void split_run(const struct map *m, uint64_t *slot, unsigned int level, unsigned int run)
{
	unsigned int shift = pt_shift(level), n = 1u << run;
	unsigned int smaller = fls64_index(m->pt->pgsizes >> shift & (BIT_ULL(run) - 1));
	uint64_t dirty = 0;

	for (unsigned int i = 0; i < n; i++)
		dirty |= item_load(&slot[i]) & PT_DIRTY;
	for (unsigned int i = 0; i < n; i++) {
		uint64_t paddr = m->paddr + ((uint64_t)(i >> smaller << smaller) << shift);
		uint64_t item = pt_leaf(m->attrs | dirty, paddr, level, smaller);

		item = __atomic_exchange_n(&slot[i], item, __ATOMIC_SEQ_CST);
		if (item & PT_DIRTY & ~dirty) {
			/* Since we looked, and for every part: begin again. */
			dirty = PT_DIRTY;
			i = ~0u;
		}
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
	while (!item_replace(slot, item, pt_table(virt_to_phys(page_address(new)), level))) {
		item = item_load(slot);
		if (item & PT_DIRTY)
			mark_table(page_address(new), level - 1);
	}
	return 0;
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
