/* SPDX-License-Identifier: MIT */
#include "vfio/binding.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>

#include "iommufd/iommufd.h"
#include "vfio/cdev.h"
#include "vfio/pci.h"

/* What a device is bound by. */
static _Atomic(struct vfio_binding *) owners[VFIO_CDEV_MAX];

/* ---- the IOMMU's driver of the device ---- */

static int attach_dev(struct iommu_domain *domain, struct iommu_device *dev,
		      struct iommu_domain *old)
{
	const struct vfio_binding *binding = dev_iommu_priv_get(dev);

	return binding->pci ? vfio_dma_attach(binding->pci->dma, domain) : 0;
}

static void detach_dev(struct iommu_domain *domain, struct iommu_device *dev)
{
	const struct vfio_binding *binding = dev_iommu_priv_get(dev);

	if (binding->pci)
		vfio_dma_detach(binding->pci->dma);
}

/* Where a PC's interrupts live. */
static int get_resv_regions(struct iommu_device *dev, struct iommu_resv_region **list)
{
	*list = iommu_alloc_resv_region(0xfee00000, 0x100000, 0, IOMMU_RESV_MSI,
					GFP_KERNEL_ACCOUNT);
	return *list ? 0 : -ENOMEM;
}

static const struct iommu_device_ops device_ops = {
	.attach_dev = attach_dev,
	.detach_dev = detach_dev,
	.get_resv_regions = get_resv_regions,
};

static const struct iommufd_device_ops iommufd_ops = {
	.dirty_tracking = true,
	.enforce_cache_coherency = true,
};

/* ---- bound or not ---- */

bool vfio_binding_claim(struct vfio_binding *binding)
{
	struct vfio_binding *owner = NULL;

	return atomic_compare_exchange_strong(&owners[binding->index], &owner, binding);
}

void vfio_binding_disclaim(struct vfio_binding *binding)
{
	struct vfio_binding *owner = binding;

	atomic_compare_exchange_strong(&owners[binding->index], &owner, NULL);
}

int vfio_binding_bind(struct vfio_binding *binding, struct iommufd_ctx *ctx, uint32_t *id)
{
	struct mem_cgroup *active = mem_cgroup_set_active(ctx->owner);
	char name[16];
	int ret = 0;

	snprintf(name, sizeof(name), "vfio%u", binding->index);
	binding->dev = iommu_device_register(name, &device_ops, binding, NULL, GFP_KERNEL_ACCOUNT);
	if (IS_ERR(binding->dev)) {
		ret = (int)PTR_ERR(binding->dev);
		goto out_active;
	}
	binding->idev = iommufd_device_bind(ctx, binding->dev, &iommufd_ops, binding, id);
	if (IS_ERR(binding->idev)) {
		ret = (int)PTR_ERR(binding->idev);
		iommu_device_unregister(binding->dev);
		goto out_active;
	}
	binding->ctx = ctx;
	if (binding->pci)
		vfio_dma_bind(binding->pci->dma, ctx);
out_active:
	mem_cgroup_set_active(active);
	return ret;
}

void vfio_binding_unbind(struct vfio_binding *binding)
{
	if (!binding->ctx)
		return;
	vfio_binding_detach(binding);
	if (binding->pci)
		vfio_dma_unbind(binding->pci->dma);
	iommufd_device_unbind(binding->idev);
	iommu_device_unregister(binding->dev);
	binding->ctx = NULL;
}

int vfio_binding_attach(struct vfio_binding *binding, uint32_t *pt)
{
	int ret = binding->attached ? iommufd_device_replace(binding->idev, pt)
				    : iommufd_device_attach(binding->idev, pt);

	if (!ret)
		binding->attached = true;
	return ret;
}

void vfio_binding_detach(struct vfio_binding *binding)
{
	if (binding->attached)
		iommufd_device_detach(binding->idev);
	binding->attached = false;
}
