/* SPDX-License-Identifier: MIT */
/*
 * System calls with a path, and listings of directories. What does not lead to one of
 * our files is the kernel's to carry out.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "iommufd/iommufd.h"
#include "plat/compiler.h"
#include "supervisor/supervisor.h"
#include "vfio/cdev.h"

/* A call's path, read, and what it leads to. False when it is not ours. */
static bool find(struct call *call, int dir, uint64_t at, bool follow, struct found *found)
{
	char path[PATH_MAX];
	ssize_t length = call_text(call, at, path, sizeof(path));

	if (length <= 0)
		return false;
	resolve(call, dir, path, follow, found);
	if (!found->node && !found->file && !found->fail_nth && !found->fault_setting)
		return false;
	/* What has a slash behind it is a directory, or the kernel says what is wrong. */
	if (call_is_valid(call) &&
	    (path[length - 1] != '/' || (found->node && found->node->kind == NODE_DIRECTORY)))
		return true;
	if (found->file)
		file_put(found->file);
	return false;
}

/* ---- open ---- */

static long open_directory(struct call *call, const struct node *node, int flags)
{
	char path[PATH_MAX];
	int fd;

	if ((flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT))
		return -EISDIR;
	/* The machine's own, if the caller can see it: getdents64() adds what is ours. */
	snprintf(path, sizeof(path), "/proc/%d/root%s", (int)call->caller.tid, node->path);
	fd = open(path, flags | O_CLOEXEC);
	return fd >= 0 ? fd : tree_open(node, flags);
}

static long open_node(struct call *call, const struct node *node, int flags)
{
	if (node->kind == NODE_DIRECTORY)
		return open_directory(call, node, flags);
	if (flags & O_DIRECTORY)
		return -ENOTDIR;
	if ((flags & O_CREAT) && (flags & O_EXCL))
		return -EEXIST;
	if (flags & O_PATH)
		return tree_open(node, flags);
	if (node->kind == NODE_DEVICE)
		return device_open(call, node->file, node->index, flags);
	return (flags & O_ACCMODE) == O_RDONLY ? tree_open(node, flags) : -EACCES;
}

/* By a link in /proc, which opens another file of the same device. */
static long open_again(struct call *call, const struct file *file, int flags)
{
	switch (file->kind) {
	case FILE_IOMMU:
		return device_open(call, FILE_IOMMU, 0, flags);
	case FILE_VFIO:
		return device_open(call, FILE_VFIO, vfio_cdev_index(file->cdev), flags);
	case FILE_FAIL_NTH:
		return device_open(call, FILE_FAIL_NTH, (unsigned int)file->tid, flags);
	default:
		return -ENXIO;
	}
}

static long open_found(struct call *call, const struct found *found, int flags)
{
	int fd;

	if (found->fail_nth)
		return device_open(call, FILE_FAIL_NTH, (unsigned int)found->fail_nth, flags);
	if (found->node)
		return found->is_link ? -ELOOP : open_node(call, found->node, flags);
	if (found->file)
		return found->is_link ? -ELOOP : open_again(call, found->file, flags);
	/* Whatever is set there does nothing. */
	fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static long do_open(struct call *call, int dir, uint64_t at, uint64_t flags64)
{
	int flags = (int)flags64;
	bool follow = !(flags & O_NOFOLLOW) && !((flags & O_CREAT) && (flags & O_EXCL));
	struct found found;
	long ret, fd;

	if (!find(call, dir, at, follow, &found))
		return CONTINUE;
	fd = open_found(call, &found, flags);
	if (found.file)
		file_put(found.file);
	if (fd < 0)
		return fd;
	ret = call_give(call, (int)fd, flags & O_CLOEXEC, true);
	close((int)fd);
	return ret;
}

static long do_openat2(struct call *call)
{
	struct open_how how = {0};

	if (call->args[3] < sizeof(how) ||
	    iommufd_copy_from_user(NULL, &how, call->args[2], sizeof(how)) || how.resolve)
		return CONTINUE;
	return do_open(call, (int)call->args[0], call->args[1], how.flags);
}

/* ---- stat ---- */

void fill_stat(struct stat *st, unsigned int mode, uint64_t rdev, ino_t ino, uid_t uid)
{
	memset(st, 0, sizeof(*st));
	st->st_dev = makedev(0, 6); /* a devtmpfs */
	st->st_ino = ino;
	st->st_mode = mode;
	st->st_rdev = rdev;
	st->st_nlink = S_ISDIR(mode) ? 2 : 1;
	st->st_uid = uid;
	st->st_gid = uid;
	st->st_blksize = 4096;
}

/* As a device belongs to who may use it, to the caller. */
static uid_t caller_uid(const struct call *call)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d", (int)call->caller.tid);
	return stat(path, &st) ? 0 : st.st_uid;
}

static void stat_file(const struct call *call, const struct file *file, struct stat *st)
{
	unsigned int mode;
	uint64_t rdev;

	device_stat(file, &mode, &rdev);
	fill_stat(st, mode, rdev, file->ino, caller_uid(call));
}

/* Of a descriptor, by an empty path. */
static bool stat_descriptor(const struct call *call, int fd, struct stat *st)
{
	struct file *file;
	const struct node *node = NULL;
	char path[48];
	struct stat own;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)call->caller.tid, fd);
	if (fd < 0 || stat(path, &own))
		return false;
	file = file_of_stat(&own);
	if (file) {
		stat_file(call, file, st);
		file_put(file);
		return true;
	}
	node = tree_of_stat(&own);
	if (node && node->kind == NODE_DEVICE)
		tree_stat(node, caller_uid(call), st);
	return node && node->kind == NODE_DEVICE;
}

/* False when it is not ours. */
static bool do_stat(struct call *call, int dir, uint64_t at, int flags, struct stat *st)
{
	struct found found;
	char first;

	if ((flags & AT_EMPTY_PATH) &&
	    (!at || (!iommufd_copy_from_user(NULL, &first, at, 1) && !first)))
		return stat_descriptor(call, dir, st);
	if (!find(call, dir, at, !(flags & AT_SYMLINK_NOFOLLOW), &found))
		return false;
	if (found.is_link) {
		if (found.file)
			file_put(found.file);
		return false;
	}
	if (found.node)
		tree_stat(found.node, caller_uid(call), st);
	else if (found.file)
		stat_file(call, found.file, st);
	else
		fill_stat(st, S_IFREG | 0644, 0, 1, caller_uid(call));
	if (found.file)
		file_put(found.file);
	return true;
}

static long answer_stat(struct call *call, int dir, uint64_t at, uint64_t to, int flags)
{
	struct stat st;

	if (!do_stat(call, dir, at, flags, &st))
		return CONTINUE;
	return iommufd_copy_to_user(NULL, to, &st, sizeof(st));
}

static long answer_statx(struct call *call)
{
	struct statx stx = {0};
	struct stat st;

	if (!do_stat(call, (int)call->args[0], call->args[1], (int)call->args[2], &st))
		return CONTINUE;
	stx.stx_mask = STATX_TYPE | STATX_MODE | STATX_NLINK | STATX_UID | STATX_GID | STATX_INO |
		       STATX_SIZE;
	stx.stx_mode = (uint16_t)st.st_mode;
	stx.stx_nlink = (uint32_t)st.st_nlink;
	stx.stx_uid = st.st_uid;
	stx.stx_gid = st.st_gid;
	stx.stx_ino = st.st_ino;
	stx.stx_size = (uint64_t)st.st_size;
	stx.stx_blksize = 4096;
	stx.stx_rdev_major = major(st.st_rdev);
	stx.stx_rdev_minor = minor(st.st_rdev);
	stx.stx_dev_major = major(st.st_dev);
	stx.stx_dev_minor = minor(st.st_dev);
	return iommufd_copy_to_user(NULL, call->args[4], &stx, sizeof(stx));
}

/* ---- access, readlink ---- */

static long do_access(struct call *call, int dir, uint64_t at, int mode, int flags)
{
	struct stat st;
	unsigned int rights;

	if (!do_stat(call, dir, at, flags, &st))
		return CONTINUE;
	rights = (st.st_mode >> 6) & 7; /* the file is the caller's */
	if ((mode & W_OK) && !st.st_uid)
		rights |= W_OK;
	return ((unsigned int)mode & 7 & ~rights) ? -EACCES : 0;
}

static long do_readlink(struct call *call, int dir, uint64_t at, uint64_t to, uint64_t size)
{
	char text[PATH_MAX];
	struct found found;
	size_t length;

	if (!find(call, dir, at, false, &found))
		return CONTINUE;
	if (!found.is_link) {
		if (found.file)
			file_put(found.file);
		return -EINVAL;
	}
	if (found.file) {
		device_link(found.file, text, sizeof(text));
		file_put(found.file);
	} else {
		snprintf(text, sizeof(text), "%s", found.node->path);
	}
	if ((int)size <= 0)
		return -EINVAL;
	length = MIN(strlen(text), (size_t)size);
	return iommufd_copy_to_user(NULL, to, text, length) ? -EFAULT : (long)length;
}

/* ---- getdents64 ---- */

#define LISTING_MAX 32768
/* Beyond every position of a machine's directory: here the entries of ours begin. */
#define OURS_BASE (INT64_C(0x7fff) << 48)

/* The rest of a directory of the machine's: what is only here. */
static long list_ours(int fd, const struct node *node, void *buf, size_t size)
{
	off_t position = lseek(fd, 0, SEEK_CUR);
	unsigned int at = position >= OURS_BASE ? (unsigned int)(position - OURS_BASE) : 0;
	size_t used;

	if (position < 0)
		return 0;
	used = tree_list(node, &at, buf, size, OURS_BASE);
	if (used && lseek(fd, OURS_BASE + at, SEEK_SET) < 0)
		return 0;
	return (long)used;
}

/* By a descriptor that shares its position with the caller's. */
static long list(int fd, const struct node *node, bool is_native, void *buf, size_t size)
{
	long used = 0;

	if (!is_native || lseek(fd, 0, SEEK_CUR) < OURS_BASE)
		used = syscall(SYS_getdents64, fd, buf, size);
	if (used < 0)
		return -errno;
	if (used > 0)
		tree_correct(node, buf, (size_t)used);
	else if (is_native)
		used = list_ours(fd, node, buf, size);
	return used;
}

static long do_getdents(struct call *call)
{
	const struct node *node;
	char path[48];
	struct stat st;
	void *buf;
	size_t size = MIN(call->args[2], LISTING_MAX);
	long used;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)call->caller.tid, (int)call->args[0]);
	if (stat(path, &st))
		return CONTINUE;
	node = tree_of_stat(&st);
	if (!node || node->kind != NODE_DIRECTORY)
		return CONTINUE;
	fd = call_take(call, (int)call->args[0]);
	if (fd < 0)
		return CONTINUE;
	buf = malloc(LISTING_MAX);
	used = buf ? list(fd, node, st.st_ino != node->ino || st.st_dev != node->dev, buf, size)
		   : -ENOMEM;
	close(fd);
	if (used > 0 && iommufd_copy_to_user(NULL, call->args[1], buf, (size_t)used))
		used = -EFAULT;
	free(buf);
	return used;
}

/* ---- all of them ---- */

long paths_call(struct call *call)
{
	const uint64_t *a = call->args;

	switch (call->nr) {
#ifdef SYS_open
	case SYS_open:
		return do_open(call, AT_FDCWD, a[0], a[1]);
	case SYS_creat:
		return do_open(call, AT_FDCWD, a[0], O_CREAT | O_WRONLY | O_TRUNC);
	case SYS_stat:
		return answer_stat(call, AT_FDCWD, a[0], a[1], 0);
	case SYS_lstat:
		return answer_stat(call, AT_FDCWD, a[0], a[1], AT_SYMLINK_NOFOLLOW);
	case SYS_access:
		return do_access(call, AT_FDCWD, a[0], (int)a[1], 0);
	case SYS_readlink:
		return do_readlink(call, AT_FDCWD, a[0], a[1], a[2]);
#endif
	case SYS_openat:
		return do_open(call, (int)a[0], a[1], a[2]);
	case SYS_openat2:
		return do_openat2(call);
	case SYS_newfstatat:
		return answer_stat(call, (int)a[0], a[1], a[2], (int)a[3]);
	case SYS_statx:
		return answer_statx(call);
	case SYS_faccessat:
		return do_access(call, (int)a[0], a[1], (int)a[2], 0);
	case SYS_faccessat2:
		return do_access(call, (int)a[0], a[1], (int)a[2],
				 (int)a[3] & (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH));
	case SYS_readlinkat:
		return do_readlink(call, (int)a[0], a[1], a[2], a[3]);
	case SYS_getdents64:
		return do_getdents(call);
	default:
		return CONTINUE;
	}
}
