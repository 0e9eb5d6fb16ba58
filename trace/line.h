/* SPDX-License-Identifier: MIT */
/*
 * One line of an ftrace text, as tracefs' trace file and `trace-cmd report`
 * print it (and `perf script`, which differs in blanks only).
 */
#ifndef TRACE_LINE_H
#define TRACE_LINE_H

#include <stddef.h>
#include <stdint.h>

enum trace_kind {
	TRACE_MAP,   /* an iommu:map event */
	TRACE_UNMAP, /* an iommu:unmap event */
	TRACE_LOST,  /* the tracer says that it dropped events here */
	TRACE_OTHER, /* a comment, a heading, an event of another kind */
	TRACE_BAD,   /* nothing that a trace can hold */
};

/*
 * An event. @iova + @size - 1 does not wrap, and the addresses and the size are
 * multiples of 4096. @size is what was unmapped, which may differ from what was
 * asked for; it is 0 only for an unmap that found nothing.
 */
struct trace_event {
	uint64_t iova;
	uint64_t size;
	uint64_t paddr;   /* map only */
	uint64_t time;    /* nanoseconds on the tracer's clock */
	uint64_t dropped; /* TRACE_LOST only: how many; 0 when it does not say */
	uint32_t pid;
	uint32_t cpu;
};

#define TRACE_WHY_SIZE 160

/*
 * Read one line, without its newline. For TRACE_BAD, @why says what is wrong
 * with it; nothing of @event counts then.
 */
enum trace_kind trace_parse_line(const char *text, size_t length, struct trace_event *event,
				 char why[TRACE_WHY_SIZE]);

#endif
