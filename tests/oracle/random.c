/* SPDX-License-Identifier: MIT */
/*
 * One case: first every leaf size in turn, then random changes with random
 * accesses between them.
 */
#include <stdio.h>
#include <time.h>

#include "tests/oracle/random.h"

#define PROBES_MOST 48 /* between two changes */
#define TRIES       64 /* for a place of a leaf that is free */
#define LIST_EVERY  32 /* changes between two listings, where a peer has them */

double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* One leaf of each size, every item of it probed, there and gone. */
static void try_sizes(struct run *run)
{
	for (unsigned int lg2 = 0; lg2 < 64; lg2++) {
		struct leaf leaf;
		unsigned int tries = 0;

		if (!(run->model.pgsizes & UINT64_C(1) << lg2))
			continue;
		while (tries < TRIES && !map_leaf(run, lg2, &leaf))
			tries++;
		if (tries == TRIES) /* the peer's memory, or the width, is too small */
			continue;
		probe_leaf(run, &leaf);
		probes_flush(run);
		unmap_range(run, leaf.iova, UINT64_C(1) << leaf.size_lg2);
		probe_leaf(run, &leaf);
		probes_flush(run);
		run->changes += 2;
	}
}

static void progress(const struct run *run, uint64_t count)
{
	static uint64_t shown;
	uint64_t tenth = run->probes * 10 / count;

	if (!run->progress || tenth == shown)
		return;
	shown = tenth;
	fprintf(stderr, "\r%s, %u bits: %u%%\033[K%s", run->test->format, run->test->width,
		(unsigned int)(tenth * 10), tenth >= 10 ? "\r\033[K" : "");
}

static void try_at_random(struct run *run, uint64_t count)
{
	for (unsigned int round = 1; run->probes < count && run->disagreements < SHOWN; round++) {
		uint64_t probes = random_below(&run->random, PROBES_MOST);

		change_at_random(run);
		while (probes--)
			probe_at_random(run);
		probes_flush(run);
		if (!(round % LIST_EVERY))
			check_list(run);
		progress(run, count);
	}
}

void run_case(struct run *run, uint64_t count, unsigned int items)
{
	domain_renew(run);
	try_sizes(run);
	domain_renew(run);
	try_at_random(run, count);
	if (items && !run->disagreements)
		mutate(run, items);
	domain_drop(run);
}
