// SPDX-License-Identifier: MIT
/*
 * s390: the DMA translation tables of PCI functions on z/Architecture, which are
 * those of dynamic address translation (Principles of Operation, chapter 3) from a
 * region table down, in big-endian order. The designation of the root (IOTA) says
 * which of the three it is, here by the width of addresses, and that all tables are of
 * full length, so table entries must too.
 */
#include <errno.h>

#include "hw/decode.h"

/* Region and segment table entries. */
#define ENTRY_FORMAT  (1ull << 10) /* of a segment: the frame is here, and no page table */
#define ENTRY_PROTECT (1ull << 9)
#define ENTRY_INVALID (1ull << 5)

/* Page table entries. */
#define PAGE_ZERO    (1ull << 11)
#define PAGE_INVALID (1ull << 10)
#define PAGE_PROTECT (1ull << 9)

#define TYPE_SEGMENT 0 /* of region tables 1 to 3, from the third to the first */
#define WHOLE_TABLE  3 /* the length of a table of 16 KiB */

enum level {
	PAGE,
	SEGMENT,
	REGION3,
	REGION2,
	REGION1,
};

#define OUTPUT_WIDTH 64

static unsigned int count_levels(unsigned int width)
{
	switch (width) {
	case 42:
		return 1 + REGION3;
	case 53:
		return 1 + REGION2;
	case 64:
		return 1 + REGION1;
	default:
		return 0;
	}
}

static int layout(const struct hw_tables *tables, struct hw_layout *layout)
{
	unsigned int levels = count_levels(tables->address_width);

	if (!levels || tables->output_width > OUTPUT_WIDTH ||
	    (tables->levels && tables->levels != levels) || tables->granule_lg2 > 12)
		return -EINVAL;
	*layout = (struct hw_layout){
		.levels = levels,
		.granule_lg2 = 12,
		.address_width = tables->address_width,
		.output_width = tables->output_width ? tables->output_width : OUTPUT_WIDTH,
		.big_endian = true,
		.level =
			{
				[PAGE] = {.shift = 12, .bits = 8, .name = "page table"},
				[SEGMENT] = {.shift = 20, .bits = 11, .name = "segment table"},
				[REGION3] = {.shift = 31, .bits = 11, .name = "region-third table"},
				[REGION2] = {.shift = 42,
					     .bits = 11,
					     .name = "region-second table"},
				[REGION1] = {.shift = 53, .bits = 11, .name = "region-first table"},
			},
	};
	return 0;
}

static bool is_too_wide(const struct hw_layout *layout, uint64_t address)
{
	return layout->output_width < 64 && address >> layout->output_width;
}

static unsigned int access(bool protected)
{
	return protected ? HW_READ : HW_READ | HW_WRITE;
}

static void set_leaf(const struct hw_layout *layout, unsigned int level, uint64_t address,
		     bool protected, struct hw_item *out)
{
	out->kind = HW_LEAF;
	out->address = address;
	out->size_lg2 = layout->level[level].shift;
	out->access = access(protected);
	out->accessed = true; /* kept by storage keys, not here */
	if (is_too_wide(layout, address))
		hw_bad(out, HW_FAULT_RESERVED, "the frame is beyond the width of addresses");
}

static void set_table(const struct hw_layout *layout, unsigned int level, uint64_t origin,
		      uint64_t item, struct hw_item *out)
{
	out->kind = HW_TABLE;
	out->address = origin;
	out->next_level = level - 1;
	out->access = access(item & ENTRY_PROTECT);
	if (is_too_wide(layout, origin))
		hw_bad(out, HW_FAULT_RESERVED, "the table is beyond the width of addresses");
}

static const char *region_error(uint64_t item)
{
	if (item & ENTRY_FORMAT)
		return "a frame of 2 GiB, which devices do not have";
	if (hw_bits(item, 11, 11) || hw_bits(item, 8, 8))
		return "bit 11 or 8 of a region-table entry is not 0";
	if (hw_bits(item, 7, 6))
		return "the table begins with an offset";
	if (hw_bits(item, 1, 0) != WHOLE_TABLE)
		return "the table is not of full length";
	return NULL;
}

static void decode_region(const struct hw_layout *layout, uint64_t item, unsigned int level,
			  struct hw_item *out)
{
	const char *why = region_error(item);

	if (item & ENTRY_INVALID)
		out->kind = HW_EMPTY;
	else if (hw_bits(item, 3, 2) != level - SEGMENT)
		hw_bad(out, HW_FAULT_LEVEL, "not the type of a region table of this level");
	else if (why)
		hw_bad(out, HW_FAULT_RESERVED, why);
	else
		set_table(layout, level, hw_address(item, 63, 12), item, out);
}

/* Bits 16 to 12 of a large one are the access control of its frame. */
static const char *segment_error(uint64_t item)
{
	if (hw_bits(item, 7, 6) || hw_bits(item, 1, 0))
		return "bits 7:6 or 1:0 of a segment-table entry are not 0";
	if (hw_bits(item, 8, 8))
		return "bit 8 of a segment-table entry is not 0";
	if (item & ENTRY_FORMAT && hw_bits(item, 19, 17))
		return "the frame of a segment is not aligned to 1 MiB";
	return NULL;
}

static void decode_segment(const struct hw_layout *layout, uint64_t item, struct hw_item *out)
{
	const char *why = segment_error(item);

	if (item & ENTRY_INVALID)
		out->kind = HW_EMPTY;
	else if (hw_bits(item, 3, 2) != TYPE_SEGMENT)
		hw_bad(out, HW_FAULT_LEVEL, "not the type of a segment table");
	else if (why)
		hw_bad(out, HW_FAULT_RESERVED, why);
	else if (item & ENTRY_FORMAT)
		set_leaf(layout, SEGMENT, hw_address(item, 63, 20), item & ENTRY_PROTECT, out);
	else
		set_table(layout, SEGMENT, hw_address(item, 63, 11), item, out);
}

static void decode_page(const struct hw_layout *layout, uint64_t item, struct hw_item *out)
{
	if (item & PAGE_INVALID)
		out->kind = HW_EMPTY;
	else if (item & PAGE_ZERO || hw_bits(item, 8, 8))
		hw_bad(out, HW_FAULT_RESERVED, "bit 11 or 8 of a page-table entry is not 0");
	else
		set_leaf(layout, PAGE, hw_address(item, 63, 12), item & PAGE_PROTECT, out);
}

static void decode(const struct hw_tables *tables, const struct hw_layout *layout, uint64_t item,
		   unsigned int level, unsigned int index, struct hw_item *out)
{
	switch (level) {
	case PAGE:
		decode_page(layout, item, out);
		break;
	case SEGMENT:
		decode_segment(layout, item, out);
		break;
	default:
		decode_region(layout, item, level, out);
	}
}

#define LEAF    (1 << HW_LEAF)
#define TABLE   (1 << HW_TABLE | 1 << HW_BAD)
#define ANY     (LEAF | TABLE)
#define EMPTY   (1 << HW_EMPTY)
#define AT(lvl) (1 << (lvl))
#define REGIONS (AT(REGION3) | AT(REGION2) | AT(REGION1))
#define UPPER   (AT(SEGMENT) | REGIONS)

static const struct hw_field fields[] = {
	{63, 12, AT(REGION3), ANY, "Segment-table origin", "shifted right by 12"},
	{63, 12, AT(REGION2) | AT(REGION1), ANY, "Region-table origin", "shifted right by 12"},
	{63, 11, AT(SEGMENT), TABLE, "Page-table origin", "shifted right by 11"},
	{63, 20, AT(SEGMENT), LEAF, "Segment-frame absolute address", "shifted right by 20"},
	{63, 12, AT(PAGE), ANY, "Page-frame real address", "shifted right by 12"},
	{16, 16, AT(SEGMENT), LEAF, "AV", "the next two are valid"},
	{15, 12, AT(SEGMENT), LEAF, "ACC", "storage key"},
	{11, 11, AT(SEGMENT), LEAF, "F", "fetch protection by the key"},
	{11, 11, AT(PAGE), ANY, "Zero", "0"},
	{10, 10, UPPER, ANY, "FC", "the frame itself is designated, not a table"},
	{10, 10, AT(PAGE), ANY | EMPTY, "I", "invalid"},
	{9, 9, AT(PAGE) | UPPER, ANY, "P", "protected: read-only"},
	{8, 8, AT(PAGE) | UPPER, ANY, "IEP", "reserved"},
	{7, 6, REGIONS, ANY, "TF", "table offset"},
	{5, 5, UPPER, ANY | EMPTY, "I", "invalid"},
	{4, 4, UPPER, ANY, "CS", "common to all address spaces"},
	{3, 2, UPPER, ANY | EMPTY, "TT", "table type: 0 segment, 1 to 3 region-third to first"},
	{1, 0, REGIONS, ANY, "TL", "table length: 3 is 2048 entries"},
	{.name = NULL},
};

const struct hw_format hw_s390 = {
	.name = "s390",
	.title = "IBM z/Architecture, PCI",
	.layout = layout,
	.decode = decode,
	.fields = fields,
};
