// SPDX-License-Identifier: MIT
/*
 * What a namespace keeps its blocks in. Memory is handed to the IOMMU as it is. A file
 * is read and written and not mapped, since an image that is cut short, or a disk that
 * is full, must be an error of the command and not the end of the process.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hw/nvme.h"

bool nvme_open_file(struct nvme_ns *ns, const char *path, bool read_only, char *error,
		    size_t error_size)
{
	int fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	off_t size;

	if (fd < 0) {
		snprintf(error, error_size, "cannot open image '%s': %s", path, strerror(errno));
		return false;
	}
	size = lseek(fd, 0, SEEK_END);
	if (size < 0) {
		snprintf(error, error_size, "image '%s' has no size: %s", path, strerror(errno));
		close(fd);
		return false;
	}
	ns->fd = fd;
	ns->memory = NULL;
	ns->size = (uint64_t)size;
	return true;
}

bool nvme_open_memory(struct nvme_ns *ns, uint64_t size, char *error, size_t error_size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED) {
		snprintf(error, error_size, "no memory for a namespace of %llu bytes: %s",
			 (unsigned long long)size, strerror(errno));
		return false;
	}
	ns->fd = -1;
	ns->memory = memory;
	ns->size = size;
	return true;
}

void nvme_close_ns(struct nvme_ns *ns)
{
	if (ns->memory)
		munmap(ns->memory, ns->size);
	else
		close(ns->fd);
}

const void *nvme_read_store(struct nvme_ns *ns, uint64_t at, uint32_t length, void *buffer)
{
	uint32_t done = 0;

	if (ns->memory)
		return ns->memory + at;
	while (done < length) {
		ssize_t got =
			pread(ns->fd, (uint8_t *)buffer + done, length - done, (off_t)(at + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return NULL;
		done += (uint32_t)got;
	}
	return buffer;
}

void *nvme_write_place(struct nvme_ns *ns, uint64_t at, void *buffer)
{
	return ns->memory ? ns->memory + at : buffer;
}

bool nvme_write_store(struct nvme_ns *ns, uint64_t at, uint32_t length, const void *buffer)
{
	uint32_t done = 0;

	if (ns->memory)
		return true;
	while (done < length) {
		ssize_t put = pwrite(ns->fd, (const uint8_t *)buffer + done, length - done,
				     (off_t)(at + done));

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return false;
		done += (uint32_t)put;
	}
	return true;
}

static void zero_memory(struct nvme_ns *ns, uint64_t at, uint64_t length)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), end = at + length;
	uint64_t first = (at + page - 1) & ~(page - 1), last = end & ~(page - 1);

	if (first >= last || madvise(ns->memory + first, last - first, MADV_DONTNEED)) {
		memset(ns->memory + at, 0, length);
		return;
	}
	memset(ns->memory + at, 0, first - at);
	memset(ns->memory + last, 0, end - last);
}

bool nvme_zero_store(struct nvme_ns *ns, uint64_t at, uint64_t length)
{
	static const uint8_t zeros[0x10000];

	if (ns->memory) {
		zero_memory(ns, at, length);
		return true;
	}
	if (!fallocate(ns->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at,
		       (off_t)length))
		return true;
	while (length) {
		uint32_t now = length < sizeof(zeros) ? (uint32_t)length : sizeof(zeros);

		if (!nvme_write_store(ns, at, now, zeros))
			return false;
		at += now;
		length -= now;
	}
	return true;
}

bool nvme_flush_store(struct nvme_ns *ns)
{
	return ns->memory || !fdatasync(ns->fd);
}
