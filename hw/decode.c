// SPDX-License-Identifier: MIT
/* What is the same in the decoders of formats with tables of 512 items. */
#include <errno.h>

#include "hw/decode.h"

int hw_layout_512(const struct hw_tables *tables, struct hw_layout *layout, unsigned int levels,
		  const char *const *names, unsigned int most_output)
{
	unsigned int output = tables->output_width;

	if (output > most_output || (output && output <= 12) ||
	    (tables->granule_lg2 && tables->granule_lg2 != 12))
		return -EINVAL;
	layout->levels = levels;
	layout->granule_lg2 = 12;
	layout->output_width = output ? output : most_output;
	for (unsigned int level = 0; level < levels; level++) {
		unsigned int shift = 12 + 9 * level;

		layout->level[level].shift = shift;
		layout->level[level].bits = shift + 9 > 64 ? 64 - shift : 9;
		layout->level[level].name = names[level];
	}
	return 0;
}

static bool too_wide(const struct hw_layout *layout, uint64_t address)
{
	return layout->output_width < 64 && address >> layout->output_width;
}

void hw_set_leaf(const struct hw_layout *layout, struct hw_item *out, uint64_t address,
		 unsigned int size_lg2)
{
	uint64_t last = hw_ones(size_lg2 - 1, 0);

	out->kind = HW_LEAF;
	out->address = address;
	out->size_lg2 = size_lg2;
	if (address & last)
		hw_bad(out, HW_FAULT_RESERVED, "the page is not aligned to its size");
	else if (too_wide(layout, address | last))
		hw_bad(out, HW_FAULT_RESERVED,
		       "the page is beyond the width of physical addresses");
}

void hw_set_table(const struct hw_layout *layout, struct hw_item *out, uint64_t address,
		  unsigned int next_level)
{
	out->kind = HW_TABLE;
	out->address = address;
	out->next_level = next_level;
	if (too_wide(layout, address))
		hw_bad(out, HW_FAULT_RESERVED,
		       "the table is beyond the width of physical addresses");
}
