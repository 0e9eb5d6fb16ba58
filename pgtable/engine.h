/* SPDX-License-Identifier: MIT */
/*
 * The table engine: one algorithm, compiled once per format. A format's .c file
 * includes its header, which defines the bits of items, and then this file.
 *
 * How threads share a set of tables
 *
 * - A walk is a read-side critical section (mm/rcu.h): no table that it can reach is
 *   reused before the walk ends. It may sleep, since it allocates tables.
 * - page->live counts the items in use in a table. A thread adds the items that it is
 *   about to fill before it fills them, and subtracts the items that it has emptied
 *   afterwards. The thread that brings the count to 0 may kill the table by changing 0
 *   to PT_DEAD. It then owns the table: it takes the table's item out of the parent,
 *   and gathers the table to be freed.
 * - The top table's count has PT_TOP added, so that the top is never killed. If a
 *   format can grow (PT_GROWS), a taller top is linked above the present one, never in
 *   its place: the former top is an ordinary table from then on, and PT_TOP is
 *   subtracted from its count once pt->top leads to the new top. A top that has grown
 *   stays until the domain is freed.
 * - A walk may have begun in a former top, whose parent it has not seen. If it has
 *   emptied that table, it looks for empty tables from the present top down, and again
 *   if the top has changed meanwhile. If it finds that table dead, it begins again.
 * - A thread that finds a dead table on the way down treats its slot as empty, and
 *   replaces the item in the slot by that of a new table. Both threads change the slot
 *   by compare-and-exchange: if the thread that killed the table comes late, the slot's
 *   count in the parent has passed to the new table.
 * - A new table is filled before it is linked. So no other thread sees an incomplete
 *   table, a failure needs no undoing, and a table that the same call fills completely
 *   is never zeroed. A taller top is also filled with its part of the range before
 *   pt->top leads to it.
 * - Until a gather that holds an unlinked table is flushed, a device may have the
 *   table's address cached, and then miss what is mapped in the table's place.
 *   pt->unflushed counts such gathers by parts of the address space. A thread that
 *   replaces a dead table counts its own gather, since the thread that killed the table
 *   may not have gathered it yet. A thread that maps meanwhile asks for a flush of its
 *   own, also if it linked the new table itself, as the other thread's flush may be
 *   still to come.
 */
#ifndef PGTABLE_ENGINE_H
#define PGTABLE_ENGINE_H

#include "mm/rcu.h"
#include "mm/slab.h"
#include "pgtable/items.h"
#include "pgtable/pgtable.h"
#include "plat/string.h"

#include "pgtable/engine_table.h"

/*
 * Subtract items from a table's count. Returns true if that killed the table. Never
 * kills the table in which the walk began, as the walk has not seen its parent.
 */
static inline bool table_put(struct page *page, unsigned int items, bool is_top)
{
	return live_add(page, -(int)items, false) == (int)items && !is_top && live_kill(page);
}

/* The part of pt->unflushed that counts the tables of the two lowest levels for an address. */
static inline unsigned int part_of(uint64_t iova)
{
	return iova >> pt_shift(2) & (PGTABLE_PARTS - 1);
}

/*
 * Note that from now until the gather's flush hardware may use an unlinked table of a
 * level. Called before the table is unlinked. A gather counts in one part, or in the
 * last part, which stands for all.
 */
static inline void gather_pending(struct pgtable *pt, struct iommu_iotlb_gather *gather,
				  uint64_t iova, unsigned int level)
{
	const uint16_t all = 1u << PGTABLE_PARTS;
	unsigned int part = level > 1 ? PGTABLE_PARTS : part_of(iova);

	if (gather->pending & (all | 1u << part))
		return;
	if (gather->pending)
		part = PGTABLE_PARTS;
	else
		memset(gather->gone, 0, sizeof(gather->gone));
	PT_STEP();
	atomic_fetch_add(&pt->unflushed[part].count, 1);
	gather->pending |= 1u << part;
	gather->tables = true;
}

static inline unsigned int part_is_unflushed(const struct pgtable *pt, unsigned int part)
{
	PT_STEP();
	return atomic_load_explicit(&pt->unflushed[part].count, memory_order_relaxed);
}

/* Must a call that has mapped a page ask for a flush of its own? */
static inline bool page_is_unflushed(const struct pgtable *pt, uint64_t iova)
{
	return part_is_unflushed(pt, PGTABLE_PARTS) | part_is_unflushed(pt, part_of(iova));
}

static inline bool range_is_unflushed(const struct pgtable *pt, uint64_t iova, uint64_t size)
{
	unsigned int part = PGTABLE_PARTS;

	if (likely(!((iova ^ (iova + size - 1)) >> pt_shift(2))))
		return page_is_unflushed(pt, iova);
	while (part && !part_is_unflushed(pt, part))
		part--;
	return part_is_unflushed(pt, part);
}

/* Add a table that is about to be unlinked to a gather. */
static void table_gather(struct pgtable *pt, struct page *page, uint64_t iova,
			 struct iommu_iotlb_gather *gather)
{
	gather_pending(pt, gather, iova, page->level);
	page->next = gather->freelist;
	gather->freelist = page;
	gather->gone[page->level]++;
}

/* The offset of an address in the aperture, which may begin at a sign-extended address. */
static inline uint64_t aperture_offset(const struct pgtable *pt, uint64_t iova)
{
	return PT_SIGNED ? iova + pt->aperture_bias : iova - PT_APERTURE_START;
}

static inline bool address_fits(const struct pgtable *pt, uint64_t iova)
{
	return aperture_offset(pt, iova) <= pt->aperture_span;
}

/* Is [iova, last], which does not wrap, in the aperture? */
static inline bool range_fits(const struct pgtable *pt, uint64_t iova, uint64_t last)
{
	const uint64_t start = PT_APERTURE_START;

	return address_fits(pt, last) &&
	       ((!PT_SIGNED && !start) || aperture_offset(pt, iova) <= aperture_offset(pt, last));
}

/* Can an item hold this output address? */
static inline bool oa_fits(uint64_t paddr)
{
	return PT_OA_BITS >= 64 || !(paddr >> PT_OA_BITS % 64);
}

static void reap(struct pgtable *pt, uint64_t iova, unsigned int lowest,
		 struct iommu_iotlb_gather *gather);

/*
 * Empty a slot that holds the item of this table. Hardware may set the accessed bit of
 * the item meanwhile. Returns false when the slot holds another item.
 */
static bool slot_clear(uint64_t *slot, unsigned int level, const uint64_t *table)
{
	uint64_t item;

	do {
		item = item_load(slot);
		if (!pt_is_table(item, level) || item_to_table(item) != table)
			return false;
	} while (!item_replace(slot, item, pt_empty(level)));
	return true;
}

/*
 * Gather a table that the caller has killed, and take its item out of its slot. Returns
 * true if the slot is empty now, false if another thread has put a new table there.
 */
static bool table_unlink(struct pgtable *pt, uint64_t *slot, uint64_t *table, uint64_t iova,
			 unsigned int level, struct iommu_iotlb_gather *gather)
{
	struct page *page = table_page(table);

	page->zeroed = !pt_empty(level - 1);
	table_gather(pt, page, iova, gather);
	iommu_iotlb_gather_add_range(gather, iova & ~(BIT_ULL(pt_shift(level)) - 1),
				     BIT_ULL(pt_shift(level)));
	return slot_clear(slot, level, table);
}

struct reap {
	struct pgtable *pt;
	struct iommu_iotlb_gather *gather;
	uint64_t iova;
	unsigned int highest, lowest; /* levels */
};

/* Remove the empty tables in and below a table. Returns true if the table itself was killed. */
static bool reap_table(const struct reap *r, uint64_t *table, unsigned int level)
{
	struct page *page = table_page(table);
	uint64_t *slot = &table[index_of(r->pt, r->iova, level)];
	uint64_t item = level > r->lowest ? item_load(slot) : pt_empty(level);
	bool is_top = level == r->highest;

	if (pt_is_table(item, level) && reap_table(r, item_to_table(item), level - 1)) {
		if (table_unlink(r->pt, slot, item_to_table(item), r->iova, level, r->gather))
			return table_put(page, 1, is_top);
	}
	/* Test the count first: that is cheaper when its cache line is another processor's. */
	return !is_top && !live_load(page) && live_kill(page);
}

/*
 * Remove the empty tables on the way to iova, from the top down to a level, for a
 * thread that emptied a table without having seen its parent. An empty table below the
 * caller's own part of the range belongs to another thread, which removes it before its
 * call returns.
 */
static __noinline void reap(struct pgtable *pt, uint64_t iova, unsigned int lowest,
			    struct iommu_iotlb_gather *gather)
{
	struct reap r = {.pt = pt, .gather = gather, .iova = iova, .lowest = lowest};
	uint64_t top, now = top_load(pt);

	do {
		top = now;
		r.highest = top_level(top);
		if (!above_top(top, iova))
			reap_table(&r, top_table(top), r.highest);
		now = PT_GROWS ? top_load(pt) : top;
	} while (now != top);
}

#include "pgtable/engine_page.h"
#include "pgtable/engine_unmap.h"
#include "pgtable/engine_map.h"
#include "pgtable/engine_list.h"
#include "pgtable/engine_split.h"

/* The address that an item translates iova to, which is most likely a leaf and not a table. */
static inline uint64_t leaf_to_phys(uint64_t item, unsigned int level, uint64_t iova)
{
	unsigned int lg2 = pt_shift(level);

	if (unlikely(item == pt_empty(level)))
		return 0;
	/* Each item of a run has its own address, so the length of the run does not matter. */
	if (PT_RUNS && !PT_RUN_ADDRESSES && unlikely(pt_run_lg2(item, level))) {
		OPTIMIZER_HIDE_VAR(item);
		lg2 += pt_run_lg2(item, level);
		iova = pt_leaf_oa(item, level) + (iova & (BIT_ULL(lg2) - 1));
		OPTIMIZER_HIDE_VAR(iova);
		return iova;
	}
	return pt_leaf_oa(item, level) + (iova & (BIT_ULL(lg2) - 1));
}

/* The item that translates iova, or an empty one, and its level. */
static inline __attribute__((always_inline)) uint64_t walk_to_item(uint64_t *table, uint64_t iova,
								   const unsigned int levels,
								   uint64_t mask,
								   unsigned int *level)
{
	uint64_t item;

	if (unlikely(above_tables(iova, levels)))
		return pt_empty(0);
	item = item_load(&table[index_below(iova, levels - 1, mask)]);
	PT_UNROLL
	for (unsigned int i = levels - 1; i; i--) {
		if (unlikely(!pt_is_table(item, i))) {
			*level = i;
			return item;
		}
		item = item_load(item_slot(item, iova, i - 1));
	}
	return item;
}

/* The slow path: nested, in a new thread, with reader barriers, or outside the aperture. */
static __noinline uint64_t lookup_anywhere(struct pgtable *pt, uint64_t iova)
{
	struct mm_thread *self = mm_thread_self();
	bool outermost = rcu_read_lock(self);
	uint64_t top = top_load(pt), item = pt_empty(0);
	unsigned int level = 0;

	if (address_fits(pt, iova))
		item = PT_WALK(walk_to_item, top_level(top) + 1, top_table(top), iova, top_mask(pt),
			       &level);
	rcu_read_unlock(self, outermost);
	return leaf_to_phys(item, level, iova);
}

/*
 * Every instruction counts here, as for mapping one page (engine_page.h), so there is
 * one function for each number of levels. Tables that can grow know their number of
 * levels only at the lookup, and have no items beyond their aperture.
 */
static inline __attribute__((always_inline)) uint64_t
lookup(struct pgtable *pt, uint64_t iova, const unsigned int levels, const bool is_signed)
{
	const uint64_t mask = is_signed ? index_mask(levels - 1) : ~0ULL;
	struct mm_thread *self = plat_self;
	unsigned int level = 0;
	uint64_t top, item;

	if (unlikely(!(PT_GROWS || address_fits(pt, iova)) || !self || !rcu_try_read_lock(self)))
		return lookup_anywhere(pt, iova);
	top = top_load(pt);
	if (PT_GROWS)
		item = PT_WALK(walk_to_item, top_level(top) + 1, top_table(top), iova, mask,
			       &level);
	else
		item = walk_to_item(top_table_of(top, levels), iova, levels, mask, &level);
	rcu_read_unlock(self, true);
	return likely(!level) ? leaf_to_phys(item, 0, iova) : leaf_to_phys(item, level, iova);
}

#define PT_LOOKUP(name, levels, is_signed)                                  \
	static uint64_t lookup_##name(struct pgtable *pt, uint64_t iova)    \
	{                                                                   \
		return lookup(pt, iova, MIN(levels, PT_LEVELS), is_signed); \
	}

PT_LOOKUP(any, PT_LEVELS, false)
PT_LOOKUP(2, 2, false)
PT_LOOKUP(3, 3, false)
PT_LOOKUP(4, 4, false)
PT_LOOKUP(5, 5, false)
PT_LOOKUP(signed_3, 3, true)
PT_LOOKUP(signed_4, 4, true)
PT_LOOKUP(signed_5, 5, true)

/* The compiler removes the cases that the format cannot have. */
static void choose_lookup(struct pgtable *pt, unsigned int levels)
{
	const bool is_signed = PT_SIGNED && pt->sign_extended;

	pt->iova_to_phys = lookup_anywhere;
	if (rcu_reader_barriers())
		return;
	if (PT_GROWS)
		pt->iova_to_phys = lookup_any;
	else if (PT_LEVELS >= 2 && levels == 2 && !PT_SIGNED)
		pt->iova_to_phys = lookup_2;
	else if (PT_LEVELS >= 3 && levels == 3)
		pt->iova_to_phys = is_signed ? lookup_signed_3 : lookup_3;
	else if (PT_LEVELS >= 4 && levels == 4)
		pt->iova_to_phys = is_signed ? lookup_signed_4 : lookup_4;
	else if (PT_LEVELS >= 5 && levels == 5)
		pt->iova_to_phys = is_signed ? lookup_signed_5 : lookup_5;
}

/* The usable leaf sizes: none of a level whose smallest size is not among them. */
static uint64_t usable_pgsizes(uint64_t pgsizes, unsigned int levels)
{
	uint64_t usable = 0;

	for (unsigned int level = 0; level < levels; level++)
		if (pgsizes >> (pt_shift(level) + PT_LEAST_RUN_LG2(level)) & 1)
			usable |= pgsizes & ((BIT_ULL(pt_index_lg2(level)) - 1) << pt_shift(level));
	return usable;
}

/* Set how many bytes the table of each level takes, and how wide the top table is. */
static void set_geometry(struct pgtable *pt, unsigned int width, unsigned int levels)
{
	for (unsigned int level = 0; level < levels; level++)
		pt->table_bytes[level] = 8u << pt_index_lg2(level);
	if (PT_WIDE_TOP) {
		unsigned int items = 1u << pt_top_index_lg2(width);

		pt->wide_level = levels - 1;
		pt->wide_items = items;
		pt->table_bytes[levels - 1] = MAX(8u * items, (unsigned int)PAGE_SIZE);
	}
}

static int engine_init(struct pgtable *pt, unsigned int address_width, gfp_t gfp)
{
	unsigned int width = address_width ? address_width : pt_format.width_default;
	unsigned int levels = pt_levels(width);
	unsigned int first = PT_GROWS ? MIN(levels, PT_LEVELS_AT_FIRST) : levels;
	unsigned int bits;
	struct page *page;

	if (!levels)
		return -EINVAL;
	pt->address_width = width;
	pt->sign_extended = PT_SIGNED && PT_IS_SIGNED(width);
	bits = width - pt->sign_extended;
	pt->aperture_start = PT_APERTURE_START;
	pt->aperture_last = bits < 64 ? BIT_ULL(bits) - 1 : ~0ULL;
	pt->aperture_bias = pt->sign_extended ? pt->aperture_last + 1 : 0;
	pt->aperture_span = pt->aperture_last + pt->aperture_bias - pt->aperture_start;
	pt->pgsizes = usable_pgsizes(pt->pgsizes & pt_format.pgsizes & pt->aperture_last, levels);
	if (!(pt->pgsizes & BIT_ULL(PT_PAGE_LG2)))
		return -EINVAL;
	set_geometry(pt, width, levels);
	choose_lookup(pt, levels);
	page = table_new(pt, first - 1, gfp | __GFP_ZERO);
	if (!page)
		return -ENOMEM;
	live_set(page, PT_TOP);
	atomic_store(&pt->top, make_top(page_table(page), first - 1));
	atomic_fetch_add(&pt->stat[0].tables[first - 1], 1);
	return 0;
}

static void engine_fini(struct pgtable *pt)
{
	struct iommu_iotlb_gather gather;
	struct unmap u = {.pt = pt, .gather = &gather};
	uint64_t top = atomic_load(&pt->top);

	iommu_iotlb_gather_init(&gather);
	gather_pending(pt, &gather, 0, top_level(top));
	subtree_gather(&u, top_table(top), top_level(top), false);
	pgtable_free_gathered(pt, &gather);
}

#include "pgtable/engine_dirty.h"

/* clang-format off */
#define PT_OPS {                                                   \
	.format = &pt_format,                                      \
	.init = engine_init,                                       \
	.fini = engine_fini,                                       \
	.map = engine_map,                                         \
	.map_sg = engine_map_sg,                                   \
	.unmap = engine_unmap,                                     \
	.split = engine_split,                                     \
	.read_dirty = PT_DIRTY ? engine_read_dirty : NULL,         \
	.mark_dirty = PT_DIRTY ? engine_mark_dirty : NULL,         \
}
/* clang-format on */

#endif
