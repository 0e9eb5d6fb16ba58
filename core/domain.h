/* SPDX-License-Identifier: MIT */
/*
 * The domain, inside the core.
 */
#ifndef CORE_DOMAIN_H
#define CORE_DOMAIN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <uiommu/iommu.h>

#include "pgtable/pgtable.h"
#include "plat/compiler.h"

/* What a layer above keeps for a domain; it is the first member of that layer's own struct. */
struct iommu_domain_cookie {
	/* Called when the domain is freed, while it still has its tables. */
	void (*free)(struct iommu_domain *domain, struct iommu_domain_cookie *cookie);
};

/*
 * Which rule a field follows:
 *
 * (c) constant after iommu_domain_alloc() (e) the engine's own rules (x) changed only
 * while no other call on the domain is under way (a) atomic
 */
struct iommu_domain {
	/*
	 * (e) owner, ops: (c); ops is NULL if the domain does not translate. This is
	 * the first member, so that it has the domain's own address.
	 */
	struct pgtable pt;

	/*
	 * (c) The bits that no argument of iommu_map() may have: those below the
	 * smallest page, or all bits for a domain that does not translate. One test
	 * refuses both.
	 */
	uint64_t misaligned;
	const struct iommu_iotlb_ops *iotlb_ops; /* (x) or NULL */
	void *iotlb_context;                     /* (x) */
	iommu_fault_handler_t fault_handler;     /* (x) or NULL */
	void *fault_token;                       /* (x) */
	atomic_uint users; /* (a) groups that have it as current or default domain */
	_Atomic(struct iommu_domain_cookie *) cookie; /* (a) NULL, then set once */
	enum iommu_domain_type type;                  /* (c) */
};

/* At the end of a call that gathered: often there are no IOTLB ops and no tables to free. */
static inline void iommu_iotlb_sync_if_needed(struct iommu_domain *domain,
					      struct iommu_iotlb_gather *gather)
{
	if (unlikely(domain->iotlb_ops || gather->pending))
		iommu_iotlb_sync(domain, gather);
}

/* For a group that begins or ends to use a domain as its current or default one. */
void iommu_domain_use(struct iommu_domain *domain);
void iommu_domain_unuse(struct iommu_domain *domain);

#endif
