/* SPDX-License-Identifier: MIT */
/*
 * One line of an ftrace text, as tracefs' trace file, `trace-cmd report` and
 * `perf script` print it.
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
	TRACE_SWITCH,    /* function_graph's: what a CPU runs from here on */
	TRACE_OTHER,     /* no event of these kinds: a comment, a stack, anything else */
	TRACE_BAD,       /* such an event, but something of it is missing or wrong */
};

/* The unit of a time stamp. */
enum trace_clock {
	TRACE_CLOCK_NONE,  /* there is no time stamp */
	TRACE_CLOCK_NS,    /* nanoseconds */
	TRACE_CLOCK_TICKS, /* an integer in an unknown unit: of x86-tsc, counter, boot, ... */
};

/* The numbers of a list, as text that was checked to be well-formed. */
struct trace_list {
	const char *text;
	size_t length;
	unsigned int nr;
};

/*
 * The fields of dma events only. If there are lists, iova, size and paddr are got from
 * trace_pieces_next() (dma_line.h). A TRACE_DMA_UNMAP with lists has none of them: it
 * names what was mapped by @phys_addrs.
 */
struct trace_dma {
	bool direct;    /* the device was given the physical address: no IOMMU */
	bool lists;     /* the event has any of these lists */
	bool truncated; /* the kernel printed only the first of them */
	struct trace_list dma_addrs, sizes, phys_addrs;
};

/*
 * An event. @iova + @size - 1 does not wrap, and the addresses and the size are
 * multiples of 4096; those of the dma events are rounded out, as in dma-iommu. @size is
 * what was unmapped, which may differ from what was asked for. It is 0 only for an
 * unmap that found nothing.
 */
struct trace_event {
	uint64_t iova;
	uint64_t size;
	uint64_t paddr; /* map only */
	uint64_t time;  /* in the unit of @clock */
	enum trace_clock clock;
	uint64_t dropped; /* TRACE_LOST only: how many; 0 if unknown */
	uint32_t pid;
	uint32_t cpu;         /* 0 if unknown */
	uint32_t was_pid;     /* TRACE_SWITCH only: what the CPU ran before */
	bool no_task;         /* the CPU is known, but not the task that it runs */
	const char *device;   /* the owner of the domain: in all dma events, in few others */
	size_t device_length; /* 0: unknown */
	struct trace_dma dma; /* TRACE_DMA_MAP and _UNMAP only */
};

#define TRACE_WHY_SIZE 160

/*
 * Parse one line, without its newline. For TRACE_BAD, @why says what is wrong with it,
 * and @event has no meaning.
 */
enum trace_kind trace_parse_line(const char *text, size_t length, struct trace_event *event,
				 char why[TRACE_WHY_SIZE]);

#endif
