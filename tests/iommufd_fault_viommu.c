/* SPDX-License-Identifier: MIT */
/*
 * Every call about vIOMMUs, PASIDs and dma-bufs, with every allocation failing.
 */
#include "tests/iommufd_fault.h"

enum {
	VIOMMU = FAULT,
	VDEVICE = OTHER_HWPT,
	QUEUE = OTHER_IOAS
};

static void nest_parent(struct rig *rig)
{
	fill(rig);
	assert_int_equal(
		rig_new_hwpt(rig, rig->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &rig->ids[HWPT]), 0);
}

static void viommu(struct rig *rig)
{
	uint64_t offset;

	nest_parent(rig);
	assert_int_equal(rig_new_sharing_viommu(rig, rig->ids[HWPT], &rig->ids[VIOMMU], &offset),
			 0);
}

static void vdevice(struct rig *rig)
{
	viommu(rig);
	assert_int_equal(rig_new_vdevice(rig, rig->ids[VIOMMU], 7, &rig->ids[VDEVICE]), 0);
}

static void veventq(struct rig *rig)
{
	viommu(rig);
	assert_int_equal(rig_new_veventq(rig, rig->ids[VIOMMU], 4, &rig->ids[QUEUE]), 0);
}

static void hw_queue(struct rig *rig)
{
	viommu(rig);
	assert_int_equal(rig_new_hw_queue(rig, rig->ids[VIOMMU], 0, 0, PAGE, &rig->ids[QUEUE]), 0);
}

static int viommu_act(struct rig *rig)
{
	uint64_t offset;

	return rig_new_sharing_viommu(rig, rig->ids[HWPT], &rig->ids[NEW], &offset);
}

static int nested_act(struct rig *rig)
{
	struct iommu_hwpt_vtd_s1 s1 = {.addr_width = 48};
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc),
		.flags = IOMMU_HWPT_ALLOC_PASID,
		.dev_id = rig->dev_id,
		.pt_id = rig->ids[VIOMMU],
		.data_type = IOMMU_HWPT_DATA_VTD_S1,
		.data_len = sizeof(s1),
		.data_uptr = (uintptr_t)&s1,
	};

	return rig_ioctl(rig, IOMMU_HWPT_ALLOC, &alloc);
}

static int vdevice_act(struct rig *rig)
{
	return rig_new_vdevice(rig, rig->ids[VIOMMU], 7, &rig->ids[NEW]);
}

static int veventq_act(struct rig *rig)
{
	return rig_new_veventq(rig, rig->ids[VIOMMU], 4, &rig->ids[NEW]);
}

static int hw_queue_act(struct rig *rig)
{
	return rig_new_hw_queue(rig, rig->ids[VIOMMU], 0, 0, PAGE, &rig->ids[NEW]);
}

static int destroy_act(struct rig *rig, unsigned int which)
{
	return rig_destroy(rig, rig->ids[which]);
}

static int destroy_viommu_act(struct rig *rig)
{
	return destroy_act(rig, VIOMMU);
}

static int destroy_vdevice_act(struct rig *rig)
{
	return destroy_act(rig, VDEVICE);
}

static int destroy_hw_queue_act(struct rig *rig)
{
	return destroy_act(rig, QUEUE);
}

/* Its vDEVICE goes with it. */
static int unbind_act(struct rig *rig)
{
	iommufd_device_unbind(rig->idev);
	rig->idev = NULL;
	return 0;
}

static int read_act(struct rig *rig)
{
	char events[64];

	return iommufd_file_read(rig->files[0].file, IOMMUFD_FILE_VEVENTQ, events, sizeof(events),
				 true) < 0;
}

/* ---- PASIDs ---- */

static void pasid_tables(struct rig *rig)
{
	fill(rig);
	for (unsigned int i = HWPT; i <= OTHER_HWPT; i++)
		assert_int_equal(rig_new_hwpt(rig, rig->ioas, IOMMU_HWPT_ALLOC_PASID, &rig->ids[i]),
				 0);
}

static int attach_pasid_act(struct rig *rig)
{
	return iommufd_device_attach_pasid(rig->idev, 5, rig->ids[HWPT]);
}

static void pasid_attached(struct rig *rig)
{
	pasid_tables(rig);
	assert_int_equal(attach_pasid_act(rig), 0);
}

static int replace_pasid_act(struct rig *rig)
{
	return iommufd_device_replace_pasid(rig->idev, 5, rig->ids[OTHER_HWPT]);
}

static int detach_pasid_act(struct rig *rig)
{
	iommufd_device_detach_pasid(rig->idev, 5);
	return 0;
}

/* ---- dma-bufs ---- */

static struct iommufd_dmabuf *dmabuf;

static int export_act(struct rig *rig)
{
	int fd = iommufd_dmabuf_export(rig->ctx, HUGE, 4 * PAGE, NULL, NULL, &dmabuf);

	if (fd < 0)
		return fd;
	iommufd_dmabuf_put(dmabuf); /* the file keeps it */
	return 0;
}

static void exported(struct rig *rig)
{
	filled_hwpt(rig);
	assert_int_equal(export_act(rig), 0);
}

static int map_dmabuf_act(struct rig *rig)
{
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | RIG_RW,
		.ioas_id = rig->ioas,
		.length = 4 * PAGE,
		.iova = 1ULL << 30,
	};

	return rig_ioctl(rig, IOMMU_IOAS_MAP_FILE, &map);
}

static void mapped_dmabuf(struct rig *rig)
{
	exported(rig);
	assert_int_equal(map_dmabuf_act(rig), 0);
}

static int revoke_act(struct rig *rig)
{
	iommufd_dmabuf_revoke(dmabuf, true);
	return 0;
}

static const struct scenario scenarios[] = {
	{"vIOMMU", false, nest_parent, viommu_act, false},
	{"destroy a vIOMMU", true, viommu, destroy_viommu_act, false},
	{"nested on a vIOMMU", false, viommu, nested_act, false},
	{"vDEVICE", false, viommu, vdevice_act, false},
	{"destroy a vDEVICE", true, vdevice, destroy_vdevice_act, false},
	{"unbind with a vDEVICE", true, vdevice, unbind_act, false},
	{"vEVENTQ", false, viommu, veventq_act, false},
	{"read events", true, veventq, read_act, false},
	{"hardware queue", false, viommu, hw_queue_act, false},
	{"destroy a hardware queue", true, hw_queue, destroy_hw_queue_act, false},
	{"attach a PASID", false, pasid_tables, attach_pasid_act, false},
	{"replace a PASID", true, pasid_attached, replace_pasid_act, false},
	{"detach a PASID", true, pasid_attached, detach_pasid_act, false},
	{"unbind with a PASID", true, pasid_attached, unbind_act, false},
	{"export a dma-buf", false, filled_hwpt, export_act, false},
	{"map a dma-buf", false, exported, map_dmabuf_act, false},
	{"revoke a dma-buf", true, mapped_dmabuf, revoke_act, false},
};

static void every_call(void **state)
{
	every_failure_of_all(scenarios, ARRAY_SIZE(scenarios));
}

/* An event that finds no memory is lost, and that is told: no call fails by it. */
static void an_event_without_memory_is_lost(void **state)
{
	const struct iommu_vevent_arm_smmuv3 event = {{1}};
	struct iommufd_vevent_header header;
	struct rig rig;

	rig_begin(&rig, IOMMUFD_PHYS_IDENTITY);
	veventq(&rig);
	uiommu_fail_nth(1, false);
	assert_int_equal(iommufd_viommu_report_event(rig.viommu, RIG_EVENT, &event, sizeof(event)),
			 -ENOSPC);
	assert_true(uiommu_fail_nth(0, false));
	assert_int_equal(iommufd_file_read(rig.files[0].file, IOMMUFD_FILE_VEVENTQ, &header,
					   sizeof(header), true),
			 sizeof(header));
	assert_int_equal(header.flags, IOMMU_VEVENTQ_FLAG_LOST_EVENTS);
	assert_int_equal(header.sequence, 0);
	rig_end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call),
		cmocka_unit_test(an_event_without_memory_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
