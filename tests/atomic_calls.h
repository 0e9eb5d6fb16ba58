/* SPDX-License-Identifier: MIT */
/*
 * Every call that may be made in an atomic section, and what it needs. Each takes
 * back what it did, so that it can be made again at once, also from two threads
 * with a place of its own each.
 */
#ifndef TESTS_ATOMIC_CALLS_H
#define TESTS_ATOMIC_CALLS_H

#include <uiommu/dirty.h>
#include <uiommu/dma-mapping.h>
#include <uiommu/iova.h>
#include <uiommu/mm.h>

#include "tests/device.h"

#include "mm/page.h"

#define DMA_MEMORY 65536
#define PIECES     8

struct stage {
	const struct iommu_format *format;
	struct mem_cgroup *memcg;
	struct iommu_domain *domain; /* for iommu_map() */
	struct iova_domain *iovad;
	/* for the DMA API: a device as usual, a lazy one, one that is not trusted */
	struct iommu_domain *dma_domain, *lazy_domain;
	struct iommu_group *group[3];
	struct hardware hw[3];
	struct iommu_device *dev, *lazy, *untrusted;
	unsigned char *memory;
	uint64_t page;
	unsigned int flushes;
};

/* Who makes calls: where in the domain, with what, and in whose name. */
struct caller {
	struct stage *stage;
	uint64_t iova; /* 2 GiB are its own */
	gfp_t gfp;
};

static void stage_flush(void *context, struct iommu_domain *domain, dma_addr_t iova,
			dma_addr_t last, bool tables)
{
	__atomic_fetch_add(&((struct stage *)context)->flushes, 1, __ATOMIC_RELAXED);
}

static const struct iommu_iotlb_ops stage_iotlb_ops = {.flush = stage_flush};

static inline struct iommu_domain *stage_domain(struct stage *s, enum iommu_domain_type type)
{
	struct iommu_domain *domain =
		alloc_domain(&(struct shape){s->format, 0}, type, GFP_KERNEL_ACCOUNT);

	assert_false(IS_ERR(domain));
	iommu_domain_set_iotlb_ops(domain, &stage_iotlb_ops, s);
	return domain;
}

static inline struct iommu_device *stage_device(struct stage *s, unsigned int i,
						struct iommu_domain *domain)
{
	struct iommu_device *dev;

	s->group[i] = iommu_group_alloc(GFP_KERNEL_ACCOUNT);
	assert_false(IS_ERR(s->group[i]));
	dev = new_device(&s->hw[i], s->group[i]);
	assert_int_equal(iommu_group_set_default_domain(s->group[i], domain), 0);
	assert_int_equal(iommu_setup_dma_ops(dev, GFP_KERNEL_ACCOUNT), 0);
	return dev;
}

static inline void stage_begin(struct stage *s, const struct iommu_format *format)
{
	*s = (struct stage){.format = format, .page = smallest_page(format)};
	s->memcg = enter_cgroup(NULL);
	s->domain = stage_domain(s, IOMMU_DOMAIN_UNMANAGED);
	s->iovad = iova_domain_alloc(4096, 1, (1ULL << 20) - 1, GFP_KERNEL_ACCOUNT);
	assert_false(IS_ERR(s->iovad));
	s->dma_domain = stage_domain(s, IOMMU_DOMAIN_DMA);
	s->lazy_domain = stage_domain(s, IOMMU_DOMAIN_DMA);
	s->dev = stage_device(s, 0, s->dma_domain);
	s->lazy = stage_device(s, 1, s->lazy_domain);
	s->untrusted = stage_device(s, 2, s->dma_domain);
	assert_int_equal(iommu_dma_init_fq(s->lazy_domain, GFP_KERNEL), 0);
	dev_set_untrusted(s->untrusted, true);
	s->memory = aligned_alloc(DMA_MEMORY, DMA_MEMORY);
	assert_non_null(s->memory);
	memset(s->memory, 1, DMA_MEMORY);
}

static inline void stage_end(struct stage *s)
{
	iommu_device_unregister(s->dev);
	iommu_device_unregister(s->lazy);
	iommu_device_unregister(s->untrusted);
	for (unsigned int i = 0; i < 3; i++)
		iommu_group_put(s->group[i]);
	iommu_domain_free(s->domain);
	iommu_domain_free(s->dma_domain);
	iommu_domain_free(s->lazy_domain);
	iova_domain_free(s->iovad);
	free(s->memory);
	leave_cgroup(s->memcg);
}

/* ---- core ---- */

/* Mapped or refused for want of memory, and in the end nothing is there. */
static inline bool map_and_unmap(const struct caller *c, uint64_t iova, uint64_t size)
{
	struct iommu_domain *domain = c->stage->domain;

	if (iommu_map(domain, iova, size, size, RW, c->gfp))
		return false;
	return iommu_iova_to_phys(domain, iova + size - 1) == 2 * size - 1 &&
	       iommu_unmap(domain, iova, size) == size && !iommu_iova_to_phys(domain, iova);
}

static inline bool call_map_page(const struct caller *c)
{
	return map_and_unmap(c, c->iova, c->stage->page);
}

/* Over the edge of two tables of the lowest level. */
static inline bool call_map_pages(const struct caller *c)
{
	uint64_t span = lowest_table_span(c->stage->format);

	return map_and_unmap(c, c->iova + span - 8 * c->stage->page, 16 * c->stage->page);
}

static inline bool call_map_sg(const struct caller *c)
{
	struct iommu_iotlb_gather gather;
	struct iommu_sg sg[PIECES];
	uint64_t page = c->stage->page;

	for (unsigned int i = 0; i < PIECES; i++)
		sg[i] = (struct iommu_sg){(3 * i + 1) * page, 2 * page};
	if (iommu_map_sg(c->stage->domain, c->iova, sg, PIECES, RW, c->gfp) !=
	    (ssize_t)(2 * PIECES * page))
		return false;
	iommu_iotlb_gather_init(&gather);
	if (iommu_unmap_fast(c->stage->domain, c->iova, 2 * PIECES * page, &gather) !=
	    2 * PIECES * page)
		return false;
	iommu_iotlb_sync(c->stage->domain, &gather);
	return true;
}

/* What is in the way is met after most of it is mapped, which is undone. */
static inline bool call_map_undone(const struct caller *c)
{
	struct iommu_domain *domain = c->stage->domain;
	uint64_t page = c->stage->page, last = c->iova + 15 * page;
	int ret;

	if (iommu_map(domain, last, page, page, RW, c->gfp))
		return false;
	ret = iommu_map(domain, c->iova, 0, 16 * page, RW, c->gfp);
	return iommu_unmap(domain, last, page) == page && ret == -EADDRINUSE &&
	       !iommu_iova_to_phys(domain, c->iova);
}

/* An entry of a higher level where there is one. */
static inline bool call_split(const struct caller *c)
{
	struct iommu_domain *domain = c->stage->domain;
	uint64_t span = lowest_table_span(c->stage->format), page = c->stage->page;
	bool split;

	if (iommu_map(domain, c->iova, span, span, RW, c->gfp))
		return false;
	split = !iommu_split_mapping(domain, c->iova + page, page, c->gfp);
	if (!split)
		return iommu_unmap(domain, c->iova, span) != span;
	return iommu_unmap(domain, c->iova + page, page) == page &&
	       iommu_unmap(domain, c->iova, page) == page &&
	       iommu_unmap(domain, c->iova + 2 * page, span - 2 * page) == span - 2 * page;
}

static void count_dirty(void *context, dma_addr_t iova, dma_addr_t last)
{
	*(uint64_t *)context += last - iova + 1;
}

static inline bool call_dirty(const struct caller *c)
{
	struct iommu_domain *domain = c->stage->domain;
	uint64_t found = 0, page = c->stage->page;
	struct iommu_iotlb_gather gather;
	struct iommu_dirty_bitmap dirty = {
		.record = count_dirty, .context = &found, .gather = &gather};
	bool marked, tracks = iommu_domain_tracks_dirty(domain);

	iommu_iotlb_gather_init(&gather);
	if (tracks && iommu_set_dirty_tracking(domain, true))
		return false;
	if (iommu_map(domain, c->iova, page, page, RW, c->gfp))
		return false;
	marked = iommu_mark_dirty(domain, c->iova);
	if (tracks && iommu_read_and_clear_dirty(domain, c->iova, page, 0, &dirty))
		return false;
	iommu_iotlb_sync(domain, &gather);
	return iommu_unmap(domain, c->iova, page) == page && marked == tracks &&
	       found == (marked ? page : 0);
}

/* A whole life, up to the last address, for which some formats need more levels. */
static inline bool call_domain(const struct caller *c)
{
	struct iommu_domain *domain =
		alloc_domain(&(struct shape){c->stage->format, 0}, IOMMU_DOMAIN_UNMANAGED, c->gfp);
	uint64_t page = c->stage->page, last;
	bool mapped = false;

	if (IS_ERR(domain))
		return false;
	last = domain_info(domain).aperture_last - page + 1;
	if (!iommu_map(domain, last, page, page, RW, c->gfp))
		mapped = iommu_unmap(domain, last, page) == page;
	iommu_domain_free(domain);
	return mapped;
}

/* ---- addresses ---- */

static inline bool call_iova(const struct caller *c)
{
	bool all = true;

	for (uint64_t size = 1; size <= 1024; size *= 32) {
		uint64_t pfn = alloc_iova(c->stage->iovad, size, ~0ULL, true, c->gfp);

		if (pfn)
			free_iova(c->stage->iovad, pfn, size);
		all &= pfn != 0;
	}
	return all;
}

static inline bool call_iova_fast(const struct caller *c)
{
	uint64_t pfn[PIECES];
	bool all = true;

	for (unsigned int i = 0; i < PIECES; i++)
		pfn[i] = alloc_iova_fast(c->stage->iovad, 1 + i % 2, ~0ULL, true, c->gfp);
	for (unsigned int i = 0; i < PIECES; i++) {
		if (pfn[i])
			free_iova_fast(c->stage->iovad, pfn[i], 1 + i % 2);
		all &= pfn[i] != 0;
	}
	return all;
}

static inline bool call_iova_info(const struct caller *c)
{
	struct iova_domain_info info;

	iova_domain_get_info(c->stage->iovad, &info);
	return iova_granule(c->stage->iovad) == 4096;
}

/* ---- the DMA API ---- */

static inline bool map_dma(const struct caller *c, struct iommu_device *dev, size_t size)
{
	dma_addr_t addr =
		dma_map_page(dev, virt_to_phys(c->stage->memory), 100, size, DMA_BIDIRECTIONAL);

	if (dma_mapping_error(dev, addr))
		return false;
	dma_sync_single_for_cpu(dev, addr, size, DMA_BIDIRECTIONAL);
	dma_sync_single_for_device(dev, addr, size, DMA_BIDIRECTIONAL);
	dma_unmap_page(dev, addr, size, DMA_BIDIRECTIONAL);
	return true;
}

static inline bool call_dma_map_page(const struct caller *c)
{
	return map_dma(c, c->stage->dev, 1000) && map_dma(c, c->stage->dev, 20000);
}

static inline bool call_dma_lazy(const struct caller *c)
{
	return map_dma(c, c->stage->lazy, 1000) && map_dma(c, c->stage->lazy, 20000);
}

static inline bool call_dma_flush(const struct caller *c)
{
	iommu_dma_flush_queues(c->stage->lazy_domain);
	return true;
}

static inline bool call_dma_bounced(const struct caller *c)
{
	return map_dma(c, c->stage->untrusted, 20000);
}

static inline bool call_dma_map_sg(const struct caller *c)
{
	struct scatterlist sg[PIECES] = {0};
	struct iommu_device *dev = c->stage->dev;

	for (unsigned int i = 0; i < PIECES; i++)
		sg[i] = (struct scatterlist){
			.paddr = virt_to_phys(c->stage->memory) + (i & 1) * 20480, .length = 6000};
	if (!dma_map_sg(dev, sg, PIECES, DMA_TO_DEVICE))
		return false;
	dma_sync_sg_for_device(dev, sg, PIECES, DMA_TO_DEVICE);
	dma_unmap_sg(dev, sg, PIECES, DMA_TO_DEVICE);
	return true;
}

static inline bool call_dma_resource(const struct caller *c)
{
	dma_addr_t addr = dma_map_resource(c->stage->dev, 0xfe000000, 8192, DMA_BIDIRECTIONAL, 0);

	if (dma_mapping_error(c->stage->dev, addr))
		return false;
	dma_unmap_resource(c->stage->dev, addr, 8192, DMA_BIDIRECTIONAL, 0);
	return true;
}

static inline bool call_dma_alloc(const struct caller *c)
{
	dma_addr_t addr;
	void *cpu = dma_alloc_attrs(c->stage->dev, 8192, &addr, c->gfp, 0);

	dma_free_attrs(c->stage->dev, 8192, cpu, addr, 0);
	return cpu;
}

static inline bool call_dma_noncontiguous(const struct caller *c)
{
	struct sg_table *sgt =
		dma_alloc_noncontiguous(c->stage->dev, 3 * 4096, DMA_BIDIRECTIONAL, c->gfp, 0);

	dma_free_noncontiguous(c->stage->dev, sgt);
	return sgt;
}

struct call {
	const char *name;
	bool (*make)(const struct caller *c);
	unsigned int tables; /* most that are made and freed */
	bool takes_gfp;
	bool needs_nothing; /* works however short memory is */
};

static const struct call calls[] = {
	{"map and unmap a page", call_map_page, 5, true, false},
	{"map and unmap over two tables", call_map_pages, 6, true, false},
	{"map_sg, unmap_fast and sync", call_map_sg, 5, true, false},
	{"a map that is undone", call_map_undone, 5, true, false},
	{"split", call_split, 7, true, false},
	{"dirty tracking", call_dirty, 5, true, false},
	{"a domain's life", call_domain, 7, true, false},
	{"alloc_iova", call_iova, 6, true, false},
	{"alloc_iova_fast", call_iova_fast, 6, true, false},
	{"iova_domain_get_info", call_iova_info, 0, false, true},
	{"dma_map_page", call_dma_map_page, 12, false, false},
	{"dma_map_page, lazy", call_dma_lazy, 12, false, false},
	{"flush of the queues", call_dma_flush, 0, false, true},
	{"dma_map_page, bounced", call_dma_bounced, 16, false, false},
	{"dma_map_sg", call_dma_map_sg, 8, false, false},
	{"dma_map_resource", call_dma_resource, 8, false, false},
	{"dma_alloc", call_dma_alloc, 16, true, false},
	{"dma_alloc_noncontiguous", call_dma_noncontiguous, 16, true, false},
};

#endif
