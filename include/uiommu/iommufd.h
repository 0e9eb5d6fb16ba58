/* SPDX-License-Identifier: MIT */
/*
 * iommufd in user space: what stands behind one open /dev/iommu, the devices
 * bound to it, and accesses by software. The ioctls are those of Linux 6.12's
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

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct iommufd_ctx;
struct iommufd_device;
struct iommufd_access;

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
 */
enum iommufd_file_kind {
	IOMMUFD_FILE_FAULT,
	IOMMUFD_FILE_ACCESS,
};

/**
 * struct iommufd_host - What a context needs from the program around it.
 * @install_file: give the program a file descriptor for @file; the host calls
 *                iommufd_file_read(), _write(), _poll() and, at the last close,
 *                _release() for it. Returns the descriptor or a negative errno;
 *                after an error @file is still the caller's. May be NULL.
 */
struct iommufd_host {
	int (*install_file)(void *context, enum iommufd_file_kind kind, void *file);
};

/**
 * struct iommufd_config - How a context behaves.
 * @format: table format of domains that ioctls make
 * @address_width: bits of input address, or 0 for the format's default
 * @phys: physical addresses of user memory
 * @owner: memory cgroup that everything is charged to, or NULL for none
 * @host: the program around it, or NULL
 * @host_context: handed to its callbacks
 * @test_abi: answer IOMMU_TEST_CMD as a kernel with CONFIG_IOMMUFD_TEST does
 */
struct iommufd_config {
	const char *format;
	unsigned int address_width;
	enum iommufd_phys_mode phys;
	struct mem_cgroup *owner;
	const struct iommufd_host *host;
	void *host_context;
	bool test_abi;
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
 * Return: as the kernel's ioctl, with a negative errno for -1.
 */
int iommufd_ioctl(struct iommufd_ctx *ctx, unsigned int cmd, void *arg);

/* Files made by ioctls; @file is what install_file was given. As the kernel's
 * file operations; errors are negative errnos. */
ssize_t iommufd_file_read(void *file, enum iommufd_file_kind kind, void *buf, size_t len,
			  bool nonblock);
ssize_t iommufd_file_write(void *file, enum iommufd_file_kind kind, const void *buf, size_t len);
short iommufd_file_poll(void *file, enum iommufd_file_kind kind, short events);
void iommufd_file_release(void *file, enum iommufd_file_kind kind);

struct iommu_user_data_host;

/**
 * struct iommufd_device_ops - What a device model adds to iommufd.
 * @hw_info: fill @buf (@len bytes) with the device's hardware information and
 *           set *@type and *@full, the length of all of it; 0 or an errno
 * @dirty_tracking: domains for it can track dirty pages
 * @enforce_cache_coherency: it can
 */
struct iommufd_device_ops {
	int (*hw_info)(void *context, void *buf, size_t len, uint32_t *type, size_t *full);
	bool dirty_tracking;
	bool enforce_cache_coherency;
};

/* Bind a device; *id is its object id in the context. ERR_PTR. */
struct iommufd_device *iommufd_device_bind(struct iommufd_ctx *ctx, struct iommu_device *dev,
					   const struct iommufd_device_ops *ops, void *context,
					   uint32_t *id);
/* Unbind; it must be detached. */
void iommufd_device_unbind(struct iommufd_device *idev);
/* Attach to the HWPT or IOAS *pt_id; *pt_id becomes the HWPT's id. */
int iommufd_device_attach(struct iommufd_device *idev, uint32_t *pt_id);
int iommufd_device_replace(struct iommufd_device *idev, uint32_t *pt_id);
void iommufd_device_detach(struct iommufd_device *idev);

/**
 * struct iommufd_access_ops - A driver that reads and writes through an IOAS.
 * @needs_pin_pages: it pins
 * @unmap: let go of every pin in the range before returning; may call
 *         iommufd_access_unpin_pages()
 */
struct iommufd_access_ops {
	bool needs_pin_pages;
	void (*unmap)(void *data, uint64_t iova, uint64_t length);
};

#define IOMMUFD_ACCESS_RW_READ   0u
#define IOMMUFD_ACCESS_RW_WRITE  (1u << 0)
#define IOMMUFD_ACCESS_RW_KTHREAD (1u << 1)

struct iommufd_access *iommufd_access_create(struct iommufd_ctx *ctx,
					     const struct iommufd_access_ops *ops, void *data,
					     uint32_t *id);
void iommufd_access_destroy(struct iommufd_access *access);
int iommufd_access_attach(struct iommufd_access *access, uint32_t ioas_id);
int iommufd_access_replace(struct iommufd_access *access, uint32_t ioas_id);
void iommufd_access_detach(struct iommufd_access *access);
/* @pages: one user address per page. */
int iommufd_access_pin_pages(struct iommufd_access *access, uint64_t iova, uint64_t length,
			     void **pages, unsigned int flags);
void iommufd_access_unpin_pages(struct iommufd_access *access, uint64_t iova, uint64_t length);
int iommufd_access_rw(struct iommufd_access *access, uint64_t iova, void *data, size_t length,
		      unsigned int flags);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
