/* SPDX-License-Identifier: MIT */
/*
 * The device of a dma event, and the addresses that a device has for a list of memory:
 * the event that unmaps a list names only the memory.
 */
#ifndef TRACE_DEVICES_H
#define TRACE_DEVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct devices;

/* What dma_map_sg mapped: the runs of one event in [first, last]. */
struct mapped_list {
	uint64_t first, last;
	uint64_t event;
};

struct devices *devices_new(void);
void devices_free(struct devices *devices);

/* The number of a name, or -1. */
int devices_find(struct devices *devices, const char *name, size_t length);
/* Give a name a number. Returns 0 or -ENOMEM. */
int devices_add(struct devices *devices, const char *name, size_t length, unsigned int number);

/* Remember a list by its key. The most recent list of a key is taken first. */
int devices_add_list(struct devices *devices, unsigned int device, uint64_t key,
		     const struct mapped_list *list);
bool devices_take_list(struct devices *devices, unsigned int device, uint64_t key,
		       struct mapped_list *list);

#endif
