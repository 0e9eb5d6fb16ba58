/* SPDX-License-Identifier: MIT */
/*
 * Mappings as arguments: what `uiommu size` counts and `uiommu image` makes.
 */
#ifndef CMD_MAPS_H
#define CMD_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uiommu/size.h>

enum map_key {
	KEY_IOVA,
	KEY_SIZE,
	KEY_BACKING,
	KEY_COUNT,
	KEY_STRIDE,
	KEY_PADDR,
	KEY_PROT,
	KEY_MAX,
	NR_MAP_KEYS
};

#define MAP_KEY(key)   (1u << (key))
#define MAP_KEYS_SIZE  0x1fu /* what a mapping without physical memory has */
#define MAP_KEYS_IMAGE 0x7fu

/* Where a mapping comes from, and what only an image needs of it. */
struct map_origin {
	const char *option, *text; /* of the command line */
	uint64_t paddr;
	bool placed; /* paddr was given */
	int prot;    /* IOMMU_READ and so on */
};

struct maps {
	struct iommu_size_map *maps;
	struct map_origin *origins; /* one for each */
	size_t nr;
};

void maps_add(struct maps *maps, struct iommu_size_map map, struct map_origin origin);
void maps_free(struct maps *maps);

/* Read an argument of --map that may have the keys @allowed; dies if it is bad. */
void maps_parse(struct maps *maps, const char *text, unsigned int allowed);

/*
 * Read "key=value,..." with keys of @allowed; returns which there are. @option and
 * @text are what a message begins with.
 */
unsigned int maps_parse_fields(const char *option, const char *text, const char *list,
			       unsigned int allowed, uint64_t values[NR_MAP_KEYS]);

/* Why iommu_size() has no answer for what was asked for: the caller's to free. */
char *maps_explain(const struct maps *maps, const struct iommu_size *size,
		   const struct iommu_format *format, unsigned int address_width);

/* Die with it. */
void maps_refuse(const struct maps *maps, const struct iommu_size *size,
		 const struct iommu_format *format, unsigned int address_width)
	__attribute__((noreturn));

#endif
