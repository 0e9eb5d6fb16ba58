/* SPDX-License-Identifier: MIT */
/*
 * One case at work: a domain, its model, its peer, and what was found.
 */
#ifndef TESTS_ORACLE_RUN_H
#define TESTS_ORACLE_RUN_H

#include "tests/oracle/model.h"
#include "tests/oracle/oracle.h"

#define BATCH_MOST 512
#define NR_BASES   6
#define NR_RECENT  256
#define NR_REASONS 32
#define SHOWN      5 /* disagreements that are told in full */

struct run {
	const struct oracle_case *test;
	struct peer *peer;
	struct iommu_domain *domain;
	struct model model;
	struct oracle_tables tables; /* as the peer was told; root ~0 when it was not */
	uint64_t random;

	uint64_t bases[NR_BASES];   /* around which mappings are made */
	uint64_t recent[NR_RECENT]; /* addresses probed, which the peer may have cached */
	size_t nr_recent;
	char change[160]; /* the last one, for people */

	struct probe batch[BATCH_MOST];
	size_t nr_batch;
	bool quiet;    /* disagreements are wanted */
	bool progress; /* is shown on stderr */

	uint64_t probes, present, changes, listed, disagreements;
	uint64_t items, flips, caught, ignored, survived;
	struct {
		const char *text; /* why a bit was not noticed */
		uint64_t count;
	} reasons[NR_REASONS];
};

/* xorshift64*: the same numbers everywhere from one seed. */
static inline uint64_t random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(0x2545f4914f6cdd1d);
}

static inline uint64_t random_below(uint64_t *state, uint64_t limit)
{
	return limit ? (random_next(state) >> 11) % limit : 0;
}

/* ---- changes.c: the domain and its model ---- */

void domain_renew(struct run *run);
void domain_drop(struct run *run);
/* One random change, told to the domain and to the model. */
void change_at_random(struct run *run);
/* One leaf of a size, at a place of that alignment; false if there is no room. */
bool map_leaf(struct run *run, unsigned int size_lg2, struct leaf *leaf);
void unmap_range(struct run *run, uint64_t iova, uint64_t size);

/* ---- probes.c: the peer's answers against the model ---- */

/* Queue one access; probes_flush() makes them and compares. */
void probe_add(struct run *run, uint64_t iova, int access);
/* Both ends of a range, what lies beside it and a place within. */
void probe_range(struct run *run, uint64_t iova, uint64_t size);
/* Every item that a leaf may stand in. */
void probe_leaf(struct run *run, const struct leaf *leaf);
void probe_at_random(struct run *run);
void probes_flush(struct run *run);
/* The peer's whole listing against the model, if it has one. */
void check_list(struct run *run);

/* ---- mutate.c ---- */

/* Change each bit of @items random items of the tables in turn. */
void mutate(struct run *run, unsigned int items);

#endif
