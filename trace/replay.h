/* SPDX-License-Identifier: MIT */
/*
 * Replays a trace of iommu:map and iommu:unmap events, or of the dma events, with the
 * library, and makes a report.
 */
#ifndef TRACE_REPLAY_H
#define TRACE_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include <uiommu/format.h>

#include "trace/engine.h"
#include "trace/line.h"
#include "trace/reader.h"
#include "trace/timeline.h"

/* Why an event could not be replayed. */
enum replay_failure {
	FAILED_BUDGET,  /* memory.max refused a table */
	FAILED_MEMORY,  /* the library has no more memory */
	FAILED_IOVA,    /* the iova is beyond what the format translates */
	FAILED_PADDR,   /* the paddr is wider than the format holds */
	FAILED_PAGE,    /* it is not in whole pages of the format */
	FAILED_DOMAINS, /* it overlaps in each of TRACE_DOMAINS_MAX domains */
	FAILED_MAPPED,  /* the device has its pages mapped already */
	FAILED_OTHER,   /* the result of the library differs from that in the trace */
	REPLAY_FAILURES,
};

/* One event of the trace, for messages and reports. */
struct replay_place {
	uint64_t event; /* from 1; 0 for none */
	uint64_t line;
	uint64_t time;
};

/* The unit of the time stamps of a trace. */
enum replay_clock {
	REPLAY_CLOCK_NONE = TRACE_CLOCK_NONE,
	REPLAY_CLOCK_NS = TRACE_CLOCK_NS,
	REPLAY_CLOCK_TICKS = TRACE_CLOCK_TICKS, /* in a unit that is not known */
	REPLAY_CLOCK_MIXED,                     /* of several traces, which cannot be compared */
};

struct replay_options {
	const struct iommu_format *const *formats;
	size_t nr_formats;
	unsigned int address_width;
	uint64_t memory_max;       /* bytes; UINT64_MAX for no budget */
	struct timeline *timeline; /* of one format, or NULL */

	/* Each may be NULL; all get @context. Rows are those of one format. */
	void *context;
	void (*say)(void *context, uint64_t line, const char *text);
	void (*row)(void *context, const struct timeline_row *row);
	/* The rows until here do not count: the replay begins again. */
	void (*restart)(void *context);
	void (*progress)(void *context, double done, uint64_t events);
};

/* Which events are replayed. Those of the IOMMU, if a trace has both kinds. */
enum replay_source {
	REPLAY_NOTHING,
	REPLAY_IOMMU,
	REPLAY_DMA,
};

/* A device, or another name that the events give to a domain. */
struct replay_device {
	char name[32]; /* truncated */
	uint64_t maps;
	uint64_t unmaps;
	uint64_t direct; /* events of memory that it was given by its physical address */
	uint64_t mapped_bytes;
	uint64_t table_bytes;
	uint64_t table_peak;
};

struct replay_report {
	const struct iommu_format *format;
	unsigned int address_width;

	uint64_t lines;
	uint64_t maps;
	uint64_t unmaps;
	uint64_t other;
	uint64_t bad;
	uint64_t lost_events; /* that the tracer dropped, as far as it reports that */
	bool lost;

	enum replay_source source;
	uint64_t passed_over; /* dma events in a trace with iommu events; in @other too */
	uint64_t truncated;   /* lists that the kernel has truncated */
	uint64_t direct;      /* dma events without an IOMMU */
	struct replay_device device[TRACE_DOMAINS_MAX]; /* if @named, @domains of them */

	/* The first line that is bad, and why. */
	uint64_t first_bad;
	char first_bad_why[TRACE_WHY_SIZE];

	unsigned int domains;
	bool named; /* the events name the domain: each has a @device */
	uint64_t ambiguous_maps;
	uint64_t ambiguous_unmaps;
	uint64_t moved;     /* maps that were first added to another domain */
	uint64_t unmatched; /* unmaps of what is mapped in no domain */
	uint64_t cuts;      /* unmaps of a part of what was mapped */

	uint64_t failed[REPLAY_FAILURES];
	struct replay_place first_failed[REPLAY_FAILURES];

	uint64_t mapped_bytes;
	uint64_t mapped_peak;
	struct replay_place mapped_peak_at;
	struct table_count tables;
	struct table_count tables_peak;
	struct replay_place tables_peak_at;

	/* What a kernel holds that frees no table before its domain. */
	struct table_count never_freed;
	uint64_t stranded; /* of that, tables that nothing is mapped under */
	uint64_t stranded_peak;
	struct replay_place stranded_peak_at;

	/* The memory cgroup: tables and the domains themselves. */
	uint64_t charged;
	uint64_t charged_peak;
	uint64_t charged_tables;
	uint64_t left_charged; /* when every domain is freed; must be 0 */

	/* In units of @clock; not set for REPLAY_CLOCK_NONE and _MIXED. */
	enum replay_clock clock;
	uint64_t time_first;
	uint64_t time_last;

	char input_error[256]; /* why the input ended early, or "" */
};

/*
 * Replay all of a trace on each of the formats, with a report for each. Problems are
 * printed, a few of each kind, and counted. Returns 0; -EINVAL when a format has no
 * such address width; -ENOMEM when the replay itself is out of memory.
 */
int replay_run(struct trace_reader *reader, const struct replay_options *options,
	       struct replay_report reports[]);

/* A failure as text for people ("the budget is exhausted"), and as a word for programs. */
const char *replay_failure_text(enum replay_failure failure);
const char *replay_failure_key(enum replay_failure failure);

#endif
