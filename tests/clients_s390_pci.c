// SPDX-License-Identifier: MIT
/* Translations of PCI functions on s390: all of a range or none. */
#include "tests/clients.h"

#include "tests/clients/s390_pci.h"
#include "tests/capture.h"

#define START (UINT64_C(1) << 32)
#define END   (START + (UINT64_C(64) << 20) - 1)
#define BASE  (START + PAGES(250)) /* near the end of a page table, which has 256 items */
#define PADDR UINT64_C(0x7123456000)
#define SEED  0x5390ULL

static struct zpci_dev zdev;
static struct page_model model;
static struct {
	unsigned int calls;
	uint64_t dma_addr, size;
	int error;
} refreshed;

static int refresh(void *context, dma_addr_t dma_addr, size_t size)
{
	assert_ptr_equal(context, &refreshed);
	refreshed.calls++;
	refreshed.dma_addr = dma_addr;
	refreshed.size = size;
	return refreshed.error;
}

static void begin(void)
{
	zdev = (struct zpci_dev){.start_dma = START, .end_dma = END};
	memset(&refreshed, 0, sizeof(refreshed));
	assert_int_equal(zpci_dma_init_device(&zdev, GFP_KERNEL_ACCOUNT), 0);
	model_begin(&model, START);
}

static void end(void)
{
	zpci_dma_exit_device(&zdev);
}

static void tables_come_sleepable(void **state)
{
	static const struct {
		uint64_t start, last;
	} bad[] = {{START + 1, END}, {START, END - 1}, {END + 1, START - 1}, {0, UINT64_MAX}};

	record_begin();
	zdev = (struct zpci_dev){.start_dma = START, .end_dma = END};
	assert_int_equal(zpci_dma_init_device(&zdev, GFP_KERNEL), 0);
	assert_int_equal(recorded.nr_domains, 1);
	assert_int_equal(recorded.domain_gfp, GFP_KERNEL);
	assert_int_equal(mem_cgroup_usage(mem_cgroup_active()), 0);
	end();
	end();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		zdev = (struct zpci_dev){.start_dma = bad[i].start, .end_dma = bad[i].last};
		assert_int_equal(zpci_dma_init_device(&zdev, GFP_KERNEL_ACCOUNT), -EINVAL);
		assert_null(zdev.domain);
		assert_int_equal(dma_update_trans(&zdev, PADDR, BASE, PAGE_SIZE, RW), -EINVAL);
	}
}

/* From an interrupt, as it were: the first sleep there would be reported. */
static void dma_path(void **state)
{
	struct capture capture;

	begin();
	zdev.refresh = refresh;
	zdev.context = &refreshed;
	record_begin();
	capture_begin(&capture);
	iommu_atomic_enter();
	assert_int_equal(dma_update_trans(&zdev, PADDR + 5, BASE, PAGES(11) + 1, RW), 0);
	assert_int_equal(dma_update_trans(&zdev, PADDR, BASE + PAGES(20), 1, IOMMU_READ), 0);
	iommu_atomic_exit();
	assert_string_equal(capture_end(&capture), "");
	assert_maps_recorded(13, GFP_ATOMIC);
	for (unsigned int i = 0; i < recorded.nr_maps; i++)
		assert_int_equal(recorded.map[i].size, PAGE_SIZE);
	assert_int_equal(refreshed.calls, 2);
	assert_int_equal(refreshed.dma_addr, BASE + PAGES(20));
	assert_int_equal(refreshed.size, PAGE_SIZE);
	model_set(&model, BASE, PADDR, 12, HW_READ | HW_WRITE);
	model_set(&model, BASE + PAGES(20), PADDR, 1, HW_READ);
	assert_walker_finds(zdev.domain, &model);

	/* Part of it, and what is not valid: neither is an error. */
	assert_int_equal(dma_update_trans(&zdev, 0, BASE + PAGES(2), PAGES(19), 0), 0);
	model_set(&model, BASE + PAGES(2), 0, 19, 0);
	assert_walker_finds(zdev.domain, &model);
	assert_int_equal(dma_update_trans(&zdev, 0, START, END - START + 1, 0), 0);
	assert_int_equal(refreshed.calls, 2);
	assert_int_equal(count_tables(zdev.domain), 1);
	end();
}

static void callers_gfp(void **state)
{
	static const gfp_t gfps[] = {GFP_KERNEL, GFP_KERNEL_ACCOUNT, GFP_ATOMIC};

	begin();
	for (size_t i = 0; i < sizeof(gfps) / sizeof(gfps[0]); i++) {
		record_begin();
		assert_int_equal(s390_iommu_map_pages(&zdev, BASE, PADDR, 300, RW, gfps[i]), 0);
		assert_int_equal(recorded.nr_maps, 300);
		for (unsigned int call = 0; call < MOST_CALLS; call++)
			assert_int_equal(recorded.map[call].gfp, gfps[i]);
		model_set(&model, BASE, PADDR, 300, HW_READ | HW_WRITE);
		assert_walker_finds(zdev.domain, &model);
		assert_int_equal(s390_iommu_unmap_pages(&zdev, BASE, 400), PAGES(400));
		model_set(&model, BASE, 0, 300, 0);
		assert_walker_finds(zdev.domain, &model);
	}
	end();
}

/* The undo must leave the page alone that was in the way. */
static void page_in_the_way(void **state)
{
	begin();
	for (unsigned int at = 0; at < 12; at++) {
		uint64_t iova = BASE + PAGES(at);

		assert_int_equal(s390_iommu_map_pages(&zdev, iova, PADDR, 1, RW, GFP_KERNEL), 0);
		model_set(&model, iova, PADDR, 1, HW_READ | HW_WRITE);
		assert_int_equal(dma_update_trans(&zdev, PADDR, BASE, PAGES(12), RW), -EADDRINUSE);
		assert_walker_finds(zdev.domain, &model);
		assert_int_equal(s390_iommu_unmap_pages(&zdev, iova, 1), PAGE_SIZE);
		model_set(&model, iova, 0, 1, 0);
	}
	assert_int_equal(count_tables(zdev.domain), 1);
	end();
}

static void refresh_fails(void **state)
{
	begin();
	zdev.refresh = refresh;
	zdev.context = &refreshed;
	refreshed.error = -EIO;
	assert_int_equal(dma_update_trans(&zdev, PADDR, BASE, PAGES(12), RW), -EIO);
	assert_walker_finds(zdev.domain, &model);
	assert_int_equal(count_tables(zdev.domain), 1);
	end();
}

static void bad_ranges(void **state)
{
	static const struct {
		uint64_t iova, pages;
	} bad[] = {
		{START, 0},
		{START + 1, 1},
		{START - PAGES(1), 1},
		{START - PAGES(1), 2},
		{END + 1, 1},
		{END + 1 - PAGES(1), 2},
		{START, PAGES(4) + 1},
		{START, UINT64_MAX >> PAGE_SHIFT},
		{UINT64_MAX - PAGES(1) + 1, 2},
	};

	begin();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t iova = bad[i].iova, size = PAGES(bad[i].pages);

		assert_int_equal(dma_update_trans(&zdev, PADDR, iova, size, RW), -EINVAL);
		assert_int_equal(dma_update_trans(&zdev, PADDR, iova, size, 0), -EINVAL);
		assert_int_equal(
			s390_iommu_map_pages(&zdev, iova, PADDR, bad[i].pages, RW, GFP_KERNEL),
			-EINVAL);
		assert_int_equal(s390_iommu_unmap_pages(&zdev, iova, bad[i].pages), 0);
	}
	assert_int_equal(dma_update_trans(&zdev, -PAGES(1), BASE, PAGES(2), RW), -EINVAL);
	assert_int_equal(dma_update_trans(&zdev, PADDR, BASE, SIZE_MAX, RW), -EINVAL);
	assert_int_equal(dma_update_trans(&zdev, PADDR, BASE, PAGE_SIZE, IOMMU_CACHE), -EINVAL);
	assert_int_equal(s390_iommu_map_pages(&zdev, BASE, PADDR + 1, 1, RW, GFP_KERNEL), -EINVAL);
	assert_walker_finds(zdev.domain, &model);
	end();
}

static void random_ranges(void **state)
{
	uint64_t random = SEED;
	unsigned int refused = 0;

	begin();
	for (unsigned int round = 0; round < SCALED(3000); round++) {
		uint64_t iova = START + PAGES(random_below(&random, 1024));
		size_t count = 1 + random_below(&random, 64);
		uint64_t paddr = PAGES(1 + random_below(&random, 1 << 30));
		bool is_free = true;

		for (size_t i = 0; i < count; i++)
			is_free &= !model_page(&model, iova + PAGES(i))->access;
		if (random_below(&random, 2)) {
			assert_int_equal(dma_update_trans(&zdev, 0, iova, PAGES(count), 0), 0);
			model_set(&model, iova, 0, count, 0);
		} else {
			assert_int_equal(dma_update_trans(&zdev, paddr, iova, PAGES(count), RW),
					 is_free ? 0 : -EADDRINUSE);
			if (is_free)
				model_set(&model, iova, paddr, count, HW_READ | HW_WRITE);
			refused += !is_free;
		}
		if (round % 16 == 0)
			assert_walker_finds(zdev.domain, &model);
	}
	assert_true(refused > SCALED(100));
	end();
}

static int init_act(void)
{
	return zpci_dma_init_device(&zdev, GFP_KERNEL_ACCOUNT);
}

static void init_begin(void)
{
	zdev = (struct zpci_dev){.start_dma = START, .end_dma = END};
}

static void init_check(bool done)
{
	assert_int_equal(done, zdev.domain != NULL);
}

static int update_act(void)
{
	return dma_update_trans(&zdev, PADDR, BASE, PAGES(300), RW);
}

static int map_act(void)
{
	return s390_iommu_map_pages(&zdev, BASE, PADDR, 300, RW, GFP_KERNEL);
}

static void mapped_check(bool done)
{
	model_begin(&model, START);
	if (done)
		model_set(&model, BASE, PADDR, 300, HW_READ | HW_WRITE);
	assert_walker_finds(zdev.domain, &model);
}

/* The kernel's makes tables to find that there is nothing; here nothing can fail. */
static int unmap_act(void)
{
	uiommu_fail_nth(1, true);
	assert_int_equal(s390_iommu_unmap_pages(&zdev, START, 4096), PAGES(4096));
	assert_false(uiommu_fail_nth(0, false));
	return 0;
}

static struct iommu_domain *domain(void)
{
	return zdev.domain;
}

static void failures(void **state)
{
	static const struct failing all[] = {
		{"init", -ENOMEM, false, init_begin, init_act, init_check, NULL, end},
		{"update", -ENOMEM, false, begin, update_act, mapped_check, domain, end},
		{"map", -ENOMEM, false, begin, map_act, mapped_check, domain, end},
	};
	struct mem_cgroup *memcg;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		fail_each(&all[i]);
	memcg = enter_cgroup(NULL);
	begin();
	assert_int_equal(map_act(), 0);
	assert_int_equal(unmap_act(), 0);
	mapped_check(false);
	end();
	leave_cgroup(memcg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_cgroup(tables_come_sleepable), in_cgroup(dma_path),
		in_cgroup(callers_gfp),           in_cgroup(page_in_the_way),
		in_cgroup(refresh_fails),         in_cgroup(bad_ranges),
		in_cgroup(random_ranges),         cmocka_unit_test(failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
