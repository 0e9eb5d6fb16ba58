/* SPDX-License-Identifier: MIT */
/*
 * The table engine: one algorithm, compiled once per format. A format's .c
 * includes its header, which says what the bits are, and then this file.
 *
 * How threads share a set of tables
 * - A walk is a read section (mm/rcu.h): no table that it can reach is reused
 *   before the walk ends. It may sleep, since allocations are made inside.
 * - page->live counts the items in use of a table. Who is about to fill items
 *   adds them first; who emptied items takes them off last. Who brings it to 0
 *   may kill the table by changing 0 to PT_DEAD, and then owns it: it takes the
 *   table's item out of the parent, and gathers the table to be freed. The top
 *   table is never killed, except to be replaced by a taller one.
 * - Who finds a table dead on the way down treats its slot as empty, and
 *   replaces the item in the slot by that of a new table. Both sides change the
 *   slot by compare-and-exchange: if the killer comes late, the slot's count in
 *   the parent has passed on to the new table.
 * - New tables are filled first and linked then, so that nobody ever sees a
 *   half-made one, a failure needs no undoing, and a table that the same call
 *   fills completely is never zeroed.
 * - While a gather holds an unlinked table, a device may still have its address
 *   cached. pt->unsynced counts such gathers; who links a table meanwhile asks
 *   for a flush of its own.
 */
#ifndef PGTABLE_ENGINE_H
#define PGTABLE_ENGINE_H

#include <string.h>

#include "mm/rcu.h"
#include "pgtable/items.h"
#include "pgtable/pgtable.h"

#define PT_DEAD (-0x40000000)

static inline bool pt_is_leaf(uint64_t item, unsigned int level)
{
	return !level || PT_LEAF_KEY(item) == PT_LEAF;
}

static inline uint64_t item_load(const uint64_t *slot)
{
	return __atomic_load_n(slot, __ATOMIC_ACQUIRE);
}

static inline bool item_replace(uint64_t *slot, uint64_t old, uint64_t new)
{
	return __atomic_compare_exchange_n(slot, &old, new, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_RELAXED);
}

static inline uint64_t *item_to_table(uint64_t item)
{
	return phys_to_virt(pt_table_oa(item));
}

static inline unsigned int index_of(uint64_t iova, unsigned int level)
{
	return (iova >> pt_shift(level)) & (PT_ITEMS - 1);
}

static inline uint64_t *top_table(uint64_t top)
{
	return (uint64_t *)(uintptr_t)(top & ~(uint64_t)(PAGE_SIZE - 1));
}

static inline unsigned int top_level(uint64_t top)
{
	return (unsigned int)(top & (PAGE_SIZE - 1)) - 1;
}

static inline uint64_t make_top(const uint64_t *table, unsigned int level)
{
	return (uint64_t)(uintptr_t)table | (level + 1);
}

/* Take items off a table's count. True when that killed it. */
static inline bool table_put(struct page *page, unsigned int items, bool is_top)
{
	int empty = 0;

	return atomic_fetch_sub(&page->live, (int)items) == (int)items && !is_top &&
	       atomic_compare_exchange_strong(&page->live, &empty, PT_DEAD);
}

/* Put an unlinked table in a gather, where pt->unsynced counts it. */
static void table_gather(struct pgtable *pt, struct page *page, struct iommu_iotlb_gather *gather)
{
	if (!gather->freelist)
		atomic_fetch_add(&pt->unsynced, 1);
	gather->tables = true;
	page->next = gather->freelist;
	gather->freelist = page;
}

/*
 * Take a table that the caller has killed out of its slot, and gather it. True
 * when the slot became empty, false when somebody has put a new table there.
 */
static bool table_unlink(struct pgtable *pt, uint64_t *slot, uint64_t item, uint64_t iova,
			 unsigned int level, struct iommu_iotlb_gather *gather)
{
	struct page *page = virt_to_page(item_to_table(item));

	page->zeroed = PT_EMPTY == 0;
	table_gather(pt, page, gather);
	iommu_iotlb_gather_add_range(gather, iova & ~(BIT_ULL(pt_shift(level)) - 1),
				     BIT_ULL(pt_shift(level)));
	return item_replace(slot, item, PT_EMPTY);
}

/*
 * Remove the tables on the way to iova that are empty, for those who emptied one
 * from a place where they could not see its parent. Returns whether this table
 * was killed.
 */
static __noinline bool reap(struct pgtable *pt, uint64_t *table, unsigned int level, uint64_t iova,
			    bool is_top, struct iommu_iotlb_gather *gather)
{
	struct page *page = virt_to_page(table);
	uint64_t *slot = &table[index_of(iova, level)];
	uint64_t item = level ? item_load(slot) : PT_EMPTY;
	int empty = 0;

	if (item != PT_EMPTY && !pt_is_leaf(item, level) &&
	    reap(pt, item_to_table(item), level - 1, iova, false, gather)) {
		if (table_unlink(pt, slot, item, iova, level, gather))
			return table_put(page, 1, is_top);
	}
	return !is_top && atomic_compare_exchange_strong(&page->live, &empty, PT_DEAD);
}

static inline bool range_fits(const struct pgtable *pt, uint64_t iova, uint64_t last)
{
	if (!PT_SIGNED || !(iova >> 63))
		return last <= pt->aperture_last;
	return iova >= ~pt->aperture_last && last >= iova;
}

/* Is iova beyond what the present top table spans? */
static inline bool above_top(uint64_t top, uint64_t iova)
{
	unsigned int bits = pt_shift(top_level(top) + 1);

	return PT_GROWS && bits < 64 && iova >> bits;
}

/* ---- unmap ---- */

struct unmap {
	struct pgtable *pt;
	struct iommu_iotlb_gather *gather;
	uint64_t iova, left; /* what remains */
	uint64_t total;      /* bytes unmapped, all of them before iova */
	bool hole;           /* met something that is not mapped: stop */
};

/*
 * Are all of n items of a level above 0 leaves? Named after the format, because
 * clang gives the clones' resolver external linkage.
 */
#define PT_CAT_(a, b) a##b
#define PT_CAT(a, b)  PT_CAT_(a, b)
#define all_leaves    PT_CAT(all_leaves_, PT_NAME)
static ITEMS_CLONES bool all_leaves(const uint64_t *item, unsigned int n)
{
	uint64_t other = 0;

	for (unsigned int i = 0; i < n; i++)
		other |= PT_LEAF_KEY(item[i]) ^ PT_LEAF;
	return !other;
}

/* How many of n items, the first of which is a leaf, are leaves. */
static inline unsigned int leaf_prefix(const uint64_t *item, unsigned int level, unsigned int n)
{
	unsigned int leaves = 1;

	if (n == 1 || (level ? all_leaves(item, n) : items_none_equal(item, PT_EMPTY, n)))
		return n;
	while (item[leaves] != PT_EMPTY && pt_is_leaf(item[leaves], level))
		leaves++;
	return leaves;
}

/*
 * Clear the leaves that the range has in this table from *index on, which holds
 * one; whole entries, also where they reach over an end of the range. Returns how
 * many slots that were, and moves *index behind the last.
 */
static inline unsigned int clear_leaves(struct unmap *u, uint64_t *table, unsigned int level,
					unsigned int *index)
{
	unsigned int shift = pt_shift(level), first = *index, end, room = PT_ITEMS - first;
	uint64_t into = u->iova & (BIT_ULL(shift) - 1), done;
	uint64_t slots = ((into + u->left - 1) >> shift) + 1;

	end = first + leaf_prefix(&table[first], level, slots < room ? (unsigned int)slots : room);
	if (PT_RUNS) {
		unsigned int run = pt_run_lg2(table[end - 1], level);

		end = ((end - 1) >> run << run) + (1u << run);
		run = pt_run_lg2(table[first], level);
		into += (uint64_t)(first - (first >> run << run)) << shift;
		first = first >> run << run;
	}
	items_clear(&table[first], PT_EMPTY, end - first);
	done = ((uint64_t)(end - first) << shift) - into;
	u->total += done + into;
	u->iova += done;
	u->left -= MIN(u->left, done);
	*index = end;
	return end - first;
}

/* Is every address under this table mapped? */
static bool subtree_full(const uint64_t *table, unsigned int level)
{
	const struct page *page = virt_to_page(table);

	if (atomic_load_explicit(&page->live, memory_order_relaxed) != (int)PT_ITEMS)
		return false;
	if (!level || all_leaves(table, PT_ITEMS))
		return true;
	for (unsigned int i = 0; i < PT_ITEMS; i++)
		if (!pt_is_leaf(table[i], level) &&
		    !subtree_full(item_to_table(table[i]), level - 1))
			return false;
	return true;
}

/* Gather a table that cannot be reached any more, and all below it. */
static void subtree_gather(struct unmap *u, uint64_t *table, unsigned int level)
{
	struct page *page = virt_to_page(table);
	bool parent = level && !all_leaves(table, PT_ITEMS);

	for (unsigned int i = 0; parent && i < PT_ITEMS; i++)
		if (table[i] != PT_EMPTY && !pt_is_leaf(table[i], level))
			subtree_gather(u, item_to_table(table[i]), level - 1);
	atomic_store_explicit(&page->live, PT_DEAD, memory_order_relaxed);
	page->zeroed = false;
	table_gather(u->pt, page, u->gather);
}

static bool unmap_table(struct unmap *u, uint64_t *table, unsigned int level, bool is_top);

/* Unmap what the range has under one slot with a table. True: it is empty now. */
static bool unmap_slot(struct unmap *u, uint64_t *slot, uint64_t item, unsigned int level)
{
	uint64_t size = BIT_ULL(pt_shift(level)), *child = item_to_table(item), iova = u->iova;

	if (!(iova & (size - 1)) && u->left >= size && subtree_full(child, level - 1)) {
		/* The range is the caller's alone, so nobody else changes this slot. */
		__atomic_store_n(slot, PT_EMPTY, __ATOMIC_SEQ_CST);
		subtree_gather(u, child, level - 1);
		u->iova += size;
		u->left -= size;
		u->total += size;
		return true;
	}
	return unmap_table(u, child, level - 1, false) &&
	       table_unlink(u->pt, slot, item, iova, level, u->gather);
}

/* Unmap what the range has under this table. True when that killed it. */
static bool unmap_table(struct unmap *u, uint64_t *table, unsigned int level, bool is_top)
{
	unsigned int index = index_of(u->iova, level), gone = 0;

	while (u->left && index < PT_ITEMS && !u->hole) {
		uint64_t item = item_load(&table[index]);

		if (item == PT_EMPTY)
			u->hole = true;
		else if (pt_is_leaf(item, level))
			gone += clear_leaves(u, table, level, &index);
		else
			gone += unmap_slot(u, &table[index++], item, level);
	}
	return gone && table_put(virt_to_page(table), gone, is_top);
}

static void unmap_range(struct unmap *u, uint64_t top)
{
	uint64_t last = u->iova + u->left - 1, iova = u->iova, *table = top_table(top);
	unsigned int level = top_level(top), highest = level;
	uint64_t *path[PT_LEVELS];
	bool killed;

	/* Go straight down to the lowest table that holds the whole range. */
	while (level) {
		unsigned int shift = pt_shift(level);
		uint64_t item;

		if ((iova ^ last) >> shift || u->left >> shift)
			break;
		path[level] = &table[index_of(iova, level)];
		item = item_load(path[level]);
		if (item == PT_EMPTY)
			return;
		if (pt_is_leaf(item, level))
			break;
		table = item_to_table(item);
		level--;
	}
	killed = unmap_table(u, table, level, level == highest);
	while (unlikely(killed)) {
		uint64_t item = pt_table(virt_to_phys(table), ++level);

		table = path[level] - index_of(iova, level);
		killed = table_unlink(u->pt, path[level], item, iova, level, u->gather) &&
			 table_put(virt_to_page(table), 1, level == highest);
	}
}

static uint64_t engine_unmap(struct pgtable *pt, uint64_t iova, uint64_t size,
			     struct iommu_iotlb_gather *gather)
{
	struct mm_thread *self = mm_thread_self();
	struct unmap u = {.pt = pt, .gather = gather, .iova = iova, .left = size};
	uint64_t top, now;

	if (!range_fits(pt, iova, iova + size - 1))
		return 0;
	rcu_read_lock(self);
	top = atomic_load_explicit(&pt->top, memory_order_acquire);
	if (!above_top(top, iova))
		unmap_range(&u, top);
	/* If it grew, what we took for the top and emptied is one no more. */
	if (PT_GROWS && (now = atomic_load(&pt->top)) != top)
		reap(pt, top_table(now), top_level(now), iova, true, gather);
	rcu_read_unlock(self);
	if (u.total)
		iommu_iotlb_gather_add_range(gather, u.iova - u.total, u.total);
	return u.total;
}

/* ---- map ---- */

struct map {
	struct pgtable *pt;
	struct mm_thread *self;
	struct iommu_iotlb_gather *gather;
	uint64_t attrs;
	uint64_t iova, paddr, left; /* what remains; moves on as slots are filled */
	unsigned int max_level;     /* highest level that may have leaves */
	gfp_t gfp;
	unsigned int grown; /* levels put on top */
	bool reap;          /* a count went back to 0 at iova */
	bool made;          /* tables[] counts */
	long tables[IOMMU_MAX_LEVELS];
};

static inline void map_begin(struct map *m, struct pgtable *pt, struct iommu_iotlb_gather *gather,
			     gfp_t gfp)
{
	m->pt = pt;
	m->self = mm_thread_self();
	m->gather = gather;
	m->max_level = PT_LEVELS;
	m->gfp = gfp;
	m->grown = 0;
	m->reap = m->made = false;
}

static inline void map_end(struct map *m)
{
	if (m->made)
		pgtable_count_add(m->pt, m->self, m->tables, 1);
}

static struct page *table_alloc(struct map *m, unsigned int level, gfp_t zero)
{
	struct page *page = alloc_pages(m->gfp | zero, 0, m->pt->owner, PAGE_TABLE);

	if (unlikely(!page))
		return NULL;
	page->level = (uint8_t)level;
	atomic_store_explicit(&page->live, 0, memory_order_relaxed);
	if (!m->made)
		memset(m->tables, 0, sizeof(m->tables));
	m->made = true;
	m->tables[level]++;
	return page;
}

/* Free a table that was never linked, with the first slots that are made. */
static void table_discard(struct map *m, struct page *page, unsigned int level, unsigned int from,
			  unsigned int end)
{
	uint64_t *table = page_address(page);

	for (unsigned int i = from; level && i < end; i++) {
		if (table[i] == PT_EMPTY || pt_is_leaf(table[i], level))
			continue;
		table_discard(m, virt_to_page(item_to_table(table[i])), level - 1, 0, PT_ITEMS);
	}
	m->tables[level]--;
	free_pages(page);
}

/* How many slots from iova on, at most room, are to be leaves of this level. */
static inline unsigned int leaf_slots(const struct map *m, unsigned int level, unsigned int room)
{
	unsigned int shift = pt_shift(level);
	uint64_t slots = m->left >> shift;

	if (level && (level > m->max_level || !(m->pt->pgsizes >> shift & 1) ||
		      ((m->iova | m->paddr) & (BIT_ULL(shift) - 1))))
		return 0;
	return slots < room ? (unsigned int)slots : room;
}

/* Largest run, as a log2 of slots, that alignment and n slots allow for entry. */
static inline unsigned int run_at(const struct map *m, unsigned int level, uint64_t place,
				  unsigned int n)
{
	unsigned int shift = pt_shift(level);
	unsigned int align = ffs64_index((place >> shift) | (PT_ITEMS / 2));
	uint64_t sizes = m->pt->pgsizes >> shift & ((2ULL << MIN(align, fls64_index(n))) - 1);

	return fls64_index(sizes);
}

/* Write n leaf slots. The longest runs are in the middle, in one go. */
static inline void write_leaves(struct map *m, uint64_t *slot, unsigned int level, unsigned int n)
{
	unsigned int shift = pt_shift(level);
	uint64_t step = pt_leaf(0, BIT_ULL(shift), level, 0) - pt_leaf(0, 0, level, 0);

	if (!PT_RUNS) {
		items_fill(slot, pt_leaf(m->attrs, m->paddr, level, 0), step, n, 0);
		m->iova += (uint64_t)n << shift;
		m->paddr += (uint64_t)n << shift;
	}
	while (PT_RUNS && n) {
		unsigned int run = run_at(m, level, m->iova | m->paddr, n);
		unsigned int longest = run_at(m, level, m->iova ^ m->paddr, n);
		unsigned int slots = run == longest ? n >> run << run : 1u << run;

		items_fill(slot, pt_leaf(m->attrs, m->paddr, level, run), step, slots, run);
		slot += slots;
		n -= slots;
		m->iova += (uint64_t)slots << shift;
		m->paddr += (uint64_t)slots << shift;
	}
}

/* Fill n empty slots of a linked table with leaves. */
static inline int place_leaves(struct map *m, uint64_t *table, unsigned int level,
			       unsigned int index, unsigned int n)
{
	struct page *page = virt_to_page(table);
	int live = atomic_fetch_add(&page->live, (int)n);

	if (unlikely(live < 0))
		return -EAGAIN;
	if (live && unlikely(!items_all_equal(&table[index], PT_EMPTY, n))) {
		m->reap |= atomic_fetch_sub(&page->live, (int)n) == (int)n;
		return -EADDRINUSE;
	}
	m->left -= (uint64_t)n << pt_shift(level);
	write_leaves(m, &table[index], level, n);
	return 0;
}

static int map_new(struct map *m, unsigned int level, struct page **new);

/* Fill a table that is not linked yet, from iova to its end or the range's. */
static int map_private(struct map *m, struct page *page, unsigned int level)
{
	unsigned int first = index_of(m->iova, level), index = first;
	uint64_t *table = page_address(page);
	int ret = 0;

	while (m->left && index < PT_ITEMS) {
		unsigned int n = leaf_slots(m, level, PT_ITEMS - index);
		struct page *child;

		if (n) {
			m->left -= (uint64_t)n << pt_shift(level);
			write_leaves(m, &table[index], level, n);
			index += n;
			continue;
		}
		ret = map_new(m, level - 1, &child);
		if (ret)
			break;
		table[index++] = pt_table(virt_to_phys(page_address(child)), level);
	}
	atomic_store_explicit(&page->live, (int)(index - first), memory_order_relaxed);
	if (ret)
		table_discard(m, page, level, first, index);
	return ret;
}

/* Make and fill the table of a level that iova is in. */
static int map_new(struct map *m, unsigned int level, struct page **new)
{
	uint64_t span = BIT_ULL(pt_shift(level + 1));
	bool whole = !(m->iova & (span - 1)) && m->left >= span;

	*new = table_alloc(m, level, whole ? 0 : __GFP_ZERO);
	return *new ? map_private(m, *new, level) : -ENOMEM;
}

/*
 * Make a table for a slot that holds old: nothing, or a dead table. -EEXIST when
 * somebody else changed the slot first. *counted is set once the slot has its
 * place in the table's count.
 */
static int link_new(struct map *m, uint64_t *slot, unsigned int level, uint64_t old, bool *counted)
{
	uint64_t iova = m->iova, paddr = m->paddr, left = m->left;
	struct page *new;
	int ret = map_new(m, level - 1, &new);

	if (!ret && old == PT_EMPTY && !*counted) {
		*counted = true;
		if (atomic_fetch_add(&virt_to_page(slot)->live, 1) < 0)
			ret = -EAGAIN;
	}
	if (!ret) {
		uint64_t item = pt_table(virt_to_phys(page_address(new)), level);

		if (item_replace(slot, old, item)) {
			if (unlikely(atomic_load(&m->pt->unsynced))) {
				m->gather->tables = true;
				iommu_iotlb_gather_add_range(m->gather, iova, left - m->left);
			}
			return 0;
		}
		ret = -EEXIST;
	}
	if (ret == -EAGAIN || ret == -EEXIST)
		table_discard(m, new, level - 1, 0, PT_ITEMS);
	m->iova = iova;
	m->paddr = paddr;
	m->left = left;
	return ret;
}

static int map_table(struct map *m, uint64_t *table, unsigned int level);

/* Map what of the range lies under one slot that is not to be a leaf. */
static int map_slot(struct map *m, uint64_t *slot, unsigned int level)
{
	bool counted = false;
	int ret;

	for (;;) {
		uint64_t item = item_load(slot);

		if (item != PT_EMPTY) {
			if (pt_is_leaf(item, level)) {
				ret = -EADDRINUSE;
				break;
			}
			ret = map_table(m, item_to_table(item), level - 1);
			if (ret != -EAGAIN) {
				if (!counted)
					return ret;
				break;
			}
		}
		ret = link_new(m, slot, level, item, &counted);
		if (!ret && item == PT_EMPTY)
			return 0;
		if (ret != -EEXIST)
			break;
	}
	/* Who was counted, but linked nothing of its own in an empty slot. */
	if (counted && ret != -EAGAIN)
		m->reap |= atomic_fetch_sub(&virt_to_page(slot)->live, 1) == 1;
	return ret;
}

/*
 * Map as much of the range as this linked table spans. -EAGAIN: the table is
 * dead, and nothing was done since.
 */
static int map_table(struct map *m, uint64_t *table, unsigned int level)
{
	unsigned int index = index_of(m->iova, level);
	int ret = 0;

	while (m->left && index < PT_ITEMS && !ret) {
		unsigned int n = leaf_slots(m, level, PT_ITEMS - index);

		if (n) {
			ret = place_leaves(m, table, level, index, n);
			index += n;
		} else {
			ret = map_slot(m, &table[index++], level);
		}
	}
	return ret;
}

#include "pgtable/engine_top.h"

static inline int map_range(struct map *m, uint64_t top)
{
	uint64_t last = m->iova + m->left - 1;
	uint64_t *table = top_table(top);
	unsigned int level = top_level(top), n;
	int ret;

	/* Go straight down to the lowest table that holds the whole range. */
	while (level) {
		unsigned int shift = pt_shift(level);
		uint64_t item;

		if ((m->iova ^ last) >> shift || m->left >> shift)
			break;
		item = item_load(&table[index_of(m->iova, level)]);
		if (item == PT_EMPTY || pt_is_leaf(item, level))
			break;
		table = item_to_table(item);
		level--;
	}
	n = leaf_slots(m, level, PT_ITEMS);
	if (likely((uint64_t)n << pt_shift(level) == m->left))
		ret = place_leaves(m, table, level, index_of(m->iova, level), n);
	else
		ret = map_table(m, table, level);
	while (unlikely(ret == -EAGAIN)) {
		cpu_relax();
		top = atomic_load(&m->pt->top);
		ret = map_table(m, top_table(top), top_level(top));
	}
	return ret;
}

/* Leave nothing of a mapping that began at iova and failed at m->iova. */
static __noinline void map_undo(struct map *m, uint64_t iova)
{
	struct unmap u = {.pt = m->pt, .gather = m->gather, .iova = iova, .left = m->iova - iova};
	uint64_t top = atomic_load(&m->pt->top);

	if (m->reap)
		reap(m->pt, top_table(top), top_level(top), m->iova, true, m->gather);
	if (u.left) {
		unmap_range(&u, top);
		iommu_iotlb_gather_add_range(m->gather, iova, u.total);
	}
	for (; m->grown; m->grown--)
		shrink_top(m);
}

static int engine_map(struct pgtable *pt, uint64_t iova, uint64_t paddr, uint64_t size, int prot,
		      gfp_t gfp, struct iommu_iotlb_gather *gather, uint64_t *mapped)
{
	uint64_t last = iova + size - 1, top;
	struct map m;
	int ret = 0;

	map_begin(&m, pt, gather, gfp);
	m.attrs = pt_attrs(prot);
	m.iova = iova;
	m.paddr = paddr;
	m.left = size;
	*mapped = 0;
	if (unlikely(!range_fits(pt, iova, last) || (paddr + size - 1) >> PT_OA_BITS))
		return -ERANGE;
	rcu_read_lock(m.self);
	top = atomic_load_explicit(&pt->top, memory_order_acquire);
	while (PT_GROWS && !ret && pt_shift(top_level(top) + 1) < 64 &&
	       unlikely(last >> pt_shift(top_level(top) + 1))) {
		ret = grow_top(&m, top);
		top = atomic_load(&pt->top);
	}
	if (!ret)
		ret = map_range(&m, top);
	if (unlikely(ret))
		map_undo(&m, iova);
	rcu_read_unlock(m.self);
	map_end(&m);
	*mapped = ret ? 0 : size;
	return ret;
}

/* ---- the rest ---- */

static uint64_t engine_iova_to_phys(struct pgtable *pt, uint64_t iova)
{
	struct mm_thread *self = mm_thread_self();
	uint64_t top, *table, item, paddr = 0;
	unsigned int level;

	if (!range_fits(pt, iova, iova))
		return 0;
	rcu_read_lock(self);
	top = atomic_load_explicit(&pt->top, memory_order_acquire);
	table = top_table(top);
	for (level = top_level(top); !above_top(top, iova); level--) {
		item = item_load(&table[index_of(iova, level)]);
		if (item == PT_EMPTY)
			break;
		if (pt_is_leaf(item, level)) {
			unsigned int bits = pt_shift(level) + pt_run_lg2(item, level);

			paddr = pt_leaf_oa(item, level) | (iova & (BIT_ULL(bits) - 1));
			break;
		}
		table = item_to_table(item);
	}
	rcu_read_unlock(self);
	return paddr;
}

#include "pgtable/engine_split.h"

#include "pgtable/engine_init.h"

#define PT_OPS                                                                                     \
	{                                                                                          \
		.format = &pt_format, .init = engine_init, .fini = engine_fini, .map = engine_map, \
		.unmap = engine_unmap, .iova_to_phys = engine_iova_to_phys, .split = engine_split, \
	}

#endif
