/* SPDX-License-Identifier: MIT */
/*
 * vIOMMUs and what belongs to one: who keeps whom, which errors come first, what a device
 * model is told, and where things lie in memory.
 */
#include <poll.h>

#include "tests/iommufd_rig.h"

enum {
	PARENT,
	VIOMMU,
	VDEVICE,
	QUEUE,
	NESTED,
	OTHER
};

/* A vIOMMU on a nest parent, and two pages at 0. */
static void begin(struct rig *rig)
{
	rig_begin(rig, IOMMUFD_PHYS_IDENTITY);
	assert_int_equal(
		rig_new_hwpt(rig, rig->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &rig->ids[PARENT]), 0);
	assert_int_equal(rig_new_viommu(rig, rig->ids[PARENT], &rig->ids[VIOMMU]), 0);
	assert_int_equal(rig_map(rig, 0, 0, 2 * PAGE), 0);
}

static int alloc_viommu(struct rig *rig, struct iommu_viommu_alloc alloc)
{
	alloc.size = sizeof(alloc);
	return rig_ioctl(rig, IOMMU_VIOMMU_ALLOC, &alloc);
}

static void a_viommu_stands_on_a_nest_parent(void **state)
{
	struct rig rig;
	uint32_t plain = 0;

	begin(&rig);
#define refuses(error, ...) \
	assert_int_equal(alloc_viommu(&rig, (struct iommu_viommu_alloc){__VA_ARGS__}), -(error))
	assert_int_equal(rig_new_hwpt(&rig, rig.ioas, 0, &plain), 0);
	refuses(EOPNOTSUPP, .type = 0, .dev_id = rig.dev_id, .hwpt_id = rig.ids[PARENT]);
	refuses(EOPNOTSUPP, .flags = 1, .type = RIG_VIOMMU, .dev_id = rig.dev_id,
		.hwpt_id = rig.ids[PARENT]);
	refuses(EOPNOTSUPP, .__reserved = 1, .type = RIG_VIOMMU, .dev_id = rig.dev_id,
		.hwpt_id = rig.ids[PARENT]);
	refuses(ENOENT, .type = RIG_VIOMMU, .dev_id = rig.ioas, .hwpt_id = rig.ids[PARENT]);
	refuses(ENOENT, .type = RIG_VIOMMU, .dev_id = rig.dev_id, .hwpt_id = rig.ioas);
	refuses(EINVAL, .type = RIG_VIOMMU, .dev_id = rig.dev_id, .hwpt_id = plain);
	refuses(EOPNOTSUPP, .type = 99, .dev_id = rig.dev_id, .hwpt_id = rig.ids[PARENT]);
	refuses(EFAULT, .type = RIG_VIOMMU, .dev_id = rig.dev_id, .hwpt_id = rig.ids[PARENT],
		.data_len = 16, .data_uptr = 8);
#undef refuses
	assert_int_equal(rig.viommus_live, 1);
	assert_int_equal(rig_destroy(&rig, rig.ids[PARENT]), -EBUSY);
	assert_int_equal(rig_destroy(&rig, rig.ids[VIOMMU]), 0);
	assert_int_equal(rig.viommus_live, 0);
	assert_int_equal(rig_destroy(&rig, rig.ids[PARENT]), 0);
	rig_end(&rig);
}

/* A nested table of a vIOMMU is for devices that it knows. */
static void a_device_has_a_number_in_it(void **state)
{
	struct iommu_viommu_arm_smmuv3_invalidate commands[2] = {{{7}}, {{8}}};
	struct iommu_hwpt_invalidate invalidate = {
		.size = sizeof(invalidate),
		.data_uptr = (uintptr_t)commands,
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
		.entry_len = sizeof(commands[0]),
		.entry_num = 2,
	};
	struct rig rig;
	uint32_t pt, fault = 0;

	begin(&rig);
	assert_int_equal(rig_new_fault(&rig, &fault), 0);
	assert_int_equal(rig_new_nested(&rig, rig.ids[VIOMMU], fault, &rig.ids[NESTED]), 0);
	assert_int_equal(rig_destroy(&rig, rig.ids[VIOMMU]), -EBUSY);
	pt = rig.ids[NESTED];
	assert_int_equal(iommufd_device_attach(rig.idev, &pt), -ENOENT);
	assert_null(rig.hw.uses);
	assert_int_equal(rig_new_vdevice(&rig, rig.ids[PARENT], 7, &rig.ids[VDEVICE]), -ENOENT);
	assert_int_equal(rig_new_vdevice(&rig, rig.ids[VIOMMU], 7, &rig.ids[VDEVICE]), 0);
	assert_int_equal(rig_new_vdevice(&rig, rig.ids[VIOMMU], 8, &rig.ids[OTHER]), -EEXIST);
	assert_int_equal(iommufd_device_attach(rig.idev, &pt), 0);

	invalidate.hwpt_id = rig.ids[VIOMMU];
	assert_int_equal(rig_ioctl(&rig, IOMMU_HWPT_INVALIDATE, &invalidate), -EIO);
	assert_int_equal(invalidate.entry_num, 1);
	invalidate.hwpt_id = rig.ids[VDEVICE];
	assert_int_equal(rig_ioctl(&rig, IOMMU_HWPT_INVALIDATE, &invalidate), -EINVAL);

	/* Another vIOMMU is not the one that has its number. */
	iommufd_device_detach(rig.idev);
	assert_int_equal(rig_destroy(&rig, rig.ids[VDEVICE]), 0);
	assert_int_equal(rig_new_viommu(&rig, rig.ids[PARENT], &rig.ids[OTHER]), 0);
	assert_int_equal(rig_new_vdevice(&rig, rig.ids[OTHER], 7, &rig.ids[VDEVICE]), 0);
	assert_int_equal(iommufd_device_attach(rig.idev, &pt), -ENOENT);
	rig_end(&rig);
}

/* Its id is not given to anything else: a program that destroys it must not hit that. */
static void a_vdevice_goes_with_its_device(void **state)
{
	struct rig rig;

	begin(&rig);
	assert_int_equal(rig_new_vdevice(&rig, rig.ids[VIOMMU], 1, &rig.ids[VDEVICE]), 0);
	iommufd_device_unbind(rig.idev);
	rig.idev = NULL;
	assert_int_equal(rig_destroy(&rig, rig.ids[VDEVICE]), -ENOENT);
	for (unsigned int i = 0; i < 40; i++)
		assert_int_not_equal(rig_new_ioas(&rig), rig.ids[VDEVICE]);
	assert_int_equal(rig_destroy(&rig, rig.ids[VIOMMU]), 0);
	rig_end(&rig);
}

/* ---- events ---- */

static int report(struct rig *rig, uint64_t number)
{
	const struct iommu_vevent_arm_smmuv3 event = {{number, 2, 3, 4}};

	return iommufd_viommu_report_event(rig->viommu, RIG_EVENT, &event, sizeof(event));
}

struct event {
	struct iommufd_vevent_header header;
	struct iommu_vevent_arm_smmuv3 data;
};

static ssize_t read_file(const struct rig *rig, void *to, size_t length)
{
	return iommufd_file_read(rig->files[0].file, IOMMUFD_FILE_VEVENTQ, to, length, true);
}

static short poll_file(const struct rig *rig)
{
	return iommufd_file_poll(rig->files[0].file, IOMMUFD_FILE_VEVENTQ,
				 POLLIN | POLLOUT | POLLPRI);
}

static void events_are_numbered(void **state)
{
	struct event got[4];
	struct rig rig;

	begin(&rig);
	assert_int_equal(report(&rig, 0), -EOPNOTSUPP);
	assert_int_equal(rig_new_veventq(&rig, rig.ids[VIOMMU], 0, &rig.ids[QUEUE]), -EINVAL);
	assert_int_equal(rig_new_veventq(&rig, rig.ids[VIOMMU], (1u << 19) + 1, &rig.ids[QUEUE]),
			 -EINVAL);
	assert_int_equal(rig_new_veventq(&rig, rig.ids[PARENT], 2, &rig.ids[QUEUE]), -ENOENT);
	assert_int_equal(rig_new_veventq(&rig, rig.ids[VIOMMU], 2, &rig.ids[QUEUE]), 0);
	assert_int_equal(rig_new_veventq(&rig, rig.ids[VIOMMU], 2, &rig.ids[OTHER]), -EEXIST);
	assert_int_equal(poll_file(&rig), 0);
	assert_int_equal(read_file(&rig, got, sizeof(got)), 0);
	assert_int_equal(read_file(&rig, got, sizeof(got[0].header) - 1), -EINVAL);
	assert_int_equal(iommufd_file_write(rig.files[0].file, IOMMUFD_FILE_VEVENTQ, got, 8),
			 -EINVAL);

	assert_int_equal(report(&rig, 70), 0);
	assert_int_equal(poll_file(&rig), POLLIN);
	assert_int_equal(read_file(&rig, got, sizeof(got[0]) - 1), -EINVAL);
	assert_int_equal(read_file(&rig, (void *)8, sizeof(got)), -EFAULT);
	assert_int_equal(report(&rig, 71), 0);
	assert_int_equal(read_file(&rig, got, 2 * sizeof(got[0]) - 1), sizeof(got[0]));
	assert_int_equal(got[0].header.sequence, 0);
	assert_int_equal(got[0].header.flags, 0);
	assert_int_equal(got[0].data.evt[0], 70);
	assert_int_equal(read_file(&rig, got, sizeof(got)), sizeof(got[0]));
	assert_int_equal(got[0].header.sequence, 1);
	assert_int_equal(got[0].data.evt[0], 71);
	assert_int_equal(poll_file(&rig), 0);
	assert_int_equal(rig_destroy(&rig, rig.ids[QUEUE]), -EBUSY);
	rig_end(&rig);
}

/* Two fit. What is lost shows by numbers, or at the end by a header of its own. */
static void lost_events_are_told(void **state)
{
	struct event got[4];
	const struct iommufd_vevent_header *lost = &got[2].header;
	struct rig rig;

	begin(&rig);
	assert_int_equal(rig_new_veventq(&rig, rig.ids[VIOMMU], 2, &rig.ids[QUEUE]), 0);
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(report(&rig, i), i < 2 ? 0 : -ENOSPC);
	/* One is read: there is room for number 5, and it tells what the header would. */
	assert_int_equal(read_file(&rig, got, sizeof(got[0])), sizeof(got[0]));
	assert_int_equal(report(&rig, 5), 0);
	assert_int_equal(read_file(&rig, got, sizeof(got)), 2 * sizeof(got[0]));
	assert_int_equal(got[0].header.sequence, 1);
	assert_int_equal(got[1].header.sequence, 5);
	assert_int_equal(got[1].data.evt[0], 5);

	for (unsigned int i = 6; i < 10; i++)
		report(&rig, i);
	assert_int_equal(read_file(&rig, got, 2 * sizeof(got[0]) + sizeof(*lost)),
			 2 * sizeof(got[0]) + sizeof(*lost));
	assert_int_equal(got[1].header.sequence, 7);
	assert_int_equal(lost->flags, IOMMU_VEVENTQ_FLAG_LOST_EVENTS);
	assert_int_equal(lost->sequence, 9);
	assert_int_equal(poll_file(&rig), 0);
	assert_int_equal(report(&rig, 10), 0);
	assert_int_equal(read_file(&rig, got, sizeof(got)), sizeof(got[0]));
	assert_int_equal(got[0].header.sequence, 10);
	rig_end(&rig);
}

/* As of a fault queue; what was reported before can still be read. */
static void a_file_may_outlive_its_queue(void **state)
{
	struct event got[2];
	struct rig rig;

	begin(&rig);
	assert_int_equal(rig_new_veventq(&rig, rig.ids[VIOMMU], 8, &rig.ids[QUEUE]), 0);
	assert_int_equal(report(&rig, 1), 0);
	assert_int_equal(report(&rig, 2), 0);
	iommufd_device_unbind(rig.idev);
	iommufd_ctx_destroy(rig.ctx);
	rig.idev = NULL;
	rig.ctx = NULL;
	assert_int_equal(poll_file(&rig), POLLIN);
	assert_int_equal(read_file(&rig, got, sizeof(got[0])), sizeof(got[0]));
	rig_end(&rig);
}

/* ---- queues of the hardware ---- */

static void a_queue_pins_its_memory(void **state)
{
	uint64_t at = PAGE + 64;
	struct rig rig;
	char *page;

	begin(&rig);
	page = rig.memory + PAGE;
#define refuses(error, index, iova, length)                                                    \
	assert_int_equal(                                                                      \
		rig_new_hw_queue(&rig, rig.ids[VIOMMU], index, iova, length, &rig.ids[OTHER]), \
		-(error))
	refuses(EINVAL, 0, at, 0);
	refuses(EOVERFLOW, 0, UINT64_MAX - 5, 7);
	refuses(ENOENT, 0, PAGE, 2 * PAGE);
	refuses(EIO, 1, at, 128);
	refuses(EINVAL, RIG_QUEUES, at, 128);
	assert_int_equal(iopt_pages_pin_count((uintptr_t)page), 1);
	assert_int_equal(rig_new_hw_queue(&rig, rig.ids[VIOMMU], 0, at, 128, &rig.ids[QUEUE]), 0);
	assert_int_equal(rig.queue_paddr, (uintptr_t)page + 64);
	refuses(EEXIST, 0, at, 128);
#undef refuses
	assert_int_equal(rig_unmap(&rig, 0, 2 * PAGE), -EBUSY);
	assert_int_equal(rig_unmap(&rig, 0, UINT64_MAX), -EBUSY);
	assert_int_equal(rig_new_hw_queue(&rig, rig.ids[VIOMMU], 1, 0, 2 * PAGE, &rig.ids[OTHER]),
			 0);
	assert_int_equal(rig.queue_paddr, (uintptr_t)rig.memory);
	assert_int_equal(rig_destroy(&rig, rig.ids[QUEUE]), -EBUSY);
	assert_int_equal(rig_destroy(&rig, rig.ids[OTHER]), 0);
	assert_int_equal(rig_unmap(&rig, 0, 2 * PAGE), -EBUSY);
	assert_int_equal(rig_destroy(&rig, rig.ids[QUEUE]), 0);
	assert_int_equal(rig_unmap(&rig, 0, 2 * PAGE), 0);
	assert_int_equal(iopt_pages_pin_count((uintptr_t)page), 0);
	rig_end(&rig);
}

/* The hardware has one address for all of it, also where two areas make it up. */
static void a_queue_is_in_one_piece(void **state)
{
	struct rig rig;

	begin(&rig);
	assert_int_equal(rig_map(&rig, 2 * PAGE, 2 * PAGE, PAGE), 0);
	assert_int_equal(rig_map(&rig, 3 * PAGE, 9 * PAGE, PAGE), 0);
	assert_int_equal(
		rig_new_hw_queue(&rig, rig.ids[VIOMMU], 0, PAGE, 2 * PAGE, &rig.ids[QUEUE]), 0);
	assert_int_equal(
		rig_new_hw_queue(&rig, rig.ids[VIOMMU], 1, 2 * PAGE, PAGE + 1, &rig.ids[OTHER]),
		-EFAULT);
	assert_int_equal(rig_unmap(&rig, 3 * PAGE, PAGE), 0);
	rig_end(&rig);

	rig_begin(&rig, IOMMUFD_PHYS_SCATTERED);
	assert_int_equal(
		rig_new_hwpt(&rig, rig.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &rig.ids[PARENT]), 0);
	assert_int_equal(rig_new_viommu(&rig, rig.ids[PARENT], &rig.ids[VIOMMU]), 0);
	assert_int_equal(rig_map(&rig, 0, 0, 2 * PAGE), 0);
	assert_int_equal(rig_new_hw_queue(&rig, rig.ids[VIOMMU], 0, 0, 2 * PAGE, &rig.ids[QUEUE]),
			 -EFAULT);
	assert_int_equal(rig_new_hw_queue(&rig, rig.ids[VIOMMU], 0, 0, PAGE, &rig.ids[QUEUE]), 0);
	rig_end(&rig);
}

/* ---- memory that is shared ---- */

static void memory_is_mapped_whole(void **state)
{
	uint64_t offset[3];
	uint32_t id[3];
	struct rig rig;

	begin(&rig);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(rig_new_sharing_viommu(&rig, rig.ids[PARENT], &id[i], &offset[i]),
				 0);
	assert_int_equal(rig.shared_bytes, 3 * PAGE);
	assert_int_equal(iommufd_mmap(rig.ctx, offset[1], PAGE), 0);
	assert_int_equal(iommufd_mmap(rig.ctx, offset[1], 1), 0);
	assert_int_equal(iommufd_mmap(rig.ctx, offset[1], 2 * PAGE), -ENXIO);
	assert_int_equal(iommufd_mmap(rig.ctx, offset[1] + 1, PAGE), -ENXIO);
	assert_int_equal(iommufd_mmap(rig.ctx, 3 * PAGE, PAGE), -ENXIO);
	rig.is_mapped = true;
	assert_int_equal(rig_destroy(&rig, id[1]), -EBUSY);
	/* Nobody has ever mapped it. */
	assert_int_equal(rig_destroy(&rig, id[0]), 0);
	rig.is_mapped = false;
	assert_int_equal(rig_destroy(&rig, id[1]), 0);
	assert_int_equal(iommufd_mmap(rig.ctx, offset[1], PAGE), -ENXIO);
	/* Places are given out again. */
	assert_int_equal(rig_new_sharing_viommu(&rig, rig.ids[PARENT], &id[0], &offset[2]), 0);
	assert_int_equal(offset[2], offset[0]);
	rig_end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_viommu_stands_on_a_nest_parent),
		cmocka_unit_test(a_device_has_a_number_in_it),
		cmocka_unit_test(a_vdevice_goes_with_its_device),
		cmocka_unit_test(events_are_numbered),
		cmocka_unit_test(lost_events_are_told),
		cmocka_unit_test(a_file_may_outlive_its_queue),
		cmocka_unit_test(a_queue_pins_its_memory),
		cmocka_unit_test(a_queue_is_in_one_piece),
		cmocka_unit_test(memory_is_mapped_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
