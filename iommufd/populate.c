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

/* Reads a byte of every page, for systems where there is no better. */
static int touch(uint64_t uaddr, uint64_t npages)
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
		if (process_vm_readv(iommufd_getpid(), &local, 1, remote, nr, 0) != (ssize_t)nr)
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

/* ---- of this process ---- */

static int fault_in_own(uint64_t uaddr, uint64_t npages, bool write, bool unshare)
{
	uint64_t size = npages * IOPT_PAGE_SIZE;

	if (!can_populate())
		return touch(uaddr, npages);
	if (write || unshare) {
		if (!advise(uaddr, size, MADV_POPULATE_WRITE))
			return 0;
		if (write)
			return -EFAULT;
	}
	return advise(uaddr, size, MADV_POPULATE_READ) ? -EFAULT : 0;
}

/* ---- of another ---- */

/* The kernel pins as many pages of one iovec at once. */
#define REMOTE_PAGES 1024

/* A page of this process that cannot be read or written. */
static void *bad_page(void)
{
	static _Atomic(void *) bad;
	void *page = atomic_load(&bad), *first = NULL;

	if (page)
		return page;
	page = mmap(NULL, IOPT_PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return NULL;
	if (atomic_compare_exchange_strong(&bad, &first, page))
		return page;
	munmap(page, IOPT_PAGE_SIZE);
	return first;
}

/*
 * A copy from or to a bad address of ours pins the pages of the other process, for
 * writing as a write does, and then fails without a byte copied.
 */
static void pin_remote(const struct iommufd_mm *mm, uint64_t uaddr, uint64_t npages, bool write)
{
	struct iovec local = {.iov_base = bad_page(), .iov_len = 1};

	while (npages && local.iov_base) {
		uint64_t nr = MIN(npages, REMOTE_PAGES);
		struct iovec remote = {(void *)(uintptr_t)uaddr, nr * IOPT_PAGE_SIZE};

		if (write)
			process_vm_writev(mm->pid, &local, 1, &remote, 1, 0);
		else
			process_vm_readv(mm->pid, &local, 1, &remote, 1, 0);
		uaddr += nr * IOPT_PAGE_SIZE;
		npages -= nr;
	}
}

/* Whether pages are there now: all that a copy which fails anyway does not tell. */
static bool are_present(const struct iommufd_mm *mm, uint64_t uaddr, uint64_t npages)
{
	uint64_t end = uaddr + npages * IOPT_PAGE_SIZE, start, last, entry;
	int ret = iommufd_pagemap_scan(mm->pagemap, uaddr, end, PAGE_SCAN_PRESENT, true, &start,
				       &last);

	if (ret >= 0)
		return ret == 0;
	for (; uaddr < end; uaddr += IOPT_PAGE_SIZE)
		if (!iommufd_pagemap_read(mm->pagemap, uaddr, &entry, 1) ||
		    !(entry & PAGEMAP_PRESENT))
			return false;
	return true;
}

/* With the rights of each mapping in the range. */
static int fault_in_remote(struct iommufd_mm *mm, uint64_t uaddr, uint64_t npages, bool write,
			   bool unshare)
{
	uint64_t end = uaddr + npages * IOPT_PAGE_SIZE;

	while (uaddr < end) {
		struct user_vma vma;
		uint64_t nr;

		if (iommufd_vma_at(mm, uaddr, &vma) || !vma.read || (write && !vma.write))
			return -EFAULT;
		nr = (MIN(vma.end, end) - uaddr) >> IOPT_PAGE_SHIFT;
		pin_remote(mm, uaddr, nr, vma.write && (write || unshare));
		if (!are_present(mm, uaddr, nr))
			return -EFAULT;
		uaddr = vma.end;
	}
	return 0;
}

int iommufd_fault_in(struct iommufd_mm *mm, uint64_t uaddr, uint64_t npages, bool write,
		     bool unshare)
{
	if (iommufd_mm_is_own(mm))
		return fault_in_own(uaddr, npages, write, unshare);
	return fault_in_remote(mm, uaddr, npages, write, unshare);
}

/* ---- what is missing ---- */

/* What of [uaddr, end) in one mapping is not there; all of it if nobody knows. */
static int fault_in_missing(struct iommufd_mm *mm, uint64_t uaddr, uint64_t end, bool write)
{
	int fd = iommufd_pagemap_get(mm), ret = 0;
	uint64_t start, last;

	while (!ret && uaddr < end) {
		ret = iommufd_pagemap_scan(fd, uaddr, end, PAGE_SCAN_PRESENT, true, &start, &last);
		if (ret == 0)
			break;
		if (ret < 0) {
			start = uaddr;
			last = end;
		}
		ret = iommufd_fault_in(mm, start, (last - start) >> IOPT_PAGE_SHIFT, write, false);
		uaddr = last;
	}
	iommufd_pagemap_put(mm, fd);
	return ret;
}

/*
 * A part of one mapping. Device memory in it shows only when it is touched. With
 * real frames a private page of a file is given its own one, as a pin would, and
 * those of anonymous memory are looked at when they are read: phys.c.
 */
static int populate_vma(const struct iommufd_ctx *ctx, struct iommufd_mm *mm,
			const struct user_vma *vma, uint64_t uaddr, uint64_t end, bool write)
{
	bool real = iommufd_phys_is_real(ctx);
	int ret;

	if (!vma->file && ctx->config.phys != IOMMUFD_PHYS_AUTO)
		return 0;
	if (vma->file) {
		if (real && !vma->shared)
			return iommufd_fault_in(mm, uaddr, (end - uaddr) >> IOPT_PAGE_SHIFT, write,
						true);
		ret = iommufd_fault_in(mm, uaddr, 1, write, false);
		if (ret)
			return ret;
	} else if (real && !vma->shared) {
		return 0;
	}
	return fault_in_missing(mm, uaddr, end, write);
}

static int populate(const struct iommufd_ctx *ctx, struct iommufd_mm *mm, uint64_t uaddr,
		    uint64_t npages, bool write)
{
	uint64_t end = uaddr + npages * IOPT_PAGE_SIZE;
	bool real = iommufd_phys_is_real(ctx);

	/* Writing leaves nothing to find out; reading does if a page may be shared. */
	if (npages < SMALL_PAGES && (write || !real))
		return iommufd_fault_in(mm, uaddr, npages, write, false);
	while (uaddr < end) {
		struct user_vma vma;
		int ret = iommufd_vma_at(mm, uaddr, &vma);

		if (ret == -ENOTTY)
			return iommufd_fault_in(mm, uaddr, (end - uaddr) >> IOPT_PAGE_SHIFT, write,
						real);
		if (ret || !vma.read || (write && !vma.write))
			return -EFAULT;
		ret = populate_vma(ctx, mm, &vma, uaddr, MIN(vma.end, end), write);
		if (ret)
			return ret;
		uaddr = vma.end;
	}
	return 0;
}

int iommufd_populate(struct iommufd_ctx *ctx, struct iommufd_mm *mm, uint64_t uaddr,
		     uint64_t npages, bool write)
{
	/* A range that cannot be user memory would wrap below. */
	if (uaddr >> 56 || npages >> (56 - IOPT_PAGE_SHIFT))
		return -EFAULT;
	return populate(ctx, mm, uaddr, npages, write);
}
