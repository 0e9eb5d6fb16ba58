/* SPDX-License-Identifier: MIT */
/*
 * Files of devices: /dev/vfio/devices/vfioN, and what VFIO_GROUP_GET_DEVICE_FD gives. A
 * device without a model has neither regions nor interrupts: enough to bind to an
 * iommufd and attach to its page tables.
 */
#ifndef VFIO_CDEV_H
#define VFIO_CDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <uiommu/iommufd.h>

#define VFIO_CDEV_MAX 64

/* One open file. */
struct vfio_cdev;
struct vfio_container;
struct vfio_pci;

/*
 * What open files need of others:
 * @get: the context behind a descriptor, kept alive until @put of *hold; NULL when the
 *       descriptor is neither an iommufd nor a container. *@container is the container,
 *       or NULL for an iommufd.
 */
struct vfio_host {
	struct iommufd_ctx *(*get)(int fd, void **hold, struct vfio_container **container);
	void (*put)(void *hold);
};

/* Open device @index, below VFIO_CDEV_MAX. ERR_PTR: -ENOMEM; -ENODEV while it has no driver. */
struct vfio_cdev *vfio_cdev_open(unsigned int index, const struct vfio_host *host);

unsigned int vfio_cdev_index(const struct vfio_cdev *cdev);
/* NULL for a device without a model. */
struct vfio_pci *vfio_cdev_pci(const struct vfio_cdev *cdev);
/*
 * Its file's memory, for a device with a model, until the last close: a descriptor that
 * stays the caller's.
 */
void vfio_cdev_set_memory(struct vfio_cdev *cdev, int memory);

/* What @get said of the context that it is bound to, or NULL. */
void *vfio_cdev_hold(struct vfio_cdev *cdev);

/* The last close: detaches and unbinds. */
void vfio_cdev_release(struct vfio_cdev *cdev);

/* As the kernel's ioctl; a negative errno for -1. */
int vfio_cdev_ioctl(struct vfio_cdev *cdev, unsigned int cmd, uint64_t arg);
/* As the kernel's pread, pwrite and mmap: bytes, or a negative errno. */
ssize_t vfio_cdev_read(struct vfio_cdev *cdev, uint64_t at, uint64_t to, size_t length);
ssize_t vfio_cdev_write(struct vfio_cdev *cdev, uint64_t at, uint64_t from, size_t length);
int vfio_cdev_may_map(struct vfio_cdev *cdev, uint64_t at, uint64_t length, bool shared);

/* For group.c: one of a group, which has the device bound already. ERR_PTR: -ENOMEM. */
struct vfio_cdev *vfio_cdev_open_of_group(struct vfio_pci *pci, const struct vfio_host *host,
					  void *hold);

#endif
