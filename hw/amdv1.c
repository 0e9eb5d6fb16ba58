// SPDX-License-Identifier: MIT
/*
 * amdv1: host tables of the AMD I/O Virtualization Technology (IOMMU)
 * Specification, 2.2.3 "I/O Page Tables for Host Translations". The device table
 * entry's mode is the number of levels; the specification counts them from 1.
 *
 * Next Level 1 to 6 is the level of the table that is pointed to; it may pass
 * over levels, whose address bits must then be 0. 0 is a page of the level's own
 * size. 7 is a page whose size is in its address: the ones from bit 12 up are
 * all below its highest offset bit, so it is larger than the level's own pages,
 * and it must be smaller than those of the level above.
 */
#include <errno.h>

#include "hw/decode.h"

#define MOST_BITS    52 /* of a physical address */
#define PTE_RESERVED hw_ones(58, 52)
#define PDE_RESERVED hw_ones(60, 52)

enum {
	PR = 0,
	A = 5,
	D = 6,
	IR = 61,
	IW = 62,
};

/* Without a mode, that which the width needs. The mode may resolve less than the width. */
static int layout(const struct hw_tables *tables, struct hw_layout *layout)
{
	static const char *const names[] = {"level 1", "level 2", "level 3",
					    "level 4", "level 5", "level 6"};
	unsigned int width = tables->address_width, levels = tables->levels, most;

	if (width > 64 || levels > 6 || (!levels && width < 13))
		return -EINVAL;
	if (!levels)
		levels = (width - 12 + 8) / 9;
	most = levels == 6 ? 64 : 12 + 9 * levels;
	layout->address_width = width && width < most ? width : most;
	return hw_layout_512(tables, layout, levels, names, MOST_BITS);
}

/* log2 of the size that a page's address says: above the lowest bit that is 0. */
static unsigned int size_in_address(uint64_t item)
{
	unsigned int bit = 12;

	while (hw_bit(item, bit))
		bit++;
	return bit + 1;
}

static void decode_page(const struct hw_layout *layout, uint64_t item, unsigned int level,
			struct hw_item *out)
{
	unsigned int own = 12 + 9 * level, size = own;
	uint64_t address = hw_address(item, 51, 12);

	if (item & PTE_RESERVED) {
		hw_bad(out, HW_FAULT_RESERVED, "one of bits 58:52 is set");
		return;
	}
	if (level == 5) {
		hw_bad(out, HW_FAULT_LEVEL, "a page at level 6");
		return;
	}
	if (hw_bits(item, 11, 9) == 7) {
		size = size_in_address(item);
		if (size <= own || size >= own + 9 || size > MOST_BITS) {
			hw_bad(out, HW_FAULT_RESERVED,
			       "the page's size does not go with its level");
			return;
		}
		address &= ~hw_ones(size - 1, 12);
	}
	out->run_lg2 = size - own;
	out->dirty = hw_bit(item, D);
	hw_set_leaf(layout, out, address, size);
}

static void decode_table(const struct hw_layout *layout, uint64_t item, struct hw_item *out)
{
	if (item & PDE_RESERVED)
		hw_bad(out, HW_FAULT_RESERVED, "one of bits 60:52 is set");
	else
		hw_set_table(layout, out, hw_address(item, 51, 12),
			     (unsigned int)hw_bits(item, 11, 9) - 1);
}

static void decode(const struct hw_tables *tables, const struct hw_layout *layout, uint64_t item,
		   unsigned int level, unsigned int index, struct hw_item *out)
{
	uint64_t next_level = hw_bits(item, 11, 9);

	if (!hw_bit(item, PR))
		return;
	out->access = (hw_bit(item, IR) ? HW_READ : 0) | (hw_bit(item, IW) ? HW_WRITE : 0);
	out->accessed = hw_bit(item, A);
	if (next_level == 0 || next_level == 7)
		decode_page(layout, item, level, out);
	else
		decode_table(layout, item, out);
}

#define ALL 0x3f

static const struct hw_field fields[] = {
	{0, 0, ALL, HW_IN_ALL, "PR", "present"},
	{5, 5, ALL, HW_IN_USED, "A", "was accessed"},
	{6, 6, ALL, HW_IN_LEAF, "D", "was written"},
	{11, 9, ALL, HW_IN_TABLE, "Next Level", "level of the table"},
	{11, 9, ALL, HW_IN_LEAF, "Next Level", "0: a page of the level's size; 7: size in address"},
	{11, 9, ALL, HW_IN_BAD, "Next Level", "0, 7: a page; else the level of the table"},
	{51, 12, ALL, HW_IN_LEAF, "Page Address", "physical address of the page, and its size"},
	{51, 12, ALL, HW_IN_TABLE, "Next Table Address", "physical address of the table"},
	{51, 12, ALL, HW_IN_BAD, "Page Address", "physical address"},
	{58, 52, ALL, HW_IN_USED, "reserved", "must be 0"},
	{59, 59, ALL, HW_IN_LEAF, "U", "untranslated accesses only"},
	{60, 60, ALL, HW_IN_LEAF, "FC", "accesses snoop the caches"},
	{60, 59, ALL, HW_IN_TABLE, "reserved", "must be 0"},
	{61, 61, ALL, HW_IN_USED, "IR", "may be read"},
	{62, 62, ALL, HW_IN_USED, "IW", "may be written"},
	{0},
};

const struct hw_format hw_amdv1 = {
	.name = "amdv1",
	.title = "AMD v1 (host tables)",
	.layout = layout,
	.decode = decode,
	.fields = fields,
};
