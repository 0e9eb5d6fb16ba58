/* SPDX-License-Identifier: MIT */
/*
 * Which domain an event belongs to. The events do not tell, so it is inferred from what
 * they can and cannot mean.
 */
#ifndef TRACE_DOMAINS_H
#define TRACE_DOMAINS_H

#include "trace/line.h"
#include "trace/runs.h"

/* More than a machine has. A trace that needs more is not a trace of mappings. */
#define TRACE_DOMAINS_MAX 256

struct domains;

/* What an unmap event removes. */
struct domain_match {
	unsigned int domain;
	bool ambiguous; /* another domain's runs fit it as well */
	bool cuts;      /* it takes a part of some run only */
};

/*
 * Called when a run turns out to be in another domain than it was added to: after it
 * was added to @to and before it is dropped from @from.
 */
typedef void domains_moved_fn(void *context, unsigned int from, unsigned int to, struct run *run);

struct domains *domains_new(domains_moved_fn *moved, void *context);
void domains_free(struct domains *domains);
unsigned int domains_count(const struct domains *domains);

/* What is mapped in a domain. */
struct runs *domains_runs(struct domains *domains, unsigned int domain);

/*
 * Add the run of map event number @number to the domain that it is most likely in.
 * @ambiguous is set if another domain was as likely. Returns the domain, with the run
 * at @run until the next call; -ENOSPC when it overlaps in each of TRACE_DOMAINS_MAX
 * domains; -ENOMEM.
 */
int domains_map(struct domains *domains, const struct trace_event *event, uint64_t number,
		bool *ambiguous, struct run **run);

/* Events of a CPU whose thread was not known were of thread @pid. */
void domains_name_thread(struct domains *domains, uint32_t cpu, uint32_t pid);

/* Open one more domain, for events that name it. Returns it, or -ENOSPC or -ENOMEM. */
int domains_open(struct domains *domains);
/*
 * Add the run of a map to this domain. Returns 0; -EBUSY when a part of it is mapped;
 * -ENOMEM.
 */
int domains_map_in(struct domains *domains, unsigned int index, const struct trace_event *event,
		   uint64_t number, struct run **run);
/* As domains_match(), in this domain only. */
int domains_match_in(struct domains *domains, unsigned int index, const struct trace_event *event,
		     struct domain_match *match);

/* Find what an unmap event removes. Returns 0, or -ENOENT when no domain has it mapped. */
int domains_match(struct domains *domains, const struct trace_event *event,
		  struct domain_match *match);

/* Drop the runs of a match; runs_split() comes before if the match cuts a run. */
void domains_unmap(struct domains *domains, const struct domain_match *match,
		   const struct trace_event *event, uint64_t number);

#endif
