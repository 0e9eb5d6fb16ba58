/* SPDX-License-Identifier: MIT */
/*
 * A program that wants without end meets its memory.max as -ENOMEM, keeps what
 * it has, and leaves nothing charged; also with many threads on one context.
 */
#include <pthread.h>

#include "tests/iommufd_limits.h"

static int ioas_step(struct rig *rig, unsigned int nth)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};

	return rig_ioctl(rig, IOMMU_IOAS_ALLOC, &alloc);
}

static int hwpt_step(struct rig *rig, unsigned int nth)
{
	return rig_new_hwpt(rig, rig->ioas, 0, &rig->ids[0]);
}

static int fault_step(struct rig *rig, unsigned int nth)
{
	uint32_t id;
	int rc = rig_new_fault(rig, &id);

	/* Without a file, the queue can go by its id alone. */
	if (!rc && rig->nr_files) {
		rig->nr_files--;
		iommufd_file_release(rig->files[rig->nr_files].file, IOMMUFD_FILE_FAULT);
	}
	return rc;
}

/* Far apart: each takes tables of its own. */
static int map_apart_step(struct rig *rig, unsigned int nth)
{
	return rig_map(rig, (uint64_t)(nth + 1) << 30, 0, PAGE);
}

/* The same page again and again: areas. */
static int map_close_step(struct rig *rig, unsigned int nth)
{
	return rig_map(rig, (uint64_t)nth * PAGE, 0, PAGE);
}

static int allow_step(struct rig *rig, unsigned int nth)
{
	struct iommu_iova_range *ranges = calloc(nth + 1, 64 * sizeof(*ranges));
	struct iommu_ioas_allow_iovas allow = {
		.size = sizeof(allow),
		.ioas_id = rig->ioas,
		.num_iovas = 64 * (nth + 1),
		.allowed_iovas = (uintptr_t)ranges,
	};
	int rc;

	assert_non_null(ranges);
	for (unsigned int i = 0; i < allow.num_iovas; i++)
		ranges[i] = (struct iommu_iova_range){i * 2 * PAGE, i * 2 * PAGE + PAGE - 1};
	rc = rig_ioctl(rig, IOMMU_IOAS_ALLOW_IOVAS, &allow);
	free(ranges);
	return rc;
}

static void address_spaces_end(void **state)
{
	struct rig rig;

	budget_begin(&rig);
	assert_in_range(exhaust(&rig, ioas_step), 100, BUDGET / 64);
	rig_end(&rig);
}

/* No device uses them, and yet each costs its top table at least. */
static void tables_without_a_device_end(void **state)
{
	struct rig rig;
	unsigned int nr;

	budget_begin(&rig);
	nr = exhaust(&rig, hwpt_step);
	assert_in_range(nr, BUDGET / 8192, BUDGET / 4096);
	assert_true(cgroup_stat(rig.memcg, "sec_pagetables") >= nr * PAGE);
	assert_null(rig.hw.uses);
	/* One less, and there is room for one. */
	assert_int_equal(rig_destroy(&rig, rig.ids[0]), 0);
	assert_int_equal(hwpt_step(&rig, 0), 0);
	rig_end(&rig);
}

static void fault_queues_end(void **state)
{
	struct rig rig;

	budget_begin(&rig);
	assert_in_range(exhaust(&rig, fault_step), 100, BUDGET / 64);
	rig_end(&rig);
}

static void allowed_ranges_end(void **state)
{
	struct picture before, after;
	struct rig rig;

	budget_begin(&rig);
	assert_in_range(exhaust(&rig, allow_step), 1, BUDGET / 64);
	before = rig_picture(&rig);
	assert_int_equal(allow_step(&rig, 1000), -ENOMEM);
	after = rig_picture(&rig);
	assert_memory_equal(&before, &after, sizeof(before));
	rig_end(&rig);
}

static struct iommu_domain *domain_of_device(struct rig *rig)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(rig->dev);

	assert_non_null(domain);
	return domain;
}

static void attach(struct rig *rig)
{
	uint32_t id = rig->ioas;

	assert_int_equal(iommufd_device_attach(rig->idev, &id), 0);
}

/* What was mapped stays, to the page, and can be unmapped; then there is room again. */
static void mappings_end(void **state)
{
	uint64_t expected = 0, unmapped;
	struct rig rig;
	unsigned int nr;

	budget_begin(&rig);
	attach(&rig);
	assert_int_equal(iommufd_user_to_phys(rig.ctx, (uintptr_t)rig.memory, &expected), 0);
	nr = exhaust(&rig, map_apart_step);
	/* Two tables each, of 4096 bytes. */
	assert_in_range(nr, BUDGET / 8192 - 16, BUDGET / 8192);
	for (unsigned int i = 0; i < nr; i++)
		assert_int_equal(
			iommu_iova_to_phys(domain_of_device(&rig), (uint64_t)(i + 1) << 30),
			expected);
	assert_int_equal(iommu_iova_to_phys(domain_of_device(&rig), (uint64_t)(nr + 1) << 30), 0);
	assert_int_equal(rig_unmap(&rig, 5ULL << 30, PAGE), 0);
	assert_int_equal(map_apart_step(&rig, 4), 0);
	assert_int_equal(map_apart_step(&rig, nr), -ENOMEM);
	unmapped = mem_cgroup_usage(rig.memcg);
	assert_int_equal(rig_unmap(&rig, 0, UINT64_MAX), 0);
	assert_true(mem_cgroup_usage(rig.memcg) < unmapped / 10);
	assert_int_equal(map_apart_step(&rig, nr), 0);
	rig_end(&rig);
}

/* Nobody attached: no tables, but what remembers the mapping is charged too. */
static void mappings_without_a_table_end(void **state)
{
	struct rig rig;
	unsigned int nr;

	budget_begin(&rig);
	nr = exhaust(&rig, map_close_step);
	assert_in_range(nr, BUDGET / 1024, BUDGET / 32);
	assert_int_equal(cgroup_stat(rig.memcg, "sec_pagetables"), 0);
	assert_int_equal(rig_unmap(&rig, 0, UINT64_MAX), 0);
	rig_end(&rig);
}

/* A second table for what is mapped does not fit: the first is as it was. */
static void a_table_too_many(void **state)
{
	struct picture before, after;
	struct rig rig;
	uint32_t id;

	budget_begin(&rig);
	attach(&rig);
	for (unsigned int nth = 0; mem_cgroup_usage(rig.memcg) < BUDGET * 2 / 3; nth++)
		assert_int_equal(map_apart_step(&rig, nth), 0);
	before = rig_picture(&rig);
	assert_int_equal(rig_new_hwpt(&rig, rig.ioas, 0, &id), -ENOMEM);
	after = rig_picture(&rig);
	assert_memory_equal(&before, &after, sizeof(before));
	cgroup_limit(rig.memcg, 2 * BUDGET);
	assert_int_equal(rig_new_hwpt(&rig, rig.ioas, 0, &id), 0);
	rig_end(&rig);
}

/* ---- threads ---- */

#define THREADS 4

struct worker {
	struct rig *rig;
	unsigned int number, rounds;
	unsigned int maps, refused;
	pthread_t thread;
};

/* Each in a gigabyte of its own, and all at the same id now and then. */
static void work_once(struct worker *worker, uint64_t *seed)
{
	uint64_t page = random_below(seed, 64);
	uint64_t iova = ((uint64_t)(worker->number + 1) << 30) + page * PAGE;
	struct rig *rig = worker->rig;
	uint32_t id;
	int rc = rig_map(rig, iova, page * PAGE, PAGE << random_below(seed, 4));

	assert_true(!rc || rc == -EEXIST || rc == -ENOMEM);
	worker->maps += !rc;
	worker->refused += rc == -ENOMEM;
	if (random_below(seed, 3) == 0) {
		rc = rig_unmap(rig, (uint64_t)(worker->number + 1) << 30, 1 << 30);
		assert_true(!rc || rc == -ENOENT);
	}
	/* An id that is no longer there is another thread's doing. */
	if (random_below(seed, 8) == 0 && !rig_new_hwpt(rig, rig->ioas, 0, &id)) {
		rc = rig_destroy(rig, id);
		assert_true(!rc || rc == -ENOENT);
	}
	rc = rig_destroy(rig, (uint32_t)random_below(seed, 8) + 1);
	assert_true(!rc || rc == -ENOENT || rc == -EBUSY);
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	uint64_t seed = 0x9e3779b97f4a7c15ULL * (worker->number + 1);

	for (unsigned int i = 0; i < worker->rounds; i++)
		work_once(worker, &seed);
	return NULL;
}

/* A budget that some of it does not fit in. */
static void threads_share_a_context(void **state)
{
	struct worker workers[THREADS];
	unsigned int maps = 0, refused = 0;
	struct rig rig;

	rig_begin(&rig, IOMMUFD_PHYS_SCATTERED);
	attach(&rig);
	cgroup_limit(rig.memcg, mem_cgroup_usage(rig.memcg) + 8 * PAGE);
	for (unsigned int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.rig = &rig, .number = i, .rounds = 3000};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned int i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		maps += workers[i].maps;
		refused += workers[i].refused;
	}
	assert_true(maps > THREADS * 100);
	assert_true(refused > 0);
	rig_end(&rig);
}

/* Contexts of their own, memory shared: pins are counted over all of them. */
static void *work_alone(void *arg)
{
	struct worker *worker = arg;
	struct rig rig;

	for (unsigned int i = 0; i < 20; i++) {
		rig_begin(&rig, IOMMUFD_PHYS_SCATTERED);
		munmap(rig.memory, RIG_SPAN);
		rig.memory = worker->rig->memory;
		attach(&rig);
		for (unsigned int nth = 0; nth < 50; nth++)
			assert_int_equal(
				rig_map(&rig, (uint64_t)(nth + 1) << 21, nth * PAGE, 4 * PAGE), 0);
		assert_true(iopt_pages_pin_count((uintptr_t)rig.memory + 10 * PAGE) >= 4);
		rig.memory = rig_map_memory(rig.memfd);
		rig_end(&rig);
	}
	return NULL;
}

static void threads_share_memory(void **state)
{
	struct worker workers[THREADS];
	struct rig rig;

	rig_begin(&rig, IOMMUFD_PHYS_SCATTERED);
	for (unsigned int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.rig = &rig};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work_alone, &workers[i]),
				 0);
	}
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	assert_int_equal(iopt_pages_pin_count((uintptr_t)rig.memory + 10 * PAGE), 0);
	rig_end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(address_spaces_end),
		cmocka_unit_test(tables_without_a_device_end),
		cmocka_unit_test(fault_queues_end),
		cmocka_unit_test(allowed_ranges_end),
		cmocka_unit_test(mappings_end),
		cmocka_unit_test(mappings_without_a_table_end),
		cmocka_unit_test(a_table_too_many),
		cmocka_unit_test(threads_share_a_context),
		cmocka_unit_test(threads_share_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
