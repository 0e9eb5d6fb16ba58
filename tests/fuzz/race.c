/* SPDX-License-Identifier: MIT */
/* Two threads on one context: everything, and files that are closed meanwhile. */
#include "tests/fuzz/forms.h"

static const struct fuzz_form forms[] = {FORMS_IOAS,  FORMS_HWPT, FORMS_VIOMMU,
					 FORMS_FAULT, FORMS_VFIO, FORMS_TEST};
static void (*const calls[])(struct fuzz_caller *caller) = {
	fuzz_call_device, fuzz_call_file, fuzz_call_file, fuzz_call_pasid, fuzz_call_dirty, NULL};

static void begin(struct fuzz *fuzz)
{
	struct rig *rig = &fuzz->rig;
	struct iommu_test_cmd access = {
		.size = sizeof(access),
		.op = IOMMU_TEST_OP_CREATE_ACCESS,
		.id = rig->ioas,
		.create_access.flags = MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
	};
	uint32_t fault = 0;

	assert_int_equal(rig_new_fault(rig, &fault), 0);
	assert_int_equal(rig_new_hwpt(rig, rig->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &rig->ids[0]),
			 0);
	assert_int_equal(rig_new_nested(rig, rig->ids[0], fault, &rig->ids[1]), 0);
	assert_int_equal(iommufd_device_attach(rig->idev, &rig->ids[1]), 0);
	assert_int_equal(rig_map(rig, MOCK_APERTURE_START, 0, 16 * PAGE), 0);
	assert_int_equal(rig_ioctl(rig, IOMMU_TEST_CMD, &access), 0);
}

FUZZ_FAMILY(forms, .calls = calls, .begin = begin, .test_abi = true, .racing = true);
