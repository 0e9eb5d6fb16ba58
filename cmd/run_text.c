/* SPDX-License-Identifier: MIT */
/* The report for people: what it cost, then what went wrong. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/run.h"

/* Processes in detail, after which the others are one line each. */
#define DETAILED 8

struct printer {
	FILE *out;
	const char *bold, *bad, *plain;
};

static struct printer make_printer(FILE *out)
{
	const char *no = getenv("NO_COLOR");

	if (isatty(fileno(out)) && !(no && *no))
		return (struct printer){out, "\033[1m", "\033[31m", "\033[0m"};
	return (struct printer){out, "", "", ""};
}

static void heading(const struct printer *p, const char *text)
{
	fprintf(p->out, "\n%s%s%s\n", p->bold, text, p->plain);
}

/* ---- memory ---- */

static void print_limit(const struct printer *p, const char *name, uint64_t limit, uint64_t events)
{
	char text[BYTES_TEXT];

	if (limit == UINT64_MAX)
		return;
	fprintf(p->out, "  %-11s %14s", name, format_bytes(limit, text));
	if (events)
		fprintf(p->out, "   %sreached %" PRIu64 " time%s%s", p->bad, events,
			events == 1 ? "" : "s", p->plain);
	fputc('\n', p->out);
}

static void print_memory(const struct printer *p, const struct report_process *s,
			 const struct run_result *result)
{
	char text[BYTES_TEXT];

	heading(p, "Memory cgroup");
	fprintf(p->out, "  %-11s %14s   memory.peak\n", "peak", format_bytes(s->peak, text));
	fprintf(p->out, "  %-11s %14s   memory.current\n", "at the end",
		format_bytes(s->current, text));
	print_limit(p, "memory.max", s->memory_max, s->events_max);
	print_limit(p, "memory.high", s->memory_high, s->events_high);
	if (result->auto_limit)
		fprintf(p->out, "  memory.max is auto: %s\n", result->auto_limit);
	if (!s->memlock_reached)
		return;
	heading(p, "Locked memory");
	print_limit(p, "memlock", s->memlock, s->memlock_reached);
}

/* ---- domains ---- */

#define LISTED 16 /* lines of one list: more are not read, and JSON has them */

static void domain_name(const struct report_domain *d, char *text, size_t size)
{
	snprintf(text, size, d->file > 1 ? "%" PRIu32 " of file %" PRIu32 : "%" PRIu32, d->hwpt,
		 d->file);
}

static void print_levels(const struct printer *p, const struct report_usage *u)
{
	bool any = false;

	for (unsigned int level = REPORT_LEVELS; level-- > 0;)
		if (u->tables[level]) {
			fprintf(p->out, "%s%" PRIu64, any ? "+" : "", u->tables[level]);
			any = true;
		}
	if (!any)
		fputs("none", p->out);
}

static void print_domain(const struct printer *p, const struct report_domain *d)
{
	char name[32], mapped[BYTES_TEXT], peak[BYTES_TEXT], now[BYTES_TEXT], format[32];

	domain_name(d, name, sizeof(name));
	if (d->nested) {
		fprintf(p->out, "  %-14s %-10s\n", name, "nested");
		return;
	}
	snprintf(format, sizeof(format), "%s/%" PRIu32, d->format, d->width);
	fprintf(p->out, "  %-14s %-10s %8" PRIu64 " %12s %12s %12s   ", name, format, d->peak.areas,
		format_bytes(d->peak.mapped, mapped), format_bytes(d->peak.bytes, peak),
		d->alive ? format_bytes(d->now.bytes, now) : "destroyed");
	print_levels(p, &d->peak);
	fputc('\n', p->out);
}

static void print_domains(const struct printer *p, const struct report_process *s)
{
	uint32_t nr = s->nr_domains < REPORT_DOMAINS ? s->nr_domains : REPORT_DOMAINS;

	if (!nr)
		return;
	heading(p, "Domains");
	fprintf(p->out, "  %-14s %-10s %8s %12s %12s %12s   %s\n", "HWPT", "format", "areas",
		"mapped", "tables: peak", "at the end", "tables by level, highest first");
	for (uint32_t i = 0; i < nr && i < LISTED; i++)
		print_domain(p, &s->domains[i]);
	if (nr > LISTED)
		fprintf(p->out, "  and %" PRIu32 " more, which --json lists\n", nr - LISTED);
	if (s->domains_lost)
		fprintf(p->out, "  and others, which the report has no room for\n");
	fprintf(p->out, "  areas, mapped and levels are those at the peak\n");
}

/* ---- ioctls ---- */

static void print_errors(const struct printer *p, const struct report_process *s,
			 unsigned int index)
{
	char text[32];

	for (unsigned int i = 0; i < REPORT_ERRORS && s->errors[i].count; i++)
		if (run_error_count(s, index, i))
			fprintf(p->out, "  %s%" PRIu64 " %s%s", p->bad,
				run_error_count(s, index, i),
				run_error_name(s->errors[i].error, text), p->plain);
}

static void format_time(uint64_t ns, char *text, size_t size)
{
	if (ns < 1000000)
		snprintf(text, size, "%.1f us", (double)ns / 1e3);
	else if (ns < 1000000000)
		snprintf(text, size, "%.1f ms", (double)ns / 1e6);
	else
		snprintf(text, size, "%.2f s", (double)ns / 1e9);
}

static void print_ioctls(const struct printer *p, const struct report_process *s)
{
	char name[32], time[32];
	bool any = false;

	for (unsigned int i = 0; i < REPORT_IOCTLS; i++) {
		const struct report_ioctl *op = &s->ioctls[i];

		if (!op->calls)
			continue;
		if (!any) {
			heading(p, "Ioctls");
			fprintf(p->out, "  %-32s %10s %10s   %s\n", "", "calls", "time", "failed");
		}
		any = true;
		format_time(run_nanoseconds(s, op->ticks), time, sizeof(time));
		fprintf(p->out, "  %-32s %10" PRIu64 " %10s ", run_counted_name(s, i, name),
			op->calls, time);
		print_errors(p, s, i);
		fputc('\n', p->out);
	}
}

/* ---- what went wrong ---- */

/* How many objects from @first on differ only by their ids, which follow on each other. */
static uint32_t alike(const struct report_object *first, uint32_t most)
{
	uint32_t nr = 1;

	while (nr < most && first[nr].type == first->type && first[nr].file == first->file &&
	       first[nr].created_cmd == first->created_cmd && first[nr].id == first->id + nr)
		nr++;
	return nr;
}

static void print_alive(const struct printer *p, const struct report_process *s)
{
	uint32_t nr = s->nr_objects < REPORT_OBJECTS ? s->nr_objects : REPORT_OBJECTS;
	uint32_t i = 0;
	char name[32];

	if (!nr)
		return;
	heading(p, "Still alive at exit");
	for (uint32_t lines = 0; i < nr && lines < LISTED; lines++) {
		const struct report_object *o = &s->objects[i];
		uint32_t same = alike(o, nr - i);

		fprintf(p->out, "  %s %" PRIu32, run_object_name(o->type), o->id);
		if (same > 1)
			fprintf(p->out, " to %" PRIu32, o->id + same - 1);
		fprintf(p->out, ", made by %s", run_maker(o, name));
		if (o->file > 1)
			fprintf(p->out, ", of file %" PRIu32, o->file);
		fputc('\n', p->out);
		i += same;
	}
	if (s->nr_objects > i)
		fprintf(p->out, "  and %" PRIu32 " more\n", s->nr_objects - i);
}

static void print_munmaps(const struct printer *p, const struct report_process *s)
{
	if (!s->nr_munmaps)
		return;
	heading(p, "Memory unmapped by the program while mapped for DMA");
	for (uint32_t i = 0; i < s->nr_munmaps && i < REPORT_MUNMAPS; i++) {
		const struct report_munmap *m = &s->munmaps[i];

		fprintf(p->out,
			"  %s0x%" PRIx64 "-0x%" PRIx64 ": %" PRIu64 " bytes at IOVA 0x%" PRIx64
			"%s\n",
			p->bad, m->address, m->address + m->length - 1, m->mapped, m->iova,
			p->plain);
	}
	if (s->nr_munmaps > REPORT_MUNMAPS)
		fprintf(p->out, "  and %" PRIu32 " more\n", s->nr_munmaps - REPORT_MUNMAPS);
}

static void print_notes(const struct printer *p, const struct report_process *s)
{
	if (s->fail_nth)
		fprintf(p->out, "\nAllocation %" PRIu32 " was to fail: %s\n", s->fail_nth,
			s->fail_hit ? "it did" : "it did not come to that");
	if (s->files_open)
		fprintf(p->out, "\n%" PRIu32 " of %" PRIu32 " open /dev/iommu not closed\n",
			s->files_open, s->files_opened);
}

/* ---- processes ---- */

static void print_process(const struct printer *p, const struct report_process *s,
			  const struct run_result *result)
{
	uint64_t later = run_calls_since_look(s);
	char end[64] = "running";

	if (s->pid == result->pid)
		run_describe_end(result->status, end, sizeof(end));
	else if (s->state == REPORT_EXITED)
		snprintf(end, sizeof(end), "exit status %d", (int)s->status);
	else if (s->state == REPORT_KILLED)
		snprintf(end, sizeof(end), "killed");
	fprintf(p->out, "%suiommu: %s[%d]%s: %s; physical addresses: %s\n", p->bold,
		quoted(s->comm), (int)s->pid, p->plain, end, s->phys[0] ? s->phys : "none needed");
	if (s->state == REPORT_RUNNING)
		fputs("  It goes on: the numbers are the last.\n", p->out);
	if (s->state == REPORT_RUNNING && later)
		fprintf(p->out,
			"  %" PRIu64
			" ioctl%s came after the last look at its memory and domains.\n",
			later, later == 1 ? "" : "s");
	print_memory(p, s, result);
	print_domains(p, s);
	print_ioctls(p, s);
	print_munmaps(p, s);
	print_alive(p, s);
	print_notes(p, s);
}

static void print_short(const struct printer *p, const struct report_process *s)
{
	char peak[BYTES_TEXT];

	fprintf(p->out,
		"uiommu: %s[%d]: %" PRIu32 " domain%s, peak %s, %" PRIu32
		" objects alive at exit\n",
		quoted(s->comm), (int)s->pid, s->nr_domains, s->nr_domains == 1 ? "" : "s",
		format_bytes(s->peak, peak), s->nr_objects);
}

void run_print_text(FILE *out, const struct run_result *result)
{
	struct printer p = make_printer(out);
	uint32_t nr = run_processes(result->report);
	char end[64];

	if (!nr) {
		run_describe_end(result->status, end, sizeof(end));
		fprintf(out, "uiommu: %s: %s; it did not open /dev/iommu\n",
			quoted(result->program), end);
		return;
	}
	for (uint32_t i = 0; i < nr; i++) {
		if (i && i < DETAILED)
			fputc('\n', out);
		if (i < DETAILED)
			print_process(&p, &result->report->processes[i], result);
		else
			print_short(&p, &result->report->processes[i]);
	}
	if (result->report->nr_processes > nr)
		fprintf(out, "uiommu: and %" PRIu32 " more processes\n",
			result->report->nr_processes - nr);
}
