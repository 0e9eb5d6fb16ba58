/* SPDX-License-Identifier: MIT */
/*
 * The engine under every schedule (schedule.h) of two or three threads with a few
 * short calls each, in every format. The formats are compiled here once more, with
 * each access to what threads share as a step.
 */
#include "tests/schedules_list.h"

/* Fewer by one on an emulated processor, and under ASan except where tops grow. */
static bool has_fewer_preemptions(unsigned int needs)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return true;
#elif defined(ADDRESS_SANITIZED)
	return !(needs & NEEDS_GROWTH);
#else
	return false;
#endif
}

static const struct hw_iotlb_shape iotlb_shape = {
	.sets = 8, .ways = 4, .table_sets = 8, .table_ways = 4};
static struct hw_iotlb *iotlb;

static void open_scenario(struct scenario *s, const struct shape *shape)
{
	struct iommu_domain *domain;

	*s = (struct scenario){.memcg = enter_cgroup(NULL)};
	domain = new_domain(shape);
	model_init(&s->shape, domain);
	s->objects = mem_cgroup_usage(s->memcg) - model_bytes(&s->shape);
	s->breaks = domain_info(domain).split_breaks;
	iommu_domain_free(domain);
	s->page = smallest_page(shape->format);
	s->table = 1ULL << model_shift(&s->shape, 1);
	s->big = 1ULL << model_shift(&s->shape, 2);
	s->base = s->big;
	s->device.cached = (struct hw_iotlb_domain){iotlb, 1};
}

static void close_scenario(struct scenario *s)
{
	for (unsigned int i = 0; i < 1 << MAX_MAY_FAIL; i++) {
		if (s->models[i])
			model_fini(s->models[i]);
		free(s->models[i]);
	}
	leave_cgroup(s->memcg);
}

static unsigned int offers(const struct shape *shape)
{
	struct iommu_domain *domain = new_domain(shape);
	unsigned int has = iommu_domain_tracks_dirty(domain) ? NEEDS_DIRTY : 0;

	if (is_family(shape->format, "amdv1"))
		has |= NEEDS_GROWTH;
	if (shape->format->granule == 4096)
		has |= NEEDS_4K;
	if (domain_info(domain).split_breaks)
		has |= NEEDS_BREAKS;
	iommu_domain_free(domain);
	return has;
}

static void show_schedule(const struct scenario *s)
{
	printf("# %s, %s%s: thread 0", s->shape.format->name, s->name,
	       schedule.hung ? ", hangs" : "");
	for (unsigned int i = 0; i < schedule.nr_decisions; i++)
		printf(", %u from step %u", schedule.decisions[i].thread,
		       schedule.decisions[i].step);
	printf("\n");
}

static void explore(const struct shape *shape, unsigned int which)
{
	struct scenario scenario;

	open_scenario(&scenario, shape);
	scenario.name = scenarios[which].name;
	scenarios[which].make(&scenario);
	current = &scenario;
	schedule.threads = scenarios[which].threads;
	schedule.most_preemptions = scenario.preemptions ? scenario.preemptions : 2;
	schedule.most_preemptions -= has_fewer_preemptions(scenarios[which].needs);
	schedule.begin = begin_run;
	schedule.run = run_calls;
	schedule.end = end_run;
	schedule.nr_decisions = 0;
	schedule_explore(0);
	if (schedule.wrong) {
		show_schedule(&scenario);
		fail();
	}
	close_scenario(&scenario);
}

static void explore_format(const struct iommu_format *format)
{
	const struct shape shape = {format, format->width_default};
	unsigned int has = offers(&shape), count = 0;
	unsigned long long before = schedule.runs;

	for (unsigned int i = 0; i < NR_SCENARIOS; i++) {
		if (scenarios[i].needs & ~has)
			continue;
		explore(&shape, i);
		count++;
	}
	print_message("# %s: %u scenarios, %llu schedules\n", format->name, count,
		      schedule.runs - before);
}

static const char *only; /* this format */

static void explore_all(bool late)
{
	const struct iommu_format *format = NULL;

	iotlb = hw_iotlb_create(&iotlb_shape);
	schedule_prepare(late);
	while ((format = iommu_format_next(format)))
		if (!only || !strcmp(only, format->name))
			explore_format(format);
	schedule_finish();
	hw_iotlb_destroy(iotlb);
	print_message("# %llu schedules so far\n", schedule.runs);
}

/* All but the first come with their first call. */
static void threads_that_come(void **state)
{
	explore_all(true);
}

static void threads_that_are_there(void **state)
{
	explore_all(false);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_that_come),
		cmocka_unit_test(threads_that_are_there),
	};

	only = argc > 1 ? argv[1] : NULL;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
