/* SPDX-License-Identifier: MIT */
/*
 * TASK-PID [CPU] FLAGS TIME: map: IOMMU: iova=0x.. - 0x.. paddr=0x.. size=N
 * TASK-PID [CPU] FLAGS TIME: unmap: IOMMU: iova=0x.. - 0x.. size=N unmapped_size=N
 *
 * A task may call itself anything, blanks, colons and brackets included, so
 * the fields before the addresses are read backwards from them.
 * The parser is by hand because reading is most of the work of a replay.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "trace/dma_line.h"
#include "trace/line.h"
#include "trace/span.h"

#define ADDRESSES  "IOMMU: iova="
#define SHOWN_TEXT 40

#define NOT_AN_EVENT "the event before \"IOMMU: iova=\" is neither map nor unmap"

enum trace_kind trace_bad(char *why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, TRACE_WHY_SIZE, format, args);
	va_end(args);
	return TRACE_BAD;
}

/* Characters of @s that one may show a person: it may be binary, and long. */
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

/* "[001]", with the latency flags after it where they were printed. */
static bool back_cpu(struct span *s, uint32_t *cpu)
{
	back_blanks(s);
	if (s->at > s->start && s->at[-1] != ']') {
		while (s->at > s->start && !is_blank(s->at[-1]))
			s->at--;
		back_blanks(s);
	}
	return back_char(s, ']') && back_number(s, cpu) && back_char(s, '[');
}

/* "NAME-PID", with "(TGID)" after it where it was recorded. */
static bool back_task(struct span *s, uint32_t *pid)
{
	back_blanks(s);
	if (back_char(s, ')')) {
		while (s->at > s->start && s->at[-1] != '(')
			s->at--;
		if (!back_char(s, '('))
			return false;
		back_blanks(s);
	}
	return back_number(s, pid) && s->at > s->start && (s->at[-1] == '-' || is_blank(s->at[-1]));
}

int trace_parse_head(struct span *s, struct trace_event *event, char *why)
{
	const char *wrong = NULL;

	back_blanks(s);
	if (!back_char(s, ':') || !back_time(s, &event->time))
		wrong = "no time stamp before the event";
	else if (!back_cpu(s, &event->cpu))
		wrong = "no [CPU] before the time stamp";
	else if (!back_task(s, &event->pid))
		wrong = "no TASK-PID before the CPU";
	if (wrong)
		trace_bad(why, "%s", wrong);
	return wrong ? -1 : 0;
}

/* Everything before the addresses, whose text begins at @s->at. */
static enum trace_kind parse_event(struct span *s, struct trace_event *event, char *why)
{
	enum trace_kind kind = TRACE_MAP;

	back_blanks(s);
	if (!back_literal(s, "map:"))
		return trace_bad(why, NOT_AN_EVENT);
	if (back_literal(s, "un"))
		kind = TRACE_UNMAP;
	back_literal(s, "iommu:");
	if (s->at > s->start && !is_blank(s->at[-1]))
		return trace_bad(why, NOT_AN_EVENT);
	return trace_parse_head(s, event, why) ? TRACE_BAD : kind;
}

enum trace_kind trace_unexpected(const struct span *s, const char *expected, char *why)
{
	char text[SHOWN_TEXT + 1];

	if (shown(text, s->at, s->end) == 0)
		return trace_bad(why, "cut off: expected %s", expected);
	return trace_bad(why, "expected %s, not \"%s\"", expected, text);
}

/* Kernels before 5.18 print no end of the range. */
static bool parse_range(struct span *s, uint64_t *iova, uint64_t *end, bool *has_end)
{
	if (!parse_hex(s, iova))
		return false;
	*has_end = eat(s, " - ");
	return !*has_end || parse_hex(s, end);
}

static enum trace_kind check_event(const struct trace_event *event, enum trace_kind kind, char *why)
{
	if (event->size == 0)
		return trace_bad(why, "size is 0");
	if (event->iova + (event->size - 1) < event->iova)
		return trace_bad(why, "the range wraps: iova 0x%" PRIx64 ", size %" PRIu64,
				 event->iova, event->size);
	if ((event->iova | event->size) & PAGE_MASK)
		return trace_bad(why,
				 "iova 0x%" PRIx64 " or size %" PRIu64 " is not a multiple of 4096",
				 event->iova, event->size);
	if (kind == TRACE_MAP && (event->paddr & PAGE_MASK))
		return trace_bad(why, "paddr 0x%" PRIx64 " is not a multiple of 4096",
				 event->paddr);
	return kind;
}

/* The addresses, from behind ADDRESSES on. */
static enum trace_kind parse_body(struct span *s, struct trace_event *event, enum trace_kind kind,
				  char *why)
{
	uint64_t end = 0, unmapped = 0;
	bool has_end;

	if (!parse_range(s, &event->iova, &end, &has_end))
		return trace_unexpected(s, "a range of 64-bit addresses, 0xIOVA - 0xEND", why);
	if (kind == TRACE_MAP && (!eat(s, " paddr=") || !parse_hex(s, &event->paddr)))
		return trace_unexpected(s, "paddr= and a 64-bit address", why);
	if (!eat(s, " size=") || !parse_decimal(s, &event->size))
		return trace_unexpected(s, "size= and a 64-bit number of bytes", why);
	if (kind == TRACE_UNMAP && (!eat(s, " unmapped_size=") || !parse_decimal(s, &unmapped)))
		return trace_unexpected(s, "unmapped_size= and a 64-bit number of bytes", why);
	while (s->at < s->end && is_blank(*s->at))
		s->at++;
	if (s->at < s->end)
		return trace_unexpected(s, "the end of the line", why);
	if (has_end && event->iova + event->size != end)
		return trace_bad(why,
				 "the range 0x%" PRIx64 " - 0x%" PRIx64 " is not of size %" PRIu64,
				 event->iova, end, event->size);
	kind = check_event(event, kind, why);
	/* What went is what counts: a larger leaf goes whole, a hole ends it. */
	if (kind == TRACE_UNMAP && unmapped != event->size) {
		event->size = unmapped;
		return unmapped ? check_event(event, kind, why) : kind;
	}
	return kind;
}

static bool has(const char *text, size_t length, const char *literal)
{
	return memmem(text, length, literal, strlen(literal)) != NULL;
}

/* "TASK-PID [CPU] ... TIME: NAME": some event. */
static bool is_event(const char *text, size_t length)
{
	const char *end = text + length, *p = text;

	while ((p = memchr(p, ']', (size_t)(end - p))) != NULL) {
		if (p > text && is_digit(p[-1]) && has(p, (size_t)(end - p), ": "))
			return true;
		p++;
	}
	return false;
}

static bool is_heading(const char *text, size_t length)
{
	static const char *const begins[] = {"#", "cpus=", "CPU ", "CPU:", "version ", "=>"};
	struct span s = {text, text, text + length};

	while (s.at < s.end && is_blank(*s.at))
		s.at++;
	if (s.at == s.end)
		return true;
	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
		if (eat(&s, begins[i]))
			return true;
	return false;
}

static bool is_binary(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];

		if ((c < ' ' && !is_blank((char)c)) || c == 0x7f)
			return true;
	}
	return false;
}

/* "CPU:1 [LOST 7 EVENTS]" in tracefs, "CPU:1 [7 EVENTS DROPPED]" in trace-cmd. */
static bool parse_lost(const char *text, size_t length, struct trace_event *event)
{
	const char *end = text + length, *bracket;
	struct span s;

	if (!has(text, length, " EVENTS") || !(bracket = memchr(text, '[', length)))
		return false;
	s = (struct span){bracket + 1, bracket + 1, end};
	if (!eat(&s, "LOST ") && !has(text, length, " DROPPED]"))
		return false;
	if (!parse_decimal(&s, &event->dropped))
		event->dropped = 0;
	return true;
}

/* A line without addresses. */
static enum trace_kind parse_other(const char *text, size_t length, struct trace_event *event,
				   char *why)
{
	char start[SHOWN_TEXT + 1];

	if (is_binary(text, length))
		return trace_bad(why, "binary data");
	if (parse_lost(text, length, event))
		return TRACE_LOST;
	if (is_heading(text, length))
		return TRACE_OTHER;
	if (has(text, length, ": map:") || has(text, length, ": unmap:") ||
	    has(text, length, "iommu:map:") || has(text, length, "iommu:unmap:"))
		return trace_bad(why, "a map or unmap event without its addresses");
	if (is_event(text, length))
		return TRACE_OTHER;
	shown(start, text, text + length);
	return trace_bad(why, "not a line of a trace: \"%s\"", start);
}

enum trace_kind trace_parse_line(const char *text, size_t length, struct trace_event *event,
				 char why[TRACE_WHY_SIZE])
{
	const char *end = text + length, *p = text;
	struct span head, body;
	enum trace_kind kind;

	while ((p = memchr(p, ADDRESSES[0], (size_t)(end - p))) != NULL) {
		body = (struct span){text, p, end};
		if (eat(&body, ADDRESSES)) {
			head = (struct span){text, p, end};
			kind = parse_event(&head, event, why);
			return kind == TRACE_BAD ? kind : parse_body(&body, event, kind, why);
		}
		p++;
	}
	kind = trace_parse_dma_line(text, length, event, why);
	return kind == TRACE_OTHER ? parse_other(text, length, event, why) : kind;
}
