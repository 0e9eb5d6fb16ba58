/* SPDX-License-Identifier: MIT */
/*
 * IOMMU_IOAS_NOIOMMU_GET_PA: the physical addresses of an IOAS that a device without an
 * IOMMU is attached to, and how far they go on.
 */
#include <linux/capability.h>
#include <sys/syscall.h>

#include "tests/iommufd_rig.h"

static const struct iommufd_device_ops unprotected_ops = {.no_iommu = true};

static int get_pa(struct rig *rig, uint64_t iova, uint64_t length,
		  struct iommu_ioas_noiommu_get_pa *cmd)
{
	*cmd = (struct iommu_ioas_noiommu_get_pa){
		.size = sizeof(*cmd), .ioas_id = rig->ioas, .iova = iova, .length = length};
	return rig_ioctl(rig, IOMMU_IOAS_NOIOMMU_GET_PA, cmd);
}

/* Two pages, a third that adjoins in memory but is another area, and one far away. */
static void begin(struct rig *rig)
{
	rig_begin(rig, IOMMUFD_PHYS_IDENTITY);
	assert_int_equal(rig_map(rig, 0, PAGE, 2 * PAGE), 0);
	assert_int_equal(rig_map(rig, 2 * PAGE, 3 * PAGE, PAGE), 0);
	assert_int_equal(rig_map(rig, 8 * PAGE, 0, PAGE), 0);
}

static void attach_unprotected(struct rig *rig)
{
	uint32_t id = rig->ioas;

	iommufd_device_unbind(rig->idev);
	rig->idev = iommufd_device_bind(rig->ctx, rig->dev, &unprotected_ops, rig, &rig->dev_id);
	assert_false(IS_ERR(rig->idev));
	assert_int_equal(iommufd_device_attach(rig->idev, &id), 0);
}

static void addresses_are_those_of_memory(void **state)
{
	struct iommu_ioas_noiommu_get_pa cmd;
	struct rig rig;
	uint64_t base;

	begin(&rig);
	base = (uintptr_t)rig.memory;
	attach_unprotected(&rig);
	assert_int_equal(get_pa(&rig, 0, 1, &cmd), 0);
	assert_int_equal(cmd.out_phys, base + PAGE);
	assert_int_equal(cmd.length, 1);
	/* To the end of the area, whatever adjoins. */
	assert_int_equal(get_pa(&rig, 5, UINT64_MAX, &cmd), 0);
	assert_int_equal(cmd.out_phys, base + PAGE + 5);
	assert_int_equal(cmd.length, 2 * PAGE - 5);
	assert_int_equal(get_pa(&rig, 2 * PAGE - 1, PAGE, &cmd), 0);
	assert_int_equal(cmd.length, 1);
	assert_int_equal(get_pa(&rig, 8 * PAGE, PAGE, &cmd), 0);
	assert_int_equal(cmd.out_phys, base);
	assert_int_equal(cmd.length, PAGE);
	rig_end(&rig);
}

static void runs_end_where_memory_is_apart(void **state)
{
	struct iommu_ioas_noiommu_get_pa cmd;
	uint64_t expected = 0;
	struct rig rig;

	rig_begin(&rig, IOMMUFD_PHYS_SCATTERED);
	assert_int_equal(rig_map(&rig, 0, 0, 4 * PAGE), 0);
	attach_unprotected(&rig);
	assert_int_equal(get_pa(&rig, PAGE + 7, 3 * PAGE, &cmd), 0);
	assert_int_equal(iommufd_user_to_phys(rig.ctx, (uintptr_t)rig.memory + PAGE + 7, &expected),
			 0);
	assert_int_equal(cmd.out_phys, expected);
	assert_int_equal(cmd.length, PAGE - 7);
	rig_end(&rig);
}

static void what_is_refused(void **state)
{
	struct iommu_ioas_noiommu_get_pa cmd;
	struct rig rig;

	begin(&rig);
	/* A device with an IOMMU: its addresses are nobody's business. */
	assert_int_equal(get_pa(&rig, 0, PAGE, &cmd), -EOPNOTSUPP);
	assert_int_equal(rig_new_hwpt(&rig, rig.ioas, 0, &rig.ids[0]), 0);
	assert_int_equal(get_pa(&rig, 0, PAGE, &cmd), -EOPNOTSUPP);
	attach_unprotected(&rig);
	assert_int_equal(get_pa(&rig, 0, 0, &cmd), -EINVAL);
	assert_int_equal(get_pa(&rig, UINT64_MAX, 1, &cmd), -EOVERFLOW);
	assert_int_equal(get_pa(&rig, 7 * PAGE, PAGE, &cmd), -ENOENT);
	cmd.flags = 1;
	assert_int_equal(rig_ioctl(&rig, IOMMU_IOAS_NOIOMMU_GET_PA, &cmd), -EOPNOTSUPP);
	cmd.flags = 0;
	cmd.ioas_id = 999;
	assert_int_equal(rig_ioctl(&rig, IOMMU_IOAS_NOIOMMU_GET_PA, &cmd), -ENOENT);
	rig_end(&rig);
}

/* Physical addresses are for those who may touch them. */
static void it_takes_a_capability(void **state)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3],
		less[_LINUX_CAPABILITY_U32S_3];
	struct iommu_ioas_noiommu_get_pa cmd;
	struct rig rig;

	begin(&rig);
	attach_unprotected(&rig);
	assert_int_equal(syscall(SYS_capget, &header, data), 0);
	memcpy(less, data, sizeof(less));
	less[CAP_TO_INDEX(CAP_SYS_RAWIO)].effective &= ~CAP_TO_MASK(CAP_SYS_RAWIO);
	assert_int_equal(syscall(SYS_capset, &header, less), 0);
	assert_int_equal(get_pa(&rig, 0, PAGE, &cmd), -EPERM);
	assert_int_equal(syscall(SYS_capset, &header, data), 0);
	rig_end(&rig);
}

static bool may_touch_memory(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	return !syscall(SYS_capget, &header, data) &&
	       data[CAP_TO_INDEX(CAP_SYS_RAWIO)].effective & CAP_TO_MASK(CAP_SYS_RAWIO);
}

int main(void)
{
	const struct CMUnitTest all[] = {
		cmocka_unit_test(it_takes_a_capability),
		cmocka_unit_test(addresses_are_those_of_memory),
		cmocka_unit_test(runs_end_where_memory_is_apart),
		cmocka_unit_test(what_is_refused),
	};

	if (!may_touch_memory()) {
		printf("1..0 # SKIP without CAP_SYS_RAWIO every call is refused\n");
		return 0;
	}
	return cmocka_run_group_tests(all, NULL, NULL);
}
