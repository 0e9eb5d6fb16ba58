// SPDX-License-Identifier: MIT
/*
 * Object caches against a model that remembers every live object.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <uiommu/memcontrol.h>
#include <uiommu/mm.h>

#include "mm/page.h"
#include "mm/slab.h"
#include "tests/capture.h"

#define SEED 20240611u

static uint32_t random_next(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* Sizes and alignments; align 0 stands for kmalloc(). */
static const struct shape {
	size_t size, align;
} shapes[] = {
	{1, 1},      {8, 8},         {24, 8},      {40, 64},     {100, 4},   {512, 512},
	{700, 8},    {1000, 16},     {1024, 1024}, {2048, 2048}, {3000, 64}, {4096, 4096},
	{5000, 8},   {6000, 2048},   {9000, 256},  {12000, 8},   {14000, 8}, {16383, 2},
	{64, 16384}, {16384, 16384}, {1, 0},       {32, 0},      {33, 0},    {200, 0},
	{500, 0},    {1025, 0},      {4000, 0},    {8192, 0},    {8193, 0},  {40000, 0},
};
#define NR_SHAPES (sizeof(shapes) / sizeof(shapes[0]))
#define NR_GROUPS 4

static struct kmem_cache *caches[NR_SHAPES];

struct live {
	unsigned char *object;
	const struct shape *shape;
	unsigned int group;
	unsigned char fill;
};

static struct mem_cgroup *groups[NR_GROUPS]; /* [0] is NULL, [1] the root, its child, its child */

static void groups_create(void)
{
	for (unsigned int i = 1; i < NR_GROUPS; i++) {
		groups[i] = mem_cgroup_create(groups[i - 1]);
		assert_non_null(groups[i]);
	}
}

static void groups_put(void)
{
	for (unsigned int i = NR_GROUPS; --i;)
		mem_cgroup_put(groups[i]);
}

static void caches_create(void)
{
	for (size_t i = 0; i < NR_SHAPES; i++) {
		if (!shapes[i].align)
			continue;
		caches[i] = kmem_cache_create("test", shapes[i].size, shapes[i].align, GFP_KERNEL);
		assert_non_null(caches[i]);
	}
}

static void caches_destroy(void)
{
	for (size_t i = 0; i < NR_SHAPES; i++)
		if (shapes[i].align)
			kmem_cache_destroy(caches[i]);
}

static void *shape_alloc(const struct shape *shape, gfp_t gfp, struct mem_cgroup *memcg)
{
	if (!shape->align)
		return kmalloc(shape->size, gfp, memcg);
	return kmem_cache_alloc(caches[shape - shapes], gfp, memcg);
}

static void shape_free(const struct shape *shape, void *object)
{
	if (!shape->align || shape->size % 3 == 0)
		kfree(object);
	else
		kmem_cache_free(caches[shape - shapes], object);
}

/* What an object is charged: kmalloc() by the power of two, from 32. */
static size_t shape_charge(const struct shape *shape)
{
	size_t charge = 32;

	if (shape->align)
		return shape->size;
	while (charge < shape->size)
		charge *= 2;
	return charge;
}

static bool all_bytes(const unsigned char *at, size_t size, unsigned char byte)
{
	return at[0] == byte && !memcmp(at, at + 1, size - 1);
}

static uint64_t slab_bytes(void)
{
	struct uiommu_mm_stat stat;

	uiommu_mm_stat(&stat);
	return stat.slab;
}

static bool stat_is_zero(struct mem_cgroup *memcg, const char *key)
{
	char text[512], line[64];

	mem_cgroup_read(memcg, "memory.stat", text, sizeof(text));
	snprintf(line, sizeof(line), "%s 0\n", key);
	return strstr(text, line) != NULL;
}

static void check_usage(const struct live *live, size_t count)
{
	uint64_t sum[NR_GROUPS + 1] = {0};

	for (size_t i = 0; i < count; i++)
		sum[live[i].group] += shape_charge(live[i].shape);
	for (unsigned int i = NR_GROUPS; --i;) {
		sum[i] += i + 1 < NR_GROUPS ? sum[i + 1] : 0;
		assert_int_equal(mem_cgroup_usage(groups[i]), sum[i]);
	}
}

static void check_new(const struct live *live, size_t count, const struct live *new)
{
	size_t align = new->shape->align > 8 ? new->shape->align : 8;

	assert_int_equal((uintptr_t) new->object % align, 0);
	for (size_t i = 0; i < count; i++)
		assert_true(new->object + new->shape->size <= live[i].object ||
			    live[i].object + live[i].shape->size <= new->object);
}

#define MOST_LIVE 600

static size_t model_alloc(struct live *live, size_t count, uint32_t *seed)
{
	static const gfp_t gfps[] = {GFP_KERNEL, GFP_KERNEL, GFP_ATOMIC, GFP_NOWAIT};
	struct live *new = &live[count];
	gfp_t gfp = gfps[random_next(seed) % 4];
	bool zero = random_next(seed) % 2;

	new->shape = &shapes[random_next(seed) % NR_SHAPES];
	new->group = random_next(seed) % NR_GROUPS;
	new->fill = (unsigned char)(random_next(seed) | 1);
	new->object = shape_alloc(new->shape, zero ? gfp | __GFP_ZERO : gfp, groups[new->group]);
	if (!new->object) {
		assert_false(gfpflags_allow_blocking(gfp));
		return count;
	}
	check_new(live, count, new);
	if (zero)
		assert_true(all_bytes(new->object, new->shape->size, 0));
	memset(new->object, new->fill, new->shape->size);
	return count + 1;
}

static size_t model_free(struct live *live, size_t count, uint32_t *seed)
{
	size_t i = random_next(seed) % count;

	assert_true(all_bytes(live[i].object, live[i].shape->size, live[i].fill));
	shape_free(live[i].shape, live[i].object);
	live[i] = live[count - 1];
	return count - 1;
}

static void test_model(void **state)
{
	static struct live live[MOST_LIVE + 1];
	uint64_t before = 0;
	uint32_t seed = SEED;
	size_t count = 0;

	print_message("seed %u\n", seed);
	groups_create();
	for (unsigned int round = 0; round < 4; round++) {
		caches_create();
		for (unsigned int i = 0; i < 8000; i++) {
			/* Go up and down between few and many objects. */
			unsigned int up = i / 1000 % 2 ? 3 : 7;

			if (!count || (count < MOST_LIVE && random_next(&seed) % 10 < up))
				count = model_alloc(live, count, &seed);
			else
				count = model_free(live, count, &seed);
			if (i % 64 == 0)
				check_usage(live, count);
		}
		while (count)
			count = model_free(live, count, &seed);
		check_usage(live, 0);
		caches_destroy();
		/* What stays is at most a spare slab in each class of kmalloc(). */
		if (round)
			assert_true(slab_bytes() <= before + 12 * (PAGE_SIZE << MAX_ORDER));
		else
			before = slab_bytes();
	}
	for (unsigned int i = 1; i < NR_GROUPS; i++) {
		assert_true(stat_is_zero(groups[i], "slab"));
		assert_true(stat_is_zero(groups[i], "kernel"));
	}
	groups_put();
}

/* Full slabs of every small size: no object reaches into a descriptor. */
static void test_full_slabs(void **state)
{
	static unsigned char *objects[520];

	for (size_t size = 1; size <= 2048; size += size < 8 ? 7 : 8) {
		struct kmem_cache *cache = kmem_cache_create("full", size, 0, GFP_KERNEL);
		size_t count = MIN(ARRAY_SIZE(objects), 65536 / size);

		for (size_t i = 0; i < count; i++) {
			objects[i] = kmem_cache_alloc(cache, GFP_KERNEL, NULL);
			assert_non_null(objects[i]);
			memset(objects[i], (int)(i % 251), size);
		}
		for (size_t i = 0; i < count; i++) {
			assert_true(all_bytes(objects[i], size, (unsigned char)(i % 251)));
			memset(objects[i], 0xff, size);
			kmem_cache_free(cache, objects[i]);
		}
		kmem_cache_destroy(cache);
	}
}

static void test_packing(void **state)
{
	static const size_t sizes[] = {1024, 2048, 4096, 8192, 16384};
	void *objects[64];

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		struct kmem_cache *cache =
			kmem_cache_create("packing", sizes[s], sizes[s], GFP_KERNEL);
		uint64_t before = slab_bytes();

		for (size_t i = 0; i < 64; i++) {
			objects[i] = kmem_cache_alloc(cache, GFP_KERNEL, NULL);
			assert_non_null(objects[i]);
		}
		/* Nothing is wasted; descriptors may have taken a few pages. */
		assert_in_range(slab_bytes() - before, 64 * sizes[s],
				64 * sizes[s] + 4 * PAGE_SIZE);
		for (size_t i = 0; i < 64; i++)
			kmem_cache_free(cache, objects[i]);
		/* One slab is kept. */
		assert_in_range(slab_bytes(), before,
				before + MAX(sizes[s], PAGE_SIZE) + PAGE_SIZE);
		kmem_cache_destroy(cache);
	}
}

static void test_arguments(void **state)
{
	assert_null(kmem_cache_create("bad", 0, 8, GFP_KERNEL));
	assert_null(kmem_cache_create("bad", 16385, 8, GFP_KERNEL));
	assert_null(kmem_cache_create("bad", 8, 3, GFP_KERNEL));
	assert_null(kmem_cache_create("bad", 8, 32768, GFP_KERNEL));
	assert_null(kmalloc(65537, GFP_KERNEL, NULL));
	assert_null(kmalloc(SIZE_MAX, GFP_KERNEL, NULL));
	kfree(NULL);
	kmem_cache_free(NULL, NULL);
	kmem_cache_destroy(NULL);
	kfree(kmalloc(0, GFP_KERNEL, NULL));
}

static void test_active(void **state)
{
	struct mem_cgroup *memcg = mem_cgroup_create(NULL);
	void *plain, *accounted, *other;

	mem_cgroup_set_active(memcg);
	plain = kmalloc(100, GFP_KERNEL, NULL);
	assert_int_equal(mem_cgroup_usage(memcg), 0);
	accounted = kmalloc(100, GFP_KERNEL_ACCOUNT, NULL);
	assert_int_equal(mem_cgroup_usage(memcg), 128);
	mem_cgroup_set_active(NULL);
	other = kmalloc(100, GFP_KERNEL_ACCOUNT, NULL);
	assert_int_equal(mem_cgroup_usage(memcg), 128);
	/* What is charged keeps the cgroup: freeing after the last put is fine. */
	mem_cgroup_put(memcg);
	kfree(plain);
	kfree(accounted);
	kfree(other);
}

static void test_budget(void **state)
{
	enum {
		SIZE = 3000,
		MAX_BYTES = 65536,
		FIT = MAX_BYTES / SIZE
	};
	struct kmem_cache *cache = kmem_cache_create("budget", SIZE, 8, GFP_KERNEL);
	struct mem_cgroup *memcg = mem_cgroup_create(NULL);
	void *objects[FIT];

	assert_int_equal(mem_cgroup_write(memcg, "memory.max", "64K"), 0);
	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < FIT; i++) {
			objects[i] = kmem_cache_alloc(cache, GFP_KERNEL, memcg);
			assert_non_null(objects[i]);
		}
		assert_null(kmem_cache_alloc(cache, GFP_KERNEL, memcg));
		assert_null(kmem_cache_alloc(cache, GFP_ATOMIC, memcg));
		assert_int_equal(mem_cgroup_usage(memcg), FIT * SIZE);
		for (unsigned int i = 0; i < FIT; i++)
			kmem_cache_free(cache, objects[i]);
		assert_int_equal(mem_cgroup_usage(memcg), 0);
	}
	mem_cgroup_put(memcg);
	kmem_cache_destroy(cache);
}

/* Caches and objects from nothing to nothing; false when something failed. */
static bool scenario(struct mem_cgroup *memcg)
{
	static const size_t sizes[] = {24, 2048, 16384};
	struct kmem_cache *cache[3] = {NULL};
	void *objects[3][5] = {{NULL}};
	void *big = kmalloc(20000, GFP_KERNEL, memcg);
	bool ok = big != NULL;

	for (unsigned int c = 0; ok && c < 3; c++) {
		cache[c] = kmem_cache_create("scenario", sizes[c], c ? sizes[c] : 0, GFP_KERNEL);
		ok = cache[c] != NULL;
		for (unsigned int i = 0; ok && i < 5; i++) {
			objects[c][i] = kmem_cache_alloc(cache[c], GFP_KERNEL, memcg);
			ok = objects[c][i] != NULL;
		}
	}
	for (unsigned int c = 0; c < 3; c++) {
		for (unsigned int i = 0; i < 5; i++)
			kmem_cache_free(cache[c], objects[c][i]);
		kmem_cache_destroy(cache[c]);
	}
	kfree(big);
	return ok;
}

static void test_failures(void **state)
{
	struct mem_cgroup *memcg = mem_cgroup_create(NULL);
	uint64_t before;

	assert_true(scenario(memcg));
	before = slab_bytes();
	for (unsigned int sticky = 0; sticky < 2; sticky++) {
		for (unsigned int n = 1;; n++) {
			bool ok, hit;

			uiommu_fail_nth(n, sticky);
			ok = scenario(memcg);
			hit = uiommu_fail_nth(0, false);
			assert_int_equal(mem_cgroup_usage(memcg), 0);
			assert_int_equal(ok, !hit);
			assert_true(scenario(memcg));
			assert_int_equal(slab_bytes(), before);
			if (!hit) {
				/* 19 objects and caches, and the slabs they needed. */
				assert_true(n > 19);
				break;
			}
		}
	}
	assert_true(stat_is_zero(memcg, "slab"));
	mem_cgroup_put(memcg);
}

static void test_misuse(void **state)
{
	struct kmem_cache *cache = kmem_cache_create("misuse", 48, 0, GFP_KERNEL);
	struct kmem_cache *wrong = kmem_cache_create("wrong", 48, 0, GFP_KERNEL);
	struct mem_cgroup *memcg = mem_cgroup_create(NULL);
	char *object = kmem_cache_alloc(cache, GFP_KERNEL, memcg);
	char *again = kmem_cache_alloc(cache, GFP_KERNEL, memcg);
	struct page *table = alloc_pages(GFP_KERNEL, 0, NULL, PAGE_TABLE);
	struct capture capture;
	const char *text;
	char local[64];

	capture_begin(&capture);
	kmem_cache_free(cache, again);
	kmem_cache_free(cache, again);
	kfree(again);
	text = capture_end(&capture);
	assert_non_null(strstr(text, "freed twice, an object of misuse"));
	assert_int_equal(capture_lines(text), 1);

	capture_begin(&capture);
	kmem_cache_free(wrong, object);
	kfree(object + 8);
	kfree(local);
	kfree(page_address(table));
	kfree((char *)((uintptr_t)object & ~(uintptr_t)4095) + 4095);
	text = capture_end(&capture);
	assert_non_null(strstr(text, "freed what is not an object of wrong"));
	assert_int_equal(capture_lines(text), 1);

	assert_int_equal(mem_cgroup_usage(memcg), 48);
	again = kmem_cache_alloc(cache, GFP_KERNEL, memcg);
	assert_ptr_not_equal(again, object);
	kfree(again);
	kfree(object);
	assert_int_equal(mem_cgroup_usage(memcg), 0);

	object = kmem_cache_alloc(wrong, GFP_KERNEL, memcg);
	capture_begin(&capture);
	kmem_cache_destroy(wrong);
	text = capture_end(&capture);
	assert_non_null(strstr(text, "destroyed with objects in use, cache wrong"));
	kfree(object);
	kmem_cache_destroy(wrong);

	free_pages(table);
	kmem_cache_destroy(cache);
	mem_cgroup_put(memcg);
}

/* Threads hand each other objects through slots. */
#define NR_THREADS 4
#define NR_SLOTS   64
#define SWAPS      20000

struct parcel {
	size_t size;
	unsigned char fill;
	unsigned char bytes[];
};

static _Atomic(struct parcel *) slots[NR_SLOTS];
static struct kmem_cache *parcels[2];
static const size_t parcel_size[] = {80, 2048};

static void parcel_open(struct parcel *parcel)
{
	if (!parcel)
		return;
	if (!all_bytes(parcel->bytes, parcel->size - sizeof(*parcel), parcel->fill))
		abort();
	kfree(parcel);
}

static void *swapper(void *argument)
{
	uint32_t seed = SEED + (uint32_t)(uintptr_t)argument;
	struct mem_cgroup *memcg = groups[1 + (uintptr_t)argument % (NR_GROUPS - 1)];

	for (unsigned int i = 0; i < SWAPS; i++) {
		unsigned int kind = random_next(&seed) % 2;
		gfp_t gfp = random_next(&seed) % 2 ? GFP_KERNEL : GFP_ATOMIC;
		struct parcel *parcel = kmem_cache_alloc(parcels[kind], gfp, memcg);

		if (parcel) {
			parcel->size = parcel_size[kind];
			parcel->fill = (unsigned char)i;
			memset(parcel->bytes, parcel->fill, parcel->size - sizeof(*parcel));
		} else if (gfpflags_allow_blocking(gfp)) {
			abort();
		}
		parcel_open(atomic_exchange(&slots[random_next(&seed) % NR_SLOTS], parcel));
	}
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[NR_THREADS];
	uint64_t before;

	groups_create();
	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int k = 0; k < 2; k++)
			parcels[k] = kmem_cache_create("parcel", parcel_size[k], 0, GFP_KERNEL);
		before = slab_bytes();
		for (uintptr_t i = 0; i < NR_THREADS; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, swapper, (void *)i), 0);
		for (unsigned int i = 0; i < NR_THREADS; i++)
			pthread_join(threads[i], NULL);
		for (unsigned int i = 0; i < NR_SLOTS; i++)
			parcel_open(atomic_exchange(&slots[i], NULL));
		for (unsigned int i = 1; i < NR_GROUPS; i++)
			assert_int_equal(mem_cgroup_usage(groups[i]), 0);
		for (unsigned int k = 0; k < 2; k++)
			kmem_cache_destroy(parcels[k]);
		/* The class of the descriptors may keep a few pages. */
		assert_true(slab_bytes() <= before + 8 * PAGE_SIZE);
	}
	groups_put();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),    cmocka_unit_test(test_full_slabs),
		cmocka_unit_test(test_packing),  cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_active),   cmocka_unit_test(test_budget),
		cmocka_unit_test(test_failures), cmocka_unit_test(test_misuse),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests_name("slab", tests, NULL, NULL);
}
