/* SPDX-License-Identifier: MIT */
/*
 * A thread that is the only one to use the library does without atomic operations.
 * Here other threads start all the time and change the same table, whose count must
 * stay right. The main thread does not use the library: it would be another thread.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "tests/common.h"

#include "mm/rcu.h"

#define COMERS 400
#define PAGE   4096
#define MINE   16 /* pages that the resident goes round */

static struct iommu_domain *_Atomic shared;
static atomic_bool stop;
static atomic_uint errors, times_single;

static void map_and_unmap(struct iommu_domain *domain, uint64_t iova)
{
	errors += iommu_map(domain, iova, PAGE, PAGE, RW, GFP_KERNEL) != 0;
	errors += iommu_unmap(domain, iova, PAGE) != PAGE;
}

static void *stay(void *arg)
{
	const struct shape shape = {iommu_format_find("vtd"), 39};
	struct mem_cgroup *memcg = enter_cgroup(NULL);
	struct iommu_domain *domain = new_domain(&shape);

	/* One page stays, so that the table does, too. */
	errors += iommu_map(domain, MINE * PAGE, PAGE, PAGE, RW, GFP_KERNEL) != 0;
	atomic_store(&shared, domain);
	for (unsigned int i = 0; !atomic_load(&stop); i = (i + 1) % MINE) {
		times_single += mm_is_single_threaded();
		map_and_unmap(domain, i * PAGE);
	}
	errors += iommu_unmap(domain, MINE * PAGE, PAGE) != PAGE;
	errors += count_tables(domain) != 1;
	iommu_domain_free(domain);
	leave_cgroup(memcg);
	return NULL;
}

static void *come_and_go(void *arg)
{
	for (unsigned int i = MINE + 1; i < 512; i += 5)
		map_and_unmap(shared, i * PAGE);
	return NULL;
}

static void comers(void **state)
{
	pthread_t resident, comer;

	assert_int_equal(pthread_create(&resident, NULL, stay, NULL), 0);
	while (!atomic_load(&shared))
		plat_yield();
	for (unsigned int i = 0; i < SCALED(COMERS); i++) {
		assert_int_equal(pthread_create(&comer, NULL, come_and_go, NULL), 0);
		pthread_join(comer, NULL);
	}
	atomic_store(&stop, true);
	pthread_join(resident, NULL);
	assert_int_equal(errors, 0);
	assert_int_not_equal(times_single, 0);
}

static atomic_bool inside, ended;

static void *hold_single(void *arg)
{
	struct mm_thread *self = mm_thread_self();
	bool single, outermost = rcu_read_lock_single(self, &single);

	errors += !single || !outermost;
	atomic_store(&inside, true);
	usleep(50000);
	atomic_store(&ended, true);
	if (arg)
		rcu_single_end(self);
	usleep(50000);
	rcu_read_unlock(self, outermost);
	return NULL;
}

/* Sets *arg: had the other section ended when this thread was registered? */
static void *come_in(void *arg)
{
	bool *late = arg, single;
	struct mm_thread *self = mm_thread_self();

	*late = atomic_load(&ended);
	rcu_read_unlock(self, rcu_read_lock_single(self, &single));

	return NULL;
}

/* A new thread waits for the end of a single-threaded section, or of that part of it. */
static void comer_waits(void **state)
{
	for (unsigned int before = 0; before < 2; before++) {
		pthread_t resident, comer;
		bool late;

		inside = ended = false;
		assert_int_equal(
			pthread_create(&resident, NULL, hold_single, before ? &inside : NULL), 0);
		while (!atomic_load(&inside))
			plat_yield();
		assert_int_equal(pthread_create(&comer, NULL, come_in, &late), 0);
		pthread_join(comer, NULL);
		pthread_join(resident, NULL);
		assert_true(late);
		assert_int_equal(errors, 0);
	}
}

/* What is called inside a section leaves it as it is. */
static void *call_inside(void *arg)
{
	const struct shape shape = {iommu_format_find("vtd"), 39};
	struct mem_cgroup *memcg = enter_cgroup(NULL);
	struct iommu_domain *domain = new_domain(&shape);
	struct mm_thread *self = mm_thread_self();

	errors += iommu_map(domain, 0, PAGE, PAGE, RW, GFP_KERNEL) != 0;
	errors += !rcu_read_lock(self);
	map_and_unmap(domain, PAGE);
	errors += !atomic_load(&self->rcu_seen);
	errors += iommu_iova_to_phys(domain, 0) != PAGE;
	errors += !atomic_load(&self->rcu_seen);
	rcu_read_unlock(self, true);
	errors += iommu_iova_to_phys(domain, 0) != PAGE;
	errors += atomic_load(&self->rcu_seen) != 0;
	errors += iommu_unmap(domain, 0, PAGE) != PAGE;
	iommu_domain_free(domain);
	leave_cgroup(memcg);
	return NULL;
}

static void sections_nest(void **state)
{
	pthread_t thread;

	atomic_store(&errors, 0);
	assert_int_equal(pthread_create(&thread, NULL, call_inside, NULL), 0);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&errors), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comer_waits),
		cmocka_unit_test(comers),
		cmocka_unit_test(sections_nest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
