/* SPDX-License-Identifier: MIT */
/*
 * The events of the kernel's DMA API (include/trace/events/dma.h). They name the device
 * and the arguments of the call, instead of what was mapped for it.
 */
#ifndef TRACE_DMA_LINE_H
#define TRACE_DMA_LINE_H

#include "trace/line.h"

/* As trace_parse_line(); TRACE_OTHER when there is no such event in the line. */
enum trace_kind trace_parse_dma_line(const char *text, size_t length, struct trace_event *event,
				     char *why);

/*
 * The mappings of an event with lists. Each piece is whole pages. Where the device was
 * given one address for several pieces of memory, the trace does not have their single
 * lengths: they are assumed to be equal.
 */
struct trace_pieces {
	struct trace_list dma_addrs, sizes, phys_addrs;
	uint64_t bytes; /* of all addresses that are left */
	uint64_t iova;  /* what is left of the present one */
	uint64_t pages;
	unsigned int parts;
};

void trace_pieces_begin(struct trace_pieces *pieces, const struct trace_event *event);
/* Get the iova, size and paddr of the next piece. Returns false after the last one. */
bool trace_pieces_next(struct trace_pieces *pieces, struct trace_event *piece);

/* Equal for the same memory, whether the kernel has truncated the list or not. */
uint64_t trace_list_key(const struct trace_list *list);

#endif
