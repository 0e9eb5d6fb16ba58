/* SPDX-License-Identifier: MIT */
/* The results of each implementation, as tables and as JSON. */
#ifndef BENCH_PEERS_RESULTS_H
#define BENCH_PEERS_RESULTS_H

#include "bench/measure.h"
#include "bench/peers/peer.h"

enum op {
	MAP_4K,
	UNMAP_4K,
	MAP_256X4K,
	UNMAP_256X4K,
	MAP_512X2M,
	UNMAP_512X2M,
	MAP_1G_4K,
	UNMAP_1G_4K,
	UNMAP_1G,
	LOOKUP,
	LEFT_BYTES,
	NR_OPS,
};

#define MAX_RESULTS 128

struct result {
	const struct peer *peer; /* NULL: the memory fill */
	struct series series[NR_OPS];
};

/* One for each linked peer that has @filter in its name or build, and the fill. */
size_t results_init(struct result *results, const char *filter);
void results_print(struct result *results, size_t nr);
void results_json(struct result *results, size_t nr, const char *path);

#endif
