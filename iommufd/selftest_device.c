/* SPDX-License-Identifier: MIT */
/*
 * Mock devices: no hardware, and tables of the format "mock".
 *
 * A mock device is an object of its own, which owns the device of the core and
 * its binding: destroying it detaches and unbinds.
 */
#include <stdio.h>
#include <string.h>

#include "iommufd/selftest.h"

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

/* clang-format off */
#define MOCK_OPS(flags) {                                                                    \
	.hw_info = hw_info,                                                                  \
	.nested_alloc = iommufd_test_nested_alloc,                                           \
	.nested_free = iommufd_test_nested_free,                                             \
	.nested_invalidate = iommufd_test_nested_invalidate,                                 \
	.pasid_attach = iommufd_test_pasid_attach,                                           \
	.paging_config = iommufd_test_paging_config,                                         \
	.viommu_alloc = iommufd_test_viommu_alloc,                                           \
	.pasid_domains = true,                                                               \
	.dirty_tracking = !((flags) & MOCK_FLAGS_DEVICE_NO_DIRTY),                           \
	.max_pasid_log2 = (flags) & MOCK_FLAGS_DEVICE_PASID ? MOCK_PASID_WIDTH : 0,          \
	.format = "mock",                                                                    \
	.pgsizes = MOCK_IO_PAGE_SIZE |                                                       \
		   ((flags) & MOCK_FLAGS_DEVICE_HUGE_IOVA ? MOCK_HUGE_PAGE_SIZE : 0),        \
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

	if (flags & ~MOCK_FLAGS_DEVICE_ALL ||
	    (flags & MOCK_FLAGS_DEVICE_HUGE_IOVA && iommufd_abi(ctx) >= IOMMUFD_ABI_7_3))
		return -EINVAL;
	for (unsigned int i = 0; i < MOCK_DEV_CACHE_NUM; i++)
		mock->cache[i] = IOMMU_TEST_DEV_CACHE_DEFAULT;
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

struct mock_device *iommufd_test_get_mock(struct iommufd_ctx *ctx, uint32_t id)
{
	struct iommufd_object *obj = iommufd_get_object(ctx, id, IOMMUFD_OBJ_SELFTEST);

	return IS_ERR(obj) ? (void *)obj : container_of(obj, struct mock_device, obj);
}

struct mock_device *iommufd_test_get_bound(struct iommufd_ctx *ctx, uint32_t id)
{
	struct iommufd_object *obj = iommufd_get_object(ctx, id, IOMMUFD_OBJ_DEVICE);
	struct iommufd_device *idev;

	if (IS_ERR(obj))
		return (void *)obj;
	idev = container_of(obj, struct iommufd_device, obj);
	return idev->ops->hw_info == hw_info ? idev->ops_context : ERR_PTR(-EINVAL);
}

int iommufd_test_mock_domain_replace(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	struct mock_device *mock = iommufd_test_get_mock(ucmd->ctx, cmd->id);
	int rc;

	if (IS_ERR(mock))
		return (int)PTR_ERR(mock);
	rc = iommufd_device_replace(mock->idev, &cmd->mock_domain_replace.pt_id);
	return rc ? rc : iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}

int iommufd_test_trigger_iopf(struct iommufd_ctx *ctx, const struct iommu_test_cmd *cmd)
{
	const struct mock_device *mock = iommufd_test_get_bound(ctx, cmd->trigger_iopf.dev_id);
	struct iommu_hwpt_pgfault request = {
		.flags = cmd->trigger_iopf.pasid ? IOMMU_PGFAULT_FLAGS_PASID_VALID : 0,
		.pasid = cmd->trigger_iopf.pasid,
		.grpid = cmd->trigger_iopf.grpid,
		.perm = cmd->trigger_iopf.perm,
		.addr = cmd->trigger_iopf.addr,
	};

	if (IS_ERR(mock))
		return (int)PTR_ERR(mock);
	/* A device is not told whether anybody takes its request. */
	iommufd_device_report_iopf(mock->idev, &request, 1);
	return 0;
}
