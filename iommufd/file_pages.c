// SPDX-License-Identifier: MIT
/*
 * Ranges of files, which are mapped here for as long as an area needs them.
 *
 * What the kernel pins is the page cache of a memfd, of tmpfs or of hugetlbfs:
 * another file, or a page that is not wholly in it, fails with -EINVAL when it is
 * to be pinned, and not before. How the file was opened, and its seals, do not
 * matter to a pin.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "iommufd/pages.h"
#include "plat/compiler.h"

#define MAGIC_TMPFS     0x01021994
#define MAGIC_HUGETLBFS 0x958458f6

static uint64_t sys_mmap(uint64_t at, uint64_t size, int prot, int flags, int fd, uint64_t offset)
{
	long ret = syscall(SYS_mmap, at, size, prot, flags, fd, offset);

	return ret == -1 ? 0 : (uint64_t)ret;
}

static void sys_munmap(uint64_t start, uint64_t end)
{
	if (start < end)
		syscall(SYS_munmap, start, end - start);
}

/* The descriptor, or the file opened anew where that one is read-only; *readonly if neither. */
static uint64_t map_shared(uint64_t at, uint64_t size, int fd, uint64_t start, bool writable,
			   bool *readonly)
{
	const int flags = MAP_SHARED | MAP_FIXED;
	char path[32];
	uint64_t mapped = 0;
	int again;

	*readonly = !writable;
	if (!writable)
		return sys_mmap(at, size, PROT_READ, flags, fd, start);
	mapped = sys_mmap(at, size, PROT_READ | PROT_WRITE, flags, fd, start);
	if (mapped || errno == ENOMEM)
		return mapped;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
	if (again >= 0) {
		mapped = sys_mmap(at, size, PROT_READ | PROT_WRITE, flags, again, start);
		syscall(SYS_close, again);
	}
	if (mapped)
		return mapped;
	*readonly = true;
	return sys_mmap(at, size, PROT_READ, flags, fd, start);
}

/*
 * Map a part of a file at an address that has the same place in a huge page as
 * the part has in the file. Whole huge pages, which hugetlbfs insists on. 0 when it
 * cannot be.
 */
static uint64_t map_file(int fd, uint64_t start, uint64_t size, bool writable, bool *readonly)
{
	uint64_t reserved = size + IOPT_HUGE_SIZE, base;
	uint64_t at = sys_mmap(0, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			       -1, 0);

	if (!at)
		return 0;
	base = (at + IOPT_HUGE_SIZE - 1) & ~(IOPT_HUGE_SIZE - 1);
	if (!map_shared(base, size, fd, start, writable, readonly)) {
		sys_munmap(at, at + reserved);
		return 0;
	}
	sys_munmap(at, base);
	sys_munmap(base + size, at + reserved);
	return base;
}

/* Whether the kernel can pin all pages of [start, last] of the file, as it is now. */
static bool can_pin(int fd, uint64_t last, struct stat *st)
{
	struct statfs fs;

	if (syscall(SYS_fstatfs, fd, &fs) || syscall(SYS_fstat, fd, st) || !S_ISREG(st->st_mode))
		return false;
	if ((uint32_t)fs.f_type != MAGIC_TMPFS && (uint32_t)fs.f_type != MAGIC_HUGETLBFS)
		return false;
	return (last | IOPT_PAGE_MASK) < (uint64_t)st->st_size;
}

static struct iopt_pages *alloc_file(struct iommufd_ctx *ctx, int fd, uint64_t start,
				     uint64_t length, bool writable)
{
	uint64_t first = start & ~IOPT_PAGE_MASK, base = start & ~(IOPT_HUGE_SIZE - 1);
	uint64_t last, end, mapped = 0;
	bool readonly = false, pinnable;
	struct iopt_pages *pages;
	struct stat st = {0};

	if (!length)
		return ERR_PTR(-EINVAL);
	if (__builtin_add_overflow(start, length - 1, &last))
		return ERR_PTR(-EOVERFLOW);
	if (syscall(SYS_fcntl, fd, F_GETFD) < 0)
		return ERR_PTR(-EBADF);
	if (length > UINT64_MAX - IOPT_PAGE_SIZE)
		return ERR_PTR(-EINVAL);
	end = (last | (IOPT_HUGE_SIZE - 1)) + 1;
	pinnable = can_pin(fd, last, &st);
	if (pinnable) {
		mapped = map_file(fd, base, end - base, writable, &readonly);
		if (!mapped)
			return ERR_PTR(-ENOMEM);
	}
	pages = iopt_pages_new(ctx, pinnable ? mapped + (first - base) : first,
			       (last - first) / IOPT_PAGE_SIZE + 1, writable);
	if (IS_ERR(pages)) {
		sys_munmap(mapped, pinnable ? mapped + (end - base) : 0);
		return pages;
	}
	pages->file = true;
	pages->dev = st.st_dev;
	pages->ino = st.st_ino;
	pages->file_start = first;
	pages->file_offset = (uint32_t)(first - base);
	pages->file_readonly = readonly;
	pages->unpinnable = !pinnable;
	iopt_pages_publish(pages);
	return pages;
}

struct iopt_pages *iopt_pages_alloc_file(struct iommufd_ctx *ctx, int fd, uint64_t start,
					 uint64_t length, bool writable)
{
	struct iopt_pages *pages;
	int own = fd;

	/* The number is the caller's. */
	if (iommufd_caller)
		own = iommufd_caller->descriptor(iommufd_caller, fd);
	if (iommufd_caller && own < 0)
		return ERR_PTR(own);
	pages = alloc_file(ctx, own, start, length, writable);
	if (iommufd_caller)
		close(own);
	return pages;
}

void iopt_pages_unmap_file(struct iopt_pages *pages)
{
	uint64_t end = pages->node.start + pages->npages * IOPT_PAGE_SIZE;

	if (!pages->unpinnable)
		sys_munmap(pages->node.start - pages->file_offset,
			   (end + IOPT_HUGE_SIZE - 1) & ~(IOPT_HUGE_SIZE - 1));
}
