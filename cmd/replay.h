/* SPDX-License-Identifier: MIT */
/* What the parts of `uiommu replay` share. */
#ifndef CMD_REPLAY_H
#define CMD_REPLAY_H

#include <stdbool.h>
#include <stdio.h>

#include <uiommu/format.h>

#include "cmd/output.h"
#include "trace/replay.h"

#define REPLAY_FORMATS_MAX 32

/* The command line. Files are NULL when not asked for. */
struct replay_args {
	const char *trace;
	const char *trace_name; /* for people */
	const char *iommu;      /* "all" for every format */
	uint64_t granule;       /* 0: not given */
	const struct iommu_format *formats[REPLAY_FORMATS_MAX];
	size_t nr_formats;
	unsigned int address_width; /* 0 for the format's default */
	uint64_t memory_max;        /* UINT64_MAX for none */
	const char *csv;
	const char *plot;
	bool csv_all;
	bool check; /* exceeding the budget is an exit status */
	bool json;
};

/* Print the report on stdout: of the one format, or the comparison of all. */
void replay_print_text(const struct replay_args *args, const struct replay_report reports[]);
void replay_print_json(const struct replay_args *args, const struct replay_report reports[]);

/* The timeline as CSV. */
void replay_csv_head(FILE *file);
void replay_csv_row(FILE *file, const struct timeline_row *row);

/* Draw the timeline and complete the file. Returns 0, or 1 after a message. */
int replay_plot(struct output *output, const struct replay_args *args,
		const struct replay_report *report, const struct timeline_row *rows, size_t nr);

#endif
