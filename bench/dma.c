// SPDX-License-Identifier: MIT
/*
 * The cost of mapping memory for a device and unmapping it, as a driver does. Some
 * buffers stay mapped all the time, so that the tables exist. A flush of the IOTLB
 * costs a call and nothing more.
 */
#include "bench/dma.h"

#include <pthread.h>
#include <stdatomic.h>

#include <uiommu/dma-mapping.h>

#include "bench/measure.h"
#include "bench/report.h"

#define K4     4096ULL
#define PA     (1ULL << 36)
#define BATCH  256u
#define KEPT   700u /* pages that stay mapped, for each thread */
#define PIECES 16u

#define STRICT "map + unmap 4K, strict"
#define PAIR   "map + unmap 4K, two threads over one"

static int attach(struct iommu_domain *domain, struct iommu_device *dev, struct iommu_domain *old)
{
	return 0;
}

static void detach(struct iommu_domain *domain, struct iommu_device *dev)
{
}

static const struct iommu_device_ops device_ops = {.attach_dev = attach, .detach_dev = detach};

static void flush(void *context, struct iommu_domain *domain, dma_addr_t iova, dma_addr_t last,
		  bool tables)
{
}

static const struct iommu_iotlb_ops iotlb_ops = {.flush = flush};

struct rig {
	struct iommu_domain *domain;
	struct iommu_group *group;
	struct iommu_device *dev;
};

static void must(bool done, const char *what)
{
	if (!done)
		fail("dma: %s failed", what);
}

static struct rig rig_new(bool lazy)
{
	const struct iommu_domain_params params = {.type = IOMMU_DOMAIN_DMA, .format = "vtd"};
	struct rig rig = {
		.domain = iommu_domain_alloc(&params, GFP_KERNEL_ACCOUNT),
		.group = iommu_group_alloc(GFP_KERNEL),
	};
	struct sg_table *sgt;

	must(!IS_ERR(rig.domain) && !IS_ERR(rig.group), "iommu_domain_alloc()");
	iommu_domain_set_iotlb_ops(rig.domain, &iotlb_ops, NULL);
	rig.dev = iommu_device_register("bench", &device_ops, NULL, rig.group, GFP_KERNEL);
	must(!IS_ERR(rig.dev), "iommu_device_register()");
	must(!iommu_group_set_default_domain(rig.group, rig.domain), "set_default_domain()");
	must(!iommu_setup_dma_ops(rig.dev, GFP_KERNEL), "iommu_setup_dma_ops()");
	must(!lazy || !iommu_dma_init_fq(rig.domain, GFP_KERNEL), "iommu_dma_init_fq()");
	/* The arena does not grow for callers that must not block: let it grow now. */
	sgt = dma_alloc_noncontiguous(rig.dev, 8 << 20, DMA_BIDIRECTIONAL, GFP_KERNEL, 0);
	must(sgt, "dma_alloc_noncontiguous()");
	dma_free_noncontiguous(rig.dev, sgt);
	return rig;
}

static void rig_free(struct rig *rig)
{
	iommu_device_unregister(rig->dev);
	iommu_group_put(rig->group);
	iommu_domain_free(rig->domain);
}

static dma_addr_t map(struct iommu_device *dev, uint64_t paddr)
{
	dma_addr_t addr = dma_map_page(dev, paddr, 0, K4, DMA_BIDIRECTIONAL);

	must(addr != DMA_MAPPING_ERROR, "dma_map_page()");
	return addr;
}

/* Map every other page of a range, so that the table exists wherever one is mapped next. */
static void keep_some(struct iommu_device *dev)
{
	dma_addr_t addr[2 * KEPT];

	for (unsigned int i = 0; i < 2 * KEPT; i++)
		addr[i] = map(dev, PA + i * 2 * K4);
	for (unsigned int i = 0; i < 2 * KEPT; i += 2)
		dma_unmap_page(dev, addr[i], K4, DMA_BIDIRECTIONAL);
}

static void call_pages(struct iommu_device *dev, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		dma_unmap_page(dev, map(dev, PA + i * K4), K4, DMA_BIDIRECTIONAL);
}

static void call_lists(struct iommu_device *dev, unsigned int nr)
{
	struct scatterlist sg[PIECES];

	for (unsigned int i = 0; i < PIECES; i++)
		sg[i] = (struct scatterlist){.paddr = PA + i * 2 * K4, .length = K4};
	for (unsigned int i = 0; i < nr; i++) {
		must(dma_map_sg(dev, sg, PIECES, DMA_BIDIRECTIONAL), "dma_map_sg()");
		dma_unmap_sg(dev, sg, PIECES, DMA_BIDIRECTIONAL);
	}
}

/* A ring of buffers: the oldest one is unmapped, a new one is mapped. */
static void call_ring(struct iommu_device *dev, unsigned int nr)
{
	static dma_addr_t ring[BATCH];

	for (unsigned int i = 0; i < nr; i++) {
		dma_addr_t *slot = &ring[i % BATCH];

		if (*slot)
			dma_unmap_page(dev, *slot, K4, DMA_BIDIRECTIONAL);
		*slot = map(dev, PA + i * K4);
	}
}

static void bench_calls(const char *operation, bool lazy, unsigned int rounds, bool keep,
			void (*call)(struct iommu_device *dev, unsigned int nr))
{
	struct series *series = report_row(DMA_ROWS, operation, MEMORY_NONE);
	struct rig rig = rig_new(lazy);

	if (keep)
		keep_some(rig.dev);
	for (call(rig.dev, BATCH); rounds; rounds--) {
		uint64_t start = clock_now();

		call(rig.dev, BATCH);
		series_add(series, clock_since(start, BATCH));
	}
	rig_free(&rig);
}

struct worker {
	struct iommu_device *dev;
	struct mem_cgroup *cg;
	atomic_uint *ready, *turn;
	unsigned int nr, index, cpu, rounds;
	double ns;
};

static void *work(void *arg)
{
	struct worker *worker = arg;
	uint64_t start;

	pin_to(worker->cpu);
	mem_cgroup_set_active(worker->cg);
	/* One after the other, as drivers are loaded: each has its addresses together. */
	while (atomic_load(worker->turn) != worker->index)
		;
	keep_some(worker->dev);
	call_pages(worker->dev, BATCH);
	atomic_fetch_add(worker->turn, 1);
	atomic_fetch_add(worker->ready, 1);
	while (atomic_load(worker->ready) < worker->nr)
		;
	start = clock_now();
	for (unsigned int i = 0; i < worker->rounds; i++)
		call_pages(worker->dev, BATCH);
	worker->ns = clock_since(start, (double)worker->rounds * BATCH);
	mem_cgroup_set_active(NULL);
	return NULL;
}

/* Calls per ns of @nr threads in one domain. */
static double throughput(struct mem_cgroup *cg, unsigned int nr, unsigned int cpu,
			 unsigned int rounds)
{
	struct rig rig = rig_new(false);
	struct worker workers[2];
	pthread_t threads[2];
	atomic_uint ready = 0, turn = 0;
	double sum = 0;

	for (unsigned int i = 0; i < nr; i++) {
		workers[i] = (struct worker){rig.dev, cg, &ready, &turn, nr, i, cpu + i, rounds, 0};
		if (pthread_create(&threads[i], NULL, work, &workers[i]))
			fail("cannot start a thread");
	}
	for (unsigned int i = 0; i < nr; i++) {
		pthread_join(threads[i], NULL);
		sum += 1 / workers[i].ns;
	}
	rig_free(&rig);
	return sum;
}

/* The best of each: other processes take more from two threads than from one. */
static void bench_two(struct mem_cgroup *cg, unsigned int cpu, unsigned int rounds)
{
	double alone = 0, both = 0;

	for (unsigned int i = 0; i < 7; i++) {
		double now = throughput(cg, 1, cpu, rounds);

		alone = now > alone ? now : alone;
		now = throughput(cg, 2, cpu, rounds);
		both = now > both ? now : both;
	}
	report_value(DMA_ROWS, PAIR, both / alone);
}

void bench_dma(struct mem_cgroup *cg, double scale, unsigned int cpu)
{
	unsigned int rounds = (unsigned int)(2000 * scale);

	bench_calls(STRICT, false, rounds, true, call_pages);
	bench_calls("the same, lazy", true, rounds, true, call_pages);
	bench_calls("the same, strict, nothing else mapped", false, rounds, false, call_pages);
	bench_calls("the same, strict, a ring of 256", false, rounds, true, call_ring);
	bench_calls("map + unmap a list of 16x4K, strict", false, rounds, true, call_lists);
	if (processors() > 1)
		bench_two(cg, cpu, rounds);
}

void check_dma_aims(void)
{
	report_due("dma: " STRICT, report_min(DMA_ROWS, STRICT), 60);
	report_due("dma: one thread over two, whole work", 1 / report_get(DMA_ROWS, PAIR), 1 / 1.8);
}
