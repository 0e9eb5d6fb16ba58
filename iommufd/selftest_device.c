/* SPDX-License-Identifier: MIT */
/*
 * Mock devices: no hardware, tables of the format "mock", and a first stage that
 * is nothing but four values of an IOTLB.
 *
 * A mock device is an object of its own, which owns the device of the core and
 * its binding: destroying it detaches and unbinds.
 */
#include <stdio.h>
#include <string.h>

#include "iommufd/selftest.h"

struct mock_device {
	struct iommufd_object obj;
	struct iommu_device *dev;
	struct iommufd_device *idev;
};

struct mock_nested {
	uint32_t iotlb[MOCK_NESTED_DOMAIN_IOTLB_NUM];
};

/* ---- what the core asks of it ---- */

static int attach_dev(struct iommu_domain *domain, struct iommu_device *dev,
		      struct iommu_domain *old)
{
	struct iommu_domain_info info;

	/* Domains of a real device in the same context are of another make. */
	iommu_domain_get_info(domain, &info);
	return info.format && !strcmp(info.format, "mock") ? 0 : -EINVAL;
}

static void detach_dev(struct iommu_domain *domain, struct iommu_device *dev)
{
}

static const struct iommu_device_ops core_ops = {
	.attach_dev = attach_dev,
	.detach_dev = detach_dev,
};

/* ---- what iommufd asks of it ---- */

static int hw_info(void *context, void *buf, size_t len, uint32_t *type, size_t *full)
{
	static const struct iommu_test_hw_info info = {
		.test_reg = IOMMU_HW_INFO_SELFTEST_REGVAL,
	};

	memcpy(buf, &info, MIN(len, sizeof(info)));
	*type = IOMMU_HW_INFO_TYPE_SELFTEST;
	*full = sizeof(info);
	return 0;
}

static int nested_alloc(void *context, const struct iommufd_user_data *data, void **nested)
{
	struct iommu_hwpt_selftest config;
	struct mock_nested *mock;
	int rc;

	if (data->type != IOMMU_HWPT_DATA_SELFTEST)
		return -EOPNOTSUPP;
	rc = iommufd_copy_user_data(data, IOMMU_HWPT_DATA_SELFTEST, 0, &config, sizeof(config),
				    sizeof(config));
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

static void nested_free(void *nested)
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

static int nested_invalidate(void *nested, const struct iommufd_user_data *array, uint32_t *done)
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

/* clang-format off */
#define MOCK_OPS(flags) {                                                                    \
	.hw_info = hw_info,                                                                  \
	.nested_alloc = nested_alloc,                                                        \
	.nested_free = nested_free,                                                          \
	.nested_invalidate = nested_invalidate,                                              \
	.dirty_tracking = !((flags) & MOCK_FLAGS_DEVICE_NO_DIRTY),                           \
	.max_pasid_log2 = (flags) & MOCK_FLAGS_DEVICE_PASID ? MOCK_PASID_WIDTH : 0,          \
	.format = "mock",                                                                    \
	.pgsizes = (flags) & MOCK_FLAGS_DEVICE_HUGE_IOVA ? 0 : MOCK_IO_PAGE_SIZE,            \
}
/* clang-format on */

/* One for each combination of flags, since they must outlive the devices. */
static const struct iommufd_device_ops mock_ops[MOCK_FLAGS_DEVICE_ALL + 1] = {
	MOCK_OPS(0), MOCK_OPS(1), MOCK_OPS(2), MOCK_OPS(3),
	MOCK_OPS(4), MOCK_OPS(5), MOCK_OPS(6), MOCK_OPS(7),
};

/* ---- the operations ---- */

/* Register, bind and attach; undone by mock_device_leave() as far as it went. */
static int mock_device_enter(struct iommufd_ctx *ctx, struct mock_device *mock, uint32_t flags,
			     struct iommu_test_cmd *cmd)
{
	uint32_t pt_id = cmd->id;
	char name[32];
	int rc;

	if (flags & ~MOCK_FLAGS_DEVICE_ALL)
		return -EINVAL;
	snprintf(name, sizeof(name), "iommufd_mock%u", mock->obj.id);
	mock->dev = iommu_device_register(name, &core_ops, mock, NULL, GFP_KERNEL_ACCOUNT);
	if (IS_ERR(mock->dev)) {
		rc = (int)PTR_ERR(mock->dev);
		mock->dev = NULL;
		return rc;
	}
	mock->idev = iommufd_device_bind(ctx, mock->dev, &mock_ops[flags], mock,
					 &cmd->mock_domain.out_idev_id);
	if (IS_ERR(mock->idev)) {
		rc = (int)PTR_ERR(mock->idev);
		mock->idev = NULL;
		return rc;
	}
	rc = iommufd_device_attach(mock->idev, &pt_id);
	cmd->mock_domain.out_hwpt_id = pt_id;
	cmd->mock_domain.out_stdev_id = mock->obj.id;
	return rc;
}

static void mock_device_leave(struct mock_device *mock)
{
	if (mock->idev)
		iommufd_device_unbind(mock->idev);
	iommu_device_unregister(mock->dev);
}

int iommufd_test_mock_domain(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	uint32_t flags = 0;
	struct mock_device *mock;
	int rc;

	mock = iommufd_object_alloc(ucmd->ctx, sizeof(*mock), IOMMUFD_OBJ_SELFTEST);
	if (IS_ERR(mock))
		return (int)PTR_ERR(mock);
	if (cmd->op == IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS)
		flags = cmd->mock_domain.dev_flags;
	rc = mock_device_enter(ucmd->ctx, mock, flags, cmd);
	if (!rc)
		rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc) {
		mock_device_leave(mock);
		iommufd_object_abort(ucmd->ctx, &mock->obj);
		return rc;
	}
	iommufd_object_finalize(ucmd->ctx, &mock->obj);
	return 0;
}

void iommufd_selftest_destroy(struct iommufd_object *obj)
{
	mock_device_leave(container_of(obj, struct mock_device, obj));
}

int iommufd_test_mock_domain_replace(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	struct iommufd_object *obj = iommufd_get_object(ucmd->ctx, cmd->id, IOMMUFD_OBJ_SELFTEST);
	int rc;

	if (IS_ERR(obj))
		return (int)PTR_ERR(obj);
	rc = iommufd_device_replace(container_of(obj, struct mock_device, obj)->idev,
				    &cmd->mock_domain_replace.pt_id);
	return rc ? rc : iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}

int iommufd_test_check_iotlb(struct iommufd_ctx *ctx, const struct iommu_test_cmd *cmd)
{
	struct iommufd_object *obj = iommufd_get_object(ctx, cmd->id, IOMMUFD_OBJ_HWPT_NESTED);
	const struct mock_nested *mock;
	struct iommufd_hwpt *hwpt;

	if (IS_ERR(obj))
		return (int)PTR_ERR(obj);
	hwpt = container_of(obj, struct iommufd_hwpt, obj);
	if (hwpt->ops->nested_alloc != nested_alloc)
		return -EINVAL;
	mock = hwpt->nested;
	if (cmd->check_iotlb.id > MOCK_NESTED_DOMAIN_IOTLB_ID_MAX ||
	    mock->iotlb[cmd->check_iotlb.id] != cmd->check_iotlb.iotlb)
		return -EINVAL;
	return 0;
}

int iommufd_test_trigger_iopf(struct iommufd_ctx *ctx, const struct iommu_test_cmd *cmd)
{
	struct iommufd_object *obj =
		iommufd_get_object(ctx, cmd->trigger_iopf.dev_id, IOMMUFD_OBJ_DEVICE);
	struct iommu_hwpt_pgfault request = {
		.flags = cmd->trigger_iopf.pasid ? IOMMU_PGFAULT_FLAGS_PASID_VALID : 0,
		.pasid = cmd->trigger_iopf.pasid,
		.grpid = cmd->trigger_iopf.grpid,
		.perm = cmd->trigger_iopf.perm,
		.addr = cmd->trigger_iopf.addr,
	};
	struct iommufd_device *idev;

	if (IS_ERR(obj))
		return (int)PTR_ERR(obj);
	idev = container_of(obj, struct iommufd_device, obj);
	if (idev->ops->nested_alloc != nested_alloc)
		return -EINVAL;
	/* A device is not told whether anybody takes its request. */
	iommufd_device_report_iopf(idev, &request, 1);
	return 0;
}
