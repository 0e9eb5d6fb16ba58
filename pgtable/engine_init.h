/* SPDX-License-Identifier: MIT */
/*
 * Part of engine.h: the first table and the last.
 */

/* Leaf sizes that can be used: of each level none without the level's own. */
static uint64_t usable_pgsizes(uint64_t pgsizes)
{
	uint64_t usable = 0;

	for (unsigned int level = 0; level < PT_LEVELS; level++)
		if (pgsizes >> pt_shift(level) & 1)
			usable |= pgsizes & (((uint64_t)PT_ITEMS - 1) << pt_shift(level));
	return usable;
}

static int engine_init(struct pgtable *pt, unsigned int address_width, gfp_t gfp)
{
	unsigned int width = address_width ? address_width : pt_format.width_default;
	unsigned int levels = pt_levels(width), first = PT_GROWS ? MIN(levels, 3) : levels;
	unsigned int bits = width - PT_SIGNED;
	struct page *page;

	if (!levels)
		return -EINVAL;
	pt->address_width = width;
	pt->aperture_last = bits < 64 ? BIT_ULL(bits) - 1 : ~0ULL;
	pt->pgsizes = usable_pgsizes(pt->pgsizes & pt_format.pgsizes & pt->aperture_last);
	if (!(pt->pgsizes & BIT_ULL(PT_PAGE_LG2)))
		return -EINVAL;
	page = alloc_pages(gfp | __GFP_ZERO, 0, pt->owner, PAGE_TABLE);
	if (!page)
		return -ENOMEM;
	page->level = (uint8_t)(first - 1);
	atomic_store(&page->live, 0);
	atomic_store(&pt->top, make_top(page_address(page), first - 1));
	atomic_fetch_add(&pt->stat[0].tables[first - 1], 1);
	return 0;
}

static void engine_fini(struct pgtable *pt)
{
	struct iommu_iotlb_gather gather;
	struct unmap u = {.pt = pt, .gather = &gather};
	uint64_t top = atomic_load(&pt->top);

	iommu_iotlb_gather_init(&gather);
	subtree_gather(&u, top_table(top), top_level(top));
	pgtable_free_gathered(pt, &gather);
}
