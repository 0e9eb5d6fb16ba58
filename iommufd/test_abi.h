/* SPDX-License-Identifier: MIT */
/*
 * IOMMU_TEST_CMD: how the kernel's own tests of iommufd make devices and look
 * at what their ioctls did. Names, numbers and layout are those of Linux 7.3's
 * drivers/iommu/iommufd/iommufd_test.h, and what was in 6.12's and is not there any
 * more.
 */
#ifndef IOMMUFD_TEST_ABI_H
#define IOMMUFD_TEST_ABI_H

#include <uiommu/abi/iommufd.h>

#define IOMMU_TEST_CMD _IO(IOMMUFD_TYPE, IOMMUFD_CMD_BASE + 32)

/* iommu_test_cmd.op; @id is what it says in brackets. */
enum {
	IOMMU_TEST_OP_ADD_RESERVED = 1,     /* [IOAS] reserve addresses */
	IOMMU_TEST_OP_MOCK_DOMAIN,          /* [IOAS or HWPT] make a device, attach it */
	IOMMU_TEST_OP_MD_CHECK_MAP,         /* [HWPT] is this user memory mapped here? */
	IOMMU_TEST_OP_MD_CHECK_REFS,        /* how often is user memory pinned? */
	IOMMU_TEST_OP_CREATE_ACCESS,        /* [IOAS] */
	IOMMU_TEST_OP_DESTROY_ACCESS_PAGES, /* [access descriptor] unpin */
	IOMMU_TEST_OP_ACCESS_PAGES,         /* [access descriptor] pin */
	IOMMU_TEST_OP_ACCESS_RW,            /* [access descriptor] */
	IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT,
	IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, /* [device] attach to something else */
	IOMMU_TEST_OP_ACCESS_REPLACE_IOAS, /* [access descriptor] */
	IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS,   /* as MOCK_DOMAIN */
	IOMMU_TEST_OP_DIRTY,               /* [HWPT] write as a device does */
	IOMMU_TEST_OP_MD_CHECK_IOTLB,      /* [nested HWPT] */
	IOMMU_TEST_OP_TRIGGER_IOPF,        /* a page request */
	IOMMU_TEST_OP_DEV_CHECK_CACHE,     /* [device] 7.3, as all that follow */
	IOMMU_TEST_OP_TRIGGER_VEVENT,      /* an event of the device's vIOMMU */
	IOMMU_TEST_OP_PASID_ATTACH,        /* [mock device] */
	IOMMU_TEST_OP_PASID_REPLACE,       /* [mock device] */
	IOMMU_TEST_OP_PASID_DETACH,        /* [mock device] */
	IOMMU_TEST_OP_PASID_CHECK_HWPT,    /* [mock device] is the PASID attached to this? */
	IOMMU_TEST_OP_DMABUF_GET,          /* returns the descriptor of a new one */
	IOMMU_TEST_OP_DMABUF_REVOKE,
};

/* iommu_hwpt_selftest.pagetable_type: leaves of 2 KiB to 512 KiB, and of 1 MiB too */
#define MOCK_IOMMUPT_DEFAULT 0u
#define MOCK_IOMMUPT_HUGE    1u

/* What a mock device can address. */
#define MOCK_APERTURE_START (1UL << 24)
#define MOCK_APERTURE_LAST  ((1UL << 31) - 1)
#define MOCK_IO_PAGE_SIZE   2048u
#define MOCK_HUGE_PAGE_SIZE (512 * MOCK_IO_PAGE_SIZE)

/* access_pages.flags, access_rw.flags */
#define MOCK_FLAGS_ACCESS_WRITE (1u << 0)
/* The IOVA is a number of an area, from 0, in its lower half, and an offset. */
#define MOCK_FLAGS_ACCESS_SYZ    (1u << 16)
#define MOCK_ACCESS_RW_WRITE     (1u << 0)
#define MOCK_ACCESS_RW_SLOW_PATH (1u << 2) /* as if by a kernel thread */

/* create_access.flags */
#define MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES (1u << 0)

/* mock_domain_flags.dev_flags */
#define MOCK_FLAGS_DEVICE_NO_DIRTY  (1u << 0)
#define MOCK_FLAGS_DEVICE_HUGE_IOVA (1u << 1) /* 6.12: domains for it have 1 MiB pages too */
#define MOCK_FLAGS_DEVICE_PASID     (1u << 2)
#define MOCK_FLAGS_DEVICE_ALL       7u
#define MOCK_PASID_WIDTH            20

#define MOCK_NESTED_DOMAIN_IOTLB_NUM    4u
#define MOCK_NESTED_DOMAIN_IOTLB_ID_MAX (MOCK_NESTED_DOMAIN_IOTLB_NUM - 1)

/* What a device has cached, which a vIOMMU invalidates. */
#define MOCK_DEV_CACHE_NUM           4u
#define MOCK_DEV_CACHE_ID_MAX        (MOCK_DEV_CACHE_NUM - 1)
#define IOMMU_TEST_DEV_CACHE_DEFAULT 0xbaddadu

/* No first stage can be attached to this one. */
#define IOMMU_TEST_PASID_RESERVED 1024u

struct iommu_test_cmd {
	__u32 size;
	__u32 op;
	__u32 id;
	__u32 __reserved;
	__extension__ union {
		struct {
			__aligned_u64 start;
			__aligned_u64 length;
		} add_reserved;
		struct {
			__u32 out_stdev_id; /* the mock device: destroy it to detach */
			__u32 out_hwpt_id;
			__u32 out_idev_id; /* what is bound to the context */
			__u32 dev_flags;   /* MOCK_DOMAIN_FLAGS only */
		} mock_domain;
		struct {
			__u32 pt_id; /* in: IOAS or HWPT, out: HWPT */
		} mock_domain_replace;
		struct {
			__aligned_u64 iova;
			__aligned_u64 length;
			__aligned_u64 uptr;
		} check_map;
		struct {
			__aligned_u64 length;
			__aligned_u64 uptr;
			__u32 refs;
		} check_refs;
		struct {
			__u32 out_access_fd;
			__u32 flags;
		} create_access;
		struct {
			__u32 access_pages_id;
		} destroy_access_pages;
		struct {
			__u32 flags;
			__u32 out_access_pages_id;
			__aligned_u64 iova;
			__aligned_u64 length;
			__aligned_u64 uptr; /* expect this memory there; 0: whatever */
		} access_pages;
		struct {
			__aligned_u64 iova;
			__aligned_u64 length;
			__aligned_u64 uptr;
			__u32 flags;
		} access_rw;
		struct {
			__u32 limit;
		} memory_limit;
		struct {
			__u32 ioas_id;
		} access_replace_ioas;
		struct {
			__u32 flags;
			__aligned_u64 iova;
			__aligned_u64 length;
			__aligned_u64 page_size;
			__aligned_u64 uptr; /* bitmap: which pages */
			__aligned_u64 out_nr_dirty;
		} dirty;
		struct {
			__u32 id;
			__u32 iotlb;
		} check_iotlb;
		struct {
			__u32 dev_id;
			__u32 pasid;
			__u32 grpid;
			__u32 perm;
			__u64 addr;
		} trigger_iopf;
		struct {
			__u32 id;
			__u32 cache;
		} check_dev_cache;
		struct {
			__u32 dev_id;
		} trigger_vevent;
		struct {
			__u32 pasid;
			__u32 pt_id; /* PASID_CHECK_HWPT: HWPT or 0; not DETACH */
		} pasid;
		struct {
			__u32 length;
			__u32 open_flags;
		} dmabuf_get;
		struct {
			__s32 dmabuf_fd;
			__u32 revoked;
		} dmabuf_revoke;
	};
	__u32 last; /* the least that a caller must have is all before the end of this */
};

/* IOMMU_GET_HW_INFO of a mock device */
#define IOMMU_HW_INFO_TYPE_SELFTEST   0xfeedbeefu
#define IOMMU_HW_INFO_SELFTEST_REGVAL 0xdeadbeefu

struct iommu_test_hw_info {
	__u32 flags;
	__u32 test_reg;
};

/* IOMMU_HWPT_ALLOC */
#define IOMMU_HWPT_DATA_SELFTEST 0xdeadu

struct iommu_hwpt_selftest {
	__u32 iotlb;          /* nested: what its IOTLB is filled with */
	__u32 pagetable_type; /* on an IOAS; not in 6.12 */
};

/* IOMMU_HWPT_INVALIDATE: set one value of the IOTLB, or all, to 0 */
#define IOMMU_HWPT_INVALIDATE_DATA_SELFTEST 0xdeadbeefu
#define IOMMU_TEST_INVALIDATE_FLAG_ALL      (1u << 0)

struct iommu_hwpt_invalidate_selftest {
	__u32 flags;
	__u32 iotlb_id;
};

/* IOMMU_VIOMMU_ALLOC: memory with @in_data in it, to be mapped */
#define IOMMU_VIOMMU_TYPE_SELFTEST 0xdeadbeefu

struct iommu_viommu_selftest {
	__u32 in_data;
	__u32 out_data; /* the same */
	__aligned_u64 out_mmap_offset;
	__aligned_u64 out_mmap_length;
};

/* IOMMU_HWPT_INVALIDATE of a vIOMMU: set one value of a device's cache, or all, to 0 */
#define IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST 0xdeadbeefu

struct iommu_viommu_invalidate_selftest {
	__u32 flags;
	__u32 vdev_id;
	__u32 cache_id;
};

/* IOMMU_VEVENTQ_ALLOC: which vDEVICE the event is of */
#define IOMMU_VEVENTQ_TYPE_SELFTEST 0xbeefbeefu

struct iommu_viommu_event_selftest {
	__u32 virt_id;
};

/* IOMMU_HW_QUEUE_ALLOC */
#define IOMMU_HW_QUEUE_TYPE_SELFTEST 0xdeadbeefu
#define IOMMU_TEST_HW_QUEUE_MAX      2u

#endif
