/* SPDX-License-Identifier: MIT */
/* The report of a replay for people. */
#include <inttypes.h>

#include "cmd/cmd.h"
#include "cmd/replay.h"

#define SECOND 1000000000

static double seconds(uint64_t time)
{
	return (double)time / SECOND;
}

/*
 * "event 1,234 (line 1,246, at 8.880 s)", with the integer of a clock whose unit is
 * not known or without a time; or "never" for a peak that is 0
 */
static const char *format_place(const struct replay_report *report, const struct replay_place *at,
				char *text, size_t size)
{
	char event[COUNT_TEXT], line[COUNT_TEXT], time[64] = "";

	if (!at->event)
		return "never";
	if (report->clock == REPLAY_CLOCK_NS)
		snprintf(time, sizeof(time), ", at %.6f s", seconds(at->time));
	else if (report->clock == REPLAY_CLOCK_TICKS)
		snprintf(time, sizeof(time), ", at %" PRIu64, at->time);
	snprintf(text, size, "event %s (line %s%s)", format_count(at->event, event),
		 format_count(at->line, line), time);
	return text;
}

static void print_count(const char *what, uint64_t count, const char *note)
{
	char text[COUNT_TEXT];

	printf("  %-16s %14s%s%s\n", what, format_count(count, text), *note ? "   " : "", note);
}

static void print_events(const struct replay_report *report)
{
	puts("Events");
	print_count("map", report->maps, "");
	print_count("unmap", report->unmaps, "");
	print_count("other lines", report->other, "comments, headings, other events");
	if (report->passed_over)
		print_count("  dma events", report->passed_over,
			    "not replayed: the iommu events are what was really done");
	print_count("bad lines", report->bad, report->bad ? "passed over" : "");
	if (report->lost)
		print_count("lost", report->lost_events,
			    "dropped by the tracer: what follows may be wrong");
}

/* What is known of the devices, and their costs if there is one format. */
static void print_devices(const struct replay_args *args, const struct replay_report *report)
{
	char maps[COUNT_TEXT], unmaps[COUNT_TEXT], mapped[BYTES_TEXT], now[BYTES_TEXT];
	char peak[BYTES_TEXT];

	printf("\n%-26s %12s %12s", "Domains, one per device", "maps", "unmaps");
	printf(args->nr_formats > 1 ? "\n" : " %12s %14s %12s\n", "mapped", "tables: peak",
	       "at the end");
	for (unsigned int i = 0; i < report->domains; i++) {
		const struct replay_device *device = &report->device[i];

		printf("  %-24s %12s %12s", device->name, format_count(device->maps, maps),
		       format_count(device->unmaps, unmaps));
		if (args->nr_formats == 1)
			printf(" %12s %14s %12s", format_bytes(device->mapped_bytes, mapped),
			       format_bytes(device->table_peak, peak),
			       format_bytes(device->table_bytes, now));
		if (device->direct)
			printf("   %s direct", format_count(device->direct, maps));
		putchar('\n');
	}
	if (report->direct)
		print_count("direct", report->direct,
			    "of memory that was given by its physical address: no IOMMU");
	if (report->truncated)
		print_count("truncated", report->truncated,
			    "lists that the kernel printed the beginning of: too little is mapped");
	print_count("unmatched", report->unmatched, "unmaps of what the trace did not map");
	if (report->cuts)
		print_count("cut", report->cuts, "unmaps of a part of what was mapped");
}

static void print_domains(const struct replay_report *report)
{
	char note[128], map[COUNT_TEXT], unmap[COUNT_TEXT];

	puts("\nDomains, inferred");
	print_count("domains", report->domains, "");
	snprintf(note, sizeof(note), "events that fit more than one: %s map, %s unmap",
		 format_count(report->ambiguous_maps, map),
		 format_count(report->ambiguous_unmaps, unmap));
	print_count("ambiguous", report->ambiguous_maps + report->ambiguous_unmaps, note);
	if (report->moved)
		print_count("moved", report->moved, "maps that were first given to another domain");
	print_count("unmatched", report->unmatched, "unmaps of what the trace did not map");
	if (report->cuts)
		print_count("cut", report->cuts, "unmaps of a part of what was mapped");
}

static void print_bytes(const struct replay_report *report, const char *what, uint64_t now,
			uint64_t peak, const struct replay_place *at)
{
	char now_text[BYTES_TEXT], peak_text[BYTES_TEXT], place[128];

	printf("  %-16s %14s %14s   %s\n", what, format_bytes(now, now_text),
	       format_bytes(peak, peak_text),
	       at ? format_place(report, at, place, sizeof(place)) : "");
}

static void print_mapped(const struct replay_report *report)
{
	printf("\n%-18s %14s %14s   %s\n", "Memory", "at the end", "peak", "reached at");
	print_bytes(report, "mapped", report->mapped_bytes, report->mapped_peak,
		    &report->mapped_peak_at);
}

static void print_memory(const struct replay_report *report)
{
	print_mapped(report);
	print_bytes(report, "tables", report->tables.bytes, report->tables_peak.bytes,
		    &report->tables_peak_at);
	print_bytes(report, "stranded", report->stranded, report->stranded_peak,
		    &report->stranded_peak_at);
	print_bytes(report, "charged", report->charged, report->charged_peak, NULL);
	puts("  stranded: empty tables that a kernel which never frees them would hold besides;\n"
	     "  charged: tables and the domains themselves, by the memory cgroup's own account");
}

static void print_levels(const struct replay_report *report)
{
	char now[COUNT_TEXT], peak[COUNT_TEXT], never[COUNT_TEXT];

	printf("\n%-18s %14s %14s %14s\n", "Tables", "at the end", "at the peak", "never freed");
	for (unsigned int level = IOMMU_MAX_LEVELS; level-- > 0;)
		if (report->never_freed.tables[level])
			printf("  level %-10u %14s %14s %14s\n", level,
			       format_count(report->tables.tables[level], now),
			       format_count(report->tables_peak.tables[level], peak),
			       format_count(report->never_freed.tables[level], never));
	printf("  %-16s %14s %14s %14s\n", "bytes", format_bytes(report->tables.bytes, now),
	       format_bytes(report->tables_peak.bytes, peak),
	       format_bytes(report->never_freed.bytes, never));
}

static void print_failure(const struct replay_report *report, enum replay_failure failure,
			  const char *format)
{
	char count[COUNT_TEXT], place[128];

	if (report->failed[failure])
		printf("  %s%s%s: %s event%s, the first is %s\n", format, *format ? ": " : "",
		       replay_failure_text(failure), format_count(report->failed[failure], count),
		       report->failed[failure] == 1 ? "" : "s",
		       format_place(report, &report->first_failed[failure], place, sizeof(place)));
}

/* The failures on each format, with the formats' names if there are several. */
static void print_failures(const struct replay_args *args, const struct replay_report reports[])
{
	char bytes[BYTES_TEXT];
	bool any = false, breaks = false;

	for (size_t i = 0; i < args->nr_formats; i++)
		for (int k = 0; k < REPLAY_FAILURES; k++)
			any |= reports[i].failed[k] != 0;
	for (size_t i = 0; i < args->nr_formats; i++)
		breaks |= reports[i].failed[FAILED_BUDGET] != 0;
	if (any || args->memory_max != UINT64_MAX)
		puts("\nFailures");
	if (args->memory_max != UINT64_MAX)
		printf("  The budget of %s %s.\n", format_bytes(args->memory_max, bytes),
		       breaks ? "breaks" : "is enough");
	for (size_t i = 0; i < args->nr_formats; i++)
		for (int k = 0; k < REPLAY_FAILURES; k++)
			print_failure(&reports[i], k,
				      args->nr_formats > 1 ? reports[i].format->name : "");
}

/* One format in the comparison: no figures if its pages are too large for the trace. */
static void print_costs(const struct replay_report *report)
{
	char page[BYTES_TEXT], now[BYTES_TEXT], peak[BYTES_TEXT], never[BYTES_TEXT];
	char stranded[BYTES_TEXT];

	printf("  %-14s %5u %5s", report->format->name, report->address_width,
	       exact_bytes(report->format->granule, page));
	if (report->failed[FAILED_PAGE])
		printf(" %13s %13s %13s %13s\n", "-", "-", "-", "-");
	else
		printf(" %13s %13s %13s %13s\n", format_bytes(report->tables.bytes, now),
		       format_bytes(report->tables_peak.bytes, peak),
		       format_bytes(report->never_freed.bytes, never),
		       format_bytes(report->stranded_peak, stranded));
}

static void print_comparison(const struct replay_args *args, const struct replay_report reports[])
{
	bool dash = false;

	printf("\n%-16s %5s %5s %13s %13s %13s %13s\n", "Tables", "bits", "page", "at the end",
	       "peak", "never freed", "stranded");
	for (size_t i = 0; i < args->nr_formats; i++)
		print_costs(&reports[i]);
	for (size_t i = 0; i < args->nr_formats && !dash; i++)
		dash = reports[i].failed[FAILED_PAGE];
	puts("  never freed: what a kernel holds at the end that frees no table;\n"
	     "  stranded: the most that was empty of it at any time");
	if (dash)
		puts("  -: the format has no pages as small as the trace's");
}

static void print_head(const struct replay_args *args, const struct replay_report *report)
{
	uint64_t span = report->time_last - report->time_first;
	char count[COUNT_TEXT];

	printf("%s: %s events", quoted(args->trace_name),
	       format_count(report->maps + report->unmaps, count));
	if (report->clock == REPLAY_CLOCK_NS)
		printf(" in %.6f s", seconds(span));
	else if (report->clock == REPLAY_CLOCK_TICKS)
		printf(" in %s ticks of a clock whose unit is not known",
		       format_count(span, count));
	printf(", on ");
	if (args->nr_formats > 1)
		printf("%zu formats\n\n", args->nr_formats);
	else
		printf("%s with %u bits\n\n", report->format->name, report->address_width);
}

void replay_print_text(const struct replay_args *args, const struct replay_report reports[])
{
	print_head(args, reports);
	print_events(reports);
	if (reports->named)
		print_devices(args, reports);
	else
		print_domains(reports);
	if (args->nr_formats > 1) {
		print_mapped(reports);
		print_comparison(args, reports);
	} else {
		print_memory(reports);
		print_levels(reports);
	}
	print_failures(args, reports);
}
