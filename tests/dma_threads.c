/* SPDX-License-Identifier: MIT */
/*
 * Threads that map memory in one domain at once: pages, lists, memory of the
 * library's. Each looks through the IOTLB at what it mapped, and at what it
 * unmapped: there may be another's by then, but never its own.
 */
#include <pthread.h>
#include <sched.h>

#include "tests/dma.h"
#include "tests/iotlb_world.h"

#define THREADS 4
#define LIVE    16
#ifdef HW_SANITIZED
#define ROUNDS 400
#else
#define ROUNDS 4000
#endif

struct thread {
	pthread_t id;
	struct rig *rig;
	struct cached_domain *seen;
	bool lazy;
	unsigned int index, wrong, failed;
	uint64_t addr[LIVE];
};

/* Each mapping of each thread has memory of its own. */
static uint64_t paddr_at(const struct thread *t, unsigned int i)
{
	return (1ULL << 32) + (t->index * LIVE + i) * (1ULL << 20);
}

/* Whether the device finds a mapping's memory at its address. */
static bool sees(const struct thread *t, unsigned int i, uint64_t addr)
{
	struct hw_translation out;

	return !device_access(t->seen, addr, HW_READ, &out) && out.paddr == paddr_at(t, i);
}

static void map_one(struct thread *t, unsigned int i)
{
	t->addr[i] = dma_map_page(t->rig->dev, paddr_at(t, i), 0, (1 + i % 3) * t->rig->page,
				  DMA_TO_DEVICE);
	/* GFP_ATOMIC only tries locks: it may fail while others hold them. */
	t->failed += t->addr[i] == DMA_MAPPING_ERROR;
	if (t->addr[i] != DMA_MAPPING_ERROR)
		t->wrong += !sees(t, i, t->addr[i]);
}

static void unmap_one(struct thread *t, unsigned int i)
{
	uint64_t addr = t->addr[i];

	t->addr[i] = DMA_MAPPING_ERROR;
	t->wrong += !sees(t, i, addr);
	dma_unmap_page(t->rig->dev, addr, (1 + i % 3) * t->rig->page, DMA_TO_DEVICE);
	if (!t->lazy)
		t->wrong += sees(t, i, addr);
}

static void map_list(struct thread *t)
{
	struct scatterlist sg[20];

	for (unsigned int i = 0; i < 20; i++)
		sg[i] = (struct scatterlist){.paddr = paddr_at(t, i % LIVE) + (2 + i) * 65536ULL,
					     .length = t->rig->page};
	if (dma_map_sg(t->rig->dev, sg, 20, DMA_BIDIRECTIONAL))
		dma_unmap_sg(t->rig->dev, sg, 20, DMA_BIDIRECTIONAL);
	else
		t->failed++;
}

static void allocate(struct thread *t)
{
	struct sg_table *sgt =
		dma_alloc_noncontiguous(t->rig->dev, 100000, DMA_BIDIRECTIONAL, GFP_KERNEL, 0);

	if (!sgt) {
		t->failed++;
		return;
	}
	memset(sg_virt(&sgt->sgl[0]), (int)t->index, sgt->sgl[0].length);
	dma_free_noncontiguous(t->rig->dev, sgt);
}

static void interrupt(struct thread *t)
{
	dma_addr_t first, second;

	if (iommu_dma_prepare_msi(t->rig->dev, 0xfee00000, &first) ||
	    iommu_dma_prepare_msi(t->rig->dev, 0xfee00000, &second) || first != second)
		t->wrong++;
}

static void *work(void *arg)
{
	struct thread *t = arg;
	uint64_t random = 100 + t->index;

	mem_cgroup_set_active(t->rig->memcg);
	for (unsigned int i = 0; i < LIVE; i++)
		t->addr[i] = DMA_MAPPING_ERROR;
	for (unsigned int round = 0; round < ROUNDS; round++) {
		unsigned int i = (unsigned int)random_below(&random, LIVE);

		if (t->addr[i] == DMA_MAPPING_ERROR)
			map_one(t, i);
		else
			unmap_one(t, i);
		if (round % 16 == 0)
			map_list(t);
		if (round % 64 == 0)
			allocate(t);
		if (round % 128 == 0)
			interrupt(t);
	}
	for (unsigned int i = 0; i < LIVE; i++)
		if (t->addr[i] != DMA_MAPPING_ERROR)
			unmap_one(t, i);
	mem_cgroup_set_active(NULL);
	return NULL;
}

static void run_threads(const struct iommu_format *format, bool lazy)
{
	struct thread threads[THREADS];
	struct cached_domain seen;
	unsigned int wrong = 0, failed = 0;
	struct rig rig;

	rig_begin(&rig, format);
	if (lazy)
		assert_int_equal(iommu_dma_init_fq(rig.domain, GFP_KERNEL), 0);
	seen = (struct cached_domain){.domain = rig.domain, .cached = {rig.iotlb, 1}};
	for (unsigned int i = 0; i < THREADS; i++) {
		threads[i] = (struct thread){.rig = &rig, .seen = &seen, .lazy = lazy, .index = i};
		assert_int_equal(pthread_create(&threads[i].id, NULL, work, &threads[i]), 0);
	}
	for (unsigned int i = 0; i < THREADS; i++) {
		pthread_join(threads[i].id, NULL);
		wrong += threads[i].wrong;
		failed += threads[i].failed;
	}
	assert_int_equal(wrong, 0);
	/* Failing must stay the exception. */
	assert_true(failed < THREADS * ROUNDS / 10);
	iommu_dma_flush_queues(rig.domain);
	assert_int_equal(rig_stale(&rig), 0);
	rig_end(&rig);
}

static void strict(void **state)
{
	run_threads(iommu_format_find("vtd"), false);
	run_threads(iommu_format_find("amdv1"), false);
}

static void lazy(void **state)
{
	run_threads(iommu_format_find("vtd"), true);
	run_threads(iommu_format_find("arm64-s1"), true);
}

/* Two devices of one domain that are set up at the same time. */
struct setup {
	pthread_t id;
	struct iommu_device *dev;
	int ret;
};

static void *set_up(void *arg)
{
	struct setup *s = arg;

	s->ret = iommu_setup_dma_ops(s->dev, GFP_KERNEL);
	if (!s->ret)
		s->ret = iommu_dma_init_fq(iommu_get_dma_domain(s->dev), GFP_KERNEL);
	return NULL;
}

static void set_up_at_once(void **state)
{
	for (unsigned int round = 0; round < 50; round++) {
		struct hardware hw[2] = {{.nr_regions = 0}};
		struct setup s[2];
		struct rig rig;

		rig_prepare(&rig, iommu_format_find("vtd"), 0);
		for (unsigned int i = 0; i < 2; i++) {
			add_region(&hw[i], (1 + i) * 0x4000, 0x1000, RW, IOMMU_RESV_RESERVED);
			s[i] = (struct setup){.dev = new_device(&hw[i], rig.group)};
		}
		for (unsigned int i = 0; i < 2; i++)
			assert_int_equal(pthread_create(&s[i].id, NULL, set_up, &s[i]), 0);
		for (unsigned int i = 0; i < 2; i++) {
			pthread_join(s[i].id, NULL);
			assert_int_equal(s[i].ret, 0);
		}
		assert_int_equal(dma_set_mask(s[0].dev, 0xffff), 0);
		for (unsigned int i = 0; i < 13; i++) {
			uint64_t addr = dma_map_page(s[0].dev, 0, 0, 4096, DMA_TO_DEVICE);

			assert_true(addr != 0x4000 && addr != 0x8000 && addr <= 0xf000);
		}
		iommu_device_unregister(s[0].dev);
		iommu_device_unregister(s[1].dev);
		rig_end(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strict),
		cmocka_unit_test(lazy),
		cmocka_unit_test(set_up_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
