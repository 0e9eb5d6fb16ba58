/* SPDX-License-Identifier: MIT */
/*
 * The runs that are mapped in one domain: disjoint ranges in order of address,
 * one per map event.
 */
#ifndef TRACE_RUNS_H
#define TRACE_RUNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One map event's range. @last is inclusive. */
struct run {
	uint64_t start;
	uint64_t last;
	uint64_t event; /* the number of the event that mapped it */
	uint64_t paddr;
	bool begins;  /* the first of its buffer: it did not continue another run */
	bool refused; /* mapped in the traced kernel only: the replay could not */
};

struct run_chunk;

/* @first[i] is the first address in @chunk[i]; no chunk is empty. */
struct runs {
	uint64_t *first;
	struct run_chunk **chunk;
	size_t nr_chunks;
	size_t room;
};

/* A place among runs, valid until they change. */
struct run_place {
	size_t chunk;
	size_t index;
};

void runs_init(struct runs *runs);
void runs_destroy(struct runs *runs);

/* Whether any address of [start, last] is mapped. */
bool runs_overlap(const struct runs *runs, uint64_t start, uint64_t last);

/* Add a run that overlaps none: where it is now, or NULL without memory for it. */
struct run *runs_insert(struct runs *runs, const struct run *run);

/* Make a run begin at @address if that is within one. -ENOMEM, or 0. */
int runs_split(struct runs *runs, uint64_t address);

/* The run with @address in it, or NULL; @place is for runs_next(). */
struct run *runs_find(const struct runs *runs, uint64_t address, struct run_place *place);
struct run *runs_next(const struct runs *runs, struct run_place *place);
struct run *runs_previous(const struct runs *runs, struct run_place *place);

/* The first run that has any address of [start, last], or NULL. */
struct run *runs_find_first(const struct runs *runs, uint64_t start, uint64_t last,
			    struct run_place *place);

/* Drop every run that begins in [start, last]. */
void runs_erase(struct runs *runs, uint64_t start, uint64_t last);

#endif
