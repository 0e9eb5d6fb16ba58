// SPDX-License-Identifier: MIT
/*
 * Memory cgroups: how long they live, and charging from several threads.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "tests/memcontrol.h"

/* Only the first thread may leave a test: the others count what went wrong. */
static atomic_uint wrong;

static void check(bool right)
{
	if (!right)
		atomic_fetch_add(&wrong, 1);
}

/* Bytes of slab pages: cgroups that leak make it grow. */
static uint64_t slab_bytes(void)
{
	struct uiommu_mm_stat stat;

	uiommu_mm_stat(&stat);
	return stat.slab;
}

/* A cgroup, dropped while something is charged to it, goes with the charge. */
static void test_charges_hold_a_dropped_cgroup(void **state)
{
	struct mem_cgroup *root = mem_cgroup_create(NULL);
	uint64_t slab = 0;

	for (int i = 0; i < 20000; i++) {
		struct mem_cgroup *parent = mem_cgroup_create(root);
		struct mem_cgroup *memcg = mem_cgroup_create(parent);

		assert_int_equal(charge(memcg, PAGE), 0);
		assert_int_equal(charge(memcg, 100), 0);
		mem_cgroup_put(parent);
		mem_cgroup_put(memcg);
		/* The stock went with the last reference; there is none from then on. */
		assert_int_equal(memcg_usage_now(root), PAGE + 100);
		assert_int_equal(charge(memcg, 7), 0);
		assert_int_equal(memcg_usage_now(root), PAGE + 107);
		uncharge(memcg, PAGE);
		uncharge(memcg, 7);
		assert_int_equal(memcg_usage_now(root), 100);
		mem_cgroup_put(mem_cgroup_get(memcg));
		uncharge(memcg, 100);
		assert_int_equal(memcg_usage_now(root), 0);
		if (i == 10)
			slab = slab_bytes();
	}
	assert_int_equal(slab_bytes(), slab);
	mem_cgroup_put(root);
}

static struct {
	pthread_barrier_t barrier;
	struct mem_cgroup *memcg;
	int rounds;
} idler;

static void *idle_with_stock(void *unused)
{
	for (int i = 0; i < idler.rounds; i++) {
		pthread_barrier_wait(&idler.barrier);
		check(charge(idler.memcg, PAGE) == 0);
		uncharge(idler.memcg, PAGE);
		pthread_barrier_wait(&idler.barrier);
	}
	pthread_barrier_wait(&idler.barrier);
	return NULL;
}

/* Another thread's stock keeps no cgroup, and refuses no charge. */
static void test_idle_stock_is_taken_back(void **state)
{
	uint64_t slab = 0;
	pthread_t thread;

	idler.rounds = 2000;
	pthread_barrier_init(&idler.barrier, NULL, 2);
	assert_int_equal(pthread_create(&thread, NULL, idle_with_stock, NULL), 0);
	for (int i = 0; i < idler.rounds; i++) {
		idler.memcg = mem_cgroup_create(NULL);
		set(idler.memcg, "memory.max", "1M");
		pthread_barrier_wait(&idler.barrier);
		pthread_barrier_wait(&idler.barrier);
		assert_true(memcg_usage_now(idler.memcg) > 0);
		if (i % 2) {
			assert_int_equal(charge(idler.memcg, 1 << 20), 0);
			uncharge(idler.memcg, 1 << 20);
		}
		mem_cgroup_put(idler.memcg);
		if (i == 10)
			slab = slab_bytes();
	}
	pthread_barrier_wait(&idler.barrier);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&wrong), 0);
	assert_int_equal(slab_bytes(), slab);
	pthread_barrier_destroy(&idler.barrier);
}

static void *active_thread(void *memcg)
{
	check(!mem_cgroup_active());
	check(!mem_cgroup_set_active(memcg));
	check(mem_cgroup_active() == memcg);
	mem_cgroup_put(memcg);
	check(charge(memcg, 10) == 0);
	uncharge(memcg, 10);
	return NULL;
}

static void test_active_ends_with_its_thread(void **state)
{
	uint64_t slab = 0;

	for (int i = 0; i < 200; i++) {
		pthread_t thread;

		assert_int_equal(
			pthread_create(&thread, NULL, active_thread, mem_cgroup_create(NULL)), 0);
		pthread_join(thread, NULL);
		if (i == 10)
			slab = slab_bytes();
	}
	assert_int_equal(atomic_load(&wrong), 0);
	assert_int_equal(slab_bytes(), slab);
	assert_null(mem_cgroup_active());
}

static atomic_bool enough;

static void *read_once(void *memcg)
{
	uint64_t usage = mem_cgroup_usage(memcg);

	/* The other thread may have stocked again meanwhile. */
	check(usage >= PAGE && usage <= 2 * PAGE + 128 * PAGE);
	atomic_store(&enough, true);
	return NULL;
}

/* The only thread there is charges without a lock, until another one comes. */
static void test_thread_that_was_the_only_one(void **state)
{
	struct mem_cgroup *memcg = mem_cgroup_create(NULL);

	assert_int_equal(charge(memcg, PAGE), 0);
	for (int i = 0; i < 100; i++) {
		pthread_t thread;

		atomic_store(&enough, false);
		assert_int_equal(pthread_create(&thread, NULL, read_once, memcg), 0);
		do {
			for (int j = 0; j < 100; j++) {
				assert_int_equal(charge(memcg, PAGE), 0);
				uncharge(memcg, PAGE);
			}
		} while (!atomic_load(&enough));
		pthread_join(thread, NULL);
		assert_int_equal(atomic_load(&wrong), 0);
		assert_int_equal(mem_cgroup_usage(memcg), PAGE);
	}
	uncharge(memcg, PAGE);
	assert_int_equal(mem_cgroup_usage(memcg), 0);
	mem_cgroup_put(memcg);
}

static void *charge_a_little(void *memcg)
{
	while (!atomic_load(&enough)) {
		check(charge(memcg, PAGE) == 0);
		uncharge(memcg, PAGE);
	}
	return NULL;
}

/* Who needs all the room there is gets it, though others keep stocking. */
static void test_large_charge_beside_small_ones(void **state)
{
	struct mem_cgroup *top = mem_cgroup_create(NULL);
	struct mem_cgroup *large = mem_cgroup_create(top), *small = mem_cgroup_create(top);
	pthread_t thread;

	set_number(top, "memory.max", 101 * PAGE);
	atomic_store(&enough, false);
	assert_int_equal(pthread_create(&thread, NULL, charge_a_little, small), 0);
	for (int i = 0; i < 200000; i++) {
		check(charge(large, 100 * PAGE) == 0);
		uncharge(large, 100 * PAGE);
	}
	atomic_store(&enough, true);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&wrong), 0);
	assert_int_equal(mem_cgroup_usage(top), 0);
	mem_cgroup_put(top);
	mem_cgroup_put(large);
	mem_cgroup_put(small);
}

/* Threads on siblings under one ancestor whose limit they hit all the time. */
#define CHARGERS   4
#define PER_THREAD 40

static struct crowd {
	struct mem_cgroup *top, *leaf[CHARGERS];
	uint64_t max;
	bool fits; /* all of them together stay at the limit: none may be refused */
	pthread_barrier_t start;
	atomic_bool stop;
	atomic_ulong refused;
} crowd;

static void *charger(void *index)
{
	struct mem_cgroup *memcg = crowd.leaf[(uintptr_t)index % CHARGERS];
	uint64_t x = 0x9e3779b97f4a7c15u * ((uintptr_t)index + 1);
	size_t mine[PER_THREAD];
	unsigned int n = 0;

	pthread_barrier_wait(&crowd.start);
	for (int step = 0; step < 300000; step++) {
		bool more;

		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		more = (x >> 20) % 16 < (step / 200 % 2 ? 4u : 12u);
		if (more && n < PER_THREAD) {
			mine[n] = crowd.fits ? PAGE : 1 + (x >> 30) % (2 * PAGE);
			if (!mem_cgroup_charge(memcg, mine[n], 0,
					       crowd.fits || x & 1 ? GFP_KERNEL : GFP_ATOMIC))
				n++;
			else
				atomic_fetch_add(&crowd.refused, 1);
		} else if (n) {
			n--;
			mem_cgroup_uncharge(memcg, mine[n], 0);
		}
	}
	while (n--)
		mem_cgroup_uncharge(memcg, mine[n], 0);
	return NULL;
}

static void *watcher(void *unused)
{
	unsigned int turn = 0;

	while (!atomic_load(&crowd.stop)) {
		check(memcg_usage_now(crowd.top) <= crowd.max);
		if (++turn % 64)
			continue;
		check(mem_cgroup_usage(crowd.top) <= crowd.max);
		for (int i = 0; i < CHARGERS; i++)
			check(mem_cgroup_usage(crowd.leaf[i]) <= crowd.max);
	}
	return NULL;
}

static void run_crowd(bool fits)
{
	static const int64_t nothing[MEMCG_NR_STATS];
	pthread_t threads[CHARGERS], eye;

	crowd.fits = fits;
	crowd.max = (fits ? CHARGERS * PER_THREAD : PER_THREAD / 2) * (uint64_t)PAGE;
	atomic_store(&crowd.stop, false);
	atomic_store(&crowd.refused, 0);
	crowd.top = mem_cgroup_create(NULL);
	set_number(crowd.top, "memory.max", crowd.max);
	for (int i = 0; i < CHARGERS; i++)
		crowd.leaf[i] = mem_cgroup_create(i % 2 ? crowd.leaf[i - 1] : crowd.top);
	pthread_barrier_init(&crowd.start, NULL, CHARGERS);
	assert_int_equal(pthread_create(&eye, NULL, watcher, NULL), 0);
	for (uintptr_t i = 0; i < CHARGERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, charger, (void *)i), 0);
	for (int i = 0; i < CHARGERS; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&crowd.stop, true);
	pthread_join(eye, NULL);
	pthread_barrier_destroy(&crowd.start);
	print_message("%lu refused\n", atomic_load(&crowd.refused));
	assert_int_equal(atomic_load(&wrong), 0);
	assert_true(fits == (atomic_load(&crowd.refused) == 0));
	for (int i = 0; i < CHARGERS; i++) {
		expect_stat(crowd.leaf[i], nothing);
		expect_number(crowd.leaf[i], "memory.current", 0);
		mem_cgroup_put(crowd.leaf[i]);
	}
	expect_events(crowd.top, 0, atomic_load(&crowd.refused));
	expect_stat(crowd.top, nothing);
	expect_number(crowd.top, "memory.current", 0);
	mem_cgroup_put(crowd.top);
}

static void test_threads_at_the_limit(void **state)
{
	run_crowd(false);
}

static void test_threads_that_just_fit(void **state)
{
	run_crowd(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_charges_hold_a_dropped_cgroup),
		cmocka_unit_test(test_idle_stock_is_taken_back),
		cmocka_unit_test(test_active_ends_with_its_thread),
		cmocka_unit_test(test_thread_that_was_the_only_one),
		cmocka_unit_test(test_large_charge_beside_small_ones),
		cmocka_unit_test(test_threads_at_the_limit),
		cmocka_unit_test(test_threads_that_just_fit),
	};

	return cmocka_run_group_tests_name("memcontrol_threads", tests, NULL, NULL);
}
