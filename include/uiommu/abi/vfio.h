/* SPDX-License-Identifier: MIT */
/*
 * The part of VFIO's ABI that uiommu serves: the type1 ioctls, which /dev/iommu
 * answers too, and those of groups and of a device's file. Names, numbers and layouts are
 * Linux 6.12's, and so is the include guard: whichever of this file and
 * <linux/vfio.h> comes first is the one in use, so a program that needs more of
 * VFIO includes that one first.
 *
 * Structs begin with argsz, their size as the caller knows it (EINVAL if too
 * small), and flags (EINVAL if unknown).
 */
#ifndef _UAPIVFIO_H
#define _UAPIVFIO_H

/* Arrays without a length are not C++, and no reason for warnings. */
#pragma GCC system_header

#include <linux/ioctl.h>
#include <linux/types.h>

#define VFIO_API_VERSION 0

/* What VFIO_CHECK_EXTENSION can be asked for; the first ones are also types. */
#define VFIO_TYPE1_IOMMU         1
#define VFIO_SPAPR_TCE_IOMMU     2
#define VFIO_TYPE1v2_IOMMU       3
#define VFIO_DMA_CC_IOMMU        4 /* DMA is always coherent with the CPU's caches */
#define VFIO_EEH                 5
#define VFIO_TYPE1_NESTING_IOMMU 6
#define VFIO_SPAPR_TCE_v2_IOMMU  7
#define VFIO_NOIOMMU_IOMMU       8
#define VFIO_UNMAP_ALL           9  /* VFIO_DMA_UNMAP_FLAG_ALL works */
#define VFIO_UPDATE_VADDR        10 /* the VADDR flags work */

#define VFIO_TYPE (';')
#define VFIO_BASE 100

/**
 * struct vfio_info_cap_header - Begin of a capability behind an info struct.
 * @id: which capability
 * @version: of its layout
 * @next: offset of the next one from the info struct, 0 at the last
 *
 * Without room for all capabilities, argsz is set to what they need and the
 * offset of the first to 0; that is no error.
 */
struct vfio_info_cap_header {
	__u16 id;
	__u16 version;
	__u32 next;
};

/* ---- the container ---- */

/* Returns VFIO_API_VERSION. */
#define VFIO_GET_API_VERSION _IO(VFIO_TYPE, VFIO_BASE + 0)
/* The argument is one of the numbers above; returns 0 or 1. */
#define VFIO_CHECK_EXTENSION _IO(VFIO_TYPE, VFIO_BASE + 1)
/*
 * The argument is VFIO_TYPE1_IOMMU, where an unmap may cut a mapping, or
 * VFIO_TYPE1v2_IOMMU, where it may not. EINVAL: another type. ENODEV: there is
 * nothing to map in yet.
 */
#define VFIO_SET_IOMMU _IO(VFIO_TYPE, VFIO_BASE + 2)

/* ---- groups ---- */

#define VFIO_GROUP_GET_STATUS      _IO(VFIO_TYPE, VFIO_BASE + 3)
#define VFIO_GROUP_SET_CONTAINER   _IO(VFIO_TYPE, VFIO_BASE + 4)
#define VFIO_GROUP_UNSET_CONTAINER _IO(VFIO_TYPE, VFIO_BASE + 5)
#define VFIO_GROUP_GET_DEVICE_FD   _IO(VFIO_TYPE, VFIO_BASE + 6)

/**
 * struct vfio_group_status - About a group.
 * @argsz: size of this struct
 * @flags: VFIO_GROUP_FLAGS_*
 */
struct vfio_group_status {
	__u32 argsz;
	__u32 flags;
#define VFIO_GROUP_FLAGS_VIABLE        (1 << 0)
#define VFIO_GROUP_FLAGS_CONTAINER_SET (1 << 1)
};

/* ---- a device's file ---- */

/**
 * struct vfio_device_info - About a device.
 * @argsz: size of this struct
 * @flags: VFIO_DEVICE_FLAGS_*
 * @num_regions: regions, by index
 * @num_irqs: interrupt indexes
 * @cap_offset: of the first capability
 * @pad: 0
 */
struct vfio_device_info {
	__u32 argsz;
	__u32 flags;
#define VFIO_DEVICE_FLAGS_RESET    (1 << 0)
#define VFIO_DEVICE_FLAGS_PCI      (1 << 1)
#define VFIO_DEVICE_FLAGS_PLATFORM (1 << 2)
#define VFIO_DEVICE_FLAGS_AMBA     (1 << 3)
#define VFIO_DEVICE_FLAGS_CCW      (1 << 4)
#define VFIO_DEVICE_FLAGS_AP       (1 << 5)
#define VFIO_DEVICE_FLAGS_FSL_MC   (1 << 6)
#define VFIO_DEVICE_FLAGS_CAPS     (1 << 7)
#define VFIO_DEVICE_FLAGS_CDX      (1 << 8)
	__u32 num_regions;
	__u32 num_irqs;
	__u32 cap_offset;
	__u32 pad;
};
#define VFIO_DEVICE_GET_INFO _IO(VFIO_TYPE, VFIO_BASE + 7)

/**
 * struct vfio_region_info - About a region of a device.
 * @argsz: size of this struct
 * @flags: VFIO_REGION_INFO_FLAG_*
 * @index: in: which region
 * @cap_offset: of the first capability
 * @size: bytes, 0 for a region that is not there
 * @offset: in the device's file
 */
struct vfio_region_info {
	__u32 argsz;
	__u32 flags;
#define VFIO_REGION_INFO_FLAG_READ  (1 << 0)
#define VFIO_REGION_INFO_FLAG_WRITE (1 << 1)
#define VFIO_REGION_INFO_FLAG_MMAP  (1 << 2)
#define VFIO_REGION_INFO_FLAG_CAPS  (1 << 3)
	__u32 index;
	__u32 cap_offset;
	__aligned_u64 size;
	__aligned_u64 offset;
};
#define VFIO_DEVICE_GET_REGION_INFO _IO(VFIO_TYPE, VFIO_BASE + 8)

/* Capabilities of a region. */
#define VFIO_REGION_INFO_CAP_SPARSE_MMAP   1
#define VFIO_REGION_INFO_CAP_MSIX_MAPPABLE 3 /* what holds MSI-X's table may be mapped */

/**
 * struct vfio_irq_info - About an interrupt index of a device.
 * @argsz: size of this struct
 * @flags: VFIO_IRQ_INFO_*
 * @index: in: which
 * @count: interrupts in it
 */
struct vfio_irq_info {
	__u32 argsz;
	__u32 flags;
#define VFIO_IRQ_INFO_EVENTFD    (1 << 0)
#define VFIO_IRQ_INFO_MASKABLE   (1 << 1)
#define VFIO_IRQ_INFO_AUTOMASKED (1 << 2)
#define VFIO_IRQ_INFO_NORESIZE   (1 << 3)
	__u32 index;
	__u32 count;
};
#define VFIO_DEVICE_GET_IRQ_INFO _IO(VFIO_TYPE, VFIO_BASE + 9)

/**
 * struct vfio_irq_set - What interrupts of a device are to do.
 * @argsz: size of this struct and its data
 * @flags: one VFIO_IRQ_SET_DATA_* and one VFIO_IRQ_SET_ACTION_*
 * @index: interrupt index
 * @start: first interrupt in it
 * @count: interrupts
 * @data: as flags say: nothing, a byte each, or an eventfd (__s32) each
 */
struct vfio_irq_set {
	__u32 argsz;
	__u32 flags;
#define VFIO_IRQ_SET_DATA_NONE      (1 << 0)
#define VFIO_IRQ_SET_DATA_BOOL      (1 << 1)
#define VFIO_IRQ_SET_DATA_EVENTFD   (1 << 2)
#define VFIO_IRQ_SET_ACTION_MASK    (1 << 3)
#define VFIO_IRQ_SET_ACTION_UNMASK  (1 << 4)
#define VFIO_IRQ_SET_ACTION_TRIGGER (1 << 5)
	__u32 index;
	__u32 start;
	__u32 count;
	__u8 data[];
};
#define VFIO_DEVICE_SET_IRQS _IO(VFIO_TYPE, VFIO_BASE + 10)

#define VFIO_DEVICE_RESET _IO(VFIO_TYPE, VFIO_BASE + 11)

/**
 * struct vfio_pci_dependent_device - One device that a bus reset affects.
 * @group_id: its group, or its id in the iommufd that the caller is bound to
 * @devid: the same place by another name
 * @segment: of PCI
 * @bus: of PCI
 * @devfn: device number and function
 */
struct vfio_pci_dependent_device {
	union {
		__u32 group_id;
		__u32 devid;
#define VFIO_PCI_DEVID_OWNED     0
#define VFIO_PCI_DEVID_NOT_OWNED -1
	};
	__u16 segment;
	__u8 bus;
	__u8 devfn;
};

/**
 * struct vfio_pci_hot_reset_info - Which devices a bus reset affects.
 * @argsz: size of this struct and the room behind it
 * @flags: VFIO_PCI_HOT_RESET_FLAG_*
 * @count: devices; ENOSPC without room for all
 * @devices: the devices
 *
 * ENODEV: the bus cannot be reset.
 */
struct vfio_pci_hot_reset_info {
	__u32 argsz;
	__u32 flags;
#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID       (1 << 0)
#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED (1 << 1)
	__u32 count;
	struct vfio_pci_dependent_device devices[];
};
#define VFIO_DEVICE_GET_PCI_HOT_RESET_INFO _IO(VFIO_TYPE, VFIO_BASE + 12)

/**
 * struct vfio_pci_hot_reset - Reset a bus.
 * @argsz: size of this struct and its data
 * @flags: 0
 * @count: descriptors of groups
 * @group_fds: of all groups that are affected
 */
struct vfio_pci_hot_reset {
	__u32 argsz;
	__u32 flags;
	__u32 count;
	__s32 group_fds[];
};
#define VFIO_DEVICE_PCI_HOT_RESET _IO(VFIO_TYPE, VFIO_BASE + 13)

/**
 * struct vfio_device_feature - Get, set or ask about a feature of a device.
 * @argsz: size of this struct and its data
 * @flags: the feature's number and VFIO_DEVICE_FEATURE_*
 * @data: as the feature says
 *
 * ENOTTY: the device has no such feature.
 */
struct vfio_device_feature {
	__u32 argsz;
	__u32 flags;
#define VFIO_DEVICE_FEATURE_MASK  (0xffff)
#define VFIO_DEVICE_FEATURE_GET   (1 << 16)
#define VFIO_DEVICE_FEATURE_SET   (1 << 17)
#define VFIO_DEVICE_FEATURE_PROBE (1 << 18)
	__u8 data[];
};
#define VFIO_DEVICE_FEATURE _IO(VFIO_TYPE, VFIO_BASE + 17)

/* Region and interrupt indexes of a PCI device. */
enum {
	VFIO_PCI_BAR0_REGION_INDEX,
	VFIO_PCI_BAR1_REGION_INDEX,
	VFIO_PCI_BAR2_REGION_INDEX,
	VFIO_PCI_BAR3_REGION_INDEX,
	VFIO_PCI_BAR4_REGION_INDEX,
	VFIO_PCI_BAR5_REGION_INDEX,
	VFIO_PCI_ROM_REGION_INDEX,
	VFIO_PCI_CONFIG_REGION_INDEX,
	VFIO_PCI_VGA_REGION_INDEX,
	VFIO_PCI_NUM_REGIONS = 9,
};

enum {
	VFIO_PCI_INTX_IRQ_INDEX,
	VFIO_PCI_MSI_IRQ_INDEX,
	VFIO_PCI_MSIX_IRQ_INDEX,
	VFIO_PCI_ERR_IRQ_INDEX,
	VFIO_PCI_REQ_IRQ_INDEX,
	VFIO_PCI_NUM_IRQS = 5,
};

/**
 * struct vfio_device_bind_iommufd - Bind a device to an open /dev/iommu.
 * @argsz: size of this struct
 * @flags: 0
 * @iommufd: the open /dev/iommu
 * @out_devid: id of the device in it
 *
 * Everything else on the device's file needs this first. It lasts until the
 * file is closed.
 */
struct vfio_device_bind_iommufd {
	__u32 argsz;
	__u32 flags;
	__s32 iommufd;
	__u32 out_devid;
};
#define VFIO_DEVICE_BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)

/**
 * struct vfio_device_attach_iommufd_pt - Let a device use an IOAS or an HWPT.
 * @argsz: size of this struct
 * @flags: 0
 * @pt_id: in: the IOAS or HWPT; out: the HWPT
 *
 * Replaces what it used before, at once.
 */
struct vfio_device_attach_iommufd_pt {
	__u32 argsz;
	__u32 flags;
	__u32 pt_id;
};
#define VFIO_DEVICE_ATTACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 19)

/**
 * struct vfio_device_detach_iommufd_pt - Let a device use nothing: its DMA is blocked.
 * @argsz: size of this struct
 * @flags: 0
 */
struct vfio_device_detach_iommufd_pt {
	__u32 argsz;
	__u32 flags;
};
#define VFIO_DEVICE_DETACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 20)

/* ---- type1 ---- */

/**
 * struct vfio_iommu_type1_info - About what can be mapped.
 * @argsz: in: size of this struct and the room behind it; out: what all needs
 * @flags: VFIO_IOMMU_INFO_*
 * @iova_pgsizes: page sizes, one bit each
 * @cap_offset: of the first capability; 0 without room for all of them
 * @pad: 0
 */
struct vfio_iommu_type1_info {
	__u32 argsz;
	__u32 flags;
#define VFIO_IOMMU_INFO_PGSIZES (1 << 0) /* iova_pgsizes is set */
#define VFIO_IOMMU_INFO_CAPS    (1 << 1) /* there are capabilities */
	__aligned_u64 iova_pgsizes;
	__u32 cap_offset;
	__u32 pad;
};
#define VFIO_IOMMU_GET_INFO _IO(VFIO_TYPE, VFIO_BASE + 12)

#define VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE 1

/**
 * struct vfio_iova_range - A range of I/O virtual addresses.
 * @start: its first address
 * @end: its last address, which belongs to it
 */
struct vfio_iova_range {
	__u64 start;
	__u64 end;
};

/**
 * struct vfio_iommu_type1_info_cap_iova_range - Capability: what can be mapped.
 * @header: id VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, version 1
 * @nr_iovas: ranges
 * @reserved: 0
 * @iova_ranges: the ranges, ascending
 */
struct vfio_iommu_type1_info_cap_iova_range {
	struct vfio_info_cap_header header;
	__u32 nr_iovas;
	__u32 reserved;
	struct vfio_iova_range iova_ranges[];
};

#define VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION 2

/**
 * struct vfio_iommu_type1_info_cap_migration - Capability: dirty pages are tracked.
 * @header: id VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION, version 1
 * @flags: 0
 * @pgsize_bitmap: page sizes that a bit may stand for
 * @max_dirty_bitmap_size: bytes of the largest bitmap
 */
struct vfio_iommu_type1_info_cap_migration {
	struct vfio_info_cap_header header;
	__u32 flags;
	__u64 pgsize_bitmap;
	__u64 max_dirty_bitmap_size;
};

#define VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL 3

/**
 * struct vfio_iommu_type1_info_dma_avail - Capability: how much more can be mapped.
 * @header: id VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, version 1
 * @avail: mappings
 */
struct vfio_iommu_type1_info_dma_avail {
	struct vfio_info_cap_header header;
	__u32 avail;
};

/**
 * struct vfio_iommu_type1_dma_map - Map memory of the calling process.
 * @argsz: size of this struct
 * @flags: VFIO_DMA_MAP_FLAG_*
 * @vaddr: address of the memory
 * @iova: where to map it
 * @size: bytes
 */
struct vfio_iommu_type1_dma_map {
	__u32 argsz;
	__u32 flags;
#define VFIO_DMA_MAP_FLAG_READ  (1 << 0) /* devices may read */
#define VFIO_DMA_MAP_FLAG_WRITE (1 << 1) /* devices may write */
#define VFIO_DMA_MAP_FLAG_VADDR (1 << 2) /* of an old mapping: its memory has moved */
	__u64 vaddr;
	__u64 iova;
	__u64 size;
};
#define VFIO_IOMMU_MAP_DMA _IO(VFIO_TYPE, VFIO_BASE + 13)

/**
 * struct vfio_bitmap - A bitmap of dirty pages.
 * @pgsize: bytes that a bit stands for
 * @size: bytes of the bitmap
 * @data: the bitmap
 */
struct vfio_bitmap {
	__u64 pgsize;
	__u64 size;
	__u64 *data;
};

/**
 * struct vfio_iommu_type1_dma_unmap - Unmap a range.
 * @argsz: size of this struct
 * @flags: VFIO_DMA_UNMAP_FLAG_*
 * @iova: where it starts
 * @size: in: its bytes; out: bytes that were unmapped
 * @data: a struct vfio_bitmap, if flags ask for it
 */
struct vfio_iommu_type1_dma_unmap {
	__u32 argsz;
	__u32 flags;
#define VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP (1 << 0)
#define VFIO_DMA_UNMAP_FLAG_ALL              (1 << 1) /* everything; iova and size are 0 */
#define VFIO_DMA_UNMAP_FLAG_VADDR            (1 << 2) /* keep it, but its memory moves */
	__u64 iova;
	__u64 size;
	__u8 data[];
};
#define VFIO_IOMMU_UNMAP_DMA _IO(VFIO_TYPE, VFIO_BASE + 14)

#define VFIO_IOMMU_ENABLE  _IO(VFIO_TYPE, VFIO_BASE + 15)
#define VFIO_IOMMU_DISABLE _IO(VFIO_TYPE, VFIO_BASE + 16)

/**
 * struct vfio_iommu_type1_dirty_bitmap - Track dirty pages (not on /dev/iommu: ENOTTY).
 * @argsz: size of this struct and its data
 * @flags: one of VFIO_IOMMU_DIRTY_PAGES_FLAG_*
 * @data: a struct vfio_iommu_type1_dirty_bitmap_get for GET_BITMAP
 */
struct vfio_iommu_type1_dirty_bitmap {
	__u32 argsz;
	__u32 flags;
#define VFIO_IOMMU_DIRTY_PAGES_FLAG_START      (1 << 0)
#define VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP       (1 << 1)
#define VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP (1 << 2)
	__u8 data[];
};

/**
 * struct vfio_iommu_type1_dirty_bitmap_get - The range to read, and where to.
 * @iova: where it starts
 * @size: its bytes
 * @bitmap: a bit per page
 */
struct vfio_iommu_type1_dirty_bitmap_get {
	__u64 iova;
	__u64 size;
	struct vfio_bitmap bitmap;
};
#define VFIO_IOMMU_DIRTY_PAGES _IO(VFIO_TYPE, VFIO_BASE + 17)

#endif
