/* SPDX-License-Identifier: MIT */
/*
 * Reading a piece of text forwards from its start or backwards from its end, with
 * what the numbers and blanks of a trace look like. Inline: it is most of the
 * work of a replay.
 */
#ifndef TRACE_SPAN_H
#define TRACE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "trace/line.h"

#define PAGE_MASK ((uint64_t)4095)

/* What is left to read: [at, end), or, going backwards, [start, at). */
struct span {
	const char *start;
	const char *at;
	const char *end;
};

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

/* Without 0x. */
static inline bool parse_digits(struct span *s, uint64_t *value)
{
	uint64_t v = 0, overflow = 0;
	const char *at;
	unsigned int digit;

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

static inline bool parse_hex(struct span *s, uint64_t *value)
{
	return eat(s, "0x") && parse_digits(s, value);
}

static inline bool parse_decimal(struct span *s, uint64_t *value)
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

static inline void skip_blanks(struct span *s)
{
	while (s->at < s->end && is_blank(*s->at))
		s->at++;
}

static inline bool at_end(const struct span *s)
{
	return s->at == s->end || is_blank(*s->at);
}

static inline void skip_word(struct span *s)
{
	while (!at_end(s))
		s->at++;
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

static inline bool back_number(struct span *s, uint32_t *value)
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

/* ---- line.c ---- */

/* Say what is wrong: TRACE_BAD. */
enum trace_kind trace_bad(char *why, const char *format, ...) __attribute__((format(printf, 2, 3)));
enum trace_kind trace_unexpected(const struct span *s, const char *expected, char *why);

/*
 * Whether the line is some event at all. What looks like the name of one, but has no
 * task, CPU and time before it, then is another's text, or the name of a task.
 */
bool trace_is_event(const char *text, const char *end);

/* ---- head.c ---- */

/* Backwards over what stands before the name of any event: 0, or -1 with @why. */
int trace_parse_head(struct span *s, struct trace_event *event, char *why);

/* "3)  qemu-1234  => kworker-31": the CPU, what it ran and what it runs from here on. */
bool trace_parse_switch(struct span s, struct trace_event *event);

#endif
