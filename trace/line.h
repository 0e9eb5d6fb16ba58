/* SPDX-License-Identifier: MIT */
/*
 * One line of an ftrace text, as tracefs' trace file and `trace-cmd report`
 * print it (and `perf script`, which differs in blanks only).
 */
#ifndef TRACE_LINE_H
#define TRACE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum trace_kind {
	TRACE_MAP,       /* an iommu:map event */
	TRACE_UNMAP,     /* an iommu:unmap event */
	TRACE_DMA_MAP,   /* one of the dma events that map */
	TRACE_DMA_UNMAP, /* one of those that take away */
	TRACE_LOST,      /* the tracer says that it dropped events here */
	TRACE_OTHER,     /* a comment, a heading, an event of another kind */
	TRACE_BAD,       /* nothing that a trace can hold */
};

/* Numbers of a list, as text that was found to be well-formed. */
struct trace_list {
	const char *text;
	size_t length;
	unsigned int nr;
};

/*
 * What only the dma events have. Where there are lists, iova, size and paddr are
 * in trace_pieces_next() (dma_line.h), or, for TRACE_DMA_UNMAP, nowhere: it tells
 * what was mapped by @phys_addrs.
 */
struct trace_dma {
	const char *device;
	size_t device_length;
	bool direct;    /* the device was given the physical address: no IOMMU */
	bool lists;     /* there are any of these */
	bool truncated; /* the kernel printed the first of them only */
	struct trace_list dma_addrs, sizes, phys_addrs;
};

/*
 * An event. @iova + @size - 1 does not wrap, and the addresses and the size are
 * multiples of 4096; those of the dma events are rounded out, as dma-iommu does. @size is what was
 * unmapped, which may differ from what was asked for; it is 0 only for an unmap that found nothing.
 */
struct trace_event {
	uint64_t iova;
	uint64_t size;
	uint64_t paddr;   /* map only */
	uint64_t time;    /* nanoseconds on the tracer's clock */
	uint64_t dropped; /* TRACE_LOST only: how many; 0 when it does not say */
	uint32_t pid;
	uint32_t cpu;
	struct trace_dma dma; /* TRACE_DMA_MAP and _UNMAP only */
};

#define TRACE_WHY_SIZE 160

/*
 * Read one line, without its newline. For TRACE_BAD, @why says what is wrong
 * with it; nothing of @event counts then.
 */
enum trace_kind trace_parse_line(const char *text, size_t length, struct trace_event *event,
				 char why[TRACE_WHY_SIZE]);

#endif
