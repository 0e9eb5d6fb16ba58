/* SPDX-License-Identifier: MIT */
/*
 * What the files that answer IOMMU_TEST_CMD offer each other.
 */
#ifndef IOMMUFD_SELFTEST_H
#define IOMMUFD_SELFTEST_H

#include "iommufd/iommufd.h"
#include "iommufd/test_abi.h"

/* ---- selftest.c ---- */

/* MOCK_FLAGS_ACCESS_SYZ: the IOVA that "nth area, offset" stands for, or 0. */
uint64_t iommufd_test_syz_iova(struct io_pagetable *iopt, uint64_t code);

/* ---- selftest_device.c ---- */

int iommufd_test_mock_domain(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
int iommufd_test_mock_domain_replace(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
int iommufd_test_check_iotlb(struct iommufd_ctx *ctx, const struct iommu_test_cmd *cmd);
int iommufd_test_trigger_iopf(struct iommufd_ctx *ctx, const struct iommu_test_cmd *cmd);

/* ---- selftest_access.c ---- */

int iommufd_test_create_access(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
int iommufd_test_access_replace_ioas(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
int iommufd_test_access_pages(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
int iommufd_test_destroy_access_pages(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
int iommufd_test_access_rw(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);

#endif
