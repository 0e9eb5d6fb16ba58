/* SPDX-License-Identifier: MIT */
/*
 * The page allocator: what it hands out, where it ends, and what it may do for
 * whom. The arena is small and its physical addresses are not the virtual ones.
 */
#include <endian.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <uiommu/mm.h>

#include "mm/page.h"
#include "pgtable/items.h"
#include "tests/common.h"

#define ARENA     (64ULL << 20)
#define RESERVE   32
#define PHYS_BASE 0x7000000000ULL
#define MOST      (ARENA / PAGE_SIZE)

static struct page *taken[MOST];

static struct uiommu_mm_stat stat_now(void)
{
	struct uiommu_mm_stat stat;

	uiommu_mm_stat(&stat);
	assert_int_equal(stat.arena,
			 stat.tables + stat.slab + stat.other + stat.reserve + stat.free);
	return stat;
}

/* Take single pages until there are none; returns how many. */
static unsigned int take_all(gfp_t gfp)
{
	unsigned int n = 0;

	while (n < MOST && (taken[n] = alloc_pages(gfp, 0, NULL, PAGE_OTHER)))
		n++;
	return n;
}

static void give_all(unsigned int n)
{
	while (n)
		free_pages(taken[--n]);
}

static void test_init(void **state)
{
	struct uiommu_config config = {ARENA + 1, RESERVE, PHYS_BASE};

	assert_int_equal(uiommu_init(&config), -EINVAL);
	config = (struct uiommu_config){ARENA, 4097, PHYS_BASE};
	assert_int_equal(uiommu_init(&config), -EINVAL);
	config = (struct uiommu_config){ARENA, RESERVE, PHYS_BASE + 4096};
	assert_int_equal(uiommu_init(&config), -EINVAL);
	config = (struct uiommu_config){ARENA, RESERVE, PHYS_BASE};
	assert_int_equal(uiommu_init(&config), 0);
	assert_int_equal(uiommu_init(&config), -EBUSY);
	assert_int_equal(uiommu_init(NULL), -EBUSY);
	assert_int_equal(stat_now().reserve, RESERVE * PAGE_SIZE);
}

static void test_atomic_does_not_grow(void **state)
{
	uint64_t arena_before = stat_now().arena;
	unsigned int nowait, atomic = 0;
	struct page *extra[RESERVE + 1];

	nowait = take_all(GFP_NOWAIT);
	assert_int_equal(nowait * PAGE_SIZE, arena_before - RESERVE * PAGE_SIZE);
	while (atomic <= RESERVE && (extra[atomic] = alloc_pages(GFP_ATOMIC, 0, NULL, PAGE_OTHER)))
		atomic++;
	assert_int_equal(atomic, RESERVE);
	assert_int_equal(stat_now().arena, arena_before);
	assert_int_equal(stat_now().reserve, 0);
	/* What is freed goes to the reserve first. */
	while (atomic)
		free_pages(extra[--atomic]);
	assert_int_equal(stat_now().reserve, RESERVE * PAGE_SIZE);
	give_all(nowait);
	assert_int_equal(stat_now().other, 0);
}

static void test_arena_ends(void **state)
{
	for (int again = 0; again < 2; again++) {
		unsigned int n = take_all(GFP_KERNEL);

		assert_int_equal(n, MOST - RESERVE);
		assert_int_equal(stat_now().arena, ARENA);
		assert_null(alloc_pages(GFP_KERNEL, 4, NULL, PAGE_OTHER));
		give_all(n);
	}
	assert_int_equal(stat_now().other, 0);
}

static void *take_and_give(void *arg)
{
	give_all(take_all(GFP_KERNEL));
	return NULL;
}

/* Pages that went one by one come back as whole blocks. */
static void test_blocks_join(void **state)
{
	unsigned int n = 0;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, take_and_give, NULL), 0);
	pthread_join(thread, NULL);
	while ((taken[n] = alloc_pages(GFP_KERNEL, MAX_ORDER, NULL, PAGE_OTHER)))
		n++;
	/* Each page of the reserve, and of this thread's cache, may break a block. */
	assert_true(n >= (MOST >> MAX_ORDER) - RESERVE - 512 / 16);
	give_all(n);
}

struct block {
	struct page *page;
	unsigned char mark;
};

static bool holds(const struct block *block, unsigned char byte)
{
	const unsigned char *bytes = page_address(block->page);
	size_t size = PAGE_SIZE << block->page->order;

	return bytes[0] == byte && !memcmp(bytes, bytes + 1, size - 1);
}

/* Contents tell whether two blocks overlap. */
static void random_blocks(uint64_t seed, struct block *blocks, unsigned int nr, unsigned int steps)
{
	uint64_t random = seed;

	for (unsigned int step = 0; step < SCALED(steps); step++) {
		struct block *block = &blocks[random_below(&random, nr)];
		unsigned int order = (unsigned int)random_below(&random, MAX_ORDER + 1);
		gfp_t zero = random_below(&random, 2) ? __GFP_ZERO : 0;

		if (block->page) {
			assert_true(holds(block, block->mark));
			free_pages(block->page);
			block->page = NULL;
			continue;
		}
		block->page = alloc_pages(GFP_KERNEL | zero, order, NULL, PAGE_OTHER);
		assert_non_null(block->page);
		assert_int_equal(((char *)page_address(block->page) - arena.base) %
					 (long)(PAGE_SIZE << order),
				 0);
		if (zero)
			assert_true(holds(block, 0));
		block->mark = (unsigned char)(1 + random_below(&random, 255));
		memset(page_address(block->page), block->mark, PAGE_SIZE << order);
	}
	for (unsigned int i = 0; i < nr; i++) {
		if (blocks[i].page)
			free_pages(blocks[i].page);
		blocks[i].page = NULL;
	}
}

static void test_random_blocks(void **state)
{
	static struct block blocks[100];

	random_blocks(0x5eed, blocks, 100, 30000);
	assert_int_equal(stat_now().other, 0);
}

static void *random_thread(void *arg)
{
	struct block blocks[40] = {0};

	random_blocks((uintptr_t)arg, blocks, 40, 10000);
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[4];

	for (uintptr_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, random_thread, (void *)(i + 1)),
				 0);
	for (unsigned int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(stat_now().other, 0);
}

/* Tables hold physical addresses, wherever the arena is. */
static void test_phys_base(void **state)
{
	struct iommu_domain_params params = {.format = "vtd"};
	struct iommu_domain *domain = iommu_domain_alloc(&params, GFP_KERNEL);
	struct iommu_domain_info info;
	uint64_t item;

	assert_false(IS_ERR(domain));
	iommu_domain_get_info(domain, &info);
	assert_true(info.root >= PHYS_BASE && info.root < PHYS_BASE + ARENA);
	assert_int_equal(iommu_map(domain, 0, 0x5000, 4096, IOMMU_READ, GFP_KERNEL), 0);
	item = le64toh(*(uint64_t *)(arena.base + (info.root - PHYS_BASE)));
	assert_true((item & ~0xfffULL) > PHYS_BASE && (item & ~0xfffULL) < PHYS_BASE + ARENA);
	assert_int_equal(iommu_iova_to_phys(domain, 0x123), 0x5123);
	iommu_domain_free(domain);
}

/* Any system call but read, write and exit kills the caller. */
static void __attribute__((noreturn)) atomic_child(struct iommu_domain *domain)
{
	const gfp_t gfps[] = {GFP_ATOMIC, GFP_NOWAIT, GFP_ATOMIC | __GFP_ACCOUNT};
	bool failed = false;

	iommu_atomic_enter();
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT))
		syscall(SYS_exit, 77);
	for (unsigned int round = 0; round < 3; round++) {
		unsigned int n = take_all(gfps[round]);

		failed |= !n;
		give_all(n);
		/* Until memory is short, and back. */
		for (n = 0;
		     !iommu_map(domain, (uint64_t)n << 21, 0x1000, 4096, IOMMU_WRITE, gfps[round]);)
			n++;
		failed |= !n;
		while (n--)
			failed |= iommu_unmap(domain, (uint64_t)n << 21, 4096) != 4096;
	}
	syscall(SYS_exit, failed);
	__builtin_unreachable();
}

static void __attribute__((unused)) test_atomic_makes_no_system_call(void **state)
{
	struct iommu_domain_params params = {.format = "amdv1"};
	struct iommu_domain *domain = iommu_domain_alloc(&params, GFP_KERNEL);
	int status;
	pid_t pid;

	pid = fork();
	if (!pid)
		atomic_child(domain);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	iommu_domain_free(domain);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		print_message("# no seccomp here\n");
	else
		assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_init), /* first: it sets the library up */
		cmocka_unit_test(test_atomic_does_not_grow),
		cmocka_unit_test(test_arena_ends),
		cmocka_unit_test(test_blocks_join),
		cmocka_unit_test(test_random_blocks),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_phys_base),
#ifndef ITEMS_SANITIZED /* sanitizers make system calls of their own */
		cmocka_unit_test(test_atomic_makes_no_system_call),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
