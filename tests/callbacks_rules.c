/* SPDX-License-Identifier: MIT */
/*
 * What a callback must not call: it is refused, with one line, and everything goes on.
 * And what looks like it, but is allowed.
 */
#include "tests/capture.h"
#include "tests/dma.h"

#include <uiommu/dirty.h>
#include <uiommu/mm.h>

#define PAGE 4096ULL
#define IOVA (1ULL << 30)

static const struct shape shape = {NULL, 48};

static struct iommu_domain *new_vtd_domain(void)
{
	struct shape vtd = shape;

	vtd.format = iommu_format_find("vtd");
	return new_domain(&vtd);
}

/* ---- the callback: does something once ---- */

static struct {
	void (*act)(void);
	struct iommu_domain *domain, *other;
	struct rig *rig;
	unsigned int acted;
} cb;

static void act(void)
{
	void (*once)(void) = cb.act;

	cb.act = NULL;
	if (!once)
		return;
	cb.acted++;
	once();
}

static unsigned long count_objects(struct shrinker *shrinker)
{
	return cb.act != NULL;
}

static unsigned long scan_objects(struct shrinker *shrinker, unsigned long nr)
{
	act();
	return 1;
}

static struct shrinker shrinker = {.count_objects = count_objects, .scan_objects = scan_objects};

static void flush(void *context, struct iommu_domain *domain, dma_addr_t iova, dma_addr_t last,
		  bool tables)
{
	act();
}

static const struct iommu_iotlb_ops iotlb_ops = {.flush = flush};

static void record(void *context, dma_addr_t iova, dma_addr_t last)
{
	act();
}

static int handle_fault(struct iommu_domain *domain, struct iommu_device *dev, dma_addr_t iova,
			int flags, void *token)
{
	act();
	return 0;
}

/* ---- ways to a callback ---- */

/* Writing to the file runs shrinkers as well. */
static void set_high(const char *bytes)
{
	void (*once)(void) = cb.act;

	cb.act = NULL;
	assert_int_equal(mem_cgroup_write(mem_cgroup_active(), "memory.high", bytes), 0);
	cb.act = once;
}

static void by_shrinker(void)
{
	set_high("0");
	assert_int_equal(iommu_map(cb.domain, 2 * IOVA, PAGE, PAGE, RW, GFP_KERNEL), 0);
	set_high("max");
}

static void by_flush(void)
{
	iommu_domain_set_iotlb_ops(cb.domain, &iotlb_ops, NULL);
	assert_int_equal(iommu_map(cb.domain, 2 * IOVA, PAGE, PAGE, RW, GFP_KERNEL), 0);
	assert_int_equal(iommu_unmap(cb.domain, 2 * IOVA, PAGE), PAGE);
}

static void by_record(void)
{
	struct iommu_iotlb_gather gather;
	struct iommu_dirty_bitmap dirty = {record, NULL, &gather};

	iommu_iotlb_gather_init(&gather);
	assert_int_equal(iommu_set_dirty_tracking(cb.domain, true), 0);
	for (unsigned int i = 0; i < 8; i += 2)
		assert_true(iommu_mark_dirty(cb.domain, IOVA + i * PAGE));
	assert_int_equal(iommu_read_and_clear_dirty(cb.domain, 0, 4 * IOVA, 0, &dirty), 0);
	iommu_iotlb_sync(cb.domain, &gather);
}

static void by_fault(void)
{
	iommu_set_fault_handler(cb.domain, handle_fault, NULL);
	assert_int_equal(report_iommu_fault(cb.domain, NULL, 0, IOMMU_FAULT_READ), 0);
}

static void (*const ways[])(void) = {by_shrinker, by_flush, by_record, by_fault};

/* Returns how many lines were said. */
static unsigned int go(void (*way)(void), void (*once)(void))
{
	struct capture capture;

	cb.act = once;
	cb.acted = 0;
	capture_begin(&capture);
	way();
	capture_end(&capture);
	assert_int_equal(cb.acted, 1);
	return capture_lines(capture.text);
}

/* ---- the domain itself ---- */

static void free_domain(void)
{
	iommu_domain_free(cb.domain);
}

/* From a callback of a call on another domain. */
static void free_from_other(void)
{
	struct iommu_domain *domain = cb.domain;

	iommu_domain_set_iotlb_ops(cb.other, &iotlb_ops, NULL);
	cb.act = free_domain;
	assert_int_equal(iommu_map(cb.other, 0, PAGE, PAGE, RW, GFP_KERNEL), 0);
	assert_int_equal(iommu_unmap(cb.other, 0, PAGE), PAGE);
	assert_ptr_equal(cb.domain, domain);
}

static void own_domain_stays(void **state)
{
	struct mem_cgroup *memcg = enter_cgroup(NULL);
	unsigned int lines = 0;

	for (unsigned int i = 0; i < 2 * sizeof(ways) / sizeof(ways[0]); i++) {
		cb.domain = new_vtd_domain();
		cb.other = new_vtd_domain();
		assert_int_equal(iommu_map(cb.domain, IOVA, PAGE, 8 * PAGE, RW, GFP_KERNEL), 0);
		cb.acted = 0;
		if (i % 2) {
			cb.act = free_from_other;
			ways[i / 2]();
			assert_int_equal(cb.acted, 2);
		} else {
			lines += go(ways[i / 2], free_domain);
		}
		for (unsigned int page = 0; page < 8; page++)
			assert_int_equal(iommu_iova_to_phys(cb.domain, IOVA + page * PAGE),
					 (page + 1) * PAGE);
		iommu_domain_free(cb.domain);
		iommu_domain_free(cb.other);
		assert_cgroup_empty(memcg);
	}
	assert_int_equal(lines, 1);
	leave_cgroup(memcg);
}

static void map_other(void)
{
	cb.act = free_domain;
	assert_int_equal(iommu_map(cb.other, IOVA, PAGE, PAGE, RW, GFP_KERNEL), -ENOMEM);
}

/* The same in the second round of shrinkers, after the first has made tables, too. */
static void own_domain_stays_in_rounds(void **state)
{
	struct mem_cgroup *memcg = enter_cgroup(NULL);

	cb.domain = new_vtd_domain();
	cb.other = new_vtd_domain();
	cgroup_limit(memcg, mem_cgroup_usage(memcg));
	cb.act = map_other;
	cb.acted = 0;
	assert_int_equal(iommu_map(cb.domain, IOVA, PAGE, PAGE, RW, GFP_KERNEL), -ENOMEM);
	assert_int_equal(cb.acted, 2);
	cgroup_limit(memcg, ~0ULL);
	assert_int_equal(iommu_map(cb.domain, IOVA, PAGE, PAGE, RW, GFP_KERNEL), 0);
	iommu_domain_free(cb.domain);
	iommu_domain_free(cb.other);
	leave_cgroup(memcg);
}

/* A shrinker that runs for something else, inside a callback of a call on another domain. */
static void alloc_third(void)
{
	struct iommu_domain *domain;

	cb.act = free_domain;
	set_high("0");
	domain = new_vtd_domain();
	set_high("max");
	assert_int_equal(cb.acted, 2);
	iommu_domain_free(domain);
}

static void other_domain_goes(void **state)
{
	struct mem_cgroup *memcg = enter_cgroup(NULL);
	struct iommu_iotlb_gather gather;
	struct iommu_dirty_bitmap dirty = {record, NULL, &gather};

	iommu_iotlb_gather_init(&gather);
	cb.other = new_vtd_domain();
	assert_int_equal(iommu_map(cb.other, IOVA, PAGE, 8 * PAGE, RW, GFP_KERNEL), 0);
	assert_int_equal(iommu_set_dirty_tracking(cb.other, true), 0);
	assert_true(iommu_mark_dirty(cb.other, IOVA));
	cb.domain = new_vtd_domain();
	assert_int_equal(iommu_map(cb.domain, IOVA, PAGE, 8 * PAGE, RW, GFP_KERNEL), 0);
	cb.act = alloc_third;
	cb.acted = 0;
	assert_int_equal(iommu_read_and_clear_dirty(cb.other, 0, 4 * IOVA, 0, &dirty), 0);
	assert_int_equal(cb.acted, 2);
	iommu_domain_free(cb.other);
	leave_cgroup(memcg); /* cb.domain is gone */
}

/* ---- the last reference to what is being charged ---- */

static struct mem_cgroup *more[32];

static void put_last(void)
{
	mem_cgroup_set_active(NULL);
	/* In the place of what was freed. */
	for (unsigned int i = 0; i < 32; i++)
		more[i] = mem_cgroup_create(NULL);
}

static void cgroup_goes(void **state)
{
	struct mem_cgroup *memcg = mem_cgroup_create(NULL);
	struct iommu_domain_params params = {.format = "vtd"};
	struct iommu_domain *domain;

	cgroup_limit(memcg, 0);
	mem_cgroup_set_active(memcg);
	mem_cgroup_put(memcg);
	cb.act = put_last;
	cb.acted = 0;
	domain = iommu_domain_alloc(&params, GFP_KERNEL_ACCOUNT);
	assert_int_equal(cb.acted, 1);
	assert_int_equal(PTR_ERR(domain), -ENOMEM);
	for (unsigned int i = 0; i < 32; i++) {
		char text[64];

		assert_int_equal(mem_cgroup_usage(more[i]), 0);
		assert_true(mem_cgroup_read(more[i], "memory.events", text, sizeof(text)) > 0);
		assert_non_null(strstr(text, "max 0"));
		mem_cgroup_put(more[i]);
	}
}

/* ---- locks that the thread holds ---- */

static int results[8];

static void use_group(void)
{
	struct iommu_resv_region *list;
	struct iommu_device *dev;
	unsigned int i = 0;

	results[i++] = iommu_attach_group(cb.domain, cb.rig->group);
	results[i++] = iommu_attach_device(cb.domain, cb.rig->dev);
	results[i++] = iommu_group_replace_domain(cb.rig->group, cb.domain);
	results[i++] = iommu_group_set_default_domain(cb.rig->group, NULL);
	results[i++] = iommu_get_resv_regions(cb.rig->dev, &list);
	results[i++] = iommu_get_group_resv_regions(cb.rig->group, &list);
	dev = iommu_device_register("another", &hardware_ops, &cb.rig->hw, cb.rig->group,
				    GFP_KERNEL);
	results[i++] = (int)PTR_ERR(dev);
	results[i++] = iommu_setup_dma_ops(cb.rig->dev, GFP_KERNEL);
	iommu_detach_group(cb.rig->domain, cb.rig->group);
	iommu_detach_device(cb.rig->domain, cb.rig->dev);
	iommu_device_unregister(cb.rig->dev);
}

static int each_device(struct iommu_device *dev, void *data)
{
	act();
	return 0;
}

static void by_each_device(void)
{
	assert_int_equal(iommu_group_for_each_dev(cb.rig->group, NULL, each_device), 0);
}

static int attach_and_act(struct iommu_domain *domain, struct iommu_device *dev,
			  struct iommu_domain *old)
{
	act();
	return 0;
}

static void detach_and_act(struct iommu_domain *domain, struct iommu_device *dev)
{
}

static const struct iommu_device_ops acting_ops = {
	.attach_dev = attach_and_act,
	.detach_dev = detach_and_act,
};

static void by_attach(void)
{
	struct iommu_device *dev =
		iommu_device_register("acting", &acting_ops, NULL, cb.rig->group, GFP_KERNEL);

	assert_false(IS_ERR(dev));
	iommu_device_unregister(dev);
}

static void groups_refuse(void **state)
{
	void (*const ways_there[])(void) = {by_shrinker, by_each_device, by_attach};
	struct rig rig;
	unsigned int lines = 0;

	rig_begin(&rig, iommu_format_find("vtd"));
	cb.rig = &rig;
	for (unsigned int way = 0; way < 3; way++) {
		cb.domain = new_vtd_domain();
		memset(results, 0, sizeof(results));
		lines += go(ways_there[way], use_group);
		for (unsigned int i = 0; i < sizeof(results) / sizeof(results[0]); i++)
			assert_int_equal(results[i], -EDEADLK);
		assert_ptr_equal(iommu_get_domain_for_dev(rig.dev), rig.domain);
		assert_ptr_equal(rig.hw.uses, rig.domain);
		iommu_domain_free(cb.domain);
		/* The lock is as it was. */
		cb.domain = new_vtd_domain();
		assert_int_equal(iommu_attach_group(cb.domain, rig.group), 0);
		iommu_detach_group(cb.domain, rig.group);
		iommu_domain_free(cb.domain);
	}
	assert_int_equal(lines, 1);
	rig_end(&rig);
}

/* ---- domains with shrinkers of their own ---- */

static struct rig doomed;

static void end_rig(void)
{
	rig_end(&doomed);
	mem_cgroup_set_active(cb.rig->memcg);
}

/* A flush callback may end another domain of the DMA API, whose queue has a shrinker. */
static void lazy_domain_goes(void **state)
{
	struct rig rig;

	rig_begin(&rig, iommu_format_find("vtd"));
	cb.rig = &rig;
	iommu_domain_set_iotlb_ops(rig.domain, &iotlb_ops, NULL);
	assert_int_equal(iommu_dma_init_fq(rig.domain, GFP_KERNEL), 0);
	dma_unmap_page(rig.dev, dma_map_page(rig.dev, PAGE, 0, PAGE, DMA_TO_DEVICE), PAGE,
		       DMA_TO_DEVICE);
	cb.acted = 0;
	rig_begin(&doomed, iommu_format_find("vtd"));
	assert_int_equal(iommu_dma_init_fq(doomed.domain, GFP_KERNEL), 0);
	dma_unmap_page(doomed.dev, dma_map_page(doomed.dev, PAGE, 0, PAGE, DMA_TO_DEVICE), PAGE,
		       DMA_TO_DEVICE);
	/* Devices cannot go while a shrinker runs; of the rest there is nothing left. */
	iommu_device_unregister(doomed.dev);
	iommu_group_put(doomed.group);
	doomed.dev = NULL;
	doomed.group = NULL;
	mem_cgroup_set_active(rig.memcg);
	cb.act = end_rig;
	cb.domain = rig.domain;
	by_shrinker();
	assert_int_equal(cb.acted, 1);
	rig_end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_domain_stays),  cmocka_unit_test(own_domain_stays_in_rounds),
		cmocka_unit_test(other_domain_goes), cmocka_unit_test(cgroup_goes),
		cmocka_unit_test(groups_refuse),     cmocka_unit_test(lazy_domain_goes),
	};

	register_shrinker(&shrinker);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
