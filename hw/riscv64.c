// SPDX-License-Identifier: MIT
/*
 * riscv64: Sv39, Sv48 and Sv57 of the RISC-V privileged specification, and the
 * x4 variants that its second stage has (Sv39x4 and so on), as its IOMMU walks
 * them. Svnapot and Svpbmt are there; hardware updates no A or D bits.
 */
#include <errno.h>

#include "hw/decode.h"

#define V (1ull << 0)
#define R (1ull << 1)
#define W (1ull << 2)
#define X (1ull << 3)
#define U (1ull << 4)
#define A (1ull << 6)
#define D (1ull << 7)
#define N (1ull << 63)

#define INDEX_BITS   9
#define X4_BITS      2 /* more of them at the top of an x4 table */
#define NAPOT_LG2    4 /* 64 KiB is the only size of Svnapot */
#define OUTPUT_WIDTH 56

/* 39, 48 and 57, each with its x4 variant; 0 for any other width. */
static unsigned int count_levels(unsigned int width)
{
	for (unsigned int levels = 3; levels <= 5; levels++)
		if (width == 12 + levels * INDEX_BITS ||
		    width == 12 + levels * INDEX_BITS + X4_BITS)
			return levels;
	return 0;
}

static int layout(const struct hw_tables *tables, struct hw_layout *layout)
{
	static const char *const names[] = {"level 0", "level 1", "level 2", "level 3", "level 4"};
	unsigned int levels = count_levels(tables->address_width);
	unsigned int spare = tables->address_width - 12 - levels * INDEX_BITS;

	if (!levels || (tables->levels && tables->levels != levels) || tables->granule_lg2 > 12 ||
	    tables->output_width > OUTPUT_WIDTH)
		return -EINVAL;
	layout->levels = levels;
	layout->granule_lg2 = 12;
	layout->address_width = tables->address_width;
	layout->output_width = tables->output_width ? tables->output_width : OUTPUT_WIDTH;
	layout->sign_extended = !spare;
	for (unsigned int level = 0; level < levels; level++)
		layout->level[level] = (struct hw_level){
			.shift = 12 + level * INDEX_BITS,
			.bits = INDEX_BITS + (level == levels - 1 ? spare : 0),
			.name = names[level],
		};
	return 0;
}

static const char *table_error(const struct hw_layout *layout, uint64_t item)
{
	if (item & (A | D | U))
		return "A, D or U of a pointer is not 0";
	if (item & N || hw_bits(item, 62, 61))
		return "N or PBMT of a pointer is not 0";
	if (hw_bits(item, 60, 54))
		return "bits 60:54 are not 0";
	if (hw_bits(item, 53, 10) << 12 >> layout->output_width)
		return "the table is beyond the width of physical addresses";
	return NULL;
}

static void decode_table(const struct hw_layout *layout, uint64_t item, unsigned int level,
			 struct hw_item *out)
{
	const char *why = table_error(layout, item);

	out->address = hw_bits(item, 53, 10) << 12;
	if (!level) {
		hw_bad(out, HW_FAULT_LEVEL, "a pointer at the lowest level");
	} else if (why) {
		hw_bad(out, HW_FAULT_RESERVED, why);
	} else {
		out->kind = HW_TABLE;
		out->next_level = level - 1;
		out->access = HW_READ | HW_WRITE | HW_EXEC;
	}
}

static const char *leaf_error(const struct hw_layout *layout, uint64_t item, unsigned int level)
{
	uint64_t address = hw_bits(item, 53, 10) << 12;

	if (!(item & R) && item & W)
		return "W without R";
	if (hw_bits(item, 60, 54))
		return "bits 60:54 are not 0";
	if (hw_bits(item, 62, 61) == 3)
		return "PBMT is 3, which is reserved";
	if (item & N && level)
		return "N above the lowest level";
	if (item & N && hw_bits(item, 13, 10) != 1u << (NAPOT_LG2 - 1))
		return "N, and PPN[3:0] is not 8";
	if (address & ((1ull << layout->level[level].shift) - 1))
		return "the page is not aligned to its size";
	if (address >> layout->output_width)
		return "the page is beyond the width of physical addresses";
	return NULL;
}

/* To a device, and in a second stage, a page without U is not accessible at all. */
static unsigned int leaf_access(uint64_t item)
{
	unsigned int access = 0;

	if (!(item & U))
		return 0;
	if (item & R)
		access |= HW_READ;
	if (item & W && item & D)
		access |= HW_WRITE;
	if (item & X)
		access |= HW_EXEC;
	return access;
}

static void decode_leaf(const struct hw_layout *layout, uint64_t item, unsigned int level,
			struct hw_item *out)
{
	const char *why = leaf_error(layout, item, level);

	out->kind = HW_LEAF;
	out->address = hw_bits(item, 53, 10) << 12;
	if (item & N && !why) { /* the lowest set bit of the PPN says the size */
		out->run_lg2 = NAPOT_LG2;
		out->address &= ~((1ull << (12 + NAPOT_LG2)) - 1);
	}
	out->size_lg2 = layout->level[level].shift + out->run_lg2;
	out->access = leaf_access(item);
	out->accessed = item & A;
	out->dirty = item & D;
	if (why)
		hw_bad(out, HW_FAULT_RESERVED, why);
	else if (!out->accessed)
		hw_bad(out, HW_FAULT_ACCESS_FLAG, "A is 0");
}

static void decode(const struct hw_tables *tables, const struct hw_layout *layout, uint64_t item,
		   unsigned int level, unsigned int index, struct hw_item *out)
{
	if (!(item & V))
		out->kind = HW_EMPTY;
	else if (!(item & (R | W | X)))
		decode_table(layout, item, level, out);
	else
		decode_leaf(layout, item, level, out);
}

#define LEAF  (1 << HW_LEAF | 1 << HW_BAD)
#define TABLE (1 << HW_TABLE)
#define ANY   (LEAF | TABLE)
#define ALL   0x1f

static const struct hw_field fields[] = {
	{0, 0, ALL, ANY | 1 << HW_EMPTY, "V", "valid"},
	{1, 1, ALL, ANY, "R", "readable"},
	{2, 2, ALL, ANY, "W", "writable"},
	{3, 3, ALL, ANY, "X", "executable; R, W and X clear: pointer to the next table"},
	{4, 4, ALL, ANY, "U", "for user mode; devices need it"},
	{5, 5, ALL, ANY, "G", "global: in every address space"},
	{6, 6, ALL, ANY, "A", "accessed"},
	{7, 7, ALL, ANY, "D", "dirty; written only if set"},
	{9, 8, ALL, ANY, "RSW", "for software"},
	{53, 10, ALL, ANY, "PPN", "page number of the output or the next table"},
	{60, 54, ALL, ANY, "Reserved", "0"},
	{62, 61, ALL, ANY, "PBMT", "memory type: 0 of the memory, 1 non-cacheable, 2 I/O"},
	{63, 63, ALL, ANY, "N", "one of a run of 16 items"},
	{.name = NULL},
};

const struct hw_format hw_riscv64 = {
	.name = "riscv64",
	.title = "RISC-V Sv39, Sv48, Sv57 and x4",
	.layout = layout,
	.decode = decode,
	.fields = fields,
};
