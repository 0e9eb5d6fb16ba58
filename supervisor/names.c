/* SPDX-License-Identifier: MIT */
/*
 * Calls that ask about a path: stat() and its like, access(), readlink(), attributes.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "iommufd/iommufd.h"
#include "plat/compiler.h"
#include "supervisor/supervisor.h"

/* ---- stat ---- */

/* A device belongs to who may use it, which is the caller. */
static void take_owner(const struct call *call, struct stat *st)
{
	char path[32];
	struct stat task;

	snprintf(path, sizeof(path), "/proc/%d", (int)call->caller.tid);
	if (stat(path, &task))
		return;
	st->st_uid = task.st_uid;
	st->st_gid = task.st_gid;
}

static void make_device(struct stat *st, unsigned int mode, uint64_t rdev)
{
	st->st_mode = mode;
	st->st_rdev = rdev;
	st->st_size = 0;
	st->st_blocks = 0;
}

void stat_file(const struct call *call, const struct file *file, struct stat *st)
{
	unsigned int mode;
	uint64_t rdev;

	if (file->node) {
		stat_node(call, file->node, st);
		return;
	}
	memset(st, 0, sizeof(*st));
	device_stat(file, &mode, &rdev);
	make_device(st, mode, rdev);
	st->st_dev = file->dev;
	st->st_ino = file->ino;
	st->st_nlink = 1;
	st->st_blksize = 4096;
	take_owner(call, st);
}

static uint64_t node_rdev(const struct node *node)
{
	switch (node->file) {
	case FILE_IOMMU:
		return node->index ? CONTAINER_DEVICE : IOMMU_DEVICE;
	case FILE_GROUP:
		return makedev(GROUP_MAJOR, node->index);
	default:
		return makedev(VFIO_MAJOR, node->index);
	}
}

bool stat_node(const struct call *call, const struct node *node, struct stat *st)
{
	char path[PATH_MAX];

	/* What the machine has of the same name is the same directory. */
	snprintf(path, sizeof(path), "/proc/%d/root%s", (int)call->caller.tid, node->path);
	if (node->kind == NODE_DIRECTORY && !stat(path, st))
		return true;
	if (tree_stat(node, st))
		return false;
	if (node->kind == NODE_DEVICE) {
		make_device(st, S_IFCHR | node->mode, node_rdev(node));
		take_owner(call, st);
	}
	if (node->kind == NODE_ATTRIBUTE) {
		st->st_size = 4096;
		take_owner(call, st);
	}
	return true;
}

/* Of a descriptor, by an empty path. */
static bool stat_descriptor(const struct call *call, int fd, struct stat *st)
{
	const struct node *node;
	struct file *file;
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
	return node && node->kind == NODE_DEVICE && stat_node(call, node, st);
}

static long stat_outside(const struct call *call, const struct found *found, int flags,
			 struct stat *st)
{
	char path[PATH_MAX + 32];

	if (!outside_path(call, found, path))
		return CONTINUE;
	return fstatat(AT_FDCWD, path, st, flags & AT_SYMLINK_NOFOLLOW) ? -errno : 0;
}

static long stat_found(const struct call *call, const struct found *found, int flags,
		       struct stat *st)
{
	if (found->outside)
		return stat_outside(call, found, flags, st);
	if (found->is_link)
		return CONTINUE;
	if (found->node)
		return stat_node(call, found->node, st) ? 0 : CONTINUE;
	if (found->file) {
		stat_file(call, found->file, st);
		return 0;
	}
	memset(st, 0, sizeof(*st));
	make_device(st, S_IFREG | 0644, 0);
	st->st_nlink = 1;
	take_owner(call, st);
	return 0;
}

static long do_stat(struct call *call, int dir, uint64_t at, int flags, struct stat *st)
{
	struct found found;
	char first;
	long ret;

	if ((flags & AT_EMPTY_PATH) &&
	    (!at || (!iommufd_copy_from_user(NULL, &first, at, 1) && !first)))
		return stat_descriptor(call, dir, st) ? 0 : CONTINUE;
	ret = paths_find(call, dir, at, !(flags & AT_SYMLINK_NOFOLLOW), &found);
	if (ret)
		return ret;
	ret = stat_found(call, &found, flags, st);
	if (found.file)
		file_put(found.file);
	return ret;
}

static long answer_stat(struct call *call, int dir, uint64_t at, uint64_t to, int flags)
{
	struct stat st;
	long ret = do_stat(call, dir, at, flags, &st);

	return ret ? ret : iommufd_copy_to_user(NULL, to, &st, sizeof(st));
}

static struct statx_timestamp statx_time(struct timespec time)
{
	return (struct statx_timestamp){.tv_sec = time.tv_sec, .tv_nsec = (uint32_t)time.tv_nsec};
}

static long answer_statx(struct call *call)
{
	struct statx stx = {0};
	struct stat st;
	long ret = do_stat(call, (int)call->args[0], call->args[1], (int)call->args[2], &st);

	if (ret)
		return ret;
	stx.stx_mask = STATX_BASIC_STATS;
	stx.stx_mode = (uint16_t)st.st_mode;
	stx.stx_nlink = (uint32_t)st.st_nlink;
	stx.stx_uid = st.st_uid;
	stx.stx_gid = st.st_gid;
	stx.stx_ino = st.st_ino;
	stx.stx_size = (uint64_t)st.st_size;
	stx.stx_blocks = (uint64_t)st.st_blocks;
	stx.stx_blksize = (uint32_t)st.st_blksize;
	stx.stx_atime = statx_time(st.st_atim);
	stx.stx_mtime = statx_time(st.st_mtim);
	stx.stx_ctime = statx_time(st.st_ctim);
	stx.stx_rdev_major = major(st.st_rdev);
	stx.stx_rdev_minor = minor(st.st_rdev);
	stx.stx_dev_major = major(st.st_dev);
	stx.stx_dev_minor = minor(st.st_dev);
	return iommufd_copy_to_user(NULL, call->args[4], &stx, sizeof(stx));
}

/* ---- access, readlink, getcwd ---- */

static long do_access(struct call *call, int dir, uint64_t at, int mode, int flags)
{
	struct stat st;
	unsigned int rights;
	long ret = do_stat(call, dir, at, flags, &st);

	if (ret)
		return ret;
	if (iommufd_caller_uid() == 0)
		rights = R_OK | W_OK | (st.st_mode & 0111 ? X_OK : 0);
	else if (S_ISCHR(st.st_mode) || iommufd_caller_uid() == st.st_uid)
		rights = (st.st_mode >> 6) & 7;
	else
		rights = st.st_mode & 7;
	return ((unsigned int)mode & 7 & ~rights) ? -EACCES : 0;
}

static long read_outside(const struct call *call, const struct found *found, char text[PATH_MAX])
{
	char path[PATH_MAX + 32];
	ssize_t length;

	if (!outside_path(call, found, path))
		return CONTINUE;
	length = readlink(path, text, PATH_MAX - 1);
	if (length < 0)
		return -errno;
	text[length] = '\0';
	return 0;
}

static long do_readlink(struct call *call, int dir, uint64_t at, uint64_t to, uint64_t size)
{
	char text[PATH_MAX];
	struct found found;
	size_t length;
	long ret = paths_find(call, dir, at, false, &found);

	if (ret)
		return ret;
	if (found.outside) {
		ret = read_outside(call, &found, text);
		if (ret)
			return ret;
	} else if (!found.is_link && !(found.node && found.node->kind == NODE_LINK)) {
		if (found.file)
			file_put(found.file);
		return -EINVAL;
	} else if (found.file) {
		device_link(found.file, text, sizeof(text));
		file_put(found.file);
	} else {
		snprintf(text, sizeof(text), "%s",
			 found.is_link ? found.node->path : found.node->text);
	}
	if ((int)size <= 0)
		return -EINVAL;
	length = MIN(strlen(text), (size_t)size);
	return iommufd_copy_to_user(NULL, to, text, length) ? -EFAULT : (long)length;
}

/* One that fchdir() went to is known by its path here. */
static long do_getcwd(struct call *call, uint64_t to, uint64_t size)
{
	const struct node *node;
	char path[48];
	struct stat st;
	size_t length;

	snprintf(path, sizeof(path), "/proc/%d/cwd", (int)call->caller.tid);
	if (stat(path, &st))
		return CONTINUE;
	node = tree_of_stat(&st);
	if (!node || st.st_ino != node->ino || st.st_dev != node->dev)
		return CONTINUE;
	length = strlen(node->path) + 1;
	if (length > size)
		return -ERANGE;
	return iommufd_copy_to_user(NULL, to, node->path, length) ? -EFAULT : (long)length;
}

/* ---- what else there is to ask, or to change ---- */

static bool is_ours(struct call *call, uint64_t at, bool follow)
{
	struct found found;

	if (paths_find(call, AT_FDCWD, at, follow, &found))
		return false;
	if (found.file)
		file_put(found.file);
	return !found.is_link && !found.outside;
}

static long do_statfs(struct call *call, uint64_t at, uint64_t to)
{
	struct statfs st;

	/* As of the directory that all devices are in. */
	if (!is_ours(call, at, true) || statfs("/dev", &st))
		return CONTINUE;
	return iommufd_copy_to_user(NULL, to, &st, sizeof(st));
}

static long do_chmod(struct call *call, int dir, uint64_t at, unsigned int mode)
{
	struct found found;
	struct stat st;

	if (paths_find(call, dir, at, true, &found))
		return CONTINUE;
	if (found.file)
		file_put(found.file);
	if (!found.node || found.node->native_ino)
		return CONTINUE;
	if (found.node->kind != NODE_DEVICE)
		return -EPERM;
	if (stat_node(call, found.node, &st) && iommufd_caller_uid() != st.st_uid)
		return -EPERM;
	tree_chmod(found.node, mode & 07777);
	return 0;
}

/* The watch is on what stands for it, where nothing ever happens. */
static long do_watch(struct call *call, int watcher, uint64_t at, uint64_t mask)
{
	struct found found;
	long ret;
	int fd;

	if (paths_find(call, AT_FDCWD, at, true, &found))
		return CONTINUE;
	if (found.file)
		file_put(found.file);
	if (!found.node || found.node->native_ino)
		return CONTINUE;
	fd = call_take(call, watcher);
	if (fd < 0)
		return CONTINUE;
	ret = tree_watch(found.node, fd, (uint32_t)mask);
	close(fd);
	return ret;
}

long names_call(struct call *call)
{
	const uint64_t *a = call->args;

	switch (call->nr) {
#ifdef SYS_open
	case SYS_stat:
		return answer_stat(call, AT_FDCWD, a[0], a[1], 0);
	case SYS_lstat:
		return answer_stat(call, AT_FDCWD, a[0], a[1], AT_SYMLINK_NOFOLLOW);
	case SYS_access:
		return do_access(call, AT_FDCWD, a[0], (int)a[1], 0);
	case SYS_readlink:
		return do_readlink(call, AT_FDCWD, a[0], a[1], a[2]);
	case SYS_chmod:
		return do_chmod(call, AT_FDCWD, a[0], (unsigned int)a[1]);
#endif
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
	case SYS_getcwd:
		return do_getcwd(call, a[0], a[1]);
	case SYS_statfs:
		return do_statfs(call, a[0], a[1]);
	case SYS_getxattr:
		return is_ours(call, a[0], true) ? -ENODATA : CONTINUE;
	case SYS_lgetxattr:
		return is_ours(call, a[0], false) ? -ENODATA : CONTINUE;
	case SYS_listxattr:
		return is_ours(call, a[0], true) ? 0 : CONTINUE;
	case SYS_llistxattr:
		return is_ours(call, a[0], false) ? 0 : CONTINUE;
	case SYS_fchmodat:
		return do_chmod(call, (int)a[0], a[1], (unsigned int)a[2]);
	case SYS_inotify_add_watch:
		return do_watch(call, (int)a[0], a[1], a[2]);
	default:
		return CONTINUE;
	}
}
