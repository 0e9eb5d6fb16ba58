/* SPDX-License-Identifier: MIT */
/* What the files of `uiommu top` offer each other. */
#ifndef CMD_TOP_H
#define CMD_TOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cmd/cmd.h"
#include "supervisor/report.h"

/* ---- top_find.c ---- */

/* A `uiommu run` whose report can be read. */
struct top_run {
	pid_t pid;
	int fd; /* of the report */
	uint64_t inode;
	char name[RUN_NAME_MAX + 1]; /* "": none was given */
	char command[128];
};

/*
 * All of them that this user may look at, or those of a name: how many, at *@runs, which
 * the caller frees.
 */
size_t top_find_all(struct top_run **runs, const char *name);
/* Whether it is running. */
bool top_is_running(const struct top_run *run);

/* ---- top_sample.c ---- */

/* The report at a moment; what is in it may be anything, but no text is unsafe. */
struct top_sample {
	uint64_t ns; /* CLOCK_MONOTONIC */
	bool ended;  /* the run is over: these are its last figures */
	uint32_t nr_processes;
	uint32_t not_read; /* processes that found no slot */
	struct report_process *processes;
};

/* 0; -EIO when it is not a report of this version, -ENOMEM. */
int top_read(const struct top_run *run, struct top_sample *sample);
void top_free(struct top_sample *sample);

/* What happened between two samples, or in the life of a process. */
struct top_rates {
	double seconds;
	double maps, map_bytes, unmaps, unmap_bytes, flushes;
	double ioctls, failed;
	double faults;
};

/* @before is NULL for the whole life; @process is a place in both. */
void top_rates(const struct top_sample *now, const struct top_sample *before, uint32_t process,
	       struct top_rates *rates);
/* Calls of one ioctl per second, over the same time. */
double top_ioctl_rate(const struct top_sample *now, const struct top_sample *before,
		      uint32_t process, unsigned int index);

/* Of all ioctls, or of those that failed with @error; 0: with any. */
uint64_t top_calls(const struct report_process *s);
uint64_t top_failures(const struct report_process *s, int error);
/* Ioctls that are not yet in the figures of domains and of the memory cgroup. */
uint64_t top_behind(const struct report_process *s);
/* Running, as far as can be seen. */
bool top_is_alive(const struct report_process *s);

/* ---- top_lines.c ---- */

enum top_style {
	TOP_PLAIN,
	TOP_HEADING,
	TOP_BAD,
};

enum top_sort {
	TOP_BY_TABLES,
	TOP_BY_MAPPED,
	TOP_BY_ID,
	TOP_SORTS,
};

#define TOP_LINE 240

struct top_line {
	enum top_style style;
	char text[TOP_LINE];
};

struct top_lines {
	size_t nr, room;
	struct top_line *line;
};

/* What is shown of a sample, for a screen or a file. */
void top_make_lines(struct top_lines *lines, const struct top_run *run,
		    const struct top_sample *now, const struct top_sample *before,
		    enum top_sort sort);
void top_free_lines(struct top_lines *lines);
const char *top_sort_name(enum top_sort sort);

/* ---- top_json.c ---- */

/* One object on one line. */
void top_print_json(const struct top_run *run, const struct top_sample *now,
		    const struct top_sample *before);

/* ---- top_screen.c ---- */

/* Until the user leaves: the exit status. */
int top_screen(const struct top_run *run, uint64_t interval_ns);

#endif
