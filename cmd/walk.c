/* SPDX-License-Identifier: MIT */
/* uiommu walk: I/O page tables in a file, read as hardware reads them. */
#include "cmd/cmd.h"
#include "cmd/walk.h"

const char *walk_access(unsigned int access, char text[4])
{
	text[0] = access & HW_READ ? 'r' : '-';
	text[1] = access & HW_WRITE ? 'w' : '-';
	text[2] = access & HW_EXEC ? 'x' : '-';
	text[3] = '\0';
	return text;
}

const char *walk_kind(enum hw_kind kind)
{
	static const char *const names[] = {
		[HW_EMPTY] = "empty", [HW_LEAF] = "page", [HW_TABLE] = "table", [HW_BAD] = "bad"};

	return names[kind];
}

bool walk_field_applies(const struct hw_field *field, const struct hw_step *step)
{
	return field->level_mask >> step->level & 1 && field->kind_mask >> step->item.kind & 1;
}

uint64_t walk_field_value(const struct hw_field *field, uint64_t item)
{
	unsigned int bits = field->high - field->low + 1u;
	uint64_t value = item << (63 - field->high) >> (64 - bits);

	return bits > WALK_SMALL_FIELD ? value << field->low : value;
}

static int walk_all(struct walk *walk, const struct walk_args *args)
{
	struct output *plot = args->plot ? output_open("--plot", args->plot) : NULL;
	struct walk_list list = {0};
	int status;

	walk_collect(&list, walk, args);
	if (args->json)
		walk_json_list(walk, &list);
	else
		walk_print_list(walk, &list);
	status = list.nr_problems || list.cut || walk->image.error;
	if (plot)
		status |= walk_plot(plot, walk, args, &list);
	walk_list_free(&list);
	return status;
}

static int walk_one(const struct walk *walk, const struct walk_args *args)
{
	struct hw_translation at;

	hw_translate(&walk->tables, args->iova, 0, &at);
	if (args->json)
		walk_json_iova(walk, &at, args->iova);
	else
		walk_print_iova(walk, &at, args->iova);
	return at.fault != HW_FAULT_NONE;
}

int cmd_walk(int argc, char **argv)
{
	struct walk_args args = {.limit = 10000};
	struct walk walk = {0};
	int status;

	walk_parse(argc, argv, &args);
	walk_open(&walk, &args);
	status = args.at_iova ? walk_one(&walk, &args) : walk_all(&walk, &args);
	walk_close(&walk);
	return status;
}
