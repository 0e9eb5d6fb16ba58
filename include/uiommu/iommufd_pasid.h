/* SPDX-License-Identifier: MIT */
/*
 * PASIDs of a device in a context.
 */
#ifndef UIOMMU_IOMMUFD_PASID_H
#define UIOMMU_IOMMUFD_PASID_H

#include <uiommu/iommufd.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/**
 * iommufd_device_attach_pasid() - Attach a PASID of a device to a page table.
 * @idev: the device
 * @pasid: the PASID, not 0
 * @pt_id: id of an HWPT with IOMMU_HWPT_ALLOC_PASID; what the device itself is attached
 *         to must have that, too
 *
 * Context: May block. Any thread.
 * Return: 0; -EBUSY when the PASID is attached; -ENOENT for no such id, or a table of a
 * vIOMMU for a device without a vDEVICE; -EINVAL for another kind of object or table, or a
 * PASID that the device does not have; -ENOMEM; an error of the device model.
 */
int iommufd_device_attach_pasid(struct iommufd_device *idev, uint32_t pasid, uint32_t pt_id);

/**
 * iommufd_device_replace_pasid() - Attach a PASID to another page table.
 * @idev: the device
 * @pasid: the PASID, attached
 * @pt_id: as for iommufd_device_attach_pasid()
 *
 * When it fails the PASID is attached as before.
 *
 * Context: May block. Any thread.
 * Return: 0, also when it is attached to that already; an error of
 * iommufd_device_attach_pasid(), with -EINVAL for a PASID that is not attached.
 */
int iommufd_device_replace_pasid(struct iommufd_device *idev, uint32_t pasid, uint32_t pt_id);

/**
 * iommufd_device_detach_pasid() - Undo iommufd_device_attach_pasid().
 * @idev: the device
 * @pasid: the PASID; nothing happens when it is not attached
 *
 * Context: May block. Cannot fail and does not allocate.
 */
void iommufd_device_detach_pasid(struct iommufd_device *idev, uint32_t pasid);

/**
 * iommufd_device_pasid_table() - Find a device's PASID table.
 * @idev: the device
 *
 * It has been charged to the context's owner from its first byte on, and goes with the last
 * PASID that is attached.
 *
 * Context: With the context locked, as in pasid_attach.
 * Return: the table, or NULL when there is none.
 */
struct iommu_pasid_table *iommufd_device_pasid_table(const struct iommufd_device *idev);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
