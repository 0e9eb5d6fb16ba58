/* SPDX-License-Identifier: MIT */
/*
 * The part of the ABI of /dev/iommu that is about virtual IOMMUs, of Linux 6.13 to
 * 7.3. Include <uiommu/abi/iommufd.h>, which includes this.
 */
#ifndef UIOMMU_ABI_IOMMUFD_VIOMMU_H
#define UIOMMU_ABI_IOMMUFD_VIOMMU_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* ---- virtual IOMMUs ---- */

/** enum iommu_viommu_type - What kind of hardware a vIOMMU is a slice of. */
enum iommu_viommu_type {
	IOMMU_VIOMMU_TYPE_DEFAULT = 0,        /* none */
	IOMMU_VIOMMU_TYPE_ARM_SMMUV3 = 1,     /* an SMMUv3 */
	IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV = 2, /* the same with Nvidia's command queues */
};

/**
 * struct iommu_viommu_tegra241_cmdqv - Where to map the registers of its queues.
 * @out_vintf_mmap_offset: offset for mmap() on /dev/iommu
 * @out_vintf_mmap_length: length for it
 */
struct iommu_viommu_tegra241_cmdqv {
	__aligned_u64 out_vintf_mmap_offset;
	__aligned_u64 out_vintf_mmap_length;
};

/**
 * struct iommu_viommu_alloc - Make a vIOMMU: one virtual machine's part of an IOMMU.
 * @flags: 0
 * @type: of enum iommu_viommu_type
 * @dev_id: a device behind that IOMMU
 * @hwpt_id: an HWPT made with IOMMU_HWPT_ALLOC_NEST_PARENT, which translates for it
 * @out_viommu_id: its id
 * @data_len: bytes at @data_uptr, or 0
 * @data_uptr: address of data that depends on @type; what begins with out_ in it is
 *             written
 *
 * EOPNOTSUPP: the device has no vIOMMUs of that type. EINVAL: the HWPT is no nest
 * parent. Memory of it that can be mapped is mapped whole, by an mmap() on /dev/iommu
 * with exactly the offset and length it has told (ENXIO); it cannot be destroyed then.
 */
struct iommu_viommu_alloc {
	__u32 size;
	__u32 flags;
	__u32 type;
	__u32 dev_id;
	__u32 hwpt_id;
	__u32 out_viommu_id;
	__u32 data_len;
	__u32 __reserved;
	__aligned_u64 data_uptr;
};
#define IOMMU_VIOMMU_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VIOMMU_ALLOC)

/**
 * struct iommu_vdevice_alloc - Say what number a device has in a virtual machine.
 * @viommu_id: the vIOMMU
 * @dev_id: the device, which must be behind the same IOMMU (EINVAL)
 * @out_vdevice_id: id of the vDEVICE
 * @virt_id: the number by which the machine's commands name it, such as its StreamID
 *
 * EEXIST: the device has one, or the number is taken. Where the device goes first, the
 * vDEVICE goes with it, and its id stays out of use until /dev/iommu is closed.
 */
struct iommu_vdevice_alloc {
	__u32 size;
	__u32 viommu_id;
	__u32 dev_id;
	__u32 out_vdevice_id;
	__aligned_u64 virt_id;
};
#define IOMMU_VDEVICE_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VDEVICE_ALLOC)

/* ---- events ---- */

/** enum iommu_veventq_flag - About an event. */
enum iommu_veventq_flag {
	IOMMU_VEVENTQ_FLAG_LOST_EVENTS = 1u << 0, /* some are lost, and no data follows */
};

/**
 * struct iommufd_vevent_header - Stands before each event that is read.
 * @flags: of enum iommu_veventq_flag
 * @sequence: number of the event, from 0 to 2^31 - 1 and from 0 again. Where numbers are
 *            left out, as many events are lost. Of events that are lost at the end, a
 *            header with IOMMU_VEVENTQ_FLAG_LOST_EVENTS tells
 */
struct iommufd_vevent_header {
	__u32 flags;
	__u32 sequence;
};

/** enum iommu_veventq_type - What events look like. */
enum iommu_veventq_type {
	IOMMU_VEVENTQ_TYPE_DEFAULT = 0,        /* none */
	IOMMU_VEVENTQ_TYPE_ARM_SMMUV3 = 1,     /* struct iommu_vevent_arm_smmuv3 */
	IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV = 2, /* struct iommu_vevent_tegra241_cmdqv */
};

/**
 * struct iommu_vevent_arm_smmuv3 - An event record (SMMUv3 7.3).
 * @evt: the record, with the number of the vDEVICE as its StreamID
 */
struct iommu_vevent_arm_smmuv3 {
	__aligned_le64 evt[4];
};

/**
 * struct iommu_vevent_tegra241_cmdqv - Queues that have an error.
 * @lvcmdq_err_map: a bit for each
 */
struct iommu_vevent_tegra241_cmdqv {
	__aligned_le64 lvcmdq_err_map[2];
};

/**
 * struct iommu_veventq_alloc - Make a queue of what happens to a vIOMMU.
 * @flags: 0
 * @viommu_id: the vIOMMU
 * @type: of enum iommu_veventq_type
 * @veventq_depth: events that it holds, from 1 to 2^19 (EINVAL); others are lost
 * @out_veventq_id: its id
 * @out_veventq_fd: file to read events from
 *
 * EEXIST: the vIOMMU has one of that type.
 */
struct iommu_veventq_alloc {
	__u32 size;
	__u32 flags;
	__u32 viommu_id;
	__u32 type;
	__u32 veventq_depth;
	__u32 out_veventq_id;
	__u32 out_veventq_fd;
	__u32 __reserved;
};
#define IOMMU_VEVENTQ_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VEVENTQ_ALLOC)

/* ---- queues that the hardware reads by itself ---- */

/** enum iommu_hw_queue_type - What is in such a queue. */
enum iommu_hw_queue_type {
	IOMMU_HW_QUEUE_TYPE_DEFAULT = 0,        /* none */
	IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV = 1, /* commands of an SMMUv3 */
};

/**
 * struct iommu_hw_queue_alloc - Let the hardware read a queue of the virtual machine's.
 * @flags: 0
 * @viommu_id: the vIOMMU
 * @type: of enum iommu_hw_queue_type
 * @index: which of the vIOMMU's queues of that type
 * @out_hw_queue_id: its id
 * @nesting_parent_iova: where its memory is, in the IOAS of the vIOMMU's HWPT
 * @length: bytes of it, not 0
 *
 * The memory stays pinned and mapped: unmapping it is EBUSY. ENOENT: it is not mapped.
 * EFAULT: its pages do not adjoin. EEXIST: there is a queue of that index. Other limits
 * are the hardware's.
 */
struct iommu_hw_queue_alloc {
	__u32 size;
	__u32 flags;
	__u32 viommu_id;
	__u32 type;
	__u32 index;
	__u32 out_hw_queue_id;
	__aligned_u64 nesting_parent_iova;
	__aligned_u64 length;
};
#define IOMMU_HW_QUEUE_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HW_QUEUE_ALLOC)

#endif
