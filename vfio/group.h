/* SPDX-License-Identifier: MIT */
/*
 * VFIO's older way in: /dev/vfio/GROUP and its container, which is /dev/vfio/vfio or an
 * open /dev/iommu.
 */
#ifndef VFIO_GROUP_H
#define VFIO_GROUP_H

#include <stdbool.h>
#include <stdint.h>

struct iommufd_ctx;
struct vfio_cdev;
struct vfio_container;
struct vfio_group;
struct vfio_host;

/* What is behind an open /dev/vfio/vfio, above a context of its own. ERR_PTR: -ENOMEM. */
struct vfio_container *vfio_container_create(struct iommufd_ctx *ctx);
/* Nothing holds it any more. */
void vfio_container_destroy(struct vfio_container *container);
/* As the kernel's ioctl. */
int vfio_container_ioctl(struct vfio_container *container, unsigned int cmd, uint64_t arg);

/* An open /dev/vfio/GROUP. ERR_PTR: -EBUSY when it is open already; -ENOENT, -ENOMEM. */
struct vfio_group *vfio_group_open(unsigned int number, const struct vfio_host *host);
unsigned int vfio_group_number(const struct vfio_group *group);
/* What keeps its container alive, or NULL. */
void *vfio_group_hold(struct vfio_group *group);
/* The last close. */
void vfio_group_release(struct vfio_group *group);
/* All but VFIO_GROUP_GET_DEVICE_FD. */
int vfio_group_ioctl(struct vfio_group *group, unsigned int cmd, uint64_t arg);
/*
 * VFIO_GROUP_GET_DEVICE_FD: the device named at @arg, for a file of its own.
 * vfio_group_device_closed() when that is closed; until then @group must be kept.
 */
struct vfio_cdev *vfio_group_open_device(struct vfio_group *group, uint64_t arg);
void vfio_group_device_closed(struct vfio_group *group);
/* Whether the context behind it is one of type1: another hold for the device's file. */

#endif
