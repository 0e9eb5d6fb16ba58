/* SPDX-License-Identifier: MIT */
/* A replay in progress, and the functions that replay.c and replay_dma.c share. */
#ifndef TRACE_REPLAY_ONE_H
#define TRACE_REPLAY_ONE_H

#include "trace/devices.h"
#include "trace/domains.h"
#include "trace/line.h"
#include "trace/needed.h"
#include "trace/replay.h"

#define SAID_OF_A_KIND 10
#define SAID_SIZE      (TRACE_WHY_SIZE + 96)

/* By CPU; CPUs with higher numbers share an entry. */
#define SWITCH_CPUS 1024

/* The errors of lines before the first event, when it is not known if the input is a trace. */
struct held {
	uint64_t line;
	char text[SAID_SIZE];
};

struct replay {
	const struct replay_options *options;
	struct replay_report *report;
	struct domains *domains;
	struct devices *devices; /* by their names in the events */
	struct engine engine;
	struct needed needed;
	uint64_t budget_hits;
	struct replay_place at;
	struct held held[SAID_OF_A_KIND + 1];
	unsigned int nr_held;
	uint32_t running[SWITCH_CPUS]; /* the tasks that function_graph names */
	unsigned int said_bad;
	unsigned int said_failed;
};

/* ---- replay.c ---- */

/* Print the first messages of a kind; @said counts them. */
void replay_say(struct replay *replay, unsigned int *said, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void replay_fail(struct replay *replay, const struct trace_event *event, const char *what,
		 enum replay_failure failure);

/* Map the tables for a run that is in the domain. Returns 0 or -ENOMEM. */
int replay_map_run(struct replay *replay, unsigned int index, const struct trace_event *event,
		   struct run *run);
int replay_unmap_match(struct replay *replay, const struct domain_match *match,
		       const struct trace_event *event);

/* ---- replay_dma.c ---- */

/* Replay an event that names its domain. */
int replay_named(struct replay *replay, enum trace_kind kind, const struct trace_event *event);
/* What the devices hold at the end. */
void replay_finish_devices(struct replay *replay);

#endif
