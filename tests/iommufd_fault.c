/* SPDX-License-Identifier: MIT */
/*
 * Every call about address spaces, with every allocation failing.
 */
#include "tests/iommufd_fault.h"

static int vfio_ioas(struct rig *rig, uint32_t op)
{
	struct iommu_vfio_ioas vfio = {
		.size = sizeof(vfio), .ioas_id = rig->ioas, .op = (uint16_t)op};

	return rig_ioctl(rig, IOMMU_VFIO_IOAS, &vfio);
}

static void vfio(struct rig *rig)
{
	hwpt(rig);
	assert_int_equal(vfio_ioas(rig, IOMMU_VFIO_IOAS_SET), 0);
}

static int vfio_map(struct rig *rig)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)rig->memory,
		.iova = HUGE - 16 * PAGE,
		.size = 64 * PAGE,
	};

	return rig_ioctl(rig, VFIO_IOMMU_MAP_DMA, &map);
}

/* Version 1 of type1, which can cut a mapping. */
static void vfio_v1(struct rig *rig)
{
	assert_int_equal(vfio_ioas(rig, IOMMU_VFIO_IOAS_SET), 0);
	assert_int_equal(rig_ioctl(rig, VFIO_SET_IOMMU, (void *)(uintptr_t)VFIO_TYPE1_IOMMU), 0);
	hwpt(rig);
	assert_int_equal(vfio_map(rig), 0);
}

static void let_go(void *data, uint64_t iova, uint64_t length)
{
	struct rig *rig = data;

	rig->unmaps++;
}

static const struct iommufd_access_ops access_ops = {.needs_pin_pages = true, .unmap = let_go};

static int new_access(struct rig *rig)
{
	struct iommufd_access *access =
		iommufd_access_create(rig->ctx, &access_ops, rig, &rig->access_id);

	if (IS_ERR(access))
		return (int)PTR_ERR(access);
	rig->access = access;
	return 0;
}

static void access_only(struct rig *rig)
{
	fill(rig);
	assert_int_equal(new_access(rig), 0);
}

static void access_attached(struct rig *rig)
{
	access_only(rig);
	assert_int_equal(iommufd_access_attach(rig->access, rig->ioas), 0);
}

static int ioas_act(struct rig *rig)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};

	return rig_ioctl(rig, IOMMU_IOAS_ALLOC, &alloc);
}

static int destroy_ioas_act(struct rig *rig)
{
	return rig_destroy(rig, rig->ioas);
}

static int map_page_act(struct rig *rig)
{
	return rig_map(rig, (1ULL << 30) + PAGE, 3 * PAGE, PAGE);
}

/* Over the edge of a table; all memory, so pages and batches of all kinds. */
static int map_long_act(struct rig *rig)
{
	return rig_map(rig, (1ULL << 30) - 3 * PAGE, 0, MEMORY);
}

/* At an address that is chosen, read-only. */
static int map_somewhere_act(struct rig *rig)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_READABLE,
		.ioas_id = rig->ioas,
		.user_va = (uintptr_t)rig->memory,
		.length = 3 * PAGE,
	};

	return rig_ioctl(rig, IOMMU_IOAS_MAP, &map);
}

static int map_file_act(struct rig *rig)
{
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | RIG_RW,
		.ioas_id = rig->ioas,
		.fd = rig->memfd,
		.start = PAGE,
		.length = HUGE,
		.iova = 1 << 30,
	};

	return rig_ioctl(rig, IOMMU_IOAS_MAP_FILE, &map);
}

static void mapped_file(struct rig *rig)
{
	hwpt(rig);
	assert_int_equal(map_file_act(rig), 0);
}

static int change_process_act(struct rig *rig)
{
	struct iommu_ioas_change_process change = {.size = sizeof(change)};

	return rig_ioctl(rig, IOMMU_IOAS_CHANGE_PROCESS, &change);
}

static int copy_to(struct rig *rig, uint32_t ioas, uint64_t dst, uint64_t src, uint64_t length)
{
	struct iommu_ioas_copy copy = {
		.size = sizeof(copy),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | RIG_RW,
		.dst_ioas_id = ioas,
		.src_ioas_id = rig->ioas,
		.length = length,
		.dst_iova = dst,
		.src_iova = src,
	};

	return rig_ioctl(rig, IOMMU_IOAS_COPY, &copy);
}

static int copy_act(struct rig *rig)
{
	return copy_to(rig, rig->ids[OTHER_IOAS], 1ULL << 30, 2 * HUGE, HUGE);
}

static int copy_part_act(struct rig *rig)
{
	return copy_to(rig, rig->ioas, 1ULL << 30, 2 * HUGE + 3 * PAGE, 5 * PAGE);
}

static int unmap_act(struct rig *rig)
{
	return rig_unmap(rig, 2 * HUGE, HUGE);
}

static int unmap_all_act(struct rig *rig)
{
	return rig_unmap(rig, 0, UINT64_MAX);
}

static int allow_act(struct rig *rig)
{
	struct iommu_iova_range ranges[] = {{1 << 30, (1ULL << 31) - 1}, {0, HUGE - 1}};
	struct iommu_ioas_allow_iovas allow = {
		.size = sizeof(allow),
		.ioas_id = rig->ioas,
		.num_iovas = 2,
		.allowed_iovas = (uintptr_t)ranges,
	};

	return rig_ioctl(rig, IOMMU_IOAS_ALLOW_IOVAS, &allow);
}

static int ranges_act(struct rig *rig)
{
	struct iommu_iova_range ranges[8];
	struct iommu_ioas_iova_ranges query = {
		.size = sizeof(query),
		.ioas_id = rig->ioas,
		.num_iovas = 8,
		.allowed_iovas = (uintptr_t)ranges,
	};

	return rig_ioctl(rig, IOMMU_IOAS_IOVA_RANGES, &query);
}

static int huge_pages_act(struct rig *rig)
{
	struct iommu_option option = {
		.size = sizeof(option),
		.option_id = IOMMU_OPTION_HUGE_PAGES,
		.op = IOMMU_OPTION_OP_SET,
		.object_id = rig->ioas,
	};

	return rig_ioctl(rig, IOMMU_OPTION, &option);
}

static int vfio_get_act(struct rig *rig)
{
	return vfio_ioas(rig, IOMMU_VFIO_IOAS_GET);
}

static int vfio_info_act(struct rig *rig)
{
	char buffer[512] = {0};
	struct vfio_iommu_type1_info *info = (void *)buffer;

	info->argsz = sizeof(buffer);
	return rig_ioctl(rig, VFIO_IOMMU_GET_INFO, info);
}

/* Out of the middle: two cuts. */
static int vfio_unmap_act(struct rig *rig)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap), .iova = HUGE - 5 * PAGE, .size = 9 * PAGE};

	return rig_ioctl(rig, VFIO_IOMMU_UNMAP_DMA, &unmap);
}

static int access_attach_act(struct rig *rig)
{
	return iommufd_access_attach(rig->access, rig->ioas);
}

static int access_pin_act(struct rig *rig)
{
	void *pages[512];
	int rc = iommufd_access_pin_pages(rig->access, 2 * HUGE, HUGE, pages, 0);

	if (!rc)
		iommufd_access_unpin_pages(rig->access, 2 * HUGE, HUGE);
	return rc;
}

static int access_rw_act(struct rig *rig)
{
	char data[5000] = {0};

	return iommufd_access_rw(rig->access, 2 * HUGE + 100, data, sizeof(data),
				 IOMMUFD_ACCESS_RW_WRITE);
}

static const struct scenario scenarios[] = {
	{"IOAS_ALLOC", false, nothing, ioas_act, false},
	{"DESTROY of an IOAS", true, fill, destroy_ioas_act, false},
	{"IOAS_MAP without a domain", false, nothing, map_long_act, false},
	{"IOAS_MAP of a page", false, two_hwpts, map_page_act, false},
	{"IOAS_MAP over tables", false, two_hwpts, map_long_act, false},
	{"IOAS_MAP somewhere", false, attached, map_somewhere_act, false},
	{"IOAS_MAP with an access", false, access_attached, map_long_act, false},
	{"IOAS_MAP_FILE", false, filled_hwpt, map_file_act, false},
	{"IOAS_CHANGE_PROCESS", true, mapped_file, change_process_act, false},
	{"IOAS_COPY", false, other_ioas, copy_act, false},
	{"IOAS_COPY to an HWPT", false, other_ioas_with_hwpt, copy_act, false},
	{"IOAS_COPY of a part", false, two_hwpts, copy_part_act, false},
	{"IOAS_UNMAP", true, attached, unmap_act, false},
	{"IOAS_UNMAP of all", true, attached, unmap_all_act, false},
	{"IOAS_ALLOW_IOVAS", false, nothing, allow_act, false},
	{"IOAS_IOVA_RANGES", true, attached, ranges_act, false},
	{"OPTION", true, nothing, huge_pages_act, false},
	{"VFIO_IOAS", true, vfio, vfio_get_act, false},
	{"VFIO_IOMMU_GET_INFO", true, vfio, vfio_info_act, false},
	{"VFIO_IOMMU_MAP_DMA", false, vfio, vfio_map, false},
	{"VFIO_IOMMU_UNMAP_DMA", false, vfio_v1, vfio_unmap_act, true},
	{"access", false, fill, new_access, false},
	{"access attach", true, access_only, access_attach_act, false},
	{"access pin", false, access_attached, access_pin_act, false},
	{"access rw", true, access_attached, access_rw_act, false},
};

static void every_failure(void **state)
{
	every_failure_of_all(scenarios, ARRAY_SIZE(scenarios));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
