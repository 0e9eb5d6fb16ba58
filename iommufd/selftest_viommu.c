/* SPDX-License-Identifier: MIT */
/*
 * vIOMMUs of mock devices: they invalidate what a device has cached, report events, and
 * have two queues and a page of memory.
 */
#include <string.h>

#include <uiommu/iommufd_viommu.h>

#include "iommufd/pages.h"
#include "iommufd/selftest.h"

#define MOCK_SHARED_SIZE (2 * IOPT_PAGE_SIZE)

struct mock_viommu {
	struct iommufd_viommu *viommu;
};

static void viommu_free(void *made)
{
	kfree(made);
}

static int nested_alloc(void *made, const struct iommufd_user_data *data, void **nested)
{
	return iommufd_test_nested_alloc(NULL, data, nested);
}

static int invalidate_one(const struct mock_viommu *mock,
			  const struct iommu_viommu_invalidate_selftest *inv)
{
	struct mock_device *device;

	if (inv->flags & ~IOMMU_TEST_INVALIDATE_FLAG_ALL)
		return -EOPNOTSUPP;
	if (inv->cache_id > MOCK_DEV_CACHE_ID_MAX)
		return -EINVAL;
	device = iommufd_viommu_find_device(mock->viommu, inv->vdev_id);
	if (!device)
		return -EINVAL;
	if (inv->flags)
		memset(device->cache, 0, sizeof(device->cache));
	else
		device->cache[inv->cache_id] = 0;
	return 0;
}

static int invalidate(void *made, const struct iommufd_user_data *array, uint32_t *done)
{
	struct iommu_viommu_invalidate_selftest inv;
	int rc = 0;

	if (array->type != IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST)
		return -EINVAL;
	for (*done = 0; *done < array->entry_num; ++*done) {
		rc = iommufd_copy_user_data(array, IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST, *done,
					    &inv, sizeof(inv), sizeof(inv));
		if (!rc)
			rc = invalidate_one(made, &inv);
		if (rc)
			break;
	}
	return rc;
}

static int hw_queue_alloc(void *made, uint32_t index, uint64_t paddr, uint64_t length, void **queue)
{
	*queue = made; /* nothing reads it */
	return 0;
}

static void hw_queue_free(void *queue)
{
}

static const struct iommufd_viommu_ops viommu_ops = {
	.free = viommu_free,
	.nested_alloc = nested_alloc,
	.invalidate = invalidate,
	.veventq_type = IOMMU_VEVENTQ_TYPE_SELFTEST,
	.hw_queue_type = IOMMU_HW_QUEUE_TYPE_SELFTEST,
	.hw_queues = IOMMU_TEST_HW_QUEUE_MAX,
	.hw_queue_alloc = hw_queue_alloc,
	.hw_queue_free = hw_queue_free,
};

/* Give back what the program has handed in, and in a page that it can map. */
static int loop_back(struct iommufd_viommu *viommu, const struct iommufd_user_data *data)
{
	struct iommu_viommu_selftest loop;
	uint64_t offset;
	uint32_t *page;
	int rc = iommufd_copy_user_data(data, IOMMU_VIOMMU_TYPE_SELFTEST, 0, &loop, sizeof(loop),
					sizeof(loop));

	if (rc)
		return rc;
	page = iommufd_viommu_share(viommu, MOCK_SHARED_SIZE, &offset);
	if (IS_ERR(page))
		return (int)PTR_ERR(page);
	*page = loop.out_data = loop.in_data;
	loop.out_mmap_offset = offset;
	loop.out_mmap_length = MOCK_SHARED_SIZE;
	return iommufd_copy_to_user_data(data, &loop, sizeof(loop));
}

int iommufd_test_viommu_alloc(void *context, struct iommufd_viommu *viommu, uint32_t type,
			      const struct iommufd_user_data *data,
			      const struct iommufd_viommu_ops **ops, void **made)
{
	struct mock_viommu *mock;
	int rc;

	if (type != IOMMU_VIOMMU_TYPE_SELFTEST)
		return -EOPNOTSUPP;
	mock = kzalloc(sizeof(*mock), GFP_KERNEL_ACCOUNT, NULL);
	if (!mock)
		return -ENOMEM;
	mock->viommu = viommu;
	rc = data ? loop_back(viommu, data) : 0;
	if (rc) {
		kfree(mock);
		return rc;
	}
	*ops = &viommu_ops;
	*made = mock;
	return 0;
}

int iommufd_test_check_cache(struct iommufd_ctx *ctx, const struct iommu_test_cmd *cmd)
{
	const struct mock_device *mock = iommufd_test_get_bound(ctx, cmd->id);

	if (IS_ERR(mock))
		return (int)PTR_ERR(mock);
	if (cmd->check_dev_cache.id > MOCK_DEV_CACHE_ID_MAX ||
	    mock->cache[cmd->check_dev_cache.id] != cmd->check_dev_cache.cache)
		return -EINVAL;
	return 0;
}

int iommufd_test_trigger_vevent(struct iommufd_ctx *ctx, const struct iommu_test_cmd *cmd)
{
	const struct mock_device *mock = iommufd_test_get_bound(ctx, cmd->trigger_vevent.dev_id);
	struct iommu_viommu_event_selftest event;
	struct iommufd_viommu *viommu;
	uint64_t virt_id;
	int rc;

	if (IS_ERR(mock))
		return (int)PTR_ERR(mock);
	viommu = iommufd_device_viommu(mock->idev, &virt_id);
	if (!viommu)
		return -ENOENT;
	event.virt_id = (uint32_t)virt_id;
	rc = iommufd_viommu_report_event(viommu, IOMMU_VEVENTQ_TYPE_SELFTEST, &event,
					 sizeof(event));
	/* Hardware goes on when an event is lost. */
	return rc == -ENOSPC ? 0 : rc;
}
