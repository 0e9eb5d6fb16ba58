/* SPDX-License-Identifier: MIT */
/*
 * PASIDs of mock devices.
 */
#include <uiommu/iommufd_pasid.h>

#include "iommufd/selftest.h"

int iommufd_test_pasid_attach(void *context, uint32_t pasid, struct iommu_domain *domain,
			      void *nested)
{
	return nested && pasid == IOMMU_TEST_PASID_RESERVED ? -ENOMEM : 0;
}

static int check_hwpt(struct iommufd_ctx *ctx, const struct mock_device *mock, uint32_t pasid,
		      uint32_t hwpt_id)
{
	const struct iommufd_pasid *attached = iommufd_pasid_find(mock->idev, pasid);
	const struct iommufd_object *obj;

	if (!hwpt_id)
		return attached ? -EINVAL : 0;
	obj = iommufd_get_object(ctx, hwpt_id, IOMMUFD_OBJ_ANY);
	if (IS_ERR(obj))
		return (int)PTR_ERR(obj);
	return attached && &attached->hwpt->obj == obj ? 0 : -EINVAL;
}

int iommufd_test_pasid(struct iommufd_ctx *ctx, const struct iommu_test_cmd *cmd)
{
	const struct mock_device *mock = iommufd_test_get_mock(ctx, cmd->id);
	uint32_t pasid = cmd->pasid.pasid, pt_id = cmd->pasid.pt_id;

	if (IS_ERR(mock))
		return (int)PTR_ERR(mock);
	switch (cmd->op) {
	case IOMMU_TEST_OP_PASID_ATTACH:
		return iommufd_device_attach_pasid(mock->idev, pasid, pt_id);
	case IOMMU_TEST_OP_PASID_REPLACE:
		return iommufd_device_replace_pasid(mock->idev, pasid, pt_id);
	case IOMMU_TEST_OP_PASID_DETACH:
		iommufd_device_detach_pasid(mock->idev, pasid);
		return 0;
	default:
		return check_hwpt(ctx, mock, pasid, pt_id);
	}
}
