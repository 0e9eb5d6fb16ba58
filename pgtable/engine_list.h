/* SPDX-License-Identifier: MIT */
/*
 * Part of engine.h: lists of pieces of physical memory, mapped to one range in one
 * walk. Nothing of a list is left when memory for a later piece is short.
 */

/* As map_in_place(), for a list: the table's count changes once for all its pieces. */
static bool map_list_in_place(struct map *m, bool alone)
{
	const struct map_place before = map_place(m);
	uint64_t size = m->left + m->rest, *slot = lowest_slot(m->pt, m->iova, size);
	unsigned int items = (unsigned int)(size >> PT_PAGE_LG2), done = 0;
	struct page *page;
	int live;

	if (!slot)
		return false;
	page = slot_page(m->pt, slot, 0);
	live = live_add(page, (int)items, alone);
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
	live_add(page, -(int)items, alone);
	map_go_back(m, &before);
	return false;
}

static int engine_map_sg(struct pgtable *pt, uint64_t iova, const struct iommu_sg *sg,
			 unsigned int nents, uint64_t size, int prot, gfp_t gfp,
			 struct iommu_iotlb_gather *gather)
{
	struct iommu_sg piece;
	bool outermost, alone;
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
	outermost = rcu_read_lock_alone(m.self, &alone);
	if (!map_list_in_place(&m, alone)) {
		if (alone)
			rcu_alone_end(m.self);
		ret = map_anything(&m);
	}
	if (!ret)
		flush_if_unsynced(pt, iova, size, gather);
	rcu_read_unlock(m.self, outermost);
	return ret;
}
