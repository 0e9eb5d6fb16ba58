// SPDX-License-Identifier: MIT
/*
 * vtd: second-stage tables of the Intel Virtualization Technology for Directed
 * I/O Architecture Specification, 3.7 "Second-Stage Translation" and 9.8
 * "Second-Stage Paging Entries".
 *
 * The hardware that is meant has snoop control, no device-TLB snoop behaviour
 * (bit 62 is reserved) and no execute permission.
 */
#include <errno.h>

#include "hw/decode.h"

#define MOST_BITS 52 /* of a physical address */

enum {
	R = 0,
	W = 1,
	PS = 7,
	A = 8,
	D = 9,
	SNP = 11,
	TM = 62,
};

/* The addresses may have fewer bits than the levels could resolve (MGAW below AGAW). */
static int layout(const struct hw_tables *tables, struct hw_layout *layout)
{
	static const char *const names[] = {"SS-PTE", "SS-PDE", "SS-PDPE", "SS-PML4E", "SS-PML5E"};
	unsigned int width = tables->address_width, levels = tables->levels;

	if (!levels)
		levels = width <= 39 ? 3 : width <= 48 ? 4 : 5;
	if (levels < 3 || levels > 5 || width < 31 || width > 12 + 9 * levels)
		return -EINVAL;
	layout->address_width = width;
	return hw_layout_512(tables, layout, levels, names, MOST_BITS);
}

static void decode(const struct hw_tables *tables, const struct hw_layout *layout, uint64_t item,
		   unsigned int level, unsigned int index, struct hw_item *out)
{
	bool leaf = !level || hw_bit(item, PS);

	if (!hw_bit(item, R) && !hw_bit(item, W))
		return;
	out->access = (hw_bit(item, R) ? HW_READ : 0) | (hw_bit(item, W) ? HW_WRITE : 0);
	out->accessed = hw_bit(item, A);
	if (hw_bit(item, TM)) {
		hw_bad(out, HW_FAULT_RESERVED, "bit 62 is set");
	} else if (leaf && level > 2) {
		hw_bad(out, HW_FAULT_RESERVED, "page size is set above SS-PDPE");
	} else if (leaf) {
		out->dirty = hw_bit(item, D);
		hw_set_leaf(layout, out, hw_address(item, 51, 12), 12 + 9 * level);
	} else if (hw_bit(item, SNP)) {
		hw_bad(out, HW_FAULT_RESERVED, "bit 11 is set in a table entry");
	} else {
		hw_set_table(layout, out, hw_address(item, 51, 12), level - 1);
	}
}

#define LARGE 0x06 /* levels of leaves that PS tells from tables */
#define ABOVE 0x1e
#define TOP   0x18
#define ALL   0x1f

static const struct hw_field fields[] = {
	{0, 0, ALL, HW_IN_ALL, "R", "may be read"},
	{1, 1, ALL, HW_IN_ALL, "W", "may be written"},
	{2, 2, ALL, HW_IN_ALL, "X", "may be executed; ignored"},
	{5, 3, ALL, HW_IN_LEAF, "EMT", "memory type"},
	{6, 6, ALL, HW_IN_LEAF, "IPAT", "the memory type is not combined with PAT"},
	{7, 7, LARGE, HW_IN_USED, "PS", "a large page, not a table"},
	{7, 7, TOP, HW_IN_USED, "reserved", "must be 0"},
	{8, 8, ALL, HW_IN_USED, "A", "was accessed"},
	{9, 9, ALL, HW_IN_LEAF, "D", "was written"},
	{11, 11, ALL, HW_IN_LEAF, "SNP", "accesses snoop the caches"},
	{11, 11, ABOVE, HW_IN_TABLE, "reserved", "must be 0"},
	{51, 12, ALL, HW_IN_LEAF, "ADDR", "physical address of the page"},
	{51, 12, ABOVE, HW_IN_TABLE, "SSPTPTR", "physical address of the table"},
	{51, 12, ALL, HW_IN_BAD, "ADDR", "physical address"},
	{62, 62, ALL, HW_IN_USED, "reserved", "must be 0 (TM of device TLBs)"},
	{0},
};

const struct hw_format hw_vtd = {
	.name = "vtd",
	.title = "Intel VT-d second stage",
	.layout = layout,
	.decode = decode,
	.fields = fields,
};
