/* SPDX-License-Identifier: MIT */
/*
 * A thread that is alone in the library goes by that, without atomic operations.
 * Here others come all the time and change the same table, whose count must lose
 * nothing. The main thread only watches: it would make one too many.
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
static atomic_uint errors, times_alone;

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
		times_alone += mm_is_alone();
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
	assert_int_not_equal(times_alone, 0);
}

static atomic_bool inside, ended;

static void *be_alone(void *arg)
{
	struct mm_thread *self = mm_thread_self();
	bool alone, outermost = rcu_read_lock_alone(self, &alone);

	errors += !alone || !outermost;
	atomic_store(&inside, true);
	usleep(50000);
	atomic_store(&ended, true);
	if (arg)
		rcu_alone_end(self);
	usleep(50000);
	rcu_read_unlock(self, outermost);
	return NULL;
}

/* *arg: had the other ended when this one was let in? */
static void *come_in(void *arg)
{
	bool *late = arg, alone;
	struct mm_thread *self = mm_thread_self();

	*late = atomic_load(&ended);
	rcu_read_unlock(self, rcu_read_lock_alone(self, &alone));

	return NULL;
}

/* Who comes waits until the other is not alone any more, by the section's end or before. */
static void comer_waits(void **state)
{
	for (unsigned int before = 0; before < 2; before++) {
		pthread_t resident, comer;
		bool late;

		inside = ended = false;
		assert_int_equal(pthread_create(&resident, NULL, be_alone, before ? &inside : NULL),
				 0);
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
