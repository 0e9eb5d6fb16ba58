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

/* What a room above keeps of a domain, at the beginning of its own struct. */
struct iommu_domain_cookie {
	/* Called when the domain goes, while it still has its tables. */
	void (*free)(struct iommu_domain *domain, struct iommu_domain_cookie *cookie);
};

/*
 * Who may touch a field:
 * (c) constant from iommu_domain_alloc() on
 * (e) the engine, by its own rules
 * (x) changed only while no other call on the domain is under way
 * (a) atomic
 */
struct iommu_domain {
	/*
	 * (e) owner, ops: (c); ops NULL: does not translate. First, so that it has
	 * the domain's own address.
	 */
	struct pgtable pt;

	/*
	 * (c) Bits that no argument of iommu_map() may have: those below the
	 * smallest page; all of them for a domain that does not translate, so
	 * that one test refuses both.
	 */
	uint64_t misaligned;
	const struct iommu_iotlb_ops *iotlb_ops; /* (x) or NULL */
	void *iotlb_context;                     /* (x) */
	iommu_fault_handler_t fault_handler;     /* (x) or NULL */
	void *fault_token;                       /* (x) */
	atomic_uint users;                       /* (a) groups that it is current or default of */
	_Atomic(struct iommu_domain_cookie *) cookie; /* (a) NULL, then set once */
	enum iommu_domain_type type;                  /* (c) */
};

/* At the end of a call that gathered: often nobody wants to know, and no table is to go. */
static inline void iommu_iotlb_sync_if_needed(struct iommu_domain *domain,
					      struct iommu_iotlb_gather *gather)
{
	if (unlikely(domain->iotlb_ops || gather->pending))
		iommu_iotlb_sync(domain, gather);
}

/* For a group that begins and ends to use a domain as its current or default one. */
void iommu_domain_use(struct iommu_domain *domain);
void iommu_domain_unuse(struct iommu_domain *domain);

#endif
