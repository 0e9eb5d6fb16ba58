/* SPDX-License-Identifier: MIT */
/*
 * What a program hands to a mock device for its tables, and a first stage that is nothing
 * but four values of an IOTLB.
 */
#include <string.h>

#include "iommufd/selftest.h"

#define LEN_6_12 (offsetof(struct iommu_hwpt_selftest, iotlb) + sizeof(__u32))

struct mock_nested {
	uint32_t iotlb[MOCK_NESTED_DOMAIN_IOTLB_NUM];
};

static int copy_config(const struct iommufd_user_data *data, struct iommu_hwpt_selftest *config)
{
	bool is_old = data->ctx->config.abi && data->ctx->config.abi < IOMMUFD_ABI_7_3;

	if (data->type != IOMMU_HWPT_DATA_SELFTEST)
		return -EOPNOTSUPP;
	if (data->entry_len == sizeof(*config))
		data->ctx->knows_7_3 = true;
	*config = (struct iommu_hwpt_selftest){0};
	return iommufd_copy_user_data(data, IOMMU_HWPT_DATA_SELFTEST, 0, config, LEN_6_12,
				      is_old ? LEN_6_12 : sizeof(*config));
}

int iommufd_test_paging_config(void *context, const struct iommufd_user_data *data,
			       struct iommu_domain_params *params)
{
	struct iommu_hwpt_selftest config;
	int rc = copy_config(data, &config);

	if (rc)
		return rc;
	if (iommufd_abi(data->ctx) < IOMMUFD_ABI_7_3 || config.pagetable_type > MOCK_IOMMUPT_HUGE)
		return -EOPNOTSUPP;
	params->pgsizes = MOCK_HUGE_PAGE_SIZE - MOCK_IO_PAGE_SIZE;
	if (config.pagetable_type == MOCK_IOMMUPT_HUGE)
		params->pgsizes |= MOCK_HUGE_PAGE_SIZE;
	return 0;
}

int iommufd_test_nested_alloc(void *context, const struct iommufd_user_data *data, void **nested)
{
	struct iommu_hwpt_selftest config;
	struct mock_nested *mock;
	int rc = copy_config(data, &config);

	if (rc)
		return rc;
	mock = kmalloc(sizeof(*mock), GFP_KERNEL_ACCOUNT, NULL);
	if (!mock)
		return -ENOMEM;
	for (unsigned int i = 0; i < MOCK_NESTED_DOMAIN_IOTLB_NUM; i++)
		mock->iotlb[i] = config.iotlb;
	*nested = mock;
	return 0;
}

void iommufd_test_nested_free(void *nested)
{
	kfree(nested);
}

static int invalidate_one(struct mock_nested *mock,
			  const struct iommu_hwpt_invalidate_selftest *inv)
{
	if (inv->flags & ~IOMMU_TEST_INVALIDATE_FLAG_ALL)
		return -EOPNOTSUPP;
	if (inv->iotlb_id > MOCK_NESTED_DOMAIN_IOTLB_ID_MAX)
		return -EINVAL;
	if (inv->flags)
		memset(mock->iotlb, 0, sizeof(mock->iotlb));
	else
		mock->iotlb[inv->iotlb_id] = 0;
	return 0;
}

int iommufd_test_nested_invalidate(void *nested, const struct iommufd_user_data *array,
				   uint32_t *done)
{
	struct iommu_hwpt_invalidate_selftest inv;
	int rc = 0;

	if (array->type != IOMMU_HWPT_INVALIDATE_DATA_SELFTEST)
		return -EINVAL;
	for (*done = 0; *done < array->entry_num; ++*done) {
		rc = iommufd_copy_user_data(array, IOMMU_HWPT_INVALIDATE_DATA_SELFTEST, *done, &inv,
					    sizeof(inv), sizeof(inv));
		if (!rc)
			rc = invalidate_one(nested, &inv);
		if (rc)
			break;
	}
	return rc;
}

int iommufd_test_check_iotlb(struct iommufd_ctx *ctx, const struct iommu_test_cmd *cmd)
{
	struct iommufd_object *obj = iommufd_get_object(ctx, cmd->id, IOMMUFD_OBJ_HWPT_NESTED);
	const struct mock_nested *mock;
	struct iommufd_hwpt *hwpt;

	if (IS_ERR(obj))
		return (int)PTR_ERR(obj);
	hwpt = container_of(obj, struct iommufd_hwpt, obj);
	if (hwpt->ops->nested_alloc != iommufd_test_nested_alloc)
		return -EINVAL;
	mock = hwpt->nested;
	if (cmd->check_iotlb.id > MOCK_NESTED_DOMAIN_IOTLB_ID_MAX ||
	    mock->iotlb[cmd->check_iotlb.id] != cmd->check_iotlb.iotlb)
		return -EINVAL;
	return 0;
}
