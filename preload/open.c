/* SPDX-License-Identifier: MIT */
/* What takes a path. Only paths under /dev and /proc are looked at further. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "preload/preload.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

/* False for most paths after a few comparisons; a small number is no pointer. */
static bool maybe_our_path(const char *path)
{
	return (uintptr_t)path >= 4096 && path[0] == '/' &&
	       (path[1] == 'd' || path[1] == 'p' || path[1] == 's');
}

/* A program may pass what the C library's declarations say that it does not. */
static bool is_empty(const char *path)
{
	return path && !*path;
}

static bool needs_mode(int flags)
{
	return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

/* The faults that a test may inject have directories here; writing them does nothing. */
static bool is_fault_injection(int dir, const char *path)
{
	static const char debugfs[] = "/sys/kernel/debug/";

	if (!path)
		return false;
	if (!strncmp(path, debugfs, sizeof(debugfs) - 1))
		path += sizeof(debugfs) - 1;
	else if (path[0] == '/' || dir == AT_FDCWD)
		return false;
	return !strncmp(path, "fail", 4) && strchr(path, '/') && options()->test_abi;
}

/* True when it was ours, with the result in *fd. */
static bool open_ours(int dir, const char *path, int flags, int *fd)
{
	long ret = -ENOENT;

	if (maybe_our_path(path))
		ret = files_open(path, flags);
	if (ret == -ENOENT && unlikely(test_abi_wanted()) && is_fault_injection(dir, path))
		ret = real()->open("/dev/null", O_WRONLY | (flags & O_CLOEXEC));
	if (ret == -ENOENT)
		return false;
	*fd = (int)libc_result(ret);
	return true;
}

#define OPEN_MODE(flags, last)                         \
	({                                             \
		mode_t mode_ = 0;                      \
		va_list args_;                         \
		if (needs_mode(flags)) {               \
			va_start(args_, last);         \
			mode_ = va_arg(args_, mode_t); \
			va_end(args_);                 \
		}                                      \
		mode_;                                 \
	})

INTERPOSE int open(const char *path, int flags, ...)
{
	mode_t mode = OPEN_MODE(flags, flags);
	int fd;

	return open_ours(AT_FDCWD, path, flags, &fd) ? fd : real()->open(path, flags, mode);
}

INTERPOSE int open64(const char *path, int flags, ...)
{
	mode_t mode = OPEN_MODE(flags, flags);
	int fd;

	return open_ours(AT_FDCWD, path, flags, &fd)
		       ? fd
		       : real()->open(path, flags | O_LARGEFILE, mode);
}

INTERPOSE int openat(int dir, const char *path, int flags, ...)
{
	mode_t mode = OPEN_MODE(flags, flags);
	int fd;

	return open_ours(dir, path, flags, &fd) ? fd : real()->openat(dir, path, flags, mode);
}

INTERPOSE int openat64(int dir, const char *path, int flags, ...)
{
	mode_t mode = OPEN_MODE(flags, flags);
	int fd;

	return open_ours(dir, path, flags, &fd)
		       ? fd
		       : real()->openat(dir, path, flags | O_LARGEFILE, mode);
}

/* What a program that was built with _FORTIFY_SOURCE calls. */
INTERPOSE int __open_2(const char *path, int flags)
{
	return open(path, flags);
}

INTERPOSE int __open64_2(const char *path, int flags)
{
	return open64(path, flags);
}

INTERPOSE int __openat_2(int dir, const char *path, int flags)
{
	return openat(dir, path, flags);
}

INTERPOSE int __openat64_2(int dir, const char *path, int flags)
{
	return openat64(dir, path, flags);
}

static int stream_flags(const char *mode)
{
	int flags = strchr(mode, '+') ? O_RDWR : mode[0] == 'r' ? O_RDONLY : O_WRONLY;

	return flags | (strchr(mode, 'e') ? O_CLOEXEC : 0);
}

INTERPOSE FILE *fopen(const char *path, const char *mode)
{
	FILE *stream;
	int fd;

	if (!mode || !open_ours(AT_FDCWD, path, stream_flags(mode), &fd))
		return real()->fopen(path, mode);
	if (fd < 0)
		return NULL;
	stream = fdopen(fd, mode);
	if (!stream)
		close(fd);
	return stream;
}

INTERPOSE FILE *fopen64(const char *path, const char *mode)
{
	return fopen(path, mode);
}

/* debugfs is often closed to users; any directory has no faults to list. */
INTERPOSE DIR *opendir(const char *path)
{
	DIR *dir = real()->opendir(path);

	if (!dir && maybe_our_path(path) && !strncmp(path, "/sys/kernel/debug", 17) &&
	    test_abi_wanted())
		dir = real()->opendir("/");
	return dir;
}

/* ---- stat() and access() ---- */

static void fill_stat(struct stat *st, unsigned int mode, uint64_t rdev)
{
	memset(st, 0, sizeof(*st));
	st->st_mode = mode;
	st->st_rdev = rdev;
	st->st_nlink = 1;
	st->st_uid = geteuid();
	st->st_gid = getegid();
	st->st_blksize = 4096;
}

static bool stat_ours(const char *path, struct stat *st)
{
	unsigned int mode;
	uint64_t rdev;

	if (!maybe_our_path(path) || !files_stat(path, &mode, &rdev))
		return false;
	fill_stat(st, mode, rdev);
	return true;
}

static bool fstat_ours(int fd, struct stat *st)
{
	struct file *file = maybe_ours(fd) ? file_get(fd) : NULL;
	unsigned int mode;
	uint64_t rdev;

	if (!file)
		return false;
	file_stat(file, &mode, &rdev);
	file_put(file);
	fill_stat(st, mode, rdev);
	return true;
}

INTERPOSE int stat(const char *path, struct stat *st)
{
	return stat_ours(path, st) ? 0 : real()->stat(path, st);
}

INTERPOSE int lstat(const char *path, struct stat *st)
{
	return stat_ours(path, st) ? 0 : real()->lstat(path, st);
}

INTERPOSE int fstat(int fd, struct stat *st)
{
	return fstat_ours(fd, st) ? 0 : real()->fstat(fd, st);
}

INTERPOSE int fstatat(int dir, const char *path, struct stat *st, int flags)
{
	if ((flags & AT_EMPTY_PATH) && is_empty(path) && fstat_ours(dir, st))
		return 0;
	return stat_ours(path, st) ? 0 : real()->fstatat(dir, path, st, flags);
}

INTERPOSE int stat64(const char *path, struct stat64 *st)
{
	return stat(path, (struct stat *)st);
}

INTERPOSE int lstat64(const char *path, struct stat64 *st)
{
	return lstat(path, (struct stat *)st);
}

INTERPOSE int fstat64(int fd, struct stat64 *st)
{
	return fstat(fd, (struct stat *)st);
}

INTERPOSE int fstatat64(int dir, const char *path, struct stat64 *st, int flags)
{
	return fstatat(dir, path, (struct stat *)st, flags);
}

_Static_assert(sizeof(struct stat) == sizeof(struct stat64), "one struct on 64-bit systems");

INTERPOSE int statx(int dir, const char *path, int flags, unsigned int mask, struct statx *stx)
{
	struct stat st;

	if (!((flags & AT_EMPTY_PATH) && is_empty(path) && fstat_ours(dir, &st)) &&
	    !stat_ours(path, &st))
		return real()->statx(dir, path, flags, mask, stx);
	memset(stx, 0, sizeof(*stx));
	stx->stx_mask = STATX_TYPE | STATX_MODE | STATX_NLINK | STATX_UID | STATX_GID;
	stx->stx_mode = (uint16_t)st.st_mode;
	stx->stx_nlink = 1;
	stx->stx_uid = st.st_uid;
	stx->stx_gid = st.st_gid;
	stx->stx_blksize = 4096;
	stx->stx_rdev_major = major(st.st_rdev);
	stx->stx_rdev_minor = minor(st.st_rdev);
	return 0;
}

/* Everybody may read and write our files, nobody execute them. */
static bool access_ours(const char *path, int mode, int *ret)
{
	unsigned int file_mode;
	uint64_t rdev;

	if (!maybe_our_path(path) || !files_stat(path, &file_mode, &rdev))
		return false;
	*ret = (int)libc_result((mode & X_OK) ? -EACCES : 0);
	return true;
}

INTERPOSE int access(const char *path, int mode)
{
	int ret;

	return access_ours(path, mode, &ret) ? ret : real()->access(path, mode);
}

INTERPOSE int faccessat(int dir, const char *path, int mode, int flags)
{
	int ret;

	return access_ours(path, mode, &ret) ? ret : real()->faccessat(dir, path, mode, flags);
}
