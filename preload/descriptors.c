/* SPDX-License-Identifier: MIT */
/*
 * What makes and closes descriptors. A number that is given out by the kernel
 * may have been ours before, closed in a way that we did not see; so what is
 * installed replaces, and what the kernel put elsewhere is forgotten.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "preload/preload.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

/*
 * First out of the table, then the number may have another owner. A child of
 * vfork() closes its own descriptors but would find the table of its parent.
 */
INTERPOSE int close(int fd)
{
	if (maybe_ours(fd) && !table_is_borrowed())
		table_remove(fd);
	return real()->close(fd);
}

INTERPOSE int fclose(FILE *stream)
{
	int fd = fileno(stream); /* as the C library's, not for NULL */

	if (maybe_ours(fd) && !table_is_borrowed())
		table_remove(fd);
	return real()->fclose(stream);
}

static void forget_range(unsigned int first, unsigned int last)
{
	unsigned int end = (unsigned int)atomic_load(&process.end);

	if (!end || table_is_borrowed())
		return;
	for (unsigned int fd = first; fd < end && fd <= last; fd++)
		table_remove((int)fd);
}

INTERPOSE int close_range(unsigned int first, unsigned int last, int flags)
{
	int ret = real()->close_range(first, last, flags);

	if (!ret && !(flags & (int)CLOSE_RANGE_CLOEXEC))
		forget_range(first, last);
	return ret;
}

INTERPOSE void closefrom(int first)
{
	real()->closefrom(first);
	forget_range(first < 0 ? 0 : (unsigned int)first, ~0u);
}

/* @new is @old once more. */
static int duplicated(int old, int new)
{
	struct file *file = new >= 0 && maybe_ours(old) ? file_get(old) : NULL;
	int ret;

	if (new >= 0 && new != old && maybe_ours(new) && !table_is_borrowed())
		table_remove(new);
	if (!file)
		return new;
	ret = new == old || table_is_borrowed() ? 0 : table_install(new, file);
	file_put(file);
	if (ret) {
		real()->close(new);
		return (int)libc_result(ret);
	}
	return new;
}

INTERPOSE int dup(int old)
{
	return duplicated(old, real()->dup(old));
}

INTERPOSE int dup2(int old, int new)
{
	return duplicated(old, real()->dup2(old, new));
}

INTERPOSE int dup3(int old, int new, int flags)
{
	return duplicated(old, real()->dup3(old, new, flags));
}

static int fcntl_any(int fd, int cmd, void *arg)
{
	int ret = real()->fcntl(fd, cmd, arg);

	return cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC ? duplicated(fd, ret) : ret;
}

INTERPOSE int fcntl(int fd, int cmd, ...)
{
	va_list args;
	void *arg;

	va_start(args, cmd);
	arg = va_arg(args, void *);
	va_end(args);
	return fcntl_any(fd, cmd, arg);
}

INTERPOSE int fcntl64(int fd, int cmd, ...)
{
	va_list args;
	void *arg;

	va_start(args, cmd);
	arg = va_arg(args, void *);
	va_end(args);
	return fcntl_any(fd, cmd, arg);
}

/* ---- passed over a socket ---- */

/* A memfd is known again by its inode; only files of this process can come. */
static void recognize(int fd)
{
	struct stat theirs, ours;

	if (real()->fstat(fd, &theirs))
		return;
	for (int known = 0; known < atomic_load(&process.end); known++) {
		struct file *file = known == fd ? NULL : file_get(known);

		if (!file)
			continue;
		if (file->kind != FILE_FAULT && !real()->fstat(known, &ours) &&
		    ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev &&
		    S_ISREG(theirs.st_mode)) {
			table_install(fd, file);
			file_put(file);
			return;
		}
		file_put(file);
	}
}

INTERPOSE ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	ssize_t ret = real()->recvmsg(fd, message, flags);

	if (ret < 0 || !atomic_load_explicit(&process.end, memory_order_relaxed))
		return ret;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; at + sizeof(int) <= c->cmsg_len - CMSG_LEN(0);
		     at += sizeof(int)) {
			int passed;

			memcpy(&passed, CMSG_DATA(c) + at, sizeof(passed));
			recognize(passed);
		}
	}
	return ret;
}
