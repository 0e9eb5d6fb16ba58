/* SPDX-License-Identifier: MIT */
/* What takes a descriptor. Polling works by itself: the descriptors are real. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "preload/preload.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

INTERPOSE int ioctl(int fd, unsigned long request, ...)
{
	struct file *file;
	sigset_t before;
	va_list args;
	void *arg;
	bool held;
	long ret = 0;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (!maybe_ours(fd))
		return real()->ioctl(fd, request, arg);
	held = signals_hold(&before);
	file = file_get(fd);
	if (file) {
		ret = file_ioctl(file, (unsigned int)request, arg);
		file_put(file);
	}
	signals_let(held, &before);
	return file ? (int)libc_result(ret) : real()->ioctl(fd, request, arg);
}

INTERPOSE ssize_t read(int fd, void *buf, size_t len)
{
	struct file *file = maybe_ours(fd) ? file_get(fd) : NULL;
	ssize_t ret;

	if (likely(!file))
		return real()->read(fd, buf, len);
	ret = file_read(file, buf, len);
	file_put(file);
	return libc_result(ret);
}

INTERPOSE ssize_t write(int fd, const void *buf, size_t len)
{
	struct file *file = maybe_ours(fd) ? file_get(fd) : NULL;
	ssize_t ret;

	if (likely(!file))
		return real()->write(fd, buf, len);
	ret = file_write(file, buf, len);
	file_put(file);
	return libc_result(ret);
}

/* Our files take one buffer at a time, as the kernel's do by default. */
static ssize_t vector_ours(struct file *file, const struct iovec *iov, int count, bool is_write)
{
	ssize_t total = 0;

	for (int i = 0; i < count; i++) {
		ssize_t ret = is_write ? file_write(file, iov[i].iov_base, iov[i].iov_len)
				       : file_read(file, iov[i].iov_base, iov[i].iov_len);

		if (ret < 0)
			return total ? total : ret;
		total += ret;
		if ((size_t)ret < iov[i].iov_len)
			break;
	}
	return total;
}

INTERPOSE ssize_t readv(int fd, const struct iovec *iov, int count)
{
	struct file *file = maybe_ours(fd) ? file_get(fd) : NULL;
	ssize_t ret;

	if (likely(!file))
		return real()->readv(fd, iov, count);
	ret = vector_ours(file, iov, count, false);
	file_put(file);
	return libc_result(ret);
}

INTERPOSE ssize_t writev(int fd, const struct iovec *iov, int count)
{
	struct file *file = maybe_ours(fd) ? file_get(fd) : NULL;
	ssize_t ret;

	if (likely(!file))
		return real()->writev(fd, iov, count);
	ret = vector_ours(file, iov, count, true);
	file_put(file);
	return libc_result(ret);
}

/* A stream has no positions, but for /proc's, which is read from the start. */
INTERPOSE ssize_t pread(int fd, void *buf, size_t len, off_t at)
{
	struct file *file = maybe_ours(fd) ? file_get(fd) : NULL;
	ssize_t ret;

	if (likely(!file))
		return real()->pread(fd, buf, len, at);
	ret = file->kind == FILE_FAIL_NTH ? file_read(file, buf, len) : -ESPIPE;
	file_put(file);
	return libc_result(ret);
}

INTERPOSE ssize_t pread64(int fd, void *buf, size_t len, off_t at)
{
	return pread(fd, buf, len, at);
}

INTERPOSE ssize_t pwrite(int fd, const void *buf, size_t len, off_t at)
{
	struct file *file = maybe_ours(fd) ? file_get(fd) : NULL;
	ssize_t ret;

	if (likely(!file))
		return real()->pwrite(fd, buf, len, at);
	ret = file->kind == FILE_FAIL_NTH ? file_write(file, buf, len) : -ESPIPE;
	file_put(file);
	return libc_result(ret);
}

INTERPOSE ssize_t pwrite64(int fd, const void *buf, size_t len, off_t at)
{
	return pwrite(fd, buf, len, at);
}
