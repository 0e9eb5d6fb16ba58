/* SPDX-License-Identifier: MIT */
/*
 * Chunks of up to CHUNK_RUNS sorted runs, and a sorted array of the chunks'
 * first addresses: two binary searches find a run, and a change moves half a
 * chunk. That beats a tree of single runs in cache misses, and a hash of pages
 * in that a run of any length is one entry.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "trace/runs.h"

#define CHUNK_RUNS ((size_t)64)

struct run_chunk {
	size_t nr;
	struct run run[CHUNK_RUNS];
};

void runs_init(struct runs *runs)
{
	memset(runs, 0, sizeof(*runs));
}

void runs_destroy(struct runs *runs)
{
	for (size_t i = 0; i < runs->nr_chunks; i++)
		free(runs->chunk[i]);
	free(runs->chunk);
	free(runs->first);
}

/* The last chunk that begins at or below @address, else the first one. */
static size_t find_chunk(const struct runs *runs, uint64_t address)
{
	const uint64_t *base = runs->first;
	size_t n = runs->nr_chunks;

	while (n > 1) {
		size_t half = n / 2;

		base += base[half] <= address ? half : 0;
		n -= half;
	}
	return (size_t)(base - runs->first);
}

/* How many runs of @chunk begin at or below @address. */
static size_t count_below(const struct run_chunk *chunk, uint64_t address)
{
	const struct run *base = chunk->run;
	size_t n = chunk->nr;

	while (n > 1) {
		size_t half = n / 2;

		base += base[half].start <= address ? half : 0;
		n -= half;
	}
	return (size_t)(base - chunk->run) + (n == 1 && base->start <= address);
}

/* The last run that begins at or below @address; NULL when there is none. */
static struct run *find_below(const struct runs *runs, uint64_t address, struct run_place *place)
{
	size_t below;

	if (!runs->nr_chunks)
		return NULL;
	place->chunk = find_chunk(runs, address);
	below = count_below(runs->chunk[place->chunk], address);
	if (!below)
		return NULL;
	place->index = below - 1;
	return &runs->chunk[place->chunk]->run[place->index];
}

bool runs_overlap(const struct runs *runs, uint64_t start, uint64_t last)
{
	struct run_place place;
	const struct run *run = find_below(runs, last, &place);

	return run && run->last >= start;
}

struct run *runs_find(const struct runs *runs, uint64_t address, struct run_place *place)
{
	struct run *run = find_below(runs, address, place);

	return run && run->last >= address ? run : NULL;
}

struct run *runs_next(const struct runs *runs, struct run_place *place)
{
	if (++place->index == runs->chunk[place->chunk]->nr) {
		if (place->chunk + 1 == runs->nr_chunks)
			return NULL;
		place->chunk++;
		place->index = 0;
	}
	return &runs->chunk[place->chunk]->run[place->index];
}

struct run *runs_previous(const struct runs *runs, struct run_place *place)
{
	if (!place->index) {
		if (!place->chunk)
			return NULL;
		place->chunk--;
		place->index = runs->chunk[place->chunk]->nr;
	}
	place->index--;
	return &runs->chunk[place->chunk]->run[place->index];
}

struct run *runs_find_first(const struct runs *runs, uint64_t start, uint64_t last,
			    struct run_place *place)
{
	struct run *run = find_below(runs, start, place);

	if (!runs->nr_chunks)
		return NULL;
	if (run && run->last >= start)
		return run;
	if (run)
		run = runs_next(runs, place);
	else {
		*place = (struct run_place){0, 0};
		run = &runs->chunk[0]->run[0];
	}
	return run && run->start <= last ? run : NULL;
}

static int make_room(struct runs *runs)
{
	size_t room = runs->room ? runs->room * 2 : 8;
	struct run_chunk **chunk;
	uint64_t *first;

	if (runs->nr_chunks < runs->room)
		return 0;
	chunk = realloc(runs->chunk, room * sizeof(*chunk));
	if (!chunk)
		return -ENOMEM;
	runs->chunk = chunk;
	first = realloc(runs->first, room * sizeof(*first));
	if (!first)
		return -ENOMEM;
	runs->first = first;
	runs->room = room;
	return 0;
}

/* An empty chunk at index @at; the caller fills it and sets its first address. */
static struct run_chunk *add_chunk(struct runs *runs, size_t at)
{
	struct run_chunk *chunk;
	size_t behind = runs->nr_chunks - at;

	if (make_room(runs))
		return NULL;
	chunk = malloc(sizeof(*chunk));
	if (!chunk)
		return NULL;
	chunk->nr = 0;
	memmove(runs->chunk + at + 1, runs->chunk + at, behind * sizeof(*runs->chunk));
	memmove(runs->first + at + 1, runs->first + at, behind * sizeof(*runs->first));
	runs->chunk[at] = chunk;
	runs->nr_chunks++;
	return chunk;
}

static void drop_chunk(struct runs *runs, size_t at)
{
	size_t behind = --runs->nr_chunks - at;

	free(runs->chunk[at]);
	memmove(runs->chunk + at, runs->chunk + at + 1, behind * sizeof(*runs->chunk));
	memmove(runs->first + at, runs->first + at + 1, behind * sizeof(*runs->first));
}

/* Move the upper half of a full chunk to a new one behind it. */
static int split_chunk(struct runs *runs, size_t at)
{
	struct run_chunk *upper = add_chunk(runs, at + 1), *lower = runs->chunk[at];

	if (!upper)
		return -ENOMEM;
	lower->nr = CHUNK_RUNS / 2;
	upper->nr = CHUNK_RUNS - lower->nr;
	memcpy(upper->run, lower->run + lower->nr, upper->nr * sizeof(upper->run[0]));
	runs->first[at + 1] = upper->run[0].start;
	return 0;
}

struct run *runs_insert(struct runs *runs, const struct run *run)
{
	struct run_chunk *chunk;
	size_t at, index;

	if (!runs->nr_chunks && !add_chunk(runs, 0))
		return NULL;
	at = find_chunk(runs, run->start);
	if (runs->chunk[at]->nr == CHUNK_RUNS) {
		if (split_chunk(runs, at))
			return NULL;
		at += runs->first[at + 1] <= run->start;
	}
	chunk = runs->chunk[at];
	index = count_below(chunk, run->start);
	memmove(chunk->run + index + 1, chunk->run + index,
		(chunk->nr - index) * sizeof(chunk->run[0]));
	chunk->run[index] = *run;
	chunk->nr++;
	runs->first[at] = chunk->run[0].start;
	return &chunk->run[index];
}

int runs_split(struct runs *runs, uint64_t address)
{
	struct run_place place;
	struct run *run = runs_find(runs, address, &place), upper;

	if (!run || run->start == address)
		return 0;
	upper = *run;
	upper.paddr += address - run->start;
	upper.start = address;
	upper.begins = true;
	run->last = address - 1;
	if (runs_insert(runs, &upper))
		return 0;
	run->last = upper.last;
	return -ENOMEM;
}

/* After a removal: no empty chunk, and no two neighbours that are nearly so. */
static void tidy_chunk(struct runs *runs, size_t at)
{
	struct run_chunk *chunk = runs->chunk[at], *next;

	if (!chunk->nr) {
		drop_chunk(runs, at);
		return;
	}
	runs->first[at] = chunk->run[0].start;
	if (at + 1 == runs->nr_chunks)
		return;
	next = runs->chunk[at + 1];
	if (chunk->nr + next->nr > CHUNK_RUNS / 2)
		return;
	memcpy(chunk->run + chunk->nr, next->run, next->nr * sizeof(next->run[0]));
	chunk->nr += next->nr;
	drop_chunk(runs, at + 1);
}

void runs_erase(struct runs *runs, uint64_t start, uint64_t last)
{
	while (runs->nr_chunks) {
		size_t at = find_chunk(runs, last);
		struct run_chunk *chunk = runs->chunk[at];
		size_t to = count_below(chunk, last);
		size_t from = start ? count_below(chunk, start - 1) : 0;

		if (from == to)
			return;
		memmove(chunk->run + from, chunk->run + to,
			(chunk->nr - to) * sizeof(chunk->run[0]));
		chunk->nr -= to - from;
		tidy_chunk(runs, at);
		if (from)
			return;
	}
}
