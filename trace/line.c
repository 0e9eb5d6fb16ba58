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

#include "trace/line.h"

#define ADDRESSES  "IOMMU: iova="
#define PAGE_MASK  ((uint64_t)4095)
#define SHOWN_TEXT 40

#define NOT_AN_EVENT "the event before \"IOMMU: iova=\" is neither map nor unmap"

/* What is left to read: [at, end), or, going backwards, [start, at). */
struct span {
	const char *start;
	const char *at;
	const char *end;
};

__attribute__((format(printf, 2, 3))) static enum trace_kind bad(char *why, const char *format, ...)
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

static inline bool eat(struct span *s, const char *literal)
{
	size_t length = strlen(literal);

	if ((size_t)(s->end - s->at) < length || memcmp(s->at, literal, length) != 0)
		return false;
	s->at += length;
	return true;
}

/* Value + 1 of a hexadecimal digit; 0 for any other character. */
static const unsigned char hex_digits[256] = {
	['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,
	['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12,
	['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16, ['A'] = 11, ['B'] = 12,
	['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

static inline bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool parse_hex(struct span *s, uint64_t *value)
{
	uint64_t v = 0, overflow = 0;
	const char *at;
	unsigned int digit;

	if (!eat(s, "0x"))
		return false;
	for (at = s->at; at < s->end && (digit = hex_digits[(unsigned char)*at]) != 0; at++) {
		overflow |= v >> 60;
		v = v << 4 | (digit - 1);
	}
	if (at == s->at || overflow)
		return false;
	s->at = at;
	*value = v;
	return true;
}

static bool parse_decimal(struct span *s, uint64_t *value)
{
	const char *from;
	uint64_t v = 0;

	for (from = s->at; s->at < s->end && is_digit(*s->at); s->at++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s->at - '0'), &v))
			return false;
	*value = v;
	return s->at > from;
}

/* Seconds with up to nine decimals, into nanoseconds. */
static bool parse_time(struct span *s, uint64_t *time)
{
	uint64_t seconds, fraction = 0, unit = 1000000000;

	if (!parse_decimal(s, &seconds) || seconds > UINT64_MAX / 1000000000 - 1)
		return false;
	if (s->at < s->end && *s->at == '.') {
		for (s->at++; s->at < s->end && is_digit(*s->at); s->at++) {
			unit /= 10;
			fraction += (uint64_t)(*s->at - '0') * unit;
		}
	}
	*time = seconds * 1000000000 + fraction;
	return s->at == s->end;
}

static inline void back_blanks(struct span *s)
{
	while (s->at > s->start && is_blank(s->at[-1]))
		s->at--;
}

static inline bool back_char(struct span *s, char c)
{
	if (s->at == s->start || s->at[-1] != c)
		return false;
	s->at--;
	return true;
}

static inline bool back_literal(struct span *s, const char *literal)
{
	size_t length = strlen(literal);

	if ((size_t)(s->at - s->start) < length || memcmp(s->at - length, literal, length) != 0)
		return false;
	s->at -= length;
	return true;
}

static bool back_number(struct span *s, uint32_t *value)
{
	const char *last = s->at;
	struct span number;
	uint64_t v;

	while (s->at > s->start && is_digit(s->at[-1]))
		s->at--;
	number = (struct span){s->at, s->at, last};
	if (!parse_decimal(&number, &v) || v > UINT32_MAX)
		return false;
	*value = (uint32_t)v;
	return true;
}

static bool back_time(struct span *s, uint64_t *time)
{
	const char *last = s->at;
	struct span number;

	while (s->at > s->start && !is_blank(s->at[-1]))
		s->at--;
	number = (struct span){s->at, s->at, last};
	return parse_time(&number, time);
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

/* Everything before the addresses, whose text begins at @s->at. */
static enum trace_kind parse_head(struct span *s, struct trace_event *event, char *why)
{
	enum trace_kind kind = TRACE_MAP;

	back_blanks(s);
	if (!back_literal(s, "map:"))
		return bad(why, NOT_AN_EVENT);
	if (back_literal(s, "un"))
		kind = TRACE_UNMAP;
	back_literal(s, "iommu:");
	if (s->at > s->start && !is_blank(s->at[-1]))
		return bad(why, NOT_AN_EVENT);
	back_blanks(s);
	if (!back_char(s, ':') || !back_time(s, &event->time))
		return bad(why, "no time stamp before the event");
	if (!back_cpu(s, &event->cpu))
		return bad(why, "no [CPU] before the time stamp");
	if (!back_task(s, &event->pid))
		return bad(why, "no TASK-PID before the CPU");
	return kind;
}

static enum trace_kind unexpected(const struct span *s, const char *expected, char *why)
{
	char text[SHOWN_TEXT + 1];

	if (shown(text, s->at, s->end) == 0)
		return bad(why, "cut off: expected %s", expected);
	return bad(why, "expected %s, not \"%s\"", expected, text);
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
		return bad(why, "size is 0");
	if (event->iova + (event->size - 1) < event->iova)
		return bad(why, "the range wraps: iova 0x%" PRIx64 ", size %" PRIu64, event->iova,
			   event->size);
	if ((event->iova | event->size) & PAGE_MASK)
		return bad(why, "iova 0x%" PRIx64 " or size %" PRIu64 " is not a multiple of 4096",
			   event->iova, event->size);
	if (kind == TRACE_MAP && (event->paddr & PAGE_MASK))
		return bad(why, "paddr 0x%" PRIx64 " is not a multiple of 4096", event->paddr);
	return kind;
}

/* The addresses, from behind ADDRESSES on. */
static enum trace_kind parse_body(struct span *s, struct trace_event *event, enum trace_kind kind,
				  char *why)
{
	uint64_t end = 0, unmapped = 0;
	bool has_end;

	if (!parse_range(s, &event->iova, &end, &has_end))
		return unexpected(s, "a range of 64-bit addresses, 0xIOVA - 0xEND", why);
	if (kind == TRACE_MAP && (!eat(s, " paddr=") || !parse_hex(s, &event->paddr)))
		return unexpected(s, "paddr= and a 64-bit address", why);
	if (!eat(s, " size=") || !parse_decimal(s, &event->size))
		return unexpected(s, "size= and a 64-bit number of bytes", why);
	if (kind == TRACE_UNMAP && (!eat(s, " unmapped_size=") || !parse_decimal(s, &unmapped)))
		return unexpected(s, "unmapped_size= and a 64-bit number of bytes", why);
	while (s->at < s->end && is_blank(*s->at))
		s->at++;
	if (s->at < s->end)
		return unexpected(s, "the end of the line", why);
	if (has_end && event->iova + event->size != end)
		return bad(why, "the range 0x%" PRIx64 " - 0x%" PRIx64 " is not of size %" PRIu64,
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
		return bad(why, "binary data");
	if (parse_lost(text, length, event))
		return TRACE_LOST;
	if (is_heading(text, length))
		return TRACE_OTHER;
	if (has(text, length, ": map:") || has(text, length, ": unmap:") ||
	    has(text, length, "iommu:map:") || has(text, length, "iommu:unmap:"))
		return bad(why, "a map or unmap event without its addresses");
	if (is_event(text, length))
		return TRACE_OTHER;
	shown(start, text, text + length);
	return bad(why, "not a line of a trace: \"%s\"", start);
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
			kind = parse_head(&head, event, why);
			return kind == TRACE_BAD ? kind : parse_body(&body, event, kind, why);
		}
		p++;
	}
	return parse_other(text, length, event, why);
}
