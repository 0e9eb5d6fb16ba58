/* SPDX-License-Identifier: MIT */
/* uiommu image: I/O page tables as a memory image. */
#include <stdio.h>
#include <stdlib.h>

#include "cmd/image.h"
#include "cmd/json.h"
#include "cmd/progress.h"

static void print_answer(const struct image *image, const struct image_args *args)
{
	struct json_object *object = made(json_object_new_object());

	add_text(object, "format", args->format->family);
	add_number(object, "root", image->info.root);
	add_number(object, "base", args->base);
	add_number(object, "size", image->size);
	add_number(object, "level_count", image->info.levels);
	add_number(object, "granule", args->format->granule);
	add_number(object, "address_width", args->address_width);
	print_json(stdout, object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED);
}

static void print_text(const struct image *image, const struct image_args *args)
{
	const struct hw_layout *layout = &image->layout;
	char bytes[BYTES_TEXT], granule[BYTES_TEXT];

	printf("%s, %u bits of address, pages from %s, %u level%s\n\n", args->format->family,
	       args->address_width, exact_bytes(args->format->granule, granule), image->info.levels,
	       image->info.levels == 1 ? "" : "s");
	printf("level %20s %20s %20s\n", "tables", "bytes", "leaf items");
	for (unsigned int level = layout->levels; level-- > 0;)
		printf("%5u %20llu %20llu %20llu\n", level,
		       (unsigned long long)image->nr_tables[level],
		       (unsigned long long)image->nr_tables[level]
			       << (layout->level[level].bits + 3),
		       (unsigned long long)image->leaves[level]);
	printf("\nroot  %#20llx\n", (unsigned long long)image->info.root);
	printf("base  %#20llx\n", (unsigned long long)args->base);
	printf("size  %20llu bytes  %s\n", (unsigned long long)image->size,
	       format_bytes(image->size, bytes));
	printf("maps  %20llu bytes  %s\n", (unsigned long long)image->mapped,
	       format_bytes(image->mapped, bytes));
}

int cmd_image(int argc, char **argv)
{
	struct image_args args = {0};
	struct image image = {0};
	int status;

	image_parse(argc, argv, &args);
	image.out = output_open("--out", args.out);
	image_make(&image, &args);
	image_collect(&image, &args);
	status = image_write(&image, &args);
	progress_clear();
	if (!status && args.json)
		print_answer(&image, &args);
	else if (!status)
		print_text(&image, &args);
	free(image.tables);
	maps_free(&args.maps);
	return status;
}
