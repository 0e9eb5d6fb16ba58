/* SPDX-License-Identifier: MIT */
/* uiommu walk: the answers as JSON. */
#include "cmd/json.h"
#include "cmd/walk.h"

static void add_access(struct json_object *object, unsigned int access)
{
	char text[4];

	add_text(object, "prot", walk_access(access, text));
}

static struct json_object *new_answer(const struct walk *walk)
{
	struct json_object *root = made(json_object_new_object());

	add_text(root, "format", walk->tables.format->name);
	add_number(root, "root", walk->tables.root);
	add_number(root, "base", walk->image.base);
	add_number(root, "size", walk->image.size);
	add_number(root, "level_count", walk->layout.levels);
	add_number(root, "granule", UINT64_C(1) << walk->layout.granule_lg2);
	add_number(root, "address_width", walk->layout.address_width);
	return root;
}

static void print_answer(struct json_object *root)
{
	print_json(stdout, root,
		   JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
			   JSON_C_TO_STRING_NOSLASHESCAPE);
}

static void add_pages(struct json_object *object, const uint64_t leaves[64])
{
	struct json_object *pages = made(json_object_new_array()), *page;

	for (unsigned int lg2 = 64; lg2-- > 0;) {
		if (!leaves[lg2])
			continue;
		page = made(json_object_new_object());
		add_number(page, "size", UINT64_C(1) << lg2);
		add_number(page, "count", leaves[lg2]);
		append(pages, page);
	}
	add(object, "pages", pages);
}

static void add_ranges(struct json_object *root, const struct walk_list *list)
{
	struct json_object *ranges = made(json_object_new_array()), *object;

	for (size_t i = 0; i < list->nr; i++) {
		const struct walk_range *range = &list->ranges[i];

		object = made(json_object_new_object());
		add_number(object, "iova", range->iova);
		add_number(object, "size", range->size);
		add_number(object, "paddr", range->paddr);
		add_access(object, range->access);
		add_pages(object, range->leaves);
		append(ranges, object);
	}
	add(root, "ranges", ranges);
	add_number(root, "range_count", list->nr_ranges);
}

static void add_levels(struct json_object *root, const struct walk *walk,
		       const struct walk_list *list)
{
	struct json_object *levels = made(json_object_new_array()), *object;

	for (unsigned int level = 0; level < walk->layout.levels; level++) {
		const struct walk_level *at = &list->level[level];

		object = made(json_object_new_object());
		add_number(object, "level", level);
		add_text(object, "name", walk->layout.level[level].name);
		add_number(object, "tables", at->tables);
		add_number(object, "bytes", walk_level_bytes(list, walk, level));
		add_number(object, "items", at->items);
		add_number(object, "leaf_items", at->leaves);
		add_number(object, "links", at->links);
		add_number(object, "bad_items", at->bad);
		append(levels, object);
	}
	add(root, "levels", levels);
}

static void add_problem(struct json_object *problems, const struct walk_problem *problem)
{
	struct json_object *object = made(json_object_new_object());

	add_number(object, "iova", problem->iova);
	add_number(object, "size", problem->size);
	add_number(object, "level", problem->level);
	add_number(object, "item", problem->item_paddr);
	add_text(object, "fault", hw_fault_name(problem->fault));
	add_text(object, "why", problem->why ? problem->why : "");
	append(problems, object);
}

static void add_problems(struct json_object *root, const struct walk_list *list)
{
	struct json_object *problems = made(json_object_new_array());
	struct json_object *faults = made(json_object_new_object());

	for (uint64_t i = 0; i < list->nr_problems && i < WALK_PROBLEMS; i++)
		add_problem(problems, &list->problems[i]);
	for (unsigned int fault = 0; fault < HW_NR_FAULTS; fault++)
		if (list->faults[fault])
			add_number(faults, hw_fault_name((enum hw_fault)fault),
				   list->faults[fault]);
	add(root, "problems", problems);
	add_number(root, "problem_count", list->nr_problems);
	add(root, "faults", faults);
}

void walk_json_list(const struct walk *walk, const struct walk_list *list)
{
	struct json_object *root = new_answer(walk);

	add_ranges(root, list);
	add_number(root, "mapped_bytes", list->mapped);
	add_number(root, "dirty_bytes", list->dirty);
	add_pages(root, list->leaves);
	add_levels(root, walk, list);
	add_number(root, "shared_tables", list->nr_shared);
	add_problems(root, list);
	add_bool(root, "complete", !list->cut);
	print_answer(root);
}

/* ---- one address ---- */

static void add_fields(struct json_object *object, const struct walk *walk,
		       const struct hw_step *step)
{
	struct json_object *fields = made(json_object_new_array()), *one;

	for (const struct hw_field *field = walk->tables.format->fields; field->name; field++) {
		if (!walk_field_applies(field, step))
			continue;
		one = made(json_object_new_object());
		add_text(one, "name", field->name);
		add_number(one, "high", field->high);
		add_number(one, "low", field->low);
		add_number(one, "value", walk_field_value(field, step->value));
		add_text(one, "meaning", field->meaning);
		append(fields, one);
	}
	add(object, "fields", fields);
}

static void add_step(struct json_object *steps, const struct walk *walk, const struct hw_step *step)
{
	struct json_object *object = made(json_object_new_object());

	add_number(object, "level", step->level);
	add_text(object, "name", walk->layout.level[step->level].name);
	add_number(object, "table", step->table);
	add_number(object, "index", step->index);
	add_number(object, "item", step->paddr);
	add_number(object, "value", step->value);
	add_text(object, "kind", walk_kind(step->item.kind));
	add_fields(object, walk, step);
	append(steps, object);
}

void walk_json_iova(const struct walk *walk, const struct hw_translation *at, uint64_t iova)
{
	struct json_object *root = new_answer(walk), *steps = made(json_object_new_array());

	add_number(root, "iova", iova);
	add_text(root, "fault", at->fault ? hw_fault_name(at->fault) : "none");
	if (at->fault) {
		add_text(root, "why", at->why ? at->why : "");
	} else {
		add_number(root, "paddr", at->paddr);
		add_number(root, "page", UINT64_C(1) << at->size_lg2);
		add_access(root, at->access);
		add_bool(root, "dirty", at->dirty);
	}
	for (unsigned int i = 0; i < at->nr_steps; i++)
		add_step(steps, walk, &at->steps[i]);
	add(root, "steps", steps);
	print_answer(root);
}
