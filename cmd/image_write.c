/* SPDX-License-Identifier: MIT */
/* uiommu image: the file. */
#include <stdio.h>

#include "cmd/image.h"
#include "cmd/progress.h"

#define PROGRESS_TABLES 256 /* from one look at the clock to the next */

/* Zeros between tables. */
static bool fill(FILE *file, uint64_t bytes)
{
	static const char zeros[4096];
	size_t part;

	for (; bytes; bytes -= part) {
		part = bytes < sizeof(zeros) ? (size_t)bytes : sizeof(zeros);
		if (fwrite(zeros, 1, part, file) != part)
			return false;
	}
	return true;
}

static bool write_table(FILE *file, const struct image *image, const struct image_table *table)
{
	char part[4096];
	size_t bytes;

	for (uint64_t at = 0; at < table->bytes; at += bytes) {
		bytes = table->bytes - at < sizeof(part) ? (size_t)(table->bytes - at)
							 : sizeof(part);
		if (!image->memory.read(NULL, table->paddr + at, part, bytes) ||
		    fwrite(part, 1, bytes, file) != bytes)
			return false;
	}
	return true;
}

int image_write(const struct image *image, const struct image_args *args)
{
	FILE *file = output_stream(image->out);
	uint64_t at = args->base;
	bool good = true;

	for (size_t i = 0; i < image->nr && good; i++) {
		const struct image_table *table = &image->tables[i];

		good = fill(file, table->paddr - at) && write_table(file, image, table);
		at = table->paddr + table->bytes;
		if (i % PROGRESS_TABLES == 0)
			progress_show((double)i / (double)image->nr, i, "tables written");
	}
	if (good)
		fill(file, args->base + image->size - at);
	return output_finish(image->out);
}
