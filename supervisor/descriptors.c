/* SPDX-License-Identifier: MIT */
/*
 * System calls on descriptors: ioctls, and what reads, writes or copies one in the
 * window. A descriptor that is not ours is the kernel's business.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "iommufd/iommufd.h"
#include "plat/compiler.h"
#include "supervisor/supervisor.h"

/* Beyond this F_DUPFD asks for a place and not only for a copy. */
#define PLACE_MIN 10

/* Our files take one buffer at a time, as the kernel's do by default. */
static long transfer_vector(struct file *file, uint64_t vector, uint64_t count, bool is_write,
			    int64_t position)
{
	long total = 0;

	if (count > IOV_MAX)
		return -EINVAL;
	for (uint64_t i = 0; i < count; i++) {
		struct iovec iov;
		long ret;

		if (iommufd_copy_from_user(NULL, &iov, vector + i * sizeof(iov), sizeof(iov)))
			return total ? total : -EFAULT;
		ret = is_write ? device_write(file, (uintptr_t)iov.iov_base, iov.iov_len, position)
			       : device_read(file, (uintptr_t)iov.iov_base, iov.iov_len, position);
		if (ret < 0)
			return total ? total : ret;
		total += ret;
		if (position >= 0)
			position += ret;
		if ((size_t)ret < iov.iov_len)
			break;
	}
	return total;
}

/* A fault queue is a stream, without positions. */
static long check_position(const struct file *file)
{
	return file_is_polled(file) ? -ESPIPE : 0;
}

static long transfer(struct file *file, struct call *call)
{
	const uint64_t *a = call->args;
	bool positioned =
		call->nr == SYS_pread64 || call->nr == SYS_pwrite64 || call->nr == SYS_preadv ||
		call->nr == SYS_pwritev ||
		((call->nr == SYS_preadv2 || call->nr == SYS_pwritev2) && (int64_t)a[3] != -1);
	int64_t position = positioned ? (int64_t)a[3] : -1;
	long ret = positioned ? check_position(file) : 0;

	if (positioned && position < 0)
		return -EINVAL;
	if (ret)
		return ret;
	switch (call->nr) {
	case SYS_read:
	case SYS_pread64:
		return device_read(file, a[1], a[2], position);
	case SYS_write:
	case SYS_pwrite64:
		return device_write(file, a[1], a[2], position);
	case SYS_readv:
	case SYS_preadv:
	case SYS_preadv2:
		return transfer_vector(file, a[1], a[2], false, position);
	default:
		return transfer_vector(file, a[1], a[2], true, position);
	}
}

static long duplicate(struct call *call, int flags)
{
	int fd = call_take(call, (int)call->args[0]);

	return fd < 0 ? CONTINUE : call_give(call, fd, flags, true);
}

static long stat_of(struct file *file, struct call *call)
{
	struct stat st;

	stat_file(call, file, &st);
	return iommufd_copy_to_user(NULL, call->args[1], &st, sizeof(st));
}

/* The kernel closes it: what is to be noticed before is noticed now, unless a call is in the way.
 */
static long closes(struct file *file, const struct call *call)
{
	if (atomic_load(&file->calls) == 1)
		device_closing(file);
	files_change(call, (unsigned int)call->args[0], (unsigned int)call->args[0]);
	return CONTINUE;
}

/* Ioctls that the kernel has for every file. */
static bool is_of_any_file(unsigned int cmd)
{
	return cmd == FIOCLEX || cmd == FIONCLEX || cmd == FIONBIO || cmd == FIOASYNC;
}

static long call_on_file(struct file *file, struct call *call)
{
	const uint64_t *a = call->args;

	switch (call->nr) {
	case SYS_ioctl:
		if (is_of_any_file((unsigned int)a[1]))
			return CONTINUE;
		return device_ioctl(file, call, (unsigned int)a[1], a[2]);
	case SYS_lseek:
		return device_seek(file, (int64_t)a[1], (int)a[2]);
	case SYS_ftruncate:
		return file->kind == FILE_ATTRIBUTE ? 0 : -EINVAL;
	case SYS_fstat:
		return stat_of(file, call);
	case SYS_mmap:
		return device_mmap(file, a);
	case SYS_dup:
		return duplicate(call, 0);
	case SYS_fcntl:
		if (a[2] > PLACE_MIN)
			return CONTINUE;
		return duplicate(call, (int)a[1] == F_DUPFD_CLOEXEC ? O_CLOEXEC : 0);
	case SYS_close:
		return closes(file, call);
	default:
		return transfer(file, call);
	}
}

/* What was opened by O_PATH is only a place: it can be looked at, and copied. */
static long call_on_place(struct call *call, int fd)
{
	const struct node *node;
	char path[48];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)call->caller.tid, fd);
	if (stat(path, &st))
		return CONTINUE;
	node = tree_of_stat(&st);
	if (!node || node->kind != NODE_DEVICE || !call_is_valid(call))
		return CONTINUE;
	switch (call->nr) {
	case SYS_fstat:
		if (!stat_node(call, node, &st))
			return CONTINUE;
		return iommufd_copy_to_user(NULL, call->args[1], &st, sizeof(st));
	case SYS_dup:
	case SYS_fcntl:
	case SYS_close:
		return CONTINUE;
	default:
		return -EBADF;
	}
}

long descriptors_call(struct call *call)
{
	int fd = (int)(call->nr == SYS_mmap ? call->args[4] : call->args[0]);
	struct file *file = file_get_of(call, fd);
	long ret;

	if (!file)
		return call_on_place(call, fd);
	file_begin_call(file);
	files_settle(file, NULL);
	ret = call_on_file(file, call);
	file_end_call(file);
	return ret;
}
