/* SPDX-License-Identifier: MIT */
/*
 * Every call about contexts, devices and page tables, with every allocation failing.
 */
#include "tests/iommufd_fault.h"

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

static const struct scenario scenarios[] = {
	{"bind", false, unbind, bind_act, false},
	{"unbind", true, attached, unbind_act, false},
	{"close", true, other_ioas_with_hwpt, close_act, false},
	{"close with a nested table", true, page_requested, close_act, false},
	{"DESTROY of an HWPT", true, two_hwpts, destroy_hwpt_act, false},
	{"HWPT_ALLOC", false, nothing, hwpt_act, false},
	{"HWPT_ALLOC of a full IOAS", false, fill, hwpt_act, false},
	{"HWPT_ALLOC beside another", false, two_hwpts, dirty_hwpt_act, false},
	{"HWPT_ALLOC of a parent", false, fill, parent_act, false},
	{"HWPT_ALLOC nested", false, nest_parent, nested_act, false},
	{"HWPT_INVALIDATE", true, nested_attached, invalidate_act, false},
	{"GET_HW_INFO", true, nothing, hw_info_act, false},
	{"attach to an IOAS", false, fill, attach_ioas_act, false},
	{"attach to an HWPT", false, two_hwpts, attach_act, false},
	{"replace", false, attached, replace_act, false},
	{"replace by an IOAS", false, other_ioas, replace_ioas_act, false},
	{"detach", true, attached, detach_act, false},
	{"HWPT_SET_DIRTY_TRACKING", true, two_hwpts, track_act, false},
	{"HWPT_GET_DIRTY_BITMAP", true, tracking, bitmap_act, false},
	{"FAULT_QUEUE_ALLOC", false, nothing, fault_act, false},
	{"page request", false, nested_attached, page_request_act, false},
	{"read of a page request", true, page_requested, read_act, false},
};

static void every_failure(void **state)
{
	every_failure_of_all(scenarios, ARRAY_SIZE(scenarios));
}

static int open_act(struct rig *rig)
{
	rig_open(rig, IOMMUFD_PHYS_SCATTERED);
	if (!IS_ERR(rig->ctx))
		return 0;
	return (int)PTR_ERR(rig->ctx);
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
		cmocka_unit_test(every_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
