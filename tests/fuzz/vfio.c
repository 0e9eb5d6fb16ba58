/* SPDX-License-Identifier: MIT */
/* VFIO type1 on /dev/iommu, beside what the same address space gets by iommufd. */
#include "tests/fuzz/forms.h"

static const struct fuzz_form forms[] = {
	FORMS_VFIO,
	FORM(IOMMU_DESTROY, "si"),
	FORM(IOMMU_IOAS_MAP, "sfIzALV"),
	FORM(IOMMU_IOAS_UNMAP, "sIVL"),
	FORM(IOMMU_OPTION, "sthrIo"),
};
static void (*const calls[])(struct fuzz_caller *caller) = {fuzz_call_device, fuzz_call_access,
							    NULL};

static void begin(struct fuzz *fuzz)
{
	struct iommu_vfio_ioas set = {
		.size = sizeof(set), .ioas_id = fuzz->rig.ioas, .op = IOMMU_VFIO_IOAS_SET};

	assert_int_equal(rig_ioctl(&fuzz->rig, IOMMU_VFIO_IOAS, &set), 0);
	assert_int_equal(rig_map(&fuzz->rig, MOCK_APERTURE_START, 0, 16 * PAGE), 0);
}

FUZZ_FAMILY(forms, .calls = calls, .begin = begin);
