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

struct mock_device {
	struct iommufd_object obj;
	struct iommu_device *dev;
	struct iommufd_device *idev;
	uint32_t cache[MOCK_DEV_CACHE_NUM];
};

/* By the id of the mock device, or of what is bound for it. ERR_PTR. */
struct mock_device *iommufd_test_get_mock(struct iommufd_ctx *ctx, uint32_t id);
struct mock_device *iommufd_test_get_bound(struct iommufd_ctx *ctx, uint32_t id);
int iommufd_test_mock_domain(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
int iommufd_test_mock_domain_replace(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
int iommufd_test_trigger_iopf(struct iommufd_ctx *ctx, const struct iommu_test_cmd *cmd);

/* ---- selftest_nested.c ---- */

int iommufd_test_nested_alloc(void *context, const struct iommufd_user_data *data, void **nested);
void iommufd_test_nested_free(void *nested);
int iommufd_test_nested_invalidate(void *nested, const struct iommufd_user_data *array,
				   uint32_t *done);
int iommufd_test_paging_config(void *context, const struct iommufd_user_data *data,
			       struct iommu_domain_params *params);
int iommufd_test_check_iotlb(struct iommufd_ctx *ctx, const struct iommu_test_cmd *cmd);

/* ---- selftest_viommu.c ---- */

int iommufd_test_viommu_alloc(void *context, struct iommufd_viommu *viommu, uint32_t type,
			      const struct iommufd_user_data *data,
			      const struct iommufd_viommu_ops **ops, void **made);
int iommufd_test_check_cache(struct iommufd_ctx *ctx, const struct iommu_test_cmd *cmd);
int iommufd_test_trigger_vevent(struct iommufd_ctx *ctx, const struct iommu_test_cmd *cmd);

/* ---- selftest_pasid.c ---- */

int iommufd_test_pasid_attach(void *context, uint32_t pasid, struct iommu_domain *domain,
			      void *nested);
int iommufd_test_pasid(struct iommufd_ctx *ctx, const struct iommu_test_cmd *cmd);

/* ---- selftest_dmabuf.c ---- */

int iommufd_test_dmabuf_get(struct iommufd_ctx *ctx, const struct iommu_test_cmd *cmd);
int iommufd_test_dmabuf_revoke(struct iommufd_ctx *ctx, const struct iommu_test_cmd *cmd);

/* ---- selftest_access.c ---- */

int iommufd_test_create_access(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
int iommufd_test_access_replace_ioas(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
int iommufd_test_access_pages(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
int iommufd_test_destroy_access_pages(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
int iommufd_test_access_rw(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);

#endif
