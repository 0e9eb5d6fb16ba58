/* SPDX-License-Identifier: MIT */
/*
 * For each event: find the domain (domains.c), make the same call there (engine.c), and
 * update the report. What is inferred does not depend on what the engine can do: a map
 * that fails here did succeed in the traced kernel.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace/replay_one.h"

#define PROGRESS_EVENTS 32768

static const struct {
	const char *key;
	const char *text;
} failures[REPLAY_FAILURES] = {
	[FAILED_BUDGET] = {"budget", "the memory budget is exhausted"},
	[FAILED_MEMORY] = {"memory", "no memory for tables"},
	[FAILED_IOVA] = {"iova", "the iova is beyond what the format translates"},
	[FAILED_PADDR] = {"paddr", "the paddr is wider than the format holds"},
	[FAILED_PAGE] = {"page", "it is not in whole pages of the format"},
	[FAILED_DOMAINS] = {"domains", "it overlaps in more domains than can be told apart"},
	[FAILED_MAPPED] = {"mapped", "its pages are mapped for the device already"},
	[FAILED_OTHER] = {"other", "the tables do not agree with the trace"},
};

const char *replay_failure_text(enum replay_failure failure)
{
	return failures[failure].text;
}

const char *replay_failure_key(enum replay_failure failure)
{
	return failures[failure].key;
}

/* The first messages of a kind are printed, the others only counted. */
void replay_say(struct replay *replay, unsigned int *said, const char *format, ...)
{
	const struct replay_options *options = replay->options;
	char text[SAID_SIZE];
	int length = 0;
	va_list args;

	if (!options->say || *said > SAID_OF_A_KIND)
		return;
	if (said == &replay->said_failed && options->nr_formats > 1)
		length = snprintf(text, sizeof(text), "%s: ", replay->report->format->name);
	va_start(args, format);
	vsnprintf(text + length, sizeof(text) - (size_t)length, format, args);
	va_end(args);
	if ((*said)++ == SAID_OF_A_KIND)
		snprintf(text + length, sizeof(text) - (size_t)length,
			 "and more like this, which are only counted");
	if (replay->at.event) {
		options->say(options->context, replay->at.line, text);
		return;
	}
	replay->held[replay->nr_held].line = replay->at.line;
	memcpy(replay->held[replay->nr_held++].text, text, sizeof(text));
}

/* The input is a trace, since it has an event: report the bad lines before it. */
static void say_held(struct replay *replay)
{
	const struct replay_options *options = replay->options;

	for (unsigned int i = 0; i < replay->nr_held; i++)
		options->say(options->context, replay->held[i].line, replay->held[i].text);
	replay->nr_held = 0;
}

void replay_fail(struct replay *replay, const struct trace_event *event, const char *what,
		 enum replay_failure failure)
{
	struct replay_report *report = replay->report;

	if (!report->failed[failure]++)
		report->first_failed[failure] = replay->at;
	/* Where a budget is exceeded, and which formats fit, is told by the report. */
	if (failure == FAILED_BUDGET || (failure == FAILED_PAGE && replay->options->nr_formats > 1))
		return;
	replay_say(replay, &replay->said_failed, "%s of iova 0x%" PRIx64 ", size %" PRIu64 ": %s",
		   what, event->iova, event->size, failures[failure].text);
}

static enum replay_failure explain(struct replay *replay, const struct trace_event *event, int rc)
{
	uint64_t hits;

	if (!engine_has_pages(&replay->engine, event->iova, event->paddr, event->size))
		return FAILED_PAGE;
	if (rc == -ENOMEM) {
		hits = engine_budget_hits(&replay->engine);
		if (hits == replay->budget_hits)
			return FAILED_MEMORY;
		replay->budget_hits = hits;
		return FAILED_BUDGET;
	}
	if (rc != -ERANGE)
		return FAILED_OTHER;
	return engine_in_aperture(&replay->engine, event->iova, event->iova + event->size - 1)
		       ? FAILED_PADDR
		       : FAILED_IOVA;
}

/* Note the tables that a successful mapping needs. Returns 0 or -ENOMEM. */
static int note_needed(struct replay *replay, unsigned int index, const struct trace_event *event)
{
	if (needed_set_levels(&replay->needed, index, replay->engine.domain[index].levels))
		return -ENOMEM;
	return needed_add(&replay->needed, index, event->iova, event->paddr, event->size);
}

/*
 * A run was in another domain all along: move its mapping. The engine may lack the
 * budget for that; then the run counts as refused from here on.
 */
static void move_run(void *context, unsigned int from, unsigned int to, struct run *run)
{
	struct replay *replay = context;
	struct trace_event event = {
		.iova = run->start,
		.size = run->last + 1 - run->start,
		.paddr = run->paddr,
	};
	int rc;

	replay->report->moved++;
	if (run->refused)
		return;
	if (engine_has_pages(&replay->engine, event.iova, 0, event.size))
		engine_unmap(&replay->engine, from, event.iova, event.size);
	rc = engine_map(&replay->engine, to, &event);
	if (!rc)
		rc = note_needed(replay, to, &event);
	if (!rc)
		return;
	run->refused = true;
	replay_fail(replay, &event, "map", explain(replay, &event, rc));
}

int replay_map_run(struct replay *replay, unsigned int index, const struct trace_event *event,
		   struct run *run)
{
	int rc = engine_map(&replay->engine, index, event);

	if (!rc)
		return note_needed(replay, index, event);
	run->refused = true;
	replay_fail(replay, event, "map", explain(replay, event, rc));
	return 0;
}

static int replay_map(struct replay *replay, const struct trace_event *event)
{
	struct replay_report *report = replay->report;
	bool ambiguous;
	struct run *run;
	int index;

	report->maps++;
	index = domains_map(replay->domains, event, replay->at.event, &ambiguous, &run);
	if (index == -ENOSPC) {
		replay_fail(replay, event, "map", FAILED_DOMAINS);
		return 0;
	}
	if (index < 0)
		return index;
	report->ambiguous_maps += ambiguous;
	return replay_map_run(replay, (unsigned int)index, event, run);
}

/* Split the runs that an unmap takes a part of, at the ends of the unmap. */
static int cut_runs(struct replay *replay, unsigned int index, const struct trace_event *event)
{
	struct runs *runs = domains_runs(replay->domains, index);
	int rc;

	if (runs_split(runs, event->iova) || runs_split(runs, event->iova + event->size))
		return -ENOMEM;
	replay->report->cuts++;
	if (!replay->engine.domain[index].domain ||
	    !engine_has_pages(&replay->engine, event->iova, 0, event->size))
		return 0;
	rc = engine_split(&replay->engine, index, event->iova, event->size);
	if (rc)
		replay_fail(replay, event, "unmap", explain(replay, event, rc));
	return 0;
}

static void unmap_range(struct replay *replay, unsigned int index, const struct trace_event *event,
			uint64_t iova, uint64_t size)
{
	if (!size)
		return;
	if (!engine_has_pages(&replay->engine, iova, 0, size))
		replay_fail(replay, event, "unmap", FAILED_PAGE);
	else if (engine_unmap(&replay->engine, index, iova, size) != size)
		replay_fail(replay, event, "unmap", FAILED_OTHER);
}

/* Unmap the runs of the event's range, by one call if none of them was refused. */
static void unmap_runs(struct replay *replay, unsigned int index, const struct trace_event *event)
{
	struct runs *runs = domains_runs(replay->domains, index);
	uint64_t from = event->iova, last = from + (event->size - 1);
	struct run_place place;
	struct run *run;

	for (run = runs_find(runs, from, &place); run && run->start <= last;
	     run = runs_next(runs, &place)) {
		if (!run->refused)
			continue;
		unmap_range(replay, index, event, from, run->start - from);
		from = run->last + 1;
	}
	unmap_range(replay, index, event, from, last + 1 - from);
}

int replay_unmap_match(struct replay *replay, const struct domain_match *match,
		       const struct trace_event *event)
{
	if (match->cuts && cut_runs(replay, match->domain, event))
		return -ENOMEM;
	unmap_runs(replay, match->domain, event);
	domains_unmap(replay->domains, match, event, replay->at.event);
	return 0;
}

static int replay_unmap(struct replay *replay, const struct trace_event *event)
{
	struct replay_report *report = replay->report;
	struct domain_match match;

	report->unmaps++;
	if (domains_match(replay->domains, event, &match)) {
		report->unmatched++;
		return 0;
	}
	report->ambiguous_unmaps += match.ambiguous;
	return replay_unmap_match(replay, &match, event);
}

static uint64_t stranded_bytes(const struct replay *replay)
{
	uint64_t needed = needed_bytes(&replay->needed), held = replay->engine.count.bytes;

	return needed > held ? needed - held : 0;
}

static void note_peaks(struct replay *replay, uint64_t stranded)
{
	struct replay_report *report = replay->report;
	const struct engine *engine = &replay->engine;

	if (engine->mapped_bytes > report->mapped_peak) {
		report->mapped_peak = engine->mapped_bytes;
		report->mapped_peak_at = replay->at;
	}
	if (engine->count.bytes > report->tables_peak.bytes) {
		report->tables_peak = engine->count;
		report->tables_peak_at = replay->at;
	}
	if (stranded > report->stranded_peak) {
		report->stranded_peak = stranded;
		report->stranded_peak_at = replay->at;
	}
}

static void note_time(struct replay *replay, const struct trace_event *event)
{
	struct replay_report *report = replay->report;
	bool first = replay->at.event == 1;

	if (first)
		report->clock = (enum replay_clock)event->clock;
	else if (report->clock != (enum replay_clock)event->clock)
		report->clock = REPLAY_CLOCK_MIXED;
	if (first || event->time < report->time_first)
		report->time_first = event->time;
	if (first || event->time > report->time_last)
		report->time_last = event->time;
}

static void note_row(struct replay *replay, const struct trace_event *event, uint64_t stranded)
{
	const struct replay_options *options = replay->options;
	struct timeline_row row = {
		.event = replay->at.event,
		.time = event->time,
		.clock = event->clock,
		.mapped_bytes = replay->engine.mapped_bytes,
		.table_bytes = replay->engine.count.bytes,
		.stranded_bytes = stranded,
	};

	if (options->timeline)
		timeline_add(options->timeline, &row);
	if (options->row)
		options->row(options->context, &row);
}

static int replay_event(struct replay *replay, enum trace_kind kind,
			const struct trace_event *event)
{
	uint64_t stranded;
	int rc;

	replay->at.event++;
	replay->at.time = event->time;
	note_time(replay, event);
	say_held(replay);
	if (replay->at.event == 1)
		replay->report->named = event->device_length;
	replay->report->named &= event->device_length != 0;
	if (event->device_length)
		rc = replay_named(replay, kind, event);
	else if (kind == TRACE_MAP)
		rc = replay_map(replay, event);
	else
		rc = replay_unmap(replay, event);
	stranded = stranded_bytes(replay);
	note_peaks(replay, stranded);
	note_row(replay, event, stranded);
	return rc;
}

static void replay_destroy(struct replay *replay)
{
	if (!replay->domains)
		return;
	replay->report->left_charged += engine_destroy(&replay->engine);
	domains_free(replay->domains);
	needed_destroy(&replay->needed);
	devices_free(replay->devices);
}

static int replay_init(struct replay *replay)
{
	const struct replay_options *options = replay->options;
	struct replay_report *report = replay->report;
	int rc;

	replay->domains = domains_new(move_run, replay);
	if (!replay->domains)
		return -ENOMEM;
	rc = engine_init(&replay->engine, report->format->name, options->address_width,
			 options->memory_max);
	if (rc)
		return rc;
	needed_init(&replay->needed, &replay->engine.size, replay->engine.pgsizes);
	report->address_width = replay->engine.params.address_width;
	replay->devices = devices_new();
	return replay->devices ? 0 : -ENOMEM;
}

/*
 * The first iommu event of a trace that has dma events too. The iommu events tell what
 * was really mapped for the dma events, so what was replayed of the dma events is
 * dropped.
 */
static int restart(struct replay *replay)
{
	const struct replay_options *options = replay->options;
	struct replay_report *report = replay->report, old = *report;

	replay_destroy(replay);
	*report = (struct replay_report){
		.format = old.format,
		.lines = old.lines,
		.other = old.other + old.maps + old.unmaps,
		.passed_over = old.maps + old.unmaps,
		.bad = old.bad,
		.first_bad = old.first_bad,
		.lost_events = old.lost_events,
		.lost = old.lost,
		.left_charged = report->left_charged,
	};
	memcpy(report->first_bad_why, old.first_bad_why, sizeof(old.first_bad_why));
	replay->at.event = replay->budget_hits = 0;
	if (options->timeline)
		timeline_reset(options->timeline);
	if (options->restart)
		options->restart(options->context);
	return replay_init(replay);
}

/* Is an event to be replayed? Returns 1, 0 or a negative errno. */
static int choose_event(struct replay *replay, enum trace_kind kind)
{
	struct replay_report *report = replay->report;
	bool dma = kind == TRACE_DMA_MAP || kind == TRACE_DMA_UNMAP;
	int rc = 0;

	if (dma && report->source == REPLAY_IOMMU) {
		report->other++;
		report->passed_over++;
		return 0;
	}
	if (!dma && report->source == REPLAY_DMA)
		rc = restart(replay);
	report->source = dma ? REPLAY_DMA : REPLAY_IOMMU;
	return rc ? rc : 1;
}

static void note_bad(struct replay *replay, const char *why)
{
	struct replay_report *report = replay->report;

	if (!report->bad++) {
		report->first_bad = replay->at.line;
		snprintf(report->first_bad_why, sizeof(report->first_bad_why), "%s", why);
	}
	replay_say(replay, &replay->said_bad, "%s", why);
}

/* function_graph tells the task of a CPU when it changes, and not with each event. */
static void note_task(struct replay *replay, enum trace_kind kind, struct trace_event *event)
{
	uint32_t *running = &replay->running[event->cpu % SWITCH_CPUS];

	if (kind == TRACE_SWITCH) {
		if (!*running)
			domains_name_thread(replay->domains, event->cpu, event->was_pid);
		*running = event->pid;
	} else if (event->no_task) {
		event->pid = *running;
	}
}

static int replay_line(struct replay *replay, const struct trace_line *line)
{
	struct replay_report *report = replay->report;
	char why[TRACE_WHY_SIZE];
	struct trace_event event;
	enum trace_kind kind;
	int rc;

	report->lines++;
	replay->at.line = line->number;
	if (line->too_long) {
		snprintf(why, sizeof(why), "longer than %d bytes", TRACE_LINE_MAX);
		kind = line->text[0] == '#' ? TRACE_OTHER : TRACE_BAD;
	} else {
		kind = trace_parse_line(line->text, line->length, &event, why);
	}
	switch (kind) {
	case TRACE_MAP:
	case TRACE_UNMAP:
	case TRACE_DMA_MAP:
	case TRACE_DMA_UNMAP:
		note_task(replay, kind, &event);
		rc = choose_event(replay, kind);
		return rc > 0 ? replay_event(replay, kind, &event) : rc;
	case TRACE_LOST:
		report->lost = true;
		report->lost_events += event.dropped;
		return 0;
	case TRACE_SWITCH:
		note_task(replay, kind, &event);
		report->other++;
		return 0;
	case TRACE_OTHER:
		report->other++;
		return 0;
	case TRACE_BAD:
		note_bad(replay, why);
		return 0;
	}
	return 0;
}

/* Feed a line to every replay. All infer the same, as they see the same events. */
static int replay_everywhere(struct replay *replays, const struct trace_line *line)
{
	for (size_t i = 0; i < replays->options->nr_formats; i++) {
		int rc = replay_line(&replays[i], line);

		if (rc)
			return rc;
	}
	return 0;
}

static int replay_lines(struct replay *replays, struct trace_reader *reader)
{
	const struct replay_options *options = replays->options;
	uint64_t shown = 0;
	struct trace_line line;
	int rc;

	while ((rc = trace_reader_next(reader, &line)) > 0) {
		rc = replay_everywhere(replays, &line);
		if (rc)
			return rc;
		if (options->progress &&
		    (line.number - shown) * options->nr_formats >= PROGRESS_EVENTS) {
			shown = line.number;
			options->progress(options->context, trace_reader_progress(reader),
					  replays->at.event);
		}
	}
	if (rc < 0)
		snprintf(replays->report->input_error, sizeof(replays->report->input_error), "%s",
			 trace_reader_error(reader));
	return 0;
}

/* Set what the report has of the end, before the domains are freed. */
static void finish_report(struct replay *replay)
{
	struct replay_report *report = replay->report;
	struct engine *engine = &replay->engine;

	replay_finish_devices(replay);
	report->domains = domains_count(replay->domains);
	report->mapped_bytes = engine->mapped_bytes;
	report->tables = engine->count;
	memcpy(report->never_freed.tables, replay->needed.tables,
	       sizeof(report->never_freed.tables));
	report->never_freed.bytes = needed_bytes(&replay->needed);
	report->stranded = stranded_bytes(replay);
	report->charged = engine_memcg_read(engine, "memory.current", NULL);
	report->charged_peak = engine_memcg_read(engine, "memory.peak", NULL);
	report->charged_tables = engine_memcg_read(engine, "memory.stat", "sec_pagetables");
}

int replay_run(struct trace_reader *reader, const struct replay_options *options,
	       struct replay_report reports[])
{
	struct replay *replays = calloc(options->nr_formats, sizeof(*replays));
	int rc = 0;

	if (!replays)
		return -ENOMEM;
	for (size_t i = 0; i < options->nr_formats && !rc; i++) {
		replays[i].options = options;
		replays[i].report = &reports[i];
		reports[i] = (struct replay_report){.format = options->formats[i]};
		rc = replay_init(&replays[i]);
		/* Print what is wrong with a line only once. */
		replays[i].said_bad = i ? SAID_OF_A_KIND + 1 : 0;
	}
	if (!rc)
		rc = replay_lines(replays, reader);
	for (size_t i = 0; i < options->nr_formats; i++) {
		if (!rc)
			finish_report(&replays[i]);
		replay_destroy(&replays[i]);
	}
	free(replays);
	return rc;
}
