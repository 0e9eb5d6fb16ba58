/* SPDX-License-Identifier: MIT */
/* The parts of `uiommu size`. */
#ifndef CMD_SIZE_H
#define CMD_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uiommu/size.h>

#include "cmd/guest.h"
#include "cmd/maps.h"

#define SIZE_FORMATS_MAX 32

/* The arguments. */
struct request {
	const char *iommu; /* "all" for every format */
	uint64_t granule;  /* 0: not given */
	const struct iommu_format *formats[SIZE_FORMATS_MAX];
	size_t nr_formats;
	bool all;
	unsigned int address_width;
	uint64_t domains;    /* 0: not given */
	uint64_t devices;    /* 0: not given */
	const char *backing; /* the argument, or NULL */
	bool json;
	struct maps maps;   /* by --map */
	struct guest guest; /* if its option is not NULL */
	const char *text;   /* what describes it */
	bool described;     /* by --qemu or --libvirt, not by --guest */
};

/* The tables of all domains together; exits with a message if they cannot be computed. */
struct total {
	struct iommu_size one; /* domain */
	uint64_t domains;
	uint64_t top_bytes;
	uint64_t table_bytes;
	uint64_t total_bytes;
	uint64_t tables;
};

/* What a guest needs. */
struct need {
	struct total total;
	uint64_t ram;
	uint64_t pinned; /* bytes of memory that are mapped, in all domains */
	uint64_t memlock;
};

/* The needs when the guest is started, and with all memory plugged if that is more. */
struct needs {
	struct need now, full;
};

/* What is needed with one format. */
struct answer {
	const struct iommu_format *format;
	char *why; /* why there is no answer; NULL if there is one */
	struct total total;

	/* for a guest */
	struct guest_ranges ranges;
	uint64_t backing;        /* of its RAM, or of the first part of it */
	uint64_t firmware_bytes; /* part of @total that is needed only while the firmware reads
				    option ROMs */
	struct needs shared;     /* in one domain, or in as many as it has */
	struct needs each; /* with one domain for each device; not if the guest is described */
};

/* size_args.c: read the arguments; exits with a message if they cannot be used. */
void size_parse(int argc, char **argv, struct request *request);

/* size_guest.c: what a guest maps with a format, and the tables and memory for that. */
void size_guest(const struct request *request, struct answer *answer);

/*
 * size.c: the tables for --map and for the guest's ranges that are in @when. Returns 0
 * or -1.
 */
int size_count(const struct request *request, struct answer *answer, unsigned int when,
	       struct iommu_size *size);
struct total size_total(const struct iommu_size *one, const char *option, uint64_t domains);

/* size_json.c, size_text.c and size_all.c: print answers, one for each format. */
void size_print_json(const struct request *request, const struct answer *answers);
void size_print_text(const struct request *request, const struct answer *answer);
void size_print_all(const struct request *request, const struct answer *answers);
void size_print_notes(const struct request *request);

#endif
