/* SPDX-License-Identifier: MIT */
/* uiommu image: the file. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/image.h"

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
	FILE *file = fopen(args->out, "w");
	uint64_t at = args->base;
	bool good = file != NULL;

	for (size_t i = 0; i < image->nr && good; i++) {
		const struct image_table *table = &image->tables[i];

		good = fill(file, table->paddr - at) && write_table(file, image, table);
		at = table->paddr + table->bytes;
	}
	good = good && fill(file, args->base + image->size - at);
	if (file && fclose(file))
		good = false;
	if (good)
		return 0;
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, args->out, strerror(errno));
	return 1;
}
