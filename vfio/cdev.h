/* SPDX-License-Identifier: MIT */
/*
 * VFIO's device files, /dev/vfio/devices/vfioN, of devices that have neither
 * regions nor interrupts: enough to bind to an iommufd and attach to its page
 * tables.
 */
#ifndef VFIO_CDEV_H
#define VFIO_CDEV_H

#include <stdint.h>

#include <uiommu/iommufd.h>

#define VFIO_CDEV_MAX 64

/* One open file. */
struct vfio_cdev;

/*
 * What an open file needs to find the iommufd of VFIO_DEVICE_BIND_IOMMUFD:
 * @get: the context behind a descriptor, kept alive until @put of *hold; NULL
 *       when the descriptor is not an iommufd
 */
struct vfio_cdev_host {
	struct iommufd_ctx *(*get)(int fd, void **hold);
	void (*put)(void *hold);
};

/* Open device @index, below VFIO_CDEV_MAX. ERR_PTR: -ENOMEM. */
struct vfio_cdev *vfio_cdev_open(unsigned int index, const struct vfio_cdev_host *host);

unsigned int vfio_cdev_index(const struct vfio_cdev *cdev);

/* What @get said of the context that it is bound to, or NULL. */
void *vfio_cdev_hold(struct vfio_cdev *cdev);

/* The last close: detaches and unbinds. */
void vfio_cdev_release(struct vfio_cdev *cdev);

/* As the kernel's ioctl; a negative errno for -1. */
int vfio_cdev_ioctl(struct vfio_cdev *cdev, unsigned int cmd, uint64_t arg);

#endif
