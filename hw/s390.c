// SPDX-License-Identifier: MIT
/*
 * s390: the DMA translation tables of PCI functions on z/Architecture, which are
 * those of dynamic address translation (Principles of Operation, chapter 3) from
 * the region-third table down, in big-endian order. The designation of the root
 * (IOTA) says that all tables are of full length, so table entries must too.
 */
#include <errno.h>

#include "hw/decode.h"

/* Region-third and segment table entries. */
#define ENTRY_FORMAT  (1ull << 10) /* of a segment: the frame is here, and no page table */
#define ENTRY_PROTECT (1ull << 9)
#define ENTRY_INVALID (1ull << 5)

/* Page table entries. */
#define PAGE_ZERO    (1ull << 11)
#define PAGE_INVALID (1ull << 10)
#define PAGE_PROTECT (1ull << 9)

#define TYPE_SEGMENT 0
#define TYPE_REGION3 1
#define WHOLE_TABLE  3 /* the length of a table of 16 KiB */

enum level {
	PAGE,
	SEGMENT,
	REGION3,
	LEVELS,
};

#define ADDRESS_WIDTH 42
#define OUTPUT_WIDTH  64

static int layout(const struct hw_tables *tables, struct hw_layout *layout)
{
	if (tables->address_width != ADDRESS_WIDTH || tables->output_width > OUTPUT_WIDTH ||
	    (tables->levels && tables->levels != LEVELS) || tables->granule_lg2 > 12)
		return -EINVAL;
	*layout = (struct hw_layout){
		.levels = LEVELS,
		.granule_lg2 = 12,
		.address_width = ADDRESS_WIDTH,
		.output_width = tables->output_width ? tables->output_width : OUTPUT_WIDTH,
		.big_endian = true,
		.level =
			{
				[PAGE] = {.shift = 12, .bits = 8, .name = "page table"},
				[SEGMENT] = {.shift = 20, .bits = 11, .name = "segment table"},
				[REGION3] = {.shift = 31, .bits = 11, .name = "region-third table"},
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

static const char *region3_error(uint64_t item)
{
	if (item & ENTRY_FORMAT)
		return "a frame of 2 GiB, which devices do not have";
	if (hw_bits(item, 11, 11) || hw_bits(item, 8, 8))
		return "bit 11 or 8 of a region-table entry is not 0";
	if (hw_bits(item, 7, 6))
		return "the segment table begins with an offset";
	if (hw_bits(item, 1, 0) != WHOLE_TABLE)
		return "the segment table is not of full length";
	return NULL;
}

static void decode_region3(const struct hw_layout *layout, uint64_t item, struct hw_item *out)
{
	const char *why = region3_error(item);

	if (item & ENTRY_INVALID)
		out->kind = HW_EMPTY;
	else if (hw_bits(item, 3, 2) != TYPE_REGION3)
		hw_bad(out, HW_FAULT_LEVEL, "not the type of a region-third table");
	else if (why)
		hw_bad(out, HW_FAULT_RESERVED, why);
	else
		set_table(layout, REGION3, hw_address(item, 63, 12), item, out);
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
	case REGION3:
		decode_region3(layout, item, out);
		break;
	case SEGMENT:
		decode_segment(layout, item, out);
		break;
	default:
		decode_page(layout, item, out);
	}
}

#define LEAF    (1 << HW_LEAF)
#define TABLE   (1 << HW_TABLE | 1 << HW_BAD)
#define ANY     (LEAF | TABLE)
#define EMPTY   (1 << HW_EMPTY)
#define AT(lvl) (1 << (lvl))
#define UPPER   (AT(SEGMENT) | AT(REGION3))

static const struct hw_field fields[] = {
	{63, 12, AT(REGION3), ANY, "Segment-table origin", "shifted right by 12"},
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
	{7, 6, AT(REGION3), ANY, "TF", "table offset"},
	{5, 5, UPPER, ANY | EMPTY, "I", "invalid"},
	{4, 4, UPPER, ANY, "CS", "common to all address spaces"},
	{3, 2, UPPER, ANY | EMPTY, "TT", "table type: 0 segment, 1 region-third"},
	{1, 0, AT(REGION3), ANY, "TL", "table length: 3 is 2048 entries"},
	{.name = NULL},
};

const struct hw_format hw_s390 = {
	.name = "s390",
	.title = "IBM z/Architecture, PCI",
	.layout = layout,
	.decode = decode,
	.fields = fields,
};
