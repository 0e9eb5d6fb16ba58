/* SPDX-License-Identifier: MIT */
/*
 * Devices for tests: their hardware remembers what it was told.
 */
#ifndef TESTS_DEVICE_H
#define TESTS_DEVICE_H

#include <uiommu/device.h>

#include "tests/common.h"

#define MAX_REGIONS 6

struct hardware {
	struct iommu_domain *uses; /* NULL: every access is refused */
	unsigned int switches;
	int attach_error; /* returned by the next attach that is not a way back */
	struct iommu_domain *refuses;
	int regions_error;
	unsigned int nr_regions;
	struct iommu_resv_region regions[MAX_REGIONS];
};

static inline int hardware_attach(struct iommu_domain *domain, struct iommu_device *dev,
				  struct iommu_domain *old)
{
	struct hardware *hw = dev_iommu_priv_get(dev);

	assert_ptr_equal(hw->uses, old);
	if (domain == hw->refuses)
		return hw->attach_error;
	hw->uses = domain;
	hw->switches++;
	return 0;
}

static inline void hardware_detach(struct iommu_domain *domain, struct iommu_device *dev)
{
	struct hardware *hw = dev_iommu_priv_get(dev);

	assert_ptr_equal(hw->uses, domain);
	hw->uses = NULL;
	hw->switches++;
}

static inline int hardware_regions(struct iommu_device *dev, struct iommu_resv_region **list)
{
	struct hardware *hw = dev_iommu_priv_get(dev);

	for (unsigned int i = 0; i < hw->nr_regions; i++) {
		const struct iommu_resv_region *from = &hw->regions[i];
		struct iommu_resv_region *region = iommu_alloc_resv_region(
			from->start, from->length, from->prot, from->type, GFP_KERNEL);

		if (!region)
			return -ENOMEM;
		region->next = *list;
		*list = region;
	}
	return hw->regions_error;
}

static const struct iommu_device_ops hardware_ops = {
	.attach_dev = hardware_attach,
	.detach_dev = hardware_detach,
	.get_resv_regions = hardware_regions,
};

static inline void add_region(struct hardware *hw, uint64_t start, uint64_t length, int prot,
			      enum iommu_resv_type type)
{
	assert_true(hw->nr_regions < MAX_REGIONS);
	hw->regions[hw->nr_regions++] = (struct iommu_resv_region){
		.start = start, .length = length, .prot = prot, .type = type};
}

static inline struct iommu_device *new_device(struct hardware *hw, struct iommu_group *group)
{
	struct iommu_device *dev =
		iommu_device_register("test", &hardware_ops, hw, group, GFP_KERNEL_ACCOUNT);

	assert_false(IS_ERR(dev));
	return dev;
}

static inline struct iommu_domain *plain_domain(enum iommu_domain_type type)
{
	struct iommu_domain_params params = {.type = type, .format = "vtd"};
	struct iommu_domain *domain = iommu_domain_alloc(&params, GFP_KERNEL_ACCOUNT);

	assert_false(IS_ERR(domain));
	return domain;
}

#endif
