/* SPDX-License-Identifier: MIT */
/*
 * iommufd in user space: what stands behind one open /dev/iommu, the devices
 * bound to it, and accesses by software. The ioctls are those of Linux 7.3's
 * include/uapi/linux/iommufd.h; the calls below are its in-kernel API
 * (include/linux/iommufd.h).
 */
#ifndef UIOMMU_IOMMUFD_H
#define UIOMMU_IOMMUFD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <uiommu/device.h>
#include <uiommu/iommu.h>
#include <uiommu/memcontrol.h>
#include <uiommu/pasid.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct iommufd_ctx;
struct iommufd_device;
struct iommufd_access;
struct iommufd_viommu;
struct iommufd_viommu_ops;

/**
 * enum iommufd_phys_mode - What physical addresses user memory has.
 * @IOMMUFD_PHYS_AUTO: runs as long as the memory really is contiguous, by
 *                     /proc/self/pagemap where it shows frame numbers, else by
 *                     the huge pages that back it
 * @IOMMUFD_PHYS_IDENTITY: the virtual address: the best case
 * @IOMMUFD_PHYS_SCATTERED: no two neighbouring pages adjoin: the worst case
 */
enum iommufd_phys_mode {
	IOMMUFD_PHYS_AUTO,
	IOMMUFD_PHYS_IDENTITY,
	IOMMUFD_PHYS_SCATTERED,
};

/**
 * enum iommufd_file_kind - Files that ioctls make.
 * @IOMMUFD_FILE_FAULT: a fault queue: read, write and poll
 * @IOMMUFD_FILE_ACCESS: of the test ABI: its last close destroys the access
 * @IOMMUFD_FILE_VEVENTQ: events of a vIOMMU: read and poll
 * @IOMMUFD_FILE_DMABUF: memory of a device, to be mapped by IOMMU_IOAS_MAP_FILE
 */
enum iommufd_file_kind {
	IOMMUFD_FILE_FAULT,
	IOMMUFD_FILE_ACCESS,
	IOMMUFD_FILE_VEVENTQ,
	IOMMUFD_FILE_DMABUF,
};

/**
 * enum iommufd_abi - Whose answers a caller expects where those of two kernels differ.
 * @IOMMUFD_ABI_NEWEST: the newest kernel's; with the test ABI: that of which the caller's
 *                      operations and structs tell
 * @IOMMUFD_ABI_6_12: Linux 6.12's
 * @IOMMUFD_ABI_7_3: Linux 7.3's
 */
enum iommufd_abi {
	IOMMUFD_ABI_NEWEST,
	IOMMUFD_ABI_6_12 = 612,
	IOMMUFD_ABI_7_3 = 703,
};

/**
 * struct iommufd_host - What a context needs from the program around it.
 * @install_file: give the program a file descriptor for @file; the host calls
 *                iommufd_file_read(), _write(), _poll() and, at the last close,
 *                _release() for it. Returns the descriptor or a negative errno;
 *                after an error @file is still the caller's. May be NULL.
 * @remove_file: undo install_file for a program that could not be told of the
 *               descriptor, which may stay, but with nothing behind it: _release()
 *               is not called. Not NULL if install_file is not.
 * @with_file: return what @call returns for the file behind a descriptor of the
 *             calling process, which stays open during the call; -EBADFD when
 *             there is none, or none of @kind. The test ABI and dma-bufs need it;
 *             may be NULL.
 * @file_changed: a file has become readable, or ceased to be. Called with locks
 *                held: must not call the library. May be NULL.
 * @share_memory: have @length bytes of zeroed memory which a program gets that maps
 *                @offset of /dev/iommu, after iommufd_mmap() has agreed. NULL for no
 *                memory. May be NULL, and the other two are then, too.
 * @unshare_memory: it is not needed any more
 * @is_mapped: whether a program may have some of it mapped
 * @memory_gone: a program has given back memory of its own that is still mapped:
 *               @length bytes at @address, of which @mapped are at @iova. Called
 *               when the library notices, with locks held: must not call it. May be
 *               NULL.
 */
struct iommufd_host {
	int (*install_file)(void *context, enum iommufd_file_kind kind, void *file);
	void (*remove_file)(void *context, int fd);
	int (*with_file)(void *context, enum iommufd_file_kind kind, int fd,
			 int (*call)(void *file, void *arg), void *arg);
	void (*file_changed)(void *context, enum iommufd_file_kind kind, void *file, bool readable);
	void (*memory_gone)(void *context, uint64_t address, uint64_t length, uint64_t iova,
			    uint64_t mapped);
	void *(*share_memory)(void *context, uint64_t offset, size_t length);
	void (*unshare_memory)(void *context, uint64_t offset, size_t length);
	bool (*is_mapped)(void *context, uint64_t offset, size_t length);
};

/**
 * struct iommufd_config - How a context behaves.
 * @format: table format of domains that ioctls make
 * @address_width: bits of input address, or 0 for the format's default
 * @phys: physical addresses of user memory
 * @owner: memory cgroup that everything is charged to, or NULL for none
 * @host: the program around it, or NULL
 * @host_context: handed to its callbacks
 * @memlock: bytes that may be pinned, in place of RLIMIT_MEMLOCK and whatever the
 *           caller's capabilities; UINT64_MAX for no limit, 0 to go by those
 * @test_abi: answer IOMMU_TEST_CMD as a kernel with CONFIG_IOMMUFD_TEST does
 * @abi: which kernel's answers to give
 */
struct iommufd_config {
	const char *format;
	unsigned int address_width;
	enum iommufd_phys_mode phys;
	struct mem_cgroup *owner;
	const struct iommufd_host *host;
	void *host_context;
	uint64_t memlock;
	bool test_abi;
	enum iommufd_abi abi;
};

/**
 * iommufd_ctx_create() - What opening /dev/iommu does.
 * @config: how it is to behave
 *
 * Context: May block.
 * Return: the context; as ERR_PTR(): -EINVAL for an unknown format or width,
 * -ENOMEM when memory or the owner's budget is short.
 */
struct iommufd_ctx *iommufd_ctx_create(const struct iommufd_config *config);

/**
 * iommufd_ctx_destroy() - What the last close of /dev/iommu does.
 * @ctx: the context; no call on it may be under way. Devices are unbound and
 *       accesses destroyed before, or by it.
 *
 * Context: May block. Cannot fail; afterwards nothing of it is charged.
 */
void iommufd_ctx_destroy(struct iommufd_ctx *ctx);

/**
 * iommufd_ioctl() - What ioctl() on /dev/iommu does.
 * @ctx: the context
 * @cmd: an ioctl number of iommufd, or of VFIO type1
 * @arg: its argument; a bad pointer gives -EFAULT
 *
 * Context: May block. Any thread; calls on one context run one after another.
 * Return: as the kernel's ioctl, with a negative errno for -1; -EDEADLK, reported
 * once, in a callback that is called inside another ioctl on @ctx, and in a shrinker.
 */
int iommufd_ioctl(struct iommufd_ctx *ctx, unsigned int cmd, void *arg);

/**
 * iommufd_mmap() - What mmap() on /dev/iommu does, but for the mapping itself.
 * @ctx: the context
 * @offset: offset for it
 * @length: bytes, rounded up to whole pages
 *
 * Context: May block. Any thread.
 * Return: 0: the program may map what share_memory() has put there; -ENXIO.
 */
int iommufd_mmap(struct iommufd_ctx *ctx, uint64_t offset, uint64_t length);

/**
 * iommufd_file_read() - What read() on a file that an ioctl made does.
 * @file: what install_file was given
 * @kind: of the same call
 * @buf: where it goes; a bad pointer gives -EFAULT
 * @len: bytes at @buf
 * @nonblock: the file is O_NONBLOCK; no file blocks anyway, as in the kernel
 *
 * A fault queue gives whole groups of struct iommu_hwpt_pgfault, a queue of events each
 * with a struct iommufd_vevent_header before it.
 *
 * Context: Any thread. Not at the same time as iommufd_file_release().
 * Return: bytes read, 0 when nothing is there; -ESPIPE when @len is not a
 * multiple of the struct, -EINVAL when the first group or event does not fit, -EFAULT;
 * -EINVAL for a kind that is not read.
 */
ssize_t iommufd_file_read(void *file, enum iommufd_file_kind kind, void *buf, size_t len,
			  bool nonblock);

/**
 * iommufd_file_write() - What write() on a file that an ioctl made does.
 * @file: what install_file was given
 * @kind: of the same call
 * @buf: what is written; a bad pointer gives -EFAULT
 * @len: bytes at @buf
 *
 * A fault queue takes struct iommu_hwpt_page_response.
 *
 * Context: Any thread. Not at the same time as iommufd_file_release().
 * Return: bytes taken; when none were: -ESPIPE when @len is not a multiple of
 * the struct, -EINVAL for an unknown cookie or code, -EFAULT; -EINVAL for a
 * kind that is not written.
 */
ssize_t iommufd_file_write(void *file, enum iommufd_file_kind kind, const void *buf, size_t len);

/**
 * iommufd_file_poll() - What poll() on a file that an ioctl made does.
 * @file: what install_file was given
 * @kind: of the same call
 * @events: what is waited for
 *
 * Never blocks: the host waits, and is told of changes by file_changed.
 *
 * Context: Any thread. Not at the same time as iommufd_file_release().
 * Return: those of @events that are there.
 */
short iommufd_file_poll(void *file, enum iommufd_file_kind kind, short events);

/**
 * iommufd_file_release() - What the last close of such a file does.
 * @file: what install_file was given
 * @kind: of the same call
 *
 * Context: May block. Before iommufd_ctx_destroy() or, for a fault queue, after
 * it, but not at the same time.
 */
void iommufd_file_release(void *file, enum iommufd_file_kind kind);

/**
 * struct iommufd_user_data - What a program hands to a device model.
 * @ctx: the context of the ioctl
 * @type: what it says that the data is
 * @entry_len: bytes of one entry
 * @entry_num: entries
 * @uptr: address of the first one
 */
struct iommufd_user_data {
	struct iommufd_ctx *ctx;
	uint32_t type;
	uint32_t entry_len;
	uint32_t entry_num;
	uint64_t uptr;
};

/**
 * iommufd_copy_user_data() - Fetch one entry of it.
 * @data: what the program handed in
 * @type: what it must be
 * @index: which entry, from 0 on
 * @to: where it goes; what the program's struct is too short for becomes 0
 * @min_len: bytes that it must have at least
 * @len: bytes at @to, and the most that it may have
 *
 * Context: May block. From the callbacks of struct iommufd_device_ops.
 * Return: 0; -EINVAL for another type, no such entry, or a wrong length;
 * -EFAULT for a bad pointer.
 */
int iommufd_copy_user_data(const struct iommufd_user_data *data, uint32_t type, uint32_t index,
			   void *to, size_t min_len, size_t len);

/**
 * struct iommufd_device_ops - What a device model adds to iommufd.
 * @hw_info: fill @buf (@len bytes) with as much of the device's hardware
 *           information as fits, and set *@type (of enum iommu_hw_info_type, not
 *           0) and *@full, the length of all of it, at most 4096. Returns 0 or a
 *           negative errno. NULL for none.
 * @nested_alloc: make a first stage of what @data describes, and put it in
 *                *@nested. Returns 0, or a negative errno: -EOPNOTSUPP for a type
 *                that it does not know. NULL when it cannot nest.
 * @nested_free: free one
 * @nested_invalidate: carry out the requests of @array, in order; set *@done to
 *                     how many it has, also when it stops with a negative errno.
 *                     There may be none, and then only the type matters.
 * @nested_attach: the device goes by this first stage from now on, or by none
 *                 (NULL), above the domain that it is attached to. May be NULL.
 * @pasid_attach: its @pasid translates by @domain from now on, with the first stage
 *                @nested above it, or without one (NULL); or by nothing, when @domain is
 *                NULL, which cannot fail. Returns 0 or a negative errno, and all is as it
 *                was. May be NULL.
 * @pasid_layout: the device has a PASID table of this layout while one of its PASIDs is
 *                attached; see iommufd_device_pasid_table(). NULL: the model does without
 * @pasid_first: what the first stage @nested is in such a table. Returns 0 or a negative
 *               errno. NULL: none can be in it
 * @pasid_flush: as flush of struct iommu_pasid_params. May be NULL.
 * @paging_config: change @params of a domain as @data asks for, which a program has handed
 *                 to IOMMU_HWPT_ALLOC on an IOAS. Returns 0 or a negative errno. NULL:
 *                 no such data
 * @viommu_alloc: make a vIOMMU of @type, with @data that a program has handed in, or NULL;
 *                set *@ops and *@made. Returns 0 or a negative errno: -EOPNOTSUPP for a
 *                type that it does not know. See <uiommu/iommufd_viommu.h>. NULL when it has
 *                none. Devices with the same callback are behind the same hardware.
 * @page_response: a group of page requests has its answer, of enum
 *                 iommufd_page_response_code. Called with the queue locked: must
 *                 not call the library. May be NULL.
 * @dirty_tracking: domains for it can track dirty pages, if their format can
 * @enforce_cache_coherency: it can
 * @no_iommu: it is given physical addresses
 * @pasid_domains: its hardware has domains that can be attached to PASIDs, of its own or of
 *                 other devices
 * @max_pasid_log2: bits of a PASID, 0 if it has no PASIDs
 * @capabilities: of enum iommufd_hw_capabilities, but for dirty tracking
 * @format: table format of its domains; NULL for the context's, with its width
 * @address_width: bits of input address, or 0 for the format's default
 * @pgsizes: leaf sizes of domains that are made for it, bit n for 2^n bytes, or 0
 *           for all of the format
 *
 * Callbacks are called with the context locked, if nothing else is said, and
 * outlive the context. What they allocate is theirs to charge.
 */
struct iommufd_device_ops {
	int (*hw_info)(void *context, void *buf, size_t len, uint32_t *type, size_t *full);
	int (*nested_alloc)(void *context, const struct iommufd_user_data *data, void **nested);
	void (*nested_free)(void *nested);
	int (*nested_invalidate)(void *nested, const struct iommufd_user_data *array,
				 uint32_t *done);
	void (*nested_attach)(void *context, void *nested);
	int (*pasid_attach)(void *context, uint32_t pasid, struct iommu_domain *domain,
			    void *nested);
	const enum iommu_pasid_layout *pasid_layout;
	int (*pasid_first)(void *nested, struct iommu_pasid_first *first);
	void (*pasid_flush)(void *context, uint32_t pasid, bool tables);
	int (*paging_config)(void *context, const struct iommufd_user_data *data,
			     struct iommu_domain_params *params);
	int (*viommu_alloc)(void *context, struct iommufd_viommu *viommu, uint32_t type,
			    const struct iommufd_user_data *data,
			    const struct iommufd_viommu_ops **ops, void **made);
	void (*page_response)(void *context, uint32_t pasid, uint32_t grpid, uint32_t code);
	bool dirty_tracking;
	bool enforce_cache_coherency;
	bool no_iommu;
	bool pasid_domains;
	uint8_t max_pasid_log2;
	uint64_t capabilities;
	const char *format;
	unsigned int address_width;
	uint64_t pgsizes;
};

/**
 * iommufd_device_bind() - Put a device under the control of a context.
 * @ctx: the context
 * @dev: a device of the core, in no other context; stays its owner's
 * @ops: what the model adds; must outlive the context
 * @context: handed to @ops
 * @id: becomes its object id
 *
 * Context: May block. Any thread.
 * Return: the device in the context, until iommufd_device_unbind(); as
 * ERR_PTR(): -ENOMEM when memory or the owner's budget is short.
 */
struct iommufd_device *iommufd_device_bind(struct iommufd_ctx *ctx, struct iommu_device *dev,
					   const struct iommufd_device_ops *ops, void *context,
					   uint32_t *id);

/**
 * iommufd_device_unbind() - Undo iommufd_device_bind().
 * @idev: the device; it is detached first if it is attached
 *
 * Context: May block. Cannot fail and does not allocate.
 */
void iommufd_device_unbind(struct iommufd_device *idev);

/**
 * iommufd_device_attach() - Attach a device to a page table.
 * @idev: the device, not attached
 * @pt_id: id of an HWPT, or of an IOAS, for which an HWPT is chosen or made;
 *         becomes the HWPT's id
 *
 * All devices of its group are attached with the first one of them; the others
 * follow one by one to the same HWPT, when their reserved regions are excluded
 * from its IOAS too.
 *
 * Context: May block. Any thread.
 * Return: 0; -ENOENT for no such id; -EINVAL when it is another kind of object,
 * or the device is attached, or its group is attached to another HWPT, or the
 * HWPT tracks dirty pages and the device cannot; -EADDRINUSE when something is
 * mapped in a reserved region; -ENOMEM; another error of iommu_attach_group().
 */
int iommufd_device_attach(struct iommufd_device *idev, uint32_t *pt_id);

/**
 * iommufd_device_replace() - Attach a device to another page table.
 * @idev: the device, attached; all devices of its group go with it
 * @pt_id: as for iommufd_device_attach()
 *
 * The device translates by the one or the other at every moment. When it fails
 * the device is attached as before.
 *
 * Context: May block. Any thread.
 * Return: 0, also when it is attached to that already; an error of
 * iommufd_device_attach(), with -EINVAL for a device that is not attached.
 */
int iommufd_device_replace(struct iommufd_device *idev, uint32_t *pt_id);

/**
 * iommufd_device_detach() - Undo iommufd_device_attach().
 * @idev: the device; nothing happens when it is not attached
 *
 * An HWPT that was made for the attachment goes with its last device.
 *
 * Context: May block. Cannot fail and does not allocate.
 */
void iommufd_device_detach(struct iommufd_device *idev);

struct iommu_hwpt_pgfault;

/**
 * iommufd_device_report_iopf() - Report a group of page requests of a device.
 * @idev: the device
 * @requests: the requests; their dev_id, cookie and last-page flag are filled in
 *            by the library
 * @nr: how many, not 0
 *
 * They go to the fault queue of the HWPT that their PASID is attached to, or else the
 * device.
 * page_response follows, if not at once then when a program answers, when the
 * device is detached, or when the queue goes.
 *
 * Context: May block. Any thread.
 * Return: 0; -EINVAL for no requests, or a device that is not attached to an
 * HWPT with a fault queue; -ENOMEM when memory or the owner's budget is short.
 */
int iommufd_device_report_iopf(struct iommufd_device *idev,
			       const struct iommu_hwpt_pgfault *requests, unsigned int nr);

/**
 * struct iommufd_access_ops - A driver that reads and writes through an IOAS.
 * @needs_pin_pages: it pins; IOVAs of its IOAS are multiples of 4096 then
 * @unmap: let go of every pin in [@iova, @iova + @length) before returning; may
 *         call iommufd_access_unpin_pages(), _pin_pages() and _rw(), and nothing else
 *         on the context. Called with the context locked. NULL for a driver that does
 *         not pin.
 */
struct iommufd_access_ops {
	bool needs_pin_pages;
	void (*unmap)(void *data, uint64_t iova, uint64_t length);
};

#define IOMMUFD_ACCESS_RW_READ    0u
#define IOMMUFD_ACCESS_RW_WRITE   (1u << 0)
#define IOMMUFD_ACCESS_RW_KTHREAD (1u << 1)

/**
 * iommufd_access_create() - Make an access.
 * @ctx: the context
 * @ops: the driver; must outlive the access
 * @data: handed to @ops
 * @id: becomes its object id
 *
 * Context: May block. Any thread.
 * Return: the access, until iommufd_access_destroy(); as ERR_PTR(): -ENOMEM when
 * memory or the owner's budget is short.
 */
struct iommufd_access *iommufd_access_create(struct iommufd_ctx *ctx,
					     const struct iommufd_access_ops *ops, void *data,
					     uint32_t *id);

/**
 * iommufd_access_destroy() - Destroy an access.
 * @access: the access; it is detached first if it is attached
 *
 * Context: May block. Cannot fail and does not allocate. In an unmap callback it does
 * nothing, and is reported once.
 */
void iommufd_access_destroy(struct iommufd_access *access);

/**
 * iommufd_access_attach() - Attach an access to an IOAS.
 * @access: the access, not attached
 * @ioas_id: id of the IOAS, which cannot be destroyed from then on
 *
 * Context: May block. Any thread.
 * Return: 0; -EINVAL when it is attached; -ENOENT for no such IOAS; -EADDRINUSE
 * when something is mapped there that is not aligned as the access needs it; -EBUSY
 * from an unmap callback.
 */
int iommufd_access_attach(struct iommufd_access *access, uint32_t ioas_id);

/**
 * iommufd_access_replace() - Attach an access to another IOAS.
 * @access: the access, attached
 * @ioas_id: id of the IOAS
 *
 * The driver's unmap callback is called for everything.
 *
 * Context: May block. Any thread. Not from the unmap callback.
 * Return: 0; -ENOENT when it is not attached or there is no such IOAS;
 * -EADDRINUSE as iommufd_access_attach(), and it is attached as before; -EBUSY
 * from an unmap callback.
 */
int iommufd_access_replace(struct iommufd_access *access, uint32_t ioas_id);

/**
 * iommufd_access_detach() - Undo iommufd_access_attach().
 * @access: the access
 *
 * The driver's unmap callback is called for everything.
 *
 * Context: May block. Cannot fail and does not allocate. In an unmap callback it does
 * nothing, and is reported once.
 */
void iommufd_access_detach(struct iommufd_access *access);

/**
 * iommufd_access_pin_pages() - Pin the memory behind a range of IOVA.
 * @access: the access, whose driver pins
 * @iova: first address; at the start of a page of user memory
 * @length: bytes
 * @pages: becomes the user address of each page
 * @flags: IOMMUFD_ACCESS_RW_READ or IOMMUFD_ACCESS_RW_WRITE
 *
 * The range may span areas that adjoin. All or nothing.
 *
 * Context: May block. Any thread.
 * Return: 0; -EINVAL for a length of 0, a driver that does not pin, a range that
 * is not made of whole pages or is being unmapped; -EOVERFLOW for one that wraps;
 * -ENOENT when it is not attached or a part is not mapped; -EPERM when a part is
 * not mapped for that; -EFAULT when the memory is bad; -ENOMEM when memory, the
 * owner's budget or RLIMIT_MEMLOCK is short.
 */
int iommufd_access_pin_pages(struct iommufd_access *access, uint64_t iova, uint64_t length,
			     void **pages, unsigned int flags);

/**
 * iommufd_access_unpin_pages() - Undo iommufd_access_pin_pages().
 * @access: the access
 * @iova: as it was pinned
 * @length: as it was pinned
 *
 * Context: May block. Cannot fail and does not allocate; a range that was not
 * pinned is reported once.
 */
void iommufd_access_unpin_pages(struct iommufd_access *access, uint64_t iova, uint64_t length);

/**
 * iommufd_access_rw() - Read or write through an IOAS.
 * @access: the access
 * @iova: first address, of any alignment
 * @data: memory of the caller
 * @length: bytes
 * @flags: IOMMUFD_ACCESS_RW_READ: to @data; IOMMUFD_ACCESS_RW_WRITE: from it;
 *         IOMMUFD_ACCESS_RW_KTHREAD makes no difference
 *
 * Context: May block. Any thread.
 * Return: 0; -EINVAL for a length of 0 or a range that is being unmapped;
 * -EOVERFLOW for one that wraps; -ENOENT when it is not attached or a part is not
 * mapped; -EPERM when a part is not mapped for that; -EFAULT when the memory is
 * bad. Before an error, what comes first may have been copied.
 */
int iommufd_access_rw(struct iommufd_access *access, uint64_t iova, void *data, size_t length,
		      unsigned int flags);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
