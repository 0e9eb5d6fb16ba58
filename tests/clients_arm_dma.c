// SPDX-License-Identifier: MIT
/* The DMA API of 32-bit Arm: where in the window things go, and what is mapped. */
#include <pthread.h>

#include "tests/clients.h"

#include "tests/clients/arm_dma.h"
#include "tests/capture.h"

#define BASE   UINT64_C(0x80000000)
#define SPAN   PAGES(32768) /* of one bitmap */
#define SMALL  PAGES(1000)
#define SEED   0xa7adULL
#define BUFFER 64

static struct iommu_domain *domain;
static struct dma_iommu_mapping *mapping;
static struct page_model model;

static void begin_on(const char *format, uint64_t size)
{
	domain = domain_of(format);
	mapping = arm_iommu_create_mapping(domain, BASE, size);
	assert_false(IS_ERR(mapping));
	model_begin(&model, BASE);
}

static void begin(void)
{
	begin_on("vtd", SMALL);
}

static void end(void)
{
	arm_iommu_release_mapping(mapping);
	assert_int_equal(count_tables(domain), 1);
	iommu_domain_free(domain);
}

static void expect_pages(uint64_t iova, const phys_addr_t *pages, size_t count, unsigned int access)
{
	for (size_t i = 0; i < count; i++)
		model_set(&model, iova + PAGES(i), pages[i], 1, access);
}

/* A range's alignment as the kernel has it: of its size, up to 2^8 pages. */
static uint64_t align_of(size_t count)
{
	uint64_t align = 1;

	while (align < count && align < 256)
		align <<= 1;
	return PAGES(align);
}

/* The lowest free range, found by looking at each page of the model. */
static uint64_t first_fit(size_t count, size_t pages)
{
	for (uint64_t at = 0; at + count <= pages; at += align_of(count) >> PAGE_SHIFT) {
		size_t free_pages = 0;

		while (free_pages < count && !model.page[at + free_pages].access)
			free_pages++;
		if (free_pages == count)
			return BASE + PAGES(at);
	}
	return ARM_MAPPING_ERROR;
}

static void windows(void **state)
{
	static const struct {
		uint64_t base, size;
		int error;
	} bad[] = {
		{BASE, (UINT64_C(1) << 32) + 1, -ERANGE},
		{BASE, UINT64_MAX, -ERANGE},
		{BASE, 0, -EINVAL},
		{BASE, 100, -EINVAL},
		{BASE + 1, PAGES(1), -EINVAL},
		{0, PAGES(1), -EINVAL},
		{-PAGES(1), PAGES(2), -EINVAL},
	};

	domain = domain_of("vtd");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(
			PTR_ERR(arm_iommu_create_mapping(domain, bad[i].base, bad[i].size)),
			bad[i].error);
	iommu_domain_free(domain);
	begin_on("vtd", UINT64_C(1) << 32);
	end();
}

/* Pages that adjoin are mapped together. */
static void coalescing(void **state)
{
	static const phys_addr_t pages[] = {PAGES(5), PAGES(6), PAGES(7),  PAGES(9),
					    PAGES(8), PAGES(7), PAGES(100)};
	static const struct {
		uint64_t page, size;
	} calls[] = {{5, 3}, {9, 1}, {8, 1}, {7, 1}, {100, 1}};
	uint64_t iova, at;

	begin();
	record_begin();
	at = iova = arm_iommu_map_pages(mapping, pages, 7, RW);
	assert_int_equal(iova, BASE);
	assert_maps_recorded(5, GFP_KERNEL);
	for (unsigned int i = 0; i < 5; i++) {
		assert_int_equal(recorded.map[i].iova, at);
		assert_int_equal(recorded.map[i].paddr, PAGES(calls[i].page));
		assert_int_equal(recorded.map[i].size, PAGES(calls[i].size));
		assert_int_equal(recorded.map[i].prot, RW);
		at += PAGES(calls[i].size);
	}
	expect_pages(iova, pages, 7, HW_READ | HW_WRITE);
	assert_walker_finds(domain, &model);
	arm_iommu_unmap_pages(mapping, iova, 7);
	end();
}

/* The last page of all and the first do not adjoin. */
static void end_of_memory(void **state)
{
	static const phys_addr_t pages[] = {-PAGES(2), -PAGES(1), 0};

	begin_on("s390", SMALL); /* it has addresses of 64 bits */
	record_begin();
	assert_int_equal(arm_iommu_map_pages(mapping, pages, 3, RW), BASE);
	assert_maps_recorded(2, GFP_KERNEL);
	expect_pages(BASE, pages, 3, HW_READ | HW_WRITE);
	assert_walker_finds(domain, &model);
	arm_iommu_unmap_pages(mapping, BASE, 3);
	end();
}

static void single_pages(void **state)
{
	uint64_t a, b, c;

	begin();
	record_begin();
	a = arm_iommu_map_page(mapping, PAGES(3) + 0x123, 0x10, IOMMU_READ);
	b = arm_iommu_map_page(mapping, PAGES(3) + 0xfff, 2, IOMMU_WRITE);
	c = arm_iommu_map_resource(mapping, PAGES(77) + 8, PAGES(4), RW);
	assert_maps_recorded(3, GFP_KERNEL);
	assert_int_equal(recorded.map[1].prot, IOMMU_WRITE);
	assert_int_equal(recorded.map[2].prot, RW | IOMMU_MMIO);
	assert_int_equal(a, BASE + 0x123);
	assert_int_equal(b, BASE + PAGES(2) + 0xfff);
	assert_int_equal(c, BASE + PAGES(8) + 8);
	model_set(&model, BASE, PAGES(3), 1, HW_READ);
	model_set(&model, BASE + PAGES(2), PAGES(3), 2, HW_WRITE);
	model_set(&model, BASE + PAGES(8), PAGES(77), 5, HW_READ | HW_WRITE);
	assert_walker_finds(domain, &model);
	arm_iommu_unmap_page(mapping, b, 2);
	model_set(&model, BASE + PAGES(2), 0, 2, 0);
	assert_walker_finds(domain, &model);
	arm_iommu_unmap_page(mapping, a, 0x10);
	arm_iommu_unmap_page(mapping, c, PAGES(4));
	end();
}

/* AttrIndx, bits 4:2: device memory for registers, and nothing else. */
static void registers(void **state)
{
	uint64_t memory, resource;

	begin_on("arm64-s1", SMALL);
	record_begin();
	memory = arm_iommu_map_page(mapping, PAGES(3), PAGES(1), RW);
	resource = arm_iommu_map_resource(mapping, PAGES(4), PAGES(1), RW);
	assert_maps_recorded(2, GFP_KERNEL);
	assert_int_equal(leaf_item(domain, memory) >> 2 & 7, 0);
	assert_int_equal(leaf_item(domain, resource) >> 2 & 7, 2);
	arm_iommu_unmap_page(mapping, memory, PAGES(1));
	arm_iommu_unmap_page(mapping, resource, PAGES(1));
	end();
}

static void bad_requests(void **state)
{
	phys_addr_t page = PAGES(4);
	struct arm_dma_sg sg[] = {{PAGES(1), PAGES(1), 0, 0}, {PAGES(2), 0, 0, 0}};
	struct capture capture;
	uint64_t iova;

	begin();
	assert_int_equal(arm_iommu_map_pages(mapping, &page, 0, RW), ARM_MAPPING_ERROR);
	assert_int_equal(arm_iommu_map_pages(mapping, &page, SIZE_MAX, RW), ARM_MAPPING_ERROR);
	assert_int_equal(arm_iommu_map_pages(mapping, &page, 1, 0), ARM_MAPPING_ERROR);
	assert_int_equal(arm_iommu_map_page(mapping, page, 0, RW), ARM_MAPPING_ERROR);
	assert_int_equal(arm_iommu_map_page(mapping, page, SMALL + 1, RW), ARM_MAPPING_ERROR);
	assert_int_equal(arm_iommu_map_page(mapping, UINT64_MAX, 2, RW), ARM_MAPPING_ERROR);
	assert_int_equal(arm_iommu_map_page(mapping, 1, SIZE_MAX, RW), ARM_MAPPING_ERROR);
	assert_int_equal(arm_iommu_map_page(mapping, PAGES(1) - 1, SIZE_MAX - PAGES(1), RW),
			 ARM_MAPPING_ERROR);
	assert_int_equal(arm_iommu_map_page(mapping, UINT64_C(1) << 60, 1, RW), ARM_MAPPING_ERROR);
	assert_int_equal(arm_iommu_map_sg(mapping, sg, 0, 65536, RW), -EINVAL);
	assert_int_equal(arm_iommu_map_sg(mapping, sg, 2, 65536, RW), -EINVAL);
	assert_int_equal(arm_iommu_map_sg(mapping, sg, 1, 65536, IOMMU_CACHE), -EINVAL);
	sg[0].length = SMALL + 1;
	assert_int_equal(arm_iommu_map_sg(mapping, sg, 1, 65536, RW), -ENOMEM);
	sg[0].length = SIZE_MAX;
	assert_int_equal(arm_iommu_map_sg(mapping, sg, 1, SIZE_MAX, RW), -EINVAL);
	assert_walker_finds(domain, &model);
	assert_int_equal(iommu_map(domain, BASE, PAGES(9), PAGES(1), RW, GFP_KERNEL), 0);
	sg[0].length = PAGES(1);
	assert_int_equal(arm_iommu_map_sg(mapping, sg, 1, 65536, RW), -EINVAL); /* in the way */
	assert_int_equal(iommu_unmap(domain, BASE, PAGES(1)), PAGES(1));

	/* What was not given out is left alone, and said once. */
	iova = arm_iommu_map_page(mapping, page, PAGES(3), RW);
	model_set(&model, iova, page, 3, HW_READ | HW_WRITE);
	capture_begin(&capture);
	arm_iommu_unmap_page(mapping, iova, PAGES(4));
	arm_iommu_unmap_page(mapping, iova + PAGES(3), PAGES(1));
	arm_iommu_unmap_page(mapping, BASE - PAGES(1), PAGES(1));
	arm_iommu_unmap_page(mapping, BASE + SMALL, PAGES(1));
	arm_iommu_unmap_page(mapping, ARM_MAPPING_ERROR, 1);
	arm_iommu_unmap_page(mapping, 0, PAGES(1));
	arm_iommu_unmap_pages(mapping, iova, 0);
	assert_int_equal(capture_lines(capture_end(&capture)), 1);
	assert_non_null(strstr(capture.text, "no window has given out"));
	assert_walker_finds(domain, &model);
	arm_iommu_unmap_page(mapping, iova, PAGES(3));
	end();
}

/* A second and third bitmap, made as they are needed; the last is cut short. */
static void extensions(void **state)
{
	uint64_t iova[8], before;

	begin_on("vtd", 2 * SPAN + PAGES(1024));
	assert_int_equal(arm_iommu_map_page(mapping, 0, SPAN + 1, RW), ARM_MAPPING_ERROR);
	before = mem_cgroup_usage(mem_cgroup_active());
	for (unsigned int i = 0; i < 4; i++) {
		iova[i] = arm_iommu_map_page(mapping, PAGES(256 * i), SPAN / 2, RW);
		assert_int_equal(iova[i], BASE + i * SPAN / 2);
	}
	assert_true(mem_cgroup_usage(mem_cgroup_active()) > before);
	assert_int_equal(arm_iommu_map_page(mapping, 0, SPAN / 2, RW), ARM_MAPPING_ERROR);
	iova[4] = arm_iommu_map_page(mapping, 0, PAGES(1024), RW);
	assert_int_equal(iova[4], BASE + 2 * SPAN);
	assert_int_equal(arm_iommu_map_page(mapping, 0, 1, RW), ARM_MAPPING_ERROR);
	for (unsigned int i = 0; i < 4; i++)
		model_set(&model, iova[i], PAGES(256 * i), 16384, HW_READ | HW_WRITE);
	model_set(&model, iova[4], 0, 1024, HW_READ | HW_WRITE);
	assert_walker_finds(domain, &model);

	/* Free in the end of one and the start of the next is not free together. */
	arm_iommu_unmap_page(mapping, iova[1], SPAN / 2);
	arm_iommu_unmap_page(mapping, iova[2], SPAN / 2);
	assert_int_equal(arm_iommu_map_page(mapping, 0, SPAN, RW), ARM_MAPPING_ERROR);
	arm_iommu_unmap_page(mapping, iova[0], SPAN / 2);
	iova[0] = arm_iommu_map_page(mapping, 0, SPAN, RW);
	assert_int_equal(iova[0], BASE);
	arm_iommu_unmap_page(mapping, iova[0], SPAN);
	arm_iommu_unmap_page(mapping, iova[3], SPAN / 2);
	arm_iommu_unmap_page(mapping, iova[4], PAGES(1024));
	end();
}

#define LIVE 64

/* Buffers of scattered pages against first fit in the model. */
static void random_buffers(void **state)
{
	struct {
		uint64_t iova;
		size_t count;
	} live[LIVE] = {0};
	uint64_t random = SEED;
	unsigned int refused = 0;

	begin();
	for (unsigned int round = 0; round < SCALED(6000); round++) {
		size_t i = random_below(&random, LIVE);
		phys_addr_t pages[BUFFER];

		if (live[i].count) {
			arm_iommu_unmap_pages(mapping, live[i].iova, live[i].count);
			model_set(&model, live[i].iova, 0, live[i].count, 0);
			live[i].count = 0;
			continue;
		}
		live[i].count = 1 + random_below(&random, BUFFER);
		for (size_t k = 0; k < live[i].count; k++)
			pages[k] = PAGES(k && random_below(&random, 4)
						 ? (pages[k - 1] >> PAGE_SHIFT) + 1
						 : random_below(&random, 1 << 20));
		live[i].iova = arm_iommu_map_pages(mapping, pages, live[i].count, RW);
		assert_int_equal(live[i].iova, first_fit(live[i].count, SMALL >> PAGE_SHIFT));
		if (live[i].iova == ARM_MAPPING_ERROR) {
			live[i].count = 0;
			refused++;
			continue;
		}
		expect_pages(live[i].iova, pages, live[i].count, HW_READ | HW_WRITE);
		if (round % 16 == 0)
			assert_walker_finds(domain, &model);
	}
	assert_true(refused > SCALED(20));
	for (size_t i = 0; i < LIVE; i++)
		if (live[i].count)
			arm_iommu_unmap_pages(mapping, live[i].iova, live[i].count);
	end();
}

/* Where each byte of a list must be for the device, byte ranges of pieces in order. */
static void check_sg(const struct arm_dma_sg *sg, unsigned int nents, int ranges)
{
	uint64_t range = 0, done = 0;

	for (unsigned int i = 0; i < nents; i++) {
		uint64_t at = sg[range].dma_address + done;

		assert_true((int)range < ranges);
		assert_int_equal(at & 0xfff, sg[i].paddr & 0xfff);
		for (uint64_t k = 0; k < sg[i].length; k += PAGE_SIZE - ((at + k) & 0xfff))
			assert_int_equal(iommu_iova_to_phys(domain, at + k), sg[i].paddr + k);
		done += sg[i].length;
		assert_true(done <= sg[range].dma_length);
		if (done == sg[range].dma_length) {
			range++;
			done = 0;
		}
	}
	assert_int_equal(range, ranges);
	assert_int_equal(done, 0);
}

static void scatter_lists(void **state)
{
	struct arm_dma_sg sg[] = {
		{PAGES(10) + 0x200, 0xe00, 0, 0}, /* ends a page: joined with... */
		{PAGES(20), PAGES(2), 0, 0},      /* ...this, and that with... */
		{PAGES(22), 0x10, 0, 0},          /* ...this, which ends in the page */
		{PAGES(30), PAGES(1), 0, 0},
		{PAGES(31) + 4, 4, 0, 0}, /* begins in a page */
		{PAGES(40), PAGES(3), 0, 0},
		{PAGES(50), PAGES(1), 0, 0}, /* too much for one range of 12 KiB */
	};

	begin();
	record_begin();
	assert_int_equal(arm_iommu_map_sg(mapping, sg, 7, PAGES(3), RW), 6);
	assert_maps_recorded(7, GFP_KERNEL);
	assert_int_equal(sg[0].dma_address, BASE + 0x200);
	assert_int_equal(sg[0].dma_length, 0xe00 + PAGES(2));
	assert_int_equal(sg[1].dma_length, 0x10);
	assert_int_equal(sg[6].dma_length, 0);
	check_sg(sg, 7, 6);
	arm_iommu_unmap_sg(mapping, sg, 7);
	assert_int_equal(domain_info(domain).tables[0], 0);
	assert_int_equal(arm_iommu_map_sg(mapping, sg, 7, 65536, RW), 4);
	assert_int_equal(sg[0].dma_length, 0xe00 + PAGES(2) + 0x10);
	assert_int_equal(sg[3].dma_length, PAGES(4));
	assert_int_equal(sg[4].dma_length, 0);
	check_sg(sg, 7, 4);
	model_set(&model, BASE, PAGES(10), 1, HW_READ | HW_WRITE);
	model_set(&model, BASE + PAGES(1), PAGES(20), 3, HW_READ | HW_WRITE);
	model_set(&model, BASE + PAGES(4), PAGES(30), 1, HW_READ | HW_WRITE);
	model_set(&model, BASE + PAGES(5), PAGES(31), 1, HW_READ | HW_WRITE);
	model_set(&model, BASE + PAGES(8), PAGES(40), 3, HW_READ | HW_WRITE);
	model_set(&model, BASE + PAGES(11), PAGES(50), 1, HW_READ | HW_WRITE);
	assert_walker_finds(domain, &model);
	arm_iommu_unmap_sg(mapping, sg, 7);
	end();
}

static void random_lists(void **state)
{
	uint64_t random = SEED;

	begin();
	for (unsigned int round = 0; round < SCALED(5000); round++) {
		struct arm_dma_sg sg[24];
		unsigned int nents = 1 + (unsigned int)random_below(&random, 24);
		int ranges;

		for (unsigned int i = 0; i < nents; i++) {
			uint64_t from = random_below(&random, 3) ? 0 : random_below(&random, 4096);
			uint64_t to = random_below(&random, 3) ? 0 : random_below(&random, 4095);

			sg[i].paddr = PAGES(random_below(&random, 1 << 20)) + from;
			sg[i].length = PAGES(2 + random_below(&random, 4)) - from - to;
		}
		ranges = arm_iommu_map_sg(mapping, sg, nents, PAGES(16), RW);
		assert_true(ranges > 0);
		check_sg(sg, nents, ranges);
		for (unsigned int i = (unsigned int)ranges; i < nents; i++)
			assert_int_equal(sg[i].dma_length, 0);
		arm_iommu_unmap_sg(mapping, sg, nents);
		assert_int_equal(domain_info(domain).tables[0], 0);
	}
	/* All addresses are free again. */
	assert_int_equal(arm_iommu_map_page(mapping, 0, SMALL, RW), BASE);
	arm_iommu_unmap_page(mapping, BASE, SMALL);
	end();
}

/* Two threads never get the same address. */
static void *map_and_unmap(void *context)
{
	uint64_t paddr = (uintptr_t)context, random = paddr + SEED;

	for (unsigned int round = 0; round < SCALED(5000); round++) {
		size_t size = PAGES(1 + random_below(&random, 8));
		uint64_t iova = arm_iommu_map_page(mapping, paddr, size, RW);

		assert_true(iova != ARM_MAPPING_ERROR);
		assert_int_equal(iommu_iova_to_phys(domain, iova), paddr);
		assert_int_equal(iommu_iova_to_phys(domain, iova + size - 1), paddr + size - 1);
		arm_iommu_unmap_page(mapping, iova, size);
	}
	return NULL;
}

static void two_threads(void **state)
{
	pthread_t thread;

	begin();
	assert_int_equal(pthread_create(&thread, NULL, map_and_unmap, (void *)PAGES(100)), 0);
	map_and_unmap((void *)PAGES(500));
	pthread_join(thread, NULL);
	end();
}

static phys_addr_t scattered[600];
static struct arm_dma_sg list[3];
static uint64_t failing_iova;

static void fail_begin(void)
{
	begin_on("vtd", 2 * SPAN);
	for (unsigned int i = 0; i < 600; i++)
		scattered[i] = PAGES(3 * i);
	for (unsigned int i = 0; i < 3; i++)
		list[i] = (struct arm_dma_sg){PAGES(1000 * i) + 1, PAGES(600), 0, 0};
}

static void create_begin(void)
{
	domain = domain_of("vtd");
}

static int create_act(void)
{
	mapping = arm_iommu_create_mapping(domain, BASE, SMALL);
	return IS_ERR(mapping) ? (int)PTR_ERR(mapping) : 0;
}

static void create_check(bool done)
{
	assert_int_equal(done, !IS_ERR(mapping));
}

static int pages_act(void)
{
	failing_iova = arm_iommu_map_pages(mapping, scattered, 600, RW);
	return failing_iova == ARM_MAPPING_ERROR ? -ENOMEM : 0;
}

static void pages_check(bool done)
{
	if (done)
		assert_int_equal(failing_iova, BASE); /* no address was lost either */
	if (done)
		expect_pages(BASE, scattered, 600, HW_READ | HW_WRITE);
	assert_walker_finds(domain, &model);
}

static void pages_end(void)
{
	arm_iommu_unmap_pages(mapping, failing_iova, 600);
	end();
}

static int page_act(void)
{
	failing_iova = arm_iommu_map_page(mapping, PAGES(7) + 5, PAGES(600), RW);
	return failing_iova == ARM_MAPPING_ERROR ? -ENOMEM : 0;
}

static void page_check(bool done)
{
	if (done)
		assert_int_equal(failing_iova, BASE + 5);
	if (done)
		model_set(&model, BASE, PAGES(7), 601, HW_READ | HW_WRITE);
	assert_walker_finds(domain, &model);
}

static void page_end(void)
{
	arm_iommu_unmap_page(mapping, failing_iova, PAGES(600));
	end();
}

/* The first bitmap is full, so that the next one is needed. */
static void full_begin(void)
{
	fail_begin();
	assert_int_equal(arm_iommu_map_page(mapping, 0, SPAN, RW), BASE);
}

static void full_check(bool done)
{
	model_begin(&model, BASE);
	model_set(&model, BASE, 0, 32768, HW_READ | HW_WRITE);
	if (done)
		assert_int_equal(failing_iova, BASE + SPAN + 5);
	if (done)
		model_set(&model, BASE + SPAN, PAGES(7), 601, HW_READ | HW_WRITE);
	assert_walker_finds(domain, &model);
}

static void full_end(void)
{
	arm_iommu_unmap_page(mapping, BASE, SPAN);
	page_end();
}

static int list_act(void)
{
	int ret = arm_iommu_map_sg(mapping, list, 3, 65536, RW);

	return ret == 3 ? 0 : ret;
}

static void list_check(bool done)
{
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(list[i].dma_length, done ? PAGES(600) : 0);
		if (done)
			assert_int_equal(list[i].dma_address, BASE + PAGES(768 * i) + 1);
		if (done)
			model_set(&model, BASE + PAGES(768 * i), PAGES(1000 * i), 601, 3);
	}
	assert_walker_finds(domain, &model);
}

static void list_end(void)
{
	arm_iommu_unmap_sg(mapping, list, 3);
	end();
}

static struct iommu_domain *the_domain(void)
{
	return domain;
}

static void failures(void **state)
{
	static const struct failing all[] = {
		{"create", -ENOMEM, false, create_begin, create_act, create_check, NULL, end},
		{"pages", -ENOMEM, false, fail_begin, pages_act, pages_check, the_domain,
		 pages_end},
		{"page", -ENOMEM, false, fail_begin, page_act, page_check, the_domain, page_end},
		{"extend", -ENOMEM, true, full_begin, page_act, full_check, the_domain, full_end},
		{"list", -ENOMEM, false, fail_begin, list_act, list_check, the_domain, list_end},
	};
	struct mem_cgroup *memcg;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		fail_each(&all[i]);

	/* To unmap needs nothing. */
	memcg = enter_cgroup(NULL);
	fail_begin();
	assert_int_equal(pages_act(), 0);
	uiommu_fail_nth(1, true);
	pages_end();
	assert_false(uiommu_fail_nth(0, false));
	leave_cgroup(memcg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_cgroup(windows),      in_cgroup(coalescing),     in_cgroup(end_of_memory),
		in_cgroup(single_pages), in_cgroup(registers),      in_cgroup(bad_requests),
		in_cgroup(extensions),   in_cgroup(random_buffers), in_cgroup(scatter_lists),
		in_cgroup(random_lists), in_cgroup(two_threads),    cmocka_unit_test(failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
