/* SPDX-License-Identifier: MIT */
/* The parts of `uiommu size`. */
#ifndef CMD_SIZE_H
#define CMD_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uiommu/size.h>

#include "cmd/maps.h"

#define GIB (1ULL << 30)

/* What is asked for. */
struct request {
	const char *iommu;
	uint64_t granule; /* 0: not given */
	const struct iommu_format *format;
	unsigned int address_width;
	uint64_t domains;
	uint64_t devices; /* 0: not given */
	bool json;
	struct maps maps;
	const char *guest; /* the argument, or NULL */
	uint64_t ram;
	uint64_t ram_backing;
};

/* What it needs in all domains together, or dies. */
struct total {
	struct iommu_size one; /* domain */
	uint64_t domains;
	uint64_t top_bytes;
	uint64_t table_bytes;
	uint64_t total_bytes;
	uint64_t tables;
};

/* size_args.c: read the arguments; dies if they cannot be used. */
void size_parse(int argc, char **argv, struct request *request);

/* size_print.c: @shared and @each are used if there is a guest. */
void size_print_json(const struct request *request, const struct total *total,
		     const struct total *shared, const struct total *each);
void size_print_text(const struct request *request, const struct total *total,
		     const struct total *shared, const struct total *each);

#endif
