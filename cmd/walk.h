/* SPDX-License-Identifier: MIT */
/* The parts of `uiommu walk`. */
#ifndef CMD_WALK_H
#define CMD_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uiommu/format.h>

#include "cmd/output.h"
#include "hw/walk.h"

/* The arguments. */
struct walk_args {
	const char *iommu;
	uint64_t granule; /* 0: not given */
	const struct iommu_format *format;
	unsigned int address_width; /* 0: not given */
	unsigned int levels;        /* 0: not given */
	uint64_t root, base;
	bool rooted, based, at_iova; /* --root, --base, --iova were given */
	const char *image;
	uint64_t iova;
	uint64_t budget; /* items to look at */
	uint64_t limit;  /* ranges to keep */
	const char *plot;
	bool json;
};

/* A file that holds the physical memory from @base on. */
struct walk_image {
	const char *name; /* as it was given */
	int fd;
	uint64_t base, size;
	int error; /* of the first read that failed, or 0 */
};

/* What is walked. */
struct walk {
	struct walk_image image;
	struct hw_memory memory;
	struct hw_tables tables;
	struct hw_layout layout;
};

/* Leaves that adjoin in both kinds of addresses and allow the same accesses. */
struct walk_range {
	uint64_t iova, paddr, size; /* size 0: all 64 bits */
	unsigned int access;
	uint64_t sizes;      /* of leaves, bit n for 2^n bytes */
	uint64_t leaves[64]; /* how many, by log2 of their size */
};

struct walk_problem {
	uint64_t iova, size, item_paddr;
	unsigned int level;
	enum hw_fault fault;
	const char *why; /* or NULL */
};

/* Tables and items of one level. */
struct walk_level {
	uint64_t tables, items, leaves, links, bad;
};

#define WALK_PROBLEMS 32 /* the most that are reported one by one */

/* Everything in the tables, as far as it is kept. */
struct walk_list {
	struct walk_range *ranges;
	size_t nr, room, most;
	uint64_t nr_ranges;     /* those that are not kept included */
	uint64_t mapped, dirty; /* bytes */
	uint64_t leaves[64];    /* by log2 of their size */
	struct walk_level level[HW_MAX_LEVELS];
	struct walk_problem problems[WALK_PROBLEMS];
	uint64_t nr_problems, faults[HW_NR_FAULTS];
	uint64_t *tables; /* their addresses, up to the limit */
	size_t nr_tables, tables_room;
	uint64_t nr_shared;     /* times that a table was found again */
	bool cut;               /* the budget was used up */
	struct walk_range last; /* not added yet, if it has begun */
	bool begun;
};

/* walk_args.c: read the arguments; exits with a message if they cannot be used. */
void walk_parse(int argc, char **argv, struct walk_args *args);

/*
 * walk_image.c: open the file and find the layout of its tables; exits with a message
 * on failure.
 */
void walk_open(struct walk *walk, const struct walk_args *args);
void walk_close(struct walk *walk);

/* walk_list.c */
void walk_collect(struct walk_list *list, const struct walk *walk, const struct walk_args *args);
void walk_list_free(struct walk_list *list);
/* Bytes of all tables of a level. */
uint64_t walk_level_bytes(const struct walk_list *list, const struct walk *walk,
			  unsigned int level);

/* walk_text.c, walk_json.c: the answers. */
void walk_print_list(const struct walk *walk, const struct walk_list *list);
void walk_print_iova(const struct walk *walk, const struct hw_translation *at, uint64_t iova);
void walk_json_list(const struct walk *walk, const struct walk_list *list);
void walk_json_iova(const struct walk *walk, const struct hw_translation *at, uint64_t iova);

/* walk.c: for either kind of answer. "rw-"; returns @text. */
const char *walk_access(unsigned int access, char text[4]);
const char *walk_kind(enum hw_kind kind);
/* Does the item have this field? */
bool walk_field_applies(const struct hw_field *field, const struct hw_step *step);

/* A field's value; one of more bits than this is an address, as the item means it. */
#define WALK_SMALL_FIELD 16
uint64_t walk_field_value(const struct hw_field *field, uint64_t item);

/* walk_plot.c: draw what is mapped and complete the file. Returns 0, or 1 after a message. */
int walk_plot(struct output *output, const struct walk *walk, const struct walk_args *args,
	      const struct walk_list *list);

#endif
