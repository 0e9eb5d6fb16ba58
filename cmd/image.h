/* SPDX-License-Identifier: MIT */
/* The parts of `uiommu image`. */
#ifndef CMD_IMAGE_H
#define CMD_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uiommu/format.h>
#include <uiommu/iommu.h>

#include "cmd/maps.h"
#include "cmd/output.h"
#include "hw/walk.h"

/* The arguments. */
struct image_args {
	const char *iommu;
	uint64_t granule; /* 0: not given */
	const struct iommu_format *format;
	unsigned int address_width; /* 0: the format's default */
	uint64_t base;
	bool based; /* --base was given */
	const char *out;
	bool json;
	struct maps maps;
};

/* A table that belongs into the image. */
struct image_table {
	uint64_t paddr;
	uint64_t bytes;
};

struct image {
	struct iommu_domain *domain;
	struct iommu_domain_info info;
	struct hw_memory memory;
	struct hw_tables hw; /* the same tables, as hardware reads them */
	struct hw_layout layout;
	struct image_table *tables; /* ascending */
	size_t nr, room;
	uint64_t nr_tables[HW_MAX_LEVELS], leaves[HW_MAX_LEVELS];
	uint64_t size;   /* of the image */
	uint64_t space;  /* bytes up to the end of physical addresses; 0: all 64 bits */
	uint64_t mapped; /* bytes */
	double all;      /* bytes that will be mapped */
	struct output *out;
};

/* image_args.c: read the arguments; exits with a message if they cannot be used. */
void image_parse(int argc, char **argv, struct image_args *args);

/* image_size.c: the bytes that the tables take; false when only making them can tell. */
bool image_count(const struct image_args *args, uint64_t *bytes);
/* The largest page that both addresses of the nth range of a mapping allow. */
uint64_t image_alignment(const struct map_origin *origin, const struct iommu_size_map *map,
			 uint64_t nth);

/* image_tables.c: make the tables at their final addresses; exits with a message on failure. */
void image_make(struct image *image, const struct image_args *args);
/*
 * Exit because there are less than @bytes of address above the base; 0: their number is
 * unknown.
 */
void image_refuse_base(const struct image *image, const struct image_args *args, uint64_t bytes)
	__attribute__((noreturn));

/* image_walk.c: find the tables by walking them, and check what they translate. */
void image_collect(struct image *image, const struct image_args *args);

/* image_write.c: write the file and complete it. Returns 0, or 1 after a message. */
int image_write(const struct image *image, const struct image_args *args);

#endif
