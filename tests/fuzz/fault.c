/* SPDX-License-Identifier: MIT */
/* Fault queues: what their files read, write and poll, page requests, detaching. */
#include "tests/fuzz/forms.h"

static const struct fuzz_form forms[] = {
	FORMS_FAULT,
	FORM(IOMMU_DESTROY, "si"),
	FORM(IOMMU_HWPT_ALLOC, "sfDIzzzzZFz"),
	FORM(IOMMU_HWPT_ALLOC, "sfDHzztnPFz"),
	TEST_FORM(IOMMU_TEST_OP_MOCK_DOMAIN, "sOQzzzz"),
	TEST_FORM(IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, "sOSzQ"),
	TEST_FORM(IOMMU_TEST_OP_TRIGGER_IOPF, "sOzzDnnnV"),
};
static void (*const calls[])(struct fuzz_caller *caller) = {
	fuzz_call_device, fuzz_call_file, fuzz_call_file, fuzz_call_file, fuzz_call_file, NULL};

/* The device's requests are in the queue of file 0. */
static void begin(struct fuzz *fuzz)
{
	struct rig *rig = &fuzz->rig;
	struct iommu_hwpt_pgfault requests[2] = {{.grpid = 3}, {.grpid = 3}};
	uint32_t fault = 0;

	assert_int_equal(rig_new_fault(rig, &fault), 0);
	assert_int_equal(rig_new_hwpt(rig, rig->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &rig->ids[0]),
			 0);
	assert_int_equal(rig_new_nested(rig, rig->ids[0], fault, &rig->ids[1]), 0);
	assert_int_equal(iommufd_device_attach(rig->idev, &rig->ids[1]), 0);
	assert_int_equal(iommufd_device_report_iopf(rig->idev, requests, 2), 0);
}

FUZZ_FAMILY(forms, .calls = calls, .begin = begin, .test_abi = true);
