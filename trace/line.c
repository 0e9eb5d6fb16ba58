/* SPDX-License-Identifier: MIT */
/*
 * Classification of a line. Most lines of a trace may be anything: a line that is no
 * event of the kinds that are replayed counts as another line. A line that has the name
 * or the fields of such an event but cannot be parsed is bad.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "plat/compiler.h"
#include "trace/dma_line.h"
#include "trace/iommu_line.h"
#include "trace/span.h"

#define SHOWN_TEXT 40

/* How many colons of a line are tried as the one after an event's time. */
#define COLONS_TRIED 32

enum trace_kind trace_bad(char *why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, TRACE_WHY_SIZE, format, args);
	va_end(args);
	return TRACE_BAD;
}

/* The characters of @s that can be printed in a message: it may be binary, and long. */
static int shown(char out[SHOWN_TEXT + 1], const char *text, const char *end)
{
	int n = 0;

	while (n < SHOWN_TEXT && text + n < end) {
		out[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
		n++;
	}
	out[n] = '\0';
	return n;
}

enum trace_kind trace_unexpected(const struct span *s, const char *expected, char *why)
{
	char text[SHOWN_TEXT + 1];

	if (shown(text, s->at, s->end) == 0)
		return trace_bad(why, "cut off: expected %s", expected);
	return trace_bad(why, "expected %s, not \"%s\"", expected, text);
}

bool trace_is_event(const char *text, const char *end)
{
	const char *colon = text;
	struct trace_event event;
	char why[TRACE_WHY_SIZE];

	for (int i = 0; i < COLONS_TRIED; i++) {
		colon = memmem(colon, (size_t)(end - colon), ": ", 2);
		if (!colon)
			break;
		colon++;
		if (!trace_parse_head(&(struct span){text, colon, end}, &event, why))
			return true;
	}
	return false;
}

static bool has(const struct span *s, const char *literal)
{
	return memmem(s->at, (size_t)(s->end - s->at), literal, strlen(literal)) != NULL;
}

/* tracefs: "CPU:1 [LOST 7 EVENTS]", trace-cmd: "CPU:1 [7 EVENTS DROPPED]"; or no number. */
static bool parse_lost_buffer(struct span s, struct trace_event *event)
{
	const char *cpu = memmem(s.at, (size_t)(s.end - s.at), "CPU:", 4);
	uint64_t number;
	bool lost;

	if (!cpu)
		return false;
	s.at = cpu + 4;
	if (!parse_decimal(&s, &number) || !eat(&s, " ["))
		return false;
	lost = eat(&s, "LOST ");
	if (parse_decimal(&s, &event->dropped))
		eat(&s, " ");
	else
		event->dropped = 0;
	return eat(&s, lost ? "EVENTS]" : "EVENTS DROPPED]");
}

/* perf: "TASK PID [CPU] TIME: PERF_RECORD_LOST lost 7" */
static bool parse_lost_perf(struct span s, struct trace_event *event)
{
	const char *record = memmem(s.at, (size_t)(s.end - s.at), " PERF_RECORD_LOST", 17);

	if (!record)
		return false;
	s.at = record + 17;
	eat(&s, "_SAMPLES");
	return eat(&s, " lost ") && parse_decimal(&s, &event->dropped);
}

/* "1234 3 567890 type: 344", in decimal, in hexadecimal or in binary. */
static bool is_raw(const struct span *s)
{
	struct span back = {s->start, s->end, s->end};
	bool text = false, binary = false;
	uint32_t type;

	back_blanks(&back);
	if (!back_number(&back, &type) || !back_literal(&back, "type: "))
		return false;
	for (const char *p = s->at; p < back.at; p++) {
		text |= !hex_digits[(unsigned char)*p] && !is_blank(*p);
		binary |= (unsigned char)*p < ' ' && !is_blank(*p);
	}
	return binary || !text;
}

/* Name what has no text of events at all. */
static const char *what_else(const struct span *s)
{
	struct span magic = *s;

	if (eat(&magic, "\x17\x08\x44tracing"))
		return "trace-cmd's own file: the text of 'trace-cmd report' is needed";
	if (eat(&magic, "PERFILE2") || eat(&magic, "2ELIFREP"))
		return "perf's own file: the text of 'perf script' is needed";
	if (is_raw(s))
		return "no fields, as with the trace options raw, hex and bin";
	return NULL;
}

static enum trace_kind parse_other(const struct span *s, struct trace_event *event, char *why)
{
	const char *else_;

	if (parse_lost_buffer(*s, event) || parse_lost_perf(*s, event))
		return TRACE_LOST;
	if (has(s, " => ") && trace_parse_switch(*s, event))
		return TRACE_SWITCH;
	else_ = what_else(s);
	return else_ ? trace_bad(why, "%s", else_) : TRACE_OTHER;
}

enum trace_kind trace_parse_line(const char *text, size_t length, struct trace_event *event,
				 char why[TRACE_WHY_SIZE])
{
	struct span s = {text, text + length, text + length};
	enum trace_kind kind;

	back_blanks(&s);
	back_literal(&s, "*/"); /* function_graph has events in comments */
	length = (size_t)(s.at - text);
	kind = trace_parse_iommu_line(text, length, event, why);
	if (kind == TRACE_OTHER)
		kind = trace_parse_dma_line(text, length, event, why);
	return kind == TRACE_OTHER ? parse_other(&(struct span){text, text, s.at}, event, why)
				   : kind;
}
