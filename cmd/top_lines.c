/* SPDX-License-Identifier: MIT */
/* A sample as lines of text, for the screen as for --once. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uiommu/size.h>

#include "cmd/cmd.h"
#include "cmd/run.h"
#include "cmd/top.h"
#include "plat/compiler.h"

/* What the lines are made of. */
struct view {
	struct top_lines *lines;
	const struct top_sample *now, *before;
	enum top_sort sort;
};

const char *top_sort_name(enum top_sort sort)
{
	static const char *const names[TOP_SORTS] = {"tables", "mapped", "HWPT"};

	return names[sort];
}

void top_free_lines(struct top_lines *lines)
{
	free(lines->line);
	*lines = (struct top_lines){0};
}

__attribute__((format(printf, 3, 4))) static void put(struct view *v, enum top_style style,
						      const char *format, ...)
{
	struct top_lines *lines = v->lines;
	struct top_line *line;
	va_list args;

	if (lines->nr == lines->room) {
		lines->room = lines->room ? lines->room * 2 : 64;
		lines->line = realloc(lines->line, lines->room * sizeof(*line));
		if (!lines->line)
			out_of_memory();
	}
	line = &lines->line[lines->nr++];
	line->style = style;
	va_start(args, format);
	vsnprintf(line->text, sizeof(line->text), format, args);
	va_end(args);
}

/* "12,345", or "0.5" where that says more. Returns @text. */
static const char *format_rate(double rate, char text[COUNT_TEXT])
{
	if (!(rate > 0 && rate < 9.95))
		return format_count((uint64_t)(MIN(rate, 1e15) + 0.5), text);
	snprintf(text, COUNT_TEXT, "%.1f", rate);
	return text;
}

static const char *format_limit(uint64_t limit, char text[BYTES_TEXT])
{
	return limit == UINT64_MAX ? "max" : format_bytes(limit, text);
}

/* ---- the parts ---- */

static void put_memory(struct view *v, const struct report_process *s)
{
	char current[BYTES_TEXT], peak[BYTES_TEXT], max[BYTES_TEXT], high[BYTES_TEXT];

	put(v, TOP_HEADING, "  %-14s %12s %12s %12s %12s   %s", "Memory cgroup", "current", "peak",
	    "max", "high", "events");
	put(v, s->events_max ? TOP_BAD : TOP_PLAIN,
	    "  %-14s %12s %12s %12s %12s   max %" PRIu64 ", high %" PRIu64, "",
	    format_bytes(s->current, current), format_bytes(s->peak, peak),
	    format_limit(s->memory_max, max), format_limit(s->memory_high, high), s->events_max,
	    s->events_high);
}

static void put_rate(struct view *v, const char *what, double rate, double bytes, uint64_t total,
		     uint64_t total_bytes)
{
	char per[COUNT_TEXT], all[COUNT_TEXT], volume[BYTES_TEXT], sum[BYTES_TEXT];

	put(v, TOP_PLAIN, "  %-14s %12s %12s %12s %12s", what, format_rate(rate, per),
	    bytes < 0 ? "" : format_bytes((uint64_t)MIN(bytes, 1e18), volume),
	    format_count(total, all), bytes < 0 ? "" : format_bytes(total_bytes, sum));
}

static void put_rates(struct view *v, uint32_t process)
{
	const struct report_process *s = &v->now->processes[process];
	const struct report_counters *c = &s->counters;
	struct top_rates r;

	top_rates(v->now, v->before, process, &r);
	put(v, TOP_HEADING, "  %-14s %12s %12s %12s %12s", "Rates", "per second", "bytes/s",
	    "total", "bytes");
	put_rate(v, "maps", r.maps, r.map_bytes, c->maps, c->map_bytes);
	put_rate(v, "unmaps", r.unmaps, r.unmap_bytes, c->unmaps, c->unmap_bytes);
	put_rate(v, "IOTLB flushes", r.flushes, -1, c->flushes, 0);
	put_rate(v, "ioctls", r.ioctls, -1, top_calls(s), 0);
}

static void put_faults(struct view *v, const struct report_process *s)
{
	const struct report_counters *c = &s->counters;
	uint64_t failed = top_failures(s, 0);

	put(v, failed ? TOP_BAD : TOP_PLAIN,
	    "  %-14s %12" PRIu64 " ioctls failed, %" PRIu64 " of them ENOMEM; %" PRIu64
	    " maps failed",
	    "Faults", failed, top_failures(s, ENOMEM), c->maps_failed);
	if (c->faults_read)
		put(v, TOP_PLAIN, "  %-14s %12" PRIu64 " of devices read, %" PRIu64 " answered", "",
		    c->faults_read, c->faults_answered);
}

/* "4K 8K 12K": bytes of tables, highest level first. */
static void format_levels(const struct report_domain *d, char *text, size_t size)
{
	char one[BYTES_TEXT];
	struct iommu_size each;
	bool known = !iommu_size(d->format, d->width, NULL, 0, &each);
	size_t used = 0;

	text[0] = '\0';
	for (unsigned int level = REPORT_LEVELS; level-- > 0;) {
		uint64_t bytes = d->now.tables[level];

		if (!bytes)
			continue;
		if (known && level < IOMMU_MAX_LEVELS)
			bytes *= each.each[level].bytes;
		used += (size_t)snprintf(text + used, size - used, "%s%s", used ? " " : "",
					 exact_bytes(bytes, one));
		if (used >= size)
			break;
	}
}

static void put_domain(struct view *v, const struct report_domain *d)
{
	char name[32], format[32], levels[80], mapped[BYTES_TEXT], now[BYTES_TEXT],
		peak[BYTES_TEXT];

	snprintf(name, sizeof(name), d->file > 1 ? "%" PRIu32 " of file %" PRIu32 : "%" PRIu32,
		 d->hwpt, d->file);
	if (d->nested) {
		put(v, TOP_PLAIN, "  %-14s nested", name);
		return;
	}
	snprintf(format, sizeof(format), "%s/%" PRIu32, d->format, d->width);
	format_levels(d, levels, sizeof(levels));
	put(v, TOP_PLAIN, "  %-14s %12s %12s %12s %12s %8" PRIu64 "   %s", name, format,
	    format_bytes(d->now.mapped, mapped), format_bytes(d->now.bytes, now),
	    format_bytes(d->peak.bytes, peak), d->now.areas, levels);
}

static enum top_sort sort_by; /* qsort() has no context */

static int compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_domains(const void *a, const void *b)
{
	const struct report_domain *x = a, *y = b;
	int order = sort_by == TOP_BY_TABLES   ? compare(y->now.bytes, x->now.bytes)
		    : sort_by == TOP_BY_MAPPED ? compare(y->now.mapped, x->now.mapped)
					       : 0;

	if (!order)
		order = compare(x->file, y->file);
	return order ? order : compare(x->hwpt, y->hwpt);
}

static void put_domains(struct view *v, const struct report_process *s)
{
	struct report_domain domains[REPORT_DOMAINS];
	uint32_t nr = 0;

	for (uint32_t i = 0; i < s->nr_domains; i++)
		if (s->domains[i].alive)
			domains[nr++] = s->domains[i];
	sort_by = v->sort;
	qsort(domains, nr, sizeof(domains[0]), compare_domains);
	put(v, TOP_HEADING, "  %-14s %12s %12s %12s %12s %8s   %s", "Domain (HWPT)", "format",
	    "mapped", "tables", "peak", "areas", "tables by level, highest first");
	for (uint32_t i = 0; i < nr; i++)
		put_domain(v, &domains[i]);
	if (!nr || nr < s->nr_domains)
		put(v, TOP_PLAIN, "  %s%" PRIu32 " destroyed", nr ? "and " : "none, ",
		    s->nr_domains - nr);
	if (top_behind(s))
		put(v, TOP_PLAIN,
		    "  before the latest %" PRIu64 " ioctls, which it was too busy to look at",
		    top_behind(s));
	if (s->domains_lost)
		put(v, TOP_PLAIN, "  and others, which the report has no room for");
}

static void put_ioctls(struct view *v, uint32_t process)
{
	const struct report_process *s = &v->now->processes[process];
	char name[32], rate[COUNT_TEXT], calls[COUNT_TEXT], failed[COUNT_TEXT];
	uint64_t ns;

	put(v, TOP_HEADING, "  %-29s %10s %12s %12s %8s", "Ioctl", "per second", "calls", "ns each",
	    "failed");
	for (unsigned int i = 0; i < REPORT_IOCTLS; i++) {
		const struct report_ioctl *op = &s->ioctls[i];

		if (!op->calls)
			continue;
		ns = run_nanoseconds(s, op->ticks) / op->calls;
		put(v, op->failed ? TOP_BAD : TOP_PLAIN, "  %-29s %10s %12s %12" PRIu64 " %8s",
		    run_counted_name(s, i, name),
		    format_rate(top_ioctl_rate(v->now, v->before, process, i), rate),
		    format_count(op->calls, calls), ns, format_count(op->failed, failed));
	}
}

static void put_process(struct view *v, uint32_t process)
{
	const struct report_process *s = &v->now->processes[process];
	const char *state = s->state == REPORT_EXITED   ? "exited"
			    : s->state == REPORT_KILLED ? "killed"
			    : top_is_alive(s)           ? "running"
							: "killed";

	put(v, TOP_PLAIN, "%s", "");
	put(v, TOP_HEADING, "%s[%d]: %s; physical addresses: %s", s->comm, (int)s->pid, state,
	    s->phys[0] ? s->phys : "none needed");
	put_memory(v, s);
	put_rates(v, process);
	put_faults(v, s);
	put_domains(v, s);
	put_ioctls(v, process);
}

static void put_processes(struct view *v)
{
	/* Those that run are what one looks for. */
	for (uint32_t i = 0; i < v->now->nr_processes; i++)
		if (top_is_alive(&v->now->processes[i]))
			put_process(v, i);
	for (uint32_t i = 0; i < v->now->nr_processes; i++)
		if (!top_is_alive(&v->now->processes[i]))
			put_process(v, i);
	if (!v->now->nr_processes)
		put(v, TOP_PLAIN, "it has not opened /dev/iommu");
	if (v->now->not_read)
		put(v, TOP_PLAIN, "and %" PRIu32 " more processes", v->now->not_read);
}

void top_make_lines(struct top_lines *lines, const struct top_run *run,
		    const struct top_sample *now, const struct top_sample *before,
		    enum top_sort sort)
{
	struct view v = {lines, now, before, sort};
	char over[64] = "rates since the start of each process";

	if (before)
		snprintf(over, sizeof(over), "rates over %.1f s",
			 (double)(now->ns - before->ns) / 1e9);
	lines->nr = 0;
	put(&v, now->ended ? TOP_BAD : TOP_HEADING, "uiommu run %d: %s: %s; %s", (int)run->pid,
	    run->command, now->ended ? "ended" : "running", over);
	put_processes(&v);
}
