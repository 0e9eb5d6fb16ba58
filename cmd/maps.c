/* SPDX-License-Identifier: MIT */
/* Reading mappings from arguments. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/maps.h"

static void *grow_array(void *array, size_t nr, size_t size)
{
	array = realloc(array, nr * size);
	if (!array)
		out_of_memory();
	return array;
}

void maps_add(struct maps *maps, struct iommu_size_map map, struct map_origin origin)
{
	size_t nr = maps->nr;

	/* Grow by doubling: when nr is 0 or a power of two. */
	if (!(nr & (nr - 1)) || !nr) {
		size_t room = nr ? 2 * nr : 1;

		maps->maps = grow_array(maps->maps, room, sizeof(*maps->maps));
		maps->origins = grow_array(maps->origins, room, sizeof(*maps->origins));
	}
	maps->maps[nr] = map;
	maps->origins[nr] = origin;
	maps->nr = nr + 1;
}

void maps_free(struct maps *maps)
{
	free(maps->maps);
	free(maps->origins);
	memset(maps, 0, sizeof(*maps));
}

static const char *const key_names[NR_MAP_KEYS] = {"iova",   "size",  "backing", "count",
						   "stride", "paddr", "prot",    "max"};

static uint64_t parse_prot(const char *where, const char *text)
{
	static const struct {
		const char *name;
		int prot;
	} prots[] = {{"rw", IOMMU_READ | IOMMU_WRITE}, {"r", IOMMU_READ}, {"w", IOMMU_WRITE}};

	for (size_t i = 0; i < sizeof(prots) / sizeof(prots[0]); i++)
		if (!strcmp(text, prots[i].name))
			return (uint64_t)prots[i].prot;
	die("%s: '%s' is none of rw, r and w", where, text);
}

/* Read one key=value of @option's argument @text into values[]. */
static void parse_field(const char *option, const char *text, char *field, unsigned int allowed,
			uint64_t values[NR_MAP_KEYS], unsigned int *seen)
{
	char *equals = strchr(field, '=');
	char where[64];
	int key = 0;

	if (equals)
		*equals = '\0';
	while (key < NR_MAP_KEYS && strcmp(field, key_names[key]))
		key++;
	if (!equals || key == NR_MAP_KEYS || !(allowed & MAP_KEY(key)))
		die("%s %s: unknown key '%s'", option, text, field);
	if (*seen & MAP_KEY(key))
		die("%s %s: %s is given twice", option, text, field);
	*seen |= MAP_KEY(key);
	snprintf(where, sizeof(where), "%s %s", option, field);
	if (key == KEY_COUNT)
		values[key] = parse_number(where, equals + 1, 1, UINT64_MAX);
	else if (key == KEY_PROT)
		values[key] = parse_prot(where, equals + 1);
	else
		values[key] = parse_bytes(where, equals + 1);
}

static void check_backing(const char *option, const char *text, uint64_t backing)
{
	char bytes[BYTES_TEXT];

	if (!backing || backing & (backing - 1))
		die("%s %s: backing %s is not a power of two", option, text,
		    exact_bytes(backing, bytes));
}

unsigned int maps_parse_fields(const char *option, const char *text, const char *list,
			       unsigned int allowed, uint64_t values[NR_MAP_KEYS])
{
	char *copy = strdup(list), *rest = copy, *field;
	unsigned int seen = 0;

	if (!copy)
		out_of_memory();
	while ((field = strsep(&rest, ",")))
		parse_field(option, text, field, allowed, values, &seen);
	free(copy);
	if (seen & MAP_KEY(KEY_BACKING))
		check_backing(option, text, values[KEY_BACKING]);
	return seen;
}

void maps_parse(struct maps *maps, const char *text, unsigned int allowed)
{
	uint64_t values[NR_MAP_KEYS] = {[KEY_COUNT] = 1, [KEY_PROT] = IOMMU_READ | IOMMU_WRITE};
	unsigned int seen = maps_parse_fields("--map", text, text, allowed, values);

	for (int key = KEY_IOVA; key <= KEY_SIZE; key++)
		if (!(seen & MAP_KEY(key)))
			die("--map %s: %s= is missing", text, key_names[key]);
	if (values[KEY_COUNT] > 1 && !(seen & MAP_KEY(KEY_STRIDE)))
		die("--map %s: count=%llu needs stride=", text,
		    (unsigned long long)values[KEY_COUNT]);
	if (values[KEY_STRIDE] && !(seen & MAP_KEY(KEY_COUNT)))
		die("--map %s: stride= needs count=", text);
	maps_add(maps,
		 (struct iommu_size_map){.iova = values[KEY_IOVA],
					 .size = values[KEY_SIZE],
					 .backing = values[KEY_BACKING],
					 .count = values[KEY_COUNT],
					 .stride = values[KEY_STRIDE]},
		 (struct map_origin){.option = "--map",
				     .text = text,
				     .paddr = values[KEY_PADDR],
				     .placed = (seen & MAP_KEY(KEY_PADDR)) != 0,
				     .prot = (int)values[KEY_PROT]});
}

/* ---- what iommu_size() refused ---- */

static char *say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *say(const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		out_of_memory();
	va_end(args);
	return text;
}

static char *explain_width(const struct iommu_format *format, unsigned int address_width)
{
	struct iommu_size size;
	unsigned int width, found = 0;
	char list[256] = "";

	for (width = format->width_min; width <= format->width_max; width++) {
		size_t used = strlen(list);

		if (iommu_size(format->name, width, NULL, 0, &size))
			continue;
		found++;
		snprintf(list + used, sizeof(list) - used, "%s%u", used ? ", " : "", width);
	}
	if (found == format->width_max - format->width_min + 1 && found > 1)
		snprintf(list, sizeof(list), "%u to %u", format->width_min, format->width_max);
	return say("--address-width %u: %s has %s", address_width, format->name, list);
}

static char *explain_map(const struct maps *maps, const struct iommu_size *size)
{
	const struct iommu_size_map *map = &maps->maps[size->maps[0]];
	const char *option = maps->origins[size->maps[0]].option;
	const char *text = maps->origins[size->maps[0]].text;
	char bytes[BYTES_TEXT], granule[BYTES_TEXT];

	exact_bytes(size->granule, granule);
	switch (size->reason) {
	case IOMMU_SIZE_BAD_IOVA:
		return say("%s %s: iova %#llx is not a multiple of %s", option, text,
			   (unsigned long long)map->iova, granule);
	case IOMMU_SIZE_BAD_SIZE:
		return say("%s %s: size %s: expected a multiple of %s, not 0", option, text,
			   exact_bytes(map->size, bytes), granule);
	case IOMMU_SIZE_BAD_BACKING:
		return say("%s %s: backing %s: expected a power of two, at least %s", option, text,
			   exact_bytes(map->backing, bytes), granule);
	case IOMMU_SIZE_BAD_STRIDE:
		return say("%s %s: stride %s is not a multiple of %s", option, text,
			   exact_bytes(map->stride, bytes), granule);
	case IOMMU_SIZE_WRAPS:
		return say("%s %s: reaches beyond the end of 64-bit addresses", option, text);
	case IOMMU_SIZE_APERTURE:
		return say("%s %s: reaches beyond %#llx, the last address of %s with %u bits",
			   option, text, (unsigned long long)size->aperture_last, size->format,
			   size->address_width);
	default:
		return say("%s %s: cannot be mapped", option, text);
	}
}

static char *explain_pair(const struct maps *maps, const struct iommu_size *size)
{
	const struct map_origin *a = &maps->origins[size->maps[0]];
	const struct map_origin *b = &maps->origins[size->maps[1]];

	if (size->reason == IOMMU_SIZE_INTERLEAVED)
		return say("%s %s and %s %s interleave with others in a way that takes too long to "
			   "count: use fewer, or strides with a common factor",
			   a->option, a->text, b->option, b->text);
	if (a == b)
		return say("%s %s: overlaps itself: the stride is less than the size", a->option,
			   a->text);
	return say("%s %s: overlaps %s %s", b->option, b->text, a->option, a->text);
}

char *maps_explain(const struct maps *maps, const struct iommu_size *size,
		   const struct iommu_format *format, unsigned int address_width)
{
	char names[256];

	switch (size->reason) {
	case IOMMU_SIZE_FORMAT:
		return say("--iommu %s: cannot be used here: expected one of %s", format->name,
			   cmd_format_names(names, sizeof(names)));
	case IOMMU_SIZE_WIDTH:
		return explain_width(format, address_width);
	case IOMMU_SIZE_OVERLAP:
	case IOMMU_SIZE_INTERLEAVED:
		return explain_pair(maps, size);
	case IOMMU_SIZE_MEMORY:
		out_of_memory();
	default:
		return explain_map(maps, size);
	}
}

void maps_refuse(const struct maps *maps, const struct iommu_size *size,
		 const struct iommu_format *format, unsigned int address_width)
{
	die("%s", maps_explain(maps, size, format, address_width));
}
