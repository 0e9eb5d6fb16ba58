/* SPDX-License-Identifier: MIT */
/*
 * Which domain an event belongs to. The events do not say, so it is inferred
 * from what they can and cannot mean.
 */
#ifndef TRACE_DOMAINS_H
#define TRACE_DOMAINS_H

#include "trace/line.h"
#include "trace/runs.h"

/* More than a machine has; a trace that needs more is not one of mappings. */
#define TRACE_DOMAINS_MAX 256

struct domains;

/* What an unmap event was found to take away. */
struct domain_match {
	unsigned int domain;
	bool ambiguous; /* another domain's runs fit it as well */
	bool cuts;      /* it takes a part of some run only */
};

/*
 * A run turned out to be in another domain than it was given to: called after it
 * was added to @to and before it is dropped from @from.
 */
typedef void domains_moved_fn(void *context, unsigned int from, unsigned int to, struct run *run);

struct domains *domains_new(domains_moved_fn *moved, void *context);
void domains_free(struct domains *domains);
unsigned int domains_count(const struct domains *domains);

/* What is mapped in a domain. */
struct runs *domains_runs(struct domains *domains, unsigned int domain);

/*
 * Add the run of map event number @number to the domain that it is most likely
 * to be in. @ambiguous says that another domain was as likely. Returns the
 * domain with the run at @run until the next call; -ENOSPC when it overlaps in
 * each of TRACE_DOMAINS_MAX domains; -ENOMEM.
 */
int domains_map(struct domains *domains, const struct trace_event *event, uint64_t number,
		bool *ambiguous, struct run **run);

/* Events of a CPU that did not name their thread were of @pid. */
void domains_name_thread(struct domains *domains, uint32_t cpu, uint32_t pid);

/* Where the event says whose it is: one more domain, or -ENOSPC or -ENOMEM. */
int domains_open(struct domains *domains);
/* The run of a map in this domain: 0; -EBUSY when some of it is mapped; -ENOMEM. */
int domains_map_in(struct domains *domains, unsigned int index, const struct trace_event *event,
		   uint64_t number, struct run **run);
/* As domains_match(), in this domain. */
int domains_match_in(struct domains *domains, unsigned int index, const struct trace_event *event,
		     struct domain_match *match);

/* Find what an unmap event takes away: 0; -ENOENT when no domain has it. */
int domains_match(struct domains *domains, const struct trace_event *event,
		  struct domain_match *match);

/* Drop the runs of a match, after runs_split() where it cuts. */
void domains_unmap(struct domains *domains, const struct domain_match *match,
		   const struct trace_event *event, uint64_t number);

#endif
