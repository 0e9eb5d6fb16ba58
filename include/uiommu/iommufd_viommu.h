/* SPDX-License-Identifier: MIT */
/*
 * What a device model needs to have vIOMMUs: slices of an IOMMU, one for each virtual
 * machine. A program makes them by IOMMU_VIOMMU_ALLOC, with what belongs to them by
 * IOMMU_VDEVICE_ALLOC, IOMMU_VEVENTQ_ALLOC and IOMMU_HW_QUEUE_ALLOC.
 */
#ifndef UIOMMU_IOMMUFD_VIOMMU_H
#define UIOMMU_IOMMUFD_VIOMMU_H

#include <uiommu/iommufd.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/**
 * struct iommufd_viommu_ops - What vIOMMUs of one type do.
 * @free: free one
 * @nested_alloc: as that of struct iommufd_device_ops, of a table below this vIOMMU. The
 *                other callbacks of nested tables are those of the device. NULL: none
 * @needs_vdevice: whether a device must have a vDEVICE to be attached to this nested table.
 *                 NULL: always
 * @invalidate: as nested_invalidate of struct iommufd_device_ops. NULL: nothing is cached
 * @veventq_type: of enum iommu_veventq_type: what it can report, or 0
 * @hw_queue_type: of enum iommu_hw_queue_type: what the hardware reads by itself, or 0
 * @hw_queues: how many of these there can be
 * @hw_queue_alloc: let the hardware read a queue of @length bytes at @paddr, which stay
 *                  there. Those of lower indexes have been made before. Returns 0 or a
 *                  negative errno. NULL: none
 * @hw_queue_free: cease to
 *
 * Callbacks are called with the context locked.
 */
struct iommufd_viommu_ops {
	void (*free)(void *viommu);
	int (*nested_alloc)(void *viommu, const struct iommufd_user_data *data, void **nested);
	bool (*needs_vdevice)(const void *nested);
	int (*invalidate)(void *viommu, const struct iommufd_user_data *array, uint32_t *done);
	uint32_t veventq_type;
	uint32_t hw_queue_type;
	uint32_t hw_queues;
	int (*hw_queue_alloc)(void *viommu, uint32_t index, uint64_t paddr, uint64_t length,
			      void **queue);
	void (*hw_queue_free)(void *queue);
};

/**
 * iommufd_copy_to_user_data() - Answer by what a program has handed in.
 * @data: what the program handed in, of one entry
 * @from: the same struct, as it is to be
 * @len: bytes of it; a program whose struct is shorter does not get the rest
 *
 * Context: May block. From viommu_alloc of struct iommufd_device_ops.
 * Return: 0; -EFAULT for a bad pointer.
 */
int iommufd_copy_to_user_data(const struct iommufd_user_data *data, const void *from, size_t len);

/**
 * iommufd_viommu_share() - Have memory that a program can map.
 * @viommu: the vIOMMU, in whose viommu_alloc this is called
 * @length: bytes, a multiple of 4096
 * @offset: becomes the offset for mmap() on /dev/iommu
 *
 * It is zeroed, charged to the owner, and goes with the vIOMMU.
 *
 * Context: May block.
 * Return: the memory; as ERR_PTR(): -ENOMEM; -EOPNOTSUPP when the host has no way.
 */
void *iommufd_viommu_share(struct iommufd_viommu *viommu, size_t length, uint64_t *offset);

/**
 * iommufd_viommu_find_device() - Find a device by what it is in the virtual machine.
 * @viommu: the vIOMMU
 * @virt_id: its number there
 *
 * Context: With the context locked, as in a callback.
 * Return: the context that the device was bound with; NULL: there is none.
 */
void *iommufd_viommu_find_device(const struct iommufd_viommu *viommu, uint64_t virt_id);

/**
 * iommufd_device_viommu() - Say what a device is in a virtual machine.
 * @idev: the device
 * @virt_id: becomes its number there
 *
 * Context: With the context locked, as in a callback.
 * Return: the vIOMMU, or NULL for a device that has no vDEVICE.
 */
struct iommufd_viommu *iommufd_device_viommu(const struct iommufd_device *idev, uint64_t *virt_id);

/**
 * iommufd_viommu_report_event() - Report what has happened.
 * @viommu: the vIOMMU
 * @type: of enum iommu_veventq_type
 * @data: the event as a program reads it
 * @length: bytes of it, not 0
 *
 * Context: May block. Any thread, while the vIOMMU is there.
 * Return: 0; -ENOSPC: it is lost, which the program will read, because the queue or the
 * owner's budget is full; -EOPNOTSUPP: there is no queue of that type; -EINVAL.
 */
int iommufd_viommu_report_event(struct iommufd_viommu *viommu, uint32_t type, const void *data,
				size_t length);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
