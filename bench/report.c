/* SPDX-License-Identifier: MIT */
#include "bench/report.h"

#include <json-c/json.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_ROWS 1024

static struct row {
	const char *format;
	const char *operation;
	enum memory memory;
	struct series series;
	struct series baseline;
	double value; /* of a row without samples */
} rows[MAX_ROWS];
static size_t nr_rows;

static struct row *find(const char *format, const char *operation)
{
	for (size_t i = 0; i < nr_rows; i++)
		if (!strcmp(rows[i].format, format) && !strcmp(rows[i].operation, operation))
			return &rows[i];
	return NULL;
}

static struct row *find_or_add(const char *format, const char *operation)
{
	struct row *row = find(format, operation);

	if (row)
		return row;
	if (nr_rows == MAX_ROWS)
		fail("too many rows");
	row = &rows[nr_rows++];
	row->format = format;
	row->operation = operation;
	row->memory = MEMORY_NONE;
	return row;
}

struct series *report_row(const char *format, const char *operation, enum memory which)
{
	struct row *row = find_or_add(format, operation);

	row->memory = which;
	return &row->series;
}

struct series *report_baseline(const char *format, const char *operation)
{
	return &find_or_add(format, operation)->baseline;
}

void report_value(const char *format, const char *what, double value)
{
	find_or_add(format, what)->value = value;
}

double report_min(const char *format, const char *operation)
{
	struct row *row = find(format, operation);

	return row && row->series.nr ? series_min(&row->series) : NAN;
}

double report_baseline_min(const char *format, const char *operation)
{
	struct row *row = find(format, operation);

	return row && row->baseline.nr ? series_min(&row->baseline) : NAN;
}

double report_get(const char *format, const char *what)
{
	struct row *row = find(format, what);

	return row && !row->series.nr ? row->value : NAN;
}

static struct {
	unsigned int met, missed, due_missed, no_row;
} aims;

static void print_aim(const char *what, double is, double at_most, bool due)
{
	bool met = isfinite(is) && is <= at_most;

	printf("  %-60s %9.3f   %s %.3g: %s\n", what, is, due ? "due" : "aim", at_most,
	       met            ? "met"
	       : isfinite(is) ? "missed"
			      : "not measured");
	aims.met += met;
	aims.missed += !met && isfinite(is);
	aims.due_missed += !met && isfinite(is) && due;
	aims.no_row += !isfinite(is);
}

void report_due(const char *what, double is, double at_most)
{
	print_aim(what, is, at_most, true);
}

void report_aim(const char *what, double is, double at_most)
{
	print_aim(what, is, at_most, false);
}

bool report_aims_end(void)
{
	printf("%u met, %u missed, %u of them due, %u not measured\n", aims.met, aims.missed,
	       aims.due_missed, aims.no_row);
	return !aims.due_missed && !aims.no_row;
}

static double row_baseline(struct row *row)
{
	return row->baseline.nr ? series_min(&row->baseline) : memory_min(row->memory);
}

static void print_row(struct row *row)
{
	double min = series_min(&row->series), fill = row_baseline(row);

	if (!row->series.nr) {
		printf("  %-42s %9.10g\n", row->operation, row->value);
		return;
	}
	printf("  %-42s %9.3f %9.3f", row->operation, min, series_median(&row->series));
	if (fill > 0)
		printf(" %9.3f %7.1f", fill, min / fill);
	putchar('\n');
}

void report_print(void)
{
	const char *format = "";

	for (size_t i = 0; i < nr_rows; i++) {
		if (strcmp(rows[i].format, format)) {
			format = rows[i].format;
			printf("\n%-44s %9s %9s %9s %7s\n", format, "min ns", "median", "memory",
			       "ratio");
		}
		print_row(&rows[i]);
	}
}

static struct json_object *row_json(struct row *row)
{
	struct json_object *object = json_object_new_object();
	double fill = row_baseline(row);

	json_object_object_add(object, "format", json_object_new_string(row->format));
	json_object_object_add(object, "operation", json_object_new_string(row->operation));
	if (!row->series.nr) {
		json_object_object_add(object, "value", json_object_new_double(row->value));
		return object;
	}
	json_object_object_add(object, "min_ns", json_object_new_double(series_min(&row->series)));
	json_object_object_add(object, "median_ns",
			       json_object_new_double(series_median(&row->series)));
	json_object_object_add(object, "samples", json_object_new_uint64(row->series.nr));
	if (fill > 0)
		json_object_object_add(object, "baseline_ns", json_object_new_double(fill));
	return object;
}

void report_json(const char *path, const char *setting)
{
	struct json_object *root = json_object_new_object(), *array = json_object_new_array();

	for (size_t i = 0; i < nr_rows; i++)
		json_object_array_add(array, row_json(&rows[i]));
	json_object_object_add(root, "setting", json_object_new_string(setting));
	json_object_object_add(root, "rows", array);
	if (json_object_to_file_ext(path, root, JSON_C_TO_STRING_PRETTY))
		fail("cannot write %s: %s", path, json_util_get_last_err());
	json_object_put(root);
}
