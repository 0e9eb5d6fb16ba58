/* SPDX-License-Identifier: MIT */
/*
 * TASK-PID [CPU] FLAGS TIME: dma_map_page: DEVICE dir=.. dma_addr=.. size=N phys_addr=.. attrs=..
 *
 * and the like: fields in this form follow the device, and which of them an event
 * must have is in a table. Kernels 6.12 and later have them; the names of the
 * events changed in 6.18 (dma_map_phys). Lists are {0x1,0x2} in tracefs and
 * 1 2, in decimal, in trace-cmd.
 *
 * A dma_alloc does not tell where the memory is: some kernels print a virtual
 * address, some what that would be if it were in the direct map, which memory that
 * was made contiguous for the CPU is not. The tables depend only on how large and
 * aligned its blocks are, so it is taken to be as aligned as its dma address.
 */
#include <inttypes.h>
#include <string.h>

#include "plat/compiler.h"
#include "trace/dma_line.h"
#include "trace/span.h"

/* A kernel prints no more of a list of dma_map_sg, but all of dma_unmap_sg's. */
#define KERNEL_ENTRIES 128

#define RAW_FIELDS "only the event's fields, which do not tell hexadecimal from decimal"

/* What dma_map_page() returns when it fails. */
#define MAPPING_ERROR UINT64_MAX

enum {
	HAS_DMA_ADDR = 1,
	HAS_SIZE = 2,
	HAS_PHYS_ADDR = 4,
	HAS_DMA_ADDRS = 8,
	HAS_SIZES = 16,
	HAS_PHYS_ADDRS = 32,
	HAS_ATTRS = 64,
	FIELDS = 127,
	IS_ALLOC = 128,
	RANGE = HAS_DMA_ADDR | HAS_SIZE,
};

static const struct dma_event {
	const char *name;
	enum trace_kind kind;
	unsigned int needs;
} events[] = {
	{"dma_map_phys:", TRACE_DMA_MAP, RANGE | HAS_PHYS_ADDR | HAS_ATTRS},
	{"dma_map_page:", TRACE_DMA_MAP, RANGE | HAS_PHYS_ADDR | HAS_ATTRS},
	{"dma_unmap_phys:", TRACE_DMA_UNMAP, RANGE | HAS_ATTRS},
	{"dma_unmap_page:", TRACE_DMA_UNMAP, RANGE | HAS_ATTRS},
	{"dma_map_sg:", TRACE_DMA_MAP, HAS_DMA_ADDRS | HAS_SIZES | HAS_PHYS_ADDRS | HAS_ATTRS},
	{"dma_unmap_sg:", TRACE_DMA_UNMAP, HAS_PHYS_ADDRS | HAS_ATTRS},
	{"dma_map_resource:", TRACE_DMA_MAP, RANGE | HAS_PHYS_ADDR | HAS_ATTRS},
	{"dma_unmap_resource:", TRACE_DMA_UNMAP, RANGE | HAS_ATTRS},
	{"dma_alloc:", TRACE_DMA_MAP, RANGE | HAS_ATTRS | IS_ALLOC},
	{"dma_alloc_pages:", TRACE_DMA_MAP, RANGE | HAS_ATTRS | IS_ALLOC},
	{"dma_alloc_sgt:", TRACE_DMA_MAP, RANGE | HAS_PHYS_ADDRS | HAS_ATTRS},
	{"dma_free:", TRACE_DMA_UNMAP, RANGE | HAS_ATTRS},
	{"dma_free_pages:", TRACE_DMA_UNMAP, RANGE | HAS_ATTRS},
	{"dma_free_sgt:", TRACE_DMA_UNMAP, RANGE | HAS_PHYS_ADDRS},
};

static const struct {
	const char *key;
	unsigned int bit;
	const char *value;
} fields[] = {
	{"dma_addr=", HAS_DMA_ADDR, "dma_addr= and a 64-bit address"},
	{"size=", HAS_SIZE, "size= and a 64-bit number of bytes"},
	{"phys_addr=", HAS_PHYS_ADDR, "phys_addr= and a 64-bit address"},
	{"dma_addrs=", HAS_DMA_ADDRS, "dma_addrs= and a list of 64-bit addresses"},
	{"sizes=", HAS_SIZES, "sizes= and a list of numbers of bytes"},
	{"phys_addrs=", HAS_PHYS_ADDRS, "phys_addrs= and a list of 64-bit addresses"},
	{"attrs=", HAS_ATTRS, "attrs="},
};

/* What was read of a line's fields. */
struct dma_fields {
	uint64_t dma_addr, size, phys_addr;
	unsigned int has;
	bool no_memory; /* an allocation that failed */
};

static bool parse_number(struct span *s, uint64_t *value)
{
	return eat(s, "0x") ? parse_digits(s, value) : parse_decimal(s, value);
}

static bool parse_list(struct span *s, struct trace_list *list)
{
	bool braces = eat(s, "{");
	uint64_t value;

	*list = (struct trace_list){.text = s->at};
	while (s->at < s->end && is_digit(*s->at)) {
		if (!parse_number(s, &value))
			return false;
		list->nr++;
		list->length = (size_t)(s->at - list->text);
		/* A blank may also end the list: then no number follows. */
		if (s->at + 1 < s->end && is_digit(s->at[1]) && *s->at == (braces ? ',' : ' '))
			s->at++;
		else
			break;
	}
	return list->nr && (!braces || eat(s, "}"));
}

static bool list_next(struct trace_list *list, uint64_t *value)
{
	struct span s;

	*value = 0;
	if (!list->nr)
		return false;
	s = (struct span){list->text, list->text, list->text + list->length};
	parse_number(&s, value);
	list->nr--;
	if (list->nr)
		s.at++;
	list->length = (size_t)(s.end - s.at);
	list->text = s.at;
	return true;
}

static bool parse_value(struct span *s, unsigned int bit, struct dma_fields *read,
			struct trace_dma *dma)
{
	switch (bit) {
	case HAS_DMA_ADDR:
		eat(s, "0x");
		return parse_digits(s, &read->dma_addr);
	case HAS_SIZE:
		return parse_decimal(s, &read->size);
	case HAS_PHYS_ADDR:
		eat(s, "0x");
		return parse_digits(s, &read->phys_addr);
	case HAS_DMA_ADDRS:
		return parse_list(s, &dma->dma_addrs);
	case HAS_SIZES:
		return parse_list(s, &dma->sizes);
	case HAS_PHYS_ADDRS:
		return parse_list(s, &dma->phys_addrs);
	}
	return true;
}

/* A null pointer by %p of the kernel or of the C library. */
static bool is_null(struct span *s)
{
	bool null =
		eat(s, "(nil)") || eat(s, "(null)") || eat(s, "0000000000000000") || eat(s, "0x0");

	return null && at_end(s);
}

/* Parse one field. Fields that are not in the table are skipped. Returns 0 or -1. */
static int parse_field(struct span *s, struct dma_fields *read, struct trace_dma *dma, char *why)
{
	const char *start = s->at;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (!eat(s, fields[i].key))
			continue;
		if (!parse_value(s, fields[i].bit, read, dma) ||
		    (fields[i].bit != HAS_ATTRS && !at_end(s))) {
			s->at = start;
			trace_unexpected(s, fields[i].value, why);
			return -1;
		}
		read->has |= fields[i].bit;
		skip_word(s);
		return 0;
	}
	if (eat(s, "virt_addr="))
		read->no_memory = is_null(s);
	else if (eat(s, "[TRUNCATED]"))
		dma->truncated = true;
	skip_word(s);
	if (!memchr(start, '=', (size_t)(s->at - start)) && *start != '[') {
		s->at = start;
		trace_unexpected(s, "a field, NAME=VALUE", why);
		return -1;
	}
	return 0;
}

/* perf adds to the fields what it was asked for. */
static int parse_fields(struct span *s, const struct dma_event *of, bool perf,
			struct dma_fields *read, struct trace_dma *dma, char *why)
{
	for (;;) {
		skip_blanks(s);
		if (s->at == s->end || (perf && !(of->needs & ~read->has & FIELDS)))
			break;
		if (parse_field(s, read, dma, why))
			return -1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (of->needs & ~read->has & fields[i].bit) {
			trace_unexpected(s, fields[i].value, why);
			return -1;
		}
	return 0;
}

/* Round to whole pages around [iova, iova + size). Returns false if it is empty, or wraps. */
static bool round_out(struct trace_event *event, uint64_t iova, uint64_t size, uint64_t paddr)
{
	uint64_t last = iova + (size - 1);

	event->iova = iova & ~PAGE_MASK;
	event->size = (last | PAGE_MASK) - event->iova + 1;
	event->paddr = paddr & ~PAGE_MASK;
	return size && last >= iova && event->size;
}

static enum trace_kind check_lists(struct trace_event *event, enum trace_kind kind, char *why)
{
	struct trace_dma *dma = &event->dma;
	struct trace_list addrs = dma->dma_addrs, sizes = dma->sizes, phys = dma->phys_addrs;
	uint64_t iova, size, paddr;

	if (addrs.nr != sizes.nr)
		return trace_bad(why, "%u dma_addrs, but %u sizes", addrs.nr, sizes.nr);
	if (addrs.nr > phys.nr)
		return trace_bad(why, "%u dma_addrs for %u phys_addrs", addrs.nr, phys.nr);
	dma->direct = addrs.nr;
	while (list_next(&addrs, &iova) && list_next(&sizes, &size) && list_next(&phys, &paddr)) {
		if (!round_out(event, iova, size, paddr))
			return trace_bad(why,
					 "a size is 0, or a range wraps: iova 0x%" PRIx64
					 ", size %" PRIu64,
					 iova, size);
		dma->direct &= iova == paddr;
	}
	return kind;
}

static enum trace_kind check_range(struct trace_event *event, const struct dma_event *of,
				   const struct dma_fields *read, char *why)
{
	uint64_t paddr = read->has & HAS_PHYS_ADDR ? read->phys_addr : read->dma_addr;

	if (read->dma_addr == MAPPING_ERROR || (of->needs & IS_ALLOC && read->no_memory))
		return TRACE_OTHER; /* it failed in the traced kernel */
	if (!read->size)
		return trace_bad(why, "size is 0");
	if (!round_out(event, read->dma_addr, read->size,
		       of->needs & IS_ALLOC ? read->dma_addr : paddr))
		return trace_bad(why, "the range wraps: dma_addr 0x%" PRIx64 ", size %" PRIu64,
				 read->dma_addr, read->size);
	event->dma.direct = read->has & HAS_PHYS_ADDR && read->phys_addr == read->dma_addr;
	return of->kind;
}

/* Parse what follows the name of the event. */
static enum trace_kind parse_body(struct span *s, struct trace_event *event,
				  const struct dma_event *of, bool perf, char *why)
{
	struct dma_fields read = {0};
	struct trace_dma *dma = &event->dma;

	memset(dma, 0, sizeof(*dma));
	skip_blanks(s);
	if (eat(&(struct span){s->at, s->at, s->end}, "device="))
		return trace_bad(why, RAW_FIELDS);
	event->device = s->at;
	skip_word(s);
	event->device_length = (size_t)(s->at - event->device);
	if (!event->device_length || memchr(event->device, '=', event->device_length))
		return trace_bad(why, "no device in the event");
	if (parse_fields(s, of, perf, &read, dma, why))
		return TRACE_BAD;
	/* dma_free_sgt has the range as well. */
	dma->lists = of->needs & HAS_PHYS_ADDRS &&
		     (of->kind == TRACE_DMA_MAP || !(of->needs & HAS_DMA_ADDR));
	if (of->needs & HAS_DMA_ADDR)
		return check_range(event, of, &read, why);
	return of->kind == TRACE_DMA_MAP ? check_lists(event, of->kind, why) : of->kind;
}

static const struct dma_event *find_event(struct span *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(events); i++)
		if (eat(s, events[i].name))
			return &events[i];
	return NULL;
}

enum trace_kind trace_parse_dma_line(const char *text, size_t length, struct trace_event *event,
				     char *why)
{
	const char *end = text + length, *p = text;
	enum trace_kind kind = TRACE_OTHER;

	/* The name may occur in the name of the task as well. */
	while ((p = memmem(p, (size_t)(end - p), "dma_", 4)) != NULL) {
		struct span head = {text, p, end}, body = {text, p, end};
		const struct dma_event *of = find_event(&body);
		bool perf;

		p += 4;
		if (!of)
			continue;
		perf = back_literal(&head, "dma:");
		if (head.at > text && !is_blank(head.at[-1]))
			continue;
		if (!trace_parse_head(&head, event, why))
			return parse_body(&body, event, of, perf, why);
		if (!trace_is_event(text, end))
			kind = TRACE_BAD;
	}
	return kind;
}

void trace_pieces_begin(struct trace_pieces *pieces, const struct trace_event *event)
{
	const struct trace_dma *dma = &event->dma;
	struct trace_list sizes = dma->sizes;
	uint64_t size;

	*pieces = (struct trace_pieces){dma->dma_addrs, dma->sizes, dma->phys_addrs, 0, 0, 0, 0};
	if (!dma->dma_addrs.nr) { /* one range, of dma_alloc_sgt */
		pieces->iova = event->iova;
		pieces->pages = event->size / (PAGE_MASK + 1);
		pieces->parts = dma->phys_addrs.nr;
	}
	while (list_next(&sizes, &size))
		pieces->bytes += size;
}

/* How many pieces of the memory belong to the next address of the device. */
static unsigned int count_parts(const struct trace_pieces *pieces, uint64_t size)
{
	unsigned int addrs = pieces->dma_addrs.nr + 1, memory = pieces->phys_addrs.nr, most;
	double share = (double)size / (double)pieces->bytes * memory + 0.5;

	if (addrs == 1 || addrs >= memory)
		return addrs == 1 ? memory : 1;
	most = memory - (addrs - 1);
	return share < 1 ? 1 : share > most ? most : (unsigned int)share;
}

bool trace_pieces_next(struct trace_pieces *pieces, struct trace_event *piece)
{
	uint64_t iova, size, paddr = 0, pages;

	if (!pieces->pages) {
		if (!list_next(&pieces->dma_addrs, &iova) || !list_next(&pieces->sizes, &size))
			return false;
		pieces->parts = count_parts(pieces, size);
		pieces->bytes -= size;
		round_out(piece, iova, size, 0);
		pieces->iova = piece->iova;
		pieces->pages = piece->size / (PAGE_MASK + 1);
	}
	if (pieces->parts > pieces->pages)
		pieces->parts = (unsigned int)pieces->pages;
	list_next(&pieces->phys_addrs, &paddr);
	pages = pieces->parts > 1 ? pieces->pages / pieces->parts : pieces->pages;
	piece->iova = pieces->iova;
	piece->size = pages * (PAGE_MASK + 1);
	piece->paddr = paddr & ~PAGE_MASK;
	pieces->iova += piece->size;
	pieces->pages -= pages;
	pieces->parts -= pieces->parts > 1;
	return true;
}

uint64_t trace_list_key(const struct trace_list *list)
{
	struct trace_list rest = *list;
	uint64_t key = 0x9e3779b97f4a7c15, value;

	for (unsigned int i = 0; i < KERNEL_ENTRIES && list_next(&rest, &value); i++)
		key = (key ^ value) * 0xff51afd7ed558ccd ^ key >> 29;
	return key;
}
