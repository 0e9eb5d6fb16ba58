/* SPDX-License-Identifier: MIT */
/*
 * Memory that the library allocates for a device: where it lies, what is charged
 * for it, and which flags of the caller's gfp go where.
 */
#include <uiommu/mm.h>

#include "tests/capture.h"
#include "tests/dma.h"

#define ARENA       ((size_t)16 << 20)
#define POLICY      (__GFP_DMA | __GFP_DMA32 | __GFP_HIGHMEM | __GFP_COMP)
#define ARENA_PAGES (ARENA / PAGE_SIZE)

static const struct iommu_format *vtd(void)
{
	return iommu_format_find("vtd");
}

/* Pages that are charged for neither tables nor objects. */
static uint64_t buffer_bytes(struct mem_cgroup *memcg)
{
	return cgroup_stat(memcg, "kernel") - cgroup_stat(memcg, "slab") -
	       cgroup_stat(memcg, "sec_pagetables");
}

static bool is_zero(const unsigned char *memory, size_t bytes)
{
	while (bytes && !*memory) {
		memory++;
		bytes--;
	}
	return !bytes;
}

/* The CPU and the device see the same bytes. */
static void check_shared(struct rig *rig, unsigned char *cpu, uint64_t addr, size_t bytes)
{
	unsigned char *seen = malloc(bytes);

	for (size_t i = 0; i < bytes; i++)
		cpu[i] = (unsigned char)(i * 7 + i / 4096);
	assert_int_equal(rig_dma(rig, addr, seen, bytes, false), bytes);
	assert_memory_equal(seen, cpu, bytes);
	memset(seen, 0x5a, bytes);
	assert_int_equal(rig_dma(rig, addr, seen, bytes, true), bytes);
	assert_memory_equal(seen, cpu, bytes);
	free(seen);
}

static void contiguous_memory_is_shared(void **state)
{
	static const size_t sizes[] = {1, 4096, 4097, 20000, 65536};

	for_each_dma_format(format)
	{
		struct rig rig;

		rig_begin(&rig, format);
		for (unsigned int round = 0; round < 10; round++) {
			size_t size = sizes[round % 5];
			size_t whole = (size + rig.page - 1) & -rig.page;
			dma_addr_t addr;
			unsigned char *cpu;

			assert_int_equal(dma_set_coherent_mask(rig.dev, DMA_BIT_MASK(24)), 0);
			cpu = dma_alloc_attrs(rig.dev, size, &addr, GFP_KERNEL, 0);
			assert_non_null(cpu);
			assert_true(addr + whole <= 1 << 24);
			assert_true(is_zero(cpu, whole));
			check_shared(&rig, cpu, addr, whole);
			assert_false(rig_is_mapped(&rig, addr + whole));
			assert_true(buffer_bytes(rig.memcg) >= whole);
			dma_free_attrs(rig.dev, size, cpu, addr, 0);
			assert_false(rig_is_mapped(&rig, addr));
			assert_int_equal(buffer_bytes(rig.memcg), 0);
		}
		dma_free_attrs(rig.dev, 4096, NULL, 0, 0);
		rig_end(&rig);
	}
}

static void sizes_are_limited(void **state)
{
	dma_addr_t addr;
	struct rig rig;

	rig_prepare(&rig, vtd(), 0);
	assert_null(dma_alloc_attrs(rig.dev, 4096, &addr, GFP_KERNEL, 0));
	assert_null(dma_alloc_noncontiguous(rig.dev, 4096, DMA_TO_DEVICE, GFP_KERNEL, 0));
	assert_int_equal(iommu_setup_dma_ops(rig.dev, GFP_KERNEL), 0);
	assert_null(dma_alloc_attrs(rig.dev, 0, &addr, GFP_KERNEL, 0));
	assert_null(dma_alloc_attrs(rig.dev, 65537, &addr, GFP_KERNEL, 0));
	assert_null(dma_alloc_attrs(rig.dev, SIZE_MAX, &addr, GFP_KERNEL, 0));
	assert_null(dma_alloc_noncontiguous(rig.dev, 0, DMA_TO_DEVICE, GFP_KERNEL, 0));
	assert_null(dma_alloc_noncontiguous(rig.dev, SIZE_MAX, DMA_TO_DEVICE, GFP_KERNEL, 0));
	assert_null(dma_alloc_noncontiguous(rig.dev, 4096, DMA_NONE, GFP_KERNEL, 0));
	dma_free_noncontiguous(rig.dev, NULL);
	rig_end(&rig);
}

/* The pieces in order are what the device sees; each of them new, whole and zero. */
static void check_pieces(struct rig *rig, const struct sg_table *sgt, size_t size)
{
	uint64_t addr = sgt->dma_address;

	assert_int_equal(sgt->size, (size + rig->page - 1) & -rig->page);
	for (unsigned int i = 0; i < sgt->nents; i++) {
		size_t length = sgt->sgl[i].length;

		assert_int_equal(length % rig->page, 0);
		assert_true(is_zero(sg_virt(&sgt->sgl[i]), length));
		check_shared(rig, sg_virt(&sgt->sgl[i]), addr, length);
		addr += length;
		for (unsigned int j = 0; j < i; j++)
			assert_true(sgt->sgl[j].paddr + sgt->sgl[j].length <= sgt->sgl[i].paddr ||
				    sgt->sgl[j].paddr >= sgt->sgl[i].paddr + length);
	}
	assert_int_equal(addr, sgt->dma_address + sgt->size);
	assert_false(rig_is_mapped(rig, addr));
}

static void noncontiguous_memory_is_shared(void **state)
{
	static const size_t sizes[] = {1, 4096, 69632, 1000000};

	for_each_dma_format(format)
	{
		struct rig rig;

		rig_begin(&rig, format);
		for (unsigned int round = 0; round < 8; round++) {
			unsigned long attrs = round < 4 ? 0 : DMA_ATTR_ALLOC_SINGLE_PAGES;
			struct sg_table *sgt;

			sgt = dma_alloc_noncontiguous(rig.dev, sizes[round % 4], DMA_BIDIRECTIONAL,
						      GFP_KERNEL, attrs);
			assert_non_null(sgt);
			check_pieces(&rig, sgt, sizes[round % 4]);
			assert_int_equal(buffer_bytes(rig.memcg), sgt->size);
			dma_free_noncontiguous(rig.dev, sgt);
			assert_int_equal(buffer_bytes(rig.memcg), 0);
		}
		rig_end(&rig);
	}
}

/* The orders of the blocks of a table, from how their pages say it. */
static unsigned int count_blocks(const struct sg_table *sgt, unsigned int order)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < sgt->nents; i++) {
		uint64_t at = sgt->sgl[i].paddr, end = at + sgt->sgl[i].length;

		while (at < end) {
			const struct page *page = virt_to_page(phys_to_virt(at));

			count += page->order == order;
			at += PAGE_SIZE << page->order;
		}
	}
	return count;
}

/* A block that cannot be had makes way for smaller ones, from there on. */
static void large_blocks_come_first(void **state)
{
	struct rig rig;

	rig_begin(&rig, vtd());
	for (unsigned int failing = 0; failing <= 4; failing++) {
		struct sg_table *sgt;

		uiommu_fail_nth(failing, false);
		sgt = dma_alloc_noncontiguous(rig.dev, 35 * 4096, DMA_BIDIRECTIONAL, GFP_KERNEL, 0);
		assert_int_equal(uiommu_fail_nth(0, false), failing != 0);
		if (failing <= 2) {
			/* All of the largest; none or one, then the next smaller. */
			assert_non_null(sgt);
			assert_int_equal(count_blocks(sgt, 4), failing ? failing - 1 : 2);
			assert_int_equal(count_blocks(sgt, 3), failing ? 6 - 2 * failing : 0);
			assert_int_equal(count_blocks(sgt, 1), 1);
			assert_int_equal(count_blocks(sgt, 0), 1);
			check_pieces(&rig, sgt, 35 * 4096);
		}
		dma_free_noncontiguous(rig.dev, sgt);
	}
	rig_end(&rig);
}

/* Every other page of the arena is in use: no two that adjoin are free. */
static void scarce_memory_is_used_page_by_page(void **state)
{
	static struct page *taken[ARENA_PAGES];
	struct sg_table *sgt;
	unsigned int count = 0;
	dma_addr_t addr;
	struct rig rig;

	rig_begin(&rig, vtd());
	while ((taken[count] = alloc_pages(GFP_KERNEL, 0, NULL, PAGE_OTHER)))
		count++;
	for (unsigned int i = 0; i < count; i++)
		if (page_index(taken[i]) % 2)
			free_pages(taken[i]);
	assert_null(dma_alloc_attrs(rig.dev, 8192, &addr, GFP_KERNEL, 0));
	sgt = dma_alloc_noncontiguous(rig.dev, 100 * 4096, DMA_BIDIRECTIONAL, GFP_KERNEL, 0);
	assert_non_null(sgt);
	assert_int_equal(sgt->nents, 100);
	check_pieces(&rig, sgt, 100 * 4096);
	dma_free_noncontiguous(rig.dev, sgt);
	/* More than there is. */
	assert_null(dma_alloc_noncontiguous(rig.dev, ARENA, DMA_TO_DEVICE, GFP_KERNEL, 0));
	assert_int_equal(buffer_bytes(rig.memcg), 0);
	for (unsigned int i = 0; i < count; i++)
		if (!(page_index(taken[i]) % 2))
			free_pages(taken[i]);
	rig_end(&rig);
}

/* Where memory comes from is a matter of the buffer: iommu_map() would refuse it. */
static void policy_stays_with_the_buffer(void **state)
{
	struct capture capture;
	struct sg_table *sgt;
	dma_addr_t addr;
	struct rig rig;
	void *cpu;

	rig_begin(&rig, vtd());
	capture_begin(&capture);
	cpu = dma_alloc_attrs(rig.dev, 4096, &addr, GFP_KERNEL_ACCOUNT | POLICY, 0);
	sgt = dma_alloc_noncontiguous(rig.dev, 9 * 4096, DMA_TO_DEVICE, GFP_KERNEL | POLICY, 0);
	assert_string_equal(capture_end(&capture), "");
	assert_non_null(cpu);
	assert_non_null(sgt);
	dma_free_attrs(rig.dev, 4096, cpu, addr, 0);
	dma_free_noncontiguous(rig.dev, sgt);
	rig_end(&rig);
}

static unsigned int scans;

static unsigned long some_objects(struct shrinker *shrinker)
{
	return 1;
}

static unsigned long count_scan(struct shrinker *shrinker, unsigned long nr)
{
	scans++;
	return 0;
}

/* Whether shrinkers run when the budget has room for @bytes: that is, who may block. */
static unsigned int scans_of(struct rig *rig, gfp_t gfp, uint64_t bytes)
{
	uint64_t usage = (mem_cgroup_usage(rig->memcg) + 4095) & ~4095ULL;
	struct sg_table *sgt;
	dma_addr_t addr;
	void *cpu;

	cgroup_limit(rig->memcg, usage + bytes);
	scans = 0;
	cpu = dma_alloc_attrs(rig->dev, 65536, &addr, gfp, 0);
	assert_null(cpu);
	sgt = dma_alloc_noncontiguous(rig->dev, 1 << 20, DMA_TO_DEVICE, gfp, 0);
	assert_null(sgt);
	cgroup_limit(rig->memcg, ~0ULL);
	return scans;
}

/* Wherever in the call the budget ends: in the buffer, the list, the addresses, the tables. */
static void who_may_not_block_does_not(void **state)
{
	static struct shrinker shrinker = {.count_objects = some_objects,
					   .scan_objects = count_scan};
	struct capture capture;
	struct rig rig;

	rig_begin(&rig, vtd());
	register_shrinker(&shrinker);
	capture_begin(&capture);
	iommu_atomic_enter();
	for (uint64_t room = 0; room <= 64; room += 4) {
		assert_int_equal(scans_of(&rig, GFP_NOWAIT, room * 1024), 0);
		assert_int_equal(scans_of(&rig, GFP_ATOMIC | __GFP_NOWARN, room * 1024), 0);
	}
	iommu_atomic_exit();
	assert_string_equal(capture_end(&capture), "");
	assert_int_not_equal(scans_of(&rig, GFP_KERNEL, 0), 0);
	capture_begin(&capture);
	iommu_atomic_enter();
	dma_free_noncontiguous(
		rig.dev, dma_alloc_noncontiguous(rig.dev, 4096, DMA_TO_DEVICE, GFP_KERNEL, 0));
	iommu_atomic_exit();
	assert_non_null(strstr(capture_end(&capture), "blocking gfp inside an atomic section"));
	unregister_shrinker(&shrinker);
	rig_end(&rig);
}

/* A domain without an owner charges what the gfp says; one with, its owner. */
static void charges_reach_whom_they_should(void **state)
{
	struct mem_cgroup *other = mem_cgroup_create(NULL), *memcg;
	struct iommu_domain *ownerless;
	struct sg_table *sgt;
	dma_addr_t addr;
	struct rig rig;

	rig_prepare(&rig, vtd(), 0);
	mem_cgroup_set_active(other);
	assert_int_equal(iommu_setup_dma_ops(rig.dev, GFP_KERNEL_ACCOUNT), 0);
	assert_int_equal(iommu_dma_init_fq(rig.domain, GFP_KERNEL_ACCOUNT), 0);
	assert_int_equal(iommu_dma_prepare_msi(rig.dev, 0xfee00000, &addr), 0);
	assert_ptr_equal(mem_cgroup_active(), other);
	sgt = dma_alloc_noncontiguous(rig.dev, 1 << 20, DMA_TO_DEVICE, GFP_KERNEL_ACCOUNT, 0);
	assert_int_equal(mem_cgroup_usage(other), 0);
	assert_int_equal(buffer_bytes(rig.memcg), 1 << 20);
	dma_free_noncontiguous(rig.dev, sgt);
	memcg = rig.memcg;

	ownerless = alloc_domain(&(struct shape){vtd(), 0}, IOMMU_DOMAIN_DMA, GFP_KERNEL);
	assert_int_equal(iommu_group_set_default_domain(rig.group, ownerless), 0);
	assert_int_equal(iommu_setup_dma_ops(rig.dev, GFP_KERNEL), 0);
	sgt = dma_alloc_noncontiguous(rig.dev, 1 << 20, DMA_TO_DEVICE, GFP_KERNEL, 0);
	assert_int_equal(mem_cgroup_usage(other), 0);
	dma_free_noncontiguous(rig.dev, sgt);
	sgt = dma_alloc_noncontiguous(rig.dev, 1 << 20, DMA_TO_DEVICE, GFP_KERNEL_ACCOUNT, 0);
	assert_int_equal(buffer_bytes(other), 1 << 20);
	assert_true(cgroup_stat(other, "sec_pagetables") >= 4096);
	assert_true(cgroup_stat(other, "slab") >= sgt->nents * sizeof(struct iommu_sg));
	dma_free_noncontiguous(rig.dev, sgt);
	assert_int_equal(iommu_group_set_default_domain(rig.group, NULL), 0);
	iommu_domain_free(ownerless);
	assert_cgroup_empty(other);
	mem_cgroup_set_active(memcg);
	mem_cgroup_put(other);
	rig_end(&rig);
}

int main(void)
{
	const struct uiommu_config config = {
		.arena_bytes = ARENA, .atomic_reserve = 64, .phys_base = UIOMMU_PHYS_IS_VIRT};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(contiguous_memory_is_shared),
		cmocka_unit_test(sizes_are_limited),
		cmocka_unit_test(noncontiguous_memory_is_shared),
		cmocka_unit_test(large_blocks_come_first),
		cmocka_unit_test(scarce_memory_is_used_page_by_page),
		cmocka_unit_test(policy_stays_with_the_buffer),
		cmocka_unit_test(who_may_not_block_does_not),
		cmocka_unit_test(charges_reach_whom_they_should),
	};

	if (uiommu_init(&config))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
