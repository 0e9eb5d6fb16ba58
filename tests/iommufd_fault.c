/* SPDX-License-Identifier: MIT */
/*
 * Every ioctl and every call of iommufd.h that allocates, with the n-th
 * allocation failing, for every n until none fails; once, and from then on. A
 * call that fails says -ENOMEM and leaves everything as it was, to the byte that
 * is charged; it does its work when it is repeated; and in the end nothing is
 * charged.
 */
#include "tests/iommufd_rig.h"

enum {
	HWPT,
	OTHER_HWPT,
	OTHER_IOAS,
	FAULT,
	NEW
};

struct scenario {
	const char *name;
	bool needs_nothing; /* never allocates */
	void (*prepare)(struct rig *rig);
	int (*act)(struct rig *rig);
};

/* ---- what there is before ---- */

static void nothing(struct rig *rig)
{
}

/* Pieces of all sizes, on the two sides of a table's edge and far away. */
static void fill(struct rig *rig)
{
	assert_int_equal(rig_map(rig, 0, 0, PAGE), 0);
	assert_int_equal(rig_map(rig, HUGE - 3 * PAGE, 7 * PAGE, 6 * PAGE), 0);
	assert_int_equal(rig_map(rig, 2 * HUGE, 0, HUGE), 0);
	assert_int_equal(rig_map(rig, 1ULL << 39, 5 * PAGE, 9 * PAGE), 0);
}

static void hwpt(struct rig *rig)
{
	assert_int_equal(rig_new_hwpt(rig, rig->ioas, 0, &rig->ids[HWPT]), 0);
}

static void filled_hwpt(struct rig *rig)
{
	fill(rig);
	hwpt(rig);
}

static void two_hwpts(struct rig *rig)
{
	filled_hwpt(rig);
	assert_int_equal(rig_new_hwpt(rig, rig->ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
				      &rig->ids[OTHER_HWPT]),
			 0);
}

static void attached(struct rig *rig)
{
	uint32_t id;

	two_hwpts(rig);
	id = rig->ids[HWPT];
	assert_int_equal(iommufd_device_attach(rig->idev, &id), 0);
}

static void other_ioas(struct rig *rig)
{
	attached(rig);
	rig->ids[OTHER_IOAS] = rig_new_ioas(rig);
}

static void other_ioas_with_hwpt(struct rig *rig)
{
	other_ioas(rig);
	assert_int_equal(rig_new_hwpt(rig, rig->ids[OTHER_IOAS], 0, &rig->ids[NEW]), 0);
}

static void nest_parent(struct rig *rig)
{
	fill(rig);
	assert_int_equal(
		rig_new_hwpt(rig, rig->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &rig->ids[HWPT]), 0);
	assert_int_equal(rig_new_fault(rig, &rig->ids[FAULT]), 0);
}

static void nested_attached(struct rig *rig)
{
	uint32_t id;

	nest_parent(rig);
	assert_int_equal(
		rig_new_nested(rig, rig->ids[HWPT], rig->ids[FAULT], &rig->ids[OTHER_HWPT]), 0);
	id = rig->ids[OTHER_HWPT];
	assert_int_equal(iommufd_device_attach(rig->idev, &id), 0);
}

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

/* ---- one call each ---- */

static int open_act(struct rig *rig)
{
	rig_open(rig, IOMMUFD_PHYS_SCATTERED);
	if (!IS_ERR(rig->ctx))
		return 0;
	return (int)PTR_ERR(rig->ctx);
}

static void unbind(struct rig *rig)
{
	iommufd_device_unbind(rig->idev);
	rig->idev = NULL;
}

static int bind_act(struct rig *rig)
{
	struct iommufd_device *idev =
		iommufd_device_bind(rig->ctx, rig->dev, &rig_device_ops, rig, &rig->dev_id);

	if (IS_ERR(idev))
		return (int)PTR_ERR(idev);
	rig->idev = idev;
	return 0;
}

static int unbind_act(struct rig *rig)
{
	unbind(rig);
	return 0;
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

static int destroy_hwpt_act(struct rig *rig)
{
	return rig_destroy(rig, rig->ids[HWPT]);
}

static int close_act(struct rig *rig)
{
	unbind(rig);
	iommufd_ctx_destroy(rig->ctx);
	rig->ctx = NULL;
	return 0;
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

static int hwpt_act(struct rig *rig)
{
	return rig_new_hwpt(rig, rig->ioas, 0, &rig->ids[NEW]);
}

static int dirty_hwpt_act(struct rig *rig)
{
	return rig_new_hwpt(rig, rig->ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &rig->ids[NEW]);
}

static int parent_act(struct rig *rig)
{
	return rig_new_hwpt(rig, rig->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &rig->ids[NEW]);
}

static int nested_act(struct rig *rig)
{
	return rig_new_nested(rig, rig->ids[HWPT], rig->ids[FAULT], &rig->ids[NEW]);
}

static int invalidate_act(struct rig *rig)
{
	struct iommu_hwpt_vtd_s1_invalidate requests[3] = {{.npages = 1}, {.npages = 2}};
	struct iommu_hwpt_invalidate invalidate = {
		.size = sizeof(invalidate),
		.hwpt_id = rig->ids[OTHER_HWPT],
		.data_uptr = (uintptr_t)requests,
		.entry_len = sizeof(requests[0]),
		.entry_num = 3,
	};

	return rig_ioctl(rig, IOMMU_HWPT_INVALIDATE, &invalidate);
}

static int hw_info_act(struct rig *rig)
{
	struct iommu_hw_info_vtd vtd;
	struct iommu_hw_info info = {.size = sizeof(info),
				     .dev_id = rig->dev_id,
				     .data_len = sizeof(vtd),
				     .data_uptr = (uintptr_t)&vtd};

	return rig_ioctl(rig, IOMMU_GET_HW_INFO, &info);
}

static int attach_ioas_act(struct rig *rig)
{
	uint32_t id = rig->ioas;

	return iommufd_device_attach(rig->idev, &id);
}

static int attach_act(struct rig *rig)
{
	uint32_t id = rig->ids[HWPT];

	return iommufd_device_attach(rig->idev, &id);
}

static int replace_act(struct rig *rig)
{
	uint32_t id = rig->ids[OTHER_HWPT];

	return iommufd_device_replace(rig->idev, &id);
}

static int replace_ioas_act(struct rig *rig)
{
	uint32_t id = rig->ids[OTHER_IOAS];

	return iommufd_device_replace(rig->idev, &id);
}

static int detach_act(struct rig *rig)
{
	iommufd_device_detach(rig->idev);
	return 0;
}

static int track_act(struct rig *rig)
{
	struct iommu_hwpt_set_dirty_tracking set = {
		.size = sizeof(set),
		.flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE,
		.hwpt_id = rig->ids[OTHER_HWPT],
	};

	return rig_ioctl(rig, IOMMU_HWPT_SET_DIRTY_TRACKING, &set);
}

static void tracking(struct rig *rig)
{
	two_hwpts(rig);
	assert_int_equal(track_act(rig), 0);
}

static int bitmap_act(struct rig *rig)
{
	uint64_t bitmap[8] = {0};
	struct iommu_hwpt_get_dirty_bitmap get = {
		.size = sizeof(get),
		.hwpt_id = rig->ids[OTHER_HWPT],
		.iova = 2 * HUGE,
		.length = HUGE,
		.page_size = PAGE,
		.data = (uintptr_t)bitmap,
	};

	return rig_ioctl(rig, IOMMU_HWPT_GET_DIRTY_BITMAP, &get);
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

static int fault_act(struct rig *rig)
{
	return rig_new_fault(rig, &rig->ids[NEW]);
}

static int page_request_act(struct rig *rig)
{
	const struct iommu_hwpt_pgfault requests[3] = {
		{.grpid = 1, .addr = PAGE}, {.grpid = 1}, {.grpid = 1}};

	return iommufd_device_report_iopf(rig->idev, requests, 3);
}

static void page_requested(struct rig *rig)
{
	nested_attached(rig);
	assert_int_equal(page_request_act(rig), 0);
}

static int read_act(struct rig *rig)
{
	struct iommu_hwpt_pgfault requests[4];
	ssize_t length = iommufd_file_read(rig->files[0].file, IOMMUFD_FILE_FAULT, requests,
					   sizeof(requests), true);

	if (length < 0)
		return (int)length;
	assert_int_equal(length, 3 * sizeof(requests[0]));
	return 0;
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
	char data[5000];

	return iommufd_access_rw(rig->access, 2 * HUGE + 100, data, sizeof(data),
				 IOMMUFD_ACCESS_RW_WRITE);
}

static const struct scenario scenarios[] = {
	{"bind", false, unbind, bind_act},
	{"unbind", true, attached, unbind_act},
	{"close", true, other_ioas_with_hwpt, close_act},
	{"close with a nested table", true, page_requested, close_act},
	{"IOAS_ALLOC", false, nothing, ioas_act},
	{"DESTROY of an IOAS", true, fill, destroy_ioas_act},
	{"DESTROY of an HWPT", true, two_hwpts, destroy_hwpt_act},
	{"IOAS_MAP without a domain", false, nothing, map_long_act},
	{"IOAS_MAP of a page", false, two_hwpts, map_page_act},
	{"IOAS_MAP over tables", false, two_hwpts, map_long_act},
	{"IOAS_MAP somewhere", false, attached, map_somewhere_act},
	{"IOAS_MAP with an access", false, access_attached, map_long_act},
	{"IOAS_MAP_FILE", false, filled_hwpt, map_file_act},
	{"IOAS_CHANGE_PROCESS", true, mapped_file, change_process_act},
	{"IOAS_COPY", false, other_ioas, copy_act},
	{"IOAS_COPY to an HWPT", false, other_ioas_with_hwpt, copy_act},
	{"IOAS_COPY of a part", false, two_hwpts, copy_part_act},
	{"IOAS_UNMAP", true, attached, unmap_act},
	{"IOAS_UNMAP of all", true, attached, unmap_all_act},
	{"IOAS_ALLOW_IOVAS", false, nothing, allow_act},
	{"IOAS_IOVA_RANGES", true, attached, ranges_act},
	{"OPTION", true, nothing, huge_pages_act},
	{"HWPT_ALLOC", false, nothing, hwpt_act},
	{"HWPT_ALLOC of a full IOAS", false, fill, hwpt_act},
	{"HWPT_ALLOC beside another", false, two_hwpts, dirty_hwpt_act},
	{"HWPT_ALLOC of a parent", false, fill, parent_act},
	{"HWPT_ALLOC nested", false, nest_parent, nested_act},
	{"HWPT_INVALIDATE", true, nested_attached, invalidate_act},
	{"GET_HW_INFO", true, nothing, hw_info_act},
	{"attach to an IOAS", false, fill, attach_ioas_act},
	{"attach to an HWPT", false, two_hwpts, attach_act},
	{"replace", false, attached, replace_act},
	{"replace by an IOAS", false, other_ioas, replace_ioas_act},
	{"detach", true, attached, detach_act},
	{"HWPT_SET_DIRTY_TRACKING", true, two_hwpts, track_act},
	{"HWPT_GET_DIRTY_BITMAP", true, tracking, bitmap_act},
	{"FAULT_QUEUE_ALLOC", false, nothing, fault_act},
	{"page request", false, nested_attached, page_request_act},
	{"read of a page request", true, page_requested, read_act},
	{"VFIO_IOAS", true, vfio, vfio_get_act},
	{"VFIO_IOMMU_GET_INFO", true, vfio, vfio_info_act},
	{"VFIO_IOMMU_MAP_DMA", false, vfio, vfio_map},
	{"VFIO_IOMMU_UNMAP_DMA", false, vfio_v1, vfio_unmap_act},
	{"access", false, fill, new_access},
	{"access attach", true, access_only, access_attach_act},
	{"access pin", false, access_attached, access_pin_act},
	{"access rw", true, access_attached, access_rw_act},
};

/* An unmap that cuts may have cut at one end before it fails: no device can tell. */
static void assert_as_before(const struct scenario *scenario, unsigned int nth,
			     struct picture before, struct picture after)
{
	if (scenario->act == vfio_unmap_act) {
		after.areas = before.areas;
		after.usage = before.usage;
	}
	if (memcmp(&before, &after, sizeof(before)))
		fail_msg("%s: not as before, with allocation %u failing: %u objects, %u areas, "
			 "%u bytes; now %u objects, %u areas, %u bytes",
			 scenario->name, nth, (unsigned int)before.objects,
			 (unsigned int)before.areas, (unsigned int)before.usage,
			 (unsigned int)after.objects, (unsigned int)after.areas,
			 (unsigned int)after.usage);
}

/* Returns whether an allocation failed. */
static bool run(const struct scenario *scenario, enum iommufd_phys_mode phys, unsigned int nth,
		bool sticky)
{
	struct picture before;
	struct rig rig;
	bool hit;
	int rc;

	rig_begin(&rig, phys);
	scenario->prepare(&rig);
	before = rig_picture(&rig);
	uiommu_fail_nth(nth, sticky);
	rc = scenario->act(&rig);
	hit = uiommu_fail_nth(0, false);
	if (rc && (!hit || rc != -ENOMEM))
		fail_msg("%s: %d with allocation %u failing", scenario->name, rc, nth);
	if (rc) {
		assert_as_before(scenario, nth, before, rig_picture(&rig));
		assert_int_equal(scenario->act(&rig), 0);
	}
	rig_end(&rig);
	return hit;
}

static void every_failure_of(const struct scenario *scenario, enum iommufd_phys_mode phys)
{
	for (unsigned int sticky = 0; sticky < 2; sticky++) {
		unsigned int nth = 1;

		while (run(scenario, phys, nth, sticky))
			nth++;
		if (scenario->needs_nothing != (nth == 1))
			fail_msg("%s: %u allocations", scenario->name, nth - 1);
	}
}

static void every_failure_scattered(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++)
		every_failure_of(&scenarios[i], IOMMUFD_PHYS_SCATTERED);
}

static void every_failure_contiguous(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++)
		every_failure_of(&scenarios[i], IOMMUFD_PHYS_IDENTITY);
}

/* A context that cannot be made leaves nothing behind. */
static void every_failure_of_open(void **state)
{
	struct rig rig;
	unsigned int nth = 1;
	uint64_t usage;
	bool hit;

	do {
		rig_prepare(&rig);
		usage = mem_cgroup_usage(rig.memcg);
		uiommu_fail_nth(nth++, true);
		if (open_act(&rig)) {
			assert_int_equal(PTR_ERR(rig.ctx), -ENOMEM);
			assert_int_equal(mem_cgroup_usage(rig.memcg), usage);
			rig.ctx = NULL;
		}
		hit = uiommu_fail_nth(0, false);
		rig_end(&rig);
	} while (hit);
	assert_true(nth > 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_failure_of_open),
		cmocka_unit_test(every_failure_scattered),
		cmocka_unit_test(every_failure_contiguous),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
