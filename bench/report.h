/* SPDX-License-Identifier: MIT */
/* The results by format and operation: the table for people and the JSON for programs. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdbool.h>

#include "bench/measure.h"

/* The samples of an operation. A row is made when it is first asked for. */
struct series *report_row(const char *format, const char *operation, enum memory memory);

/* The samples that such a row is compared with, in place of memory fills. */
struct series *report_baseline(const char *format, const char *operation);

/* A number that is not a time: bytes left, a ratio. */
void report_value(const char *format, const char *what, double value);

/* The least ns of an operation, or of its baseline; NAN if there are no samples. */
double report_min(const char *format, const char *operation);
double report_baseline_min(const char *format, const char *operation);
/* A value; NAN if it does not exist. */
double report_get(const char *format, const char *what);

/*
 * Print how far a figure is from its maximum: one that is required, and one that would
 * be better. A figure from a missing row is neither met nor missed.
 */
void report_due(const char *what, double is, double at_most);
void report_aim(const char *what, double is, double at_most);

/* Print how many were met. Returns true when all required ones were, and no row was missing. */
bool report_aims_end(void);

void report_print(void);
void report_json(const char *path, const char *setting);

#endif
