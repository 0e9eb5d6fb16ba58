/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "trace/timeline.h"

#define ROWS_PER_BUCKET 3
#define BUCKETS         ((TIMELINE_ROWS - 1) / ROWS_PER_BUCKET)

struct bucket {
	struct timeline_row least;  /* mapped bytes */
	struct timeline_row most;   /* mapped bytes */
	struct timeline_row tables; /* most table bytes */
};

/* @per_bucket doubles each time the buckets are full. */
struct timeline {
	uint64_t per_bucket;
	uint64_t in_bucket; /* events in the last bucket */
	size_t nr;
	struct timeline_row last;
	struct bucket bucket[BUCKETS];
};

struct timeline *timeline_new(void)
{
	struct timeline *timeline = calloc(1, sizeof(*timeline));

	if (timeline)
		timeline->per_bucket = 1;
	return timeline;
}

void timeline_free(struct timeline *timeline)
{
	free(timeline);
}

void timeline_reset(struct timeline *timeline)
{
	timeline->nr = 0;
	timeline->per_bucket = 1;
}

static void merge(struct bucket *into, const struct bucket *other)
{
	if (other->least.mapped_bytes < into->least.mapped_bytes)
		into->least = other->least;
	if (other->most.mapped_bytes > into->most.mapped_bytes)
		into->most = other->most;
	if (other->tables.table_bytes > into->tables.table_bytes)
		into->tables = other->tables;
}

static void halve(struct timeline *timeline)
{
	for (size_t i = 0; i + 1 < timeline->nr; i += 2) {
		merge(&timeline->bucket[i], &timeline->bucket[i + 1]);
		timeline->bucket[i / 2] = timeline->bucket[i];
	}
	if (timeline->nr % 2)
		timeline->bucket[timeline->nr / 2] = timeline->bucket[timeline->nr - 1];
	else
		timeline->in_bucket = timeline->per_bucket * 2;
	timeline->nr = (timeline->nr + 1) / 2;
	timeline->per_bucket *= 2;
}

void timeline_add(struct timeline *timeline, const struct timeline_row *row)
{
	struct bucket one = {*row, *row, *row};

	timeline->last = *row;
	if (timeline->nr && timeline->in_bucket < timeline->per_bucket) {
		merge(&timeline->bucket[timeline->nr - 1], &one);
		timeline->in_bucket++;
		return;
	}
	if (timeline->nr == BUCKETS) {
		halve(timeline);
		timeline_add(timeline, row);
		return;
	}
	timeline->bucket[timeline->nr++] = one;
	timeline->in_bucket = 1;
}

static int by_event(const void *a, const void *b)
{
	const struct timeline_row *x = a, *y = b;

	return (x->event > y->event) - (x->event < y->event);
}

size_t timeline_rows(const struct timeline *timeline, struct timeline_row **rows)
{
	struct timeline_row *row = calloc(timeline->nr * ROWS_PER_BUCKET + 1, sizeof(*row));
	size_t nr = 0, kept = 0;

	*rows = row;
	if (!row || !timeline->nr)
		return 0;
	for (size_t i = 0; i < timeline->nr; i++) {
		row[nr++] = timeline->bucket[i].least;
		row[nr++] = timeline->bucket[i].most;
		row[nr++] = timeline->bucket[i].tables;
	}
	row[nr++] = timeline->last;
	qsort(row, nr, sizeof(*row), by_event);
	for (size_t i = 0; i < nr; i++)
		if (!kept || row[kept - 1].event != row[i].event)
			row[kept++] = row[i];
	return kept;
}
