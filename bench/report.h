/* SPDX-License-Identifier: MIT */
/*
 * What was measured, by format and operation: the table for people and the JSON
 * for programs.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdbool.h>

#include "bench/measure.h"

/* The samples of an operation; a row is made when it is first asked for. */
struct series *report_row(const char *format, const char *operation, enum bare bare);

/* Samples to compare such a row with, in the place of bare fills. */
struct series *report_baseline(const char *format, const char *operation);

/* A number that is no time: bytes left, a ratio. */
void report_value(const char *format, const char *what, double value);

/* The least ns of an operation, or of what it is compared with; NAN if there are no samples. */
double report_min(const char *format, const char *operation);
double report_baseline_min(const char *format, const char *operation);
/* A value, NAN if there is no such one. */
double report_get(const char *format, const char *what);

/*
 * Print how far a figure is from what it is to be at most: what is promised, and what would
 * be better still. One that comes of a missing row is neither.
 */
void report_due(const char *what, double is, double at_most);
void report_aim(const char *what, double is, double at_most);

/* Print how many were met: true when all that are due were, and no row was missing. */
bool report_aims_end(void);

void report_print(void);
void report_json(const char *path, const char *setting);

#endif
