/* SPDX-License-Identifier: MIT */
/* The arguments that choose a format: --iommu and --granule. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"

/* Append to a list in @text, separated by commas. */
static void list_add(char *text, size_t size, const char *word)
{
	size_t length = strlen(text);

	snprintf(text + length, size - length, "%s%s", length ? ", " : "", word);
}

const char *cmd_format_names(char *text, size_t size)
{
	const struct iommu_format *format = NULL;
	const char *family = "";

	text[0] = '\0';
	/* Formats of a family stand together. */
	while ((format = iommu_format_next(format)) != NULL) {
		if (strcmp(format->family, family))
			list_add(text, size, format->family);
		family = format->family;
	}
	return text;
}

static void refuse_granule(const char *name, uint64_t granule)
{
	const struct iommu_format *format = NULL;
	char has[256] = "", bytes[BYTES_TEXT];

	while ((format = iommu_format_next(format)) != NULL)
		if (!strcmp(format->family, name) || !strcmp(format->name, name))
			list_add(has, sizeof(has), exact_bytes(format->granule, bytes));
	die("--granule %s: %s has %s", exact_bytes(granule, bytes), name, has);
}

const struct iommu_format *cmd_find_format(const char *name, uint64_t granule)
{
	const struct iommu_format *format;
	char names[256];

	if (!name)
		die("--iommu is missing: expected one of %s (see --help)",
		    cmd_format_names(names, sizeof(names)));
	format = iommu_format_find_granule(name, granule);
	if (!format && iommu_format_find_granule(name, 0))
		refuse_granule(name, granule);
	if (!format)
		die("--iommu %s: unknown format: expected one of %s", name,
		    cmd_format_names(names, sizeof(names)));
	return format;
}
