/* SPDX-License-Identifier: MIT */
/*
 * What is certain: a map cannot be in a domain where part of its range is
 * mapped. If that rules all domains out there is one more of them.
 *
 * What is evidence, as Linux maps DMA buffers. A scattered buffer is one map
 * event per contiguous piece, by one thread and at rising addresses, so what
 * goes on where the thread's last map in a domain ended is the same buffer.
 * The address of a new buffer comes from the domain's own allocator: it was
 * unmapped there before (the allocator's caches), or it lies below all that the
 * domain ever used (its tree is searched from the top). That counts two. That
 * the same thread mapped there last counts one: it drives one device at a time.
 * Among equals the address tells: where it was unmapped last, else the domain
 * whose lowest address is nearest, else the one that was mapped in last. Such an
 * event is counted as ambiguous.
 *
 * An unmap takes a whole buffer away. It belongs to the domain in which runs
 * tile its range exactly, preferably one whole buffer and nothing else; among
 * equals, also ambiguous, to the one that was mapped last. If there is none,
 * to one that has all of the range mapped in larger runs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "trace/domains.h"

#define THREADS 1024
#define UNMAPS  4096

/* Remembered events, by a hash; a newer one replaces an older. */
struct thread_memory {
	uint64_t thread;
	unsigned int domain;
};

struct map_memory {
	uint64_t thread;
	uint64_t last; /* last address of its last map in the domain */
};

struct unmap_memory {
	uint64_t start;
	uint64_t event; /* 0: none */
};

struct domain {
	struct runs runs;
	uint64_t lowest; /* lowest address ever mapped */
	uint64_t mapped; /* the event that last mapped here */
	struct map_memory maps[THREADS];
	struct unmap_memory unmaps[UNMAPS];
};

struct domains {
	unsigned int nr;
	struct domain *domain[TRACE_DOMAINS_MAX];
	struct thread_memory threads[THREADS];
};

static inline size_t hash(uint64_t key, size_t size)
{
	return (size_t)((key * 0x9e3779b97f4a7c15u) >> 32) % size;
}

/* Idle threads are one per CPU and all have pid 0. Never 0. */
static inline uint64_t thread_key(const struct trace_event *event)
{
	return ((uint64_t)event->pid << 32 | event->cpu) + 1;
}

static inline uint64_t last_of(const struct trace_event *event)
{
	return event->iova + (event->size - 1);
}

struct domains *domains_new(void)
{
	return calloc(1, sizeof(struct domains));
}

void domains_free(struct domains *domains)
{
	for (unsigned int i = 0; i < domains->nr; i++) {
		runs_destroy(&domains->domain[i]->runs);
		free(domains->domain[i]);
	}
	free(domains);
}

unsigned int domains_count(const struct domains *domains)
{
	return domains->nr;
}

struct runs *domains_runs(struct domains *domains, unsigned int domain)
{
	return &domains->domain[domain]->runs;
}

static int open_domain(struct domains *domains)
{
	struct domain *domain;

	if (domains->nr == TRACE_DOMAINS_MAX)
		return -ENOSPC;
	domain = calloc(1, sizeof(*domain));
	if (!domain)
		return -ENOMEM;
	runs_init(&domain->runs);
	domain->lowest = UINT64_MAX;
	domains->domain[domains->nr] = domain;
	return (int)domains->nr++;
}

/* The domain that @thread mapped in last, or -1. */
static int thread_domain(const struct domains *domains, uint64_t thread)
{
	const struct thread_memory *memory = &domains->threads[hash(thread, THREADS)];

	return memory->thread == thread ? (int)memory->domain : -1;
}

/* The event that last unmapped a buffer at @start, or 0. */
static uint64_t unmap_event(const struct domain *domain, uint64_t start)
{
	const struct unmap_memory *memory = &domain->unmaps[hash(start >> 12, UNMAPS)];

	return memory->start == start ? memory->event : 0;
}

/*
 * Whether @event can be the next piece of the buffer that its thread was mapping
 * when it was last seen in @domain, and that is still mapped.
 */
static bool continues(const struct domain *domain, const struct trace_event *event)
{
	uint64_t thread = thread_key(event);
	const struct map_memory *memory = &domain->maps[hash(thread, THREADS)];
	struct run_place place;

	return memory->thread == thread && event->iova != 0 && memory->last == event->iova - 1 &&
	       runs_find(&domain->runs, memory->last, &place) &&
	       !runs_overlap(&domain->runs, event->iova, last_of(event));
}

static int find_continued(const struct domains *domains, const struct trace_event *event)
{
	int last = thread_domain(domains, thread_key(event));

	if (last >= 0 && continues(domains->domain[last], event))
		return last;
	for (unsigned int i = 0; i < domains->nr; i++)
		if (continues(domains->domain[i], event))
			return (int)i;
	return -1;
}

/* What speaks for a domain, to be compared in this order. */
struct evidence {
	unsigned int weight;
	uint64_t unmapped; /* the event that unmapped this address, or 0 */
	uint64_t distance; /* below the domain's lowest address */
	uint64_t mapped;   /* the event that last mapped there */
};

static struct evidence weigh(const struct domain *domain, const struct trace_event *event,
			     bool same_thread)
{
	struct evidence evidence = {.distance = UINT64_MAX, .mapped = domain->mapped};

	evidence.unmapped = unmap_event(domain, event->iova);
	if (last_of(event) < domain->lowest)
		evidence.distance = domain->lowest - last_of(event);
	if (evidence.unmapped || evidence.distance != UINT64_MAX)
		evidence.weight = 2;
	evidence.weight += same_thread;
	return evidence;
}

static bool is_stronger(const struct evidence *a, const struct evidence *b)
{
	if (a->weight != b->weight)
		return a->weight > b->weight;
	if (a->unmapped != b->unmapped)
		return a->unmapped > b->unmapped;
	if (a->distance != b->distance)
		return a->distance < b->distance;
	return a->mapped > b->mapped;
}

static int find_likely(const struct domains *domains, const struct trace_event *event,
		       bool *ambiguous)
{
	int thread = thread_domain(domains, thread_key(event)), likely = -1;
	struct evidence best = {.weight = 0}, evidence;

	for (unsigned int i = 0; i < domains->nr; i++) {
		const struct domain *domain = domains->domain[i];

		if (runs_overlap(&domain->runs, event->iova, last_of(event)))
			continue;
		evidence = weigh(domain, event, (int)i == thread);
		if (likely >= 0)
			*ambiguous = evidence.weight == best.weight ||
				     (*ambiguous && evidence.weight < best.weight);
		if (likely < 0 || is_stronger(&evidence, &best)) {
			likely = (int)i;
			best = evidence;
		}
	}
	return likely;
}

static struct run *add_run(struct domains *domains, unsigned int index,
			   const struct trace_event *event, uint64_t number, bool begins)
{
	struct domain *domain = domains->domain[index];
	uint64_t thread = thread_key(event);
	struct run run = {
		.start = event->iova,
		.last = last_of(event),
		.event = number,
		.begins = begins,
	};

	if (run.start < domain->lowest)
		domain->lowest = run.start;
	domain->maps[hash(thread, THREADS)] = (struct map_memory){thread, run.last};
	domain->mapped = number;
	domains->threads[hash(thread, THREADS)] = (struct thread_memory){thread, index};
	return runs_insert(&domain->runs, &run);
}

int domains_map(struct domains *domains, const struct trace_event *event, uint64_t number,
		bool *ambiguous, struct run **run)
{
	int index = find_continued(domains, event);
	bool begins = index < 0;

	*ambiguous = false;
	if (index < 0)
		index = find_likely(domains, event, ambiguous);
	if (index < 0)
		index = open_domain(domains);
	if (index < 0)
		return index;
	*run = add_run(domains, (unsigned int)index, event, number, begins);
	return *run ? index : -ENOMEM;
}

/* How well the runs of a domain fit an unmap. */
enum fit {
	FIT_NONE,
	FIT_WITHIN, /* all mapped, but runs reach over its ends */
	FIT_TILED,  /* runs tile it exactly */
	FIT_BUFFER, /* and they are one whole buffer */
};

/* The run at @place ends a buffer unless the next one continues it. */
static bool ends_buffer(const struct runs *runs, const struct run *run, struct run_place *place)
{
	const struct run *next = runs_next(runs, place);

	return !next || next->start - 1 != run->last || next->begins;
}

static enum fit find_fit(const struct runs *runs, uint64_t start, uint64_t last, uint64_t *mapped)
{
	struct run_place place;
	const struct run *run = runs_find(runs, start, &place), *next;
	bool exact = run && run->start == start, whole = run && run->begins;

	if (!run)
		return FIT_NONE;
	while (run->last < last) {
		next = runs_next(runs, &place);
		if (!next || next->start - 1 != run->last)
			return FIT_NONE;
		run = next;
		whole &= !run->begins;
	}
	*mapped = run->event;
	if (!exact || run->last != last)
		return FIT_WITHIN;
	return whole && ends_buffer(runs, run, &place) ? FIT_BUFFER : FIT_TILED;
}

int domains_match(struct domains *domains, const struct trace_event *event,
		  struct domain_match *match)
{
	enum fit best = FIT_NONE, fit;
	uint64_t best_mapped = 0, mapped;

	if (!event->size)
		return -ENOENT;
	for (unsigned int i = 0; i < domains->nr; i++) {
		fit = find_fit(&domains->domain[i]->runs, event->iova, last_of(event), &mapped);
		if (fit == FIT_NONE || fit < best)
			continue;
		match->ambiguous = fit == best;
		if (fit > best || mapped > best_mapped) {
			match->domain = i;
			best_mapped = mapped;
		}
		best = fit;
	}
	match->cuts = best == FIT_WITHIN;
	return best == FIT_NONE ? -ENOENT : 0;
}

void domains_unmap(struct domains *domains, const struct domain_match *match,
		   const struct trace_event *event, uint64_t number)
{
	struct domain *domain = domains->domain[match->domain];

	domain->unmaps[hash(event->iova >> 12, UNMAPS)] =
		(struct unmap_memory){event->iova, number};
	runs_erase(&domain->runs, event->iova, last_of(event));
}
