/* SPDX-License-Identifier: MIT */
/*
 * The ABI of /dev/iommu as of Linux 7.3; what is newer than 6.12 says since when it is
 * there. Names, numbers and layouts are the kernel's, and so is the include guard:
 * whichever of this file and <linux/iommufd.h> comes first is the one in use.
 *
 * Every ioctl takes a pointer to a struct that begins with its own size in
 * bytes. A struct may be longer than the receiver knows, if the rest is 0, and
 * may be shorter, down to its length when the ioctl was introduced. Errors that
 * all of them share:
 *
 *   EFAULT      the pointer, or one in the struct, is bad
 *   EINVAL      too short; or a value is understood and wrong
 *   E2BIG       longer than known, and the rest is not 0
 *   EOPNOTSUPP  a flag, an enumerator or a reserved field has an unknown value
 *   ENOENT      no object of that kind has the id, or nothing is at the IOVA
 *   ENOMEM      out of memory, or of the budget it is charged to
 *   EOVERFLOW   start + length does not fit
 *   ENOTTY      no such ioctl
 *
 * Fields that are named out_ are written on success; all others are read. What
 * the texts below do not repeat: @size is that of the struct, and reserved
 * fields must be 0.
 */
#ifndef _UAPI_IOMMUFD_H
#define _UAPI_IOMMUFD_H

#include <linux/ioctl.h>
#include <linux/types.h>

#include <uiommu/abi/iommufd_hw.h>
#include <uiommu/abi/iommufd_viommu.h>

#define IOMMUFD_TYPE (';')

enum {
	IOMMUFD_CMD_BASE = 0x80,
	IOMMUFD_CMD_DESTROY = IOMMUFD_CMD_BASE,
	IOMMUFD_CMD_IOAS_ALLOC = 0x81,
	IOMMUFD_CMD_IOAS_ALLOW_IOVAS = 0x82,
	IOMMUFD_CMD_IOAS_COPY = 0x83,
	IOMMUFD_CMD_IOAS_IOVA_RANGES = 0x84,
	IOMMUFD_CMD_IOAS_MAP = 0x85,
	IOMMUFD_CMD_IOAS_UNMAP = 0x86,
	IOMMUFD_CMD_OPTION = 0x87,
	IOMMUFD_CMD_VFIO_IOAS = 0x88,
	IOMMUFD_CMD_HWPT_ALLOC = 0x89,
	IOMMUFD_CMD_GET_HW_INFO = 0x8a,
	IOMMUFD_CMD_HWPT_SET_DIRTY_TRACKING = 0x8b,
	IOMMUFD_CMD_HWPT_GET_DIRTY_BITMAP = 0x8c,
	IOMMUFD_CMD_HWPT_INVALIDATE = 0x8d,
	IOMMUFD_CMD_FAULT_QUEUE_ALLOC = 0x8e,
	IOMMUFD_CMD_IOAS_MAP_FILE = 0x8f,       /* Linux 6.13 */
	IOMMUFD_CMD_VIOMMU_ALLOC = 0x90,        /* Linux 6.13 */
	IOMMUFD_CMD_VDEVICE_ALLOC = 0x91,       /* Linux 6.13 */
	IOMMUFD_CMD_IOAS_CHANGE_PROCESS = 0x92, /* Linux 6.14 */
	IOMMUFD_CMD_VEVENTQ_ALLOC = 0x93,       /* Linux 6.15 */
	IOMMUFD_CMD_HW_QUEUE_ALLOC = 0x94,      /* Linux 6.17 */
	IOMMUFD_CMD_IOAS_NOIOMMU_GET_PA = 0x95, /* Linux 7.3 */
};

/* ---- objects ---- */

/**
 * struct iommu_destroy - Destroy the object @id, of any kind that has an id.
 * @id: the object
 *
 * ENOENT: there is none. EBUSY: another object, or a device that is attached,
 * uses it.
 */
struct iommu_destroy {
	__u32 size;
	__u32 id;
};
#define IOMMU_DESTROY _IO(IOMMUFD_TYPE, IOMMUFD_CMD_DESTROY)

/* ---- I/O address spaces ---- */

/**
 * struct iommu_ioas_alloc - Make an I/O address space (IOAS), which is empty.
 * @flags: 0
 * @out_ioas_id: its id
 */
struct iommu_ioas_alloc {
	__u32 size;
	__u32 flags;
	__u32 out_ioas_id;
};
#define IOMMU_IOAS_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_ALLOC)

/**
 * struct iommu_iova_range - A range of I/O virtual addresses.
 * @start: its first address
 * @last: its last address, which belongs to it
 */
struct iommu_iova_range {
	__aligned_u64 start;
	__aligned_u64 last;
};

/**
 * struct iommu_ioas_iova_ranges - Ask which addresses of an IOAS can be mapped.
 * @ioas_id: the IOAS
 * @num_iovas: in: ranges that fit at @allowed_iovas; out: ranges that exist
 * @allowed_iovas: address of an array of struct iommu_iova_range to fill
 * @out_iova_alignment: first address and length of every mapping must be
 *                      multiples of this; a power of two, at most the CPU's
 *                      page size
 *
 * The answer changes when devices are attached and detached. EMSGSIZE: not all
 * ranges fit; as many as do are stored, and @num_iovas says how many there are.
 */
struct iommu_ioas_iova_ranges {
	__u32 size;
	__u32 ioas_id;
	__u32 num_iovas;
	__u32 __reserved;
	__aligned_u64 allowed_iovas;
	__aligned_u64 out_iova_alignment;
};
#define IOMMU_IOAS_IOVA_RANGES _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_IOVA_RANGES)

/**
 * struct iommu_ioas_allow_iovas - Say which addresses of an IOAS must stay usable.
 * @ioas_id: the IOAS
 * @num_iovas: ranges at @allowed_iovas; 0 takes back an earlier list
 * @allowed_iovas: address of an array of struct iommu_iova_range
 *
 * The list replaces the one before. A device that would make one of the ranges
 * unusable is then refused, and an address that IOMMU_IOAS_MAP chooses is in
 * one of them. EADDRINUSE: one of them is not usable now.
 */
struct iommu_ioas_allow_iovas {
	__u32 size;
	__u32 ioas_id;
	__u32 num_iovas;
	__u32 __reserved;
	__aligned_u64 allowed_iovas;
};
#define IOMMU_IOAS_ALLOW_IOVAS _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_ALLOW_IOVAS)

/** enum iommufd_ioas_map_flags - How to map. */
enum iommufd_ioas_map_flags {
	IOMMU_IOAS_MAP_FIXED_IOVA = 1 << 0, /* at the address given, not a chosen one */
	IOMMU_IOAS_MAP_WRITEABLE = 1 << 1,  /* devices may write */
	IOMMU_IOAS_MAP_READABLE = 1 << 2,   /* devices may read */
};

/**
 * struct iommu_ioas_map - Map memory of the calling process.
 * @flags: of enum iommufd_ioas_map_flags, one of READABLE and WRITEABLE at least
 * @ioas_id: the IOAS
 * @user_va: address of the memory
 * @length: bytes of it, not 0
 * @iova: in, with FIXED_IOVA: where; out: where it was mapped
 *
 * EEXIST: something is mapped in the range. EADDRINUSE: the range is reserved.
 * ENOSPC: no free range is long enough. EFAULT: not memory that may be accessed
 * as asked for.
 */
struct iommu_ioas_map {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__u32 __reserved;
	__aligned_u64 user_va;
	__aligned_u64 length;
	__aligned_u64 iova;
};
#define IOMMU_IOAS_MAP _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_MAP)

/**
 * struct iommu_ioas_noiommu_get_pa - Ask for the physical address behind an IOVA.
 * @flags: 0
 * @ioas_id: an IOAS that a device without an IOMMU is attached to
 * @iova: the address
 * @length: in: bytes to look at, not 0; out: bytes of them that adjoin in memory
 * @out_phys: physical address of the first
 *
 * For devices that are given physical addresses, which nothing protects against. EPERM:
 * the caller lacks CAP_SYS_RAWIO. ENOENT: nothing is mapped at @iova for such a device.
 */
struct iommu_ioas_noiommu_get_pa {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__u32 __reserved;
	__aligned_u64 iova;
	__aligned_u64 length;
	__aligned_u64 out_phys;
};
#define IOMMU_IOAS_NOIOMMU_GET_PA _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_NOIOMMU_GET_PA)

/**
 * struct iommu_ioas_map_file - Map memory of a file, which need not be mapped.
 * @flags: as in struct iommu_ioas_map
 * @ioas_id: the IOAS
 * @fd: a memfd, or another file on tmpfs or hugetlbfs, or a dma-buf of a device's memory
 * @start: offset in it, in bytes
 * @length: bytes of it, not 0
 * @iova: as in struct iommu_ioas_map
 * EINVAL, when it is pinned: another kind of file, or a page not wholly in it. ENODEV:
 * the device has taken the memory of the dma-buf back. Where it does so later, what is
 * mapped of it goes from the tables, and is not put there again.
 */
struct iommu_ioas_map_file {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__s32 fd;
	__aligned_u64 start;
	__aligned_u64 length;
	__aligned_u64 iova;
};
#define IOMMU_IOAS_MAP_FILE _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_MAP_FILE)

/**
 * struct iommu_ioas_copy - Map memory that another IOAS, or the same, maps already.
 * @flags: of enum iommufd_ioas_map_flags
 * @dst_ioas_id: IOAS to map in
 * @src_ioas_id: IOAS to take the memory from
 * @length: bytes, not 0
 * @dst_iova: as iova in struct iommu_ioas_map
 * @src_iova: where the memory is mapped in the source
 *
 * The memory is pinned and accounted once for both. ENOENT: the source does not
 * map all of the range.
 */
struct iommu_ioas_copy {
	__u32 size;
	__u32 flags;
	__u32 dst_ioas_id;
	__u32 src_ioas_id;
	__aligned_u64 length;
	__aligned_u64 dst_iova;
	__aligned_u64 src_iova;
};
#define IOMMU_IOAS_COPY _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_COPY)

/**
 * struct iommu_ioas_unmap - Undo whole mappings.
 * @ioas_id: the IOAS
 * @iova: where the range starts
 * @length: in: bytes of the range; out: bytes that were unmapped
 *
 * The range may hold several mappings, with gaps, and must not cut one: ENOENT,
 * also if there is none. From 0 with a length of 2^64 - 1 it is everything, and
 * success when that is nothing.
 */
struct iommu_ioas_unmap {
	__u32 size;
	__u32 ioas_id;
	__aligned_u64 iova;
	__aligned_u64 length;
};
#define IOMMU_IOAS_UNMAP _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_UNMAP)

/**
 * struct iommu_ioas_change_process - Account all mappings to the calling process.
 *
 * For a file that was handed to another process. EINVAL: one of the mappings
 * was made with IOMMU_IOAS_MAP, so its memory is another process's.
 */
struct iommu_ioas_change_process {
	__u32 size;
	__u32 __reserved;
};
#define IOMMU_IOAS_CHANGE_PROCESS _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_CHANGE_PROCESS)

/* ---- options ---- */

/**
 * enum iommufd_option - What IOMMU_OPTION reads and sets.
 * @IOMMU_OPTION_RLIMIT_MODE: 0: pinned memory counts against RLIMIT_MEMLOCK per
 *                            user; 1: per process. Of the file (object_id 0).
 *                            Set needs CAP_SYS_RESOURCE (EPERM) and a file
 *                            without objects (EBUSY)
 * @IOMMU_OPTION_HUGE_PAGES: 1: adjoining pages may be mapped by one large entry;
 *                           0: every page by itself. Of an IOAS
 */
enum iommufd_option {
	IOMMU_OPTION_RLIMIT_MODE = 0,
	IOMMU_OPTION_HUGE_PAGES = 1,
};

/** enum iommufd_option_ops - What to do with an option. */
enum iommufd_option_ops {
	IOMMU_OPTION_OP_SET = 0, /* set it */
	IOMMU_OPTION_OP_GET = 1, /* read it */
};

/**
 * struct iommu_option - Read or set an option.
 * @option_id: one of enum iommufd_option
 * @op: one of enum iommufd_option_ops
 * @object_id: whose option it is, or 0
 * @val64: the value, in for a set and out for a get
 */
struct iommu_option {
	__u32 size;
	__u32 option_id;
	__u16 op;
	__u16 __reserved;
	__u32 object_id;
	__aligned_u64 val64;
};
#define IOMMU_OPTION _IO(IOMMUFD_TYPE, IOMMUFD_CMD_OPTION)

/** enum iommufd_vfio_ioas_op - What to do with the IOAS of VFIO's ioctls. */
enum iommufd_vfio_ioas_op {
	IOMMU_VFIO_IOAS_GET = 0,   /* tell its id; ENODEV without one */
	IOMMU_VFIO_IOAS_SET = 1,   /* let it be this one */
	IOMMU_VFIO_IOAS_CLEAR = 2, /* let there be none */
};

/**
 * struct iommu_vfio_ioas - Choose the IOAS that VFIO's ioctls on this file act on.
 * @ioas_id: its id, in for SET and out for GET
 * @op: one of enum iommufd_vfio_ioas_op
 *
 * The choice is no use of the IOAS: it can be destroyed, and then there is none.
 */
struct iommu_vfio_ioas {
	__u32 size;
	__u32 ioas_id;
	__u16 op;
	__u16 __reserved;
};
#define IOMMU_VFIO_IOAS _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VFIO_IOAS)

/* ---- hardware page tables ---- */

/**
 * enum iommufd_hwpt_alloc_flags - What a hardware page table (HWPT) is for.
 * @IOMMU_HWPT_ALLOC_NEST_PARENT: to stand under nested ones
 * @IOMMU_HWPT_ALLOC_DIRTY_TRACKING: only devices whose IOMMU can track dirty
 *                                   pages may be attached
 * @IOMMU_HWPT_FAULT_ID_VALID: fault_id is set
 * @IOMMU_HWPT_ALLOC_PASID: it can be attached to a PASID; what the device itself is
 *                          attached to must have the flag then, too (Linux 6.15)
 */
enum iommufd_hwpt_alloc_flags {
	IOMMU_HWPT_ALLOC_NEST_PARENT = 1 << 0,
	IOMMU_HWPT_ALLOC_DIRTY_TRACKING = 1 << 1,
	IOMMU_HWPT_FAULT_ID_VALID = 1 << 2,
	IOMMU_HWPT_ALLOC_PASID = 1 << 3,
};

/** enum iommu_hwpt_data_type - What data_uptr of struct iommu_hwpt_alloc points to. */
enum iommu_hwpt_data_type {
	IOMMU_HWPT_DATA_NONE = 0,       /* nothing */
	IOMMU_HWPT_DATA_VTD_S1 = 1,     /* a struct iommu_hwpt_vtd_s1 */
	IOMMU_HWPT_DATA_ARM_SMMUV3 = 2, /* a struct iommu_hwpt_arm_smmuv3 */
	IOMMU_HWPT_DATA_AMD_GUEST = 3,  /* a struct iommu_hwpt_amd_guest */
};

/**
 * struct iommu_hwpt_alloc - Make a hardware page table (HWPT) that fits a device.
 * @flags: of enum iommufd_hwpt_alloc_flags
 * @dev_id: the device
 * @pt_id: an IOAS, whose mappings the table is to hold; or a nest parent, or a vIOMMU
 *         on one, for a table that the caller writes itself
 * @out_hwpt_id: its id
 * @data_type: of enum iommu_hwpt_data_type; NONE with an IOAS, and only then, for all
 *             hardware there is
 * @data_len: bytes at @data_uptr, 0 for NONE
 * @data_uptr: address of the data, 0 for NONE
 * @fault_id: with IOMMU_HWPT_FAULT_ID_VALID, the queue that page requests go to
 */
struct iommu_hwpt_alloc {
	__u32 size;
	__u32 flags;
	__u32 dev_id;
	__u32 pt_id;
	__u32 out_hwpt_id;
	__u32 __reserved;
	__u32 data_type;
	__u32 data_len;
	__aligned_u64 data_uptr;
	__u32 fault_id;
	__u32 __reserved2;
};
#define IOMMU_HWPT_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_ALLOC)

/** enum iommu_hw_info_type - What hardware information is about. */
enum iommu_hw_info_type {
	IOMMU_HW_INFO_TYPE_NONE = 0,           /* there is none */
	IOMMU_HW_INFO_TYPE_DEFAULT = 0,        /* as an input: whatever there is (Linux 6.18) */
	IOMMU_HW_INFO_TYPE_INTEL_VTD = 1,      /* a struct iommu_hw_info_vtd */
	IOMMU_HW_INFO_TYPE_ARM_SMMUV3 = 2,     /* a struct iommu_hw_info_arm_smmuv3 */
	IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV = 3, /* a struct iommu_hw_info_tegra241_cmdqv */
	IOMMU_HW_INFO_TYPE_AMD = 4,            /* a struct iommu_hw_info_amd */
};

/**
 * enum iommufd_hw_capabilities - What the IOMMU of a device can do, of any make.
 * @IOMMU_HW_CAP_DIRTY_TRACKING: IOMMU_HWPT_SET_DIRTY_TRACKING and
 *                               IOMMU_HWPT_GET_DIRTY_BITMAP work
 * @IOMMU_HW_CAP_PCI_PASID_EXEC: requests with a PASID may ask to execute
 * @IOMMU_HW_CAP_PCI_PASID_PRIV: and be privileged; both mean nothing without
 *                               PASIDs
 * @IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED: the device cannot keep translations of its own
 *                                      (ATS), or must not (Linux 7.3)
 */
enum iommufd_hw_capabilities {
	IOMMU_HW_CAP_DIRTY_TRACKING = 1 << 0,
	IOMMU_HW_CAP_PCI_PASID_EXEC = 1 << 1,
	IOMMU_HW_CAP_PCI_PASID_PRIV = 1 << 2,
	IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED = 1 << 3,
};

/** enum iommufd_hw_info_flags - How to ask for hardware information (Linux 6.18). */
enum iommufd_hw_info_flags {
	IOMMU_HW_INFO_FLAG_INPUT_TYPE = 1 << 0, /* in_data_type is set */
};

/**
 * struct iommu_hw_info - Ask for what is known of the IOMMU of a device.
 * @flags: of enum iommufd_hw_info_flags
 * @dev_id: the device
 * @data_len: in: bytes at @data_uptr, may be 0; out: bytes that there are
 * @data_uptr: address of a buffer; what there is not more of is filled with 0
 * @in_data_type: with IOMMU_HW_INFO_FLAG_INPUT_TYPE: only this kind will do
 * @out_data_type: the kind, of enum iommu_hw_info_type
 * @out_max_pasid_log2: bits of a PASID, 0 if there are no PASIDs
 * @out_capabilities: of enum iommufd_hw_capabilities
 */
struct iommu_hw_info {
	__u32 size;
	__u32 flags;
	__u32 dev_id;
	__u32 data_len;
	__aligned_u64 data_uptr;
	__extension__ union {
		__u32 in_data_type;
		__u32 out_data_type;
	};
	__u8 out_max_pasid_log2;
	__u8 __reserved[3];
	__aligned_u64 out_capabilities;
};
#define IOMMU_GET_HW_INFO _IO(IOMMUFD_TYPE, IOMMUFD_CMD_GET_HW_INFO)

/** enum iommufd_hwpt_set_dirty_tracking_flags - Whether to track. */
enum iommufd_hwpt_set_dirty_tracking_flags {
	IOMMU_HWPT_DIRTY_TRACKING_ENABLE = 1, /* yes */
};

/**
 * struct iommu_hwpt_set_dirty_tracking - Track writes in an HWPT, or cease to.
 * @flags: of enum iommufd_hwpt_set_dirty_tracking_flags
 * @hwpt_id: the HWPT, made with IOMMU_HWPT_ALLOC_DIRTY_TRACKING
 *
 * What was dirty before is forgotten when tracking begins.
 */
struct iommu_hwpt_set_dirty_tracking {
	__u32 size;
	__u32 flags;
	__u32 hwpt_id;
	__u32 __reserved;
};
#define IOMMU_HWPT_SET_DIRTY_TRACKING _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_SET_DIRTY_TRACKING)

/**
 * enum iommufd_hwpt_get_dirty_bitmap_flags - How to read what is dirty.
 * @IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR: leave it dirty, for one who is about to
 *                                        unmap it
 */
enum iommufd_hwpt_get_dirty_bitmap_flags {
	IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR = 1,
};

/**
 * struct iommu_hwpt_get_dirty_bitmap - Read which pages were written, and mark them clean.
 * @hwpt_id: the HWPT
 * @flags: of enum iommufd_hwpt_get_dirty_bitmap_flags
 * @iova: the page of bit 0
 * @length: bytes of the range, not 0
 * @page_size: bytes that each bit stands for, a power of two
 * @data: address of the bitmap, in words of 64 bits; bits are set, none cleared
 */
struct iommu_hwpt_get_dirty_bitmap {
	__u32 size;
	__u32 hwpt_id;
	__u32 flags;
	__u32 __reserved;
	__aligned_u64 iova;
	__aligned_u64 length;
	__aligned_u64 page_size;
	__aligned_u64 data;
};
#define IOMMU_HWPT_GET_DIRTY_BITMAP _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_GET_DIRTY_BITMAP)

/** enum iommu_hwpt_invalidate_data_type - What requests to invalidate look like. */
enum iommu_hwpt_invalidate_data_type {
	IOMMU_HWPT_INVALIDATE_DATA_VTD_S1 = 0, /* struct iommu_hwpt_vtd_s1_invalidate */
	/* of a vIOMMU: struct iommu_viommu_arm_smmuv3_invalidate */
	IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3 = 1,
};

/**
 * struct iommu_hwpt_invalidate - Invalidate what is cached of a nested HWPT or a vIOMMU.
 * @hwpt_id: either; a paging HWPT is EINVAL
 * @data_uptr: address of an array of requests
 * @data_type: of enum iommu_hwpt_invalidate_data_type
 * @entry_len: bytes of one request
 * @entry_num: in: requests, 0 to ask whether @data_type is understood; out:
 *             requests that were carried out, also after an error
 */
struct iommu_hwpt_invalidate {
	__u32 size;
	__u32 hwpt_id;
	__aligned_u64 data_uptr;
	__u32 data_type;
	__u32 entry_len;
	__u32 entry_num;
	__u32 __reserved;
};
#define IOMMU_HWPT_INVALIDATE _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_INVALIDATE)

/* ---- page requests ---- */

/** enum iommu_hwpt_pgfault_flags - About a page request. */
enum iommu_hwpt_pgfault_flags {
	IOMMU_PGFAULT_FLAGS_PASID_VALID = (1 << 0), /* it has a PASID */
	IOMMU_PGFAULT_FLAGS_LAST_PAGE = (1 << 1),   /* it is the last of its group */
};

/** enum iommu_hwpt_pgfault_perm - What the device wants to do (PCIe 10.4.1). */
enum iommu_hwpt_pgfault_perm {
	IOMMU_PGFAULT_PERM_READ = (1 << 0),  /* read */
	IOMMU_PGFAULT_PERM_WRITE = (1 << 1), /* write */
	IOMMU_PGFAULT_PERM_EXEC = (1 << 2),  /* execute */
	IOMMU_PGFAULT_PERM_PRIV = (1 << 3),  /* any of these with privilege */
};

/**
 * struct iommu_hwpt_pgfault - A page request, as read from a fault queue's file.
 * @flags: of enum iommu_hwpt_pgfault_flags
 * @dev_id: the device
 * @pasid: the PASID, if there is one
 * @grpid: index of the page request group
 * @perm: of enum iommu_hwpt_pgfault_perm
 * @addr: the address
 * @length: bytes that the device is about to use, if it says so, or 0
 * @cookie: of the group, to be returned in the response
 */
struct iommu_hwpt_pgfault {
	__u32 flags;
	__u32 dev_id;
	__u32 pasid;
	__u32 grpid;
	__u32 perm;
	__u32 __reserved;
	__aligned_u64 addr;
	__u32 length;
	__u32 cookie;
};

/** enum iommufd_page_response_code - How a page request ended (PCIe 10.4.2.1). */
enum iommufd_page_response_code {
	IOMMUFD_PAGE_RESP_SUCCESS = 0, /* the page is there: try again */
	IOMMUFD_PAGE_RESP_INVALID = 1, /* there is no such page: give up */
};

/**
 * struct iommu_hwpt_page_response - A response, as written to a fault queue's file.
 * @cookie: of the group it is for
 * @code: of enum iommufd_page_response_code
 */
struct iommu_hwpt_page_response {
	__u32 cookie;
	__u32 code;
};

/**
 * struct iommu_fault_alloc - Make a queue of page requests.
 * @flags: 0
 * @out_fault_id: its id
 * @out_fault_fd: file to read requests from, and to write responses to
 */
struct iommu_fault_alloc {
	__u32 size;
	__u32 flags;
	__u32 out_fault_id;
	__u32 out_fault_fd;
};
#define IOMMU_FAULT_QUEUE_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_FAULT_QUEUE_ALLOC)

#endif
