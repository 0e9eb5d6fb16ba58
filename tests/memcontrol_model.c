// SPDX-License-Identifier: MIT
/*
 * Memory cgroups against a model that knows no stock: after every step of a
 * random run, success, current, peak, stat and events are what it says.
 */
#include "tests/memcontrol.h"

static uint64_t seed;

static uint64_t random_below(uint64_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 11) % n;
}

static void set_seed(uint64_t value)
{
	seed = value;
	print_message("seed 0x%llx\n", (unsigned long long)value);
}

#define CGROUPS 12
#define HELD    400

static const int parents[CGROUPS] = {-1, 0, 0, 1, 1, 2, 3, 3, 6, 8, 5, -1};

struct model {
	struct mem_cgroup *memcg;
	uint64_t used, peak, max, high, events_high, events_max;
	int64_t stat[MEMCG_NR_STATS];
};

struct held {
	int cgroup;
	size_t bytes;
	enum memcg_stat stat;
};

static struct model model[CGROUPS];
static struct held held[HELD];
static unsigned int nr_held;
static unsigned int nr_refused;

static int model_charge(const struct held *what)
{
	int i, j;

	for (i = what->cgroup; i >= 0; i = parents[i]) {
		if (model[i].used + what->bytes > model[i].max)
			break;
	}
	if (i >= 0) {
		for (j = i; j >= 0; j = parents[j])
			model[j].events_max++;
		nr_refused++;
		return -ENOMEM;
	}
	for (i = what->cgroup; i >= 0; i = parents[i]) {
		model[i].used += what->bytes;
		model[i].stat[what->stat] += (int64_t)what->bytes;
		if (model[i].used > model[i].peak)
			model[i].peak = model[i].used;
		if (model[i].used > model[i].high) {
			for (j = i; j >= 0; j = parents[j])
				model[j].events_high++;
		}
	}
	return 0;
}

static size_t random_bytes(void)
{
	switch (random_below(4)) {
	case 0:
		return 1 + random_below(300);
	case 1:
		return 1 + random_below(4 * PAGE);
	case 2:
		return (size_t)PAGE << random_below(5);
	default:
		return PAGE;
	}
}

static void step_charge(void)
{
	static const gfp_t contexts[] = {GFP_KERNEL, GFP_ATOMIC, GFP_NOWAIT};
	struct held what = {(int)random_below(CGROUPS), random_bytes(),
			    (enum memcg_stat)random_below(MEMCG_NR_STATS)};
	gfp_t gfp = contexts[random_below(3)];
	int error;

	if (nr_held == HELD)
		return;
	/* Runs on one cgroup, as callers have them, use stocks most. */
	if (nr_held && random_below(4))
		what.cgroup = held[nr_held - 1].cgroup;
	error = model_charge(&what);
	assert_int_equal(mem_cgroup_charge(model[what.cgroup].memcg, what.bytes, what.stat, gfp),
			 error);
	if (!error)
		held[nr_held++] = what;
}

static void step_uncharge(void)
{
	unsigned int n;
	struct held what;

	if (!nr_held)
		return;
	n = random_below(2) ? nr_held - 1 : (unsigned int)random_below(nr_held);
	what = held[n];
	held[n] = held[--nr_held];
	mem_cgroup_uncharge(model[what.cgroup].memcg, what.bytes, what.stat);
	for (int i = what.cgroup; i >= 0; i = parents[i]) {
		model[i].used -= what.bytes;
		model[i].stat[what.stat] -= (int64_t)what.bytes;
	}
}

/* A limit near to what is used, so that it is hit midway; sometimes none. */
static void step_limit(void)
{
	struct model *m = &model[random_below(CGROUPS)];
	uint64_t limit = MEMCG_UNLIMITED;

	if (random_below(5))
		limit = (m->used + random_below(200 * PAGE)) / PAGE * PAGE;
	if (random_below(2)) {
		set_number(m->memcg, "memory.max", limit);
		m->max = limit;
	} else {
		set_number(m->memcg, "memory.high", limit);
		m->high = limit;
	}
}

static void step_reset_peak(void)
{
	struct model *m = &model[random_below(CGROUPS)];

	set(m->memcg, "memory.peak", "");
	m->peak = m->used;
}

static void compare_one(const struct model *m)
{
	switch (random_below(3)) {
	case 0:
		expect_number(m->memcg, "memory.current", m->used);
		break;
	case 1:
		expect_number(m->memcg, "memory.peak", m->peak);
		break;
	default:
		expect_stat(m->memcg, m->stat);
	}
}

static void compare_all(void)
{
	for (int i = 0; i < CGROUPS; i++) {
		expect_number(model[i].memcg, "memory.peak", model[i].peak);
		expect_number(model[i].memcg, "memory.current", model[i].used);
		expect_stat(model[i].memcg, model[i].stat);
	}
}

/* Reads return stocks, so how often they come decides what stocks live to see. */
static void run_model(unsigned int steps, unsigned int steps_per_read)
{
	memset(model, 0, sizeof(model));
	for (int i = 0; i < CGROUPS; i++) {
		model[i].memcg = mem_cgroup_create(parents[i] < 0 ? NULL : model[parents[i]].memcg);
		model[i].max = model[i].high = MEMCG_UNLIMITED;
	}
	nr_refused = 0;
	for (unsigned int step = 0; step < steps; step++) {
		/* Waves, so that it goes from nothing to the limits and back. */
		if (random_below(16) < (step / 500 % 2 ? 5 : 11))
			step_charge();
		else
			step_uncharge();
		if (!random_below(100))
			step_limit();
		if (!random_below(300))
			step_reset_peak();
		for (int i = 0; i < CGROUPS; i++) {
			assert_int_equal(model[i].memcg->events[MEMCG_MAX], model[i].events_max);
			assert_int_equal(model[i].memcg->events[MEMCG_HIGH], model[i].events_high);
		}
		if (steps_per_read == 1)
			compare_all();
		else if (!random_below(steps_per_read))
			compare_one(&model[random_below(CGROUPS)]);
	}
	compare_all();
	print_message("%u of %u steps refused\n", nr_refused, steps);
	assert_true(nr_refused > steps / 200);
	while (nr_held)
		step_uncharge();
	compare_all();
	for (int i = 0; i < CGROUPS; i++) {
		expect_events(model[i].memcg, model[i].events_high, model[i].events_max);
		assert_int_equal(mem_cgroup_usage(model[i].memcg), 0);
		mem_cgroup_put(model[i].memcg);
	}
}

static void test_model_reading_always(void **state)
{
	set_seed(0x5eed0001);
	run_model(20000, 1);
}

static void test_model_reading_often(void **state)
{
	set_seed(0x5eed0002);
	run_model(150000, 20);
}

static void test_model_reading_rarely(void **state)
{
	set_seed(0x5eed0003);
	run_model(300000, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model_reading_always),
		cmocka_unit_test(test_model_reading_often),
		cmocka_unit_test(test_model_reading_rarely),
	};

	return cmocka_run_group_tests_name("memcontrol_model", tests, NULL, NULL);
}
