/* SPDX-License-Identifier: MIT */
/*
 * As iommufd_limits.c: a program that makes vIOMMUs and what belongs to them without end,
 * attached to nothing, meets its memory.max, and leaves nothing charged.
 */
#include "tests/iommufd_limits.h"

enum {
	PARENT,
	VIOMMU,
	TABLE
};

static void viommu_begin(struct rig *rig)
{
	budget_begin(rig);
	assert_int_equal(
		rig_new_hwpt(rig, rig->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &rig->ids[PARENT]), 0);
	assert_int_equal(rig_new_viommu(rig, rig->ids[PARENT], &rig->ids[VIOMMU]), 0);
}

static int viommu_step(struct rig *rig, unsigned int nth)
{
	uint32_t id;

	return rig_new_viommu(rig, rig->ids[PARENT], &id);
}

static void viommus_end(void **state)
{
	struct rig rig;

	viommu_begin(&rig);
	assert_in_range(exhaust(&rig, viommu_step), 100, BUDGET / 64);
	rig_end(&rig);
}

/* What it shares is charged by the page. The host has less than the budget here. */
static int sharing_step(struct rig *rig, unsigned int nth)
{
	uint64_t offset;
	uint32_t id;

	return rig_new_sharing_viommu(rig, rig->ids[PARENT], &id, &offset);
}

static void shared_memory_ends(void **state)
{
	struct rig rig;
	unsigned int nr;

	viommu_begin(&rig);
	cgroup_limit(rig.memcg, mem_cgroup_usage(rig.memcg) + 16 * PAGE);
	nr = exhaust(&rig, sharing_step);
	assert_in_range(nr, 8, 15);
	assert_true(cgroup_stat(rig.memcg, "kernel") >= nr * PAGE);
	rig_end(&rig);
}

static int nested_step(struct rig *rig, unsigned int nth)
{
	struct iommu_hwpt_vtd_s1 s1 = {.addr_width = 48};
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc),
		.dev_id = rig->dev_id,
		.pt_id = rig->ids[VIOMMU],
		.data_type = IOMMU_HWPT_DATA_VTD_S1,
		.data_len = sizeof(s1),
		.data_uptr = (uintptr_t)&s1,
	};

	return rig_ioctl(rig, IOMMU_HWPT_ALLOC, &alloc);
}

static void nested_tables_end(void **state)
{
	struct rig rig;

	viommu_begin(&rig);
	assert_in_range(exhaust(&rig, nested_step), 100, BUDGET / 64);
	rig_end(&rig);
}

/* One for each vIOMMU, and a device has one at a time: what is left of gone ones counts. */
static int vdevice_step(struct rig *rig, unsigned int nth)
{
	uint32_t id;
	int rc;

	if (!rig->idev) {
		rig->idev =
			iommufd_device_bind(rig->ctx, rig->dev, &rig_device_ops, rig, &rig->dev_id);
		if (IS_ERR(rig->idev)) {
			rc = (int)PTR_ERR(rig->idev);
			rig->idev = NULL;
			return rc;
		}
	}
	rc = rig_new_vdevice(rig, rig->ids[VIOMMU], nth, &id);
	if (rc)
		return rc;
	iommufd_device_unbind(rig->idev);
	rig->idev = NULL;
	return 0;
}

static void tombstones_end(void **state)
{
	struct rig rig;

	viommu_begin(&rig);
	/* All that is left of each is a slot of 8 bytes. */
	cgroup_limit(rig.memcg, mem_cgroup_usage(rig.memcg) + 8 * PAGE);
	assert_in_range(exhaust(&rig, vdevice_step), 1000, 8 * PAGE / 8);
	rig_end(&rig);
}

static int veventq_step(struct rig *rig, unsigned int nth)
{
	uint32_t id, viommu;
	int rc = rig_new_viommu(rig, rig->ids[PARENT], &viommu);

	if (rc)
		return rc;
	rc = rig_new_veventq(rig, viommu, 1, &id);
	if (!rc && rig->nr_files)
		rig_close_last_file(rig);
	return rc;
}

static void event_queues_end(void **state)
{
	struct rig rig;

	viommu_begin(&rig);
	assert_in_range(exhaust(&rig, veventq_step), 100, BUDGET / 64);
	rig_end(&rig);
}

static int event_step(struct rig *rig, unsigned int nth)
{
	const struct iommu_vevent_arm_smmuv3 event = {{nth}};
	int rc = iommufd_viommu_report_event(rig->viommu, RIG_EVENT, &event, sizeof(event));

	return rc == -ENOSPC ? -ENOMEM : rc;
}

/* Nobody reads them. A queue could hold more. */
static void events_end(void **state)
{
	struct rig rig;
	uint32_t id;

	viommu_begin(&rig);
	assert_int_equal(rig_new_veventq(&rig, rig.ids[VIOMMU], 1u << 19, &id), 0);
	assert_in_range(exhaust(&rig, event_step), BUDGET / 256, BUDGET / 32);
	assert_int_equal(event_step(&rig, 0), -ENOMEM);
	rig_end(&rig);
}

static int hw_queue_step(struct rig *rig, unsigned int nth)
{
	uint32_t id;

	return rig_new_hw_queue(rig, rig->ids[VIOMMU], nth, 0, 64, &id);
}

static void hardware_queues_end(void **state)
{
	struct rig rig;

	viommu_begin(&rig);
	assert_int_equal(rig_map(&rig, 0, 0, PAGE), 0);
	cgroup_limit(rig.memcg, mem_cgroup_usage(rig.memcg) + 16 * PAGE);
	assert_in_range(exhaust(&rig, hw_queue_step), 100, RIG_QUEUES - 1);
	rig_end(&rig);
}

static int pasid_step(struct rig *rig, unsigned int nth)
{
	return iommufd_device_attach_pasid(rig->idev, nth + RIG_REFUSES + 1, rig->ids[TABLE]);
}

static void pasids_end(void **state)
{
	struct rig rig;

	budget_begin(&rig);
	assert_int_equal(rig_new_hwpt(&rig, rig.ioas, IOMMU_HWPT_ALLOC_PASID, &rig.ids[TABLE]), 0);
	cgroup_limit(rig.memcg, mem_cgroup_usage(rig.memcg) + 16 * PAGE);
	assert_in_range(exhaust(&rig, pasid_step), 100, 16 * PAGE / 32);
	rig_end(&rig);
}

/* Their files are closed, so that what is mapped of them is all that is left. */
static int dmabuf_step(struct rig *rig, unsigned int nth)
{
	struct iommu_ioas_map_file map = {
		.size = sizeof(map), .flags = RIG_RW, .ioas_id = rig->ioas, .length = PAGE};
	struct iommufd_dmabuf *dmabuf;
	int fd = iommufd_dmabuf_export(rig->ctx, HUGE, PAGE, NULL, NULL, &dmabuf), rc;

	if (fd < 0)
		return fd;
	map.fd = fd;
	rc = rig_ioctl(rig, IOMMU_IOAS_MAP_FILE, &map);
	iommufd_dmabuf_put(dmabuf);
	rig_close_last_file(rig);
	return rc;
}

static void dmabufs_end(void **state)
{
	struct rig rig;

	budget_begin(&rig);
	assert_in_range(exhaust(&rig, dmabuf_step), 100, BUDGET / 64);
	rig_end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(viommus_end),         cmocka_unit_test(shared_memory_ends),
		cmocka_unit_test(nested_tables_end),   cmocka_unit_test(tombstones_end),
		cmocka_unit_test(event_queues_end),    cmocka_unit_test(events_end),
		cmocka_unit_test(hardware_queues_end), cmocka_unit_test(pasids_end),
		cmocka_unit_test(dmabufs_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
