/* SPDX-License-Identifier: MIT */
/*
 * The report of a replay as JSON. Times are as "time_unit" says: seconds on the
 * tracer's clock, integers of a unit that is not known, or null.
 */
#include "cmd/json.h"
#include "cmd/replay.h"

static struct json_object *new_object(void)
{
	return made(json_object_new_object());
}

static void add_count(struct json_object *object, const char *key, uint64_t count)
{
	add(object, key, made(json_object_new_uint64(count)));
}

/* All nine decimals, which a double's shortest form may lack. */
static void add_time(struct json_object *object, const char *key,
		     const struct replay_report *report, uint64_t time)
{
	char text[40];

	if (report->clock == REPLAY_CLOCK_TICKS) {
		add_count(object, key, time);
		return;
	}
	if (report->clock != REPLAY_CLOCK_NS) {
		add(object, key, NULL);
		return;
	}
	snprintf(text, sizeof(text), "%llu.%09llu", (unsigned long long)(time / 1000000000),
		 (unsigned long long)(time % 1000000000));
	add(object, key, made(json_object_new_double_s((double)time / 1e9, text)));
}

static void add_unit(struct json_object *object, const struct replay_report *report)
{
	if (report->clock == REPLAY_CLOCK_NS)
		add_text(object, "time_unit", "s");
	else if (report->clock == REPLAY_CLOCK_TICKS)
		add_text(object, "time_unit", "unknown");
	else
		add(object, "time_unit", NULL);
}

static void add_place(struct json_object *object, const char *key,
		      const struct replay_report *report, const struct replay_place *at)
{
	struct json_object *place;

	if (!at->event) {
		add(object, key, NULL);
		return;
	}
	place = new_object();
	add_count(place, "event", at->event);
	add_count(place, "line", at->line);
	add_time(place, "time", report, at->time);
	add(object, key, place);
}

static void add_events(struct json_object *root, const struct replay_report *report)
{
	struct json_object *events = new_object();

	add_count(events, "total", report->maps + report->unmaps);
	add_count(events, "map", report->maps);
	add_count(events, "unmap", report->unmaps);
	add_text(root, "source", report->source == REPLAY_DMA ? "dma" : "iommu");
	add(root, "events", events);
	add_count(root, "lines", report->lines);
	add_count(root, "other_lines", report->other);
	add_count(root, "dma_passed_over", report->passed_over);
	add_count(root, "bad_lines", report->bad);
	add_count(root, "lost_events", report->lost_events);
	add(root, "lost", json_object_new_boolean(report->lost));
	add_unit(root, report);
	add_time(root, "time_first", report, report->time_first);
	add_time(root, "time_last", report, report->time_last);
	add_time(root, "time_span", report, report->time_last - report->time_first);
}

static void add_domains(struct json_object *root, const struct replay_report *report)
{
	struct json_object *ambiguous = new_object();

	add_count(root, "domains", report->domains);
	add_count(ambiguous, "total", report->ambiguous_maps + report->ambiguous_unmaps);
	add_count(ambiguous, "map", report->ambiguous_maps);
	add_count(ambiguous, "unmap", report->ambiguous_unmaps);
	add(root, "ambiguous", ambiguous);
	add_count(root, "moved", report->moved);
	add_count(root, "unmatched", report->unmatched);
	add_count(root, "cut", report->cuts);
}

static void add_devices(struct json_object *root, const struct replay_args *args,
			const struct replay_report *report)
{
	struct json_object *devices = made(json_object_new_array()), *device, *bytes;

	for (unsigned int i = 0; i < report->domains; i++) {
		const struct replay_device *from = &report->device[i];

		device = new_object();
		add_text(device, "name", from->name);
		add_count(device, "map", from->maps);
		add_count(device, "unmap", from->unmaps);
		add_count(device, "direct", from->direct);
		if (args->nr_formats == 1) {
			bytes = new_object();
			add_count(bytes, "now", from->mapped_bytes);
			add(device, "mapped_bytes", bytes);
			bytes = new_object();
			add_count(bytes, "now", from->table_bytes);
			add_count(bytes, "peak", from->table_peak);
			add(device, "table_bytes", bytes);
		}
		append(devices, device);
	}
	add(root, "devices", devices);
	add_count(root, "direct", report->direct);
	add_count(root, "truncated_lists", report->truncated);
}

static void add_bytes(struct json_object *root, const char *key, const struct replay_report *report,
		      uint64_t now, uint64_t peak, const struct replay_place *at)
{
	struct json_object *bytes = new_object();

	add_count(bytes, "now", now);
	add_count(bytes, "peak", peak);
	add_place(bytes, "peak_at", report, at);
	add(root, key, bytes);
}

static void add_levels(struct json_object *root, const struct replay_report *report)
{
	struct json_object *levels = made(json_object_new_array()), *level;

	for (unsigned int i = 0; i < IOMMU_MAX_LEVELS; i++) {
		if (!report->never_freed.tables[i])
			continue;
		level = new_object();
		add_count(level, "level", i);
		add_count(level, "now", report->tables.tables[i]);
		add_count(level, "peak", report->tables_peak.tables[i]);
		add_count(level, "never_freed", report->never_freed.tables[i]);
		append(levels, level);
	}
	add(root, "levels", levels);
}

static void add_failures(struct json_object *root, const struct replay_report *report)
{
	struct json_object *failed = new_object();
	uint64_t total = 0;

	for (int i = 0; i < REPLAY_FAILURES; i++) {
		struct json_object *kind = new_object();

		add_count(kind, "events", report->failed[i]);
		add_place(kind, "first", report, &report->first_failed[i]);
		add(failed, replay_failure_key(i), kind);
		total += report->failed[i];
	}
	add_count(failed, "total", total);
	add(root, "failed", failed);
}

static void add_memcg(struct json_object *root, const struct replay_args *args,
		      const struct replay_report *report)
{
	struct json_object *memcg = new_object();

	if (args->memory_max == UINT64_MAX)
		add(memcg, "max", NULL);
	else
		add_count(memcg, "max", args->memory_max);
	add_count(memcg, "current", report->charged);
	add_count(memcg, "peak", report->charged_peak);
	add_count(memcg, "sec_pagetables", report->charged_tables);
	add(root, "memory", memcg);
}

static void add_format(struct json_object *root, const struct replay_report *report)
{
	add_text(root, "format", report->format->name);
	add_count(root, "address_width", report->address_width);
	add_count(root, "granule", report->format->granule);
}

/* What it cost on a format. */
static void add_costs(struct json_object *root, const struct replay_args *args,
		      const struct replay_report *report)
{
	add_bytes(root, "mapped_bytes", report, report->mapped_bytes, report->mapped_peak,
		  &report->mapped_peak_at);
	add_bytes(root, "table_bytes", report, report->tables.bytes, report->tables_peak.bytes,
		  &report->tables_peak_at);
	add_bytes(root, "stranded_bytes", report, report->stranded, report->stranded_peak,
		  &report->stranded_peak_at);
	add_count(root, "never_freed_bytes", report->never_freed.bytes);
	add_levels(root, report);
	add_failures(root, report);
	add_memcg(root, args, report);
}

static void add_formats(struct json_object *root, const struct replay_args *args,
			const struct replay_report reports[])
{
	struct json_object *formats = made(json_object_new_array()), *format;

	for (size_t i = 0; i < args->nr_formats; i++) {
		format = new_object();
		add_format(format, &reports[i]);
		add_costs(format, args, &reports[i]);
		append(formats, format);
	}
	add(root, "formats", formats);
}

void replay_print_json(const struct replay_args *args, const struct replay_report reports[])
{
	struct json_object *root = new_object();

	add_text(root, "trace", args->trace);
	if (args->nr_formats == 1)
		add_format(root, reports);
	add_events(root, reports);
	add_domains(root, reports);
	if (reports->named)
		add_devices(root, args, reports);
	if (args->nr_formats == 1)
		add_costs(root, args, reports);
	else
		add_formats(root, args, reports);
	print_json(stdout, root, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
}
