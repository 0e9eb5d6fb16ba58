/* SPDX-License-Identifier: MIT */
/*
 * Objects by number: a radix tree that hands out the lowest free number from 1.
 * Taking one out neither fails nor allocates, and gives back what it no longer
 * needs, so that a map of nothing takes nothing.
 */
#ifndef IOMMUFD_IDMAP_H
#define IOMMUFD_IDMAP_H

#include <stdbool.h>
#include <stdint.h>

struct idmap_node;
struct mem_cgroup;

/* All 0 is empty. */
struct idmap {
	struct idmap_node *root;
	unsigned int height; /* levels; 0 when empty */
};

#define IDMAP_MAX 0x7fffffffu

/* Put @entry, which is not NULL, under the lowest free number. -ENOMEM. */
int idmap_alloc(struct idmap *map, struct mem_cgroup *memcg, void *entry, uint32_t *id);
/* NULL for a number that is not used. */
void *idmap_find(const struct idmap *map, uint32_t id);
/* The entry under the lowest number of at least *id, which becomes that number; or NULL. */
void *idmap_next(const struct idmap *map, uint32_t *id);
/* Put another entry in the place of that under @id, which is used. */
void idmap_replace(struct idmap *map, uint32_t id, void *entry);
/* @id is used. */
void idmap_erase(struct idmap *map, uint32_t id);

static inline bool idmap_empty(const struct idmap *map)
{
	return !map->root;
}

#endif
