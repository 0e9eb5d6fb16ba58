/* SPDX-License-Identifier: MIT */
/*
 * A device may be open many times; the one file that is bound to an iommufd owns it,
 * and nothing but binding works on the others.
 */
#include "vfio/cdev.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include <uiommu/abi/vfio.h>

#include "iommufd/iommufd.h"
#include "iommufd/user.h"
#include "vfio/binding.h"
#include "vfio/pci.h"

struct vfio_cdev {
	pthread_mutex_t lock; /* of what follows; held for the whole of every ioctl */
	const struct vfio_host *host;
	struct vfio_binding binding; /* of a group's file: not used but for the device */
	void *hold;                  /* keeps the context alive while it is bound */
	bool of_group;
	atomic_bool granted; /* bound, so that all else works */
	int memory;          /* of regions, or -1 */
};

static struct vfio_cdev *cdev_new(unsigned int index, struct vfio_pci *pci,
				  const struct vfio_host *host)
{
	struct vfio_cdev *cdev = kzalloc(sizeof(*cdev), GFP_KERNEL, NULL);

	if (!cdev)
		return ERR_PTR(-ENOMEM);
	pthread_mutex_init(&cdev->lock, NULL);
	cdev->binding.index = index;
	cdev->binding.pci = pci;
	cdev->host = host;
	cdev->memory = -1;
	return cdev;
}

struct vfio_cdev *vfio_cdev_open(unsigned int index, const struct vfio_host *host)
{
	struct vfio_pci *pci = vfio_pci_by_index(index);

	if (pci && !atomic_load(&pci->bound))
		return ERR_PTR(-ENODEV);
	return cdev_new(index, pci, host);
}

struct vfio_cdev *vfio_cdev_open_of_group(struct vfio_pci *pci, const struct vfio_host *host,
					  void *hold)
{
	struct vfio_cdev *cdev = cdev_new(pci->index, pci, host);

	if (IS_ERR(cdev))
		return cdev;
	cdev->of_group = true;
	cdev->hold = hold;
	return cdev;
}

unsigned int vfio_cdev_index(const struct vfio_cdev *cdev)
{
	return cdev->binding.index;
}

struct vfio_pci *vfio_cdev_pci(const struct vfio_cdev *cdev)
{
	return cdev->binding.pci;
}

void vfio_cdev_set_memory(struct vfio_cdev *cdev, int memory)
{
	cdev->memory = memory;
	if (cdev->of_group) {
		atomic_store(&cdev->binding.pci->user, iommufd_caller->pid);
		vfio_pci_use(cdev->binding.pci, memory);
		atomic_store(&cdev->granted, true);
	}
}

void *vfio_cdev_hold(struct vfio_cdev *cdev)
{
	void *hold;

	pthread_mutex_lock(&cdev->lock);
	hold = cdev->binding.ctx || cdev->of_group ? cdev->hold : NULL;
	pthread_mutex_unlock(&cdev->lock);
	return hold;
}

/* The program has no more to do with it: at rest, and as after a reset. */
static void give_up(struct vfio_cdev *cdev)
{
	struct vfio_pci *pci = cdev->binding.pci;

	if (!atomic_exchange(&cdev->granted, false) || !pci)
		return;
	vfio_irqs_release(pci);
	vfio_pci_use(pci, -1);
	atomic_store(&pci->user, 0);
}

static void unbind(struct vfio_cdev *cdev)
{
	give_up(cdev);
	vfio_binding_unbind(&cdev->binding);
	vfio_binding_disclaim(&cdev->binding);
}

void vfio_cdev_release(struct vfio_cdev *cdev)
{
	void *hold;

	pthread_mutex_lock(&cdev->lock);
	hold = cdev->binding.ctx ? cdev->hold : NULL; /* that of a group is the group's */
	unbind(cdev);
	pthread_mutex_unlock(&cdev->lock);
	/* The context may go with this. */
	if (hold)
		cdev->host->put(hold);
	pthread_mutex_destroy(&cdev->lock);
	kfree(cdev);
}

static int use(struct vfio_cdev *cdev)
{
	struct vfio_pci *pci = cdev->binding.pci;
	int ret = pci ? vfio_pci_use(pci, cdev->memory) : 0;

	if (ret)
		return ret;
	if (pci)
		atomic_store(&pci->user, iommufd_caller->pid);
	atomic_store(&cdev->granted, true);
	return 0;
}

static int bind_to(struct vfio_cdev *cdev, int32_t fd, uint32_t *id)
{
	struct vfio_container *container = NULL;
	struct iommufd_ctx *ctx;
	void *hold;
	int ret;

	ctx = cdev->host->get(fd, &hold, &container);
	if (!ctx)
		return -EBADF;
	ret = container ? -EBADFD : vfio_binding_bind(&cdev->binding, ctx, id);
	if (ret) {
		cdev->host->put(hold);
		return ret;
	}
	cdev->hold = hold;
	ret = use(cdev);
	if (ret) {
		vfio_binding_unbind(&cdev->binding);
		cdev->host->put(hold);
	}
	return ret;
}

static int vfio_bind(struct vfio_cdev *cdev, uint64_t arg)
{
	struct vfio_device_bind_iommufd bind;
	int ret = vfio_copy_in(&bind, arg, sizeof(bind));

	if (ret)
		return ret;
	if (bind.flags || bind.iommufd < 0 || cdev->of_group || cdev->binding.ctx ||
	    !vfio_binding_claim(&cdev->binding))
		return -EINVAL;
	ret = bind_to(cdev, bind.iommufd, &bind.out_devid);
	if (ret) {
		vfio_binding_disclaim(&cdev->binding);
		return ret;
	}
	ret = iommufd_copy_to_user(cdev->binding.ctx,
				   arg + offsetof(struct vfio_device_bind_iommufd, out_devid),
				   &bind.out_devid, sizeof(bind.out_devid));
	if (ret) {
		unbind(cdev);
		cdev->host->put(cdev->hold);
	}
	return ret;
}

static int vfio_attach(struct vfio_cdev *cdev, uint64_t arg)
{
	struct vfio_device_attach_iommufd_pt attach;
	int ret = vfio_copy_in(&attach, arg, sizeof(attach));

	if (ret)
		return ret;
	if (attach.flags)
		return -EINVAL;
	ret = vfio_binding_attach(&cdev->binding, &attach.pt_id);
	if (ret)
		return ret;
	ret = iommufd_copy_to_user(cdev->binding.ctx,
				   arg + offsetof(struct vfio_device_attach_iommufd_pt, pt_id),
				   &attach.pt_id, sizeof(attach.pt_id));
	if (ret)
		vfio_binding_detach(&cdev->binding);
	return ret;
}

static int vfio_detach(struct vfio_cdev *cdev, uint64_t arg)
{
	struct vfio_device_detach_iommufd_pt detach;
	int ret = vfio_copy_in(&detach, arg, sizeof(detach));

	if (ret)
		return ret;
	if (detach.flags)
		return -EINVAL;
	vfio_binding_detach(&cdev->binding);
	return 0;
}

static int get_plain_info(uint64_t arg)
{
	const size_t least = offsetof(struct vfio_device_info, num_irqs) + sizeof(uint32_t);
	struct vfio_device_info info = {0};
	int ret = vfio_copy_in(&info, arg, least);

	if (ret)
		return ret;
	info.flags = VFIO_DEVICE_FLAGS_RESET;
	info.num_regions = 0;
	info.num_irqs = 0;
	return iommufd_copy_to_user(NULL, arg, &info, least);
}

/* A device that has nothing but its place behind the IOMMU. */
static int plain_ioctl(unsigned int cmd, uint64_t arg)
{
	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return get_plain_info(arg);
	case VFIO_DEVICE_RESET:
		return 0;
	default:
		return -ENOTTY;
	}
}

static int ioctl_locked(struct vfio_cdev *cdev, unsigned int cmd, uint64_t arg)
{
	if (cmd == VFIO_DEVICE_BIND_IOMMUFD)
		return vfio_bind(cdev, arg);
	if (!atomic_load(&cdev->granted))
		return -EINVAL;
	if (cmd == VFIO_DEVICE_ATTACH_IOMMUFD_PT && !cdev->of_group)
		return vfio_attach(cdev, arg);
	if (cmd == VFIO_DEVICE_DETACH_IOMMUFD_PT && !cdev->of_group)
		return vfio_detach(cdev, arg);
	return cdev->binding.pci ? vfio_pci_ioctl(cdev->binding.pci, cmd, arg)
				 : plain_ioctl(cmd, arg);
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

ssize_t vfio_cdev_read(struct vfio_cdev *cdev, uint64_t at, uint64_t to, size_t length)
{
	if (!atomic_load(&cdev->granted) || !cdev->binding.pci)
		return -EINVAL;
	return vfio_region_read(cdev->binding.pci, at, to, length);
}

ssize_t vfio_cdev_write(struct vfio_cdev *cdev, uint64_t at, uint64_t from, size_t length)
{
	if (!atomic_load(&cdev->granted) || !cdev->binding.pci)
		return -EINVAL;
	return vfio_region_write(cdev->binding.pci, at, from, length);
}

int vfio_cdev_may_map(struct vfio_cdev *cdev, uint64_t at, uint64_t length, bool shared)
{
	if (!cdev->binding.pci)
		return -ENODEV;
	if (!atomic_load(&cdev->granted))
		return -EINVAL;
	return vfio_region_may_map(cdev->binding.pci, at, length, shared);
}
