/* SPDX-License-Identifier: MIT */
/*
 * What a callback of the library may call, and what the caller keeps in mind while it
 * does: every mapping by its address, so that all translations can be compared after
 * the callback, and a second set of tables that got the same mappings without one.
 *
 * A stage is two domains with some mappings, at addresses that share tables with the
 * mapping which the test makes. An act is what the callback does.
 */
#ifndef TESTS_CALLBACKS_H
#define TESTS_CALLBACKS_H

#include <uiommu/dirty.h>
#include <uiommu/mm.h>

#include "tests/common.h"

#define MAX_RANGES 48

/* A range that is mapped by one call, or was. */
struct range {
	struct iommu_domain *domain;
	uint64_t iova, paddr, size;
	bool mapped;
	bool split;  /* its first page was split off */
	bool breaks; /* it is being split, and may be gone for a moment (split_breaks) */
};

/* Where the stage is, and what is mapped before. */
struct setting {
	struct shape shape;
	bool middle; /* of the aperture, or its beginning */
	bool sparse; /* nothing but the first page */
};

struct stage {
	struct setting at;
	uint64_t page, unit, base, last; /* unit: under one table of the lowest level */
	struct mem_cgroup *memcg;
	struct iommu_domain *domain, *other, *doomed; /* doomed: to be freed by an act */
	struct range ranges[MAX_RANGES];
	unsigned int nr_ranges;
	struct range *kept; /* that the test itself changes */
	bool may_fail;      /* a limit or an injected failure is at work */
	uint64_t objects;   /* charged, besides tables */
	uint64_t nr_acts;   /* distinguishes physical addresses */
};

enum {
	VICTIM, /* the only page in its table of the lowest level */
	FULL,   /* a whole table of pages */
	SECOND, /* another lone page, under the same table of the next level */
	LARGE,  /* two large entries */
	LARGE2,
	FAR, /* a lone page elsewhere */
	NR_BEFORE
};

/* Tables of the lowest level that fit under one of the next. */
static inline uint64_t next_level_span(const struct stage *s)
{
	return s->unit * (is_family(s->at.shape.format, "s390") ? 2048 : s->page / 8);
}

static inline struct range *range_new(struct stage *s, struct iommu_domain *domain, uint64_t iova,
				      uint64_t paddr, uint64_t size)
{
	struct range *range = &s->ranges[s->nr_ranges++];

	assert_true(s->nr_ranges <= MAX_RANGES);
	*range = (struct range){.domain = domain, .iova = iova, .paddr = paddr, .size = size};
	return range;
}

static inline bool range_map(struct stage *s, struct range *range)
{
	int ret = iommu_map(range->domain, range->iova, range->paddr, range->size, RW,
			    GFP_KERNEL_ACCOUNT);

	if (ret)
		assert_true(s->may_fail && ret == -ENOMEM);
	range->mapped = !ret;
	return !ret;
}

static inline void range_unmap(struct range *range)
{
	if (!range->mapped)
		return;
	assert_int_equal(iommu_unmap(range->domain, range->iova, range->size), range->size);
	range->mapped = false;
}

/* A physical address for pages that no two calls share, an odd one. */
static inline uint64_t some_paddr(struct stage *s)
{
	return (1001 + 14 * s->nr_acts++) * s->page;
}

static inline void map_at(struct stage *s, struct iommu_domain *domain, uint64_t iova,
			  uint64_t size)
{
	range_map(s, range_new(s, domain, iova, some_paddr(s), size));
}

/* ---- what is right ---- */

static inline void check_address(const struct stage *s, struct iommu_domain *domain, uint64_t iova)
{
	uint64_t found = iommu_iova_to_phys(domain, iova), expected = 0;

	for (unsigned int i = 0; i < s->nr_ranges; i++) {
		const struct range *range = &s->ranges[i];

		if (!range->mapped || range->domain != domain || iova - range->iova >= range->size)
			continue;
		if (range->breaks && !found)
			return;
		expected = range->paddr + (iova - range->iova);
	}
	assert_int_equal(found, expected);
}

/* All pages of the ranges, of long ones each 29th, and those beside them. */
static inline void check_translations(const struct stage *s)
{
	for (unsigned int i = 0; i < s->nr_ranges; i++) {
		const struct range *range = &s->ranges[i];
		uint64_t step = range->size / s->page > 16 ? 29 * s->page : s->page;

		if (!range->domain)
			continue;
		if (range->iova > s->base)
			check_address(s, range->domain, range->iova - s->page);
		for (uint64_t at = 0; at < range->size; at += step)
			check_address(s, range->domain, range->iova + at);
		check_address(s, range->domain, range->iova + range->size - s->page);
		if (range->iova + range->size - 1 < s->last)
			check_address(s, range->domain, range->iova + range->size);
	}
}

/* As many tables as a domain has that got the same mappings by the same calls, in peace. */
static inline void check_tables(const struct stage *s, struct iommu_domain *domain)
{
	struct iommu_domain *twin = alloc_domain(&s->at.shape, IOMMU_DOMAIN_UNMANAGED, GFP_KERNEL);
	struct iommu_domain_info is = domain_info(domain), want;

	assert_false(IS_ERR(twin));
	for (unsigned int i = 0; i < s->nr_ranges; i++) {
		const struct range *range = &s->ranges[i];

		if (range->domain != domain || !range->mapped)
			continue;
		assert_int_equal(
			iommu_map(twin, range->iova, range->paddr, range->size, RW, GFP_KERNEL), 0);
		if (range->split)
			assert_int_equal(
				iommu_split_mapping(twin, range->iova, s->page, GFP_KERNEL), 0);
	}
	want = domain_info(twin);
	for (unsigned int level = 0; level < IOMMU_MAX_LEVELS; level++) {
		/* A top that has grown stays so, with or without those below it. */
		if (is.levels > want.levels && level + 1 >= want.levels)
			assert_in_range(is.tables[level], level + 1 == is.levels,
					level < is.levels);
		else
			assert_int_equal(is.tables[level], want.tables[level]);
	}
	iommu_domain_free(twin);
}

static inline uint64_t table_bytes(struct iommu_domain *domain)
{
	return domain ? domain_info(domain).table_bytes : 0;
}

static inline uint64_t charged_for_tables(const struct stage *s)
{
	return table_bytes(s->domain) + table_bytes(s->other) + table_bytes(s->doomed);
}

static inline void stage_check(const struct stage *s)
{
	uint64_t domain_bytes = s->doomed ? 0 : s->objects / 3;

	check_translations(s);
	check_tables(s, s->domain);
	check_tables(s, s->other);
	assert_int_equal(mem_cgroup_usage(s->memcg),
			 s->objects - domain_bytes + charged_for_tables(s));
}

/* ---- the stage ---- */

/* Of many settings, those for which there is time. */
static inline bool setting_is_chosen(unsigned int i)
{
	return i * SCALED(30) % 30 < SCALED(30);
}

static inline bool setting_is_possible(const struct setting *at)
{
	uint64_t table = lowest_table_span(at->shape.format);
	struct iommu_domain *domain = alloc_domain(&at->shape, IOMMU_DOMAIN_UNMANAGED, GFP_KERNEL);
	uint64_t last = domain_info(domain).aperture_last;

	iommu_domain_free(domain);
	return last / 64 >= table;
}

static inline void map_before(struct stage *s)
{
	uint64_t unit = s->unit, page = s->page;
	struct range *range;

	range_map(s, range_new(s, s->domain, s->base, 3 * page, page));
	range_new(s, s->domain, s->base + 4 * unit, 5 * page, unit);
	range_new(s, s->domain, s->base + 6 * unit, 5 * page, page);
	range_new(s, s->domain, s->base + 8 * unit, 16 * unit, unit);
	range_new(s, s->domain, s->base + 10 * unit, 18 * unit, unit);
	range_new(s, s->domain, s->last / 8 * 3 / unit * unit, 9 * page, page);
	for (range = &s->ranges[FULL]; !s->at.sparse && range <= &s->ranges[FAR]; range++)
		range_map(s, range);
	map_at(s, s->other, s->base, 4 * page);
	map_at(s, s->doomed, s->base + unit - page, 2 * page);
	map_at(s, s->doomed, s->last / 8 * 3 / unit * unit, page);
}

static inline void stage_begin(struct stage *s, const struct setting *at)
{
	struct iommu_domain_info info;

	*s = (struct stage){.at = *at, .page = smallest_page(at->shape.format)};
	s->memcg = enter_cgroup(NULL);
	s->domain = new_domain(&at->shape);
	s->other = new_domain(&at->shape);
	s->doomed = new_domain(&at->shape);
	info = domain_info(s->domain);
	s->unit = lowest_table_span(at->shape.format);
	s->last = info.aperture_last;
	s->base = at->middle ? s->last / 2 + 1
			     : (info.aperture_start + 16 * s->unit - 1) / (16 * s->unit) *
				       (16 * s->unit);
	s->objects = mem_cgroup_usage(s->memcg) - charged_for_tables(s);
	map_before(s);
	stage_check(s);
}

static inline void stage_end(struct stage *s)
{
	s->may_fail = false;
	for (unsigned int i = 0; i < s->nr_ranges; i++)
		if (s->ranges[i].domain)
			range_unmap(&s->ranges[i]);
	stage_check(s);
	iommu_domain_free(s->domain);
	iommu_domain_free(s->other);
	iommu_domain_free(s->doomed);
	leave_cgroup(s->memcg);
}

/* ---- acts ---- */

static inline void unmap_victim(struct stage *s)
{
	range_unmap(&s->ranges[VICTIM]);
}

static inline void unmap_all(struct stage *s)
{
	for (unsigned int i = 0; i < NR_BEFORE; i++)
		range_unmap(&s->ranges[i]);
}

static inline void unmap_full(struct stage *s)
{
	range_unmap(&s->ranges[FULL]);
}

/* In the table of the victim, which is gone in between. */
static inline void unmap_and_map(struct stage *s)
{
	unmap_victim(s);
	map_at(s, s->domain, s->base + s->page, s->page);
}

/* Tables that were freed become others at once, with many items. */
static inline void unmap_and_reuse(struct stage *s)
{
	unmap_all(s);
	for (unsigned int i = 0; i < 4; i++)
		map_at(s, s->other, s->base + 2 * i * s->unit + 4 * s->page, s->unit - 4 * s->page);
}

static inline void map_near(struct stage *s)
{
	map_at(s, s->domain, s->base + 2 * s->page, s->page);
}

static inline void map_beside(struct stage *s)
{
	map_at(s, s->domain, s->base + 5 * s->unit, s->page);
}

/* In both of the tables that a mapping of the test begins and ends in. */
static inline void map_between(struct stage *s)
{
	map_at(s, s->domain, s->base + 2 * s->unit - 4 * s->page, s->page);
	map_at(s, s->domain, s->base + 3 * s->unit + 8 * s->page, s->page);
}

static inline void map_between_and_unmap(struct stage *s)
{
	map_between(s);
	range_unmap(&s->ranges[s->nr_ranges - 1]);
	range_unmap(&s->ranges[s->nr_ranges - 2]);
}

/* Tables that can grow do. */
static inline void map_last(struct stage *s)
{
	map_at(s, s->domain, s->last - (s->page - 1), s->page);
}

static inline void map_last_and_unmap(struct stage *s)
{
	map_last(s);
	range_unmap(&s->ranges[s->nr_ranges - 1]);
}

/* Grows, and fails after that. */
static inline void map_last_in_vain(struct stage *s)
{
	struct iommu_sg sg[] = {{16 * s->page, s->page}, {18 * s->page, s->page}};
	uint64_t iova = s->last - (2 * s->page - 1);
	ssize_t ret;

	map_last(s);
	ret = iommu_map_sg(s->domain, iova, sg, 2, RW, GFP_KERNEL_ACCOUNT);
	assert_true(s->may_fail || ret == -EADDRINUSE);
	if (ret > 0) {
		assert_int_equal(ret, 2 * s->page);
		assert_int_equal(iommu_unmap(s->domain, iova, 2 * s->page), 2 * s->page);
	}
	range_unmap(&s->ranges[s->nr_ranges - 1]);
}

static inline void map_list(struct stage *s)
{
	struct iommu_sg sg[] = {{16 * s->page, s->page}, {0, 0}, {20 * s->page, 3 * s->page}};
	uint64_t iova = s->base + 12 * s->unit - 2 * s->page;
	struct range *range = range_new(s, s->domain, iova, 16 * s->page, s->page);
	struct range *more = range_new(s, s->domain, iova + s->page, 20 * s->page, 3 * s->page);
	ssize_t ret = iommu_map_sg(s->domain, iova, sg, 3, RW, GFP_KERNEL_ACCOUNT);

	range->mapped = more->mapped = ret > 0;
	assert_true(ret == 4 * (ssize_t)s->page || (s->may_fail && ret == -ENOMEM));
}

static inline void split_large(struct stage *s)
{
	struct range *range = &s->ranges[LARGE];
	int ret;

	if (!range->mapped)
		return;
	ret = iommu_split_mapping(s->domain, range->iova, s->page, GFP_KERNEL_ACCOUNT);
	assert_true(!ret || (s->may_fail && ret == -ENOMEM));
	if (!ret)
		range->split = true;
}

static inline void look_up(struct stage *s)
{
	check_translations(s);
}

static inline void use_dirty_bits(struct stage *s)
{
	struct iommu_iotlb_gather gather;
	struct iommu_dirty_bitmap dirty = {.gather = &gather};

	if (!iommu_domain_tracks_dirty(s->domain))
		return;
	iommu_iotlb_gather_init(&gather);
	assert_int_equal(iommu_set_dirty_tracking(s->domain, true), 0);
	assert_int_equal(iommu_mark_dirty(s->domain, s->base), s->ranges[VICTIM].mapped);
	assert_int_equal(iommu_read_and_clear_dirty(s->domain, 0, s->last, 0, &dirty), 0);
	iommu_iotlb_sync(s->domain, &gather);
	assert_int_equal(iommu_set_dirty_tracking(s->domain, false), 0);
}

static inline void alloc_and_free(struct stage *s)
{
	struct iommu_domain *domain =
		alloc_domain(&s->at.shape, IOMMU_DOMAIN_UNMANAGED, GFP_KERNEL_ACCOUNT);

	if (IS_ERR(domain)) {
		assert_true(s->may_fail);
		return;
	}
	iommu_map(domain, s->base, s->page, 2 * s->page, RW, GFP_KERNEL);
	iommu_domain_free(domain);
}

static inline void free_doomed(struct stage *s)
{
	for (unsigned int i = 0; i < s->nr_ranges; i++)
		if (s->ranges[i].domain == s->doomed)
			s->ranges[i].domain = NULL;
	iommu_domain_free(s->doomed);
	s->doomed = NULL;
}

static inline void change_cgroup(struct stage *s)
{
	struct mem_cgroup *memcg = mem_cgroup_create(s->memcg);

	if (!memcg) {
		assert_true(s->may_fail);
		return;
	}
	mem_cgroup_set_active(memcg);
	mem_cgroup_put(memcg);
	alloc_and_free(s);
	mem_cgroup_set_active(s->memcg);
}

static unsigned long has_none(struct shrinker *shrinker)
{
	return 0;
}

static inline void register_another(struct stage *s)
{
	struct shrinker shrinker = {.count_objects = has_none};

	register_shrinker(&shrinker);
	unregister_shrinker(&shrinker);
}

static const struct act {
	const char *name;
	void (*run)(struct stage *s);
} acts[] = {
	{"unmap a page", unmap_victim},
	{"unmap everything", unmap_all},
	{"unmap a full table", unmap_full},
	{"unmap, map in its place", unmap_and_map},
	{"unmap everything, use the tables elsewhere", unmap_and_reuse},
	{"map in a table in use", map_near},
	{"map under a table in use", map_beside},
	{"map in the caller's tables", map_between},
	{"map and unmap in the caller's tables", map_between_and_unmap},
	{"map the last page", map_last},
	{"map and unmap the last page", map_last_and_unmap},
	{"fail to map the last pages", map_last_in_vain},
	{"map a list", map_list},
	{"split", split_large},
	{"look up", look_up},
	{"read and clear dirty bits", use_dirty_bits},
	{"allocate and free a domain", alloc_and_free},
	{"free a domain", free_doomed},
	{"change the active cgroup", change_cgroup},
	{"register a shrinker", register_another},
};

#define NR_ACTS (sizeof(acts) / sizeof(acts[0]))

#endif
