/* SPDX-License-Identifier: MIT */
/*
 * Devices and groups, inside the core.
 *
 * A device has a place (struct iommu_attach) in each domain that it may be switched to
 * without notice: one in the default domain of its group, kept as long as that is the
 * default, and one in the domain that a caller attached the group to. So switching back
 * never allocates. A place is charged to the owner of its domain.
 */
#ifndef CORE_DEVICE_H
#define CORE_DEVICE_H

#include <stdatomic.h>
#include <stdbool.h>

#include <uiommu/device.h>

#include "core/domain.h"
#include "mm/mutex.h"

struct iommu_attach {
	struct iommu_device *dev;
	struct iommu_domain *domain;
};

/* A device as the DMA API knows it. Only dma/ sets and reads this. */
struct iommu_device_dma {
	struct iommu_domain *domain; /* the domain that it was set up for, or NULL */
	uint64_t mask, coherent_mask;
	uint64_t seg_boundary;
	size_t max_seg_size;
	void *(*phys_to_virt)(struct iommu_device *dev, phys_addr_t paddr);
	atomic_bool above_4g; /* the addresses below 4 GiB ran out once */
	bool untrusted;
};

/*
 * Which rule a field follows:
 *
 * (c) constant after registration (g) under group->lock (w) written under group->lock,
 * read without it (a) atomic (d) see dma-mapping.h
 */
struct iommu_device {
	const struct iommu_device_ops *ops;  /* (c) */
	void *priv;                          /* (c) */
	struct iommu_group *group;           /* (c) holds a reference */
	struct iommu_device *next;           /* (g) in the group */
	struct iommu_attach *attach;         /* (g) in group->domain, or NULL */
	struct iommu_attach *default_attach; /* (g) in group->default_domain, or NULL */
	struct iommu_attach *coming;         /* (g) set only while a switch is being prepared */
	bool require_direct;                 /* (g) firmware uses direct regions: never block it */
	struct iommu_device_dma dma;         /* (d) */
	char name[];                         /* (c) */
};

struct iommu_group {
	struct mm_mutex lock;
	int id;                                /* (c) */
	atomic_uint refs;                      /* (a) */
	struct iommu_device *devices;          /* (g) in the order of registration */
	_Atomic(struct iommu_domain *) domain; /* (w) the domain that the devices are attached to */
	_Atomic(struct iommu_domain *) default_domain; /* (w) */
};

/* Get the regions of one device from its driver. The caller holds group->lock. */
int iommu_device_resv_regions(struct iommu_device *dev, struct iommu_resv_region **list);

/*
 * Map the direct regions of a device that the domain does not map yet, and note whether
 * the device has any. The regions that were mapped are added to @done. In a domain that
 * does not belong to the DMA API nothing is mapped. The caller holds group->lock.
 */
int iommu_create_direct_mappings(struct iommu_domain *domain, struct iommu_device *dev,
				 struct iommu_resv_region **done);
void iommu_undo_direct_mappings(struct iommu_domain *domain, struct iommu_resv_region *done);

/* Allocate a place in a domain. NULL when the owner's budget is exhausted. */
struct iommu_attach *iommu_attach_new(struct iommu_device *dev, struct iommu_domain *domain);

/*
 * Update a group's hardware and fields for a device that is added or removed. The
 * caller holds group->lock.
 */
int iommu_group_add_device(struct iommu_group *group, struct iommu_device *dev);
void iommu_group_remove_device(struct iommu_group *group, struct iommu_device *dev);

/* Switch the hardware. Only attaching can fail. The caller holds group->lock. */
int iommu_device_switch(struct iommu_device *dev, struct iommu_domain *domain,
			struct iommu_domain *old);
void iommu_device_switch_back(struct iommu_device *dev, struct iommu_domain *domain,
			      struct iommu_domain *from);

#endif
