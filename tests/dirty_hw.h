/* SPDX-License-Identifier: MIT */
/*
 * Hardware that writes through tables and marks what it used: a walker written
 * from the formats' descriptions, that shares nothing with the library.
 */
#ifndef TESTS_DIRTY_HW_H
#define TESTS_DIRTY_HW_H

#include <endian.h>

#include "tests/common.h"

/* Where an address is translated, and by how large an entry. */
struct leaf {
	uint64_t *slot;
	uint64_t start, size;
};

struct hw {
	const struct layout *layout;
	struct iommu_domain *domain;
	uint64_t root;
	unsigned int levels, width, page_lg2;
};

/* What one layout has its hardware read and write. */
struct layout {
	const char *family;
	uint64_t present;
	uint64_t accessed;        /* set in leaves on the way */
	uint64_t accessed_tables; /* and in what leads to tables */
	uint64_t dirty;
	uint64_t needs; /* without it, dirty says something else */
	bool inverted;  /* dirty is set in what is clean */
	bool in_advance;
	unsigned int (*leaf)(const struct hw *hw, uint64_t item, unsigned int level);
	uint64_t (*table)(const struct hw *hw, uint64_t item);
};

static inline bool bit(uint64_t item, unsigned int n)
{
	return item >> n & 1;
}

/* log2 of the bytes under one item. */
static inline unsigned int hw_shift(const struct hw *hw, unsigned int level)
{
	return hw->page_lg2 + (hw->page_lg2 - 3) * level;
}

/* Is it a leaf? Then log2 of the bytes that its entry maps, else 0. */
static unsigned int vtd_or_x86_leaf(const struct hw *hw, uint64_t item, unsigned int level)
{
	return !level || bit(item, 7) ? hw_shift(hw, level) : 0;
}

static unsigned int amdv1_leaf(const struct hw *hw, uint64_t item, unsigned int level)
{
	unsigned int next = item >> 9 & 7, lg2 = 13;

	if (next != 7)
		return next ? 0 : hw_shift(hw, level);
	while (bit(item, lg2 - 1))
		lg2++;
	return lg2;
}

static unsigned int arm64_leaf(const struct hw *hw, uint64_t item, unsigned int level)
{
	unsigned int run = hw->page_lg2 == 12 ? 4 : hw->page_lg2 == 14 && !level ? 7 : 5;

	if (level && bit(item, 1))
		return 0;
	return hw_shift(hw, level) + (bit(item, 52) ? run : 0);
}

static unsigned int riscv64_leaf(const struct hw *hw, uint64_t item, unsigned int level)
{
	if (!(item & 0xe))
		return 0;
	return bit(item, 63) ? 16 : hw_shift(hw, level);
}

static uint64_t plain_table(const struct hw *hw, uint64_t item)
{
	return item & 0x000ffffffffff000ULL;
}

static uint64_t arm64_table(const struct hw *hw, uint64_t item)
{
	uint64_t low = item & 0x0000ffffffffffffULL >> hw->page_lg2 << hw->page_lg2;

	return hw->page_lg2 == 16 ? low | (item & 0xf000) << 36 : low;
}

static uint64_t riscv64_table(const struct hw *hw, uint64_t item)
{
	return (item & 0x003ffffffffffc00ULL) << 2;
}

static const struct layout layouts[] = {
	{.family = "vtd",
	 .present = 3,
	 .accessed = 1 << 8,
	 .accessed_tables = 1 << 8,
	 .dirty = 1 << 9,
	 .leaf = vtd_or_x86_leaf,
	 .table = plain_table},
	{.family = "x86_64",
	 .present = 1,
	 .accessed = 1 << 5,
	 .accessed_tables = 1 << 5,
	 .dirty = 1 << 6,
	 .in_advance = true,
	 .leaf = vtd_or_x86_leaf,
	 .table = plain_table},
	{.family = "amdv1",
	 .present = 1,
	 .accessed = 1 << 5,
	 .accessed_tables = 1 << 5,
	 .dirty = 1 << 6,
	 .leaf = amdv1_leaf,
	 .table = plain_table},
	{.family = "arm64-s1", /* AP[2], read-only, and DBM */
	 .present = 1,
	 .accessed = 1 << 10,
	 .dirty = 1 << 7,
	 .needs = 1ULL << 51,
	 .inverted = true,
	 .in_advance = true,
	 .leaf = arm64_leaf,
	 .table = arm64_table},
	{.family = "arm64-s2", /* S2AP[1], writable, and DBM */
	 .present = 1,
	 .accessed = 1 << 10,
	 .dirty = 1 << 7,
	 .needs = 1ULL << 51,
	 .in_advance = true,
	 .leaf = arm64_leaf,
	 .table = arm64_table},
	{.family = "riscv64",
	 .present = 1,
	 .accessed = 1 << 6,
	 .dirty = 1 << 7,
	 .in_advance = true,
	 .leaf = riscv64_leaf,
	 .table = riscv64_table},
};

/* NULL: its hardware marks nothing. */
static inline const struct layout *layout_of(const struct iommu_format *format)
{
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++)
		if (is_family(format, layouts[i].family))
			return &layouts[i];
	return NULL;
}

static inline struct hw hw_of(const struct shape *shape, struct iommu_domain *domain)
{
	struct iommu_domain_info info = domain_info(domain);

	return (struct hw){
		.layout = layout_of(shape->format),
		.domain = domain,
		.root = info.root,
		.levels = info.levels,
		.width = shape->width,
		.page_lg2 = (unsigned int)__builtin_ctzll(shape->format->granule),
	};
}

/* Which item of a table; the top one has those that the width leaves it. */
static inline uint64_t hw_index(const struct hw *hw, uint64_t iova, unsigned int level)
{
	unsigned int shift = hw_shift(hw, level), bits = hw->page_lg2 - 3;

	if (level + 1 == hw->levels && strcmp(hw->layout->family, "amdv1"))
		bits = hw->width - shift;
	return iova >> shift & ((1ULL << bits) - 1);
}

/* The marks are in formats that are little-endian, whatever the processor is. */
static inline uint64_t hw_load(uint64_t *slot)
{
	return le64toh(__atomic_load_n(slot, __ATOMIC_ACQUIRE));
}

/* Walk as an access does; @touch: leave accessed bits on the way. */
static inline bool hw_walk(const struct hw *hw, uint64_t iova, bool touch, struct leaf *leaf)
{
	uint64_t *table = (uint64_t *)(uintptr_t)hw->root;

	*leaf = (struct leaf){0};
	for (unsigned int level = hw->levels; level-- > 0;) {
		uint64_t *slot = &table[hw_index(hw, iova, level)];
		uint64_t item = hw_load(slot), mark;
		unsigned int lg2;

		if (!(item & hw->layout->present))
			return false;
		lg2 = hw->layout->leaf(hw, item, level);
		mark = lg2 ? hw->layout->accessed : hw->layout->accessed_tables;
		if (touch && mark)
			__atomic_fetch_or(slot, htole64(mark), __ATOMIC_SEQ_CST);
		if (lg2) {
			*leaf = (struct leaf){slot, iova >> lg2 << lg2, 1ULL << lg2};
			return true;
		}
		table = (uint64_t *)(uintptr_t)hw->layout->table(hw, item);
	}
	return false;
}

/* Write to an address that is not read-only. False when it is not mapped. */
static inline bool hw_write(const struct hw *hw, uint64_t iova, struct leaf *leaf)
{
	const struct layout *layout = hw->layout;

	for (;;) {
		uint64_t item, new, raw;

		if (!hw_walk(hw, iova, true, leaf))
			return false;
		item = hw_load(leaf->slot);
		if ((item & layout->needs) != layout->needs)
			continue; /* unmapped since */
		new = layout->inverted ? item & ~layout->dirty : item | layout->dirty;
		/* As the specifications want it: only if the item is still the same. */
		raw = htole64(item);
		if (__atomic_compare_exchange_n(leaf->slot, &raw, htole64(new), false,
						__ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
			struct leaf now;

			if (hw_walk(hw, iova, false, &now) && now.slot == leaf->slot)
				return true;
		}
	}
}

static inline bool item_is_dirty(const struct hw *hw, uint64_t item)
{
	const struct layout *layout = hw->layout;

	return (item & layout->needs) == layout->needs &&
	       !!(item & layout->dirty) != layout->inverted;
}

static inline bool is_dirty(const struct hw *hw, uint64_t iova)
{
	struct leaf leaf;

	assert_true(hw_walk(hw, iova, false, &leaf));
	return item_is_dirty(hw, hw_load(leaf.slot));
}

#endif
