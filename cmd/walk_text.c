/* SPDX-License-Identifier: MIT */
/* uiommu walk: the answers for people. */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/walk.h"

#define HEX 18 /* columns of an address */

/* 0x0, too, where %#llx would say 0. */
static const char *hex(uint64_t value, char text[HEX + 1])
{
	snprintf(text, HEX + 1, "0x%llx", (unsigned long long)value);
	return text;
}

static void print_head(const struct walk *walk)
{
	const struct hw_layout *layout = &walk->layout;
	char granule[BYTES_TEXT];

	printf("%s, %u bits of address, pages from %s, %u level%s, root %#llx\n\n",
	       walk->tables.format->name, layout->address_width,
	       exact_bytes(UINT64_C(1) << layout->granule_lg2, granule), layout->levels,
	       layout->levels == 1 ? "" : "s", (unsigned long long)walk->tables.root);
}

/* "511 x 2M, 512 x 4K" */
static void print_leaves(const uint64_t leaves[64])
{
	const char *comma = "";
	char size[BYTES_TEXT];

	for (unsigned int lg2 = 64; lg2-- > 0;) {
		if (!leaves[lg2])
			continue;
		printf("%s%llu x %s", comma, (unsigned long long)leaves[lg2],
		       exact_bytes(UINT64_C(1) << lg2, size));
		comma = ", ";
	}
}

static void print_range(const struct walk_range *range)
{
	char first[HEX + 1], last[HEX + 1], paddr[HEX + 1], size[BYTES_TEXT], access[4];

	printf("%*s %*s %*s %10s  %s  ", HEX, hex(range->iova, first), HEX,
	       hex(range->iova + range->size - 1, last), HEX, hex(range->paddr, paddr),
	       exact_bytes(range->size, size), walk_access(range->access, access));
	print_leaves(range->leaves);
	putchar('\n');
}

static void print_ranges(const struct walk_list *list)
{
	if (!list->nr) {
		puts("nothing is mapped");
		return;
	}
	printf("%*s %*s %*s %10s  prot pages\n", HEX, "first iova", HEX, "last iova", HEX, "paddr",
	       "size");
	for (size_t i = 0; i < list->nr; i++)
		print_range(&list->ranges[i]);
	if (list->nr < list->nr_ranges)
		printf("and %llu more ranges: --limit shows more\n",
		       (unsigned long long)(list->nr_ranges - list->nr));
}

static void print_levels(const struct walk *walk, const struct walk_list *list)
{
	const struct hw_layout *layout = &walk->layout;

	printf("\nlevel %12s %12s %12s %12s %12s\n", "tables", "bytes", "leaf items", "links",
	       "bad items");
	for (unsigned int level = layout->levels; level-- > 0;) {
		const struct walk_level *at = &list->level[level];

		printf("%5u %12llu %12llu %12llu %12llu %12llu  %s\n", level,
		       (unsigned long long)at->tables,
		       (unsigned long long)walk_level_bytes(list, walk, level),
		       (unsigned long long)at->leaves, (unsigned long long)at->links,
		       (unsigned long long)at->bad, layout->level[level].name);
	}
}

static void print_sums(const struct walk_list *list)
{
	char text[BYTES_TEXT];

	printf("\nmapped %20llu bytes  %s", (unsigned long long)list->mapped,
	       format_bytes(list->mapped, text));
	if (list->mapped) {
		fputs(": ", stdout);
		print_leaves(list->leaves);
	}
	printf("\ndirty  %20llu bytes  %s\n", (unsigned long long)list->dirty,
	       format_bytes(list->dirty, text));
	if (list->nr_shared)
		printf("shared %20llu tables were met before: what is below them counts each "
		       "time\n",
		       (unsigned long long)list->nr_shared);
}

static void print_problem(const struct walk_problem *problem)
{
	char iova[HEX + 1], item[HEX + 1], size[BYTES_TEXT];

	printf("%*s %10s  level %u, item at %s: %s%s%s\n", HEX, hex(problem->iova, iova),
	       exact_bytes(problem->size, size), problem->level, hex(problem->item_paddr, item),
	       hw_fault_name(problem->fault), problem->why ? ": " : "",
	       problem->why ? problem->why : "");
}

static void print_problems(const struct walk_list *list)
{
	if (list->nr_problems)
		printf("\n%llu problem%s:\n", (unsigned long long)list->nr_problems,
		       list->nr_problems == 1 ? "" : "s");
	for (uint64_t i = 0; i < list->nr_problems && i < WALK_PROBLEMS; i++)
		print_problem(&list->problems[i]);
	for (unsigned int fault = 0; fault < HW_NR_FAULTS && list->nr_problems > WALK_PROBLEMS;
	     fault++)
		if (list->faults[fault])
			printf("%*llu %s\n", HEX, (unsigned long long)list->faults[fault],
			       hw_fault_name((enum hw_fault)fault));
	if (list->cut)
		puts("\nincomplete: there are more items than may be looked at (--budget)");
}

void walk_print_list(const struct walk *walk, const struct walk_list *list)
{
	print_head(walk);
	print_ranges(list);
	print_levels(walk, list);
	print_sums(list);
	print_problems(list);
}

/* ---- one address ---- */

static void print_field(const struct hw_field *field, uint64_t value)
{
	char place[16], text[HEX + 1];

	snprintf(place, sizeof(place), field->high > field->low ? "%u:%u" : "%u", field->high,
		 field->low);
	printf("    %6s  %-18s %*s  %s\n", place, field->name, HEX,
	       hex(walk_field_value(field, value), text), field->meaning);
}

static void print_fields(const struct walk *walk, const struct hw_step *step)
{
	uint64_t rest = step->value;

	for (const struct hw_field *field = walk->tables.format->fields; field->name; field++) {
		if (!walk_field_applies(field, step))
			continue;
		print_field(field, step->value);
		for (unsigned int bit = field->low; bit <= field->high; bit++)
			rest &= ~(UINT64_C(1) << bit);
	}
	for (unsigned int bit = 0; bit < 64; bit++)
		if (rest >> bit & 1)
			print_field(&(struct hw_field){(uint8_t)bit, (uint8_t)bit, 0, 0, "-",
						       "is set, and ignored"},
				    step->value);
}

static void print_step(const struct walk *walk, const struct hw_step *step)
{
	const struct hw_item *item = &step->item;
	char table[HEX + 1], at[HEX + 1], to[HEX + 1], size[BYTES_TEXT], access[4];

	printf("\nlevel %u (%s): item %u of the table at %s\n", step->level,
	       walk->layout.level[step->level].name, step->index, hex(step->table, table));
	printf("  %s: 0x%016llx  %s", hex(step->paddr, at), (unsigned long long)step->value,
	       walk_kind(item->kind));
	if (item->kind == HW_LEAF)
		printf(" of %s at %s, %s", exact_bytes(UINT64_C(1) << item->size_lg2, size),
		       hex(item->address, to), walk_access(item->access, access));
	if (item->kind == HW_TABLE)
		printf(" of level %u at %s, %s", item->next_level, hex(item->address, to),
		       walk_access(item->access, access));
	if (item->kind == HW_BAD)
		printf(": %s%s%s", hw_fault_name(item->fault), item->why ? ": " : "",
		       item->why ? item->why : "");
	putchar('\n');
	if (item->kind != HW_BAD || item->fault != HW_FAULT_MEMORY)
		print_fields(walk, step);
}

void walk_print_iova(const struct walk *walk, const struct hw_translation *at, uint64_t iova)
{
	char from[HEX + 1], to[HEX + 1], size[BYTES_TEXT], access[4];

	print_head(walk);
	if (at->fault)
		printf("%s is not mapped: %s%s%s\n", hex(iova, from), hw_fault_name(at->fault),
		       at->why ? ": " : "", at->why ? at->why : "");
	else
		printf("%s is %s, %s, in a page of %s%s\n", hex(iova, from), hex(at->paddr, to),
		       walk_access(at->access, access),
		       exact_bytes(UINT64_C(1) << at->size_lg2, size),
		       at->dirty ? " that is dirty" : "");
	for (unsigned int i = 0; i < at->nr_steps; i++)
		print_step(walk, &at->steps[i]);
}
