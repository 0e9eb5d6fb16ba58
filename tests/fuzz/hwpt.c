/* SPDX-License-Identifier: MIT */
/* Page tables for a device: nesting, invalidation, dirty tracking, hardware information. */
#include "tests/fuzz/forms.h"

static const struct fuzz_form forms[] = {
	FORMS_HWPT,
	FORMS_VIOMMU,
	FORMS_FAULT,
	FORM(IOMMU_DESTROY, "si"),
	FORM(IOMMU_IOAS_ALLOC, "szz"),
	FORM(IOMMU_IOAS_MAP, "sfIzALV"),
	FORM(IOMMU_IOAS_UNMAP, "sIVL"),
};
static void (*const calls[])(struct fuzz_caller *caller) = {fuzz_call_device, fuzz_call_pasid,
							    fuzz_call_dirty, fuzz_call_file, NULL};

static void begin(struct fuzz *fuzz)
{
	struct rig *rig = &fuzz->rig;
	uint32_t fault = 0;

	rig_map(rig, MOCK_APERTURE_START, 0, 16 * PAGE);
	assert_int_equal(rig_new_fault(rig, &fault), 0);
	assert_int_equal(rig_new_hwpt(rig, rig->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &rig->ids[0]),
			 0);
	rig_new_hwpt(rig, rig->ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &rig->ids[1]);
	assert_int_equal(rig_new_nested(rig, rig->ids[0], fault, &rig->ids[2]), 0);
}

FUZZ_FAMILY(forms, .calls = calls, .begin = begin);
