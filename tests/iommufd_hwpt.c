/* SPDX-License-Identifier: MIT */
/*
 * Devices and what they are attached to, page tables that ioctls make: what each
 * call does to hardware that remembers what it was told, and each errno.
 */
#include "tests/iommufd_bench.h"

/* ---- attach, replace, detach ---- */

static void groups_go_together(void **state)
{
	uint32_t first, second, third, own;
	struct bench b;

	begin(&b);
	first = second = third = b.ioas;
	assert_int_equal(attach(&b, 0, &first), 0);
	assert_ptr_equal(b.hw[0].uses, domain_of(&b, first));
	assert_ptr_equal(b.hw[1].uses, b.hw[0].uses);
	assert_null(b.hw[2].uses);
	/* An automatic page table is shared, but one of the caller's never chosen. */
	assert_int_equal(new_hwpt(&b, 2, b.ioas, 0, &own), 0);
	assert_int_equal(attach(&b, 2, &third), 0);
	assert_int_equal(third, first);
	assert_int_equal(attach(&b, 1, &own), -EINVAL);
	assert_int_equal(attach(&b, 1, &second), 0);
	assert_int_equal(second, first);
	assert_int_equal(attach(&b, 1, &second), -EINVAL);
	assert_int_equal(destroy(&b.fd, first), -EBUSY);
	assert_int_equal(destroy(&b.fd, b.id[0]), -EBUSY);
	iommufd_device_detach(b.idev[0]);
	assert_non_null(b.hw[0].uses);
	iommufd_device_detach(b.idev[1]);
	iommufd_device_detach(b.idev[1]);
	assert_null(b.hw[0].uses);
	assert_null(b.hw[1].uses);
	assert_non_null(domain_of(&b, first));
	iommufd_device_detach(b.idev[2]);
	assert_int_equal(destroy(&b.fd, first), -ENOENT);
	assert_int_equal(destroy(&b.fd, own), 0);
	assert_int_equal(destroy(&b.fd, b.ioas), 0);
	own = 4711;
	assert_int_equal(attach(&b, 0, &own), -ENOENT);
	assert_int_equal(attach(&b, 0, &b.id[1]), -EINVAL);
	end(&b);
}

static void replace_never_lets_go(void **state)
{
	uint32_t hwpt, other_ioas, pt, second;
	struct bench b;

	begin(&b);
	add_region(&b.hw[1], 0xfee00000, MIB, 0, IOMMU_RESV_MSI);
	other_ioas = new_ioas(&b.fd);
	pt = b.ioas;
	assert_int_equal(iommufd_device_replace(b.idev[0], &pt), -EINVAL);
	assert_int_equal(attach(&b, 0, &pt), 0);
	second = pt;
	assert_int_equal(attach(&b, 1, &second), 0);
	assert_int_equal(new_hwpt(&b, 0, other_ioas, 0, &hwpt), 0);

	/* One device refuses: nobody has moved, nothing is reserved. */
	b.hw[1].refuses = domain_of(&b, hwpt);
	b.hw[1].attach_error = -EIO;
	assert_int_equal(iommufd_device_replace(b.idev[0], &hwpt), -EIO);
	assert_ptr_equal(b.hw[0].uses, domain_of(&b, pt));
	assert_ptr_equal(b.hw[1].uses, domain_of(&b, pt));
	assert_int_equal(map_at(&b, other_ioas, 0xfee00000, 0, 1), 0);
	b.hw[1].refuses = NULL;
	assert_int_equal(iommufd_device_replace(b.idev[0], &hwpt), -EADDRINUSE);
	assert_ptr_equal(b.hw[0].uses, domain_of(&b, pt));
	assert_int_not_equal(map_at(&b, b.ioas, 0xfee00000, 0, 1), 0);

	/* Both go, in one step each, and the page table that was made for them with them. */
	assert_int_equal(destroy(&b.fd, hwpt), 0);
	other_ioas = new_ioas(&b.fd);
	assert_int_equal(new_hwpt(&b, 0, other_ioas, 0, &hwpt), 0);
	b.hw[0].switches = b.hw[1].switches = 0;
	second = hwpt;
	assert_int_equal(iommufd_device_replace(b.idev[0], &second), 0);
	assert_int_equal(b.hw[0].switches, 1);
	assert_int_equal(b.hw[1].switches, 1);
	assert_ptr_equal(b.hw[1].uses, domain_of(&b, hwpt));
	assert_int_equal(destroy(&b.fd, pt), -ENOENT);
	assert_int_equal(map_at(&b, b.ioas, 0xfee00000, 0, 1), 0);
	assert_int_not_equal(map_at(&b, other_ioas, 0xfee00000, 0, 1), 0);
	assert_int_equal(iommufd_device_replace(b.idev[1], &second), 0);
	assert_int_equal(b.hw[1].switches, 1);
	assert_int_equal(destroy(&b.fd, hwpt), -EBUSY);
	/* The core's own rules. */
	assert_int_equal(iommu_group_replace_domain(b.group, NULL), -EINVAL);
	assert_int_equal(iommu_group_replace_domain(b.group, b.hw[0].uses), 0);
	end(&b);
}

static void page_tables_by_flags(void **state)
{
	uint32_t hwpt, parent, nested, dirty, pt;
	struct iommu_hwpt_alloc cmd;
	struct bench b;

	begin_with(&b, &plain_ops);
	assert_int_equal(new_hwpt(&b, 0, b.ioas, ~0u, &hwpt), -EOPNOTSUPP);
	assert_int_equal(new_hwpt(&b, 0, b.ioas, IOMMU_HWPT_FAULT_ID_VALID, &hwpt), -EOPNOTSUPP);
	assert_int_equal(new_hwpt(&b, 0, b.id[0], 0, &hwpt), -EINVAL);
	assert_int_equal(new_hwpt(&b, 0, 4711, 0, &hwpt), -EINVAL);
	assert_int_equal(new_hwpt(&b, 2, b.ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt),
			 -EOPNOTSUPP);
	assert_int_equal(new_hwpt(&b, 2, b.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &hwpt), -EOPNOTSUPP);
	cmd = (struct iommu_hwpt_alloc){.size = sizeof(cmd), .dev_id = b.ioas, .pt_id = b.ioas};
	assert_int_equal(iommufd_ioctl(b.fd.ctx, IOMMU_HWPT_ALLOC, &cmd), -ENOENT);
	cmd.data_len = 4;
	assert_int_equal(iommufd_ioctl(b.fd.ctx, IOMMU_HWPT_ALLOC, &cmd), -EINVAL);
	cmd.__reserved = 1;
	assert_int_equal(iommufd_ioctl(b.fd.ctx, IOMMU_HWPT_ALLOC, &cmd), -EOPNOTSUPP);

	assert_int_equal(new_hwpt(&b, 0, b.ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &dirty), 0);
	assert_int_equal(attach(&b, 2, &dirty), -EINVAL);
	assert_int_equal(new_hwpt(&b, 0, b.ioas, 0, &hwpt), 0);
	assert_int_equal(new_nested(&b, hwpt, 0, 0, &nested), -EINVAL);
	assert_int_equal(new_hwpt(&b, 0, b.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent), 0);
	assert_int_equal(new_nested(&b, parent, IOMMU_HWPT_ALLOC_NEST_PARENT, 0, &nested),
			 -EOPNOTSUPP);
	assert_int_equal(new_nested(&b, parent, IOMMU_HWPT_FAULT_ID_VALID, 4711, &nested), -ENOENT);
	assert_int_equal(new_nested(&b, parent, 0, 0, &nested), 0);
	assert_int_equal(destroy(&b.fd, parent), -EBUSY);
	assert_int_equal(new_nested(&b, nested, 0, 0, &hwpt), -EINVAL);

	/* A first stage is above its parent's domain. */
	pt = parent;
	assert_int_equal(attach(&b, 0, &pt), 0);
	b.hw[0].switches = 0;
	assert_int_equal(iommufd_device_replace(b.idev[0], &nested), 0);
	assert_int_equal(b.hw[0].switches, 0);
	assert_non_null(b.model[0].nested);
	assert_int_equal(b.model[0].nested->s1.addr_width, 48);
	assert_int_equal(attach(&b, 2, &nested), -EINVAL);
	assert_int_equal(destroy(&b.fd, nested), -EBUSY);
	iommufd_device_detach(b.idev[0]);
	assert_null(b.model[0].nested);
	assert_int_equal(destroy(&b.fd, nested), 0);
	assert_int_equal(destroy(&b.fd, parent), 0);
	end(&b);
}

static void invalidates_in_order(void **state)
{
	struct iommu_hwpt_vtd_s1_invalidate reqs[3] = {{.addr = 1}, {.addr = 9}, {.addr = 2}};
	struct iommu_hwpt_invalidate cmd = {
		.size = sizeof(cmd),
		.data_uptr = (uintptr_t)reqs,
		.data_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
		.entry_len = sizeof(reqs[0]),
		.entry_num = 3,
	};
	uint32_t parent, nested;
	struct bench b;

	begin(&b);
	assert_int_equal(new_hwpt(&b, 0, b.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent), 0);
	assert_int_equal(new_nested(&b, parent, 0, 0, &nested), 0);
	assert_int_equal(attach(&b, 0, &nested), 0);
	cmd.hwpt_id = parent;
	assert_int_equal(iommufd_ioctl(b.fd.ctx, IOMMU_HWPT_INVALIDATE, &cmd), -EINVAL);
	assert_int_equal(cmd.entry_num, 0);
	cmd.hwpt_id = nested;
	assert_int_equal(iommufd_ioctl(b.fd.ctx, IOMMU_HWPT_INVALIDATE, &cmd), 0);
	cmd.entry_num = 3;
	assert_int_equal(iommufd_ioctl(b.fd.ctx, IOMMU_HWPT_INVALIDATE, &cmd), -EOPNOTSUPP);
	assert_int_equal(cmd.entry_num, 1);
	assert_int_equal(b.model[0].nested->invalidated[1], 1);
	assert_int_equal(b.model[0].nested->invalidated[2], 0);
	cmd.entry_num = 1;
	cmd.entry_len++;
	assert_int_equal(iommufd_ioctl(b.fd.ctx, IOMMU_HWPT_INVALIDATE, &cmd), -EINVAL);
	cmd.entry_num = 1u << 20;
	cmd.entry_len--;
	assert_int_equal(iommufd_ioctl(b.fd.ctx, IOMMU_HWPT_INVALIDATE, &cmd), -EINVAL);
	cmd.entry_num = 1;
	cmd.data_uptr = 8;
	assert_int_equal(iommufd_ioctl(b.fd.ctx, IOMMU_HWPT_INVALIDATE, &cmd), -EFAULT);
	assert_int_equal(cmd.entry_num, 0);
	end(&b);
}

static void hardware_info_is_cut_or_filled(void **state)
{
	struct iommu_hw_info_vtd info[2];
	struct iommu_hw_info cmd;
	struct bench b;

	begin_with(&b, &plain_ops);
	for (size_t len = 0; len <= sizeof(info); len += 4) {
		memset(info, 0xee, sizeof(info));
		cmd = (struct iommu_hw_info){.size = sizeof(cmd),
					     .dev_id = b.id[0],
					     .data_len = (uint32_t)len,
					     .data_uptr = (uintptr_t)info};
		assert_int_equal(iommufd_ioctl(b.fd.ctx, IOMMU_GET_HW_INFO, &cmd), 0);
		assert_int_equal(cmd.data_len, sizeof(info[0]));
		assert_int_equal(cmd.out_data_type, IOMMU_HW_INFO_TYPE_INTEL_VTD);
		assert_int_equal(cmd.out_capabilities, IOMMU_HW_CAP_DIRTY_TRACKING);
		if (len >= sizeof(info[0]))
			assert_int_equal(info[0].ecap_reg, 0x2222);
		for (size_t i = sizeof(info[0]); i < sizeof(info); i++)
			assert_int_equal(((uint8_t *)info)[i], i < len ? 0 : 0xee);
	}
	cmd.data_len = sizeof(info);
	cmd.data_uptr = 8;
	assert_int_equal(iommufd_ioctl(b.fd.ctx, IOMMU_GET_HW_INFO, &cmd), -EFAULT);
	cmd = (struct iommu_hw_info){.size = sizeof(cmd), .dev_id = b.id[0], .flags = 1};
	cmd.in_data_type = IOMMU_HW_INFO_TYPE_INTEL_VTD + 1;
	assert_int_equal(iommufd_ioctl(b.fd.ctx, IOMMU_GET_HW_INFO, &cmd), -EOPNOTSUPP);
	cmd.flags = 2;
	assert_int_equal(iommufd_ioctl(b.fd.ctx, IOMMU_GET_HW_INFO, &cmd), -EOPNOTSUPP);
	cmd = (struct iommu_hw_info){.size = sizeof(cmd), .dev_id = b.id[2]};
	assert_int_equal(iommufd_ioctl(b.fd.ctx, IOMMU_GET_HW_INFO, &cmd), 0);
	assert_int_equal(cmd.out_data_type, IOMMU_HW_INFO_TYPE_NONE);
	assert_int_equal(cmd.out_capabilities, 0);
	end(&b);
}

/* ---- a budget ---- */

static void page_tables_end_at_the_budget(void **state)
{
	unsigned int made = 0;
	struct bench b;
	uint32_t hwpt;
	int rc;

	begin(&b);
	assert_int_equal(map_at(&b, b.ioas, MIB, 0, 16), 0);
	cgroup_limit(b.fd.memcg, mem_cgroup_usage(b.fd.memcg) + MIB);
	while (!(rc = new_hwpt(&b, 0, b.ioas, 0, &hwpt)))
		made++;
	assert_int_equal(rc, -ENOMEM);
	/* Four tables each. */
	assert_in_range(made, 40, MIB / (4 * PAGE));
	assert_true(mem_cgroup_usage(b.fd.memcg) >= made * 4 * PAGE);
	end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups_go_together),
		cmocka_unit_test(replace_never_lets_go),
		cmocka_unit_test(page_tables_by_flags),
		cmocka_unit_test(invalidates_in_order),
		cmocka_unit_test(hardware_info_is_cut_or_filled),
		cmocka_unit_test(page_tables_end_at_the_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
