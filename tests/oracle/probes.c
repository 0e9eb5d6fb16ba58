/* SPDX-License-Identifier: MIT */
/*
 * The peer's answers against the model.
 */
#include <inttypes.h>
#include <stdio.h>

#include "tests/oracle/run.h"

#define REPLICAS_MOST 256 /* items of one leaf; amdv1 has as many */

/* ---- one answer ---- */

static bool is_allowed(const struct leaf *leaf, int access)
{
	return leaf && leaf->access & access;
}

static enum refusal expected_refusal(const struct leaf *leaf)
{
	return leaf ? REFUSAL_DENIED : REFUSAL_ABSENT;
}

static bool agrees(const struct run *run, const struct probe *probe)
{
	const struct leaf *leaf = model_lookup(&run->model, probe->iova);

	if (!is_allowed(leaf, probe->access))
		return probe->fault && (probe->refusal == REFUSAL_UNTOLD ||
					probe->refusal == expected_refusal(leaf));
	return !probe->fault && probe->paddr == leaf->paddr + (probe->iova - leaf->iova) &&
	       (!probe->size_lg2 || probe->size_lg2 == leaf->size_lg2);
}

static void describe_fault(char *text, size_t room, enum refusal refusal)
{
	static const char *const reasons[] = {
		[REFUSAL_UNTOLD] = "",
		[REFUSAL_ABSENT] = ", not mapped",
		[REFUSAL_DENIED] = ", not allowed",
		[REFUSAL_OTHER] = ", bad tables",
	};

	snprintf(text, room, "a fault%s", reasons[refusal]);
}

static void describe(char *text, size_t room, uint64_t paddr, unsigned int size_lg2)
{
	if (size_lg2)
		snprintf(text, room, "%#" PRIx64 " in a leaf of 2^%u", paddr, size_lg2);
	else
		snprintf(text, room, "%#" PRIx64, paddr);
}

static void show(const struct run *run, const struct probe *probe)
{
	const struct leaf *leaf = model_lookup(&run->model, probe->iova);
	char theirs[80], ours[80];

	if (probe->fault)
		describe_fault(theirs, sizeof(theirs), probe->refusal);
	else
		describe(theirs, sizeof(theirs), probe->paddr, probe->size_lg2);
	if (!is_allowed(leaf, probe->access))
		describe_fault(ours, sizeof(ours), expected_refusal(leaf));
	else
		describe(ours, sizeof(ours), leaf->paddr + (probe->iova - leaf->iova),
			 leaf->size_lg2);
	fprintf(stderr,
		"# %s, %u bits: a %s at %#" PRIx64 " is %s for %s, should be %s (after: %s)\n",
		run->test->format, run->test->width,
		probe->access == IOMMU_WRITE ? "write" : "read", probe->iova, theirs,
		run->peer->name, ours, run->change);
}

static void disagree(struct run *run)
{
	run->disagreements++;
}

/* ---- batches ---- */

/* The root moves when a format grows, and with each new domain. */
static void tell_tables(struct run *run)
{
	struct iommu_domain_info info;

	iommu_domain_get_info(run->domain, &info);
	if (info.root == run->tables.root && info.levels == run->tables.levels)
		return;
	run->tables = (struct oracle_tables){run->test, info.root, info.levels};
	run->peer->set_tables(run->peer, &run->tables);
}

void probes_flush(struct run *run)
{
	if (!run->nr_batch)
		return;
	tell_tables(run);
	run->peer->probe(run->peer, run->batch, run->nr_batch);
	for (size_t i = 0; i < run->nr_batch; i++) {
		const struct probe *probe = &run->batch[i];

		if (!run->quiet) {
			run->probes++;
			run->present += !probe->fault;
		}
		if (agrees(run, probe))
			continue;
		disagree(run);
		if (!run->quiet && run->disagreements <= SHOWN)
			show(run, probe);
	}
	run->nr_batch = 0;
}

/* Can the peer put it to the tables? */
static bool is_in_reach(const struct peer *peer, uint64_t iova)
{
	if (peer->hole_last && iova >= peer->hole_first && iova <= peer->hole_last)
		return false;
	return !peer->probe_bits || peer->probe_bits >= 64 || !(iova >> peer->probe_bits);
}

void probe_add(struct run *run, uint64_t iova, int access)
{
	tell_tables(run); /* of which the reach may depend */
	if (!is_in_reach(run->peer, iova))
		return;
	run->batch[run->nr_batch++] = (struct probe){.iova = iova, .access = access};
	run->recent[run->nr_recent++ % NR_RECENT] = iova;
	if (run->nr_batch == BATCH_MOST)
		probes_flush(run);
}

/* ---- what to ask ---- */

static int random_access(struct run *run)
{
	return random_below(&run->random, 2) ? IOMMU_READ : IOMMU_WRITE;
}

void probe_range(struct run *run, uint64_t iova, uint64_t size)
{
	uint64_t last = iova + (size - 1);

	probe_add(run, iova, IOMMU_READ);
	probe_add(run, iova, IOMMU_WRITE);
	probe_add(run, last, random_access(run));
	probe_add(run, iova + random_below(&run->random, size), random_access(run));
	if (iova)
		probe_add(run, iova - 1, random_access(run));
	if (last + 1)
		probe_add(run, last + 1, random_access(run));
}

/* log2 of what one item spans at the level whose tables hold leaves of a size. */
static unsigned int slot_lg2(const struct run *run, unsigned int size_lg2)
{
	unsigned int page = run->model.page_lg2, index = page - 3;

	/* Tables of items of 8 bytes fill a page, but for s390's, which has no runs. */
	return page + (size_lg2 - page) / index * index;
}

void probe_leaf(struct run *run, const struct leaf *leaf)
{
	unsigned int slot = slot_lg2(run, leaf->size_lg2);
	uint64_t slots = UINT64_C(1) << (leaf->size_lg2 - slot);

	for (uint64_t i = 0; i < slots && i < REPLICAS_MOST; i++)
		probe_add(run,
			  leaf->iova + (i << slot) +
				  random_below(&run->random, UINT64_C(1) << slot),
			  random_access(run));
	probe_range(run, leaf->iova, UINT64_C(1) << leaf->size_lg2);
}

/* At, in or beside a leaf. */
static uint64_t iova_at_leaf(struct run *run)
{
	const struct leaf *leaf;
	uint64_t page = UINT64_C(1) << run->model.page_lg2;

	if (!run->model.count)
		return random_next(&run->random) & run->model.last;
	leaf = &run->model.leaves[random_below(&run->random, run->model.count)];
	switch (random_below(&run->random, 8)) {
	case 0:
		return leaf->iova;
	case 1:
		return leaf_last(leaf);
	case 2:
		return leaf->iova - 1 - random_below(&run->random, page);
	case 3:
		return leaf_last(leaf) + 1 + random_below(&run->random, page);
	default:
		return leaf->iova + random_below(&run->random, UINT64_C(1) << leaf->size_lg2);
	}
}

/* Just beyond the aperture, or a mapped address with a bit set that is too high. */
static uint64_t iova_too_wide(struct run *run)
{
	unsigned int width = run->test->width;

	if (width >= 64)
		return random_next(&run->random);
	if (!random_below(&run->random, 4))
		return (UINT64_C(1) << width) + random_below(&run->random, 1 << 20);
	return iova_at_leaf(run) ^ UINT64_C(1) << (width + random_below(&run->random, 64 - width));
}

static uint64_t random_iova(struct run *run)
{
	uint64_t kind = random_below(&run->random, 16), iova;

	if (kind < 9)
		return iova_at_leaf(run);
	if (kind < 13 && run->nr_recent)
		return run->recent[random_below(
			&run->random, run->nr_recent < NR_RECENT ? run->nr_recent : NR_RECENT)];
	if (kind == 13)
		return iova_too_wide(run);
	iova = random_next(&run->random) & run->model.last;
	if (run->model.is_signed && kind == 14)
		iova = ~iova;
	return iova;
}

void probe_at_random(struct run *run)
{
	probe_add(run, random_iova(run), random_access(run));
}

/* ---- listings ---- */

struct listing {
	struct run *run;
	uint64_t next;  /* mappings begin here or later */
	uint64_t bytes; /* of all of them; may wrap, as both sums do */
	bool ended;     /* at the end of the address space */
};

static void check_listed(void *context, const struct listed *listed)
{
	struct listing *listing = context;
	struct run *run = listing->run;
	const struct leaf *leaf = model_lookup(&run->model, listed->iova);
	uint64_t last = listed->iova + ((UINT64_C(1) << listed->size_lg2) - 1);

	if (!run->quiet)
		run->listed++;
	listing->bytes += last - listed->iova + 1;
	if (leaf && listed->iova >= listing->next && !listing->ended && last <= leaf_last(leaf) &&
	    listed->paddr == leaf->paddr + (listed->iova - leaf->iova) &&
	    listed->access == leaf->access) {
		listing->next = last + 1;
		listing->ended = !listing->next;
		return;
	}
	disagree(run);
	if (!run->quiet && run->disagreements <= SHOWN)
		fprintf(stderr,
			"# %s, %u bits: %s lists 2^%u bytes at %#" PRIx64 " to %#" PRIx64
			", access %d, which is not so (after: %s)\n",
			run->test->format, run->test->width, run->peer->name, listed->size_lg2,
			listed->iova, listed->paddr, listed->access, run->change);
}

void check_list(struct run *run)
{
	struct listing listing = {.run = run};
	uint64_t bytes = 0;

	if (!run->peer->list)
		return;
	tell_tables(run);
	run->peer->list(run->peer, check_listed, &listing);
	for (size_t i = 0; i < run->model.count; i++)
		bytes += UINT64_C(1) << run->model.leaves[i].size_lg2;
	if (listing.bytes == bytes)
		return;
	disagree(run);
	if (!run->quiet)
		fprintf(stderr, "# %s, %u bits: %s lists %#" PRIx64 " bytes of %#" PRIx64 "\n",
			run->test->format, run->test->width, run->peer->name, listing.bytes, bytes);
}
