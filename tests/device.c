/* SPDX-License-Identifier: MIT */
/*
 * Devices and groups: who is attached to what, after each call and after each
 * call that fails, and who pays for it.
 */
#include "tests/capture.h"
#include "tests/device.h"

#define DEVICES 3

struct bench {
	struct mem_cgroup *memcg;
	struct hardware hw[DEVICES];
	struct iommu_device *dev[DEVICES];
	struct iommu_group *group;
	struct iommu_domain *dma, *own, *other;
};

static void begin(struct bench *b, unsigned int devices)
{
	memset(b, 0, sizeof(*b));
	b->memcg = enter_cgroup(NULL);
	b->dma = plain_domain(IOMMU_DOMAIN_DMA);
	b->own = plain_domain(IOMMU_DOMAIN_UNMANAGED);
	b->other = plain_domain(IOMMU_DOMAIN_UNMANAGED);
	b->group = iommu_group_alloc(GFP_KERNEL_ACCOUNT);
	assert_false(IS_ERR(b->group));
	for (unsigned int i = 0; i < devices; i++)
		b->dev[i] = new_device(&b->hw[i], b->group);
}

static void end(struct bench *b)
{
	for (unsigned int i = 0; i < DEVICES; i++) {
		iommu_device_unregister(b->dev[i]);
		assert_null(b->hw[i].uses);
	}
	iommu_group_put(b->group);
	iommu_domain_free(b->dma);
	iommu_domain_free(b->own);
	iommu_domain_free(b->other);
	leave_cgroup(b->memcg);
}

/* Fields and hardware agree that every device is attached to @domain. */
static void assert_attached(const struct bench *b, struct iommu_domain *domain)
{
	for (unsigned int i = 0; i < DEVICES; i++) {
		if (!b->dev[i])
			continue;
		assert_ptr_equal(iommu_get_domain_for_dev(b->dev[i]), domain);
		assert_ptr_equal(b->hw[i].uses, domain);
	}
}

static void register_refuses(void **state)
{
	struct iommu_device_ops no_attach = hardware_ops, no_detach = hardware_ops;
	struct mem_cgroup *memcg = enter_cgroup(NULL);
	struct hardware hw = {0};
	struct capture capture;
	char name[257] = "";
	struct iommu_device *dev;

	no_attach.attach_dev = NULL;
	no_detach.detach_dev = NULL;
	dev = iommu_device_register("", &hardware_ops, &hw, NULL, GFP_KERNEL);
	assert_int_equal(PTR_ERR(dev), -EINVAL);
	dev = iommu_device_register("a", &no_attach, &hw, NULL, GFP_KERNEL);
	assert_int_equal(PTR_ERR(dev), -EINVAL);
	dev = iommu_device_register("a", &no_detach, &hw, NULL, GFP_KERNEL);
	assert_int_equal(PTR_ERR(dev), -EINVAL);
	capture_begin(&capture);
	dev = iommu_device_register("a", &hardware_ops, &hw, NULL, GFP_KERNEL | __GFP_DMA);
	assert_true(capture_lines(capture_end(&capture)) <= 1);
	assert_int_equal(PTR_ERR(dev), -EINVAL);
	memset(name, 'x', 256);
	dev = iommu_device_register(name, &hardware_ops, &hw, NULL, GFP_KERNEL);
	assert_int_equal(PTR_ERR(dev), -EINVAL);
	name[255] = '\0';
	dev = iommu_device_register(name, &hardware_ops, &hw, NULL, GFP_KERNEL_ACCOUNT);
	assert_false(IS_ERR(dev));
	assert_string_equal(iommu_device_name(dev), name);
	assert_ptr_equal(dev_iommu_priv_get(dev), &hw);
	assert_true(cgroup_stat(memcg, "slab") > 0);
	iommu_device_unregister(dev);
	iommu_device_unregister(NULL);
	leave_cgroup(memcg);
}

static void groups_live_by_references(void **state)
{
	struct mem_cgroup *memcg = enter_cgroup(NULL);
	struct hardware hw[2] = {0};
	struct iommu_device *a = new_device(&hw[0], NULL), *b = new_device(&hw[1], NULL);
	struct iommu_group *group = iommu_group_get(a), *second = iommu_group_get(b);

	assert_true(group != second);
	assert_true(iommu_group_id(group) != iommu_group_id(second));
	assert_true(iommu_group_id(group) >= 0);
	iommu_device_unregister(a);
	iommu_device_unregister(b);
	iommu_group_put(second);
	a = new_device(&hw[0], group);
	second = iommu_group_get(a);
	assert_ptr_equal(group, second);
	iommu_group_put(group);
	iommu_group_put(second);
	iommu_device_unregister(a);
	iommu_group_put(NULL);
	leave_cgroup(memcg);
}

static int stop_at(struct iommu_device *dev, void *data)
{
	unsigned int *left = data;

	return --*left ? 0 : 7;
}

static void group_walk(void **state)
{
	unsigned int left = 2;
	struct bench b;

	begin(&b, 3);
	assert_int_equal(iommu_group_for_each_dev(b.group, &left, stop_at), 7);
	left = 10;
	assert_int_equal(iommu_group_for_each_dev(b.group, &left, stop_at), 0);
	assert_int_equal(left, 7);
	end(&b);
}

static void default_domain_is_where_devices_return(void **state)
{
	struct bench b;

	begin(&b, 1);
	assert_attached(&b, NULL);
	assert_int_equal(iommu_attach_device(b.own, b.dev[0]), 0);
	assert_attached(&b, b.own);
	assert_int_equal(iommu_group_set_default_domain(b.group, b.dma), -EBUSY);
	iommu_detach_device(b.own, b.dev[0]);
	assert_attached(&b, NULL);

	assert_int_equal(iommu_group_set_default_domain(b.group, b.own), -EINVAL);
	assert_int_equal(iommu_group_set_default_domain(b.group, b.dma), 0);
	assert_int_equal(iommu_group_set_default_domain(b.group, b.dma), 0);
	assert_ptr_equal(iommu_get_dma_domain(b.dev[0]), b.dma);
	assert_attached(&b, b.dma);
	assert_int_equal(iommu_attach_device(b.dma, b.dev[0]), 0);
	assert_int_equal(iommu_attach_device(b.own, b.dev[0]), 0);
	assert_attached(&b, b.own);
	assert_int_equal(iommu_attach_device(b.other, b.dev[0]), -EBUSY);
	assert_int_equal(iommu_attach_device(b.own, b.dev[0]), -EBUSY);
	iommu_detach_device(b.own, b.dev[0]);
	assert_attached(&b, b.dma);
	assert_int_equal(iommu_group_set_default_domain(b.group, NULL), 0);
	assert_attached(&b, NULL);
	end(&b);
}

static void several_devices(void **state)
{
	struct bench b;

	begin(&b, 3);
	assert_int_equal(iommu_attach_device(b.own, b.dev[1]), -EINVAL);
	assert_attached(&b, NULL);
	assert_int_equal(iommu_attach_group(b.own, b.group), 0);
	assert_attached(&b, b.own);
	assert_int_equal(iommu_attach_group(b.other, b.group), -EBUSY);
	iommu_detach_group(b.own, b.group);
	assert_attached(&b, NULL);
	end(&b);
}

static void failure_rolls_back(void **state)
{
	for (unsigned int refuses = 0; refuses < DEVICES; refuses++) {
		uint64_t usage;
		struct bench b;

		begin(&b, 3);
		b.hw[refuses].refuses = b.own;
		b.hw[refuses].attach_error = -EIO;
		usage = mem_cgroup_usage(b.memcg);
		assert_int_equal(iommu_attach_group(b.own, b.group), -EIO);
		assert_attached(&b, NULL);
		assert_int_equal(iommu_group_set_default_domain(b.group, b.dma), 0);
		assert_true(mem_cgroup_usage(b.memcg) > usage);
		usage = mem_cgroup_usage(b.memcg);
		assert_int_equal(iommu_attach_group(b.own, b.group), -EIO);
		assert_attached(&b, b.dma);
		assert_int_equal(mem_cgroup_usage(b.memcg), usage);
		assert_int_equal(iommu_attach_group(b.other, b.group), 0);
		iommu_detach_group(b.other, b.group);
		assert_int_equal(mem_cgroup_usage(b.memcg), usage);
		end(&b);
	}
}

static void default_failure_rolls_back(void **state)
{
	struct bench b;

	begin(&b, 3);
	b.hw[2].refuses = b.dma;
	b.hw[2].attach_error = -EIO;
	add_region(&b.hw[0], 0x100000, 0x3000, RW, IOMMU_RESV_DIRECT);
	assert_int_equal(iommu_group_set_default_domain(b.group, b.dma), -EIO);
	assert_attached(&b, NULL);
	assert_null(iommu_get_dma_domain(b.dev[0]));
	assert_int_equal(iommu_iova_to_phys(b.dma, 0x100000), 0);
	assert_int_equal(count_tables(b.dma), 1);
	end(&b);
}

/* Whoever joins is attached at once, or does not join. */
static void late_device(void **state)
{
	struct iommu_device *dev;
	struct bench b;

	begin(&b, 1);
	assert_int_equal(iommu_group_set_default_domain(b.group, b.dma), 0);
	b.dev[1] = new_device(&b.hw[1], b.group);
	assert_attached(&b, b.dma);
	assert_int_equal(iommu_attach_group(b.own, b.group), 0);
	b.hw[2].refuses = b.own;
	b.hw[2].attach_error = -EIO;
	dev = iommu_device_register("late", &hardware_ops, &b.hw[2], b.group, GFP_KERNEL);
	assert_int_equal(PTR_ERR(dev), -EIO);
	assert_null(b.hw[2].uses);
	b.hw[2].refuses = NULL;
	b.dev[2] = new_device(&b.hw[2], b.group);
	assert_attached(&b, b.own);
	iommu_detach_group(b.own, b.group);
	assert_attached(&b, b.dma);
	end(&b);
}

static void last_device_gives_the_group_back(void **state)
{
	struct bench b;

	begin(&b, 1);
	assert_int_equal(iommu_attach_device(b.own, b.dev[0]), 0);
	iommu_device_unregister(b.dev[0]);
	assert_null(b.hw[0].uses);
	b.dev[0] = new_device(&b.hw[0], b.group);
	assert_attached(&b, NULL);
	end(&b);
}

static void mismatched_detach(void **state)
{
	struct capture capture;
	struct bench b;

	begin(&b, 2);
	assert_int_equal(iommu_attach_group(b.own, b.group), 0);
	capture_begin(&capture);
	iommu_detach_group(b.other, b.group);
	iommu_detach_device(b.own, b.dev[0]); /* the group has another one */
	iommu_detach_group(NULL, b.group);
	assert_int_equal(capture_lines(capture_end(&capture)), 1);
	assert_attached(&b, b.own);
	iommu_detach_group(b.own, b.group);
	end(&b);
}

static void attached_domain_is_not_freed(void **state)
{
	struct capture capture;
	struct bench b;

	begin(&b, 1);
	assert_int_equal(iommu_attach_device(b.own, b.dev[0]), 0);
	assert_int_equal(iommu_group_set_default_domain(b.group, b.dma), -EBUSY);
	assert_int_equal(iommu_map(b.own, 0, 0x1000, 0x1000, RW, GFP_KERNEL), 0);
	capture_begin(&capture);
	iommu_domain_free(b.own);
	iommu_domain_free(b.own);
	assert_int_equal(capture_lines(capture_end(&capture)), 1);
	assert_int_equal(iommu_iova_to_phys(b.own, 5), 0x1005);
	iommu_detach_device(b.own, b.dev[0]);
	end(&b);
}

/* Attachments are charged to the owner of the domain, whoever attaches. */
static void domain_owner_pays(void **state)
{
	struct mem_cgroup *owner = enter_cgroup(NULL), *caller;
	struct iommu_domain *domain = plain_domain(IOMMU_DOMAIN_UNMANAGED);
	uint64_t usage = mem_cgroup_usage(owner), limit;
	struct hardware hw = {0};
	struct iommu_device *dev;

	caller = enter_cgroup(NULL);
	dev = new_device(&hw, NULL);
	limit = mem_cgroup_usage(caller);
	cgroup_limit(caller, 0);
	assert_int_equal(iommu_attach_device(domain, dev), 0);
	assert_int_equal(mem_cgroup_usage(caller), limit);
	assert_true(mem_cgroup_usage(owner) > usage);
	iommu_detach_device(domain, dev);
	assert_int_equal(mem_cgroup_usage(owner), usage);
	cgroup_limit(owner, 0);
	assert_int_equal(iommu_attach_device(domain, dev), -ENOMEM);
	assert_null(hw.uses);
	iommu_device_unregister(dev);
	leave_cgroup(caller);
	iommu_domain_free(domain);
	leave_cgroup(owner);
}

static void identity_and_blocked(void **state)
{
	struct iommu_domain *identity, *blocked;
	struct bench b;

	begin(&b, 1);
	identity = plain_domain(IOMMU_DOMAIN_IDENTITY);
	blocked = plain_domain(IOMMU_DOMAIN_BLOCKED);
	assert_int_equal(iommu_group_set_default_domain(b.group, identity), 0);
	assert_attached(&b, identity);
	assert_int_equal(iommu_attach_device(blocked, b.dev[0]), 0);
	assert_attached(&b, blocked);
	iommu_detach_device(blocked, b.dev[0]);
	assert_attached(&b, identity);
	assert_int_equal(iommu_group_set_default_domain(b.group, blocked), 0);
	assert_attached(&b, blocked);
	assert_int_equal(iommu_group_set_default_domain(b.group, NULL), 0);
	iommu_domain_free(identity);
	iommu_domain_free(blocked);
	end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(register_refuses),
		cmocka_unit_test(groups_live_by_references),
		cmocka_unit_test(group_walk),
		cmocka_unit_test(default_domain_is_where_devices_return),
		cmocka_unit_test(several_devices),
		cmocka_unit_test(failure_rolls_back),
		cmocka_unit_test(default_failure_rolls_back),
		cmocka_unit_test(late_device),
		cmocka_unit_test(last_device_gives_the_group_back),
		cmocka_unit_test(mismatched_detach),
		cmocka_unit_test(attached_domain_is_not_freed),
		cmocka_unit_test(domain_owner_pays),
		cmocka_unit_test(identity_and_blocked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
