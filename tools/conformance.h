/* SPDX-License-Identifier: MIT */
/*
 * Put before the kernel's selftests of iommufd as Debian's linux-source-6.12 has
 * them: they are newer than its headers, and use these names of later kernels.
 */
#define in_data_type                  out_data_type /* they share their place */
#define IOMMU_HW_INFO_TYPE_DEFAULT    0
#define IOMMU_HW_INFO_FLAG_INPUT_TYPE (1 << 0)
#define MOCK_FLAGS_DEVICE_PASID       (1 << 2)
#define MOCK_PASID_WIDTH              20
