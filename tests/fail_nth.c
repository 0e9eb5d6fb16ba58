/* SPDX-License-Identifier: MIT */
/*
 * Every call of iommu.h and device.h that allocates, with the n-th allocation
 * failing, for every n until none fails; once, and from then on. A call that
 * fails must leave everything as it was, and do its work when it is repeated.
 */
#include <uiommu/mm.h>

#include "tests/device.h"

#define DEVICES 3

/* What the scenarios work on; each uses a part of it. */
struct stage {
	struct shape shape;
	uint64_t page;
	struct mem_cgroup *memcg;
	struct iommu_domain *domain, *dma, *made;
	struct hardware hw[DEVICES];
	struct iommu_device *dev[DEVICES], *new_dev;
	struct iommu_group *group, *new_group;
	struct iommu_resv_region *list;
};

struct scenario {
	const char *name;
	bool needs_nothing; /* never allocates */
	void (*prepare)(struct stage *s);
	int (*act)(struct stage *s);
	bool (*done)(struct stage *s); /* tells whether act() had its effect */
};

static void stage_begin(struct stage *s, const struct shape *shape)
{
	*s = (struct stage){.shape = *shape, .page = smallest_page(shape->format)};
	s->memcg = enter_cgroup(NULL);
	s->domain = new_domain(shape);
	s->dma = alloc_domain(shape, IOMMU_DOMAIN_DMA, GFP_KERNEL_ACCOUNT);
	assert_false(IS_ERR(s->dma));
	s->group = iommu_group_alloc(GFP_KERNEL_ACCOUNT);
	assert_false(IS_ERR(s->group));
	for (unsigned int i = 0; i < DEVICES; i++) {
		struct hardware *hw = &s->hw[i];

		add_region(hw, 0, 2 * s->page, RW, IOMMU_RESV_DIRECT);
		add_region(hw, (8 + 4 * i) * s->page, 5 * s->page, RW, IOMMU_RESV_DIRECT);
		s->dev[i] = new_device(hw, s->group);
	}
}

static void stage_end(struct stage *s)
{
	for (unsigned int i = 0; i < DEVICES; i++)
		iommu_device_unregister(s->dev[i]);
	iommu_device_unregister(s->new_dev);
	iommu_group_put(s->group);
	iommu_group_put(s->new_group);
	iommu_put_resv_regions(s->list);
	iommu_domain_free(s->domain);
	iommu_domain_free(s->dma);
	iommu_domain_free(s->made);
	leave_cgroup(s->memcg);
}

static void nothing(struct stage *s)
{
}

static int alloc_domain_act(struct stage *s)
{
	struct iommu_domain *domain =
		alloc_domain(&s->shape, IOMMU_DOMAIN_UNMANAGED, GFP_KERNEL_ACCOUNT);

	s->made = IS_ERR(domain) ? NULL : domain;
	return (int)(IS_ERR(domain) ? PTR_ERR(domain) : 0);
}

static int alloc_blocked_act(struct stage *s)
{
	struct iommu_domain *domain =
		alloc_domain(&s->shape, IOMMU_DOMAIN_BLOCKED, GFP_KERNEL_ACCOUNT);

	s->made = IS_ERR(domain) ? NULL : domain;
	return (int)(IS_ERR(domain) ? PTR_ERR(domain) : 0);
}

static bool domain_made(struct stage *s)
{
	return s->made;
}

static int map_page_act(struct stage *s)
{
	return iommu_map(s->domain, 3 * s->page, 9 * s->page, s->page, RW, GFP_KERNEL);
}

static bool page_mapped(struct stage *s)
{
	return iommu_iova_to_phys(s->domain, 3 * s->page + 1) == 9 * s->page + 1;
}

static int map_atomic_act(struct stage *s)
{
	return iommu_map(s->domain, 3 * s->page, 9 * s->page, s->page, RW, GFP_ATOMIC);
}

/* From the last page of the lower half on: many tables, and growth at the top. */
static uint64_t middle(struct stage *s)
{
	uint64_t last = domain_info(s->domain).aperture_last;

	return last - (last >> 1) - s->page;
}

static uint64_t long_size(struct stage *s)
{
	uint64_t table = lowest_table_span(s->shape.format), left;

	left = domain_info(s->domain).aperture_last - middle(s) + 1;
	return left < 3 * table ? left : 3 * table - s->page;
}

static void map_low_page(struct stage *s)
{
	assert_int_equal(iommu_map(s->domain, 0, s->page, s->page, RW, GFP_KERNEL), 0);
}

static int map_long_act(struct stage *s)
{
	return iommu_map(s->domain, middle(s), s->page, long_size(s), RW, GFP_KERNEL);
}

static bool long_mapped(struct stage *s)
{
	uint64_t iova = middle(s), size = long_size(s);
	bool first = iommu_iova_to_phys(s->domain, iova), all = true, any = false;

	for (uint64_t at = 0; at < size; at += s->page) {
		bool mapped = iommu_iova_to_phys(s->domain, iova + at) == s->page + at;

		all &= mapped;
		any |= mapped;
	}
	assert_int_equal(all, any);
	return first;
}

/* Over the edge of a table, where there is a second one. */
static uint64_t sg_base(struct stage *s)
{
	uint64_t table = lowest_table_span(s->shape.format);

	return domain_info(s->domain).aperture_last < table ? s->page : table - s->page;
}

/* Half a table, or of what addresses there are. */
static uint64_t sg_piece(struct stage *s)
{
	uint64_t table = lowest_table_span(s->shape.format);
	uint64_t last = domain_info(s->domain).aperture_last;

	return last < table ? (last + 1) / 2 : table / 2;
}

static int map_sg_act(struct stage *s)
{
	uint64_t table = lowest_table_span(s->shape.format);
	struct iommu_sg sg[] = {
		{5 * s->page, 2 * s->page},
		{0, 0},
		{table + s->page, sg_piece(s)},
		{9 * s->page, 3 * s->page},
	};
	ssize_t ret;

	ret = iommu_map_sg(s->domain, sg_base(s), sg, 4, RW, GFP_KERNEL);
	return ret < 0 ? (int)ret : 0;
}

static bool sg_mapped(struct stage *s)
{
	bool first = iommu_iova_to_phys(s->domain, sg_base(s));
	bool last = iommu_iova_to_phys(s->domain, sg_base(s) + 2 * s->page + sg_piece(s));

	assert_int_equal(first, last);
	return first;
}

/* The later pieces may fail when the first ones have made a table grow. */
static int map_high_sg_act(struct stage *s)
{
	struct iommu_sg sg[] = {
		{5 * s->page, s->page},
		{9 * s->page, s->page},
		{3 * s->page, s->page},
	};
	ssize_t ret;

	ret = iommu_map_sg(s->domain, middle(s), sg, 3, RW, GFP_KERNEL);
	return ret < 0 ? (int)ret : 0;
}

static bool high_sg_mapped(struct stage *s)
{
	bool first = iommu_iova_to_phys(s->domain, middle(s));

	for (unsigned int i = 1; i < 3; i++)
		assert_int_equal(first,
				 iommu_iova_to_phys(s->domain, middle(s) + i * s->page) != 0);
	return first;
}

/* From 0 on, and beyond what the first top spans: in tables, as the addresses differ. */
static int map_all_act(struct stage *s)
{
	return iommu_map(s->domain, 0, 1ULL << 30, 3ULL << 39, RW, GFP_KERNEL);
}

static bool all_mapped(struct stage *s)
{
	bool first = iommu_iova_to_phys(s->domain, 0);
	bool last = iommu_iova_to_phys(s->domain, (3ULL << 39) - 1);

	assert_int_equal(first, last);
	return first;
}

static uint64_t largest(struct stage *s)
{
	uint64_t size = domain_info(s->domain).pgsizes;

	size &= 2 * (s->page * (s->page / 8) * (s->page / 8)) - 1;
	return 1ULL << (63 - __builtin_clzll(size));
}

static void map_large(struct stage *s)
{
	uint64_t size = largest(s), table = lowest_table_span(s->shape.format);

	assert_int_equal(iommu_map(s->domain, 0, 0, size, RW, GFP_KERNEL), 0);
	/* Splitting it takes a table, unless there is no other than the top. */
	assert_true(size >= table / 2 || domain_info(s->domain).levels == 1);
}

static int split_act(struct stage *s)
{
	return iommu_split_mapping(s->domain, s->page, largest(s) - 2 * s->page, GFP_KERNEL);
}

/* Translations must be right at all times; whether it is split shows only later. */
static bool split_done(struct stage *s)
{
	for (uint64_t at = 0; at < 8 * s->page; at += s->page / 2)
		assert_int_equal(iommu_iova_to_phys(s->domain, at), at);
	assert_int_equal(iommu_iova_to_phys(s->domain, largest(s) - 1), largest(s) - 1);
	return true;
}

static int unmap_act(struct stage *s)
{
	return iommu_unmap(s->domain, middle(s), long_size(s)) == long_size(s) ? 0 : -EIO;
}

static bool long_unmapped(struct stage *s)
{
	return !iommu_iova_to_phys(s->domain, middle(s));
}

static void map_long(struct stage *s)
{
	assert_int_equal(map_long_act(s), 0);
}

static int free_act(struct stage *s)
{
	iommu_domain_free(s->domain);
	s->domain = NULL;
	return 0;
}

static bool is_freed(struct stage *s)
{
	return !s->domain;
}

static int group_act(struct stage *s)
{
	struct iommu_group *group = iommu_group_alloc(GFP_KERNEL_ACCOUNT);

	s->new_group = IS_ERR(group) ? NULL : group;
	return (int)(IS_ERR(group) ? PTR_ERR(group) : 0);
}

static bool group_made(struct stage *s)
{
	return s->new_group;
}

static int register_in(struct stage *s, struct iommu_group *group)
{
	struct iommu_device *dev;

	s->hw[2].nr_regions = 2;
	dev = iommu_device_register("new", &hardware_ops, &s->hw[2], group, GFP_KERNEL_ACCOUNT);
	s->new_dev = IS_ERR(dev) ? NULL : dev;
	return (int)(IS_ERR(dev) ? PTR_ERR(dev) : 0);
}

static void unregister_third(struct stage *s)
{
	iommu_device_unregister(s->dev[2]);
	s->dev[2] = NULL;
}

static int register_act(struct stage *s)
{
	return register_in(s, NULL);
}

static int join_act(struct stage *s)
{
	return register_in(s, s->group);
}

static bool registered(struct stage *s)
{
	assert_int_equal(s->new_dev != NULL && iommu_get_domain_for_dev(s->new_dev) != NULL,
			 s->hw[2].uses != NULL);
	return s->new_dev;
}

/* The third device will join a group with a default and a current domain. */
static void attached_group(struct stage *s)
{
	unregister_third(s);
	assert_int_equal(iommu_group_set_default_domain(s->group, s->dma), 0);
	assert_int_equal(iommu_attach_group(s->domain, s->group), 0);
}

static int set_default_act(struct stage *s)
{
	return iommu_group_set_default_domain(s->group, s->dma);
}

static bool default_set(struct stage *s)
{
	bool mapped = iommu_iova_to_phys(s->dma, 8 * s->page);

	assert_int_equal(mapped, iommu_get_dma_domain(s->dev[0]) == s->dma);
	for (unsigned int i = 0; i < DEVICES; i++)
		assert_ptr_equal(s->hw[i].uses, mapped ? s->dma : NULL);
	return mapped;
}

static int attach_group_act(struct stage *s)
{
	return iommu_attach_group(s->domain, s->group);
}

static bool group_attached(struct stage *s)
{
	bool first = s->hw[0].uses == s->domain;

	for (unsigned int i = 0; i < DEVICES; i++)
		assert_int_equal(s->hw[i].uses == s->domain, first);
	return first;
}

static void only_third(struct stage *s)
{
	for (unsigned int i = 0; i < 2; i++) {
		iommu_device_unregister(s->dev[i]);
		s->dev[i] = NULL;
	}
}

static int attach_device_act(struct stage *s)
{
	return iommu_attach_device(s->domain, s->dev[2]);
}

static bool device_attached(struct stage *s)
{
	return s->hw[2].uses == s->domain;
}

static int detach_act(struct stage *s)
{
	iommu_detach_group(s->domain, s->group);
	return 0;
}

static bool group_detached(struct stage *s)
{
	return s->hw[0].uses == s->dma;
}

static int unregister_act(struct stage *s)
{
	only_third(s);
	return 0;
}

static bool unregistered(struct stage *s)
{
	return !s->dev[0];
}

static int regions_act(struct stage *s)
{
	return iommu_get_resv_regions(s->dev[0], &s->list);
}

static int group_regions_act(struct stage *s)
{
	return iommu_get_group_resv_regions(s->group, &s->list);
}

static bool regions_listed(struct stage *s)
{
	return s->list;
}

static const struct scenario scenarios[] = {
	{"domain", false, nothing, alloc_domain_act, domain_made},
	{"blocked domain", false, nothing, alloc_blocked_act, domain_made},
	{"map a page", false, nothing, map_page_act, page_mapped},
	{"map a page atomically", false, nothing, map_atomic_act, page_mapped},
	{"map a long range", false, nothing, map_long_act, long_mapped},
	{"map above a mapping", false, map_low_page, map_long_act, long_mapped},
	{"map a scatter list", false, nothing, map_sg_act, sg_mapped},
	{"map a scatter list high", false, map_low_page, map_high_sg_act, high_sg_mapped},
	{"map from 0 on", false, nothing, map_all_act, all_mapped},
	{"split", false, map_large, split_act, split_done},
	{"unmap", true, map_long, unmap_act, long_unmapped},
	{"free", true, map_long, free_act, is_freed},
	{"group", false, nothing, group_act, group_made},
	{"register", false, unregister_third, register_act, registered},
	{"join", false, attached_group, join_act, registered},
	{"set default", false, nothing, set_default_act, default_set},
	{"attach group", false, nothing, attach_group_act, group_attached},
	{"attach device", false, only_third, attach_device_act, device_attached},
	{"detach", true, attached_group, detach_act, group_detached},
	{"unregister", true, attached_group, unregister_act, unregistered},
	{"regions", false, nothing, regions_act, regions_listed},
	{"group regions", false, nothing, group_regions_act, regions_listed},
};

/* Returns whether an allocation failed. */
static bool run(const struct scenario *scenario, const struct shape *shape, unsigned int nth,
		bool sticky)
{
	struct stage s;
	struct iommu_domain_info before, after;
	uint64_t usage, tables;
	bool hit;
	int ret;

	stage_begin(&s, shape);
	scenario->prepare(&s);
	usage = mem_cgroup_usage(s.memcg);
	tables = count_tables(s.domain);
	before = domain_info(s.domain);
	uiommu_fail_nth(nth, sticky);
	ret = scenario->act(&s);
	hit = uiommu_fail_nth(0, false);
	assert_true(hit || !ret);
	if (ret) {
		assert_int_equal(ret, -ENOMEM);
		if (scenario->act != split_act) {
			assert_int_equal(mem_cgroup_usage(s.memcg), usage);
			assert_int_equal(count_tables(s.domain), tables);
			after = domain_info(s.domain);
			assert_int_equal(after.levels, before.levels);
			assert_int_equal(after.root, before.root);
			assert_false(scenario->done(&s));
		}
		assert_true(scenario->act != split_act || scenario->done(&s));
		assert_int_equal(scenario->act(&s), 0);
	}
	assert_true(scenario->done(&s));
	stage_end(&s);
	return hit;
}

/* s390 has leaves of one size, unless it is asked for others. */
static bool is_possible(const struct shape *shape, const struct scenario *scenario)
{
	if (scenario->act == map_all_act)
		return is_family(shape->format, "amdv1") && shape->width == 64;
	return scenario->act != split_act || !is_family(shape->format, "s390");
}

/* Where the top table holds all, mapping needs no other. */
static bool has_one_level(const struct shape *shape)
{
	struct iommu_domain *domain = alloc_domain(shape, IOMMU_DOMAIN_UNMANAGED, GFP_KERNEL);
	bool one = domain_info(domain).levels == 1;

	iommu_domain_free(domain);
	return one;
}

static void every_failure_of(const struct shape *shape, const struct scenario *scenario)
{
	bool one_level = has_one_level(shape);

	for (unsigned int sticky = 0; sticky < 2; sticky++) {
		unsigned int nth = 1;

		while (run(scenario, shape, nth, sticky))
			nth++;
		if (scenario->needs_nothing ? nth != 1 : nth == 1 && !one_level)
			fail_msg("%s: %s: %u allocations", shape->format->name, scenario->name,
				 nth - 1);
	}
}

static void every_failure(void **state)
{
	struct shape shapes[MAX_SHAPES];
	unsigned int count = list_shapes(shapes);

	for (unsigned int i = 0; i < count; i++)
		for (size_t j = 0; j < sizeof(scenarios) / sizeof(scenarios[0]); j++)
			if (is_possible(&shapes[i], &scenarios[j]))
				every_failure_of(&shapes[i], &scenarios[j]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
