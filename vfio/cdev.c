/* SPDX-License-Identifier: MIT */
/*
 * A device may be open many times; the one file that is bound to an iommufd
 * owns it. The IOMMU's side of a device exists while it is bound.
 */
#include "vfio/cdev.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <uiommu/abi/vfio.h>

#include "iommufd/iommufd.h"
#include "iommufd/user.h"

struct vfio_cdev {
	pthread_mutex_t lock; /* of what follows; held for the whole of every ioctl */
	unsigned int index;
	const struct vfio_cdev_host *host;
	struct iommufd_ctx *ctx; /* bound to, or NULL */
	void *hold;              /* keeps ctx alive */
	struct iommu_device *dev;
	struct iommufd_device *idev;
	bool attached;
};

/* Which file a device is bound to an iommufd by. */
static _Atomic(struct vfio_cdev *) owners[VFIO_CDEV_MAX];

/* Tables in memory are all the hardware that there is. */
static int attach_dev(struct iommu_domain *domain, struct iommu_device *dev,
		      struct iommu_domain *old)
{
	return 0;
}

static void detach_dev(struct iommu_domain *domain, struct iommu_device *dev)
{
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

struct vfio_cdev *vfio_cdev_open(unsigned int index, const struct vfio_cdev_host *host)
{
	struct vfio_cdev *cdev = kzalloc(sizeof(*cdev), GFP_KERNEL, NULL);

	if (!cdev)
		return ERR_PTR(-ENOMEM);
	pthread_mutex_init(&cdev->lock, NULL);
	cdev->index = index;
	cdev->host = host;
	return cdev;
}

unsigned int vfio_cdev_index(const struct vfio_cdev *cdev)
{
	return cdev->index;
}

void *vfio_cdev_hold(struct vfio_cdev *cdev)
{
	void *hold;

	pthread_mutex_lock(&cdev->lock);
	hold = cdev->ctx ? cdev->hold : NULL;
	pthread_mutex_unlock(&cdev->lock);
	return hold;
}

static void disown(struct vfio_cdev *cdev)
{
	struct vfio_cdev *owner = cdev;

	atomic_compare_exchange_strong(&owners[cdev->index], &owner, NULL);
}

static void unbind(struct vfio_cdev *cdev)
{
	if (!cdev->ctx)
		return;
	if (cdev->attached)
		iommufd_device_detach(cdev->idev);
	iommufd_device_unbind(cdev->idev);
	iommu_device_unregister(cdev->dev);
	disown(cdev);
	cdev->ctx = NULL;
	cdev->attached = false;
}

void vfio_cdev_release(struct vfio_cdev *cdev)
{
	void *hold;

	pthread_mutex_lock(&cdev->lock);
	hold = cdev->ctx ? cdev->hold : NULL;
	unbind(cdev);
	pthread_mutex_unlock(&cdev->lock);
	/* The context may go with this. */
	if (hold)
		cdev->host->put(hold);
	pthread_mutex_destroy(&cdev->lock);
	kfree(cdev);
}

/* Register with the IOMMU and bind; the context's owner pays for all of it. */
static int bind_device(struct vfio_cdev *cdev, struct iommufd_ctx *ctx, uint32_t *id)
{
	struct mem_cgroup *active = mem_cgroup_set_active(ctx->owner);
	char name[16];
	int ret = 0;

	snprintf(name, sizeof(name), "vfio%u", cdev->index);
	cdev->dev = iommu_device_register(name, &device_ops, cdev, NULL, GFP_KERNEL_ACCOUNT);
	if (IS_ERR(cdev->dev)) {
		ret = (int)PTR_ERR(cdev->dev);
		goto out_active;
	}
	cdev->idev = iommufd_device_bind(ctx, cdev->dev, &iommufd_ops, cdev, id);
	if (IS_ERR(cdev->idev)) {
		ret = (int)PTR_ERR(cdev->idev);
		iommu_device_unregister(cdev->dev);
	}
out_active:
	mem_cgroup_set_active(active);
	return ret;
}

/* As far as @min_size; the struct is never longer than that in this ABI. */
static int copy_in(struct vfio_cdev *cdev, void *to, uint64_t arg, size_t min_size)
{
	uint32_t argsz;
	int ret = iommufd_copy_from_user(cdev->ctx, to, arg, min_size);

	if (ret)
		return ret;
	argsz = *(uint32_t *)to;
	return argsz < min_size ? -EINVAL : 0;
}

static int vfio_bind(struct vfio_cdev *cdev, uint64_t arg)
{
	struct vfio_device_bind_iommufd bind;
	struct vfio_cdev *owner = NULL;
	struct iommufd_ctx *ctx;
	void *hold;
	int ret = copy_in(cdev, &bind, arg, sizeof(bind));

	if (ret)
		return ret;
	if (bind.flags || bind.iommufd < 0 || cdev->ctx ||
	    !atomic_compare_exchange_strong(&owners[cdev->index], &owner, cdev))
		return -EINVAL;
	ret = -EBADF;
	ctx = cdev->host->get(bind.iommufd, &hold);
	if (!ctx)
		goto err_owner;
	ret = bind_device(cdev, ctx, &bind.out_devid);
	if (ret)
		goto err_put;
	cdev->ctx = ctx;
	cdev->hold = hold;
	ret = iommufd_copy_to_user(ctx, arg + offsetof(struct vfio_device_bind_iommufd, out_devid),
				   &bind.out_devid, sizeof(bind.out_devid));
	if (!ret)
		return 0;
	unbind(cdev);
err_put:
	cdev->host->put(hold);
err_owner:
	disown(cdev);
	return ret;
}

static int vfio_attach(struct vfio_cdev *cdev, uint64_t arg)
{
	struct vfio_device_attach_iommufd_pt attach;
	int ret = copy_in(cdev, &attach, arg, sizeof(attach));

	if (ret)
		return ret;
	if (attach.flags)
		return -EINVAL;
	ret = cdev->attached ? iommufd_device_replace(cdev->idev, &attach.pt_id)
			     : iommufd_device_attach(cdev->idev, &attach.pt_id);
	if (ret)
		return ret;
	cdev->attached = true;
	ret = iommufd_copy_to_user(cdev->ctx,
				   arg + offsetof(struct vfio_device_attach_iommufd_pt, pt_id),
				   &attach.pt_id, sizeof(attach.pt_id));
	if (ret) {
		iommufd_device_detach(cdev->idev);
		cdev->attached = false;
	}
	return ret;
}

static int vfio_detach(struct vfio_cdev *cdev, uint64_t arg)
{
	struct vfio_device_detach_iommufd_pt detach;
	int ret = copy_in(cdev, &detach, arg, sizeof(detach));

	if (ret)
		return ret;
	if (detach.flags)
		return -EINVAL;
	if (cdev->attached)
		iommufd_device_detach(cdev->idev);
	cdev->attached = false;
	return 0;
}

static int vfio_get_info(struct vfio_cdev *cdev, uint64_t arg)
{
	const size_t least = offsetof(struct vfio_device_info, num_irqs) + sizeof(uint32_t);
	struct vfio_device_info info = {0};
	int ret = copy_in(cdev, &info, arg, least);

	if (ret)
		return ret;
	info.flags = VFIO_DEVICE_FLAGS_RESET;
	info.num_regions = 0;
	info.num_irqs = 0;
	return iommufd_copy_to_user(cdev->ctx, arg, &info, least);
}

static int ioctl_locked(struct vfio_cdev *cdev, unsigned int cmd, uint64_t arg)
{
	if (cmd == VFIO_DEVICE_BIND_IOMMUFD)
		return vfio_bind(cdev, arg);
	if (!cdev->ctx)
		return -EINVAL;
	switch (cmd) {
	case VFIO_DEVICE_ATTACH_IOMMUFD_PT:
		return vfio_attach(cdev, arg);
	case VFIO_DEVICE_DETACH_IOMMUFD_PT:
		return vfio_detach(cdev, arg);
	case VFIO_DEVICE_GET_INFO:
		return vfio_get_info(cdev, arg);
	case VFIO_DEVICE_RESET:
		return 0;
	default:
		return -ENOTTY;
	}
}

int vfio_cdev_ioctl(struct vfio_cdev *cdev, unsigned int cmd, uint64_t arg)
{
	int ret;

	iommufd_read_ahead(arg);
	pthread_mutex_lock(&cdev->lock);
	ret = ioctl_locked(cdev, cmd, arg);
	pthread_mutex_unlock(&cdev->lock);
	return ret;
}
