/* SPDX-License-Identifier: MIT */
/*
 * Every call of dma-mapping.h with the n-th allocation failing, for every n until
 * none fails; once, and from then on. A call that fails must leave no table, no
 * address and no byte behind but what the set of addresses keeps for itself, and
 * do its work when it is repeated.
 */
#include <uiommu/mm.h>

#include "tests/dma.h"

#include "dma/dma.h"

#define PIECES 40

struct stage {
	struct rig rig;
	unsigned char *memory;
	struct hardware hw; /* of a second device */
	struct iommu_device *second;
	struct scatterlist sg[PIECES];
	uint64_t addr;
	void *cpu;
	struct sg_table *sgt;
};

struct scenario {
	const char *name;
	bool needs_nothing; /* never allocates */
	void (*prepare)(struct stage *s);
	bool (*act)(struct stage *s);
	bool (*undo)(struct stage *s); /* or NULL: goes with the domain */
};

static void nothing(struct stage *s)
{
}

static void untrust(struct stage *s)
{
	dev_set_untrusted(s->rig.dev, true);
}

static void make_lazy(struct stage *s)
{
	assert_int_equal(iommu_dma_init_fq(s->rig.domain, GFP_KERNEL), 0);
}

static void change_domain(struct stage *s)
{
	iommu_group_set_default_domain(s->rig.group, NULL);
	iommu_domain_free(s->rig.domain);
	s->rig.domain = plain_domain(IOMMU_DOMAIN_DMA);
	assert_int_equal(iommu_group_set_default_domain(s->rig.group, s->rig.domain), 0);
	iommu_domain_set_iotlb_ops(s->rig.domain, &rig_iotlb_ops, &s->rig);
}

/* Also of a second device, whose reserved regions are listed and kept. */
static void add_second(struct stage *s)
{
	add_region(&s->hw, 1 << 20, 4096, RW, IOMMU_RESV_RESERVED);
	add_region(&s->hw, 5ULL << 30, 1ULL << 22, RW, IOMMU_RESV_MSI);
	s->second = new_device(&s->hw, s->rig.group);
}

static bool setup_act(struct stage *s)
{
	return !iommu_setup_dma_ops(s->second ? s->second : s->rig.dev, GFP_KERNEL_ACCOUNT);
}

static bool init_fq_act(struct stage *s)
{
	return !iommu_dma_init_fq(s->rig.domain, GFP_KERNEL);
}

static bool map_act(struct stage *s)
{
	s->addr = dma_map_page(s->rig.dev, paddr_of(s->memory), 100, 20000, DMA_BIDIRECTIONAL);
	return s->addr != DMA_MAPPING_ERROR;
}

static bool resource_act(struct stage *s)
{
	s->addr = dma_map_resource(s->rig.dev, 0xfe000000, 20000, DMA_BIDIRECTIONAL, 0);
	return s->addr != DMA_MAPPING_ERROR;
}

/* More pieces than are mapped at once, with a hole every few of them. */
static bool map_sg_act(struct stage *s)
{
	dma_set_seg_boundary(s->rig.dev, 0x3fff);
	for (unsigned int i = 0; i < PIECES; i++)
		s->sg[i] = (struct scatterlist){.paddr = paddr_of(s->memory) + i % 2 * 20480,
						.length = 3 * 4096 - i};
	return dma_map_sg(s->rig.dev, s->sg, PIECES, DMA_BIDIRECTIONAL) != 0;
}

static bool alloc_act(struct stage *s)
{
	s->cpu = dma_alloc_attrs(s->rig.dev, 8192, &s->addr, GFP_KERNEL, 0);
	return s->cpu;
}

static bool alloc_nowait_act(struct stage *s)
{
	s->cpu = dma_alloc_attrs(s->rig.dev, 8192, &s->addr, GFP_NOWAIT, 0);
	return s->cpu;
}

static bool noncontiguous_act(struct stage *s)
{
	s->sgt = dma_alloc_noncontiguous(s->rig.dev, 35 * 4096, DMA_TO_DEVICE, GFP_KERNEL, 0);
	return s->sgt;
}

static bool msi_act(struct stage *s)
{
	return !iommu_dma_prepare_msi(s->rig.dev, 0xfee00000, &s->addr);
}

static void add_window(struct stage *s)
{
	add_region(&s->rig.hw, 0x8000000, 0x100000, IOMMU_WRITE, IOMMU_RESV_SW_MSI);
}

static void map(struct stage *s)
{
	assert_true(map_act(s));
}

static void map_untrusted(struct stage *s)
{
	untrust(s);
	map(s);
}

static void map_lazy(struct stage *s)
{
	make_lazy(s);
	map(s);
}

static bool unmap_act(struct stage *s)
{
	dma_unmap_page(s->rig.dev, s->addr, 20000, DMA_BIDIRECTIONAL);
	return true;
}

static bool sync_act(struct stage *s)
{
	dma_sync_single_for_cpu(s->rig.dev, s->addr, 20000, DMA_BIDIRECTIONAL);
	dma_sync_single_for_device(s->rig.dev, s->addr, 20000, DMA_BIDIRECTIONAL);
	return true;
}

static void map_sg(struct stage *s)
{
	assert_true(map_sg_act(s));
}

static void map_sg_untrusted(struct stage *s)
{
	untrust(s);
	map_sg(s);
}

static bool unmap_sg_act(struct stage *s)
{
	dma_unmap_sg(s->rig.dev, s->sg, PIECES, DMA_BIDIRECTIONAL);
	return true;
}

static void alloc(struct stage *s)
{
	assert_true(alloc_act(s));
}

static bool free_act(struct stage *s)
{
	dma_free_attrs(s->rig.dev, 8192, s->cpu, s->addr, 0);
	s->cpu = NULL;
	return true;
}

static void noncontiguous(struct stage *s)
{
	assert_true(noncontiguous_act(s));
}

static bool free_noncontiguous_act(struct stage *s)
{
	dma_free_noncontiguous(s->rig.dev, s->sgt);
	s->sgt = NULL;
	return true;
}

static void queue(struct stage *s)
{
	map_lazy(s);
	unmap_act(s);
}

static bool flush_act(struct stage *s)
{
	iommu_dma_flush_queues(s->rig.domain);
	return true;
}

static bool free_domain_act(struct stage *s)
{
	iommu_group_set_default_domain(s->rig.group, NULL);
	iommu_domain_free(s->rig.domain);
	s->rig.domain = NULL;
	return true;
}

static void everything(struct stage *s)
{
	assert_true(msi_act(s));
	map_sg(s);
	queue(s);
}

static const struct scenario scenarios[] = {
	{"set a domain up", false, change_domain, setup_act, NULL},
	{"set a second device up", false, add_second, setup_act, NULL},
	{"lazy mode", false, nothing, init_fq_act, NULL},
	{"map a page", false, nothing, map_act, NULL},
	{"map a page lazily", false, make_lazy, map_act, NULL},
	{"map a page, untrusted", false, untrust, map_act, unmap_act},
	{"map a resource", false, nothing, resource_act, NULL},
	{"map a list", false, nothing, map_sg_act, NULL},
	{"map a list, untrusted", false, untrust, map_sg_act, unmap_sg_act},
	{"allocate", false, nothing, alloc_act, free_act},
	{"allocate, not waiting", false, nothing, alloc_nowait_act, free_act},
	{"allocate noncontiguous", false, nothing, noncontiguous_act, free_noncontiguous_act},
	{"interrupts", false, nothing, msi_act, NULL},
	{"interrupts in a window", false, add_window, msi_act, NULL},
	{"unmap", true, map, unmap_act, NULL},
	{"unmap, untrusted", true, map_untrusted, unmap_act, NULL},
	{"unmap lazily", true, map_lazy, unmap_act, NULL},
	{"sync", true, map_untrusted, sync_act, unmap_act},
	{"unmap a list", true, map_sg, unmap_sg_act, NULL},
	{"unmap a list, untrusted", true, map_sg_untrusted, unmap_sg_act, NULL},
	{"free", true, alloc, free_act, NULL},
	{"free noncontiguous", true, noncontiguous, free_noncontiguous_act, NULL},
	{"flush", true, queue, flush_act, NULL},
	{"free the domain", true, everything, free_domain_act, NULL},
};

/* Bytes charged, addresses in use and tables; of the set of addresses what is its own not. */
struct state {
	uint64_t bytes, addresses, tables;
};

static struct state state_of(const struct stage *s)
{
	struct iommu_dma_cookie *cookie = domain_dma_cookie(s->rig.domain);
	struct iova_domain_info info = {0};

	if (cookie)
		iova_domain_get_info(cookie->iovad, &info);
	return (struct state){
		.bytes = mem_cgroup_usage(s->rig.memcg) - info.bytes,
		.addresses = info.used - info.cached,
		.tables = count_tables(s->rig.domain),
	};
}

static void assert_same_state(const struct scenario *scenario, struct state a, struct state b)
{
	if (a.bytes != b.bytes || a.addresses != b.addresses || a.tables != b.tables)
		fail_msg("%s: %llu bytes, %llu addresses, %llu tables; then %llu, %llu, %llu",
			 scenario->name, (unsigned long long)a.bytes,
			 (unsigned long long)a.addresses, (unsigned long long)a.tables,
			 (unsigned long long)b.bytes, (unsigned long long)b.addresses,
			 (unsigned long long)b.tables);
}

/* Returns whether an allocation failed. */
static bool run(const struct scenario *scenario, const struct iommu_format *format,
		unsigned int nth, bool sticky)
{
	struct stage s = {.second = NULL};
	uint64_t random = 3;
	struct state before;
	bool hit, ok;

	rig_begin(&s.rig, format);
	s.memory = new_memory(65536, &random);
	scenario->prepare(&s);
	before = state_of(&s);
	uiommu_fail_nth(nth, sticky);
	ok = scenario->act(&s);
	hit = uiommu_fail_nth(0, false);
	assert_true(hit || ok);
	if (!ok) {
		assert_same_state(scenario, before, state_of(&s));
		assert_true(scenario->act(&s));
	}
	if (scenario->undo)
		scenario->undo(&s);
	iommu_device_unregister(s.second);
	rig_end(&s.rig);
	free(s.memory);
	return hit;
}

static void every_failure(void **state)
{
	static const char *const formats[] = {"vtd", "amdv1", "s390"};

	for (unsigned int f = 0; f < 3; f++)
		for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
			for (unsigned int sticky = 0; sticky < 2; sticky++) {
				const struct scenario *scenario = &scenarios[i];
				unsigned int nth = 1;

				while (run(scenario, iommu_format_find(formats[f]), nth, sticky))
					nth++;
				if ((nth == 1) != scenario->needs_nothing)
					fail_msg("%s: %u allocations", scenario->name, nth - 1);
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
