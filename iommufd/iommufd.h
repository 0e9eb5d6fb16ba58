/* SPDX-License-Identifier: MIT */
/*
 * The objects behind /dev/iommu, and what the files of this room offer each
 * other. Public entry points are in <uiommu/iommufd.h>, the ABI is in
 * <uiommu/abi/iommufd.h>.
 *
 * Locking. One recursive mutex per context, ctx->lock, is held for the whole of
 * every ioctl and of every call on an access; everything below belongs to it.
 * It is recursive because the unmap callback of an access may call back. Under
 * it come the core's locks. A fault queue has a lock of its own, which is never
 * held while another is taken, since its file is read and polled without ctx.
 *
 * References. object->users counts what keeps an object from IOMMU_DESTROY:
 * other objects that point to it. Destroying cannot fail and does not allocate.
 *
 * Charges. Everything is allocated with GFP_KERNEL_ACCOUNT and charged to
 * ctx->owner, also what the core and the tables allocate for it.
 */
#ifndef IOMMUFD_IOMMUFD_H
#define IOMMUFD_IOMMUFD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <uiommu/abi/iommufd.h>
#include <uiommu/device.h>
#include <uiommu/iommu.h>
#include <uiommu/iommufd.h>

#include "iommufd/idmap.h"
#include "iommufd/itree.h"
#include "iommufd/list.h" /* struct list_head, as in the kernel */
#include "mm/slab.h"

enum iommufd_object_type {
	IOMMUFD_OBJ_NONE,
	IOMMUFD_OBJ_ANY = IOMMUFD_OBJ_NONE, /* for iommufd_get_object() */
	IOMMUFD_OBJ_DEVICE,
	IOMMUFD_OBJ_HWPT_PAGING,
	IOMMUFD_OBJ_HWPT_NESTED,
	IOMMUFD_OBJ_IOAS,
	IOMMUFD_OBJ_ACCESS,
	IOMMUFD_OBJ_FAULT,
	IOMMUFD_OBJ_VIOMMU,
	IOMMUFD_OBJ_VDEVICE,
	IOMMUFD_OBJ_VEVENTQ,
	IOMMUFD_OBJ_HW_QUEUE,
	IOMMUFD_OBJ_SELFTEST, /* --test-abi: a mock device */
	IOMMUFD_OBJ_MAX,
};

/* First member of every object. */
struct iommufd_object {
	enum iommufd_object_type type;
	uint32_t id;
	unsigned int users;   /* objects that point here */
	uint32_t created_cmd; /* ioctl that made it, for the report; 0: a call */
	bool live;            /* finalized: get finds it */
};

/* How often the limit on locked memory was the reason of a failure. */
struct iommufd_memlock {
	uint64_t limit; /* bytes, as it was the last time */
	uint64_t reached;
};

enum iommufd_account_mode {
	IOPT_PAGES_ACCOUNT_NONE,
	IOPT_PAGES_ACCOUNT_USER, /* RLIMIT_MEMLOCK per user: the default */
	IOPT_PAGES_ACCOUNT_MM,   /* per process, as type1 did */
};

struct iommufd_dmabuf;

struct iommufd_ctx {
	pthread_mutex_t lock; /* recursive */
	struct mem_cgroup *owner;
	struct iommufd_config config; /* as it was created with; format is never NULL */
	struct idmap objects;         /* of iommufd_object, by id from 1 */
	enum iommufd_account_mode account_mode;
	struct iommufd_memlock memlock;
	struct iommufd_ioas *vfio_ioas;
	struct list_head groups;        /* of iommufd_group */
	struct list_head shared;        /* of iommufd_shared, by offset */
	struct list_head dmabufs;       /* of iommufd_dmabuf */
	uint32_t cmd;                   /* the ioctl that is running */
	unsigned int in_unmap;          /* unmap callbacks of accesses that are running */
	unsigned int temp_memory_limit; /* --test-abi */
	bool knows_7_3;                 /* --test-abi: its caller was built for Linux 7.3 */
};

/* Whose answers the caller expects where those of two kernels differ. */
static inline enum iommufd_abi iommufd_abi(const struct iommufd_ctx *ctx)
{
	if (ctx->config.abi)
		return ctx->config.abi;
	return ctx->config.test_abi && !ctx->knows_7_3 ? IOMMUFD_ABI_6_12 : IOMMUFD_ABI_7_3;
}

/* ---- ctx.c: enter and leave ---- */

/*
 * Every public function takes the lock like this: it also makes ctx->owner the
 * memory cgroup that the thread charges to. Returns what iommufd_unlock() needs.
 * Nests.
 */
struct mem_cgroup *iommufd_lock(struct iommufd_ctx *ctx);
void iommufd_unlock(struct iommufd_ctx *ctx, struct mem_cgroup *before);

/*
 * For calls that change what the call around them is in the middle of: 0, or -EDEADLK
 * in an unmap callback, an ioctl, or a shrinker, which is reported once. Locked.
 */
int iommufd_may_change(const struct iommufd_ctx *ctx, const void *caller);

/* ---- object.c: the table of objects ---- */

/* A zeroed object of @size with an id, not yet visible to get. ERR_PTR. */
void *iommufd_object_alloc(struct iommufd_ctx *ctx, size_t size, enum iommufd_object_type type);
/* Make it visible: nothing can fail from here on. */
void iommufd_object_finalize(struct iommufd_ctx *ctx, struct iommufd_object *obj);
/* Undo iommufd_object_alloc(): frees it, without its destructor. */
void iommufd_object_abort(struct iommufd_ctx *ctx, struct iommufd_object *obj);
/* ERR_PTR(-ENOENT) for no such id or another type. Takes no reference: ctx->lock. */
void *iommufd_get_object(struct iommufd_ctx *ctx, uint32_t id, enum iommufd_object_type type);
/* IOMMU_DESTROY: 0, -ENOENT, -EBUSY. */
int iommufd_object_remove(struct iommufd_ctx *ctx, uint32_t id);
/* Destroy one that the library itself holds, live or not; users must be 0. */
void iommufd_object_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj);
/* Destroy one whose id is not to be used again until the close. */
void iommufd_object_tombstone(struct iommufd_ctx *ctx, struct iommufd_object *obj);
/* At close: all of them, users last. */
void iommufd_destroy_all(struct iommufd_ctx *ctx);
/*
 * One destructor per type, in object.c's table, written by the type's file. It
 * undoes all but the allocation, which object.c frees after it.
 */

/* ---- ioctl.c: dispatch ---- */

struct iommufd_ucmd {
	struct iommufd_ctx *ctx;
	uint64_t ubuffer;   /* the caller's struct */
	uint32_t user_size; /* its size field */
	void *cmd;          /* our zero-extended copy */
};

/* One line of the table of ioctls. */
struct iommufd_ioctl_op {
	const char *name;
	unsigned int cmd;
	size_t size, min_size; /* of its struct, now and when it was new */
	int (*execute)(struct iommufd_ucmd *ucmd);
};

#define IOMMUFD_UCMD_MAX 128 /* no struct is larger */

/* The name of an ioctl of iommufd or VFIO, or NULL. */
const char *iommufd_ioctl_name(unsigned int cmd);
/* Copy the struct back, as much of it as the caller knows. 0 or -EFAULT. */
int iommufd_ucmd_respond(struct iommufd_ucmd *ucmd, size_t cmd_len);

/* ---- option.c ---- */

int iommufd_option(struct iommufd_ucmd *ucmd);

/* ---- user.c: memory of the caller; a bad pointer is -EFAULT, see user.h ---- */

int iommufd_copy_from_user(struct iommufd_ctx *ctx, void *to, uint64_t from, size_t len);
int iommufd_copy_to_user(struct iommufd_ctx *ctx, uint64_t to, const void *from, size_t len);
/*
 * Copy a user struct of @user_len into one of @len that may be older or newer:
 * zero-extends; -E2BIG for a non-zero tail that is not known; -EFAULT.
 */
int iommufd_copy_struct_from_user(struct iommufd_ctx *ctx, void *to, size_t len, uint64_t from,
				  size_t user_len);

/* ---- pages.c: ranges of user memory that are mapped ---- */

/*
 * How often a page of the caller's memory is pinned, over all contexts:
 * once per mapping (with its copies) that has it in a domain or an access. Any
 * thread, while nothing is mapped or unmapped.
 */
unsigned int iopt_pages_pin_count(uint64_t uaddr);

/* ---- phys.c: physical addresses of user memory ---- */

/* The physical address that a domain would get for @uaddr. 0 or -EFAULT. */
int iommufd_user_to_phys(struct iommufd_ctx *ctx, uint64_t uaddr, uint64_t *paddr);
/* For the report: "identity", "scattered", "auto, real frames", "auto, huge pages". */
const char *iommufd_phys_name(const struct iommufd_ctx *ctx);

/* ---- iopt.c: one IO address space ---- */

struct io_pagetable {
	struct iommufd_ctx *ctx;
	struct itree areas;        /* by iova, disjoint */
	struct itree allowed;      /* of iopt_range, disjoint; empty: everything */
	struct itree reserved;     /* of iopt_range, with the owner that asked */
	struct list_head domains;  /* of iopt_domain: filled with all areas */
	struct list_head accesses; /* of iommufd_access */
	uint64_t iova_alignment;
	bool disable_large_pages;
	uint64_t nr_areas;     /* for the report */
	uint64_t mapped_bytes; /* sum of their lengths */
	/* The last IOVA that was chosen: for the same, there is no room below hint_iova. */
	uint64_t hint_alignment, hint_offset, hint_length, hint_iova;
};

void iopt_init(struct io_pagetable *iopt, struct iommufd_ctx *ctx);
void iopt_destroy(struct io_pagetable *iopt);

/* IOMMU_IOAS_MAP. *iova is taken with IOPT_FIXED, else chosen. */
#define IOPT_FIXED 1u
int iopt_map_user_pages(struct io_pagetable *iopt, uint64_t *iova, uint64_t uaddr, uint64_t length,
			int iommu_prot, unsigned int flags);
/* IOMMU_IOAS_MAP_FILE: @fd is the caller's. */
int iopt_map_file_pages(struct io_pagetable *iopt, uint64_t *iova, int fd, uint64_t start,
			uint64_t length, int iommu_prot, unsigned int flags);
/* IOMMU_IOAS_COPY, also between contexts' IOASs of one context. */
int iopt_copy(struct io_pagetable *dst, uint64_t *dst_iova, struct io_pagetable *src,
	      uint64_t src_iova, uint64_t length, int iommu_prot, unsigned int flags);
/*
 * Whole areas only: -ENOENT when a border cuts one. Nothing there is 0 with
 * *unmapped 0, which IOMMU_IOAS_UNMAP makes -ENOENT and VFIO does not.
 */
int iopt_unmap_iova(struct io_pagetable *iopt, uint64_t iova, uint64_t length, uint64_t *unmapped);
int iopt_unmap_all(struct io_pagetable *iopt, uint64_t *unmapped);
/*
 * VFIO type1 v1: split the areas that hold these iovas, each the last one of a left
 * part. -EINVAL when an access pins there or large pages are on, -ENOMEM.
 */
int iopt_cut_iova(struct io_pagetable *iopt, const uint64_t *iovas, unsigned int nr);
/*
 * Calls back for each area that overlaps [iova, last], cut to it, in order; with
 * @contiguous -ENOENT at a hole, after the areas before it were called.
 */
int iopt_for_each_area(struct io_pagetable *iopt, uint64_t iova, uint64_t last, bool contiguous,
		       int (*each)(void *arg, uint64_t start, uint64_t last), void *arg);

/* Fill a domain with all areas, keep it so; and undo that. */
int iopt_table_add_domain(struct io_pagetable *iopt, struct iommu_domain *domain);
void iopt_table_remove_domain(struct io_pagetable *iopt, struct iommu_domain *domain);
/* Reserve a device's regions; -EADDRINUSE over an area. *sw_msi_start may be NULL. */
int iopt_table_enforce_dev_resv_regions(struct io_pagetable *iopt, struct iommu_device *dev,
					uint64_t *sw_msi_start);
int iopt_reserve_iova(struct io_pagetable *iopt, uint64_t start, uint64_t last, void *owner);
void iopt_remove_reserved_iova(struct io_pagetable *iopt, void *owner);
/* Replaces the allowed ranges; -EADDRINUSE when a reserved one is in them. */
struct iopt_range {
	struct itree_node node;
	void *owner;
};
/* On success @ranges holds the old ones; the caller frees whatever it holds. */
int iopt_set_allow_iova(struct io_pagetable *iopt, struct itree *ranges);
void iopt_free_ranges(struct itree *ranges);
/* Calls back for each usable range in order: IOMMU_IOAS_IOVA_RANGES. */
int iopt_for_each_usable(struct io_pagetable *iopt,
			 int (*each)(void *arg, uint64_t start, uint64_t last), void *arg);
void iopt_enable_large_pages(struct io_pagetable *iopt);
int iopt_disable_large_pages(struct io_pagetable *iopt);
/* Tell the host what of the memory of all areas the program has given back. */
void iopt_check_memory(struct io_pagetable *iopt);

/* ---- ioas.c ---- */

struct iommufd_ioas {
	struct iommufd_object obj;
	struct io_pagetable iopt;
	struct list_head hwpts; /* auto-made ones first to be tried at attach */
};

struct iommufd_ioas *iommufd_ioas_alloc(struct iommufd_ctx *ctx);
void iommufd_ioas_destroy(struct iommufd_object *obj);
int iommufd_ioas_alloc_ioctl(struct iommufd_ucmd *ucmd);
int iommufd_ioas_iova_ranges(struct iommufd_ucmd *ucmd);
int iommufd_ioas_allow_iovas(struct iommufd_ucmd *ucmd);
int iommufd_ioas_map(struct iommufd_ucmd *ucmd);
int iommufd_ioas_map_file(struct iommufd_ucmd *ucmd);
int iommufd_ioas_copy(struct iommufd_ucmd *ucmd);
int iommufd_ioas_unmap(struct iommufd_ucmd *ucmd);
int iommufd_ioas_change_process(struct iommufd_ucmd *ucmd); /* change_process.c */
int iommufd_ioas_noiommu_get_pa(struct iommufd_ucmd *ucmd); /* noiommu.c */

/* ---- dmabuf.c ---- */

/* The last close of its file. */
void iommufd_dmabuf_release(struct iommufd_dmabuf *dmabuf);
void iommufd_dmabufs_orphan(struct iommufd_ctx *ctx);

/* ---- vfio_compat.c ---- */

int iommufd_vfio_ioas(struct iommufd_ucmd *ucmd);
/* For containers: make the IOAS that type1 acts on, unless there is one. */
int iommufd_vfio_compat_create(struct iommufd_ctx *ctx);
/* With all that is mapped in it; nothing is attached. */
void iommufd_vfio_compat_destroy(struct iommufd_ctx *ctx);
/* Its id, or 0. */
uint32_t iommufd_vfio_compat_ioas(struct iommufd_ctx *ctx);
/* VFIO type1 ioctls on /dev/iommu; -ENOTTY for any other. */
int iommufd_vfio_ioctl(struct iommufd_ctx *ctx, unsigned int cmd, uint64_t arg);
int iommufd_vfio_get_info(struct iommufd_ctx *ctx, uint64_t arg); /* vfio_info.c */

/* ---- hwpt.c: page tables that ioctls make ---- */

struct iommufd_fault;
struct iommufd_fault_queue;
struct iommufd_viommu;

struct iommufd_hwpt {
	struct iommufd_object obj;
	struct iommu_domain *domain; /* nested: the parent's */
	struct iommufd_fault *fault; /* a reference in fault->obj.users, or NULL */
	bool pasid_compat;           /* made for PASIDs */
	/* paging: */
	struct iommufd_ioas *ioas; /* a reference, or NULL */
	bool auto_domain, enforce_cache_coherency, nest_parent, dirty_tracking;
	struct list_head hwpt_item; /* in ioas->hwpts */
	/* nested: */
	struct iommufd_hwpt *parent;          /* a reference, or NULL */
	struct iommufd_viommu *viommu;        /* that it was made on, a reference, or NULL */
	void *nested;                         /* made by ops */
	const struct iommufd_device_ops *ops; /* of the device it was made for */
};

struct iommufd_device;

/* An HWPT filled with all of @ioas; iommufd_object_finalize() is to follow. ERR_PTR. */
struct iommufd_hwpt *iommufd_hwpt_paging_alloc(struct iommufd_ctx *ctx, struct iommufd_ioas *ioas,
					       struct iommufd_device *idev, uint32_t flags,
					       const struct iommufd_user_data *data);
void iommufd_hwpt_destroy(struct iommufd_object *obj); /* both kinds */
int iommufd_hwpt_alloc(struct iommufd_ucmd *ucmd);
int iommufd_hwpt_invalidate(struct iommufd_ucmd *ucmd);
int iommufd_hwpt_set_dirty_tracking(struct iommufd_ucmd *ucmd);
int iommufd_hwpt_get_dirty_bitmap(struct iommufd_ucmd *ucmd);
/* Drop one user's hold; an automatic one goes with its last. */
void iommufd_hwpt_put(struct iommufd_ctx *ctx, struct iommufd_hwpt *hwpt);
/* The paging HWPT that translates: itself, or its parent. */
static inline const struct iommufd_hwpt *iommufd_hwpt_paging(const struct iommufd_hwpt *hwpt)
{
	return hwpt->parent ? hwpt->parent : hwpt;
}

/* ---- dirty.c: of an HWPT that tracks ---- */

int iommufd_dirty_track(struct iommufd_hwpt *hwpt, bool enable);
int iommufd_dirty_read(struct iommufd_hwpt *hwpt, const struct iommu_hwpt_get_dirty_bitmap *cmd);

/* ---- device.c: devices that are bound to a context ---- */

struct iommufd_vdevice;

struct iommufd_group {
	struct list_head link;
	struct iommu_group *group;
	struct iommufd_hwpt *hwpt; /* what all of it is attached to */
	struct list_head devices;  /* attached ones; each is a user of hwpt */
	unsigned int nr_bound;
};

/* obj.users counts its driver, so that only iommufd_device_unbind() destroys it. */
struct iommufd_device {
	struct iommufd_object obj;
	struct iommufd_ctx *ctx;
	struct iommufd_group *igroup;
	struct list_head group_item; /* in igroup->devices */
	struct iommu_device *dev;
	const struct iommufd_device_ops *ops; /* see <uiommu/iommufd.h> */
	void *ops_context;
	struct iommufd_vdevice *vdevice;       /* what it is in a virtual machine, or NULL */
	struct list_head pasids;               /* of iommufd_pasid */
	struct iommu_pasid_table *pasid_table; /* while there are any, or NULL */
};

void iommufd_device_destroy(struct iommufd_object *obj);
/* Could the hardware behind a device use an HWPT that was made for another? */
bool iommufd_device_fits(const struct iommufd_device *idev, const struct iommufd_hwpt *hwpt);
int iommufd_get_hw_info(struct iommufd_ucmd *ucmd); /* hw_info.c */

/* ---- pasid.c ---- */

/* What one of a device's PASIDs is attached to. */
struct iommufd_pasid {
	struct list_head link; /* in idev->pasids */
	uint32_t pasid;
	struct iommufd_hwpt *hwpt; /* a reference */
};

struct iommufd_pasid *iommufd_pasid_find(const struct iommufd_device *idev, uint32_t pasid);
void iommufd_pasid_detach_all(struct iommufd_device *idev);

/* ---- access.c ---- */

struct iommufd_access {
	struct iommufd_object obj;
	struct iommufd_ctx *ctx;
	struct iommufd_ioas *ioas;       /* a reference, or NULL */
	struct iommufd_ioas *ioas_unpin; /* the same, also while ioas is left */
	const struct iommufd_access_ops *ops;
	void *data;
	struct list_head link; /* in ioas->iopt.accesses */
	uint64_t iova_alignment;
};

void iommufd_access_destroy_object(struct iommufd_object *obj);
/* Ask every access to let go of a range, before it is unmapped. */
void iommufd_access_notify_unmap(struct io_pagetable *iopt, uint64_t iova, uint64_t length);

/* ---- fault.c ---- */

/* The object is the ioctls' side of a queue, which its file may outlive. */
struct iommufd_fault {
	struct iommufd_object obj; /* the file is a user */
	struct iommufd_fault_queue *queue;
};

void iommufd_fault_destroy(struct iommufd_object *obj);
int iommufd_fault_alloc(struct iommufd_ucmd *ucmd);
/* Answer all that came through what is to be detached with INVALID; @pasid: see struct. */
void iommufd_fault_auto_respond(struct iommufd_fault *fault, struct iommufd_device *idev,
				const struct iommufd_pasid *pasid);
/* File operations. */
ssize_t iommufd_fault_read(struct iommufd_fault_queue *queue, void *buf, size_t len);
ssize_t iommufd_fault_write(struct iommufd_fault_queue *queue, const void *buf, size_t len);

/* ---- veventq.c: the file, see viommu.h for the rest ---- */

struct iommufd_eventq;

ssize_t iommufd_veventq_read(struct iommufd_eventq *q, void *buf, size_t len);

/* ---- inspect.c: what the report of `uiommu run` is made of ---- */

struct iommufd_object_info {
	uint32_t id, created_cmd;
	enum iommufd_object_type type;
	struct iommu_domain *domain; /* of an HWPT, else NULL */
	uint32_t ioas_id;            /* of a paging HWPT and of an IOAS, else 0 */
	uint64_t nr_areas, mapped_bytes;
};

/* For people: "IOAS", "HWPT", ... */
const char *iommufd_object_type_name(enum iommufd_object_type type);
/* Calls back for each object in the order of ids, ctx->lock held. */
void iommufd_for_each_object(struct iommufd_ctx *ctx,
			     void (*each)(void *arg, const struct iommufd_object_info *info),
			     void *arg);
/* iopt_check_memory() of every IOAS of the context. */
void iommufd_check_memory(struct iommufd_ctx *ctx);

/* ---- selftest.c: --test-abi ---- */

/* IOMMU_TEST_CMD. */
extern const struct iommufd_ioctl_op iommufd_test_op;
int iommufd_test(struct iommufd_ucmd *ucmd);
void iommufd_selftest_destroy(struct iommufd_object *obj);
/* With the test ABI and its flag in *flags: *iova is "nth area, offset", make it one. */
void iommufd_test_syz_conv_iova_id(struct iommufd_ucmd *ucmd, uint32_t ioas_id, __u64 *iova,
				   __u32 *flags);
/* The last close of the file of an access. */
void iommufd_test_file_release(void *file);

#endif
