// SPDX-License-Identifier: MIT
/*
 * Memory cgroups: the texts of their files, limits up the tree, shrinkers.
 */
#include "tests/memcontrol.h"

static void test_new_cgroup_texts(void **state)
{
	static const int64_t nothing[MEMCG_NR_STATS];
	struct mem_cgroup *memcg = mem_cgroup_create(NULL);

	expect_text(memcg, "memory.max", "max\n");
	expect_text(memcg, "memory.high", "max\n");
	expect_text(memcg, "memory.current", "0\n");
	expect_text(memcg, "memory.peak", "0\n");
	expect_events(memcg, 0, 0);
	expect_stat(memcg, nothing);
	mem_cgroup_put(memcg);
}

static const struct {
	const char *text, *reads;
} limits[] = {
	{"0", "0\n"},
	{"max", "max\n"},
	{" \t max \n", "max\n"},
	{"4096", "4096\n"},
	{"4095", "0\n"},
	{"8191\n", "4096\n"},
	{"  12288  ", "12288\n"},
	{"12k", "12288\n"},
	{"12K", "12288\n"},
	{"3m", "3145728\n"},
	{"3M\n", "3145728\n"},
	{"2G", "2147483648\n"},
	{"2g", "2147483648\n"},
	{"1T", "1099511627776\n"},
	{"1P", "1125899906842624\n"},
	{"1E", "1152921504606846976\n"},
	{"0x3000", "12288\n"},
	{"0X3fFf", "12288\n"},
	{"030000", "12288\n"},
	{"0x4k", "4096\n"},
	{"9223372036854771711", "9223372036854767616\n"},
	{"9223372036854771712", "max\n"},
	{"8E", "max\n"},
	{"18446744073709551615", "max\n"},
	{"18446744073709551616", "max\n"},
	{"99999999999999999999999999999", "max\n"},
	{"99999999999999999999E", "max\n"},
};

static void test_limit_texts(void **state)
{
	struct mem_cgroup *memcg = mem_cgroup_create(NULL);

	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		set(memcg, "memory.max", limits[i].text);
		expect_text(memcg, "memory.max", limits[i].reads);
		set(memcg, "memory.high", limits[i].text);
		expect_text(memcg, "memory.high", limits[i].reads);
	}
	mem_cgroup_put(memcg);
}

static void test_junk_is_refused(void **state)
{
	static const char *const junk[] = {"",      " ",      "\n",      "-1",  "+1",    "k",
					   "maxi",  "ma",     "MAX",     "1 k", "4096x", "4kB",
					   "4kk",   "4096 1", "0x",      "0xg", "08",    "1.5M",
					   "max 1", "1 max",  "4096\n1", "\xff"};
	struct mem_cgroup *memcg = mem_cgroup_create(NULL);

	set(memcg, "memory.max", "1M");
	set(memcg, "memory.high", "1M");
	for (size_t i = 0; i < sizeof(junk) / sizeof(*junk); i++) {
		assert_int_equal(mem_cgroup_write(memcg, "memory.max", junk[i]), -EINVAL);
		assert_int_equal(mem_cgroup_write(memcg, "memory.high", junk[i]), -EINVAL);
	}
	expect_text(memcg, "memory.max", "1048576\n");
	expect_text(memcg, "memory.high", "1048576\n");
	mem_cgroup_put(memcg);
}

static void test_file_errors(void **state)
{
	struct mem_cgroup *memcg = mem_cgroup_create(NULL);
	char text[8] = "x";

	assert_int_equal(mem_cgroup_read(memcg, "memory.min", text, sizeof(text)), -ENOENT);
	assert_string_equal(text, "");
	assert_int_equal(mem_cgroup_read(memcg, "", NULL, 0), -ENOENT);
	assert_int_equal(mem_cgroup_read(memcg, "memory.maxi", NULL, 0), -ENOENT);
	assert_int_equal(mem_cgroup_read(memcg, "memory.ma", NULL, 0), -ENOENT);
	assert_int_equal(mem_cgroup_write(memcg, "memory.min", "0"), -ENOENT);
	assert_int_equal(mem_cgroup_write(memcg, "memory.current", "0"), -EACCES);
	assert_int_equal(mem_cgroup_write(memcg, "memory.events", "0"), -EACCES);
	assert_int_equal(mem_cgroup_write(memcg, "memory.stat", "0"), -EACCES);
	mem_cgroup_put(memcg);
}

static void test_short_buffers(void **state)
{
	static const char full[] = "kernel 12345\nsec_pagetables 0\nslab 12345\n";
	struct mem_cgroup *memcg = mem_cgroup_create(NULL);
	char text[64];

	assert_int_equal(charge(memcg, 12345), 0);
	assert_int_equal(mem_cgroup_read(memcg, "memory.stat", NULL, 0), sizeof(full) - 1);
	for (size_t size = 1; size < sizeof(text); size++) {
		memset(text, '#', sizeof(text));
		assert_int_equal(mem_cgroup_read(memcg, "memory.stat", text, size),
				 sizeof(full) - 1);
		assert_int_equal(strlen(text), size < sizeof(full) ? size - 1 : sizeof(full) - 1);
		assert_memory_equal(text, full, strlen(text));
		assert_int_equal(text[size], '#');
	}
	uncharge(memcg, 12345);
	mem_cgroup_put(memcg);
}

static void test_tree_is_limited_in_depth(void **state)
{
	struct mem_cgroup *memcg = NULL, *child;

	for (int depth = 0; depth < 64; depth++) {
		child = mem_cgroup_create(memcg);
		assert_non_null(child);
		mem_cgroup_put(memcg); /* the child holds it */
		memcg = child;
	}
	assert_null(mem_cgroup_create(memcg));
	assert_int_equal(charge(memcg, 1), 0);
	assert_int_equal(memcg->path[0]->depth, 0);
	assert_int_equal(mem_cgroup_usage(memcg->path[0]), 1);
	uncharge(memcg, 1);
	mem_cgroup_put(memcg);
}

static void test_ancestors_limit(void **state)
{
	struct mem_cgroup *root = mem_cgroup_create(NULL);
	struct mem_cgroup *a = mem_cgroup_create(root), *b = mem_cgroup_create(root);

	set(root, "memory.max", "40K");
	set(a, "memory.max", "32K");
	assert_int_equal(charge(a, 32 << 10), 0);
	assert_int_equal(charge(a, 1), -ENOMEM);
	expect_events(a, 0, 1);
	expect_events(root, 0, 1);
	assert_int_equal(charge(b, 8 << 10), 0);
	assert_int_equal(charge(b, 1), -ENOMEM);
	expect_events(b, 0, 0); /* it was the root that refused */
	expect_events(root, 0, 2);
	expect_number(root, "memory.current", 40 << 10);
	uncharge(a, 32 << 10);
	assert_int_equal(charge(b, 32 << 10), 0);
	expect_number(a, "memory.current", 0);
	expect_number(a, "memory.peak", 32 << 10);
	uncharge(b, 40 << 10);
	expect_number(root, "memory.current", 0);
	expect_number(root, "memory.peak", 40 << 10);
	mem_cgroup_put(root);
	mem_cgroup_put(a);
	mem_cgroup_put(b);
}

/* What stands in stock, here and there, is room on every level. */
static void test_stock_refuses_nothing(void **state)
{
	struct mem_cgroup *root = mem_cgroup_create(NULL);
	struct mem_cgroup *a = mem_cgroup_create(root), *b = mem_cgroup_create(root);
	struct mem_cgroup *a1 = mem_cgroup_create(a), *a2 = mem_cgroup_create(a);

	assert_int_equal(charge(a1, PAGE), 0);
	assert_int_equal(charge(b, PAGE), 0);
	assert_true(memcg_usage_now(a) > 50 * PAGE);
	assert_true(memcg_usage_now(b) > 50 * PAGE);
	/* By hand: mem_cgroup_write() would take the stocks back. */
	atomic_store(&a->max, 200 * PAGE);
	atomic_store(&root->max, 202 * PAGE);
	assert_int_equal(charge(a2, 199 * PAGE), 0);
	assert_int_equal(charge(b, PAGE), 0);
	assert_int_equal(charge(a2, 1), -ENOMEM);
	expect_events(a, 0, 1);
	assert_int_equal(charge(b, 1), -ENOMEM);
	expect_events(a, 0, 1);
	expect_events(root, 0, 2);
	uncharge(a1, PAGE);
	uncharge(a2, 199 * PAGE);
	uncharge(b, 2 * PAGE);
	expect_number(root, "memory.current", 0);
	expect_number(root, "memory.peak", 202 * PAGE);
	mem_cgroup_put(root);
	mem_cgroup_put(a);
	mem_cgroup_put(b);
	mem_cgroup_put(a1);
	mem_cgroup_put(a2);
}

static void test_peak_outlives_surplus(void **state)
{
	for (int pages = 1; pages < 600; pages += 7) {
		struct mem_cgroup *memcg = mem_cgroup_create(NULL);

		for (int i = 0; i < pages; i++)
			assert_int_equal(charge(memcg, PAGE), 0);
		for (int i = 0; i < pages; i++)
			uncharge(memcg, PAGE);
		assert_true(memcg_usage_now(memcg) <= 128 * PAGE);
		expect_number(memcg, "memory.peak", (uint64_t)pages * PAGE);
		expect_number(memcg, "memory.current", 0);
		mem_cgroup_put(memcg);
	}
}

static void test_high_counts_each_charge_above_it(void **state)
{
	struct mem_cgroup *root = mem_cgroup_create(NULL), *a = mem_cgroup_create(root);

	/* A stock from before must not hide the crossing. */
	assert_int_equal(charge(a, PAGE), 0);
	set(a, "memory.high", "8K");
	assert_int_equal(charge(a, PAGE), 0);
	expect_events(a, 0, 0);
	assert_int_equal(mem_cgroup_charge(a, 1, MEMCG_OTHER, GFP_ATOMIC), 0);
	expect_events(a, 1, 0);
	assert_int_equal(charge(a, PAGE), 0);
	expect_events(a, 2, 0);
	expect_events(root, 2, 0);
	uncharge(a, PAGE);
	mem_cgroup_uncharge(a, 1, MEMCG_OTHER);
	uncharge(a, PAGE);
	assert_int_equal(charge(a, PAGE), 0);
	expect_events(a, 2, 0);
	set(a, "memory.high", "0");
	expect_events(a, 2, 0);
	uncharge(a, 2 * PAGE);
	expect_number(a, "memory.peak", 3 * PAGE + 1);
	mem_cgroup_put(root);
	mem_cgroup_put(a);
}

static void test_max_below_usage_stands(void **state)
{
	struct mem_cgroup *memcg = mem_cgroup_create(NULL);

	assert_int_equal(charge(memcg, 10 * PAGE), 0);
	set(memcg, "memory.max", "8K");
	expect_number(memcg, "memory.current", 10 * PAGE);
	assert_int_equal(charge(memcg, 1), -ENOMEM);
	uncharge(memcg, 9 * PAGE);
	assert_int_equal(charge(memcg, PAGE), 0);
	assert_int_equal(charge(memcg, 1), -ENOMEM);
	expect_number(memcg, "memory.peak", 10 * PAGE);
	set(memcg, "memory.peak", "reset");
	expect_number(memcg, "memory.peak", 2 * PAGE);
	uncharge(memcg, 2 * PAGE);
	mem_cgroup_put(memcg);
}

/* Something that can be freed: whole pages charged to a cgroup. */
struct cushion {
	struct shrinker shrinker;
	struct mem_cgroup *memcg;
	unsigned long pages;
	unsigned int runs;
};

static unsigned long cushion_count(struct shrinker *shrinker)
{
	return ((struct cushion *)shrinker)->pages;
}

static unsigned long cushion_scan(struct shrinker *shrinker, unsigned long nr)
{
	struct cushion *cushion = (struct cushion *)shrinker;

	cushion->runs++;
	if (!cushion->pages)
		return 0;
	cushion->pages--;
	uncharge(cushion->memcg, PAGE);
	return 1;
}

static void test_shrinkers_make_room(void **state)
{
	struct mem_cgroup *memcg = mem_cgroup_create(NULL);
	struct cushion cushion = {
		.shrinker = {cushion_count, cushion_scan, NULL}, .memcg = memcg, .pages = 10};

	register_shrinker(&cushion.shrinker);
	set(memcg, "memory.max", "40K");
	assert_int_equal(charge(memcg, 10 * PAGE), 0);
	assert_int_equal(mem_cgroup_charge(memcg, PAGE, MEMCG_OTHER, GFP_ATOMIC), -ENOMEM);
	assert_int_equal(cushion.runs, 0);
	assert_int_equal(mem_cgroup_charge(memcg, PAGE, MEMCG_OTHER, GFP_KERNEL | __GFP_NORETRY),
			 -ENOMEM);
	assert_int_equal(cushion.runs, 0);
	assert_int_equal(mem_cgroup_charge(memcg, 2 * PAGE, MEMCG_OTHER, GFP_KERNEL), 0);
	expect_number(memcg, "memory.current", 10 * PAGE);
	assert_true(cushion.pages <= 8);
	set(memcg, "memory.max", "8K");
	expect_number(memcg, "memory.current", (cushion.pages + 2) * PAGE);
	assert_true(cushion.pages <= 7);
	cushion.runs = 0;
	set(memcg, "memory.max", "max");
	set(memcg, "memory.high", "0");
	assert_true(cushion.runs > 0);
	unregister_shrinker(&cushion.shrinker);
	mem_cgroup_uncharge(memcg, 2 * PAGE, MEMCG_OTHER);
	uncharge(memcg, cushion.pages * PAGE);
	expect_number(memcg, "memory.current", 0);
	mem_cgroup_put(memcg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new_cgroup_texts),
		cmocka_unit_test(test_limit_texts),
		cmocka_unit_test(test_junk_is_refused),
		cmocka_unit_test(test_file_errors),
		cmocka_unit_test(test_short_buffers),
		cmocka_unit_test(test_tree_is_limited_in_depth),
		cmocka_unit_test(test_ancestors_limit),
		cmocka_unit_test(test_stock_refuses_nothing),
		cmocka_unit_test(test_peak_outlives_surplus),
		cmocka_unit_test(test_high_counts_each_charge_above_it),
		cmocka_unit_test(test_max_below_usage_stands),
		cmocka_unit_test(test_shrinkers_make_room),
	};

	return cmocka_run_group_tests_name("memcontrol", tests, NULL, NULL);
}
