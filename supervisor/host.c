/* SPDX-License-Identifier: MIT */
/*
 * What iommufd and VFIO need of the process that calls them: the files that an ioctl
 * makes, and those that it names by descriptors.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "iommufd/iommufd.h"
#include "supervisor/supervisor.h"
#include "vfio/cdev.h"

static const enum file_kind kinds[] = {
	[IOMMUFD_FILE_FAULT] = FILE_FAULT,
	[IOMMUFD_FILE_ACCESS] = FILE_ACCESS,
	[IOMMUFD_FILE_VEVENTQ] = FILE_VEVENTQ,
	[IOMMUFD_FILE_DMABUF] = FILE_DMABUF,
};

enum iommufd_file_kind host_kind(const struct file *file)
{
	enum iommufd_file_kind kind = 0;

	while (kinds[kind] != file->kind)
		kind++;
	return kind;
}

static int install_file(void *context, enum iommufd_file_kind kind, void *object)
{
	struct file *file = file_alloc(kinds[kind], call_process(current_call));
	int fd, ret;

	if (!file)
		return -ENFILE;
	file->signals = object;
	file->context = context;
	file_hold(file->context);
	fd = file_open(file, O_RDWR);
	ret = fd < 0 ? fd : call_give(current_call, fd, O_CLOEXEC, true);
	if (ret < 0) {
		file_put(file);
		return ret;
	}
	current_call->installed = file;
	current_call->installed_object = object;
	return ret;
}

/* The program has a descriptor that it does not know of, and nothing is behind it. */
static void remove_file(void *context, int fd)
{
}

/*
 * The program may have found the descriptor that an ioctl gives before the ioctl has
 * ended, and it may fail yet. Only now there is something behind it.
 */
void host_publish(struct call *call, long ret)
{
	struct file *file = call->installed;

	if (!file)
		return;
	call->installed = NULL;
	if (ret < 0)
		__atomic_store_n(&file->signals, NULL, __ATOMIC_RELAXED);
	else
		__atomic_store_n(&file->object, call->installed_object, __ATOMIC_RELEASE);
	file_put(file);
}

static int with_file(void *context, enum iommufd_file_kind kind, int fd,
		     int (*call)(void *file, void *arg), void *arg)
{
	struct file *file = file_get(current_call->caller.tid, fd);
	int ret = -EBADFD;

	if (!file)
		return ret;
	if (file->kind == kinds[kind] && file_object(file))
		ret = call(file_object(file), arg);
	file_put(file);
	return ret;
}

static void file_changed(void *context, enum iommufd_file_kind kind, void *object, bool readable)
{
	file_signal(object, readable);
}

static void *share_memory(void *context, uint64_t offset, size_t length)
{
	const struct file *file = context;

	if (!file->shared || offset + length > FILE_SHARED_SIZE)
		return NULL;
	return memset((char *)file->shared + offset, 0, length);
}

static void unshare_memory(void *context, uint64_t offset, size_t length)
{
	const struct file *file = context;

	madvise((char *)file->shared + offset, length, MADV_REMOVE);
}

static bool is_mapped(void *context, uint64_t offset, size_t length)
{
	return file_is_mapped(context, offset, length);
}

const struct iommufd_host iommufd_host = {
	.install_file = install_file,
	.remove_file = remove_file,
	.with_file = with_file,
	.file_changed = file_changed,
	.memory_gone = memory_gone,
	.share_memory = share_memory,
	.unshare_memory = unshare_memory,
	.is_mapped = is_mapped,
};

static bool is_open(pid_t tid, int fd)
{
	char path[48];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)tid, fd);
	return fd >= 0 && !lstat(path, &st);
}

static struct iommufd_ctx *get_context(int fd, void **hold, struct vfio_container **container)
{
	struct file *file = file_get(current_call->caller.tid, fd);

	if (file && file->kind != FILE_IOMMU) {
		file_put(file);
		file = NULL;
	}
	if (!file) {
		current_call->bad_kind = is_open(current_call->caller.tid, fd);
		return NULL;
	}
	*hold = file;
	*container = file->container;
	return file->ctx;
}

static void put_context(void *hold)
{
	file_put(hold);
}

const struct vfio_host host_of_vfio = {
	.get = get_context,
	.put = put_context,
};
