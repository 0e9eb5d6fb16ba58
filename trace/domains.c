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
 * What later cannot be true corrects the choice. If the next piece of a buffer is
 * not free in its domain, the buffer belongs to another that is free for all of
 * it. If no domain is free for a range, but the buffers in its way in one of them
 * fit into others, they belong there. Only then is there one more domain.
 *
 * An unmap takes a whole buffer away. It belongs to the domain in which runs
 * tile its range exactly, preferably of one buffer, and all of it; among
 * equals, also ambiguous, to the one that was mapped last. If there is none,
 * to one that has all of the range mapped in larger runs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "trace/domains.h"

/* How many corrections are tried for a map before another domain is opened. */
#define PLACES_TRIED  16
#define BUFFERS_MOVED 64

#define THREADS 1024
#define UNMAPS  16384

/* Remembered events, in a hash table; a newer event replaces an older one. */
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
	domains_moved_fn *moved;
	void *context;
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

struct domains *domains_new(domains_moved_fn *moved, void *context)
{
	struct domains *domains = calloc(1, sizeof(*domains));

	if (!domains)
		return NULL;
	domains->moved = moved;
	domains->context = context;
	return domains;
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

int domains_open(struct domains *domains)
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
 * Does @event continue where its thread was mapping when it was last seen in @domain,
 * and is that still mapped?
 */
static bool continues(const struct domain *domain, const struct trace_event *event)
{
	uint64_t thread = thread_key(event);
	const struct map_memory *memory = &domain->maps[hash(thread, THREADS)];
	struct run_place place;

	return memory->thread == thread && event->iova != 0 && memory->last == event->iova - 1 &&
	       runs_find(&domain->runs, memory->last, &place);
}

static inline bool is_free(const struct domain *domain, uint64_t start, uint64_t last)
{
	return !runs_overlap(&domain->runs, start, last);
}

/*
 * The domain whose buffer @event continues, or -1. @blocked is set to a domain where it
 * would continue one if its range were not mapped there.
 */
static int find_continued(const struct domains *domains, const struct trace_event *event,
			  int *blocked)
{
	int last = thread_domain(domains, thread_key(event));

	*blocked = -1;
	for (int i = -1; i < (int)domains->nr; i++) {
		int index = i < 0 ? last : i;

		if (index < 0 || !continues(domains->domain[index], event))
			continue;
		if (is_free(domains->domain[index], event->iova, last_of(event)))
			return index;
		*blocked = index;
	}
	return -1;
}

/* The evidence for a domain, compared in this order. */
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

		if (!is_free(domain, event->iova, last_of(event)))
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
		.paddr = event->paddr,
		.begins = begins,
	};

	if (run.start < domain->lowest)
		domain->lowest = run.start;
	domain->maps[hash(thread, THREADS)] = (struct map_memory){thread, run.last};
	domain->mapped = number;
	domains->threads[hash(thread, THREADS)] = (struct thread_memory){thread, index};
	return runs_insert(&domain->runs, &run);
}

/* Find the whole buffer that contains @address. */
static void find_buffer(const struct runs *runs, uint64_t address, uint64_t *start, uint64_t *last)
{
	struct run_place place;
	const struct run *run = runs_find(runs, address, &place), *other;
	struct run_place forward = place;

	*start = run->start;
	*last = run->last;
	while (!run->begins) {
		other = runs_previous(runs, &place);
		if (!other || other->last + 1 != *start)
			break;
		run = other;
		*start = run->start;
	}
	while ((other = runs_next(runs, &forward)) != NULL && other->start - 1 == *last &&
	       !other->begins)
		*last = other->last;
}

/* A domain other than @except in which the range is free, or -1. */
static int find_free(const struct domains *domains, unsigned int except, uint64_t start,
		     uint64_t last)
{
	for (unsigned int i = 0; i < domains->nr; i++)
		if (i != except && is_free(domains->domain[i], start, last))
			return (int)i;
	return -1;
}

static int move_buffer(struct domains *domains, unsigned int from, unsigned int to, uint64_t start,
		       uint64_t last)
{
	struct runs *runs = &domains->domain[from]->runs;
	struct domain *target = domains->domain[to];
	struct run_place place;
	struct run *run, *moved;

	for (run = runs_find(runs, start, &place); run && run->start <= last;
	     run = runs_next(runs, &place)) {
		moved = runs_insert(&target->runs, run);
		if (!moved)
			return -ENOMEM;
		domains->moved(domains->context, from, to, moved);
	}
	if (start < target->lowest)
		target->lowest = start;
	runs_erase(runs, start, last);
	return 0;
}

/* The piece that follows a buffer is not free: move all of the buffer. */
static int move_continued(struct domains *domains, const struct trace_event *event,
			  unsigned int blocked)
{
	uint64_t start, last;
	int to;

	find_buffer(&domains->domain[blocked]->runs, event->iova - 1, &start, &last);
	if (last != event->iova - 1)
		return -1;
	to = find_free(domains, blocked, start, last_of(event));
	if (to < 0)
		return -1;
	return move_buffer(domains, blocked, (unsigned int)to, start, last) ? -ENOMEM : to;
}

/*
 * For each buffer in [start, last] of a domain: with @move, move it to a domain where
 * it is free; without, tell whether that can be done.
 */
static int clear_range(struct domains *domains, unsigned int index, uint64_t start, uint64_t last,
		       bool move)
{
	const struct runs *runs = &domains->domain[index]->runs;
	uint64_t from, to, next = start;
	struct run_place place;
	const struct run *run;
	int target;

	for (int n = 0; (run = runs_find_first(runs, next, last, &place)) != NULL; n++) {
		find_buffer(runs, run->start, &from, &to);
		target = find_free(domains, index, from, to);
		if (target < 0 || n == BUFFERS_MOVED)
			return -EBUSY;
		if (move && move_buffer(domains, index, (unsigned int)target, from, to))
			return -ENOMEM;
		if (to >= last)
			break;
		next = to + 1;
	}
	return 0;
}

/*
 * Free the range in some domain, trying domain @first first. Returns the domain, -EBUSY
 * or -ENOMEM.
 */
static int make_place(struct domains *domains, const struct trace_event *event, int first)
{
	int nr = domains->nr < PLACES_TRIED ? (int)domains->nr : PLACES_TRIED;

	for (int i = -1; i < nr; i++) {
		int index = i < 0 ? first : i;

		if (index < 0 ||
		    clear_range(domains, (unsigned int)index, event->iova, last_of(event), false))
			continue;
		if (clear_range(domains, (unsigned int)index, event->iova, last_of(event), true))
			return -ENOMEM;
		return index;
	}
	return -EBUSY;
}

/* The domain for the run of a map, by find_likely() or else by correction. */
static int choose_domain(struct domains *domains, const struct trace_event *event, bool *ambiguous,
			 bool *begins)
{
	int blocked, index = find_continued(domains, event, &blocked);

	*begins = index < 0;
	if (index < 0 && blocked >= 0) {
		index = move_continued(domains, event, (unsigned int)blocked);
		if (index == -1)
			index = make_place(domains, event, blocked);
		*begins = index < 0;
	}
	if (index == -1 || index == -EBUSY)
		index = find_likely(domains, event, ambiguous);
	if (index == -1)
		index = make_place(domains, event, thread_domain(domains, thread_key(event)));
	return index == -EBUSY ? domains_open(domains) : index;
}

int domains_map(struct domains *domains, const struct trace_event *event, uint64_t number,
		bool *ambiguous, struct run **run)
{
	bool begins;
	int index;

	*ambiguous = false;
	index = choose_domain(domains, event, ambiguous, &begins);
	if (index < 0)
		return index;
	*run = add_run(domains, (unsigned int)index, event, number, begins);
	return *run ? index : -ENOMEM;
}

void domains_name_thread(struct domains *domains, uint32_t cpu, uint32_t pid)
{
	uint64_t from = thread_key(&(struct trace_event){.cpu = cpu});
	uint64_t to = thread_key(&(struct trace_event){.cpu = cpu, .pid = pid});
	const struct thread_memory *thread = &domains->threads[hash(from, THREADS)];

	if (thread->thread == from)
		domains->threads[hash(to, THREADS)] = (struct thread_memory){to, thread->domain};
	for (unsigned int i = 0; i < domains->nr; i++) {
		struct map_memory *maps = domains->domain[i]->maps;

		if (maps[hash(from, THREADS)].thread == from)
			maps[hash(to, THREADS)] =
				(struct map_memory){to, maps[hash(from, THREADS)].last};
	}
}

int domains_map_in(struct domains *domains, unsigned int index, const struct trace_event *event,
		   uint64_t number, struct run **run)
{
	if (!is_free(domains->domain[index], event->iova, last_of(event)))
		return -EBUSY;
	*run = add_run(domains, index, event, number, true);
	return *run ? 0 : -ENOMEM;
}

/* How well the runs of a domain match an unmap. */
enum fit {
	FIT_NONE,
	FIT_WITHIN, /* all of it is mapped, but runs extend beyond its ends */
	FIT_TILED,  /* runs of several buffers tile it exactly */
	FIT_PART,   /* runs of one buffer do; two buffers may have looked like one */
	FIT_BUFFER, /* and they are all of it */
};

/* The run at @place ends a buffer, unless the next run continues it. */
static bool ends_buffer(const struct runs *runs, const struct run *run, struct run_place *place)
{
	const struct run *next = runs_next(runs, place);

	return !next || next->start - 1 != run->last || next->begins;
}

static enum fit find_fit(const struct runs *runs, uint64_t start, uint64_t last, uint64_t *mapped)
{
	struct run_place place;
	const struct run *run = runs_find(runs, start, &place), *next;
	bool exact = run && run->start == start, begins = run && run->begins, one = true;

	if (!run)
		return FIT_NONE;
	while (run->last < last) {
		next = runs_next(runs, &place);
		if (!next || next->start - 1 != run->last)
			return FIT_NONE;
		run = next;
		one &= !run->begins;
	}
	*mapped = run->event;
	if (!exact || run->last != last)
		return FIT_WITHIN;
	if (!one)
		return FIT_TILED;
	return begins && ends_buffer(runs, run, &place) ? FIT_BUFFER : FIT_PART;
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

int domains_match_in(struct domains *domains, unsigned int index, const struct trace_event *event,
		     struct domain_match *match)
{
	uint64_t mapped;
	enum fit fit = FIT_NONE;

	if (event->size)
		fit = find_fit(&domains->domain[index]->runs, event->iova, last_of(event), &mapped);
	*match = (struct domain_match){.domain = index, .cuts = fit == FIT_WITHIN};
	return fit == FIT_NONE ? -ENOENT : 0;
}

void domains_unmap(struct domains *domains, const struct domain_match *match,
		   const struct trace_event *event, uint64_t number)
{
	struct domain *domain = domains->domain[match->domain];

	domain->unmaps[hash(event->iova >> 12, UNMAPS)] =
		(struct unmap_memory){event->iova, number};
	runs_erase(&domain->runs, event->iova, last_of(event));
}
