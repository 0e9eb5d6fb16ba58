/* SPDX-License-Identifier: MIT */
/*
 * A schedule fuzzer for the engine. Threads map and unmap interleaved ranges of
 * one domain, so that they empty and refill each other's tables at every level;
 * allocations fail at random, and where tables grow at the top they are shrunk
 * again all the time. Between the steps of the protocol a thread gives way at
 * random: amdv1, which grows, is compiled here once more with PT_STEP() doing
 * that. In the end there is one table and no charge.
 */
#include <pthread.h>
#include <sched.h>

#include <uiommu/mm.h>

#include "tests/common.h"

#include "core/domain.h"
#include "mm/rcu.h"

static __thread uint64_t step_random; /* 0: give way to nobody */

static void give_way(void)
{
	if (step_random && !random_below(&step_random, 16))
		sched_yield();
}

#define PT_STEP() give_way()

/* Takes the place of the one in the library. */
#include "pgtable/amdv1.c"

#define SEED    0xf022ULL
#define THREADS 4
#define ROUNDS  6000
#define RANGES  8       /* of each thread */
#define PAGE    4096ULL /* of the format with steps */

struct range {
	uint64_t iova, size, paddr; /* paddr 0: not mapped */
};

struct worker {
	pthread_t thread;
	struct iommu_domain *domain;
	struct range ranges[RANGES];
	unsigned int nr_ranges;
	uint64_t page;
	uint64_t random;
	unsigned int errors;
};

static bool is_mapped_right(struct worker *worker, const struct range *range)
{
	uint64_t page = worker->page;
	uint64_t step = range->size / 8 > page ? range->size / 8 & -page : page;

	for (uint64_t at = 0; at < range->size; at += step) {
		uint64_t want = range->paddr ? range->paddr + at : 0;

		if (iommu_iova_to_phys(worker->domain, range->iova + at) != want)
			return false;
	}
	return true;
}

static void try_map(struct worker *worker, struct range *range)
{
	uint64_t align = range->size & -range->size;
	uint64_t paddr = (1 + random_below(&worker->random, 64)) * MAX(align, worker->page);
	bool fail = !random_below(&worker->random, 4);
	int ret;

	if (fail)
		uiommu_fail_nth(1 + (unsigned int)random_below(&worker->random, 6), false);
	ret = iommu_map(worker->domain, range->iova, paddr, range->size, RW, GFP_KERNEL);
	if (!ret)
		range->paddr = paddr;
	worker->errors += ret != (uiommu_fail_nth(0, false) ? -ENOMEM : 0);
}

static void try_unmap(struct worker *worker, struct range *range)
{
	worker->errors += iommu_unmap(worker->domain, range->iova, range->size) != range->size;
	range->paddr = 0;
}

static void *work(void *arg)
{
	struct worker *worker = arg;

	step_random = worker->random + 1;
	for (unsigned int round = 0; round < ROUNDS; round++) {
		struct range *range =
			&worker->ranges[random_below(&worker->random, worker->nr_ranges)];

		worker->errors += !is_mapped_right(worker, range);
		if (range->paddr)
			try_unmap(worker, range);
		else
			try_map(worker, range);
		worker->errors += !is_mapped_right(worker, range);
	}
	for (unsigned int i = 0; i < worker->nr_ranges; i++)
		if (worker->ranges[i].paddr)
			try_unmap(worker, &worker->ranges[i]);
	return NULL;
}

/* Some pages at each distance from those of the other threads that fits. */
static void interleave(struct worker *worker, unsigned int number, uint64_t last)
{
	const uint64_t page = worker->page;
	unsigned int lg2 = (unsigned int)__builtin_ctzll(page), level = 0;

	for (; lg2 <= 57; lg2 += (unsigned int)__builtin_ctzll(page) - 3) {
		uint64_t iova = ((uint64_t)number << lg2) + page * 4 * level;
		uint64_t size = page * (level ? 1 + level % 4 : 1);

		if (iova > last - size)
			break;
		worker->ranges[worker->nr_ranges++] = (struct range){iova, size, 0};
		level++;
	}
}

/* One has all that the first top table spans; the others make that grow. */
static void below_and_above(struct worker *worker, unsigned int number, uint64_t last)
{
	uint64_t span = 1ULL << 39;

	if (!number)
		worker->ranges[worker->nr_ranges++] = (struct range){.size = span};
	for (unsigned int lg2 = 39; number && lg2 <= 57; lg2 += 9)
		worker->ranges[worker->nr_ranges++] = (struct range){
			.iova = ((uint64_t)number << lg2) + number * PAGE,
			.size = PAGE,
		};
}

typedef void give_ranges(struct worker *worker, unsigned int number, uint64_t last);

static void fuzz(const struct shape *shape, give_ranges *give, uint64_t seed)
{
	struct mem_cgroup *memcg = enter_cgroup(NULL);
	struct iommu_domain *domain = new_domain(shape);
	uint64_t fixed = mem_cgroup_usage(memcg);
	struct worker *workers = test_calloc(THREADS, sizeof(*workers));

	for (unsigned int i = 0; i < THREADS; i++) {
		workers[i].domain = domain;
		workers[i].page = smallest_page(shape->format);
		workers[i].random = seed + i;
		give(&workers[i], i, domain_info(domain).aperture_last);
	}
	for (unsigned int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	for (unsigned int i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		assert_int_equal(workers[i].errors, 0);
	}
	test_free(workers);
	assert_int_equal(count_tables(domain), 1);
	for (unsigned int part = 0; part <= PGTABLE_PARTS; part++)
		assert_int_equal(atomic_load(&domain->pt.unflushed[part].count), 0);
	assert_int_equal(mem_cgroup_usage(memcg), fixed);
	iommu_domain_free(domain);
	leave_cgroup(memcg);
}

static void fuzz_all(void)
{
	struct shape shapes[MAX_SHAPES];
	unsigned int count = list_shapes(shapes);

	for (unsigned int i = 0; i < count; i++) {
		print_message("# %s, %u bits, seed 0x%llx\n", shapes[i].format->name,
			      shapes[i].width, SEED + i * THREADS);
		fuzz(&shapes[i], interleave, SEED + i * THREADS);
		if (shapes[i].width == 64 && is_family(shapes[i].format, "amdv1"))
			fuzz(&shapes[i], below_and_above, SEED + i * THREADS);
	}
}

static void membarrier(void **state)
{
	fuzz_all();
}

/* As where the system has no membarrier(2). */
static void reader_barriers(void **state)
{
	atomic_fetch_or(&rcu_now, RCU_BARRIERS);
	fuzz_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(membarrier),
		cmocka_unit_test(reader_barriers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
