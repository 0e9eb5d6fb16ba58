/* SPDX-License-Identifier: MIT */
#include "bench/peers/results.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const op_names[NR_OPS] = {
	"map_4k",    "unmap_4k",    "map_256x4k", "unmap_256x4k", "map_512x2m", "unmap_512x2m",
	"map_1g_4k", "unmap_1g_4k", "unmap_1g",   "lookup",       "left_bytes",
};

/* Every PEER() that is linked. The linker makes both symbols. */
extern const struct peer *const __start_peers[], *const __stop_peers[];

static bool is_ours(const struct result *result)
{
	return result->peer && !strncmp(result->peer->impl, "uiommu/", 7);
}

static const char *impl_of(const struct result *result)
{
	return result->peer ? result->peer->impl : "fill";
}

static const char *build_of(const struct result *result)
{
	return result->peer ? result->peer->build : "as shipped";
}

/* The fill first, then the peers, then ours. */
static int compare(const void *a, const void *b)
{
	const struct result *x = a, *y = b;
	int order = !!x->peer - !!y->peer;

	if (!order)
		order = is_ours(x) - is_ours(y);
	if (!order)
		order = strcmp(impl_of(x), impl_of(y));
	return order ? order : strcmp(build_of(x), build_of(y));
}

size_t results_init(struct result *results, const char *filter)
{
	size_t nr = 0;

	if (!filter || strstr("fill", filter))
		results[nr++] = (struct result){0};
	for (const struct peer *const *peer = __start_peers; peer < __stop_peers; peer++) {
		if (filter && !strstr((*peer)->impl, filter) && !strstr((*peer)->build, filter))
			continue;
		if (nr == MAX_RESULTS)
			fail("more implementations than %d", MAX_RESULTS);
		results[nr++] = (struct result){.peer = *peer};
	}
	qsort(results, nr, sizeof(*results), compare);
	return nr;
}

/* Of the results with this name, or of all peers, the one with the least best time. */
static struct result *best_of(struct result *results, size_t nr, enum op op, const char *impl)
{
	struct result *best = NULL;

	for (size_t i = 0; i < nr; i++) {
		struct result *r = &results[i];

		if (!r->series[op].nr)
			continue;
		if (impl ? strcmp(impl_of(r), impl) : !r->peer || is_ours(r))
			continue;
		if (!best || series_min(&r->series[op]) < series_min(&best->series[op]))
			best = r;
	}
	return best;
}

static void print_ns(double ns)
{
	printf(" %12.*f", ns >= 100 ? 0 : ns >= 10 ? 1 : ns >= 1 ? 2 : 4, ns);
}

static void print_line(struct result *results, size_t nr, const char *impl)
{
	printf("%-28s", impl);
	for (enum op op = 0; op < NR_OPS; op++) {
		struct result *best = best_of(results, nr, op, impl);

		if (best)
			print_ns(series_min(&best->series[op]));
		else
			printf(" %12s", "-");
	}
	putchar('\n');
}

/* Every implementation, for each operation in its fastest build. */
static void print_all(struct result *results, size_t nr)
{
	printf("%-28s", "min ns, best of the builds");
	for (enum op op = 0; op < NR_OPS; op++)
		printf(" %12s", op_names[op]);
	putchar('\n');
	for (size_t i = 0; i < nr; i++)
		if (!i || strcmp(impl_of(&results[i]), impl_of(&results[i - 1])))
			print_line(results, nr, impl_of(&results[i]));
}

static void print_ratio(struct result *ours, struct result *best, enum op op)
{
	double due = series_min(&best->series[op]), is = series_min(&ours->series[op]);

	if (op == LEFT_BYTES || !due)
		printf(" %18.0f", is);
	else
		printf(" %10.*f %6.2fx", is < 1 ? 4 : 1, is, is / due);
}

/* Ours over the best peer of any format and build. */
static void print_ratios(struct result *results, size_t nr)
{
	if (!best_of(results, nr, MAP_4K, NULL))
		return;
	printf("\n%-14s %10s", "ours over best", "peer");
	for (size_t i = 0; i < nr; i++)
		if (is_ours(&results[i]))
			printf(" %18s", impl_of(&results[i]));
	printf("  the best peer\n");
	for (enum op op = 0; op < NR_OPS; op++) {
		struct result *best = best_of(results, nr, op, NULL);

		printf("%-14s %10.*f", op_names[op], series_min(&best->series[op]) < 1 ? 4 : 1,
		       series_min(&best->series[op]));
		for (size_t i = 0; i < nr; i++)
			if (is_ours(&results[i]))
				print_ratio(&results[i], best, op);
		printf("  %s, %s\n", impl_of(best), build_of(best));
	}
}

void results_print(struct result *results, size_t nr)
{
	print_all(results, nr);
	print_ratios(results, nr);
}

static struct json_object *row_json(struct result *result, enum op op)
{
	struct json_object *row = json_object_new_object();

	json_object_object_add(row, "impl", json_object_new_string(impl_of(result)));
	json_object_object_add(row, "build", json_object_new_string(build_of(result)));
	json_object_object_add(row, "op", json_object_new_string(op_names[op]));
	json_object_object_add(row, "min_ns",
			       json_object_new_double(series_min(&result->series[op])));
	json_object_object_add(row, "median_ns",
			       json_object_new_double(series_median(&result->series[op])));
	return row;
}

void results_json(struct result *results, size_t nr, const char *path)
{
	struct json_object *rows = json_object_new_array();

	for (size_t i = 0; i < nr; i++)
		for (enum op op = 0; op < NR_OPS; op++)
			if (results[i].series[op].nr)
				json_object_array_add(rows, row_json(&results[i], op));
	if (json_object_to_file_ext(path, rows, JSON_C_TO_STRING_PRETTY))
		fail("cannot write %s: %s", path, json_util_get_last_err());
	json_object_put(rows);
}
