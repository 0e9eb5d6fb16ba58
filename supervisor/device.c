/* SPDX-License-Identifier: MIT */
/*
 * What our files do: opened, called, read, written, and closed for the last time.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <uiommu/mm.h>

#include <uiommu/abi/iommufd.h>
#include <uiommu/abi/vfio.h>

#include "iommufd/iommufd.h"
#include "supervisor/supervisor.h"
#include "vfio/cdev.h"
#include "vfio/group.h"
#include "vfio/pci.h"

static unsigned int nr_contexts;

static pthread_mutex_t contexts_lock = PTHREAD_MUTEX_INITIALIZER;
static struct file *contexts;

void contexts_for_each(void (*each)(struct file *file, void *arg), void *arg)
{
	pthread_mutex_lock(&contexts_lock);
	for (struct file *file = contexts; file; file = file->next_context)
		each(file, arg);
	pthread_mutex_unlock(&contexts_lock);
}

static void add_context(struct file *file)
{
	pthread_mutex_lock(&contexts_lock);
	file->next_context = contexts;
	contexts = file;
	pthread_mutex_unlock(&contexts_lock);
}

static void remove_context(struct file *file)
{
	struct file **at = &contexts;

	pthread_mutex_lock(&contexts_lock);
	while (*at != file)
		at = &(*at)->next_context;
	*at = file->next_context;
	pthread_mutex_unlock(&contexts_lock);
}

struct file *device_context(struct file *file)
{
	struct file *context = file->context;

	if (file->kind == FILE_IOMMU)
		context = file;
	else if (file->kind == FILE_VFIO && file->cdev)
		context = vfio_cdev_hold(file->cdev);
	else if (file->kind == FILE_GROUP && file->group)
		context = vfio_group_hold(file->group);
	if (context)
		file_hold(context);
	return context;
}

void device_stat(const struct file *file, unsigned int *mode, uint64_t *rdev)
{
	*mode = S_IFREG | 0600;
	*rdev = 0;
	if (file->kind == FILE_IOMMU) {
		*mode = S_IFCHR | 0600;
		*rdev = file->container ? CONTAINER_DEVICE : IOMMU_DEVICE;
	} else if (file->kind == FILE_VFIO) {
		*mode = S_IFCHR | 0600;
		*rdev = makedev(VFIO_MAJOR, vfio_cdev_index(file->cdev));
	}
}

void device_link(const struct file *file, char *text, size_t size)
{
	switch (file->kind) {
	case FILE_IOMMU:
		snprintf(text, size, file->container ? "/dev/vfio/vfio" : "/dev/iommu");
		break;
	case FILE_GROUP:
	case FILE_CONFIG:
	case FILE_ATTRIBUTE:
		snprintf(text, size, "%s", file->node->path);
		break;
	case FILE_VFIO:
		if (file->parent) {
			snprintf(text, size, "anon_inode:[vfio-device]");
			break;
		}
		snprintf(text, size, "/dev/vfio/devices/vfio%u", vfio_cdev_index(file->cdev));
		break;
	case FILE_FAULT:
		snprintf(text, size, "anon_inode:[iommufd_pgfault]");
		break;
	case FILE_ACCESS:
		snprintf(text, size, "anon_inode:[iommufd_test_staccess]");
		break;
	case FILE_VEVENTQ:
		snprintf(text, size, "anon_inode:[iommufd_viommu_event]");
		break;
	case FILE_DMABUF:
		snprintf(text, size, "/dmabuf:");
		break;
	case FILE_FAIL_NTH:
		snprintf(text, size, "/proc/%d/fail-nth", (int)file->tid);
		break;
	}
}

/* ---- opening ---- */

static int make_container(struct file *file)
{
	file->container = vfio_container_create(file->ctx);
	if (!IS_ERR(file->container))
		return 0;
	iommufd_ctx_destroy(file->ctx);
	file->ctx = NULL;
	file->container = NULL;
	return -ENOMEM;
}

static int open_iommu(struct file *file, bool container)
{
	struct iommufd_config config = {
		.format = options->format,
		.address_width = options->address_width,
		.phys = options->phys,
		.owner = file->opener->cgroup,
		.host = &iommufd_host,
		.host_context = file,
		.memlock = options->memlock,
		.test_abi = options->test_abi,
		.abi = options->abi,
	};
	struct iommufd_ctx *ctx = iommufd_ctx_create(&config);

	if (IS_ERR(ctx))
		return (int)PTR_ERR(ctx);
	file->ctx = ctx;
	if (container && make_container(file))
		return -ENOMEM;
	file->number = __atomic_add_fetch(&nr_contexts, 1, __ATOMIC_RELAXED);
	file->slot = account_slot(file->opener);
	if (file->slot) {
		__atomic_fetch_add(&file->slot->files_opened, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&file->slot->files_open, 1, __ATOMIC_RELAXED);
	}
	add_context(file);
	account_closed(file);
	return 0;
}

static int open_vfio(struct file *file, unsigned int index)
{
	struct vfio_cdev *cdev = vfio_cdev_open(index, &host_of_vfio);

	if (IS_ERR(cdev))
		return (int)PTR_ERR(cdev);
	file->cdev = cdev;
	return 0;
}

static int open_group(struct file *file, unsigned int number)
{
	struct vfio_group *group = vfio_group_open(number, &host_of_vfio);

	if (IS_ERR(group))
		return (int)PTR_ERR(group);
	file->group = group;
	return 0;
}

uint64_t device_memory_size(const struct file *file)
{
	return file->kind == FILE_VFIO && file->cdev && vfio_cdev_pci(file->cdev)
		       ? VFIO_DEVICE_FILE_SIZE
		       : 0;
}

/* --fail-nth counts from the first use on, in the thread that makes it. */
static void arm_fail_nth(pid_t tid)
{
	static atomic_bool armed;

	if (options->fail_nth && !atomic_exchange(&armed, true))
		fail_set(tid, options->fail_nth);
}

static int open_file(struct file *file, unsigned int index, int flags)
{
	int ret = 0;

	if (file->kind == FILE_IOMMU)
		ret = open_iommu(file, index);
	else if (file->kind == FILE_VFIO)
		ret = open_vfio(file, index);
	else if (file->kind == FILE_GROUP)
		ret = open_group(file, index);
	else if (file->kind == FILE_CONFIG)
		file->pci = vfio_pci_by_index(index);
	else
		file->tid = (pid_t)index;
	if (!ret)
		ret = file_open(file, flags);
	if (file->kind == FILE_VFIO && file->cdev && ret >= 0 && file->memory >= 0)
		vfio_cdev_set_memory(file->cdev, file->memory);
	return ret;
}

int device_open(struct call *call, enum file_kind kind, const struct node *node, unsigned int index,
		int flags)
{
	struct process *process = call_process(call);
	struct file *file;
	int ret;

	if (!process)
		return call_is_valid(call) ? -ENFILE : -ESRCH;
	if (kind == FILE_IOMMU)
		arm_fail_nth(call->caller.tid);
	/* A group can be open once. */
	if (kind == FILE_GROUP)
		files_settle(NULL, process);
	file = file_alloc(kind, process);
	if (!file)
		return -ENFILE;
	file->node = node;
	if (atomic_load(&fail_in_use))
		fail_begin(call->caller.tid);
	ret = open_file(file, index, flags);
	if (atomic_load(&fail_in_use))
		fail_end(call->caller.tid);
	file_put(file);
	return ret;
}

/* ---- the last close ---- */

/* What this thread does next is counted with what the opener of the file did. */
static void count_for(const struct file *file)
{
	counters_here = file && file->slot ? &file->slot->counters : NULL;
}

/* A domain of its own goes with a device that is detached. */
static void account_device(struct file *file)
{
	struct file *context = vfio_cdev_hold(file->cdev);

	count_for(context);
	if (context)
		account_context(context);
}

/* Of a process that was killed the report has what it had not closed. */
void device_closing(struct file *file)
{
	struct file *context = device_context(file);

	if (!context)
		return;
	if (context->slot && context->slot->state == REPORT_RUNNING &&
	    process_is_ending(context->opener))
		account_exit(context->opener, REPORT_KILLED, 0);
	memory_check(context);
	file_put(context);
}

/* A domain may have come with a device, or found no memory. */
static void account_attach(struct file *file, long ret)
{
	struct file *context = vfio_cdev_hold(file->cdev);

	if (!context || !context->slot)
		return;
	if (!ret)
		account_context(context);
	else if (ret == -ENOMEM)
		account_memlock(context);
}

static void release_iommu(struct file *file)
{
	if (!file->ctx)
		return;
	account_close(file);
	count_for(file);
	remove_context(file);
	if (file->container)
		vfio_container_destroy(file->container);
	iommufd_ctx_destroy(file->ctx);
	account_closed(file);
}

static void release_vfio(struct file *file)
{
	if (!file->cdev)
		return;
	account_device(file);
	vfio_cdev_release(file->cdev);
	if (file->parent)
		vfio_group_device_closed(file->parent->group);
}

static void release_group(struct file *file)
{
	struct file *context = file->group ? vfio_group_hold(file->group) : NULL;

	count_for(context);
	if (context)
		account_context(context);
	if (file->group)
		vfio_group_release(file->group);
}

/* What a shell wrote to it, by a number that is not in the window. */
static void release_attribute(struct file *file)
{
	char text[128];
	ssize_t length = file->memory < 0 ? 0 : pread(file->memory, text, sizeof(text), 0);

	if (length > 0 && sysfs_write(file->node, text, (size_t)length) < 0)
		notice("%s: '%.*s' has no effect", file->node->path,
		       (int)strcspn(text, "\n") < (int)length ? (int)strcspn(text, "\n")
							      : (int)length,
		       text);
}

void device_release(struct file *file)
{
	switch (file->kind) {
	case FILE_IOMMU:
		release_iommu(file);
		break;
	case FILE_VFIO:
		release_vfio(file);
		break;
	case FILE_FAULT:
	case FILE_ACCESS:
	case FILE_VEVENTQ:
	case FILE_DMABUF:
		if (file->object)
			iommufd_file_release(file->object, host_kind(file));
		break;
	case FILE_GROUP:
		release_group(file);
		break;
	case FILE_ATTRIBUTE:
		release_attribute(file);
		break;
	case FILE_CONFIG:
	case FILE_FAIL_NTH:
		break;
	}
}

/* ---- calls ---- */

static bool is_shrinking(unsigned int cmd)
{
	return cmd == IOMMU_IOAS_UNMAP || cmd == IOMMU_DESTROY || cmd == VFIO_IOMMU_UNMAP_DMA;
}

/* A domain that goes is not seen again, one that is unmapped has its peak only. */
static void account_shrinking(struct file *file, unsigned int cmd)
{
	if (cmd == IOMMU_DESTROY)
		account_context(file);
	else
		account_if_cheap(file);
}

static long iommu_ioctl(struct file *file, unsigned int cmd, uint64_t arg)
{
	uint64_t start, end;
	long ret;

	count_for(file);
	if (is_shrinking(cmd) && atomic_load_explicit(&file->grown, memory_order_relaxed))
		account_shrinking(file, cmd);
	start = account_now();
	ret = file->container ? vfio_container_ioctl(file->container, cmd, arg)
			      : iommufd_ioctl(file->ctx, cmd, (void *)(uintptr_t)arg);
	if (!file->slot)
		return ret;
	end = account_now();
	account_count(file->slot, cmd, false, ret, end - start);
	if (unlikely(ret == -ENOMEM))
		account_memlock(file);
	if (!is_shrinking(cmd))
		atomic_store_explicit(&file->grown, true, memory_order_relaxed);
	account_sometimes(file, end);
	return ret;
}

static long vfio_ioctl(struct file *file, struct call *call, unsigned int cmd, uint64_t arg)
{
	struct process *process = call_process(call);
	struct report_process *slot = process ? account_slot(process) : NULL;
	uint64_t start;
	long ret;

	if (cmd == VFIO_DEVICE_DETACH_IOMMUFD_PT || cmd == VFIO_DEVICE_ATTACH_IOMMUFD_PT)
		account_device(file);
	start = account_now();
	ret = vfio_cdev_ioctl(file->cdev, cmd, arg);
	if (ret == -EBADF && cmd == VFIO_DEVICE_BIND_IOMMUFD && call->bad_kind)
		ret = -EBADFD;
	if (slot)
		account_count(slot, cmd, true, ret, account_now() - start);
	if (cmd == VFIO_DEVICE_ATTACH_IOMMUFD_PT)
		account_attach(file, ret);
	return ret;
}

/* VFIO_GROUP_GET_DEVICE_FD: a file of its own, which keeps the group. */
static long get_device(struct file *group, struct call *call, uint64_t arg)
{
	struct file *file = file_alloc(FILE_VFIO, call_process(call));
	struct vfio_cdev *cdev;
	int fd;

	if (!file)
		return -ENOMEM;
	cdev = vfio_group_open_device(group->group, arg);
	if (IS_ERR(cdev)) {
		file_put(file);
		return PTR_ERR(cdev);
	}
	file->cdev = cdev;
	file->parent = group;
	file_hold(group);
	fd = file_open(file, O_RDWR);
	if (fd >= 0) {
		vfio_cdev_set_memory(cdev, file->memory);
		fd = call_give(call, fd, O_CLOEXEC, true);
	}
	file_put(file);
	return fd;
}

static long group_ioctl(struct file *file, struct call *call, unsigned int cmd, uint64_t arg)
{
	struct process *process = call_process(call);
	struct report_process *slot = process ? account_slot(process) : NULL;
	struct file *context = vfio_group_hold(file->group);
	uint64_t start = account_now();
	long ret;

	count_for(context);
	if (cmd == VFIO_GROUP_UNSET_CONTAINER && context)
		account_context(context);
	ret = cmd == VFIO_GROUP_GET_DEVICE_FD ? get_device(file, call, arg)
					      : vfio_group_ioctl(file->group, cmd, arg);
	if (slot)
		account_count(slot, cmd, true, ret, account_now() - start);
	return ret;
}

long device_ioctl(struct file *file, struct call *call, unsigned int cmd, uint64_t arg)
{
	bool fail = atomic_load_explicit(&fail_in_use, memory_order_relaxed);
	long ret = -ENOTTY;

	if (fail)
		fail_begin(call->caller.tid);
	if (file->kind == FILE_VFIO)
		ret = vfio_ioctl(file, call, cmd, arg);
	else if (file->kind == FILE_IOMMU)
		ret = iommu_ioctl(file, cmd, arg);
	else if (file->kind == FILE_GROUP)
		ret = group_ioctl(file, call, cmd, arg);
	host_publish(call, ret);
	if (fail)
		fail_end(call->caller.tid);
	return ret;
}
