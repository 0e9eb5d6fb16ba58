/* SPDX-License-Identifier: MIT */
/*
 * The course of a replay in a bounded number of rows. While a trace is short
 * there is one row per event; then events share a bucket, which keeps those
 * with the fewest and most mapped bytes and the most table bytes, so that a
 * picture has every peak and trough.
 */
#ifndef TRACE_TIMELINE_H
#define TRACE_TIMELINE_H

#include <stddef.h>
#include <stdint.h>

#include "trace/line.h"

#define TIMELINE_ROWS 10000

struct timeline_row {
	uint64_t event;
	uint64_t time; /* as @clock counts it */
	enum trace_clock clock;
	uint64_t mapped_bytes;
	uint64_t table_bytes;
	uint64_t stranded_bytes;
};

struct timeline;

struct timeline *timeline_new(void);
void timeline_free(struct timeline *timeline);
/* Begin again. */
void timeline_reset(struct timeline *timeline);
void timeline_add(struct timeline *timeline, const struct timeline_row *row);

/*
 * The rows by event, at most TIMELINE_ROWS, the last event's always among them.
 * Returns how many; the caller frees *@rows, which is NULL without memory.
 */
size_t timeline_rows(const struct timeline *timeline, struct timeline_row **rows);

#endif
