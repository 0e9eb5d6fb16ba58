// SPDX-License-Identifier: MIT
/*
 * Many threads and devices on one domain behind one IOTLB. Each thread maps and
 * unmaps ranges of its own, which share tables with those of all others, and
 * demands that a device sees a mapping once it is made, and nothing once it is
 * flushed. Other devices translate anything at any time, so that the IOTLB is
 * full of what is about to go.
 *
 * A table that was emptied stays in the IOTLB until its flush; whoever maps in
 * its place before that must see to it that devices find the new one.
 */
#include <pthread.h>

#include "tests/iotlb_world.h"

#define SEED    0x7ead5ULL
#define THREADS 3
#ifdef HW_SANITIZED
#define ROUNDS 400
#else
#define ROUNDS 3000
#endif

static const struct hw_iotlb_shape iotlb_shape = {
	.sets = 16, .ways = 4, .table_sets = 4, .table_ways = 4};

struct worker {
	pthread_t thread;
	const struct cached_domain *domain;
	struct range ranges[RANGES];
	unsigned int nr_ranges;
	uint64_t random;
	struct iommu_iotlb_gather gather;
	unsigned int wrong;
};

struct device {
	pthread_t thread;
	const struct cached_domain *domain;
	uint64_t random;
	atomic_bool stop;
	unsigned int wrong;
};

/* What a device may meet on ranges that change meanwhile: old or new, or half a run. */
static bool is_transient(enum hw_fault fault, const struct hw_translation *got)
{
	return fault == HW_FAULT_NONE || fault == HW_FAULT_NOT_PRESENT ||
	       (fault == HW_FAULT_RESERVED && got->steps[got->nr_steps - 1].item.run_lg2);
}

static void *translate_anything(void *arg)
{
	struct device *device = arg;
	struct hw_translation got;

	while (!atomic_load(&device->stop)) {
		const struct range *range =
			&device->domain
				 ->ranges[random_below(&device->random, device->domain->nr_ranges)];
		uint64_t iova = range->iova + random_below(&device->random, range->size);
		enum hw_fault fault = device_access(device->domain, iova, HW_READ, &got);

		device->wrong += !is_transient(fault, &got);
	}
	return NULL;
}

static void map(struct worker *worker, struct range *range)
{
	struct iommu_domain *domain = worker->domain->domain;

	worker->wrong +=
		iommu_map(domain, range->iova, range->paddr, range->size, RW, GFP_KERNEL) != 0;
	range->mapped = range->size;
	range->state = MAPPED;
	worker->wrong += look_over(worker->domain, range, &worker->random);
}

static void unmap(struct worker *worker, struct range *range)
{
	struct iommu_domain *domain = worker->domain->domain;

	worker->wrong +=
		iommu_unmap_fast(domain, range->iova, range->size, &worker->gather) != range->size;
	range->state = PENDING;
	worker->wrong += look_over(worker->domain, range, &worker->random);
}

static void sync(struct worker *worker)
{
	iommu_iotlb_sync(worker->domain->domain, &worker->gather);
	for (unsigned int i = 0; i < worker->nr_ranges; i++)
		if (worker->ranges[i].state == PENDING) {
			worker->ranges[i].state = FREE;
			worker->wrong +=
				look_over(worker->domain, &worker->ranges[i], &worker->random);
		}
}

static void *work(void *arg)
{
	struct worker *worker = arg;

	for (unsigned int round = 0; round < ROUNDS; round++) {
		struct range *range =
			&worker->ranges[random_below(&worker->random, worker->nr_ranges)];

		if (range->state == FREE)
			map(worker, range);
		else if (range->state == MAPPED)
			unmap(worker, range);
		if (range->state == PENDING && random_below(&worker->random, 2))
			sync(worker);
		worker->wrong += look_over(worker->domain, range, &worker->random);
	}
	sync(worker);
	for (unsigned int i = 0; i < worker->nr_ranges; i++)
		if (worker->ranges[i].state == MAPPED)
			unmap(worker, &worker->ranges[i]);
	sync(worker);
	return NULL;
}

/* Deal the ranges out like cards: neighbours belong to different threads. */
static void deal(const struct cached_domain *domain, struct worker *workers)
{
	for (unsigned int i = 0; i < domain->nr_ranges; i++) {
		struct worker *worker = &workers[i % THREADS];

		worker->ranges[worker->nr_ranges++] = domain->ranges[i];
	}
}

/*
 * What devices are told of the tables must not change under them: a page at the
 * end lets tables that grow do so now. Returns how much is to be unmapped again.
 */
static size_t grow(struct cached_domain *domain)
{
	const struct range *last = &domain->ranges[domain->nr_ranges - 1];
	uint64_t iova = domain->page * 7;

	for (unsigned int i = 0; i < domain->nr_ranges; i++)
		if (domain->ranges[i].iova > last->iova)
			last = &domain->ranges[i];
	iova += last->iova + last->size - domain->page;
	assert_int_equal(iommu_map(domain->domain, iova, 0, domain->page, RW, GFP_KERNEL), 0);
	return iova;
}

static void run(const struct shape *shape, uint64_t seed)
{
	struct mem_cgroup *memcg = enter_cgroup(NULL);
	struct hw_iotlb *iotlb = hw_iotlb_create(&iotlb_shape);
	struct worker *workers = test_calloc(THREADS, sizeof(*workers));
	struct cached_domain domain;
	struct device device = {.domain = &domain, .random = seed + THREADS};
	uint64_t grown;

	open_domain(&domain, shape, iotlb, 1);
	grown = grow(&domain);
	deal(&domain, workers);
	assert_int_equal(pthread_create(&device.thread, NULL, translate_anything, &device), 0);
	for (unsigned int i = 0; i < THREADS; i++) {
		workers[i].domain = &domain;
		workers[i].random = seed + i;
		iommu_iotlb_gather_init(&workers[i].gather);
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned int i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		assert_int_equal(workers[i].wrong, 0);
	}
	atomic_store(&device.stop, true);
	pthread_join(device.thread, NULL);
	assert_int_equal(device.wrong, 0);
	assert_int_equal(count_stale(&domain), 0);
	assert_int_equal(iommu_unmap(domain.domain, grown, domain.page), domain.page);
	assert_int_equal(count_stale(&domain), 0);
	iommu_domain_free(domain.domain);
	hw_iotlb_destroy(iotlb);
	test_free(workers);
	leave_cgroup(memcg);
}

static void no_stale_hit(void **state)
{
	struct shape shapes[MAX_SHAPES];
	unsigned int count = list_hw_shapes(shapes);

	for (unsigned int i = 0; i < count; i++) {
		print_message("# %s, %u bits, seed 0x%llx\n", shapes[i].format->name,
			      shapes[i].width, SEED + i * (THREADS + 1));
		run(&shapes[i], SEED + i * (THREADS + 1));
	}
}

/* A map of the neighbour that is made while the first one has its flush done. */
static struct {
	struct cached_domain domain;
	struct range *beside; /* NULL: not now */
	bool wrong;
} intruder;

/* True if the map fails or a device does not see it. */
static bool cannot_map(struct range *range)
{
	range->state = MAPPED;
	range->mapped = range->size;
	return iommu_map(intruder.domain.domain, range->iova, range->paddr, range->size, RW,
			 GFP_KERNEL) ||
	       look(&intruder.domain, range, 0);
}

static void *map_beside(void *arg)
{
	intruder.wrong = cannot_map(arg);
	return NULL;
}

static void flush_with_intruder(void *context, struct iommu_domain *domain, dma_addr_t first,
				dma_addr_t last, bool tables)
{
	struct range *beside = intruder.beside;
	pthread_t thread;

	intruder.beside = NULL;
	if (beside) {
		assert_int_equal(pthread_create(&thread, NULL, map_beside, beside), 0);
		pthread_join(thread, NULL);
	}
	hw_iotlb_ops.flush(context, domain, first, last, tables);
}

static const struct iommu_iotlb_ops intruder_ops = {.flush = flush_with_intruder};

/* Ranges 0, 1 and 2 share a table, which waits for its flush when 1 and 2 are mapped. */
static void map_beside_a_flush(void **state)
{
	struct hw_iotlb *iotlb = hw_iotlb_create(&iotlb_shape);
	struct cached_domain *domain = &intruder.domain;
	struct iommu_iotlb_gather gather;
	struct shape shapes[MAX_SHAPES];
	struct range *range;

	assert_true(list_hw_shapes(shapes));
	open_domain(domain, &shapes[0], iotlb, 1);
	iommu_domain_set_iotlb_ops(domain->domain, &intruder_ops, &domain->cached);
	iommu_iotlb_gather_init(&gather);
	range = domain->ranges;
	assert_false(cannot_map(&range[0]));
	assert_int_equal(iommu_unmap_fast(domain->domain, range[0].iova, range[0].size, &gather),
			 range[0].size);
	intruder.beside = &range[2];
	assert_false(cannot_map(&range[1]));
	assert_null(intruder.beside);
	assert_false(intruder.wrong);
	assert_false(look(domain, &range[2], 0));
	iommu_iotlb_sync(domain->domain, &gather);
	assert_int_equal(count_stale(domain), 0);
	iommu_domain_free(domain->domain);
	hw_iotlb_destroy(iotlb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(map_beside_a_flush),
		cmocka_unit_test(no_stale_hit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
