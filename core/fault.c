/* SPDX-License-Identifier: MIT */
/* Faults: from the code that finds them to the one handler of the domain. */
#include <uiommu/iommu.h>

#include "core/domain.h"

void iommu_set_fault_handler(struct iommu_domain *domain, iommu_fault_handler_t handler,
			     void *token)
{
	domain->fault_handler = handler;
	domain->fault_token = token;
}

int report_iommu_fault(struct iommu_domain *domain, struct iommu_device *dev, dma_addr_t iova,
		       int flags)
{
	struct mm_thread *self = mm_thread_self();
	struct mm_call call;
	int ret;

	if (!domain->fault_handler)
		return -ENOSYS;
	mm_call_begin(self, &call, &domain->pt);
	ret = domain->fault_handler(domain, dev, iova, flags, domain->fault_token);
	mm_call_end(self, &call);
	return ret;
}
