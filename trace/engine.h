/* SPDX-License-Identifier: MIT */
/*
 * The domains of a replay in the library, all charged to one memory cgroup.
 */
#ifndef TRACE_ENGINE_H
#define TRACE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include <uiommu/iommu.h>
#include <uiommu/size.h>

#include "trace/domains.h"

struct table_count {
	uint64_t tables[IOMMU_MAX_LEVELS]; /* index is the level, 0 the lowest */
	uint64_t bytes;
};

struct engine_domain {
	struct iommu_domain *domain; /* NULL until its first map */
	struct table_count count;
	unsigned int levels;
};

struct engine {
	struct iommu_domain_params params;
	struct mem_cgroup *memcg;
	struct engine_domain domain[TRACE_DOMAINS_MAX];
	struct table_count count; /* of all domains */
	uint64_t mapped_bytes;
	uint64_t pgsizes;
	struct iommu_size size; /* what a table of each level takes */
	dma_addr_t aperture_start;
	dma_addr_t aperture_last;
};

/*
 * Domains of a format, under a budget of @memory_max bytes (UINT64_MAX: none). The
 * library may use half of the machine's memory. Returns 0; -EINVAL when the format has
 * no such address width; -ENOMEM. There may be several engines, each with a memory
 * cgroup of its own.
 */
int engine_init(struct engine *engine, const char *format, unsigned int address_width,
		uint64_t memory_max);

/* Free every domain. Returns the bytes that are still charged then: 0. */
uint64_t engine_destroy(struct engine *engine);

/* As iommu_map() and iommu_unmap(), in domain @index. */
int engine_map(struct engine *engine, unsigned int index, const struct trace_event *event);
uint64_t engine_unmap(struct engine *engine, unsigned int index, uint64_t iova, uint64_t size);

/* Prepare for unmapping a part of a mapping, as iommu_split_mapping(). */
int engine_split(struct engine *engine, unsigned int index, uint64_t iova, uint64_t size);

/* Does a range consist of whole pages of the format? */
bool engine_has_pages(const struct engine *engine, uint64_t iova, uint64_t paddr, uint64_t size);

/* Can the address be mapped at all? */
bool engine_in_aperture(const struct engine *engine, uint64_t iova, uint64_t last);

/* How often memory.max refused a charge. */
uint64_t engine_budget_hits(struct engine *engine);

/* A number in one of the memory cgroup's files; @key names a line, or is NULL. */
uint64_t engine_memcg_read(struct engine *engine, const char *file, const char *key);

#endif
