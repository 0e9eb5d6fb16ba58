// SPDX-License-Identifier: MIT
/* The walk of one address through the tables of any format. */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "hw/read.h"

const char *hw_fault_name(enum hw_fault fault)
{
	static const char *const names[HW_NR_FAULTS] = {
		[HW_FAULT_NONE] = "none",
		[HW_FAULT_NOT_PRESENT] = "not present",
		[HW_FAULT_READ] = "no read access",
		[HW_FAULT_WRITE] = "no write access",
		[HW_FAULT_EXEC] = "no execute access",
		[HW_FAULT_ACCESS_FLAG] = "access flag clear",
		[HW_FAULT_RESERVED] = "reserved bits",
		[HW_FAULT_ADDRESS] = "address too wide",
		[HW_FAULT_LEVEL] = "bad level",
		[HW_FAULT_MEMORY] = "no memory",
	};

	return fault < HW_NR_FAULTS ? names[fault] : "unknown";
}

int hw_layout(const struct hw_tables *tables, struct hw_layout *out)
{
	const struct hw_level *top;
	int ret;

	memset(out, 0, sizeof(*out));
	ret = tables->format->layout(tables, out);
	if (ret)
		return ret;
	top = &out->level[out->levels - 1];
	return tables->root & ((UINT64_C(8) << top->bits) - 1) ? -EINVAL : 0;
}

void hw_decode(const struct hw_tables *tables, const struct hw_layout *layout, uint64_t item,
	       unsigned int level, unsigned int index, struct hw_item *out)
{
	memset(out, 0, sizeof(*out));
	tables->format->decode(tables, layout, item, level, index, out);
	if (out->kind == HW_TABLE && out->next_level >= level)
		hw_bad(out, HW_FAULT_LEVEL, "the table is not of a lower level");
	if (out->kind == HW_LEAF && out->run_lg2 > layout->level[level].bits)
		hw_bad(out, HW_FAULT_RESERVED, "the leaf is larger than the table");
	if (out->kind != HW_LEAF)
		out->run_lg2 = 0;
}

bool hw_read_items(const struct hw_tables *tables, const struct hw_layout *layout, uint64_t paddr,
		   unsigned int count, uint64_t *values)
{
	size_t bytes = count * sizeof(*values);

	if (paddr + (bytes - 1) < paddr)
		return false;
	if (!tables->memory->read(tables->memory->context, paddr, values, bytes))
		return false;
	for (unsigned int i = 0; i < count; i++)
		values[i] = layout->big_endian ? be64toh(values[i]) : le64toh(values[i]);
	return true;
}

void hw_join_item(const struct hw_tables *tables, const struct hw_layout *layout, uint64_t value,
		  unsigned int level, unsigned int index, struct hw_item *item)
{
	struct hw_item other;

	hw_decode(tables, layout, value, level, index, &other);
	if (other.kind != HW_LEAF || other.address != item->address ||
	    other.size_lg2 != item->size_lg2 || other.access != item->access) {
		hw_bad(item, HW_FAULT_RESERVED, "the items that form the leaf differ");
		return;
	}
	item->accessed |= other.accessed;
	item->dirty |= other.dirty;
}

static void join_run(const struct hw_tables *tables, const struct hw_layout *layout,
		     struct hw_step *step)
{
	unsigned int first = hw_run_first(&step->item, step->index);
	unsigned int end = first + (1u << step->item.run_lg2);

	for (unsigned int i = first; i < end && step->item.kind == HW_LEAF; i++) {
		uint64_t value;

		if (!hw_read_items(tables, layout, step->table + i * sizeof(value), 1, &value))
			hw_bad(&step->item, HW_FAULT_MEMORY, "a part of the leaf is not in memory");
		else
			hw_join_item(tables, layout, value, step->level, i, &step->item);
	}
}

/* Does an address fit, or is it the sign extension of one that does? */
static bool fits(const struct hw_layout *layout, uint64_t iova)
{
	unsigned int width = layout->address_width;

	if (width >= 64)
		return true;
	if (!layout->sign_extended)
		return !(iova >> width);
	return iova >> (width - 1) == 0 || iova >> (width - 1) == UINT64_MAX >> (width - 1);
}

/* If an item skips levels, the address bits of these levels must be 0. */
static bool in_span(const struct hw_layout *layout, const struct hw_step *step, uint64_t iova)
{
	const struct hw_level *next = &layout->level[step->item.next_level];
	uint64_t in_item = iova & ((UINT64_C(1) << layout->level[step->level].shift) - 1);

	return !(in_item >> (next->shift + next->bits - 1) >> 1);
}

/* Read and decode the item of a table that translates @iova. */
static void take_step(const struct hw_tables *tables, const struct hw_layout *layout, uint64_t iova,
		      struct hw_step *step)
{
	const struct hw_level *level = &layout->level[step->level];

	step->index = (unsigned int)(iova >> level->shift) & ((1u << level->bits) - 1);
	step->paddr = step->table + step->index * sizeof(step->value);
	if (!hw_read_items(tables, layout, step->paddr, 1, &step->value)) {
		hw_bad(&step->item, HW_FAULT_MEMORY, "the table is not in memory");
		return;
	}
	hw_decode(tables, layout, step->value, step->level, step->index, &step->item);
	if (step->item.run_lg2)
		join_run(tables, layout, step);
}

static enum hw_fault refuse(struct hw_translation *out, enum hw_fault fault, const char *why)
{
	out->fault = fault;
	out->why = why;
	return fault;
}

static enum hw_fault translate_by_leaf(const struct hw_item *leaf, uint64_t iova,
				       unsigned int access, struct hw_translation *out)
{
	unsigned int missing;

	out->paddr = leaf->address + (iova & ((UINT64_C(1) << leaf->size_lg2) - 1));
	out->size_lg2 = leaf->size_lg2;
	out->access &= leaf->access;
	out->dirty = leaf->dirty;
	missing = access & ~out->access;
	if (missing & HW_READ)
		return refuse(out, HW_FAULT_READ, NULL);
	if (missing & HW_WRITE)
		return refuse(out, HW_FAULT_WRITE, NULL);
	if (missing)
		return refuse(out, HW_FAULT_EXEC, NULL);
	return HW_FAULT_NONE;
}

enum hw_fault hw_translate(const struct hw_tables *tables, uint64_t iova, unsigned int access,
			   struct hw_translation *out)
{
	struct hw_layout layout;
	struct hw_step *step = out->steps;

	memset(out, 0, sizeof(*out));
	if (hw_layout(tables, &layout))
		return refuse(out, HW_FAULT_LEVEL, "there are no such tables");
	if (!fits(&layout, iova))
		return refuse(out, HW_FAULT_ADDRESS, NULL);
	out->access = HW_ALL_ACCESS;
	step->table = tables->root;
	step->level = layout.levels - 1;
	for (;;) {
		out->nr_steps++;
		take_step(tables, &layout, iova, step);
		if (step->item.kind != HW_TABLE)
			break;
		out->access &= step->item.access;
		if (!in_span(&layout, step, iova))
			return refuse(out, HW_FAULT_ADDRESS, "bits of a level that is skipped");
		step[1].table = step->item.address;
		step[1].level = step->item.next_level;
		step++;
	}
	if (step->item.kind == HW_LEAF)
		return translate_by_leaf(&step->item, iova, access, out);
	out->access = 0;
	if (step->item.kind == HW_BAD)
		return refuse(out, step->item.fault, step->item.why);
	return refuse(out, HW_FAULT_NOT_PRESENT, NULL);
}
