// SPDX-License-Identifier: MIT
/*
 * Faulting memory in, which is what pinning it comes to here: bad memory is told
 * from good before anything is mapped. Walking pages that are there already is
 * most of the cost of a large map, so where the system can tell which mapping
 * memory is in and which pages are missing, only those are touched.
 *
 * Anonymous memory is good wherever its mapping is, and a frame that is invented
 * from its address alone needs no page: then there is nothing to look at.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "iommufd/pages.h"
#include "plat/compiler.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

/* Below this asking is dearer than walking. */
#define SMALL_PAGES 64

static int advise(uint64_t uaddr, uint64_t size, int advice)
{
	long ret;

	do
		ret = syscall(SYS_madvise, uaddr, size, advice);
	while (ret && (errno == EINTR || errno == EAGAIN));
	return ret ? -errno : 0;
}

/* Reads a byte of every page, for systems and processes where there is no better. */
static int touch(pid_t pid, uint64_t uaddr, uint64_t npages)
{
	char bytes[64];
	struct iovec remote[ARRAY_SIZE(bytes)], local = {.iov_base = bytes};

	while (npages) {
		unsigned int nr = MIN(npages, ARRAY_SIZE(bytes));

		for (unsigned int i = 0; i < nr; i++) {
			remote[i].iov_base = (void *)(uintptr_t)(uaddr + i * IOPT_PAGE_SIZE);
			remote[i].iov_len = 1;
		}
		local.iov_len = nr;
		if (syscall(SYS_process_vm_readv, pid, &local, 1, remote, nr, 0) != (long)nr)
			return -EFAULT;
		uaddr += nr * IOPT_PAGE_SIZE;
		npages -= nr;
	}
	return 0;
}

/* Before Linux 5.14 the advice is -EINVAL everywhere, even on our own stack. */
static bool can_populate(void)
{
	static int known;
	uint64_t here = (uintptr_t)&known & ~IOPT_PAGE_MASK;

	if (!known)
		known = advise(here, IOPT_PAGE_SIZE, MADV_POPULATE_READ) ? -1 : 1;
	return known > 0;
}

/* @unshare: give a private page its own frame, though it is only to be read. */
static int fault_in(uint64_t uaddr, uint64_t npages, bool write, bool unshare)
{
	uint64_t size = npages * IOPT_PAGE_SIZE;

	if (!can_populate())
		return touch(iommufd_getpid(), uaddr, npages);
	if (write || unshare) {
		if (!advise(uaddr, size, MADV_POPULATE_WRITE))
			return 0;
		if (write)
			return -EFAULT;
	}
	return advise(uaddr, size, MADV_POPULATE_READ) ? -EFAULT : 0;
}

/* What of [uaddr, end) in one mapping is not there; all of it if nobody knows. */
static int fault_in_missing(uint64_t uaddr, uint64_t end, bool write, bool unshare)
{
	int fd = iommufd_pagemap_get(iommufd_getpid());
	uint64_t start, last;
	int ret;

	while (uaddr < end) {
		ret = iommufd_pagemap_scan(fd, uaddr, end, PAGE_SCAN_PRESENT, true, &start, &last);
		if (ret == 0)
			break;
		if (ret < 0) {
			start = uaddr;
			last = end;
		}
		ret = fault_in(start, (last - start) >> IOPT_PAGE_SHIFT, write, unshare);
		if (ret)
			return ret;
		uaddr = last;
	}
	return 0;
}

/*
 * A part of one mapping. Device memory in it shows only when it is touched. With
 * real frames a private page of a file is given its own one, as a pin would, and
 * those of anonymous memory are looked at when they are read: phys.c.
 */
static int populate_vma(const struct iommufd_ctx *ctx, const struct user_vma *vma, uint64_t uaddr,
			uint64_t end, bool write)
{
	bool real = iommufd_phys_is_real(ctx);
	int ret;

	if (!vma->file && ctx->config.phys != IOMMUFD_PHYS_AUTO)
		return 0;
	if (vma->file) {
		if (real && !vma->shared)
			return fault_in(uaddr, (end - uaddr) >> IOPT_PAGE_SHIFT, write, true);
		ret = fault_in(uaddr, 1, write, false);
		if (ret)
			return ret;
	} else if (real && !vma->shared) {
		return 0;
	}
	return fault_in_missing(uaddr, end, write, false);
}

static int populate_own(const struct iommufd_ctx *ctx, uint64_t uaddr, uint64_t npages, bool write)
{
	uint64_t end = uaddr + npages * IOPT_PAGE_SIZE;
	bool real = iommufd_phys_is_real(ctx);

	/* Writing leaves nothing to find out; reading does if a page may be shared. */
	if (npages < SMALL_PAGES && (write || !real))
		return fault_in(uaddr, npages, write, false);
	while (uaddr < end) {
		struct user_vma vma;
		int ret = iommufd_vma_at(uaddr, &vma);

		if (ret == -ENOTTY)
			return fault_in(uaddr, (end - uaddr) >> IOPT_PAGE_SHIFT, write, real);
		if (ret || !vma.read || (write && !vma.write))
			return -EFAULT;
		ret = populate_vma(ctx, &vma, uaddr, MIN(vma.end, end), write);
		if (ret)
			return ret;
		uaddr = vma.end;
	}
	return 0;
}

int iommufd_populate(struct iommufd_ctx *ctx, pid_t pid, uint64_t uaddr, uint64_t npages,
		     bool write)
{
	/* A range that cannot be user memory would wrap below. */
	if (uaddr >> 56 || npages >> (56 - IOPT_PAGE_SHIFT))
		return -EFAULT;
	if (pid != iommufd_getpid())
		return touch(pid, uaddr, npages);
	return populate_own(ctx, uaddr, npages, write);
}
