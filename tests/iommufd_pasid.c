/* SPDX-License-Identifier: MIT */
/*
 * PASIDs of a device: what they can be attached to, what keeps the device's own table, what
 * the model is told, and where page requests go.
 */
#include "hw/pasid.h"
#include "tests/hw.h"
#include "tests/iommufd_rig.h"

enum {
	PLAIN,
	TABLE,
	OTHER,
	PARENT,
	NESTED,
	FAULT
};

/* Two tables for PASIDs and one that is not. */
static void begin(struct rig *rig)
{
	rig_begin(rig, IOMMUFD_PHYS_IDENTITY);
	assert_int_equal(rig_new_hwpt(rig, rig->ioas, 0, &rig->ids[PLAIN]), 0);
	for (unsigned int i = TABLE; i <= OTHER; i++)
		assert_int_equal(rig_new_hwpt(rig, rig->ioas, IOMMU_HWPT_ALLOC_PASID, &rig->ids[i]),
				 0);
}

static struct iommu_domain *domain_of(const struct rig *rig, uint32_t id)
{
	const struct iommufd_object *obj =
		iommufd_get_object(rig->ctx, id, IOMMUFD_OBJ_HWPT_PAGING);

	assert_false(IS_ERR(obj));
	return container_of(obj, struct iommufd_hwpt, obj)->domain;
}

static void the_model_is_told(void **state)
{
	struct rig rig;

	begin(&rig);
	assert_int_equal(iommufd_device_attach_pasid(rig.idev, 3, rig.ids[TABLE]), 0);
	assert_ptr_equal(rig.pasid_domain[3], domain_of(&rig, rig.ids[TABLE]));
	assert_int_equal(iommufd_device_attach_pasid(rig.idev, 5, rig.ids[TABLE]), 0);
	assert_int_equal(iommufd_device_replace_pasid(rig.idev, 3, rig.ids[OTHER]), 0);
	assert_ptr_equal(rig.pasid_domain[3], domain_of(&rig, rig.ids[OTHER]));
	assert_ptr_equal(rig.pasid_domain[5], domain_of(&rig, rig.ids[TABLE]));
	assert_int_equal(rig_destroy(&rig, rig.ids[TABLE]), -EBUSY);
	iommufd_device_detach_pasid(rig.idev, 5);
	iommufd_device_detach_pasid(rig.idev, 5);
	assert_null(rig.pasid_domain[5]);
	assert_int_equal(rig_destroy(&rig, rig.ids[TABLE]), 0);
	/* What is left goes with the device. */
	iommufd_device_unbind(rig.idev);
	rig.idev = NULL;
	assert_null(rig.pasid_domain[3]);
	assert_int_equal(rig_destroy(&rig, rig.ids[OTHER]), 0);
	rig_end(&rig);
}

/* What the hardware finds for a PASID; that there is no table is that it finds nothing. */
static enum hw_fault find(const struct rig *rig, uint32_t pasid, struct hw_pasid_entry *entry)
{
	const struct iommu_pasid_table *table = iommufd_device_pasid_table(rig->idev);
	struct hw_pasid_tables hw = {.layout = HW_PASID_VTD, .memory = &hw_arena};
	struct iommu_pasid_info info;

	if (!table)
		return HW_FAULT_NOT_PRESENT;
	iommu_pasid_get_info(table, &info);
	hw.root = info.root;
	hw.bits = info.pasid_bits;
	return hw_pasid_find(&hw, pasid, entry);
}

/* A device that reads its own table translates as the program wants; and it is charged. */
static void the_hardware_finds_it(void **state)
{
	struct hw_pasid_entry entry;
	struct hw_translation got;
	struct hw_tables tables;
	struct rig rig;
	uint64_t before;

	begin(&rig);
	assert_int_equal(rig_map(&rig, HUGE, 0, PAGE), 0);
	before = cgroup_stat(rig.memcg, "sec_pagetables");
	assert_int_equal(iommufd_device_attach_pasid(rig.idev, 3, rig.ids[TABLE]), 0);
	/* A directory of 2^10 items, and a table. */
	assert_int_equal(cgroup_stat(rig.memcg, "sec_pagetables"), before + 3 * PAGE);
	assert_int_equal(find(&rig, 3, &entry), HW_FAULT_NONE);
	assert_null(entry.first.format);
	assert_int_equal(entry.id, rig.ids[TABLE]);
	tables = (struct hw_tables){.format = hw_format_find(entry.second.format),
				    .memory = &hw_arena,
				    .root = entry.second.root,
				    .address_width = entry.second.width};
	assert_int_equal(hw_translate(&tables, HUGE + 9, HW_READ, &got), HW_FAULT_NONE);
	assert_int_equal(got.paddr, (uintptr_t)rig.memory + 9);
	assert_int_equal(find(&rig, 4, &entry), HW_FAULT_NOT_PRESENT);
	/* Refused by the model: the hardware does not see it. */
	assert_int_equal(iommufd_device_attach_pasid(rig.idev, RIG_REFUSES, rig.ids[TABLE]), -EIO);
	assert_int_equal(find(&rig, RIG_REFUSES, &entry), HW_FAULT_NOT_PRESENT);
	assert_int_equal(iommufd_device_replace_pasid(rig.idev, 3, rig.ids[OTHER]), 0);
	assert_int_equal(find(&rig, 3, &entry), HW_FAULT_NONE);
	assert_int_equal(entry.id, rig.ids[OTHER]);
	assert_int_not_equal(entry.second.root, tables.root);
	assert_true(rig.pasid_flushes > 0);
	iommufd_device_detach_pasid(rig.idev, 3);
	assert_null(iommufd_device_pasid_table(rig.idev));
	assert_int_equal(cgroup_stat(rig.memcg, "sec_pagetables"), before);
	rig_end(&rig);
}

static void what_does_not_fit_is_refused(void **state)
{
	struct rig rig;

	begin(&rig);
#define refuses(error, pasid, pt) \
	assert_int_equal(iommufd_device_attach_pasid(rig.idev, pasid, pt), -(error))
	refuses(EINVAL, 0, rig.ids[TABLE]);
	refuses(EINVAL, 1u << RIG_PASIDS, rig.ids[TABLE]);
	refuses(EINVAL, 3, rig.ids[PLAIN]);
	refuses(EINVAL, 3, rig.ioas);
	refuses(EINVAL, 3, rig.dev_id);
	refuses(ENOENT, 3, 999);
	refuses(EIO, RIG_REFUSES, rig.ids[TABLE]);
	assert_int_equal(iommufd_device_replace_pasid(rig.idev, 3, rig.ids[TABLE]), -EINVAL);
	assert_int_equal(
		iommufd_device_attach_pasid(rig.idev, (1u << RIG_PASIDS) - 1, rig.ids[TABLE]), 0);
	assert_int_equal(iommufd_device_attach_pasid(rig.idev, 3, rig.ids[TABLE]), 0);
	refuses(EBUSY, 3, rig.ids[TABLE]);
	refuses(EBUSY, 3, rig.ids[OTHER]);
#undef refuses
	assert_int_equal(iommufd_device_replace_pasid(rig.idev, 3, rig.ids[PLAIN]), -EINVAL);
	assert_int_equal(iommufd_device_replace_pasid(rig.idev, 3, rig.ioas), -EINVAL);
	assert_int_equal(iommufd_device_replace_pasid(rig.idev, 3, rig.ids[TABLE]), 0);
	assert_ptr_equal(rig.pasid_domain[3], domain_of(&rig, rig.ids[TABLE]));
	rig_end(&rig);
}

/* The device's own table is one for PASIDs, or it has none. */
static void the_device_keeps_to_such_tables(void **state)
{
	struct rig rig;
	uint32_t pt;

	begin(&rig);
	pt = rig.ids[PLAIN];
	assert_int_equal(iommufd_device_attach(rig.idev, &pt), 0);
	assert_int_equal(iommufd_device_attach_pasid(rig.idev, 3, rig.ids[TABLE]), -EINVAL);
	pt = rig.ids[OTHER];
	assert_int_equal(iommufd_device_replace(rig.idev, &pt), 0);
	assert_int_equal(iommufd_device_attach_pasid(rig.idev, 3, rig.ids[TABLE]), 0);
	pt = rig.ids[PLAIN];
	assert_int_equal(iommufd_device_replace(rig.idev, &pt), -EINVAL);
	iommufd_device_detach(rig.idev);
	pt = rig.ioas;
	assert_int_equal(iommufd_device_attach(rig.idev, &pt), -EINVAL);
	iommufd_device_detach_pasid(rig.idev, 3);
	assert_int_equal(iommufd_device_attach(rig.idev, &pt), 0);
	rig_end(&rig);
}

static int request(struct rig *rig, uint32_t pasid)
{
	const struct iommu_hwpt_pgfault one = {
		.flags = IOMMU_PGFAULT_FLAGS_PASID_VALID, .pasid = pasid, .addr = PAGE};

	return iommufd_device_report_iopf(rig->idev, &one, 1);
}

static uint32_t nested_with_queue(struct rig *rig, unsigned int nth)
{
	struct iommu_hwpt_vtd_s1 s1 = {.addr_width = 48};
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc),
		.flags = IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID,
		.dev_id = rig->dev_id,
		.pt_id = rig->ids[PARENT],
		.data_type = IOMMU_HWPT_DATA_VTD_S1,
		.data_len = sizeof(s1),
		.data_uptr = (uintptr_t)&s1,
	};

	assert_int_equal(rig_new_fault(rig, &alloc.fault_id), 0);
	assert_int_equal(rig->nr_files, nth + 1);
	assert_int_equal(rig_ioctl(rig, IOMMU_HWPT_ALLOC, &alloc), 0);
	return alloc.out_hwpt_id;
}

static unsigned int requests_in(struct rig *rig, unsigned int file)
{
	struct iommu_hwpt_pgfault got[8];
	ssize_t length = iommufd_file_read(rig->files[file].file, IOMMUFD_FILE_FAULT, got,
					   sizeof(got), true);

	assert_true(length >= 0);
	return (unsigned int)((size_t)length / sizeof(got[0]));
}

/* To the queue of the PASID's table, else of the device's; what leaves is answered there. */
static void requests_go_by_pasid(void **state)
{
	struct hw_pasid_entry entry;
	uint32_t own, of_pasid;
	struct rig rig;

	begin(&rig);
	assert_int_equal(
		rig_new_hwpt(&rig, rig.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &rig.ids[PARENT]), 0);
	own = nested_with_queue(&rig, 0);
	of_pasid = nested_with_queue(&rig, 1);
	assert_int_equal(request(&rig, 3), -EINVAL);
	assert_int_equal(iommufd_device_attach_pasid(rig.idev, 3, of_pasid), 0);
	/* The program's first stage above the parent. */
	assert_int_equal(find(&rig, 3, &entry), HW_FAULT_NONE);
	assert_int_equal(entry.first.root, 77 * PAGE);
	assert_non_null(entry.second.format);
	assert_int_equal(request(&rig, 3), 0);
	assert_int_equal(request(&rig, 4), -EINVAL);
	assert_int_equal(iommufd_device_attach(rig.idev, &own), 0);
	assert_int_equal(request(&rig, 4), 0);
	assert_int_equal(request(&rig, 3), 0);
	assert_int_equal(requests_in(&rig, 0), 1);
	assert_int_equal(requests_in(&rig, 1), 2);
	assert_int_equal(rig.responses, 0);
	/* The device's own goes: the PASID's stay. */
	iommufd_device_detach(rig.idev);
	assert_int_equal(rig.responses, 1);
	assert_int_equal(iommufd_device_replace_pasid(rig.idev, 3, rig.ids[TABLE]), 0);
	assert_int_equal(rig.responses, 3);
	assert_int_equal(request(&rig, 3), -EINVAL);
	rig_end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_model_is_told),
		cmocka_unit_test(the_hardware_finds_it),
		cmocka_unit_test(what_does_not_fit_is_refused),
		cmocka_unit_test(the_device_keeps_to_such_tables),
		cmocka_unit_test(requests_go_by_pasid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
