/* SPDX-License-Identifier: MIT */
/*
 * Dirty tracking while hardware (dirty_hw.h) writes, and other threads map.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "tests/dirty_report.h"

#define RACE_PAGES 4096u

struct race {
	struct hw hw;
	uint64_t base, step; /* pages from here on, by steps */
	uint8_t *written;
	atomic_bool done;
};

static void *race_writer(void *arg)
{
	struct race *race = arg;

	for (uint64_t k = 0; k < RACE_PAGES; k++) {
		uint64_t page = k * race->step % RACE_PAGES;
		struct leaf leaf;

		if (hw_write(&race->hw, race->base + (page << race->hw.page_lg2), &leaf))
			race->written[page] = 1;
		if (k % 64 == 0)
			sched_yield();
	}
	atomic_store(&race->done, true);
	return NULL;
}

/* Every write is in the next report or in a later one, none in both. */
static void no_write_is_lost(void **state)
{
	struct shape shapes[MAX_SHAPES];
	unsigned int n = wide_shapes(shapes);
	struct report *report = calloc(1, sizeof(*report));
	unsigned int *seen = calloc(RACE_PAGES, sizeof(*seen));

	for (unsigned int i = 0; i < n; i++) {
		struct race race = {.base = GIB, .step = 1663};
		uint64_t size = shapes[i].format->granule;
		struct iommu_domain *domain;
		pthread_t thread;

		domain = new_domain(&shapes[i]);
		race.written = calloc(RACE_PAGES, 1);
		memset(seen, 0, RACE_PAGES * sizeof(*seen));
		assert_int_equal(iommu_set_dirty_tracking(domain, true), 0);
		/* No two pages adjoin, so that each is an entry. */
		for (uint64_t page = 0; page < RACE_PAGES; page++)
			assert_int_equal(iommu_map(domain, GIB + page * size, page * 2 * size, size,
						   RW, GFP_KERNEL),
					 0);
		race.hw = hw_of(&shapes[i], domain);
		report->base = GIB;
		report->page_size = size;
		assert_int_equal(pthread_create(&thread, NULL, race_writer, &race), 0);
		for (bool last = false; !last;) {
			last = atomic_load(&race.done);
			read_dirty(domain, GIB, RACE_PAGES * size, 0, report);
			for (unsigned int page = 0; page < RACE_PAGES; page++)
				seen[page] += report->dirty[page];
		}
		pthread_join(thread, NULL);
		for (unsigned int page = 0; page < RACE_PAGES; page++) {
			assert_int_equal(race.written[page], 1);
			assert_int_equal(seen[page], 1);
		}
		free(race.written);
		iommu_domain_free(domain);
	}
	free(seen);
	free(report);
}

/* A thread that maps, writes and unmaps while another one cleans everything. */
struct cleaning {
	struct iommu_domain *domain;
	uint64_t size, page;
	atomic_bool done;
	int error; /* of a map into a range that was unmapped */
};

static void *map_and_write(void *arg)
{
	struct cleaning *c = arg;

	for (unsigned int round = 0; round < 4000 && !c->error; round++) {
		c->error = iommu_map(c->domain, GIB, GIB + c->page, c->size, RW, GFP_KERNEL);
		for (uint64_t at = 0; at < c->size && !c->error; at += c->page)
			iommu_mark_dirty(c->domain, GIB + at);
		iommu_unmap(c->domain, GIB, c->size);
	}
	atomic_store(&c->done, true);
	return NULL;
}

/* What is cleaned may be gone by then: nothing is to be left in its place. */
static void unmapped_stays_so(void **state)
{
	struct mem_cgroup *memcg = enter_cgroup(NULL);
	struct shape shapes[MAX_SHAPES];
	unsigned int n = wide_shapes(shapes);

	for (unsigned int i = 0; i < n; i++) {
		uint64_t page = shapes[i].format->granule;
		struct cleaning c = {.size = 16 * page, .page = page};
		pthread_t thread;

		c.domain = new_domain(&shapes[i]);
		/* The table stays. */
		assert_int_equal(iommu_map(c.domain, GIB + 256 * page, 0, page, RW, GFP_KERNEL), 0);
		assert_int_equal(pthread_create(&thread, NULL, map_and_write, &c), 0);
		while (!atomic_load(&c.done))
			assert_int_equal(iommu_set_dirty_tracking(c.domain, true), 0);
		pthread_join(thread, NULL);
		assert_int_equal(c.error, 0);
		iommu_domain_free(c.domain);
	}
	leave_cgroup(memcg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_write_is_lost),
		cmocka_unit_test(unmapped_stays_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
