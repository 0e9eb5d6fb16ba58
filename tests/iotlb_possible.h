/* SPDX-License-Identifier: MIT */
/*
 * What an IOTLB may hold: every translation that an item of the tables has had, from
 * when it was stored until a flush that came after it was gone. Hardware is free to
 * read any item at any moment, and of a run of items any one alone, which then stands
 * for the whole run.
 *
 * Two that overlap and translate differently are wrong for all hardware. Of two that
 * translate alike, but are of different sizes, most hardware uses either one; where
 * one_size is set that is wrong as well (Arm's break-before-make).
 */
#ifndef TESTS_IOTLB_POSSIBLE_H
#define TESTS_IOTLB_POSSIBLE_H

#include "tests/hw.h"
#include "tests/store_watch.h"

struct held {
	uint64_t first, last;
	uint64_t offset; /* from an input to an output address */
	unsigned int access;
};

struct held_list {
	struct held *held; /* by first address */
	size_t nr, room;
};

struct possible {
	struct iommu_domain *domain;
	struct hw_tables tables;
	struct hw_layout layout;
	bool one_size;
	struct held_list live, before, stale;
	uint64_t mapped;       /* bytes that the items translate now */
	uint64_t least_mapped; /* and the fewest since possible_begin() */
	unsigned long looks;
	char wrong[256]; /* the first thing that was, or empty */
};

static inline bool held_equal(const struct held *a, const struct held *b)
{
	return a->first == b->first && a->last == b->last && a->offset == b->offset &&
	       a->access == b->access;
}

static inline bool held_before(const struct held *a, const struct held *b)
{
	if (a->first != b->first)
		return a->first < b->first;
	if (a->last != b->last)
		return a->last < b->last;
	return a->offset != b->offset ? a->offset < b->offset : a->access < b->access;
}

static inline bool held_overlap(const struct held *a, const struct held *b)
{
	return a->first <= b->last && b->first <= a->last;
}

/* Insert by order, nothing twice; the place is mostly at the end. */
static inline void held_add(struct held_list *list, const struct held *held)
{
	size_t i = list->nr;

	while (i && held_before(held, &list->held[i - 1]))
		i--;
	if (i && held_equal(held, &list->held[i - 1]))
		return;
	if (list->nr == list->room) {
		list->room = list->room ? 2 * list->room : 1024;
		list->held = realloc(list->held, list->room * sizeof(*list->held));
		if (!list->held)
			abort();
	}
	for (size_t k = list->nr++; k > i; k--)
		list->held[k] = list->held[k - 1];
	list->held[i] = *held;
}

static inline void possible_wrong(struct possible *p, const char *what, const struct held *a,
				  const struct held *b)
{
	if (p->wrong[0])
		return;
	snprintf(p->wrong, sizeof(p->wrong),
		 "%s: 0x%llx to 0x%llx at 0x%llx and 0x%llx to 0x%llx at 0x%llx", what,
		 (unsigned long long)a->first, (unsigned long long)a->last,
		 (unsigned long long)(a->first + a->offset), (unsigned long long)b->first,
		 (unsigned long long)b->last, (unsigned long long)(b->first + b->offset));
}

static inline void held_compare(struct possible *p, const struct held *a, const struct held *b)
{
	if (!held_overlap(a, b))
		return;
	if (a->offset != b->offset || a->access != b->access)
		possible_wrong(p, "two translations of one address", a, b);
	else if (p->one_size)
		possible_wrong(p, "two sizes of one address", a, b);
}

/* The items of a table and of what is below it; each that is a leaf by itself. */
static inline void list_items(struct possible *p, uint64_t paddr, unsigned int level, uint64_t iova,
			      unsigned int access)
{
	bool swap = p->layout.big_endian != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
	unsigned int shift = p->layout.level[level].shift,
		     items = 1u << p->layout.level[level].bits;
	const volatile uint64_t *table = phys_to_virt(paddr);

	watch_memory(phys_to_virt(paddr), items * sizeof(*table));
	for (unsigned int i = 0; i < items; i++) {
		uint64_t value = swap ? __builtin_bswap64(table[i]) : table[i];
		uint64_t at = iova + ((uint64_t)i << shift);
		struct hw_item item;
		struct held held;

		if (!value)
			continue;
		hw_decode(&p->tables, &p->layout, value, level, i, &item);
		if (item.kind == HW_TABLE)
			list_items(p, item.address, item.next_level, at, access & item.access);
		if (item.kind == HW_BAD && !p->wrong[0])
			snprintf(p->wrong, sizeof(p->wrong), "a bad item at 0x%llx: %s",
				 (unsigned long long)at, item.why);
		if (item.kind != HW_LEAF)
			continue;
		p->mapped += UINT64_C(1) << shift;
		held.first = at & -(UINT64_C(1) << item.size_lg2);
		held.last = held.first + (UINT64_C(1) << item.size_lg2) - 1;
		held.offset = item.address - held.first;
		held.access = access & item.access;
		held_add(&p->live, &held);
	}
}

/* What is live now and was not before must go with what may still be held, and vice versa. */
static inline void compare_lists(struct possible *p)
{
	size_t old = 0;

	for (size_t i = 0; i < p->live.nr; i++) {
		const struct held *now = &p->live.held[i];

		for (size_t k = i + 1; k < p->live.nr && p->live.held[k].first <= now->last; k++)
			held_compare(p, now, &p->live.held[k]);
	}
	for (size_t i = 0; i < p->before.nr; i++) {
		const struct held *gone = &p->before.held[i];

		while (old < p->live.nr && held_before(&p->live.held[old], gone))
			old++;
		if (old == p->live.nr || !held_equal(&p->live.held[old], gone))
			held_add(&p->stale, gone);
	}
	for (size_t i = 0; i < p->live.nr && p->stale.nr; i++)
		for (size_t k = 0; k < p->stale.nr; k++)
			if (!held_equal(&p->live.held[i], &p->stale.held[k]))
				held_compare(p, &p->live.held[i], &p->stale.held[k]);
}

/* Look at all items, as hardware might at this moment. */
static inline void possible_look(struct possible *p)
{
	struct held_list swap = p->before;

	watch_nothing();
	p->tables = hw_tables_of(p->domain); /* the top may have grown */
	if (hw_layout(&p->tables, &p->layout))
		abort();
	p->before = p->live;
	p->live = swap;
	p->live.nr = 0;
	p->mapped = 0;
	list_items(p, p->tables.root, p->layout.levels - 1, 0, HW_READ | HW_WRITE | HW_EXEC);
	if (p->mapped < p->least_mapped)
		p->least_mapped = p->mapped;
	compare_lists(p);
	p->looks++;
}

/* Hardware forgets [first, last], and what of an entry is outside not by that. */
static inline void possible_flush(struct possible *p, uint64_t first, uint64_t last)
{
	struct held_list rest = {0};

	possible_look(p);
	for (size_t i = 0; i < p->stale.nr; i++) {
		struct held held = p->stale.held[i], below = held, above = held;

		below.last = first - 1;
		above.first = last + 1;
		if (held.first < first)
			held_add(&rest, held.last < first ? &held : &below);
		if (held.last > last)
			held_add(&rest, held.first > last ? &held : &above);
	}
	free(p->stale.held);
	p->stale = rest;
}

/* What is live now may be held, and nothing else: all is flushed. */
static inline void possible_begin(struct possible *p)
{
	p->wrong[0] = 0;
	p->stale.nr = 0;
	possible_look(p);
	p->stale.nr = 0;
	p->least_mapped = p->mapped;
}

static inline void possible_init(struct possible *p, struct iommu_domain *domain, bool one_size)
{
	*p = (struct possible){.domain = domain, .one_size = one_size};
}

static inline void possible_fini(struct possible *p)
{
	watch_nothing();
	free(p->live.held);
	free(p->before.held);
	free(p->stale.held);
}

#endif
