/* SPDX-License-Identifier: MIT */
/* IOMMU_TEST_CMD: mock devices, accesses that pin, dirty pages. */
#include "tests/fuzz/forms.h"

static const struct fuzz_form forms[] = {
	FORMS_TEST,
	FORMS_HWPT,
	FORMS_VIOMMU,
	FORM(IOMMU_DESTROY, "si"),
	FORM(IOMMU_IOAS_ALLOC, "szz"),
	FORM(IOMMU_IOAS_MAP, "sfIzALV"),
	FORM(IOMMU_IOAS_UNMAP, "sIVL"),
	FORM(IOMMU_IOAS_COPY, "sfIILVV"),
};
static void (*const calls[])(struct fuzz_caller *caller) = {fuzz_call_file, fuzz_call_device,
							    fuzz_call_pasid, NULL};

static void begin(struct fuzz *fuzz)
{
	struct iommu_test_cmd access = {
		.size = sizeof(access),
		.op = IOMMU_TEST_OP_CREATE_ACCESS,
		.id = fuzz->rig.ioas,
		.create_access.flags = MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
	};
	struct iommu_test_cmd mock = {
		.size = sizeof(mock), .op = IOMMU_TEST_OP_MOCK_DOMAIN, .id = fuzz->rig.ioas};

	assert_int_equal(rig_map(&fuzz->rig, MOCK_APERTURE_START, 0, 16 * PAGE), 0);
	assert_int_equal(rig_ioctl(&fuzz->rig, IOMMU_TEST_CMD, &access), 0);
	assert_int_equal(rig_ioctl(&fuzz->rig, IOMMU_TEST_CMD, &mock), 0);
}

FUZZ_FAMILY(forms, .calls = calls, .begin = begin, .test_abi = true);
