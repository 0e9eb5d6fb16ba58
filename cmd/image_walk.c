/* SPDX-License-Identifier: MIT */
/*
 * uiommu image: the tables of the image are found by walking them. The walker shares no
 * code with the engine, so the mappings that it finds are also compared with those that
 * were asked for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/image.h"
#include "cmd/progress.h"
#include "mm/page.h"

#define PROGRESS_TABLES 256 /* from one look at the clock to the next */

static bool read_arena(void *context, uint64_t paddr, void *to, size_t bytes)
{
	uint64_t offset = paddr - virt_to_phys(arena.base);

	if (offset >= arena.size || bytes > arena.size - offset)
		return false;
	memcpy(to, arena.base + offset, bytes);
	return true;
}

struct collect {
	struct image *image;
	uint64_t mapped; /* bytes */
};

static bool on_found(void *context, const struct hw_found *found)
{
	struct collect *collect = context;

	if (found->item.kind != HW_LEAF)
		return false;
	collect->mapped += found->size;
	return true;
}

static bool on_table(void *context, const struct hw_table *table)
{
	struct image *image = ((struct collect *)context)->image;

	if (image->nr == image->room) {
		image->room = image->room ? 2 * image->room : 64;
		image->tables = realloc(image->tables, image->room * sizeof(*image->tables));
		if (!image->tables)
			out_of_memory();
	}
	image->tables[image->nr++] = (struct image_table){
		table->paddr, UINT64_C(8) << image->layout.level[table->level].bits};
	image->nr_tables[table->level]++;
	image->leaves[table->level] += table->leaves;
	if (image->nr % PROGRESS_TABLES == 0)
		progress_show((double)((struct collect *)context)->mapped / image->all, image->nr,
			      "tables checked");
	return true;
}

static int compare(const void *a, const void *b)
{
	const struct image_table *x = a, *y = b;

	return x->paddr < y->paddr ? -1 : x->paddr > y->paddr;
}

void image_collect(struct image *image, const struct image_args *args)
{
	struct collect collect = {.image = image};
	const struct hw_list_ops ops = {
		.found = on_found,
		.table = on_table,
		.context = &collect,
		.budget = UINT64_MAX,
	};
	const struct image_table *last;
	int rc;

	image->memory.read = read_arena;
	image->hw.memory = &image->memory;
	rc = hw_list(&image->hw, &ops);
	if (rc == -ENOMEM)
		out_of_memory();
	if (rc || collect.mapped != image->mapped || !image->nr)
		fail("the tables do not translate what was mapped: nothing is written");
	qsort(image->tables, image->nr, sizeof(*image->tables), compare);
	last = &image->tables[image->nr - 1];
	/* Whole pages: an image that is mapped or loaded ends with one. */
	image->size = (last->paddr + last->bytes - args->base + args->format->granule - 1) &
		      -args->format->granule;
	if (image->space && image->size > image->space)
		image_refuse_base(image, args, image->size);
	output_reserve(image->out, image->size);
}
