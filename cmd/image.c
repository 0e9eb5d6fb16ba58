/* SPDX-License-Identifier: MIT */
/* uiommu image: I/O page tables as a memory image. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <json-c/json.h>

#include "cmd/cmd.h"
#include "cmd/image.h"

static void json_add(struct json_object *object, const char *key, uint64_t value)
{
	json_object_object_add(object, key, json_object_new_uint64(value));
}

static void print_json(const struct image *image, const struct image_args *args)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "format", json_object_new_string(args->format->family));
	json_add(object, "root", image->info.root);
	json_add(object, "base", args->base);
	json_add(object, "size", image->size);
	json_add(object, "level_count", image->info.levels);
	json_add(object, "granule", args->format->granule);
	json_add(object, "address_width", args->address_width);
	puts(json_object_to_json_string_ext(object,
					    JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED));
	json_object_put(object);
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
	image_make(&image, &args);
	image_collect(&image, &args);
	status = image_write(&image, &args);
	if (!status && args.json)
		print_json(&image, &args);
	else if (!status)
		print_text(&image, &args);
	free(image.tables);
	maps_free(&args.maps);
	return status;
}
