// SPDX-License-Identifier: MIT
/*
 * x86_64: the processor's own tables, which are VT-d's first stage (VT-d
 * specification, 3.6 "First-Stage Translation" and 9.7 "First-Stage Paging
 * Entries") and AMD's guest tables, "v2" (AMD I/O Virtualization Technology
 * Specification, 2.2.6).
 *
 * A device's access is a user access. If RW is clear, writes are refused to users and
 * supervisors alike. Execution is disabled by XD.
 */
#include <errno.h>

#include "hw/decode.h"

#define MOST_BITS 52 /* of a physical address */

enum {
	P = 0,
	RW = 1,
	US = 2,
	A = 5,
	D = 6,
	PS = 7,
	XD = 63,
};

static int layout(const struct hw_tables *tables, struct hw_layout *layout)
{
	static const char *const names[] = {"PTE", "PDE", "PDPTE", "PML4E", "PML5E"};
	unsigned int width = tables->address_width, levels = width == 48 ? 4 : 5;

	if ((width != 48 && width != 57) || (tables->levels && tables->levels != levels))
		return -EINVAL;
	layout->address_width = width;
	layout->sign_extended = true;
	return hw_layout_512(tables, layout, levels, names, MOST_BITS);
}

static unsigned int access_of(uint64_t item)
{
	if (!hw_bit(item, US))
		return 0;
	return HW_READ | (hw_bit(item, RW) ? HW_WRITE : 0) | (hw_bit(item, XD) ? 0 : HW_EXEC);
}

/* Bit 12 of a large leaf is PAT. */
static uint64_t leaf_address(uint64_t item, unsigned int level)
{
	return hw_address(item, 51, level ? 13 : 12);
}

static void decode(const struct hw_tables *tables, const struct hw_layout *layout, uint64_t item,
		   unsigned int level, unsigned int index, struct hw_item *out)
{
	if (!hw_bit(item, P))
		return;
	out->access = access_of(item);
	out->accessed = hw_bit(item, A);
	if (level && !hw_bit(item, PS)) {
		hw_set_table(layout, out, hw_address(item, 51, 12), level - 1);
	} else if (level > 2) {
		hw_bad(out, HW_FAULT_RESERVED, "page size is set above PDPTE");
	} else {
		out->dirty = hw_bit(item, D);
		hw_set_leaf(layout, out, leaf_address(item, level), 12 + 9 * level);
	}
}

#define LEVEL_0 0x01
#define LARGE   0x06
#define ABOVE   0x1e
#define TOP     0x18
#define ALL     0x1f

static const struct hw_field fields[] = {
	{0, 0, ALL, HW_IN_ALL, "P", "present"},
	{1, 1, ALL, HW_IN_USED, "R/W", "may be written"},
	{2, 2, ALL, HW_IN_USED, "U/S", "user accesses, a device's, are let through"},
	{3, 3, ALL, HW_IN_USED, "PWT", "memory type: write-through"},
	{4, 4, ALL, HW_IN_USED, "PCD", "memory type: cache disabled"},
	{5, 5, ALL, HW_IN_USED, "A", "was accessed"},
	{6, 6, ALL, HW_IN_LEAF, "D", "was written"},
	{7, 7, LEVEL_0, HW_IN_USED, "PAT", "memory type"},
	{7, 7, LARGE, HW_IN_USED, "PS", "a large page, not a table"},
	{7, 7, TOP, HW_IN_USED, "reserved", "must be 0"},
	{8, 8, ALL, HW_IN_LEAF, "G", "global"},
	{12, 12, LARGE, HW_IN_LEAF, "PAT", "memory type"},
	{51, 12, LEVEL_0, HW_IN_LEAF, "ADDR", "physical address of the page"},
	{51, 13, LARGE, HW_IN_LEAF, "ADDR", "physical address of the page"},
	{51, 12, ABOVE, HW_IN_TABLE, "ADDR", "physical address of the table"},
	{51, 12, ALL, HW_IN_BAD, "ADDR", "physical address"},
	{63, 63, ALL, HW_IN_USED, "XD", "may not be executed"},
	{0},
};

const struct hw_format hw_x86_64 = {
	.name = "x86_64",
	.title = "x86-64 (Intel VT-d first stage, AMD v2)",
	.layout = layout,
	.decode = decode,
	.fields = fields,
};
