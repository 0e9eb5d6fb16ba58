/* SPDX-License-Identifier: MIT */
/*
 * Threads that map, unmap and look up disjoint ranges of one domain at random.
 * Their ranges are interleaved, so that all of them fill and empty the same
 * tables. Each knows what it has mapped; in the end nothing is left.
 */
#include <pthread.h>

#include "tests/common.h"

#define SEED    0x7ead5ULL
#define THREADS 4
#define SLOTS   64 /* of one size, per thread */
#define ROUNDS  10000

/* Slots of a few sizes: of pages that share a table, of tables, of more. */
struct layout {
	uint64_t base, step, size;
};

struct worker {
	pthread_t thread;
	struct iommu_domain *domain;
	struct mem_cgroup *active;
	const struct layout *layouts;
	unsigned int nr_layouts;
	unsigned int number;
	uint64_t random;
	uint64_t paddr[4][SLOTS]; /* 0: not mapped */
	unsigned int errors;
};

static void expect(struct worker *worker, bool good)
{
	if (!good)
		worker->errors++;
}

static void try_slot(struct worker *worker, unsigned int l, unsigned int i)
{
	const struct layout *layout = &worker->layouts[l];
	uint64_t iova = layout->base + (i * THREADS + worker->number) * layout->step;
	uint64_t *paddr = &worker->paddr[l][i], at = random_below(&worker->random, layout->size);

	expect(worker, iommu_iova_to_phys(worker->domain, iova + at) == (*paddr ? *paddr + at : 0));
	if (*paddr) {
		expect(worker, iommu_unmap(worker->domain, iova, layout->size) == layout->size);
		*paddr = 0;
		return;
	}
	*paddr = (1 + random_below(&worker->random, 1000)) * layout->step;
	expect(worker, !iommu_map(worker->domain, iova, *paddr, layout->size, RW, GFP_KERNEL));
}

static void unmap_all(struct worker *worker)
{
	for (unsigned int l = 0; l < worker->nr_layouts; l++)
		for (unsigned int i = 0; i < SLOTS; i++)
			if (worker->paddr[l][i])
				try_slot(worker, l, i);
}

/* Few slots at a time, so that tables become empty all the time. */
static void *work(void *arg)
{
	struct worker *worker = arg;

	mem_cgroup_set_active(worker->active);
	for (unsigned int round = 0; round < SCALED(ROUNDS); round++) {
		unsigned int l = (unsigned int)random_below(&worker->random, worker->nr_layouts);
		unsigned int few = 1 + (unsigned int)random_below(&worker->random, 3);

		for (unsigned int n = 0; n < 2 * few; n++)
			try_slot(worker, l, (unsigned int)random_below(&worker->random, few));
		if (round % 16 == 0)
			unmap_all(worker);
		if (round % 256 == 0)
			try_slot(worker, l, (unsigned int)random_below(&worker->random, SLOTS));
	}
	unmap_all(worker);
	mem_cgroup_set_active(NULL);
	return NULL;
}

/* Layouts that the aperture has room for, one behind the other. */
static unsigned int make_layouts(const struct shape *shape, uint64_t last, struct layout layouts[4])
{
	uint64_t page = smallest_page(shape->format), base = 0;
	uint64_t table = lowest_table_span(shape->format);
	const struct layout wanted[] = {
		{.step = page, .size = page},                  /* neighbours in one table */
		{.step = 8 * page, .size = 5 * page},          /* several entries of one table */
		{.step = table, .size = table / 2},            /* a table each, or a large leaf */
		{.step = table * 8, .size = table * 3 + page}, /* several tables */
	};
	unsigned int count = 0;

	for (unsigned int i = 0; i < 4; i++) {
		uint64_t room = wanted[i].step * THREADS * SLOTS;

		if (base + room - 1 > last)
			break;
		layouts[count] = wanted[i];
		layouts[count++].base = base;
		base += room;
	}
	/* The last one in the highest addresses, where a table grows to. */
	if (count > 2 && last >= 2 * base)
		layouts[count - 1].base = last - wanted[count - 1].step * THREADS * SLOTS + 1;
	return count;
}

static void hammer(const struct shape *shape, uint64_t seed)
{
	struct mem_cgroup *root = mem_cgroup_create(NULL), *memcg = enter_cgroup(root);
	struct iommu_domain *domain = new_domain(shape);
	uint64_t top = domain_info(domain).table_bytes;
	uint64_t objects = mem_cgroup_usage(memcg) - top;
	struct worker *workers = test_calloc(THREADS, sizeof(*workers));
	struct layout layouts[4];
	unsigned int count = make_layouts(shape, domain_info(domain).aperture_last, layouts);

	for (unsigned int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){
			.domain = domain,
			.active = i % 2 ? memcg : NULL,
			.layouts = layouts,
			.nr_layouts = count,
			.number = i,
			.random = seed + i,
		};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned int i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		assert_int_equal(workers[i].errors, 0);
	}
	test_free(workers);
	assert_int_equal(count_tables(domain), 1);
	/* Only amdv1 has grown a top of another level, of the same size. */
	assert_int_equal(domain_info(domain).table_bytes, top);
	assert_cgroup_has(memcg, shape->format, objects, top);
	assert_int_equal(mem_cgroup_usage(root), objects + top);
	iommu_domain_free(domain);
	leave_cgroup(memcg);
	assert_cgroup_empty(root);
	mem_cgroup_put(root);
}

static void disjoint_ranges(void **state)
{
	struct shape shapes[MAX_SHAPES];
	unsigned int count = list_shapes(shapes);

	for (unsigned int i = 0; i < count; i++) {
		print_message("# %s, %u bits, seed 0x%llx\n", shapes[i].format->name,
			      shapes[i].width, SEED + i * THREADS);
		hammer(&shapes[i], SEED + i * THREADS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(disjoint_ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
