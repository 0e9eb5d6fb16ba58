/* SPDX-License-Identifier: MIT */
/*
 * vIOMMUs and what belongs to one: vDEVICEs, queues of events, queues that the hardware
 * reads. Each of them is a user of its vIOMMU, which is a user of its nest parent.
 */
#ifndef IOMMUFD_VIOMMU_H
#define IOMMUFD_VIOMMU_H

#include <uiommu/iommufd_viommu.h>

#include "iommufd/iommufd.h"

struct iommufd_viommu {
	struct iommufd_object obj;
	struct iommufd_ctx *ctx;
	struct iommufd_hwpt *hwpt;                   /* a reference: the nest parent */
	const struct iommufd_device_ops *device_ops; /* of the device that it was made for */
	const struct iommufd_viommu_ops *ops;        /* NULL until the model has made it */
	void *context;                               /* handed to ops */
	struct list_head vdevices, veventqs, hw_queues;
	struct list_head shared; /* of iommufd_shared */
};

struct iommufd_vdevice {
	struct iommufd_object obj;
	struct iommufd_viommu *viommu; /* a reference */
	struct iommufd_device *idev;   /* which points back */
	uint64_t virt_id;
	struct list_head link; /* in viommu->vdevices */
};

/* Memory of a vIOMMU that a program can map, at an offset of /dev/iommu. */
struct iommufd_shared {
	struct list_head link;         /* in viommu->shared */
	struct list_head ctx_link;     /* in ctx->shared, by offset */
	struct iommufd_viommu *viommu; /* whose it is */
	uint64_t offset;
	size_t length;
	void *memory;
	bool mapped; /* it was, at least once */
};

/* ---- viommu.c ---- */

void iommufd_viommu_destroy(struct iommufd_object *obj);
int iommufd_viommu_alloc_ioctl(struct iommufd_ucmd *ucmd);
struct iommufd_viommu *iommufd_get_viommu(struct iommufd_ctx *ctx, uint32_t id);
/* The device is behind the hardware that the vIOMMU is a part of. */
bool iommufd_viommu_fits(const struct iommufd_viommu *viommu, const struct iommufd_device *idev);
/* -ENOENT: the device needs a vDEVICE before it is attached to this HWPT, and has none. */
int iommufd_viommu_may_attach(const struct iommufd_device *idev, const struct iommufd_hwpt *hwpt);

/* ---- shared.c ---- */

void iommufd_viommu_unshare(struct iommufd_viommu *viommu);
/* A program may still have it mapped. */
bool iommufd_viommu_is_mapped(const struct iommufd_viommu *viommu);

/* ---- vdevice.c ---- */

void iommufd_vdevice_destroy(struct iommufd_object *obj);
int iommufd_vdevice_alloc_ioctl(struct iommufd_ucmd *ucmd);
/* The device goes: its vDEVICE, if it has one, is destroyed, and its id stays taken. */
void iommufd_vdevice_orphan(struct iommufd_device *idev);

/* ---- veventq.c ---- */

struct iommufd_vevent_queue;

struct iommufd_veventq {
	struct iommufd_object obj;     /* the file is a user */
	struct iommufd_viommu *viommu; /* a reference */
	uint32_t type;
	struct iommufd_vevent_queue *queue;
	struct list_head link; /* in viommu->veventqs */
};

void iommufd_veventq_destroy(struct iommufd_object *obj);
int iommufd_veventq_alloc_ioctl(struct iommufd_ucmd *ucmd);

/* ---- hw_queue.c ---- */

struct iommufd_hw_queue {
	struct iommufd_object obj;         /* the queue of the next index is a user */
	struct iommufd_viommu *viommu;     /* a reference */
	struct iommufd_hw_queue *previous; /* a reference, or NULL */
	uint32_t index;
	uint64_t iova, last;   /* whole pages, pinned and locked; last < iova: none */
	void *made;            /* by ops, or NULL */
	struct list_head link; /* in viommu->hw_queues */
};

void iommufd_hw_queue_destroy(struct iommufd_object *obj);
int iommufd_hw_queue_alloc_ioctl(struct iommufd_ucmd *ucmd);

#endif
