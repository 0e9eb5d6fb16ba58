// SPDX-License-Identifier: MIT
/*
 * What /proc says about memory: pagemap entries, PAGEMAP_SCAN (Linux 6.7) and
 * PROCMAP_QUERY (6.11). The files of this process are kept open, since opening
 * costs more than most maps. A program may close descriptors it does not know,
 * or fork, so each use makes sure that ours is still what it was. Of
 * other processes struct iommufd_mm has them.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "iommufd/pages.h"
#include "plat/compiler.h"
#include "plat/spinlock.h"

struct pagemap_scan {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

struct pagemap_region {
	uint64_t start, end, categories;
};

struct procmap_query_arg {
	uint64_t size, query_flags, query_addr;
	uint64_t vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode;
	uint32_t dev_major, dev_minor, vma_name_size, build_id_size;
	uint64_t vma_name_addr, build_id_addr;
};

#define PAGEMAP_SCAN_CMD  _IOWR('f', 16, struct pagemap_scan)
#define PROCMAP_QUERY_CMD _IOWR('f', 17, struct procmap_query_arg)

#define COVERING_OR_NEXT 0x10

#define VMA_READABLE 0x1
#define VMA_WRITABLE 0x2
#define VMA_SHARED   0x8

/* One file of /proc/self that is kept open. */
struct proc_file {
	const char *path;
	int fd; /* -1: not open */
	pid_t pid;
	dev_t dev;
	ino_t ino;
};

static struct {
	struct spinlock lock;
	struct proc_file pagemap, maps;
	_Atomic(_Atomic(pid_t) *) pid; /* in a page that reads 0 after a fork */
} own = {
	.pagemap = {.path = "/proc/self/pagemap", .fd = -1},
	.maps = {.path = "/proc/self/maps", .fd = -1},
};

static _Atomic(pid_t) *make_pid_page(void)
{
	const int prot = PROT_READ | PROT_WRITE;
	_Atomic(pid_t) *page =
		(void *)syscall(SYS_mmap, 0, 4096, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	_Atomic(pid_t) *first = NULL;

	if (page == MAP_FAILED)
		return NULL;
	if (!syscall(SYS_madvise, page, 4096, MADV_WIPEONFORK) &&
	    atomic_compare_exchange_strong(&own.pid, &first, page))
		return page;
	syscall(SYS_munmap, page, 4096);
	return first;
}

/* A system call for each would be a good part of a small map. */
pid_t iommufd_getpid(void)
{
	_Atomic(pid_t) *page = own.pid;
	pid_t pid = page ? *page : 0;

	if (pid)
		return pid;
	pid = syscall(SYS_getpid);
	if (!page)
		page = make_pid_page();
	if (page)
		*page = pid;
	return pid;
}

static bool is_file(const struct proc_file *file)
{
	struct stat st;

	return file->fd >= 0 && !syscall(SYS_fstat, file->fd, &st) && st.st_dev == file->dev &&
	       st.st_ino == file->ino;
}

static int open_proc(const char *path)
{
	int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* A high number, where a program that counts its descriptors does not meet it. */
static void open_file(struct proc_file *file)
{
	int fd = open_proc(file->path), high;
	struct stat st;

	file->fd = -1;
	if (fd < 0)
		return;
	high = syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 900);
	if (high >= 0) {
		syscall(SYS_close, fd);
		fd = high;
	}
	syscall(SYS_fstat, fd, &st);
	file->dev = st.st_dev;
	file->ino = st.st_ino;
	file->pid = iommufd_getpid();
	file->fd = fd;
}

/* The lock may have been held at a fork: then, as when it is held, do without. */
static int proc_get(struct proc_file *file)
{
	int fd;

	if (!spin_trylock(&own.lock))
		return open_proc(file->path);
	if (!is_file(file)) {
		open_file(file); /* what has its number now is not ours to close */
	} else if (file->pid != iommufd_getpid()) {
		syscall(SYS_close, file->fd);
		open_file(file);
	}
	fd = file->fd;
	spin_unlock(&own.lock);
	return fd;
}

static void proc_put(const struct proc_file *file, int fd)
{
	if (fd >= 0 && fd != file->fd)
		syscall(SYS_close, fd);
}

int iommufd_pagemap_get(const struct iommufd_mm *mm)
{
	return iommufd_mm_is_own(mm) ? proc_get(&own.pagemap) : mm->pagemap;
}

void iommufd_pagemap_put(const struct iommufd_mm *mm, int fd)
{
	if (iommufd_mm_is_own(mm))
		proc_put(&own.pagemap, fd);
}

bool iommufd_pagemap_read(int fd, uint64_t uaddr, uint64_t *entries, unsigned int nr)
{
	size_t size = nr * sizeof(*entries);
	off_t at = (uaddr >> IOPT_PAGE_SHIFT) * sizeof(*entries);

	return fd >= 0 && syscall(SYS_pread64, fd, entries, size, at) == (long)size;
}

int iommufd_pagemap_scan(int fd, uint64_t start, uint64_t end, unsigned int category, bool without,
			 uint64_t *found_start, uint64_t *found_end)
{
	struct pagemap_region region;
	struct pagemap_scan scan = {
		.size = sizeof(scan),
		.start = start,
		.end = end,
		.vec = (uintptr_t)&region,
		.vec_len = 1,
		.category_inverted = without ? category : 0,
		.category_mask = category,
		.return_mask = category,
	};
	int nr = fd < 0 ? fd : (int)syscall(SYS_ioctl, fd, PAGEMAP_SCAN_CMD, &scan);

	if (nr < 0)
		return fd < 0 ? fd : -errno;
	if (nr) {
		*found_start = region.start;
		*found_end = region.end;
	}
	return nr > 0;
}

/* As the query does it, of a line of /proc/PID/maps. */
static int parse_maps(FILE *maps, uint64_t uaddr, struct user_vma *vma)
{
	char line[PATH_MAX + 128], flags[5];
	unsigned long start, end, offset, inode;
	unsigned int major, minor;

	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %4s %lx %x:%x %lu", &start, &end, flags, &offset, &major,
			   &minor, &inode) != 7 ||
		    end <= uaddr)
			continue;
		if (start > uaddr) {
			vma->start = start;
			return -ENOENT;
		}
		*vma = (struct user_vma){.start = start,
					 .end = end,
					 .read = flags[0] == 'r',
					 .write = flags[1] == 'w',
					 .shared = flags[3] == 's',
					 .file = inode != 0,
					 .offset = offset,
					 .dev = makedev(major, minor),
					 .ino = inode};
		return 0;
	}
	return -ENOENT;
}

/* Before Linux 6.11. Of this process it is not worth its price. */
static int vma_by_text(const struct iommufd_mm *mm, uint64_t uaddr, struct user_vma *vma)
{
	char path[32];
	FILE *maps;
	int ret;

	if (iommufd_mm_is_own(mm))
		return -ENOTTY;
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)mm->pid);
	maps = fopen(path, "re");
	if (!maps)
		return -ESRCH;
	ret = parse_maps(maps, uaddr, vma);
	fclose(maps);
	return ret;
}

int iommufd_vma_at(const struct iommufd_mm *mm, uint64_t uaddr, struct user_vma *vma)
{
	struct procmap_query_arg query = {
		.size = sizeof(query), .query_flags = COVERING_OR_NEXT, .query_addr = uaddr};
	int fd = iommufd_mm_is_own(mm) ? proc_get(&own.maps) : mm->maps;
	int ret = 0;

	if (fd < 0)
		return -ENOTTY;
	if (syscall(SYS_ioctl, fd, PROCMAP_QUERY_CMD, &query))
		ret = errno == ENOENT || errno == ESRCH ? -errno : -ENOTTY;
	if (iommufd_mm_is_own(mm))
		proc_put(&own.maps, fd);
	vma->start = UINT64_MAX;
	if (ret == -ENOTTY)
		return vma_by_text(mm, uaddr, vma);
	if (ret)
		return ret;
	vma->start = query.vma_start;
	if (vma->start > uaddr)
		return -ENOENT;
	vma->end = query.vma_end;
	vma->read = query.vma_flags & VMA_READABLE;
	vma->write = query.vma_flags & VMA_WRITABLE;
	vma->shared = query.vma_flags & VMA_SHARED;
	vma->file = query.inode != 0;
	vma->offset = query.vma_offset;
	vma->dev = makedev(query.dev_major, query.dev_minor);
	vma->ino = query.inode;
	return 0;
}
