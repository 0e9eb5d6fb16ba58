/* SPDX-License-Identifier: MIT */
/*
 * Part of engine.h: entries replaced by smaller ones of the same translation, while
 * hardware uses them and may mark them dirty.
 *
 * Most hardware may meet an entry and its parts at the same time, since both translate
 * alike: the items are replaced one by one, and the larger entry is flushed afterwards.
 * If PT_BREAKS is set, that is a TLB conflict unless the hardware has break-before-make
 * level 2: then the entry is emptied and flushed, and only then are the parts stored.
 * Its items stay in the table's count meanwhile, so that the table stays.
 * docs/formats.md has the rules of each format.
 */

/* The most tables that the items of one entry are replaced by. */
#define SPLIT_TABLES 2

/* An entry that is being split. */
struct split {
	uint64_t *slot; /* its first item; NULL if it is split, or if there was nothing to split */
	uint64_t cut;   /* no part may extend across this address */
	uint64_t iova, paddr; /* where the entry begins */
	uint64_t attrs;
	unsigned int level, run_lg2;
	uint64_t tables[SPLIT_TABLES]; /* items of these tables, by the number of the slot */
};

/* Is an address inside a range, and not at its start? */
static inline bool is_within(uint64_t iova, uint64_t first, uint64_t size)
{
	return iova > first && iova - first < size;
}

/*
 * Make the table of a level from m->iova on, full of leaves none of which extends
 * across the cut.
 */
static int split_table(struct map *m, unsigned int level, uint64_t cut, struct page **new)
{
	uint64_t span = BIT_ULL(pt_shift(level + 1)), first = m->iova, *table;
	unsigned int items = items_in(m->pt, level), index = 0;
	struct page *child;
	int ret = 0;

	*new = table_alloc(m, level, 0);
	if (!*new)
		return -ENOMEM;
	table = page_table(*new);
	while (index < items) {
		unsigned int n;

		m->left = span - (m->iova - first);
		if (is_within(cut, m->iova, m->left))
			m->left = cut - m->iova;
		n = leaf_slots(m, level, items - index);
		if (n) {
			struct leaves leaves = leaves_of(m, level, n);

			write_leaves(&leaves, &table[index]);
			advance(m, level, n);
			index += n;
			continue;
		}
		ret = split_table(m, level - 1, cut, &child);
		if (ret)
			break;
		item_store(&table[index++], table_item(child, level));
	}
	live_set(*new, (int)index);
	if (ret)
		table_discard(m, *new, level, 0, index);
	return ret;
}

/*
 * log2 of the items of the largest entry that has the i-th item and does not extend
 * across the cut; -1 if the item must lead to a table.
 */
static int part_run_lg2(const struct pgtable *pt, const struct split *s, unsigned int i)
{
	unsigned int shift = pt_shift(s->level);
	uint64_t sizes = pt->pgsizes >> shift & (BIT_ULL(s->run_lg2) - 1);

	while (sizes) {
		unsigned int run = fls64_index(sizes);
		uint64_t first = s->iova + ((uint64_t)(i >> run << run) << shift);

		if (!is_within(s->cut, first, BIT_ULL(shift + run)))
			return (int)run;
		sizes &= ~BIT_ULL(run);
	}
	return -1;
}

/* What the i-th item of the entry is replaced by. */
static uint64_t part_item(const struct pgtable *pt, const struct split *s, unsigned int i)
{
	int run = part_run_lg2(pt, s, i);

	if (run < 0)
		return s->tables[i % SPLIT_TABLES];
	if (!PT_RUN_ADDRESSES)
		i = i >> run << run;
	return pt_leaf(s->attrs, s->paddr + ((uint64_t)i << pt_shift(s->level)), s->level,
		       (unsigned int)run);
}

/* Make the tables that items of the entry will lead to. */
static int split_tables(struct map *m, struct split *s)
{
	unsigned int level = s->level;

	for (unsigned int i = 0; i < 1u << s->run_lg2; i++) {
		uint64_t offset = (uint64_t)i << pt_shift(level);
		struct page *new;

		if (part_run_lg2(m->pt, s, i) >= 0)
			continue;
		m->iova = s->iova + offset;
		m->paddr = s->paddr + offset;
		if (!split_table(m, level - 1, s->cut, &new)) {
			s->tables[i % SPLIT_TABLES] = table_item(new, level);
			continue;
		}
		for (unsigned int k = 0; k < SPLIT_TABLES; k++)
			if (s->tables[k])
				table_discard(m, item_page(s->tables[k]), level - 1, 0,
					      items_in(m->pt, level - 1));
		return -ENOMEM;
	}
	return 0;
}

/* Mark all leaves in and below a table dirty. Hardware may be setting dirty bits as well. */
static void mark_table(const struct pgtable *pt, uint64_t *table, unsigned int level)
{
	for (unsigned int i = 0; i < items_in(pt, level); i++) {
		uint64_t item = item_load(&table[i]);

		if (pt_is_table(item, level)) {
			mark_table(pt, item_to_table(item), level - 1);
			continue;
		}
		while (!item_replace(&table[i], item, item_make_dirty(item)))
			item = item_load(&table[i]);
	}
}

/* The entry is dirty, so all its parts begin dirty. */
static void split_mark_dirty(const struct pgtable *pt, struct split *s)
{
	s->attrs = item_make_dirty(s->attrs);
	for (unsigned int k = 0; k < SPLIT_TABLES; k++)
		if (s->tables[k])
			mark_table(pt, item_to_table(s->tables[k]), s->level - 1);
}

/*
 * Replace the items while hardware uses them. If hardware marks one dirty meanwhile,
 * begin again.
 */
static void split_live(const struct pgtable *pt, struct split *s)
{
	for (unsigned int i = 0; i < 1u << s->run_lg2;) {
		uint64_t item = item_load(&s->slot[i]), part = part_item(pt, s, i);

		if (pt_is_table(item, s->level)) {
			i++;
		} else if (item_is_dirty(item) && !item_is_dirty(s->attrs)) {
			split_mark_dirty(pt, s);
			i = 0;
		} else if (item_replace(&s->slot[i], item, part)) {
			i++;
		}
	}
	s->slot = NULL;
}

/* Empty the items. From here to the end of the split nothing is translated there. */
static void split_break(const struct pgtable *pt, struct split *s)
{
	bool dirty = false;

	for (unsigned int i = 0; i < 1u << s->run_lg2; i++) {
		uint64_t item;

		do
			item = item_load(&s->slot[i]);
		while (!item_replace(&s->slot[i], item, pt_empty(s->level)));
		dirty |= item_is_dirty(item);
	}
	if (dirty && !item_is_dirty(s->attrs))
		split_mark_dirty(pt, s);
}

/* May hardware not meet an entry and its parts at the same time? */
static inline bool must_break(const struct pgtable *pt)
{
	return PT_BREAKS && !(pt->features & IOMMU_FEATURE_BBML2);
}

/* Split the leaf entry that the item in a slot is part of. */
static int split_entry(struct map *m, uint64_t *slot, unsigned int level, struct split *s)
{
	uint64_t item = item_load(slot);
	unsigned int run = pt_run_lg2(item, level), index = index_of(m->pt, s->cut, level);
	uint64_t size = BIT_ULL(pt_shift(level) + run);
	int ret;

	if (!(s->cut & (size - 1)))
		return 0;
	s->slot = slot - (index & ((1u << run) - 1));
	s->iova = s->cut & ~(size - 1);
	s->paddr = pt_leaf_oa(item, level) & ~(size - 1);
	s->attrs = m->attrs = item & PT_ATTRS_MASK;
	s->level = level;
	s->run_lg2 = run;
	ret = split_tables(m, s);
	if (ret) {
		s->slot = NULL;
		return ret;
	}
	if (must_break(m->pt))
		split_break(m->pt, s);
	else
		split_live(m->pt, s);
	iommu_iotlb_gather_add_range(m->gather, s->iova, size);
	return 0;
}

/* Store the parts of an entry that was emptied and flushed. The table still exists. */
static void split_make(const struct pgtable *pt, const struct split *s)
{
	for (unsigned int i = 0; i < 1u << s->run_lg2; i++) {
		PT_STEP();
		__atomic_store_n(&s->slot[i], item_swap(part_item(pt, s, i)), __ATOMIC_SEQ_CST);
	}
}

static int split_at(struct pgtable *pt, uint64_t iova, gfp_t gfp, struct iommu_iotlb_gather *gather)
{
	struct split s = {.cut = iova};
	uint64_t top, *slot, item;
	unsigned int level;
	bool outermost;
	struct map m;
	int ret = 0;

	if (!range_fits(pt, iova, iova))
		return 0;
	map_begin(&m, pt, gather, gfp);
	outermost = rcu_read_lock(m.self);
	top = top_load(pt);
	if (!above_top(top, iova)) {
		level = top_level(top);
		slot = &top_table(top)[index_of(pt, iova, level)];
		for (item = item_load(slot); pt_is_table(item, level); item = item_load(slot)) {
			level--;
			slot = &item_to_table(item)[index_of(pt, iova, level)];
		}
		if (item != pt_empty(level))
			ret = split_entry(&m, slot, level, &s);
	}
	rcu_read_unlock(m.self, outermost);
	map_end(&m);
	if (s.slot) {
		pt->sync(pt, gather);
		split_make(pt, &s);
	}
	return ret;
}

static int engine_split(struct pgtable *pt, uint64_t iova, gfp_t gfp,
			struct iommu_iotlb_gather *gather)
{
	struct mm_thread *self = mm_thread_self();
	int ret = split_at(pt, iova, gfp, gather);

	/* As map_retry(). */
	for (unsigned int tries = 0; ret == -ENOMEM && self->failed_for_deferred &&
				     !rcu_read_lock_held(self) && tries < MAP_TRIES;
	     tries++) {
		rcu_free_deferred(self);
		ret = split_at(pt, iova, gfp, gather);
	}
	return ret;
}
