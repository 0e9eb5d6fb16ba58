/* SPDX-License-Identifier: MIT */
/* uiommu size: what tables a set of mappings or a guest needs. */
#include <stdlib.h>
#include <string.h>

#include <uiommu/format.h>

#include "cmd/cmd.h"
#include "cmd/size.h"

static void refuse_format(const struct request *request)
{
	const struct iommu_format *format = NULL;
	char names[256] = "";

	while ((format = iommu_format_next(format))) {
		strncat(names, names[0] ? ", " : "", sizeof(names) - strlen(names) - 1);
		strncat(names, format->name, sizeof(names) - strlen(names) - 1);
	}
	die("--iommu %s: unknown format: expected one of %s", request->iommu, names);
}

static void refuse_width(const struct request *request)
{
	const struct iommu_format *format = iommu_format_find(request->iommu);
	struct iommu_size size;
	unsigned int width, found = 0;
	char list[256] = "";

	for (width = format->width_min; width <= format->width_max; width++) {
		size_t length = strlen(list);

		if (iommu_size(request->iommu, width, NULL, 0, &size))
			continue;
		found++;
		snprintf(list + length, sizeof(list) - length, "%s%u", length ? ", " : "", width);
	}
	if (found == format->width_max - format->width_min + 1)
		snprintf(list, sizeof(list), "%u to %u", format->width_min, format->width_max);
	die("--address-width %u: %s has %s", request->address_width, request->iommu, list);
}

static void refuse_map(const struct request *request, const struct iommu_size *size)
{
	const struct iommu_size_map *map = &request->maps[size->maps[0]];
	const char *text = request->texts[size->maps[0]];
	const char *option = text ? "--map" : "--guest";
	char bytes[BYTES_TEXT], granule[BYTES_TEXT];

	text = text ? text : request->guest;
	exact_bytes(size->granule, granule);
	switch (size->reason) {
	case IOMMU_SIZE_BAD_IOVA:
		die("%s %s: iova %#llx is not a multiple of %s", option, text,
		    (unsigned long long)map->iova, granule);
	case IOMMU_SIZE_BAD_SIZE:
		die("%s %s: size %s: expected a multiple of %s, not 0", option, text,
		    exact_bytes(map->size, bytes), granule);
	case IOMMU_SIZE_BAD_BACKING:
		die("%s %s: backing %s: expected a power of two, at least %s", option, text,
		    exact_bytes(map->backing, bytes), granule);
	case IOMMU_SIZE_BAD_STRIDE:
		die("%s %s: stride %s is not a multiple of %s", option, text,
		    exact_bytes(map->stride, bytes), granule);
	case IOMMU_SIZE_WRAPS:
		die("%s %s: reaches beyond the end of 64-bit addresses", option, text);
	case IOMMU_SIZE_APERTURE:
		die("%s %s: reaches beyond %#llx, the last address of %s with %u bits", option,
		    text, (unsigned long long)size->aperture_last, size->format,
		    size->address_width);
	default:
		die("%s %s: cannot be mapped", option, text);
	}
}

static void refuse_pair(const struct request *request, const struct iommu_size *size)
{
	const char *texts[2], *named[2];

	for (int i = 0; i < 2; i++) {
		texts[i] = request->texts[size->maps[i]];
		named[i] = texts[i] ? "--map" : "--guest";
		texts[i] = texts[i] ? texts[i] : request->guest;
	}
	if (size->reason == IOMMU_SIZE_INTERLEAVED)
		die("%s %s and %s %s interleave with others in a way that takes too long to count: "
		    "use fewer, or strides with a common factor",
		    named[0], texts[0], named[1], texts[1]);
	if (size->maps[0] == size->maps[1])
		die("%s %s: overlaps itself: the stride is less than the size", named[0], texts[0]);
	die("%s %s: overlaps %s %s", named[1], texts[1], named[0], texts[0]);
}

static void refuse(const struct request *request, const struct iommu_size *size)
{
	switch (size->reason) {
	case IOMMU_SIZE_FORMAT:
		refuse_format(request);
		break;
	case IOMMU_SIZE_WIDTH:
		refuse_width(request);
		break;
	case IOMMU_SIZE_OVERLAP:
	case IOMMU_SIZE_INTERLEAVED:
		refuse_pair(request, size);
		break;
	case IOMMU_SIZE_MEMORY:
		out_of_memory();
	default:
		refuse_map(request, size);
	}
}

static uint64_t times(const char *option, uint64_t factor, uint64_t value)
{
	uint64_t product;

	if (__builtin_mul_overflow(factor, value, &product))
		die("%s %llu: the total does not fit in 64 bits", option,
		    (unsigned long long)factor);
	return product;
}

static struct total in_domains(const struct iommu_size *one, const char *option, uint64_t domains)
{
	struct total total = {.one = *one, .domains = domains};
	uint64_t tables = 0;

	for (unsigned int level = 0; level < one->levels; level++) {
		tables += one->tables[level];
		times(option, domains, one->entries[level]);
	}
	total.top_bytes = times(option, domains, one->top_bytes);
	total.table_bytes = times(option, domains, one->table_bytes);
	total.total_bytes = times(option, domains, one->top_bytes + one->table_bytes);
	total.tables = times(option, domains, tables);
	return total;
}

int cmd_size(int argc, char **argv)
{
	struct request request = {.domains = 1};
	struct total total, shared = {0}, each = {0};
	struct iommu_size one;

	size_parse(argc, argv, &request);
	if (iommu_size(request.iommu, request.address_width, request.maps, request.nr, &one))
		refuse(&request, &one);
	total = in_domains(&one, "--domains", request.domains);
	if (request.guest) {
		shared = in_domains(&one, "--devices", 1);
		each = in_domains(&one, "--devices", request.devices ? request.devices : 1);
	}
	if (request.json)
		size_print_json(&request, &total, &shared, &each);
	else
		size_print_text(&request, &total, &shared, &each);
	free(request.maps);
	free(request.texts);
	return 0;
}
