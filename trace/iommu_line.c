/* SPDX-License-Identifier: MIT */
/*
 * The events of include/trace/events/iommu.h, in each form that it has had:
 *
 *   map: IOMMU: iova=0x.. - 0x.. paddr=0x.. size=N
 *   unmap: IOMMU: iova=0x.. - 0x.. size=N unmapped_size=N
 *
 * without the range's end before 5.18, with size=0x.. and no unmapped_size before
 * 4.0. Kernels of vendors name the domain or its device as well, "IOMMU:NAME" or
 * dev=NAME, and add fields. "map: iova=.." is an event of
 * which only the fields are printed (the trace option fields, `trace-cmd report -R`).
 *
 * The parser is by hand because reading is most of the work of a replay.
 */
#include <inttypes.h>

#include "plat/compiler.h"
#include "trace/iommu_line.h"
#include "trace/span.h"

#define ANCHOR "IOMMU:"

/* Words that may stand between the event's name and ANCHOR: perf's flags, a symbol. */
#define WORDS_BETWEEN 3

#define NO_ADDRESSES "a map or unmap event without its addresses"
#define NO_PADDR     "a map_sg event, which does not tell the physical addresses"
#define PERF_TRACE   "an event as 'perf trace' prints it: the text of 'perf script' is needed"

static const char *const known[] = {"iova=", "paddr=", "size=", "unmapped_size="};

/* "map:" before @s->at, and back over it. */
static bool back_name(struct span *s, enum trace_kind *kind, bool *perf)
{
	if (!back_literal(s, "map:"))
		return false;
	*kind = back_literal(s, "un") ? TRACE_UNMAP : TRACE_MAP;
	*perf = back_literal(s, "iommu:");
	return s->at == s->start || is_blank(s->at[-1]);
}

/* Skip "NAME=VALUE" that is none of the known fields; it may be the domain's name. */
static bool eat_unknown(struct span *s, struct trace_event *event)
{
	const char *word = s->at, *equals;
	struct span value;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (eat(&(struct span){s->at, s->at, s->end}, known[i]))
			return false;
	skip_word(s);
	equals = memchr(word, '=', (size_t)(s->at - word));
	if (!equals) {
		s->at = word;
		return false;
	}
	value = (struct span){word, word, s->at};
	if (eat(&value, "dev=") || eat(&value, "device=")) {
		event->device = value.at;
		event->device_length = (size_t)(value.end - value.at);
	}
	return true;
}

/* Skip to the field @name, over unknown fields. */
static bool eat_field(struct span *s, const char *name, struct trace_event *event)
{
	if (!at_end(s))
		return false;
	do {
		skip_blanks(s);
		if (eat(s, name))
			return true;
	} while (s->at < s->end && eat_unknown(s, event));
	return false;
}

/* Kernels before 5.18 print no end of the range. */
static bool parse_range(struct span *s, uint64_t *iova, uint64_t *end, bool *has_end)
{
	if (!parse_hex(s, iova))
		return false;
	*has_end = eat(s, " - ");
	return (!*has_end || parse_hex(s, end)) && at_end(s);
}

static bool parse_size(struct span *s, uint64_t *size)
{
	return eat(s, "0x") ? parse_digits(s, size) : parse_decimal(s, size);
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

/* The size that was unmapped counts: a larger leaf is unmapped whole, and a hole ends it. */
static enum trace_kind check_unmapped(struct trace_event *event, enum trace_kind kind,
				      uint64_t unmapped, char *why)
{
	kind = check_event(event, kind, why);
	if (kind != TRACE_UNMAP || unmapped == event->size)
		return kind;
	event->size = unmapped;
	return unmapped ? check_event(event, kind, why) : kind;
}

/* "IOMMU:NAME": the domain, where a vendor's kernel names it. */
static void parse_domain(struct span *s, struct trace_event *event)
{
	const char *name = s->at;

	skip_word(s);
	event->device_length = (size_t)(s->at - name);
	event->device = name;
	if (event->device_length == 6 && !memcmp(name, "(null)", 6))
		event->device_length = 0;
}

/* Parse what follows the fields: fields that perf was asked for, or that others have added. */
static bool parse_rest(struct span *s, struct trace_event *event, bool perf)
{
	while (at_end(s)) {
		skip_blanks(s);
		if (s->at == s->end || perf)
			return true;
		if (!eat_unknown(s, event))
			break;
	}
	return false;
}

/* Parse everything after ANCHOR. */
static enum trace_kind parse_body(struct span *s, struct trace_event *event, enum trace_kind kind,
				  bool perf, char *why)
{
	uint64_t end = 0, unmapped = 0;
	bool has_end, old;

	parse_domain(s, event);
	if (!eat_field(s, "iova=", event))
		return trace_bad(why, NO_ADDRESSES);
	if (!parse_range(s, &event->iova, &end, &has_end))
		return trace_unexpected(s, "a range of 64-bit addresses, 0xIOVA - 0xEND", why);
	if (kind == TRACE_MAP && (!eat_field(s, "paddr=", event) || !parse_hex(s, &event->paddr)))
		return trace_unexpected(s, "paddr= and a 64-bit address", why);
	if (!eat_field(s, "size=", event))
		return trace_unexpected(s, "size= and a 64-bit number of bytes", why);
	old = !has_end && eat(&(struct span){s->at, s->at, s->end}, "0x");
	if (!parse_size(s, &event->size))
		return trace_unexpected(s, "size= and a 64-bit number of bytes", why);
	if (kind == TRACE_UNMAP && eat_field(s, "unmapped_size=", event)) {
		if (!parse_size(s, &unmapped))
			return trace_unexpected(s, "unmapped_size= and a 64-bit number of bytes",
						why);
	} else if (kind == TRACE_UNMAP) {
		if (!old || s->at < s->end)
			return trace_unexpected(s, "unmapped_size= and a 64-bit number of bytes",
						why);
		unmapped = event->size;
	}
	if (!parse_rest(s, event, perf))
		return trace_unexpected(s, "the end of the line", why);
	if (has_end && event->iova + event->size != end)
		return trace_bad(why,
				 "the range 0x%" PRIx64 " - 0x%" PRIx64 " is not of size %" PRIu64,
				 event->iova, end, event->size);
	return check_unmapped(event, kind, unmapped, why);
}

/* Find the last ANCHOR that begins a word. */
static bool find_anchor(struct span *s)
{
	const char *at = s->end;

	while ((at = memrchr(s->start, ANCHOR[4], (size_t)(at - s->start))) != NULL) {
		if (at - s->start < 4 || s->end - at < 2 || memcmp(at - 4, ANCHOR, 6) != 0)
			continue;
		s->at = at - 4;
		if (s->at == s->start || is_blank(s->at[-1]) || s->at[-1] == '(')
			return true;
	}
	return false;
}

/* Go back from the anchor to the event's name. TRACE_OTHER if it is another event. */
static enum trace_kind find_name(struct span *s, bool *perf, char *why)
{
	enum trace_kind kind;

	if (back_char(s, '('))
		return back_literal(s, "map") ? trace_bad(why, PERF_TRACE) : TRACE_OTHER;
	for (int i = 0; i < WORDS_BETWEEN; i++) {
		back_blanks(s);
		if (back_name(s, &kind, perf))
			return kind;
		if (back_literal(s, " map_sg:") || back_literal(s, "iommu:map_sg:"))
			return trace_bad(why, NO_PADDR);
		if (s->at == s->start || s->at[-1] == ':')
			break;
		while (s->at > s->start && !is_blank(s->at[-1]))
			s->at--;
	}
	return TRACE_OTHER;
}

/* Parse the fields of an event that were printed without its format, in any order. */
static enum trace_kind parse_fields(struct span *s, struct trace_event *event, enum trace_kind kind,
				    char *why)
{
	uint64_t value[ARRAY_SIZE(known)];
	unsigned int has = 0, needs = kind == TRACE_MAP ? 1 | 2 | 4 : 1 | 4 | 8;
	size_t i;

	for (skip_blanks(s); s->at < s->end; skip_blanks(s)) {
		for (i = 0; i < ARRAY_SIZE(known) && !eat(s, known[i]); i++)
			;
		if (i == ARRAY_SIZE(known) && !eat_unknown(s, event))
			skip_word(s); /* "(4096)": the same number in decimal */
		if (i == ARRAY_SIZE(known))
			continue;
		if (!parse_size(s, &value[i]) || !at_end(s))
			return trace_bad(why, "no 64-bit number in the event's %s", known[i]);
		has |= 1U << i;
	}
	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (needs & ~has & 1U << i)
			return trace_bad(why, "no %s in the event", known[i]);
	event->iova = value[0];
	event->paddr = kind == TRACE_MAP ? value[1] : 0;
	event->size = value[2];
	if (event->device_length)
		memset(&event->dma, 0, sizeof(event->dma));
	return kind == TRACE_MAP ? check_event(event, kind, why)
				 : check_unmapped(event, kind, value[3], why);
}

/* A line without ANCHOR, which may have the fields of an event, or the name of one. */
static enum trace_kind parse_plain(const char *text, const char *end, struct trace_event *event,
				   char *why)
{
	enum trace_kind kind;
	bool perf, bad = false;

	for (const char *p = text; (p = memmem(p, (size_t)(end - p), "map", 3)) != NULL; p += 3) {
		struct span head = {text, p + 4, end}, body = {text, p + 4, end};
		bool addresses;

		if (p + 4 > end)
			break;
		if (p[3] == '(' && back_literal(&(struct span){text, p, end}, "iommu:"))
			return trace_bad(why, PERF_TRACE);
		if (!back_name(&head, &kind, &perf))
			continue;
		addresses = memmem(body.at, (size_t)(end - body.at), "iova=", 5);
		if (trace_parse_head(&head, event, why)) {
			bad |= addresses; /* unless that was the name of a task */
			continue;
		}
		return addresses ? parse_fields(&body, event, kind, why)
				 : trace_bad(why, NO_ADDRESSES);
	}
	return bad && !trace_is_event(text, end) ? TRACE_BAD : TRACE_OTHER;
}

enum trace_kind trace_parse_iommu_line(const char *text, size_t length, struct trace_event *event,
				       char *why)
{
	struct span head = {text, text, text + length}, body;
	enum trace_kind kind = TRACE_OTHER;
	bool perf = false;

	event->device_length = 0;
	if (find_anchor(&head)) {
		body = (struct span){text, head.at + strlen(ANCHOR), head.end};
		kind = find_name(&head, &perf, why);
	}
	if (kind == TRACE_OTHER)
		return parse_plain(text, text + length, event, why);
	if (kind == TRACE_BAD)
		return kind;
	if (trace_parse_head(&head, event, why)) {
		if (!trace_is_event(text, text + length))
			return TRACE_BAD;
		return parse_plain(text, text + length, event, why);
	}
	kind = parse_body(&body, event, kind, perf, why);
	if (event->device_length)
		memset(&event->dma, 0, sizeof(event->dma));
	return kind;
}
