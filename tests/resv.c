/* SPDX-License-Identifier: MIT */
/*
 * Reserved regions: their lists, and the 1:1 mappings of the direct ones.
 */
#include "tests/capture.h"
#include "tests/device.h"

#define SEED 0x5e5eULL

static void bad_regions(void **state)
{
	struct mem_cgroup *memcg = enter_cgroup(NULL);
	struct iommu_resv_region *region;

	assert_null(iommu_alloc_resv_region(0x1000, 0, RW, IOMMU_RESV_MSI, GFP_KERNEL));
	assert_null(iommu_alloc_resv_region(~0ULL, 2, RW, IOMMU_RESV_MSI, GFP_KERNEL));
	region = iommu_alloc_resv_region(~0ULL, 1, RW, IOMMU_RESV_SW_MSI, GFP_KERNEL_ACCOUNT);
	assert_non_null(region);
	assert_true(region->start == ~0ULL && region->length == 1 && region->prot == RW &&
		    region->type == IOMMU_RESV_SW_MSI && !region->next);
	assert_true(cgroup_stat(memcg, "slab") > 0);
	iommu_put_resv_regions(region);
	iommu_put_resv_regions(NULL);
	leave_cgroup(memcg);
}

/* A list against sets of bytes, one per type: small addresses make that easy. */
#define BYTES 64

static void check_list(const struct iommu_resv_region *list, const bool in[5][BYTES])
{
	bool seen[5][BYTES] = {{0}};

	for (const struct iommu_resv_region *r = list; r; r = r->next) {
		if (r->next)
			assert_true(r->start < r->next->start ||
				    (r->start == r->next->start && r->type < r->next->type));
		/* Nothing of its type touches it. */
		assert_false(r->start && in[r->type][r->start - 1]);
		assert_false(r->start + r->length < BYTES && in[r->type][r->start + r->length]);
		for (uint64_t i = 0; i < r->length; i++) {
			assert_false(seen[r->type][r->start + i]);
			seen[r->type][r->start + i] = true;
		}
	}
	assert_memory_equal(seen, in, sizeof(seen));
}

static void lists_are_sorted_and_merged(void **state)
{
	uint64_t random = SEED;

	print_message("# seed 0x%llx\n", SEED);
	for (unsigned int round = 0; round < 2000; round++) {
		struct mem_cgroup *memcg = enter_cgroup(NULL);
		bool in[5][BYTES] = {{0}}, in_group[5][BYTES] = {{0}};
		struct hardware hw[2] = {0};
		struct iommu_resv_region *list;
		struct iommu_device *dev[2];
		struct iommu_group *group;

		for (unsigned int i = 0; i < 2 * MAX_REGIONS; i++) {
			enum iommu_resv_type type = (enum iommu_resv_type)random_below(&random, 5);
			uint64_t start = random_below(&random, BYTES - 10);
			uint64_t length = 1 + random_below(&random, 10);

			add_region(&hw[i / MAX_REGIONS], start, length, RW, type);
			for (uint64_t j = start; j < start + length; j++) {
				in_group[type][j] = true;
				if (i < MAX_REGIONS)
					in[type][j] = true;
			}
		}
		dev[0] = new_device(&hw[0], NULL);
		group = iommu_group_get(dev[0]);
		dev[1] = new_device(&hw[1], group);
		assert_int_equal(iommu_get_resv_regions(dev[0], &list), 0);
		check_list(list, in);
		iommu_put_resv_regions(list);
		assert_int_equal(iommu_get_group_resv_regions(group, &list), 0);
		check_list(list, in_group);
		iommu_put_resv_regions(list);
		hw[1].regions_error = -EIO;
		assert_int_equal(iommu_get_resv_regions(dev[1], &list), -EIO);
		assert_null(list);
		assert_int_equal(iommu_get_group_resv_regions(group, &list), -EIO);
		assert_null(list);
		iommu_device_unregister(dev[0]);
		iommu_device_unregister(dev[1]);
		iommu_group_put(group);
		leave_cgroup(memcg);
	}
}

static void merged_regions_have_all_rights(void **state)
{
	struct hardware hw = {0};
	struct iommu_resv_region *list;
	struct iommu_device *dev;

	add_region(&hw, 0x2000, 0x1000, IOMMU_WRITE, IOMMU_RESV_DIRECT);
	add_region(&hw, 0x1000, 0x1000, IOMMU_READ, IOMMU_RESV_DIRECT);
	dev = new_device(&hw, NULL);
	assert_int_equal(iommu_get_resv_regions(dev, &list), 0);
	assert_non_null(list);
	assert_true(list->start == 0x1000 && list->length == 0x2000 && list->prot == RW);
	assert_null(list->next);
	iommu_put_resv_regions(list);
	iommu_device_unregister(dev);
}

static bool is_one_to_one(struct iommu_domain *domain, uint64_t start, uint64_t length)
{
	for (uint64_t i = 0; i < length; i += 0x1000)
		if (iommu_iova_to_phys(domain, start + i + 7) != start + i + 7)
			return false;
	return true;
}

/* Two devices share pages, also page 0; what is no direct region is not mapped. */
static void direct_regions_are_mapped(void **state)
{
	struct mem_cgroup *memcg = enter_cgroup(NULL);
	struct iommu_domain *dma = plain_domain(IOMMU_DOMAIN_DMA);
	struct hardware hw[2] = {0};
	struct iommu_device *dev[2];
	struct iommu_group *group;

	add_region(&hw[0], 0x0, 0x4000, RW, IOMMU_RESV_DIRECT);
	add_region(&hw[0], 0x400000, 0x200000, RW, IOMMU_RESV_DIRECT);
	add_region(&hw[0], 0xfee00000, 0x100000, 0, IOMMU_RESV_MSI);
	add_region(&hw[1], 0x2000, 0x6000, IOMMU_READ, IOMMU_RESV_DIRECT_RELAXABLE);
	add_region(&hw[1], 0x0, 0x1000, RW, IOMMU_RESV_DIRECT);
	add_region(&hw[1], 0x10800, 0x1000, RW, IOMMU_RESV_DIRECT);
	dev[0] = new_device(&hw[0], NULL);
	group = iommu_group_get(dev[0]);
	assert_int_equal(iommu_group_set_default_domain(group, dma), 0);
	assert_ptr_equal(hw[0].uses, dma);
	assert_true(is_one_to_one(dma, 0, 0x4000) && is_one_to_one(dma, 0x400000, 0x200000));
	assert_int_equal(iommu_iova_to_phys(dma, 0xfee00000), 0);
	dev[1] = new_device(&hw[1], group);
	assert_true(is_one_to_one(dma, 0, 0x8000));
	assert_int_equal(iommu_iova_to_phys(dma, 0x8000), 0);
	/* The pages that the region touches, whole. */
	assert_true(is_one_to_one(dma, 0x10000, 0x2000));
	/* The run of pages was one map: its 2 MiB are one leaf. */
	assert_int_equal(iommu_unmap(dma, 0x400000, 0x1000), 0x200000);
	iommu_device_unregister(dev[0]);
	iommu_device_unregister(dev[1]);
	iommu_group_put(group);
	iommu_domain_free(dma);
	leave_cgroup(memcg);
}

/* What was mapped before the failure goes, what others had mapped stays. */
static void direct_failure_is_undone(void **state)
{
	struct mem_cgroup *memcg = enter_cgroup(NULL);
	struct iommu_domain *dma = plain_domain(IOMMU_DOMAIN_DMA);
	struct hardware hw = {0};
	struct iommu_device *dev;
	struct iommu_group *group;
	uint64_t tables;

	assert_int_equal(iommu_map(dma, 0x2000, 0x2000, 0x1000, RW, GFP_KERNEL), 0);
	tables = count_tables(dma);
	add_region(&hw, 1ULL << 60, 0x1000, RW, IOMMU_RESV_DIRECT); /* too wide */
	add_region(&hw, 0x0, 0x8000, RW, IOMMU_RESV_DIRECT);
	dev = new_device(&hw, NULL);
	group = iommu_group_get(dev);
	assert_int_equal(iommu_group_set_default_domain(group, dma), -ERANGE);
	assert_null(hw.uses);
	assert_int_equal(iommu_iova_to_phys(dma, 0x2000), 0x2000);
	for (uint64_t iova = 0; iova < 0x8000; iova += 0x1000)
		if (iova != 0x2000)
			assert_int_equal(iommu_iova_to_phys(dma, iova + 1), 0);
	assert_int_equal(count_tables(dma), tables);
	iommu_device_unregister(dev);
	iommu_group_put(group);
	iommu_domain_free(dma);
	leave_cgroup(memcg);
}

static void direct_regions_are_never_blocked(void **state)
{
	struct iommu_domain *blocked = plain_domain(IOMMU_DOMAIN_BLOCKED);
	struct hardware hw = {0}, late = {0};
	struct iommu_device *dev;
	struct iommu_group *group;

	add_region(&hw, 0x1000, 0x1000, RW, IOMMU_RESV_DIRECT);
	dev = new_device(&hw, NULL);
	group = iommu_group_get(dev);
	assert_int_equal(iommu_attach_device(blocked, dev), -EINVAL);
	assert_int_equal(iommu_group_set_default_domain(group, blocked), -EINVAL);
	iommu_device_unregister(dev);
	add_region(&late, 0x1000, 0x1000, RW, IOMMU_RESV_DIRECT_RELAXABLE);
	dev = new_device(&late, group);
	assert_int_equal(iommu_attach_device(blocked, dev), 0);
	assert_int_equal(PTR_ERR(iommu_device_register("x", &hardware_ops, &hw, group, GFP_KERNEL)),
			 -EINVAL);
	iommu_device_unregister(dev);
	iommu_group_put(group);
	iommu_domain_free(blocked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_regions),
		cmocka_unit_test(lists_are_sorted_and_merged),
		cmocka_unit_test(merged_regions_have_all_rights),
		cmocka_unit_test(direct_regions_are_mapped),
		cmocka_unit_test(direct_failure_is_undone),
		cmocka_unit_test(direct_regions_are_never_blocked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
