// SPDX-License-Identifier: MIT
/*
 * Which gfp reaches the core from each of its callers, and the allocators from the
 * core: recorded on the way (the linker's --wrap). The callers in tests/clients/ have
 * tests of their own that do the same.
 */
#include "tests/iommufd_rig.h"

#include "tests/atomic_calls.h"

#include "mm/gfp.h"
#include "mm/page.h"
#include "mm/slab.h"

/* What was seen since record_begin(), flags that say nothing about blocking apart. */
static struct {
	bool on;
	unsigned int maps, tables, objects, buffers, mixed;
	gfp_t map, table, object, buffer;
} seen;

static void record_begin(void)
{
	memset(&seen, 0, sizeof(seen));
	seen.on = true;
}

static void record(unsigned int *count, gfp_t *last, gfp_t gfp)
{
	if (!seen.on)
		return;
	seen.mixed += *count && *last != gfp;
	*last = gfp;
	(*count)++;
}

int __real_iommu_map(struct iommu_domain *domain, dma_addr_t iova, phys_addr_t paddr, size_t size,
		     int prot, gfp_t gfp);
int __wrap_iommu_map(struct iommu_domain *domain, dma_addr_t iova, phys_addr_t paddr, size_t size,
		     int prot, gfp_t gfp);
ssize_t __real_iommu_map_sg(struct iommu_domain *domain, dma_addr_t iova, const struct iommu_sg *sg,
			    unsigned int nents, int prot, gfp_t gfp);
ssize_t __wrap_iommu_map_sg(struct iommu_domain *domain, dma_addr_t iova, const struct iommu_sg *sg,
			    unsigned int nents, int prot, gfp_t gfp);
struct page *__real_alloc_pages(gfp_t gfp, unsigned int order, struct mem_cgroup *memcg,
				enum page_use use);
struct page *__wrap_alloc_pages(gfp_t gfp, unsigned int order, struct mem_cgroup *memcg,
				enum page_use use);
struct page *__real_alloc_table_object(unsigned int size_lg2, gfp_t gfp, struct mem_cgroup *memcg);
struct page *__wrap_alloc_table_object(unsigned int size_lg2, gfp_t gfp, struct mem_cgroup *memcg);
void *__real_kmalloc(size_t size, gfp_t gfp, struct mem_cgroup *memcg);
void *__wrap_kmalloc(size_t size, gfp_t gfp, struct mem_cgroup *memcg);
void *__real_kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp, struct mem_cgroup *memcg);
void *__wrap_kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp, struct mem_cgroup *memcg);

int __wrap_iommu_map(struct iommu_domain *domain, dma_addr_t iova, phys_addr_t paddr, size_t size,
		     int prot, gfp_t gfp)
{
	record(&seen.maps, &seen.map, gfp);
	return __real_iommu_map(domain, iova, paddr, size, prot, gfp);
}

ssize_t __wrap_iommu_map_sg(struct iommu_domain *domain, dma_addr_t iova, const struct iommu_sg *sg,
			    unsigned int nents, int prot, gfp_t gfp)
{
	record(&seen.maps, &seen.map, gfp);
	return __real_iommu_map_sg(domain, iova, sg, nents, prot, gfp);
}

struct page *__wrap_alloc_pages(gfp_t gfp, unsigned int order, struct mem_cgroup *memcg,
				enum page_use use)
{
	if (use == PAGE_TABLE)
		record(&seen.tables, &seen.table, gfp & ~__GFP_ZERO);
	if (use == PAGE_OTHER || use == PAGE_BOUNCE)
		record(&seen.buffers, &seen.buffer, gfp & ~(__GFP_ZERO | __GFP_NORETRY));
	return __real_alloc_pages(gfp, order, memcg, use);
}

struct page *__wrap_alloc_table_object(unsigned int size_lg2, gfp_t gfp, struct mem_cgroup *memcg)
{
	record(&seen.tables, &seen.table, gfp & ~__GFP_ZERO);
	return __real_alloc_table_object(size_lg2, gfp, memcg);
}

static void record_object(gfp_t gfp)
{
	record(&seen.objects, &seen.object, gfp & ~(__GFP_ZERO | __GFP_NORETRY | __GFP_NOWARN));
}

void *__wrap_kmalloc(size_t size, gfp_t gfp, struct mem_cgroup *memcg)
{
	record_object(gfp);
	return __real_kmalloc(size, gfp, memcg);
}

void *__wrap_kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp, struct mem_cgroup *memcg)
{
	record_object(gfp);
	return __real_kmem_cache_alloc(cache, gfp, memcg);
}

/* ---- what reaches the tables ---- */

static const gfp_t gfps[] = {GFP_KERNEL, GFP_KERNEL_ACCOUNT, GFP_ATOMIC, GFP_NOWAIT | __GFP_NOWARN,
			     GFP_KERNEL | __GFP_NORETRY};

/* Top table and all below it, as they come by iommu_map(), iommu_map_sg() and a split. */
static void tables_take_the_callers_gfp(void **state)
{
	for (const struct iommu_format *f = NULL; (f = iommu_format_next(f));) {
		for (size_t i = 0; i < ARRAY_SIZE(gfps); i++) {
			uint64_t span = lowest_table_span(f), page = smallest_page(f);
			struct iommu_sg sg[] = {{page, page}, {5 * page, page}};
			struct iommu_domain *domain;

			record_begin();
			domain = alloc_domain(&(struct shape){f, 0}, IOMMU_DOMAIN_UNMANAGED,
					      gfps[i]);
			assert_false(IS_ERR(domain));
			assert_int_equal(seen.tables, 1);
			iommu_map(domain, span, 0, page, RW, gfps[i]);
			iommu_map_sg(domain, 2 * span, sg, 2, RW, gfps[i]);
			iommu_map(domain, 4 * span, 4 * span, span, RW, gfps[i]);
			iommu_split_mapping(domain, 4 * span + page, page, gfps[i]);
			seen.on = false;
			assert_true(seen.tables >= 3);
			assert_int_equal(seen.table, gfps[i]);
			assert_int_equal(seen.mixed, 0);
			iommu_domain_free(domain);
		}
	}
}

static void pasid_tables_take_the_callers_gfp(void **state)
{
	static const char *const formats[] = {"vtd", "arm64-s1", "x86_64"};

	for (size_t i = 0; i < ARRAY_SIZE(formats) * ARRAY_SIZE(gfps); i++) {
		gfp_t gfp = gfps[i % ARRAY_SIZE(gfps)];
		unsigned int layout = (unsigned int)(i / ARRAY_SIZE(gfps));
		const struct iommu_pasid_params params = {.layout = layout, .pasid_bits = 20};
		const struct shape shape = {iommu_format_find(formats[layout]), 0};
		struct iommu_domain *domain =
			alloc_domain(&shape, IOMMU_DOMAIN_UNMANAGED, GFP_KERNEL);
		struct iommu_pasid_table *table;

		assert_false(IS_ERR(domain));
		record_begin();
		table = iommu_pasid_table_alloc(&params, gfp);
		assert_false(IS_ERR(table));
		assert_int_equal(seen.tables, 1);
		assert_int_equal(iommu_pasid_set(table, 5, domain, NULL, 1, gfp), 0);
		seen.on = false;
		assert_true(seen.tables >= 2);
		assert_int_equal(seen.table, gfp);
		assert_int_equal(seen.mixed, 0);
		iommu_pasid_table_free(table);
		iommu_domain_free(domain);
	}
}

static void unmap_all(struct iommu_domain *domain, uint64_t span, uint64_t page)
{
	assert_int_equal(iommu_unmap(domain, 2 * page, page), page);
	assert_int_equal(iommu_unmap(domain, 0, 2 * page), 2 * page);
	assert_int_equal(iommu_unmap(domain, 4 * span, span), span);
	/* A part of what may be one entry: that, or all of it. */
	assert_true(iommu_unmap(domain, 8 * span + page, page) >= page);
	iommu_unmap(domain, 8 * span, page);
	iommu_unmap(domain, 8 * span + 2 * page, span - 2 * page);
	assert_int_equal(count_tables(domain), 1);
}

/* Unmapping, looking up and freeing need nothing that could be missing. */
static void ways_back_allocate_nothing(void **state)
{
	for (const struct iommu_format *f = NULL; (f = iommu_format_next(f));) {
		uint64_t span = lowest_table_span(f), page = smallest_page(f);
		struct iommu_domain *domain = new_domain(&(struct shape){f, 0});

		assert_int_equal(iommu_map(domain, 0, 0, 3 * page, RW, GFP_KERNEL), 0);
		assert_int_equal(iommu_map(domain, 4 * span, 4 * span, span, RW, GFP_KERNEL), 0);
		assert_int_equal(iommu_map(domain, 8 * span, 8 * span, span, RW, GFP_KERNEL), 0);
		record_begin();
		assert_int_equal(iommu_iova_to_phys(domain, page + 1), page + 1);
		unmap_all(domain, span, page);
		iommu_domain_free(domain);
		seen.on = false;
		assert_int_equal(seen.tables + seen.objects + seen.buffers, 0);
	}
}

/* ---- the DMA API ---- */

static void dma_maps_atomically(void **state)
{
	struct caller c;
	struct stage s;

	stage_begin(&s, iommu_format_find("vtd"));
	c = (struct caller){&s, 0, GFP_KERNEL};
	record_begin();
	assert_true(call_dma_map_page(&c) && call_dma_map_sg(&c) && call_dma_resource(&c) &&
		    call_dma_bounced(&c));
	seen.on = false;
	assert_true(seen.maps >= 5 && seen.tables && seen.buffers);
	assert_int_equal(seen.mixed, 0);
	assert_int_equal(seen.map, GFP_ATOMIC);
	assert_int_equal(seen.table, GFP_ATOMIC);
	assert_int_equal(seen.buffer, GFP_ATOMIC);
	stage_end(&s);
}

/* The buffer has all of the caller's flags, all else those that are not about a buffer. */
static void dma_allocates_as_told(void **state)
{
	struct stage s;

	stage_begin(&s, iommu_format_find("vtd"));
	for (size_t i = 0; i < ARRAY_SIZE(gfps); i++) {
		gfp_t gfp = gfps[i] & ~__GFP_NORETRY;
		struct sg_table *sgt;
		dma_addr_t addr;
		void *cpu;

		record_begin();
		sgt = dma_alloc_noncontiguous(s.dev, 5 * 4096, DMA_BIDIRECTIONAL, gfp | __GFP_DMA32,
					      0);
		cpu = dma_alloc_attrs(s.dev, 4096, &addr, gfp | __GFP_DMA32, 0);
		seen.on = false;
		assert_true(sgt && cpu);
		assert_int_equal(seen.maps, 2);
		assert_int_equal(seen.map, gfp);
		assert_int_equal(seen.table, gfp);
		assert_int_equal(seen.buffer, gfp | __GFP_DMA32);
		assert_int_equal(seen.object & (GFP_POLICY_MASK | __GFP_RECLAIM | __GFP_HIGH),
				 gfp & (__GFP_RECLAIM | __GFP_HIGH));
		dma_free_noncontiguous(s.dev, sgt);
		dma_free_attrs(s.dev, 4096, cpu, addr, 0);
	}
	stage_end(&s);
}

static void interrupts_may_sleep(void **state)
{
	dma_addr_t iova;
	struct stage s;

	stage_begin(&s, iommu_format_find("vtd"));
	record_begin();
	assert_int_equal(iommu_dma_prepare_msi(s.dev, 0xfee00000, &iova), 0);
	seen.on = false;
	assert_int_equal(seen.maps, 1);
	assert_int_equal(seen.map, GFP_KERNEL);
	assert_true(seen.objects && gfpflags_allow_blocking(seen.object));
	stage_end(&s);
}

/* ---- direct mappings ---- */

static void direct_mappings_may_sleep(void **state)
{
	struct mem_cgroup *memcg = enter_cgroup(NULL);
	struct iommu_domain *domain = plain_domain(IOMMU_DOMAIN_DMA);
	struct hardware hw = {0};
	struct iommu_device *dev;
	struct iommu_group *group;

	add_region(&hw, 0x400000, 0x200000, RW, IOMMU_RESV_DIRECT);
	add_region(&hw, 0x8000, 0x2000, RW, IOMMU_RESV_DIRECT_RELAXABLE);
	dev = new_device(&hw, NULL);
	group = iommu_group_get(dev);
	record_begin();
	assert_int_equal(iommu_group_set_default_domain(group, domain), 0);
	seen.on = false;
	assert_int_equal(seen.maps, 2);
	assert_int_equal(seen.map, GFP_KERNEL);
	assert_int_equal(seen.table, GFP_KERNEL);
	assert_int_equal(seen.mixed, 0);
	iommu_device_unregister(dev);
	iommu_group_put(group);
	iommu_domain_free(domain);
	leave_cgroup(memcg);
}

/* ---- iommufd, and type1 on top of it ---- */

static int vfio_map(struct rig *rig, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)rig->memory,
		.iova = iova,
		.size = size,
	};

	return rig_ioctl(rig, VFIO_IOMMU_MAP_DMA, &map);
}

/* Page by page and in runs; the domain, and what is mapped before it has one. */
static void iommufd_charges(void **state)
{
	static const enum iommufd_phys_mode modes[] = {IOMMUFD_PHYS_IDENTITY,
						       IOMMUFD_PHYS_SCATTERED};

	/* QEMU's user mode has not all that iommufd asks of a kernel. */
	if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
		return; /* cmocka would count a skip as a failure */
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct iommu_vfio_ioas choice = {.size = sizeof(choice), .op = IOMMU_VFIO_IOAS_SET};
		struct rig rig;
		uint32_t pt;

		rig_begin(&rig, modes[i]);
		choice.ioas_id = pt = rig.ioas;
		record_begin();
		assert_int_equal(rig_map(&rig, HUGE, 0, HUGE), 0);
		assert_int_equal(seen.maps, 0);
		assert_int_equal(iommufd_device_attach(rig.idev, &pt), 0);
		assert_int_equal(rig_map(&rig, 3 * HUGE, PAGE, 7 * PAGE), 0);
		assert_int_equal(rig_ioctl(&rig, IOMMU_VFIO_IOAS, &choice), 0);
		assert_int_equal(vfio_map(&rig, 5 * HUGE, HUGE), 0);
		seen.on = false;
		assert_true(seen.maps >= 3 && seen.tables >= 3 && seen.objects);
		assert_int_equal(seen.map, GFP_KERNEL_ACCOUNT);
		assert_int_equal(seen.table, GFP_KERNEL_ACCOUNT);
		assert_true(gfpflags_allow_blocking(seen.object));
		iommufd_device_detach(rig.idev);
		rig_end(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_take_the_callers_gfp),
		cmocka_unit_test(pasid_tables_take_the_callers_gfp),
		cmocka_unit_test(ways_back_allocate_nothing),
		cmocka_unit_test(dma_maps_atomically),
		cmocka_unit_test(dma_allocates_as_told),
		cmocka_unit_test(interrupts_may_sleep),
		cmocka_unit_test(direct_mappings_may_sleep),
		cmocka_unit_test(iommufd_charges),
	};

	return cmocka_run_group_tests_name("gfp_sites", tests, NULL, NULL);
}
