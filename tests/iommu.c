/* SPDX-License-Identifier: MIT */
/*
 * What include/uiommu/iommu.h promises of single calls: refusals, results,
 * flushes, owners. Random sequences are in iommu_model.c.
 */
#include "tests/capture.h"
#include "tests/geometry.h"

static void alloc_refuses(void **state)
{
	const struct iommu_format *format = iommu_format_next(NULL);
	struct iommu_domain_params good = {.format = format->name};
	struct {
		struct iommu_domain_params params;
		gfp_t gfp;
	} bad[] = {
		{{.format = "no-such-format"}, GFP_KERNEL},
		{{.format = NULL}, GFP_KERNEL},
		{{.type = (enum iommu_domain_type)77, .format = format->name}, GFP_KERNEL},
		{{.format = format->name, .address_width = 1}, GFP_KERNEL},
		{{.format = format->name, .address_width = format->width_max + 1}, GFP_KERNEL},
		{{.format = format->name, .pgsizes = 1}, GFP_KERNEL},
		{{.format = format->name, .pgsizes = format->pgsizes & (format->pgsizes - 1)},
		 GFP_KERNEL},
		{good, GFP_KERNEL | __GFP_COMP},
		{good, GFP_KERNEL | __GFP_DMA},
		{good, GFP_ATOMIC | __GFP_DMA32},
		{good, GFP_KERNEL_ACCOUNT | __GFP_HIGHMEM},
	};
	struct mem_cgroup *memcg = enter_cgroup(NULL);
	struct capture capture;

	capture_begin(&capture);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct iommu_domain *domain = iommu_domain_alloc(&bad[i].params, bad[i].gfp);

		assert_true(IS_ERR(domain));
		assert_int_equal(PTR_ERR(domain), -EINVAL);
	}
	/* The four flags are reported, but not each time. */
	assert_int_equal(capture_lines(capture_end(&capture)), 1);
	leave_cgroup(memcg);
}

static void alloc_fails_at_the_limit(void **state)
{
	struct shape shapes[MAX_SHAPES];
	unsigned int count = list_shapes(shapes);

	for (unsigned int i = 0; i < count; i++) {
		struct mem_cgroup *memcg = enter_cgroup(NULL);
		uint64_t need;
		struct iommu_domain *domain = new_domain(&shapes[i]);

		need = mem_cgroup_usage(memcg);
		assert_true(need > geometry_of(&shapes[i])->top);
		iommu_domain_free(domain);
		/* The limit counts in whole pages. */
		cgroup_limit(memcg, need - 1);
		domain = alloc_domain(&shapes[i], IOMMU_DOMAIN_DMA, GFP_KERNEL_ACCOUNT);
		assert_true(IS_ERR(domain));
		assert_int_equal(PTR_ERR(domain), -ENOMEM);
		assert_cgroup_empty(memcg);
		cgroup_limit(memcg, need + 4096);
		domain = new_domain(&shapes[i]);
		iommu_domain_free(domain);
		leave_cgroup(memcg);
	}
}

static void map_refuses(struct fixture *f)
{
	uint64_t page = f->page, last = domain_info(f->domain).aperture_last;
	struct iommu_domain *domain = f->domain;
	struct capture capture;

	assert_int_equal(iommu_map(domain, page + 1, 0, page, RW, GFP_KERNEL), -EINVAL);
	assert_int_equal(iommu_map(domain, page, page / 2, page, RW, GFP_KERNEL), -EINVAL);
	assert_int_equal(iommu_map(domain, page, page, page - 1, RW, GFP_KERNEL), -EINVAL);
	assert_int_equal(iommu_map(domain, page, page, 0, RW, GFP_KERNEL), -EINVAL);
	assert_int_equal(iommu_map(domain, -page, page, 2 * page, RW, GFP_KERNEL), -EINVAL);
	assert_int_equal(iommu_map(domain, page, -page, 2 * page, RW, GFP_KERNEL), -EINVAL);
	assert_int_equal(iommu_map(domain, page, page, page, 0, GFP_KERNEL), -EINVAL);
	assert_int_equal(iommu_map(domain, page, page, page, IOMMU_CACHE, GFP_KERNEL), -EINVAL);
	capture_begin(&capture);
	for (int bit = 0; bit < 4; bit++)
		assert_int_equal(iommu_map(domain, page, page, page, RW, GFP_KERNEL | 1u << bit),
				 -EINVAL);
	assert_true(capture_lines(capture_end(&capture)) <= 1);
	if (last + 1) {
		assert_int_equal(iommu_map(domain, last + 1, page, page, RW, GFP_KERNEL), -ERANGE);
		assert_int_equal(iommu_map(domain, last + 1 - page, page, 2 * page, RW, GFP_KERNEL),
				 -ERANGE);
	}
	assert_int_equal(count_tables(domain), 1);
	assert_int_equal(iommu_map(domain, last + 1 - page, page, page, RW, GFP_KERNEL), 0);
	assert_int_equal(iommu_map(domain, last + 1 - page, page, page, RW, GFP_KERNEL),
			 -EADDRINUSE);
	assert_int_equal(iommu_iova_to_phys(domain, last), 2 * page - 1);
	assert_int_equal(iommu_unmap(domain, last + 1 - page, page), page);
	assert_int_equal(count_tables(domain), 1);
}

static void map_refusals(void **state)
{
	for_each_shape(map_refuses);
}

static void map_is_all_or_nothing(struct fixture *f)
{
	uint64_t page = f->page, mapped = 40 * page;
	uint64_t usage;

	assert_int_equal(iommu_map(f->domain, mapped, 7 * page, page, IOMMU_READ, GFP_KERNEL), 0);
	usage = mem_cgroup_usage(f->memcg);
	for (uint64_t iova = mapped - 20 * page; iova <= mapped; iova += page) {
		assert_int_equal(
			iommu_map(f->domain, iova, iova, mapped + page - iova, RW, GFP_KERNEL),
			-EADDRINUSE);
		if (iova < mapped)
			assert_int_equal(iommu_iova_to_phys(f->domain, iova), 0);
	}
	assert_int_equal(iommu_iova_to_phys(f->domain, mapped), 7 * page);
	assert_int_equal(mem_cgroup_usage(f->memcg), usage);
	assert_int_equal(iommu_unmap(f->domain, mapped, page), page);
}

static void all_or_nothing(void **state)
{
	for_each_shape(map_is_all_or_nothing);
}

static void sg_refuses(struct fixture *f)
{
	uint64_t page = f->page;
	struct iommu_sg good[] = {{3 * page, page}, {9 * page, 2 * page}};
	struct iommu_sg misaligned[] = {{3 * page, page}, {9 * page + 8, page}};
	struct iommu_sg odd[] = {{3 * page, page / 2}, {9 * page, page / 2}};
	struct iommu_sg empty[] = {{3 * page, 0}, {4 * page, 0}};
	struct iommu_sg wraps[] = {{3 * page, page}, {-page, 2 * page}};
	struct iommu_sg huge[] = {{0, 1ULL << 63}, {0, 1ULL << 63}, {0, page}};
	struct iommu_sg wide[] = {{3 * page, page}, {-page, page}, {0, page}};

	assert_int_equal(iommu_map_sg(f->domain, 0, misaligned, 2, RW, GFP_KERNEL), -EINVAL);
	assert_int_equal(iommu_map_sg(f->domain, 0, odd, 2, RW, GFP_KERNEL), -EINVAL);
	assert_int_equal(iommu_map_sg(f->domain, 0, empty, 2, RW, GFP_KERNEL), -EINVAL);
	assert_int_equal(iommu_map_sg(f->domain, 0, NULL, 0, RW, GFP_KERNEL), -EINVAL);
	assert_int_equal(iommu_map_sg(f->domain, 0, wraps, 2, RW, GFP_KERNEL), -EINVAL);
	assert_int_equal(iommu_map_sg(f->domain, 0, huge, 3, RW, GFP_KERNEL), -EINVAL);
	assert_int_equal(iommu_map_sg(f->domain, 1, good, 2, RW, GFP_KERNEL), -EINVAL);
	assert_int_equal(iommu_map_sg(f->domain, -page, good, 2, RW, GFP_KERNEL), -EINVAL);
	assert_int_equal(iommu_map_sg(f->domain, 0, good, 2, 0, GFP_KERNEL), -EINVAL);
	assert_int_equal(iommu_map_sg(f->domain, 0, good, 2, RW, GFP_KERNEL | __GFP_DMA), -EINVAL);
	/* The second piece is too wide for any format: the first goes, too. */
	if (paddr_bits(f->shape.format) < 64) {
		assert_int_equal(iommu_map_sg(f->domain, 0, wide, 3, RW, GFP_KERNEL), -ERANGE);
	} else {
		/* The last page and the first one are no neighbours. */
		assert_int_equal(iommu_map_sg(f->domain, 0, wide, 3, RW, GFP_KERNEL), 3 * page);
		assert_int_equal(iommu_iova_to_phys(f->domain, page), -page);
		assert_int_equal(iommu_iova_to_phys(f->domain, 2 * page + 5), 5);
		assert_int_equal(iommu_unmap(f->domain, 0, 3 * page), 3 * page);
	}
	assert_int_equal(iommu_iova_to_phys(f->domain, 0), 0);
	assert_int_equal(count_tables(f->domain), 1);
	assert_int_equal(iommu_map_sg(f->domain, page, good, 2, RW, GFP_KERNEL), 3 * page);
	assert_int_equal(iommu_iova_to_phys(f->domain, 2 * page), 9 * page);
	assert_int_equal(iommu_unmap(f->domain, page, 3 * page), 3 * page);
}

static void sg_refusals(void **state)
{
	for_each_shape(sg_refuses);
}

/* Of the leaf sizes that all domains of the format have; 0 for s390, which has one. */
static uint64_t second_page_size(const struct iommu_format *format)
{
	uint64_t others = format->pgsizes & (format->pgsizes - 1);

	if (!is_family(format, "s390"))
		return others & -others;
	return 0;
}

/* Adjoining pieces of one page each make a large leaf, which goes as a whole. */
static void sg_coalesces(struct fixture *f)
{
	uint64_t page = f->page, large = second_page_size(f->shape.format);
	unsigned int nents = (unsigned int)(2 * (large / page));
	struct iommu_sg *sg;

	if (!large)
		return;
	sg = test_calloc(nents, sizeof(*sg));
	for (unsigned int i = 0; i < nents; i++) {
		sg[i].paddr = large + i / 2 * page;
		sg[i].length = i % 2 ? 0 : page;
	}
	assert_int_equal(iommu_map_sg(f->domain, large / 2 * 2, sg, nents, RW, GFP_KERNEL), large);
	test_free(sg);
	assert_int_equal(iommu_unmap(f->domain, large, page), large);
}

static void sg_makes_large_leaves(void **state)
{
	for_each_shape(sg_coalesces);
}

static void unmap_is_lenient(struct fixture *f)
{
	uint64_t page = f->page, last = domain_info(f->domain).aperture_last;

	/* No two pages of it can be joined to a larger leaf. */
	assert_int_equal(iommu_map(f->domain, 4 * page, 5 * page, 3 * page, RW, GFP_KERNEL), 0);
	assert_int_equal(iommu_unmap(f->domain, 4 * page + 1, page), 0);
	assert_int_equal(iommu_unmap(f->domain, 4 * page, page / 2), 0);
	assert_int_equal(iommu_unmap(f->domain, 4 * page, 0), 0);
	assert_int_equal(iommu_unmap(f->domain, 4 * page, -4 * page + page), 0);
	if (last + 1) {
		assert_int_equal(iommu_unmap(f->domain, last + 1, page), 0);
		assert_int_equal(iommu_unmap(f->domain, 4 * page, last + 1), 0);
	}
	assert_int_equal(iommu_iova_to_phys(f->domain, 4 * page), 5 * page);
	assert_int_equal(iommu_unmap(f->domain, 3 * page, 9 * page), 0);
	assert_int_equal(iommu_unmap(f->domain, 5 * page, 9 * page), 2 * page);
	assert_int_equal(iommu_unmap(f->domain, 4 * page, 9 * page), page);
	assert_int_equal(count_tables(f->domain), 1);
}

static void unmap_leniency(void **state)
{
	for_each_shape(unmap_is_lenient);
}

static void split_makes_exact(struct fixture *f)
{
	uint64_t page = f->page, large = second_page_size(f->shape.format);

	assert_int_equal(iommu_split_mapping(f->domain, page, 0, GFP_KERNEL), -EINVAL);
	assert_int_equal(iommu_split_mapping(f->domain, page + 1, page, GFP_KERNEL), -EINVAL);
	assert_int_equal(iommu_split_mapping(f->domain, page, page + 1, GFP_KERNEL), -EINVAL);
	assert_int_equal(iommu_split_mapping(f->domain, -page, 2 * page, GFP_KERNEL), -EINVAL);
	assert_int_equal(iommu_split_mapping(f->domain, page, page, GFP_KERNEL | __GFP_COMP),
			 -EINVAL);
	assert_int_equal(iommu_split_mapping(f->domain, page, page, GFP_KERNEL), 0);
	if (!large)
		return;

	/* Unsplit, a part takes the whole; split, it does not. */
	assert_int_equal(iommu_map(f->domain, 0, 4 * large, large, RW, GFP_KERNEL), 0);
	assert_int_equal(iommu_unmap(f->domain, page, page), large);
	assert_int_equal(iommu_map(f->domain, 0, 4 * large, large, RW, GFP_KERNEL), 0);
	assert_int_equal(iommu_split_mapping(f->domain, page, page, GFP_KERNEL), 0);
	assert_int_equal(iommu_iova_to_phys(f->domain, page + 5), 4 * large + page + 5);
	assert_int_equal(iommu_unmap(f->domain, page, page), page);
	assert_int_equal(iommu_iova_to_phys(f->domain, page), 0);
	assert_int_equal(iommu_iova_to_phys(f->domain, page - 1), 4 * large + page - 1);
	if (large > 2 * page) {
		assert_int_equal(iommu_iova_to_phys(f->domain, large - 1), 5 * large - 1);
		assert_int_equal(iommu_unmap(f->domain, 2 * page, large), large - 2 * page);
	}
	assert_int_equal(iommu_unmap(f->domain, 0, page), page);
	assert_int_equal(count_tables(f->domain), 1);
}

static void splits(void **state)
{
	for_each_shape(split_makes_exact);
}

static void identity_and_blocked(void **state)
{
	struct iommu_domain_params params = {.type = IOMMU_DOMAIN_IDENTITY};
	struct mem_cgroup *memcg = enter_cgroup(NULL);
	struct iommu_sg sg = {0x1000, 0x1000};

	for (; params.type <= IOMMU_DOMAIN_BLOCKED; params.type++) {
		struct iommu_domain *domain = iommu_domain_alloc(&params, GFP_KERNEL_ACCOUNT);
		struct iommu_domain_info info;

		assert_false(IS_ERR(domain));
		assert_int_equal(iommu_map(domain, 0x1000, 0x1000, 0x1000, RW, GFP_KERNEL),
				 -EINVAL);
		assert_int_equal(iommu_map(domain, 0, 0, 0, RW, GFP_KERNEL), -EINVAL);
		assert_int_equal(iommu_map_sg(domain, 0x1000, &sg, 1, RW, GFP_KERNEL), -EINVAL);
		assert_int_equal(iommu_unmap(domain, 0x1000, 0x1000), 0);
		assert_int_equal(iommu_split_mapping(domain, 0x1000, 0x1000, GFP_KERNEL), -EINVAL);
		assert_int_equal(iommu_iova_to_phys(domain, 0x1234),
				 params.type == IOMMU_DOMAIN_IDENTITY ? 0x1234 : 0);
		info = domain_info(domain);
		assert_int_equal(info.type, params.type);
		assert_null(info.format);
		assert_int_equal(info.levels | info.pgsizes | info.table_bytes, 0);
		assert_ptr_equal(info.owner, memcg);
		iommu_domain_free(domain);
	}
	iommu_domain_free(NULL);
	leave_cgroup(memcg);
}

struct flushes {
	unsigned int calls;
	dma_addr_t first, last;
	bool tables;
	uint64_t tables_then; /* in the domain while the flush ran */
};

static void record_flush(void *context, struct iommu_domain *domain, dma_addr_t iova,
			 dma_addr_t last, bool tables)
{
	struct flushes *flushes = context;

	flushes->calls++;
	flushes->first = iova;
	flushes->last = last;
	flushes->tables = tables;
	flushes->tables_then = count_tables(domain);
}

static void flush_comes_first(struct fixture *f)
{
	static const struct iommu_iotlb_ops ops = {.flush = record_flush};
	struct iommu_iotlb_gather gather;
	struct flushes flushes = {0};
	uint64_t page = f->page, tables;

	iommu_domain_set_iotlb_ops(f->domain, &ops, &flushes);
	assert_int_equal(iommu_map(f->domain, 0, page, 8 * page, RW, GFP_KERNEL), 0);
	tables = count_tables(f->domain);
	iommu_iotlb_gather_init(&gather);
	iommu_iotlb_sync(f->domain, &gather);
	assert_int_equal(flushes.calls, 0);
	assert_int_equal(iommu_unmap(f->domain, 0, 2 * page), 2 * page);
	assert_int_equal(flushes.calls, 1);
	assert_true(flushes.first == 0 && flushes.last >= 2 * page - 1 && !flushes.tables);
	assert_int_equal(iommu_unmap_fast(f->domain, 2 * page, 6 * page, &gather), 6 * page);
	assert_int_equal(flushes.calls, 1);
	assert_int_equal(count_tables(f->domain), tables);
	iommu_iotlb_sync(f->domain, &gather);
	assert_int_equal(flushes.calls, 2);
	assert_true(flushes.first <= 2 * page && flushes.last >= 8 * page - 1);
	/* Tables went, if the lowest was not the top: after the flush, not before. */
	assert_int_equal(flushes.tables, tables > 1);
	assert_int_equal(flushes.tables_then, tables);
	assert_int_equal(count_tables(f->domain), 1);
	iommu_domain_set_iotlb_ops(f->domain, NULL, NULL);
}

static void flushes_come_before_frees(void **state)
{
	for_each_shape(flush_comes_first);
}

static void owner_pays(struct fixture *f)
{
	struct mem_cgroup *other = mem_cgroup_create(NULL);
	uint64_t page = f->page;

	mem_cgroup_set_active(other);
	assert_int_equal(iommu_map(f->domain, 0, page, page, RW, GFP_KERNEL_ACCOUNT), 0);
	assert_cgroup_empty(other);
	assert_cgroup_has(f->memcg, f->shape.format, f->objects,
			  domain_info(f->domain).table_bytes);
	mem_cgroup_set_active(f->memcg);
	mem_cgroup_put(other);
}

/* Without an owner each call's own gfp decides. */
static void caller_pays(struct fixture *f)
{
	struct iommu_domain *domain = alloc_domain(&f->shape, IOMMU_DOMAIN_UNMANAGED, GFP_KERNEL);
	uint64_t usage = mem_cgroup_usage(f->memcg), page = f->page;

	assert_false(IS_ERR(domain));
	assert_null(domain_info(domain).owner);
	assert_int_equal(iommu_map(domain, 0, page, page, RW, GFP_KERNEL), 0);
	assert_int_equal(mem_cgroup_usage(f->memcg), usage);
	assert_int_equal(iommu_unmap(domain, 0, page), page);
	assert_int_equal(iommu_map(domain, 0, page, page, RW, GFP_KERNEL_ACCOUNT), 0);
	assert_int_equal(mem_cgroup_usage(f->memcg),
			 usage + domain_info(domain).table_bytes - f->geometry->top);
	iommu_domain_free(domain);
	assert_int_equal(mem_cgroup_usage(f->memcg), usage);
}

static void owners_pay(void **state)
{
	for_each_shape(owner_pays);
	for_each_shape(caller_pays);
}

static int fault_seen(struct iommu_domain *domain, struct iommu_device *dev, dma_addr_t iova,
		      int flags, void *token)
{
	*(dma_addr_t *)token = iova + (dma_addr_t)flags;
	return dev ? -EFAULT : 0;
}

static void faults(void **state)
{
	struct iommu_domain_params params = {.type = IOMMU_DOMAIN_BLOCKED};
	struct iommu_domain *domain = iommu_domain_alloc(&params, GFP_KERNEL);
	dma_addr_t seen = 0;

	assert_int_equal(report_iommu_fault(domain, NULL, 0x5000, IOMMU_FAULT_READ), -ENOSYS);
	iommu_set_fault_handler(domain, fault_seen, &seen);
	assert_int_equal(report_iommu_fault(domain, NULL, 0x5000, IOMMU_FAULT_WRITE), 0);
	assert_int_equal(seen, 0x5000 + IOMMU_FAULT_WRITE);
	assert_int_equal(
		report_iommu_fault(domain, (struct iommu_device *)&seen, 0x6000, IOMMU_FAULT_READ),
		-EFAULT);
	assert_int_equal(seen, 0x6000);
	iommu_set_fault_handler(domain, NULL, NULL);
	assert_int_equal(report_iommu_fault(domain, NULL, 0x7000, IOMMU_FAULT_READ), -ENOSYS);
	iommu_domain_free(domain);
}

/* A blocking gfp is reported inside an atomic section, an atomic one is not. */
static void atomic_sections(void **state)
{
	struct shape shape = {iommu_format_next(NULL), 0};
	uint64_t page = smallest_page(shape.format);
	struct iommu_domain *domain = alloc_domain(&shape, IOMMU_DOMAIN_UNMANAGED, GFP_KERNEL);
	struct capture capture;

	assert_false(IS_ERR(domain));
	iommu_atomic_enter();
	capture_begin(&capture);
	assert_int_equal(iommu_map(domain, 0, page, page, RW, GFP_ATOMIC), 0);
	assert_int_equal(iommu_unmap(domain, 0, page), page);
	assert_string_equal(capture_end(&capture), "");
	capture_begin(&capture);
	assert_int_equal(iommu_map(domain, 0, page, page, RW, GFP_KERNEL), 0);
	assert_int_equal(iommu_map(domain, page, page, page, RW, GFP_KERNEL), 0);
	assert_int_equal(capture_lines(capture_end(&capture)), 1);
	iommu_atomic_exit();
	iommu_domain_free(domain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alloc_refuses),        cmocka_unit_test(alloc_fails_at_the_limit),
		cmocka_unit_test(map_refusals),         cmocka_unit_test(all_or_nothing),
		cmocka_unit_test(sg_refusals),          cmocka_unit_test(sg_makes_large_leaves),
		cmocka_unit_test(unmap_leniency),       cmocka_unit_test(splits),
		cmocka_unit_test(identity_and_blocked), cmocka_unit_test(flushes_come_before_frees),
		cmocka_unit_test(owners_pay),           cmocka_unit_test(faults),
		cmocka_unit_test(atomic_sections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
