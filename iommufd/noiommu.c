/* SPDX-License-Identifier: MIT */
/*
 * IOMMU_IOAS_NOIOMMU_GET_PA: physical addresses, for a driver that must give them to a
 * device which no IOMMU stands before. The HWPT of such a device only remembers them.
 */
#include <linux/capability.h>

#include "iommufd/pages.h"
#include "plat/compiler.h"

static struct iommu_domain *find_domain(const struct iommufd_ioas *ioas)
{
	const struct iommufd_hwpt *hwpt;

	list_for_each_entry(hwpt, &ioas->hwpts, hwpt_item)
	{
		if (hwpt->ops->no_iommu)
			return hwpt->domain;
	}
	return NULL;
}

/* How much of @length from @iova on adjoins in memory. 0: nothing is mapped there. */
static uint64_t find_run(const struct iopt_area *area, struct iommu_domain *domain, uint64_t iova,
			 uint64_t length, uint64_t *paddr)
{
	uint64_t last = MIN(area->node.last - iova, length - 1), run = 0;
	uint64_t step = IOPT_PAGE_SIZE - (iova & IOPT_PAGE_MASK);

	*paddr = iommu_iova_to_phys(domain, iova);
	while (*paddr && run <= last && iommu_iova_to_phys(domain, iova + run) == *paddr + run) {
		run += step;
		step = IOPT_PAGE_SIZE;
	}
	return MIN(run, last + 1);
}

int iommufd_ioas_noiommu_get_pa(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_noiommu_get_pa *cmd = ucmd->cmd;
	const struct iopt_area *area;
	struct iommu_domain *domain;
	struct iommufd_ioas *ioas;

	if (!iommufd_caller_may(CAP_SYS_RAWIO))
		return -EPERM;
	if (cmd->flags || cmd->__reserved)
		return -EOPNOTSUPP;
	if (!cmd->length)
		return -EINVAL;
	if (cmd->iova == UINT64_MAX)
		return -EOVERFLOW;
	ioas = iommufd_get_object(ucmd->ctx, cmd->ioas_id, IOMMUFD_OBJ_IOAS);
	if (IS_ERR(ioas))
		return (int)PTR_ERR(ioas);
	area = iopt_area_at(&ioas->iopt, cmd->iova);
	if (!area)
		return -ENOENT;
	domain = find_domain(ioas);
	if (!domain)
		return -EOPNOTSUPP;
	cmd->length = find_run(area, domain, cmd->iova, cmd->length, (uint64_t *)&cmd->out_phys);
	if (!cmd->length)
		return -ENOENT;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}
