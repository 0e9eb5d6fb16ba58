/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uiommu/memcontrol.h>
#include <uiommu/mm.h>

#include "trace/engine.h"

#define ARENA_STEP ((uint64_t)2 << 20)

/* A trace can need more tables than there is memory: fail instead of swapping. */
static int limit_arena(void)
{
	uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	struct uiommu_config config = {
		.arena_bytes = memory / 2 / ARENA_STEP * ARENA_STEP,
		.atomic_reserve = 0,
		.phys_base = UIOMMU_PHYS_IS_VIRT,
	};
	int rc = uiommu_init(&config);

	return rc == -EBUSY ? 0 : rc;
}

static int create_memcg(struct engine *engine, uint64_t memory_max)
{
	char text[32];

	engine->memcg = mem_cgroup_create(NULL);
	if (!engine->memcg)
		return -ENOMEM;
	if (memory_max == UINT64_MAX)
		return 0;
	snprintf(text, sizeof(text), "%" PRIu64, memory_max);
	return mem_cgroup_write(engine->memcg, "memory.max", text);
}

/* A domain outside the budget tells the properties of the format. */
static int probe_format(struct engine *engine)
{
	struct iommu_domain *domain = iommu_domain_alloc(&engine->params, GFP_KERNEL);
	struct iommu_domain_info info;

	if (IS_ERR(domain))
		return (int)PTR_ERR(domain);
	iommu_domain_get_info(domain, &info);
	engine->pgsizes = info.pgsizes;
	engine->aperture_start = info.aperture_start;
	engine->aperture_last = info.aperture_last;
	engine->params.address_width = info.address_width;
	iommu_domain_free(domain);
	return iommu_size(engine->params.format, info.address_width, NULL, 0, &engine->size);
}

int engine_init(struct engine *engine, const char *format, unsigned int address_width,
		uint64_t memory_max)
{
	int rc;

	memset(engine, 0, sizeof(*engine));
	engine->params = (struct iommu_domain_params){
		.type = IOMMU_DOMAIN_UNMANAGED,
		.format = format,
		.address_width = address_width,
	};
	rc = limit_arena();
	if (!rc)
		rc = probe_format(engine);
	if (!rc)
		rc = create_memcg(engine, memory_max);
	return rc;
}

uint64_t engine_destroy(struct engine *engine)
{
	uint64_t left;

	for (unsigned int i = 0; i < TRACE_DOMAINS_MAX; i++)
		if (engine->domain[i].domain)
			iommu_domain_free(engine->domain[i].domain);
	if (!engine->memcg)
		return 0;
	left = mem_cgroup_usage(engine->memcg);
	mem_cgroup_put(engine->memcg);
	return left;
}

/* Update the totals with the present tables of a domain. */
static void recount(struct engine *engine, struct engine_domain *domain)
{
	struct iommu_domain_info info;

	iommu_domain_get_info(domain->domain, &info);
	for (unsigned int level = 0; level < IOMMU_MAX_LEVELS; level++) {
		engine->count.tables[level] += info.tables[level] - domain->count.tables[level];
		domain->count.tables[level] = info.tables[level];
	}
	engine->count.bytes += info.table_bytes - domain->count.bytes;
	domain->count.bytes = info.table_bytes;
	domain->levels = info.levels;
}

static int open_domain(struct engine *engine, struct engine_domain *domain)
{
	struct iommu_domain *new;

	if (domain->domain)
		return 0;
	/*
	 * The active cgroup of the allocation is the domain's owner, and is charged for
	 * all of it.
	 */
	mem_cgroup_set_active(engine->memcg);
	new = iommu_domain_alloc(&engine->params, GFP_KERNEL_ACCOUNT);
	mem_cgroup_set_active(NULL);
	if (IS_ERR(new))
		return (int)PTR_ERR(new);
	domain->domain = new;
	recount(engine, domain);
	return 0;
}

int engine_map(struct engine *engine, unsigned int index, const struct trace_event *event)
{
	struct engine_domain *domain = &engine->domain[index];
	int rc = open_domain(engine, domain);

	if (rc)
		return rc;
	rc = iommu_map(domain->domain, event->iova, event->paddr, event->size,
		       IOMMU_READ | IOMMU_WRITE, GFP_KERNEL_ACCOUNT);
	if (!rc)
		engine->mapped_bytes += event->size;
	recount(engine, domain);
	return rc;
}

uint64_t engine_unmap(struct engine *engine, unsigned int index, uint64_t iova, uint64_t size)
{
	struct engine_domain *domain = &engine->domain[index];
	uint64_t unmapped = iommu_unmap(domain->domain, iova, size);

	engine->mapped_bytes -= unmapped;
	recount(engine, domain);
	return unmapped;
}

int engine_split(struct engine *engine, unsigned int index, uint64_t iova, uint64_t size)
{
	struct engine_domain *domain = &engine->domain[index];
	int rc = iommu_split_mapping(domain->domain, iova, size, GFP_KERNEL_ACCOUNT);

	recount(engine, domain);
	return rc;
}

bool engine_has_pages(const struct engine *engine, uint64_t iova, uint64_t paddr, uint64_t size)
{
	return !((iova | paddr | size) & (engine->size.granule - 1));
}

bool engine_in_aperture(const struct engine *engine, uint64_t iova, uint64_t last)
{
	return iova >= engine->aperture_start && last <= engine->aperture_last;
}

uint64_t engine_memcg_read(struct engine *engine, const char *file, const char *key)
{
	char text[512], *line = text;
	size_t length = key ? strlen(key) : 0;

	if (mem_cgroup_read(engine->memcg, file, text, sizeof(text)) < 0)
		return 0;
	while (key && (strncmp(line, key, length) != 0 || line[length] != ' ')) {
		line = strchr(line, '\n');
		if (!line)
			return 0;
		line++;
	}
	return strtoull(line + length, NULL, 10);
}

uint64_t engine_budget_hits(struct engine *engine)
{
	return engine_memcg_read(engine, "memory.events", "max");
}
