/* SPDX-License-Identifier: MIT */
/*
 * A device that is bound to an iommufd, by whatever file of VFIO's. The IOMMU's side of
 * a device exists while it is bound.
 */
#ifndef VFIO_BINDING_H
#define VFIO_BINDING_H

#include <stdbool.h>
#include <stdint.h>

#include <uiommu/iommufd.h>

struct vfio_pci;

/* All 0 is not bound. */
struct vfio_binding {
	unsigned int index;   /* vfioN; set by its owner */
	struct vfio_pci *pci; /* or NULL for a device without registers; the same */
	struct iommufd_ctx *ctx;
	struct iommu_device *dev;
	struct iommufd_device *idev;
	bool attached;
};

/* A device is bound by one file at a time: false while it is another's. */
bool vfio_binding_claim(struct vfio_binding *binding);
void vfio_binding_disclaim(struct vfio_binding *binding);

/* Register with the IOMMU and bind; the context's owner pays for all of it. */
int vfio_binding_bind(struct vfio_binding *binding, struct iommufd_ctx *ctx, uint32_t *id);
void vfio_binding_unbind(struct vfio_binding *binding);
/* Attach, or replace what it is attached to; *@pt becomes the HWPT. */
int vfio_binding_attach(struct vfio_binding *binding, uint32_t *pt);
void vfio_binding_detach(struct vfio_binding *binding);

#endif
