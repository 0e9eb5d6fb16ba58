/* SPDX-License-Identifier: MIT */
/*
 * Part of engine.h: lists of pieces of physical memory, mapped to one range by one
 * walk. If there is no memory for a table, nothing of the list stays mapped.
 */

/* As map_in_place(), for a list: the table's count changes once for all pieces. */
static bool map_list_in_place(struct map *m, bool single)
{
	const struct map_place before = map_place(m);
	uint64_t size = m->left + m->rest, *slot = lowest_slot(m->pt, m->iova, size);
	unsigned int items = (unsigned int)(size >> PT_PAGE_LG2), done = 0;
	struct page *page;
	int live;

	if (!slot)
		return false;
	page = slot_page(m->pt, slot, 0);
	live = live_add(page, (int)items, single);
	if (live < 0)
		return false;
	while (m->left) {
		struct leaves leaves = leaves_of(m, 0, (unsigned int)(m->left >> PT_PAGE_LG2));
		unsigned int n;

		leaves.check = live != 0;
		PT_STEP();
		n = write_leaves(&leaves, &slot[done]);
		done += n;
		if (n < leaves.n)
			break;
		advance(m, 0, n);
	}
	if (done == items)
		return true;
	PT_STEP();
	if (done)
		clear_items(slot, 0, done);
	live_add(page, -(int)items, single);
	map_go_back(m, &before);
	return false;
}

static int engine_map_sg(struct pgtable *pt, uint64_t iova, const struct iommu_sg *sg,
			 unsigned int nents, uint64_t size, int prot, gfp_t gfp,
			 struct iommu_iotlb_gather *gather)
{
	struct iommu_sg piece;
	bool outermost, single;
	struct map m;
	int ret = 0;

	for (unsigned int i = 0; i < nents; i++)
		if (sg[i].length && !oa_fits(sg[i].paddr + sg[i].length - 1))
			return -ERANGE;
	if (!range_fits(pt, iova, iova + size - 1))
		return -ERANGE;
	map_begin(&m, pt, gather, gfp);
	m.sg = sg;
	m.sg_end = sg + nents;
	piece = pgtable_next_piece(&m.sg, m.sg_end);
	m.attrs = attrs_of(pt, prot);
	m.iova = iova;
	m.paddr = piece.paddr;
	m.left = piece.length;
	m.rest = size - piece.length;
	outermost = rcu_read_lock_single(m.self, &single);
	if (!map_list_in_place(&m, single)) {
		if (single)
			rcu_single_end(m.self);
		ret = map_anything(&m);
	}
	if (!ret)
		flush_if_unflushed(pt, iova, size, gather);
	rcu_read_unlock(m.self, outermost);
	return ret;
}
