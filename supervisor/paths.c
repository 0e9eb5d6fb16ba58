/* SPDX-License-Identifier: MIT */
/*
 * Opening by a path, and listings of directories. What does not lead to one of our
 * files is the kernel's to carry out.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "iommufd/iommufd.h"
#include "plat/compiler.h"
#include "supervisor/supervisor.h"

long paths_find(struct call *call, int dir, uint64_t at, bool follow, struct found *found)
{
	char path[PATH_MAX];
	ssize_t length = call_text(call, at, path, sizeof(path));
	long ret = 0;

	if (length <= 0)
		return CONTINUE;
	resolve(call, dir, path, follow, found);
	if (!found->node && !found->file && !found->fail_nth && !found->fault_setting &&
	    !found->outside)
		return CONTINUE;
	/* What has a slash behind it is a directory. */
	if (!call_is_valid(call))
		ret = CONTINUE;
	else if (found->error)
		ret = found->error;
	else if (path[length - 1] == '/' && !found->outside &&
		 (!found->node || found->node->kind != NODE_DIRECTORY))
		ret = -ENOTDIR;
	if (ret && found->file)
		file_put(found->file);
	return ret;
}

/* ---- open ---- */

static long open_directory(struct call *call, const struct found *found, int flags)
{
	const struct node *node = found->node;
	char path[PATH_MAX];
	int fd;

	if ((flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT))
		return -EISDIR;
	/* The machine's own, if the caller can see it: getdents64() adds what is ours. */
	snprintf(path, sizeof(path), "/proc/%d/root%s", (int)call->caller.tid, node->path);
	if (access(path, F_OK))
		return tree_open(node, flags);
	if (!found->from_tree)
		return CONTINUE;
	fd = open(path, (flags & ~O_PATH) | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Whether a file of sysfs is more than what is in it. */
static bool is_live(const struct node *node, int flags)
{
	return node->kind == NODE_ATTRIBUTE &&
	       (node->file == FILE_CONFIG || (flags & O_ACCMODE) != O_RDONLY);
}

static long open_node(struct call *call, const struct found *found, int flags)
{
	const struct node *node = found->node;

	if (node->kind == NODE_DIRECTORY)
		return open_directory(call, found, flags);
	if (flags & O_DIRECTORY)
		return -ENOTDIR;
	if ((flags & O_CREAT) && (flags & O_EXCL))
		return -EEXIST;
	if (node->kind == NODE_LINK)
		return -ELOOP;
	if (flags & O_PATH)
		return tree_open(node, flags);
	if (node->kind == NODE_DEVICE || is_live(node, flags))
		return device_open(call, node->file, node, node->index, flags);
	return (flags & O_ACCMODE) == O_RDONLY ? tree_open(node, flags) : -EACCES;
}

/* By a link in /proc, which opens another file of the same device. */
static long open_again(struct call *call, const struct file *file, int flags)
{
	if (file->node)
		return device_open(call, file->kind, file->node, file->node->index, flags);
	if (file->kind == FILE_FAIL_NTH)
		return device_open(call, FILE_FAIL_NTH, NULL, (unsigned int)file->tid, flags);
	return -ENXIO;
}

/* The mode is not known here: what would be made is not. */
static long open_outside(struct call *call, const struct found *found, int flags)
{
	char path[PATH_MAX + 32];
	int fd;

	if (!outside_path(call, found, path))
		return CONTINUE;
	fd = open(path, (flags & ~(O_CREAT | O_PATH)) | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

static long open_found(struct call *call, const struct found *found, int flags)
{
	int fd;

	if (found->outside)
		return open_outside(call, found, flags);
	if (found->fail_nth)
		return device_open(call, FILE_FAIL_NTH, NULL, (unsigned int)found->fail_nth, flags);
	if (found->node)
		return found->is_link ? -ELOOP : open_node(call, found, flags);
	if (found->file)
		return found->is_link ? -ELOOP : open_again(call, found->file, flags);
	/* Whatever is set there does nothing. */
	fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* A path that keeps what @how demands, as far as that can be said here. */
static bool keeps(const struct found *found, uint64_t demands)
{
	const uint64_t beneath = RESOLVE_BENEATH | RESOLVE_IN_ROOT | RESOLVE_NO_XDEV;

	return !demands || (found->direct && !(found->absolute && (demands & beneath)));
}

static long open_status(struct call *call, pid_t pid, int flags)
{
	long fd = status_open(pid);

	if (fd >= 0 && !call_is_valid(call)) {
		close((int)fd);
		return CONTINUE;
	}
	return fd < 0 ? fd : call_give(call, (int)fd, flags & O_CLOEXEC, false);
}

static long do_open(struct call *call, int dir, uint64_t at, uint64_t flags64, uint64_t demands)
{
	int flags = (int)flags64;
	bool follow = !(flags & O_NOFOLLOW) && !((flags & O_CREAT) && (flags & O_EXCL));
	struct found found = {0};
	bool is_device;
	long fd = paths_find(call, dir, at, follow, &found);

	if (fd == CONTINUE && found.status && (flags & O_ACCMODE) == O_RDONLY && !(flags & O_PATH))
		return open_status(call, found.status, flags);
	if (fd)
		return fd;
	fd = keeps(&found, demands) ? open_found(call, &found, flags) : CONTINUE;
	if (found.file)
		file_put(found.file);
	if (fd < 0)
		return fd;
	is_device = found.fail_nth || found.file ||
		    (found.node && (found.node->kind == NODE_DEVICE || is_live(found.node, flags)));
	return call_give(call, (int)fd, flags & O_CLOEXEC, is_device);
}

static long do_openat2(struct call *call)
{
	struct open_how how = {0};

	if (call->args[3] < sizeof(how) ||
	    iommufd_copy_from_user(NULL, &how, call->args[2], sizeof(how)))
		return CONTINUE;
	return do_open(call, (int)call->args[0], call->args[1], how.flags, how.resolve);
}

/* ---- getdents64 ---- */

#define LISTING_MAX 32768
/* Beyond every position of a machine's directory: here the entries of ours begin. */
#define OURS_BASE (INT64_C(0x7fff) << 48)
/*
 * In sysfs positions end at INT_MAX, and are hashes of names. That one of the machine's
 * own is among these few is so rare that it does not matter.
 */
#define OURS_BASE_SMALL (INT_MAX - (INT64_C(1) << 14))

/* What the file system of a directory can have as positions. */
static int64_t base_of(int fd)
{
	off_t position = lseek(fd, 0, SEEK_CUR);
	int64_t base = OURS_BASE;

	if (lseek(fd, OURS_BASE, SEEK_SET) < 0)
		base = OURS_BASE_SMALL;
	lseek(fd, position, SEEK_SET);
	return base;
}

static bool is_ours_at(int64_t position, int64_t base)
{
	return position >= base && (base != OURS_BASE_SMALL || position < INT_MAX);
}

/* The rest of a directory of the machine's: what is only here. */
static long list_ours(int fd, const struct node *node, int64_t base, void *buf, size_t size)
{
	off_t position = lseek(fd, 0, SEEK_CUR);
	unsigned int at = 0;
	size_t used;

	if (position < 0)
		return 0;
	if (is_ours_at(position, base))
		at = (unsigned int)(position - base);
	used = tree_list(node, &at, buf, size, base);
	if (used && lseek(fd, base + at, SEEK_SET) < 0)
		return 0;
	return (long)used;
}

/* By a descriptor that shares its position with the caller's. */
static long list(int fd, const struct node *node, bool is_native, void *buf, size_t size)
{
	int64_t base = is_native ? base_of(fd) : 0;
	long used = 0;

	if (!is_native || !is_ours_at(lseek(fd, 0, SEEK_CUR), base))
		used = syscall(SYS_getdents64, fd, buf, size);
	if (used < 0)
		return -errno;
	if (used > 0)
		tree_correct(node, buf, (size_t)used);
	else if (is_native)
		used = list_ours(fd, node, base, buf, size);
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
		return do_open(call, AT_FDCWD, a[0], a[1], 0);
	case SYS_creat:
		return do_open(call, AT_FDCWD, a[0], O_CREAT | O_WRONLY | O_TRUNC, 0);
#endif
	case SYS_openat:
		return do_open(call, (int)a[0], a[1], a[2], 0);
	case SYS_openat2:
		return do_openat2(call);
	case SYS_getdents64:
		return do_getdents(call);
	default:
		return names_call(call);
	}
}
