// SPDX-License-Identifier: MIT
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include <uiommu/memcontrol.h>
#include <uiommu/mm.h>

#include "mm/shrinker.h"
#include "mm/slab.h"
#include "plat/compiler.h"

static void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
}

/* Gives back what it was told it has, and remembers how it was called. */
struct bank {
	struct shrinker shrinker;
	unsigned long objects;
	unsigned long asked; /* the last nr */
	unsigned int counts, scans;
	bool miserly; /* scans free nothing */
	bool nested;  /* what shrink_all() said inside a scan */
};

static unsigned long bank_count(struct shrinker *shrinker)
{
	struct bank *bank = container_of(shrinker, struct bank, shrinker);

	bank->counts++;
	return bank->objects;
}

static unsigned long bank_scan(struct shrinker *shrinker, unsigned long nr)
{
	struct bank *bank = container_of(shrinker, struct bank, shrinker);
	unsigned long freed = bank->miserly ? 0 : bank->objects;

	bank->asked = nr;
	bank->scans++;
	bank->nested = shrink_all(GFP_KERNEL);
	bank->objects -= freed;
	return freed;
}

#define BANK                                                                          \
	{                                                                             \
		.shrinker = {.count_objects = bank_count, .scan_objects = bank_scan } \
	}

static void test_when(void **state)
{
	struct bank bank = BANK;

	assert_false(shrink_all(GFP_KERNEL));
	register_shrinker(&bank.shrinker);
	bank.objects = 7;
	assert_false(shrink_all(GFP_ATOMIC));
	assert_false(shrink_all(GFP_NOWAIT));
	assert_false(shrink_all(GFP_KERNEL | __GFP_NORETRY));
	assert_int_equal(bank.counts, 0);
	assert_true(shrink_all(GFP_KERNEL_ACCOUNT));
	assert_int_equal(bank.counts, 1);
	assert_int_equal(bank.scans, 1);
	assert_int_equal(bank.asked, 7);
	assert_false(bank.nested);
	/* Nothing is left: asked, but not scanned. */
	assert_false(shrink_all(GFP_KERNEL));
	assert_int_equal(bank.counts, 2);
	assert_int_equal(bank.scans, 1);
	bank.objects = 1;
	bank.miserly = true;
	assert_false(shrink_all(GFP_KERNEL));
	assert_int_equal(bank.scans, 2);
	unregister_shrinker(&bank.shrinker);
	assert_false(shrink_all(GFP_KERNEL));
	assert_int_equal(bank.counts, 3);
}

static void test_every_one(void **state)
{
	struct bank banks[5] = {BANK, BANK, BANK, BANK, BANK};

	/* Taken off from the middle, the end and the beginning. */
	static const unsigned int leave[] = {2, 0, 4, 3, 1};

	for (unsigned int i = 0; i < 5; i++)
		register_shrinker(&banks[i].shrinker);
	for (unsigned int gone = 0; gone <= 5; gone++) {
		for (unsigned int i = 0; i < 5; i++) {
			banks[i].objects = i % 2;
			banks[i].counts = banks[i].scans = 0;
		}
		shrink_all(GFP_KERNEL);
		for (unsigned int at = 0; at < 5; at++) {
			struct bank *bank = &banks[leave[at]];

			assert_int_equal(bank->counts, at >= gone);
			assert_int_equal(bank->scans, at >= gone && leave[at] % 2);
		}
		if (gone < 5)
			unregister_shrinker(&banks[leave[gone]].shrinker);
	}
}

/* Takes shrinkers off the list and puts others on it, in its scan. */
struct clerk {
	struct bank bank;
	struct bank *off[2], *on;
};

static unsigned long clerk_scan(struct shrinker *shrinker, unsigned long nr)
{
	struct clerk *clerk = container_of(shrinker, struct clerk, bank.shrinker);

	bank_scan(shrinker, nr);
	for (unsigned int i = 0; i < 2; i++)
		if (clerk->off[i])
			unregister_shrinker(&clerk->off[i]->shrinker);
	if (clerk->on)
		register_shrinker(&clerk->on->shrinker);
	return 1;
}

/* Those that a shrinker takes off do not run any more, whether it is itself or which others. */
static void test_changes_inside(void **state)
{
	for (unsigned int off = 0; off < 5 * 6; off++) {
		struct bank banks[5] = {BANK, BANK, BANK, BANK, BANK}, new = BANK;
		struct clerk clerk = {.bank = BANK};

		clerk.bank.shrinker.scan_objects = clerk_scan;
		clerk.bank.objects = 1;
		clerk.on = &new;
		for (unsigned int i = 0; i < 5; i++) {
			if (i == 2)
				register_shrinker(&clerk.bank.shrinker);
			banks[i].objects = 1;
			register_shrinker(&banks[i].shrinker);
		}
		new.objects = 1;
		clerk.off[0] = &banks[off / 6];
		clerk.off[1] = off % 6 < 5 ? &banks[off % 6] : &clerk.bank;
		assert_true(shrink_all(GFP_KERNEL));
		/* The last to come runs first; the clerk is between 2 and 1. */
		for (unsigned int i = 0; i < 5; i++) {
			bool is_off = i == off / 6 || i == off % 6;

			assert_int_equal(banks[i].scans, i >= 2 || !is_off);
			banks[i].counts = 0;
		}
		assert_int_equal(new.counts, 0);
		clerk.on = NULL;
		clerk.off[0] = clerk.off[1] = NULL;
		assert_true(shrink_all(GFP_KERNEL));
		assert_int_equal(new.scans, 1);
		assert_int_equal(clerk.bank.counts, off % 6 < 5 ? 2 : 1);
		for (unsigned int i = 0; i < 5; i++) {
			assert_int_equal(banks[i].counts, i != off / 6 && i != off % 6);
			unregister_shrinker(&banks[i].shrinker);
		}
		unregister_shrinker(&new.shrinker);
		unregister_shrinker(&clerk.bank.shrinker);
	}
	assert_false(shrink_all(GFP_KERNEL));
}

/* Keeps objects that are charged to a cgroup, and frees them when asked. */
struct hoard {
	struct shrinker shrinker;
	void *objects[64];
	unsigned int count;
};

static unsigned long hoard_count(struct shrinker *shrinker)
{
	return container_of(shrinker, struct hoard, shrinker)->count;
}

static unsigned long hoard_scan(struct shrinker *shrinker, unsigned long nr)
{
	struct hoard *hoard = container_of(shrinker, struct hoard, shrinker);
	unsigned long freed = 0;

	while (hoard->count && freed < nr && freed < 10) {
		kfree(hoard->objects[--hoard->count]);
		freed++;
	}
	return freed;
}

static void test_makes_room(void **state)
{
	struct hoard hoard = {
		.shrinker = {.count_objects = hoard_count, .scan_objects = hoard_scan}};
	struct mem_cgroup *memcg = mem_cgroup_create(NULL);
	void *object;

	assert_int_equal(mem_cgroup_write(memcg, "memory.max", "64K"), 0);
	register_shrinker(&hoard.shrinker);
	while (hoard.count < 64) {
		hoard.objects[hoard.count] = kmalloc(1024, GFP_KERNEL, memcg);
		assert_non_null(hoard.objects[hoard.count]);
		hoard.count++;
	}
	assert_int_equal(mem_cgroup_usage(memcg), 65536);
	assert_null(kmalloc(2048, GFP_ATOMIC, memcg));
	assert_null(kmalloc(2048, GFP_KERNEL | __GFP_NORETRY, memcg));
	assert_int_equal(hoard.count, 64);
	object = kmalloc(2048, GFP_KERNEL, memcg);
	assert_non_null(object);
	assert_in_range(hoard.count, 1, 62);
	assert_int_equal(mem_cgroup_usage(memcg), hoard.count * 1024 + 2048);
	kfree(object);
	/* What can never fit empties the hoard and fails. */
	assert_int_equal(mem_cgroup_write(memcg, "memory.max", "16K"), 0);
	assert_null(kmalloc(32768, GFP_KERNEL, memcg));
	assert_int_equal(hoard.count, 0);
	unregister_shrinker(&hoard.shrinker);
	assert_int_equal(mem_cgroup_usage(memcg), 0);
	mem_cgroup_put(memcg);
}

/* Stays in its scan until it is let out. */
static struct {
	atomic_bool inside, let_out, left, gone;
} slow;

static unsigned long slow_count(struct shrinker *shrinker)
{
	return 1;
}

static unsigned long slow_scan(struct shrinker *shrinker, unsigned long nr)
{
	atomic_store(&slow.inside, true);
	while (!atomic_load(&slow.let_out))
		nap();
	atomic_store(&slow.left, true);
	return 1;
}

static void *run_all(void *argument)
{
	return shrink_all(GFP_KERNEL) ? argument : NULL;
}

static void *unregister(void *shrinker)
{
	void *left;

	unregister_shrinker(shrinker);
	left = atomic_load(&slow.left) ? shrinker : NULL;
	atomic_store(&slow.gone, true);
	return left;
}

static void test_unregister_waits(void **state)
{
	struct shrinker shrinker = {.count_objects = slow_count, .scan_objects = slow_scan};
	pthread_t runner, leaver;
	void *result;

	register_shrinker(&shrinker);
	pthread_create(&runner, NULL, run_all, &shrinker);
	while (!atomic_load(&slow.inside))
		nap();
	pthread_create(&leaver, NULL, unregister, &shrinker);
	nap();
	assert_false(atomic_load(&slow.gone));
	atomic_store(&slow.let_out, true);
	pthread_join(runner, &result);
	assert_ptr_equal(result, &shrinker);
	pthread_join(leaver, &result);
	assert_ptr_equal(result, &shrinker);
}

/* Threads come and go with shrinkers on their stacks while others run them. */
#define NR_THREADS 4
#define TURNS      2000

struct guest {
	struct shrinker shrinker;
	bool here;       /* plain: a run after unregistering is a race */
	atomic_int busy; /* runs at this moment */
};

static unsigned long guest_count(struct shrinker *shrinker)
{
	if (!container_of(shrinker, struct guest, shrinker)->here)
		abort();
	return 1;
}

static unsigned long guest_scan(struct shrinker *shrinker, unsigned long nr)
{
	struct guest *guest = container_of(shrinker, struct guest, shrinker);

	if (atomic_fetch_add(&guest->busy, 1))
		abort();
	atomic_fetch_sub(&guest->busy, 1);
	return 1;
}

static void *come_and_go(void *argument)
{
	for (unsigned int i = 0; i < TURNS; i++) {
		struct guest guest = {
			.shrinker = {.count_objects = guest_count, .scan_objects = guest_scan},
			.here = true};

		register_shrinker(&guest.shrinker);
		if (!shrink_all(GFP_KERNEL))
			abort();
		unregister_shrinker(&guest.shrinker);
		guest.here = false;
	}
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[NR_THREADS];

	for (unsigned int i = 0; i < NR_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, NULL), 0);
	for (unsigned int i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_false(shrink_all(GFP_KERNEL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when),
		cmocka_unit_test(test_every_one),
		cmocka_unit_test(test_changes_inside),
		cmocka_unit_test(test_makes_room),
		cmocka_unit_test(test_unregister_waits),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests_name("shrinker", tests, NULL, NULL);
}
