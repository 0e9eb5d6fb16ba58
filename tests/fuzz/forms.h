/* SPDX-License-Identifier: MIT */
/* The ioctls of each family. */
#ifndef TESTS_FUZZ_FORMS_H
#define TESTS_FUZZ_FORMS_H

#include "tests/fuzz/harness.h"

/* clang-format off */
#define FORM(cmd, fields) {cmd, fields, 0, 0}

#define FORMS_IOAS                                   \
	FORM(IOMMU_DESTROY, "si"),                       \
	FORM(IOMMU_IOAS_ALLOC, "szz"),                   \
	FORM(IOMMU_IOAS_ALLOW_IOVAS, "sInzP"),           \
	FORM(IOMMU_IOAS_COPY, "sfIILVV"),                \
	FORM(IOMMU_IOAS_IOVA_RANGES, "sInzPZ"),          \
	FORM(IOMMU_IOAS_MAP, "sfIzALV"),                 \
	FORM(IOMMU_IOAS_MAP_FILE, "sfIdLLV"),            \
	FORM(IOMMU_IOAS_UNMAP, "sIVL"),                  \
	FORM(IOMMU_OPTION, "sthrIo"),                    \
	FORM(IOMMU_OPTION, "shhrzo"),                    \
	FORM(IOMMU_IOAS_CHANGE_PROCESS, "sz")

#define FORMS_HWPT                                   \
	FORM(IOMMU_HWPT_ALLOC, "sfDQzzzzZFz"),           \
	FORM(IOMMU_HWPT_ALLOC, "sfDHzztnPFz"),           \
	FORM(IOMMU_GET_HW_INFO, "szDnPzzZ"),             \
	FORM(IOMMU_HWPT_SET_DIRTY_TRACKING, "sfHz"),     \
	FORM(IOMMU_HWPT_GET_DIRTY_BITMAP, "sHfzVLpP"),   \
	FORM(IOMMU_HWPT_INVALIDATE, "sHPtnnz")

#define FORMS_VIOMMU                                 \
	FORM(IOMMU_VIOMMU_ALLOC, "sztDHzzzZ"),           \
	FORM(IOMMU_VIOMMU_ALLOC, "sztDHznzP"),           \
	FORM(IOMMU_VDEVICE_ALLOC, "svDzV"),              \
	FORM(IOMMU_VEVENTQ_ALLOC, "szvtnzzz"),           \
	FORM(IOMMU_HW_QUEUE_ALLOC, "szvtnzVL"),          \
	FORM(IOMMU_HWPT_INVALIDATE, "svPtnnz"),          \
	FORM(IOMMU_IOAS_MAP_FILE, "sfIaLLV"),            \
	FORM(IOMMU_IOAS_NOIOMMU_GET_PA, "szIzVLZ")

#define FORMS_FAULT                                  \
	FORM(IOMMU_FAULT_QUEUE_ALLOC, "szzz")

#define FORMS_VFIO                                   \
	FORM(IOMMU_VFIO_IOAS, "sIhr"),                   \
	FORM(VFIO_GET_API_VERSION, ""),                  \
	FORM(VFIO_CHECK_EXTENSION, ""),                  \
	FORM(VFIO_SET_IOMMU, ""),                        \
	FORM(VFIO_IOMMU_GET_INFO, "sfZnzPPPP"),          \
	FORM(VFIO_IOMMU_MAP_DMA, "sfAVL"),               \
	FORM(VFIO_IOMMU_UNMAP_DMA, "sfVLPP"),            \
	FORM(VFIO_IOMMU_DIRTY_PAGES, "sfVLpLP")

#define TEST_FORM(op, fields) \
	{IOMMU_TEST_CMD, fields, op, sizeof(struct iommu_test_cmd)}

#define FORMS_TEST                                                   \
	TEST_FORM(IOMMU_TEST_OP_ADD_RESERVED, "sOIzVL"),             \
	TEST_FORM(IOMMU_TEST_OP_MOCK_DOMAIN, "sOQzzzz"),             \
	TEST_FORM(IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS, "sOQzzzzf"),      \
	TEST_FORM(IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, "sOSzQ"),       \
	TEST_FORM(IOMMU_TEST_OP_MD_CHECK_MAP, "sOHzVLA"),            \
	TEST_FORM(IOMMU_TEST_OP_MD_CHECK_REFS, "sOzzLAn"),           \
	TEST_FORM(IOMMU_TEST_OP_MD_CHECK_IOTLB, "sOHznn"),           \
	TEST_FORM(IOMMU_TEST_OP_CREATE_ACCESS, "sOIzzf"),            \
	TEST_FORM(IOMMU_TEST_OP_ACCESS_REPLACE_IOAS, "sOazI"),       \
	TEST_FORM(IOMMU_TEST_OP_ACCESS_PAGES, "sOazfzVLA"),          \
	TEST_FORM(IOMMU_TEST_OP_ACCESS_PAGES, "sOazfzVLZ"),          \
	TEST_FORM(IOMMU_TEST_OP_DESTROY_ACCESS_PAGES, "sOazn"),      \
	TEST_FORM(IOMMU_TEST_OP_ACCESS_RW, "sOazVLAf"),              \
	TEST_FORM(IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT, "sOzzn"),     \
	TEST_FORM(IOMMU_TEST_OP_DIRTY, "sOHzfzVLpPZ"),               \
	TEST_FORM(IOMMU_TEST_OP_TRIGGER_IOPF, "sOzzDnnnV"),          \
	TEST_FORM(IOMMU_TEST_OP_DEV_CHECK_CACHE, "sODznn"),          \
	TEST_FORM(IOMMU_TEST_OP_TRIGGER_VEVENT, "sOzzD"),            \
	TEST_FORM(IOMMU_TEST_OP_PASID_ATTACH, "sOSznQ"),             \
	TEST_FORM(IOMMU_TEST_OP_PASID_REPLACE, "sOSznQ"),            \
	TEST_FORM(IOMMU_TEST_OP_PASID_DETACH, "sOSzn"),              \
	TEST_FORM(IOMMU_TEST_OP_PASID_CHECK_HWPT, "sOSznH"),         \
	TEST_FORM(IOMMU_TEST_OP_DMABUF_GET, "sOzzp"),                \
	TEST_FORM(IOMMU_TEST_OP_DMABUF_REVOKE, "sOzzan")
/* clang-format on */

#define FUZZ_FAMILY(table, ...)                  \
	const struct fuzz_family fuzz_family = { \
		.forms = table, .nr_forms = ARRAY_SIZE(table), __VA_ARGS__}

#endif
