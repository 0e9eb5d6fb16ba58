// SPDX-License-Identifier: MIT
/*
 * arm64-s1 and arm64-s2: the VMSAv8-64 translation tables of Arm DDI 0487, D8,
 * which SMMUv2 and SMMUv3 walk. The architecture's level 3 is level 0 here.
 *
 * The walker is that of a device: its accesses are unprivileged, hardware
 * manages the dirty state (HD) but not the access flag (no HA), no field of a
 * later extension (LPA2, BTI, BBM, XNX) is enabled.
 */
#include <errno.h>

#include "hw/decode.h"

#define VALID      (1ull << 0)
#define NOT_BLOCK  (1ull << 1) /* a table; at the lowest level a page */
#define AF         (1ull << 10)
#define DBM        (1ull << 51)
#define CONTIGUOUS (1ull << 52)
#define XN         (1ull << 54)

#define AP_EL0       (1ull << 6)
#define AP_READ_ONLY (1ull << 7)
#define S2AP_READ    (1ull << 6)
#define S2AP_WRITE   (1ull << 7)

#define XN_TABLE      (1ull << 60)
#define AP_TABLE_EL1  (1ull << 61) /* nothing for EL0 */
#define AP_TABLE_READ (1ull << 62) /* nothing is written */

#define NARROWEST 25 /* T0SZ is 39 at most */
#define MAX_JOIN  4  /* log2 of the tables that may be joined at the top of stage 2 */

/* Size of the addresses that a granule has: only 64 KiB has 52 bits (LPA, LVA). */
static unsigned int granule_width(unsigned int granule_lg2)
{
	return granule_lg2 == 16 ? 52 : 48;
}

/* As few levels as resolve @width. */
static unsigned int count_levels(unsigned int width, unsigned int granule_lg2)
{
	unsigned int bits = granule_lg2 - 3;

	return (width - granule_lg2 + bits - 1) / bits;
}

static unsigned int top_bits(unsigned int width, unsigned int granule_lg2, unsigned int levels)
{
	return width - granule_lg2 - (levels - 1) * (granule_lg2 - 3);
}

/*
 * "Concatenated translation tables": a small top level becomes one large table of the
 * next. Here only where an implementation with so narrow addresses cannot begin at the
 * level itself (Table D8-9): level 0, of 16 KiB granules also level 1.
 */
static unsigned int count_levels_joined(unsigned int width, unsigned int granule_lg2)
{
	unsigned int levels = count_levels(width, granule_lg2);
	bool may_lack = levels == 4 || (granule_lg2 == 14 && levels == 3);

	if (may_lack && top_bits(width, granule_lg2, levels) <= MAX_JOIN)
		levels--;
	return levels;
}

static int set_widths(const struct hw_tables *tables, struct hw_layout *layout)
{
	unsigned int granule_lg2 = tables->granule_lg2 ? tables->granule_lg2 : 12;
	unsigned int width = granule_width(granule_lg2);

	if (granule_lg2 != 12 && granule_lg2 != 14 && granule_lg2 != 16)
		return -EINVAL;
	if (tables->address_width < NARROWEST || tables->address_width > width ||
	    tables->output_width > width)
		return -EINVAL;
	layout->granule_lg2 = granule_lg2;
	layout->address_width = tables->address_width;
	layout->output_width = tables->output_width ? tables->output_width : width;
	return 0;
}

static int set_levels(struct hw_layout *layout, unsigned int levels, unsigned int join)
{
	static const char *const names[] = {"level 3", "level 2", "level 1", "level 0"};
	unsigned int bits = layout->granule_lg2 - 3;
	unsigned int below = layout->granule_lg2 + (levels - 1) * bits;
	unsigned int top = layout->address_width - below;

	if (!levels || levels > 4 || below >= layout->address_width || top > bits + join)
		return -EINVAL;
	layout->levels = levels;
	for (unsigned int level = 0; level < levels; level++)
		layout->level[level] = (struct hw_level){
			.shift = layout->granule_lg2 + level * bits,
			.bits = level == levels - 1 ? top : bits,
			.name = names[level],
		};
	return 0;
}

static int layout_s1(const struct hw_tables *tables, struct hw_layout *layout)
{
	int ret = set_widths(tables, layout);
	unsigned int levels;

	if (ret)
		return ret;
	levels = count_levels(layout->address_width, layout->granule_lg2);
	return tables->levels && tables->levels != levels ? -EINVAL : set_levels(layout, levels, 0);
}

/* Here software chooses the first level (SL0), and may join tables or not. */
static int layout_s2(const struct hw_tables *tables, struct hw_layout *layout)
{
	int ret = set_widths(tables, layout);
	unsigned int levels = tables->levels;

	if (ret)
		return ret;
	if (!levels)
		levels = count_levels_joined(layout->address_width, layout->granule_lg2);
	return set_levels(layout, levels, MAX_JOIN);
}

/* An address in an item: 64 KiB granules have bits 51:48 of it at 15:12. */
static uint64_t item_address(const struct hw_layout *layout, uint64_t item)
{
	if (layout->granule_lg2 == 16)
		return hw_address(item, 47, 16) | hw_bits(item, 15, 12) << 48;
	return hw_address(item, 47, 12);
}

/* 1 GiB and 2 MiB; 32 MiB; 512 MiB, and 4 TiB with 52 bits of output. */
static bool may_be_block(const struct hw_layout *layout, unsigned int level)
{
	switch (layout->granule_lg2) {
	case 12:
		return level == 1 || level == 2;
	case 14:
		return level == 1;
	default:
		return level == 1 || (level == 2 && layout->output_width == 52);
	}
}

/* log2 of the items that the contiguous bit joins; 0 where it means nothing. */
static unsigned int contiguous_lg2(const struct hw_layout *layout, unsigned int level)
{
	switch (layout->granule_lg2) {
	case 12:
		return level <= 2 ? 4 : 0;
	case 14:
		return level == 0 ? 7 : level == 1 ? 5 : 0;
	default:
		return level <= 1 ? 5 : 0;
	}
}

static bool is_too_wide(const struct hw_layout *layout, uint64_t address)
{
	return address >> layout->output_width;
}

static const char *table_error(const struct hw_layout *layout, uint64_t item, uint64_t address,
			       bool stage2)
{
	if (hw_bits(item, 50, 48))
		return "bits 50:48 of a table descriptor are not 0";
	if (stage2 && hw_bits(item, 63, 59))
		return "bits 63:59 of a stage 2 table descriptor are not 0";
	if (address & ((1ull << layout->granule_lg2) - 1))
		return "the table is not aligned to the granule";
	if (is_too_wide(layout, address))
		return "the table is beyond the output size";
	return NULL;
}

static unsigned int table_access(uint64_t item)
{
	unsigned int access = HW_READ | HW_WRITE | HW_EXEC;

	if (item & AP_TABLE_READ)
		access &= ~HW_WRITE;
	if (item & AP_TABLE_EL1)
		access &= ~(HW_READ | HW_WRITE);
	if (item & XN_TABLE)
		access &= ~HW_EXEC;
	return access;
}

static void decode_table(const struct hw_layout *layout, uint64_t item, unsigned int level,
			 bool stage2, struct hw_item *out)
{
	out->address = item_address(layout, item);
	out->why = table_error(layout, item, out->address, stage2);
	if (out->why) {
		hw_bad(out, HW_FAULT_RESERVED, out->why);
		return;
	}
	out->kind = HW_TABLE;
	out->next_level = level - 1;
	out->access = stage2 ? HW_READ | HW_WRITE | HW_EXEC : table_access(item);
}

/* What the attributes of a leaf may not be. */
static const char *attribute_error(uint64_t item, bool stage2)
{
	if (hw_bits(item, 50, 48))
		return "bits 50:48 are not 0";
	if (hw_bits(item, 9, 8) == 1)
		return "SH is 1, which is reserved";
	if (stage2 && hw_bits(item, 5, 4) && !hw_bits(item, 3, 2))
		return "MemAttr is a reserved value";
	if (stage2 && hw_bits(item, 53, 53))
		return "bit 53 of a stage 2 descriptor is not 0";
	if (stage2 && hw_bits(item, 11, 11))
		return "bit 11 of a stage 2 descriptor is not 0";
	return NULL;
}

static const char *leaf_error(const struct hw_layout *layout, uint64_t item, unsigned int level,
			      uint64_t address)
{
	if (!level && !(item & NOT_BLOCK))
		return "bit 1 of a page is 0";
	if (level && !may_be_block(layout, level))
		return "a block at a level that has none";
	if (address & ((1ull << layout->level[level].shift) - 1))
		return "the block is not aligned to its size";
	if (is_too_wide(layout, address))
		return "the output address is beyond the output size";
	return NULL;
}

/* Every item of a run has an address of its own: that of the run plus its place. */
static const char *set_run(const struct hw_layout *layout, unsigned int level, unsigned int index,
			   struct hw_item *out)
{
	unsigned int run_lg2 = contiguous_lg2(layout, level);
	unsigned int shift = layout->level[level].shift;
	uint64_t place;

	if (!run_lg2)
		return "the contiguous bit at a level that has no runs";
	if (run_lg2 > layout->level[level].bits)
		return "the contiguous run is larger than its table";
	place = (uint64_t)(index & ((1u << run_lg2) - 1)) << shift;
	if ((out->address & ((1ull << (shift + run_lg2)) - 1)) != place)
		return "the address does not fit the place in the contiguous run";
	out->run_lg2 = run_lg2;
	out->address -= place;
	return NULL;
}

/* "Hardware management of the dirty state": read-only with DBM is writable and clean. */
static void set_access_s1(uint64_t item, struct hw_item *out)
{
	if (!(item & XN))
		out->access |= HW_EXEC;
	if (!(item & AP_EL0))
		return;
	out->access |= HW_READ;
	out->dirty = !(item & AP_READ_ONLY);
	if (out->dirty || item & DBM)
		out->access |= HW_WRITE;
}

static void set_access_s2(uint64_t item, struct hw_item *out)
{
	if (!(item & XN))
		out->access |= HW_EXEC;
	if (item & S2AP_READ)
		out->access |= HW_READ;
	out->dirty = item & S2AP_WRITE;
	if (out->dirty || item & DBM)
		out->access |= HW_WRITE;
}

static void decode_leaf(const struct hw_layout *layout, uint64_t item, unsigned int level,
			unsigned int index, bool stage2, struct hw_item *out)
{
	const char *why = leaf_error(layout, item, level, item_address(layout, item));

	out->kind = HW_LEAF;
	out->address = item_address(layout, item);
	if (!why)
		why = attribute_error(item, stage2);
	if (!why && item & CONTIGUOUS)
		why = set_run(layout, level, index, out);
	out->size_lg2 = layout->level[level].shift + out->run_lg2;
	out->accessed = item & AF;
	if (stage2)
		set_access_s2(item, out);
	else
		set_access_s1(item, out);
	if (why)
		hw_bad(out, HW_FAULT_RESERVED, why);
	else if (!out->accessed)
		hw_bad(out, HW_FAULT_ACCESS_FLAG, "AF is 0");
}

static void decode(const struct hw_layout *layout, uint64_t item, unsigned int level,
		   unsigned int index, bool stage2, struct hw_item *out)
{
	if (!(item & VALID))
		out->kind = HW_EMPTY;
	else if (level && item & NOT_BLOCK)
		decode_table(layout, item, level, stage2, out);
	else
		decode_leaf(layout, item, level, index, stage2, out);
}

static void decode_s1(const struct hw_tables *tables, const struct hw_layout *layout, uint64_t item,
		      unsigned int level, unsigned int index, struct hw_item *out)
{
	decode(layout, item, level, index, false, out);
}

static void decode_s2(const struct hw_tables *tables, const struct hw_layout *layout, uint64_t item,
		      unsigned int level, unsigned int index, struct hw_item *out)
{
	decode(layout, item, level, index, true, out);
}

#define LEAF  (1 << HW_LEAF | 1 << HW_BAD)
#define TABLE (1 << HW_TABLE)
#define ANY   (LEAF | TABLE)
#define ALL   0x3f
#define UPPER 0x3e

static const struct hw_field fields_s1[] = {
	{0, 0, ALL, ANY | 1 << HW_EMPTY, "Valid", "the descriptor translates something"},
	{1, 1, 0x01, LEAF, "Type", "1: page"},
	{1, 1, UPPER, ANY, "Type", "0: block, 1: table"},
	{4, 2, ALL, LEAF, "AttrIndx", "memory type, by MAIR"},
	{5, 5, ALL, LEAF, "NS", "non-secure output"},
	{6, 6, ALL, LEAF, "AP[1]", "unprivileged accesses are allowed"},
	{7, 7, ALL, LEAF, "AP[2]", "read-only; with DBM: clean"},
	{9, 8, ALL, LEAF, "SH", "shareability: 0 none, 2 outer, 3 inner"},
	{10, 10, ALL, LEAF, "AF", "accessed"},
	{11, 11, ALL, LEAF, "nG", "not global: tagged by ASID"},
	{47, 16, ALL, ANY, "Address[47:16]", "of the output or the next table"},
	{15, 12, ALL, ANY, "Address[15:12]", "with 64 KiB granules bits 51:48"},
	{50, 50, ALL, LEAF, "GP", "reserved"},
	{51, 51, ALL, LEAF, "DBM", "hardware manages the dirty state"},
	{52, 52, ALL, LEAF, "Contiguous", "one of a run of items"},
	{53, 53, ALL, LEAF, "PXN", "not executed by privileged accesses"},
	{54, 54, ALL, LEAF, "UXN", "not executed"},
	{58, 55, ALL, LEAF, "Ignored", "for software"},
	{62, 59, ALL, LEAF, "PBHA", "page-based hardware attributes"},
	{59, 59, ALL, TABLE, "PXNTable", "PXN for everything below"},
	{60, 60, ALL, TABLE, "UXNTable", "UXN for everything below"},
	{61, 61, ALL, TABLE, "APTable[0]", "no unprivileged access to anything below"},
	{62, 62, ALL, TABLE, "APTable[1]", "everything below is read-only"},
	{63, 63, ALL, TABLE, "NSTable", "NS for everything below"},
	{.name = NULL},
};

static const struct hw_field fields_s2[] = {
	{0, 0, ALL, ANY | 1 << HW_EMPTY, "Valid", "the descriptor translates something"},
	{1, 1, 0x01, LEAF, "Type", "1: page"},
	{1, 1, UPPER, ANY, "Type", "0: block, 1: table"},
	{5, 2, ALL, LEAF, "MemAttr", "memory type: 15 write-back, 5 non-cacheable, 0-3 device"},
	{6, 6, ALL, LEAF, "S2AP[0]", "readable"},
	{7, 7, ALL, LEAF, "S2AP[1]", "writable; clear with DBM: clean"},
	{9, 8, ALL, LEAF, "SH", "shareability: 0 none, 2 outer, 3 inner"},
	{10, 10, ALL, LEAF, "AF", "accessed"},
	{47, 16, ALL, ANY, "Address[47:16]", "of the output or the next table"},
	{15, 12, ALL, ANY, "Address[15:12]", "with 64 KiB granules bits 51:48"},
	{51, 51, ALL, LEAF, "DBM", "hardware manages the dirty state"},
	{52, 52, ALL, LEAF, "Contiguous", "one of a run of items"},
	{54, 53, ALL, LEAF, "XN", "2: not executed"},
	{58, 55, ALL, LEAF, "Ignored", "for software"},
	{62, 59, ALL, LEAF, "PBHA", "page-based hardware attributes"},
	{.name = NULL},
};

const struct hw_format hw_arm64_s1 = {
	.name = "arm64-s1",
	.title = "Arm VMSAv8-64 stage 1",
	.layout = layout_s1,
	.decode = decode_s1,
	.fields = fields_s1,
};

const struct hw_format hw_arm64_s2 = {
	.name = "arm64-s2",
	.title = "Arm VMSAv8-64 stage 2",
	.layout = layout_s2,
	.decode = decode_s2,
	.fields = fields_s2,
};
