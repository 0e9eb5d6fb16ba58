// SPDX-License-Identifier: MIT
/*
 * Physical addresses of user memory, which decide how large the leaves of a
 * domain can be. Invented ones depend on the virtual address alone, so that they
 * stay what they are without being remembered:
 *
 *   identity    paddr = uaddr
 *   scattered   a 4K page has frame (page number * odd constant) modulo 2^35, so
 *               that different pages have different frames and no two neighbours
 *               adjoin
 *   auto        real frames where /proc/PID/pagemap shows them; else huge pages
 *               are found, one has an invented frame from 2^47 on, and the rest
 *               is scattered
 *
 * All invented ones are below 2^48, which every format can hold. User memory is
 * below 2^47 unless a program asks for more by an explicit address.
 */
#include <stdatomic.h>

#include "iommufd/pages.h"
#include "plat/compiler.h"

#define SMALL_FRAMES (UINT64_C(1) << 35)
#define HUGE_FRAMES  (UINT64_C(1) << 26)
#define HUGE_SHIFT   21
#define HUGE_PAGES   (UINT64_C(1) << (HUGE_SHIFT - IOPT_PAGE_SHIFT))
#define HUGE_MASK    (IOPT_HUGE_SIZE - 1)
#define SCATTER      UINT64_C(0x9e3779b97f4a7c15)

/* Entries that are read at once. */
#define WINDOW (4 * HUGE_PAGES)

typedef int (*run_fn)(void *arg, uint64_t paddr, uint64_t npages);

/* Where in a range of user memory one is, and the run that grows there. */
struct phys_walk {
	struct iommufd_ctx *ctx;
	struct iommufd_mm *mm;
	int fd;
	uint64_t uaddr, end;
	uint64_t run_paddr, run_pages;
	uint64_t no_huge_before; /* a scan found none in front of this */
	run_fn each;
	void *arg;
};

static uint64_t scattered(uint64_t uaddr)
{
	uint64_t frame = ((uaddr >> IOPT_PAGE_SHIFT) * SCATTER) & (SMALL_FRAMES - 1);

	return frame << IOPT_PAGE_SHIFT;
}

static uint64_t scattered_huge(uint64_t uaddr)
{
	uint64_t frame = ((uaddr >> HUGE_SHIFT) * SCATTER) & (HUGE_FRAMES - 1);

	return ((HUGE_FRAMES + frame) << HUGE_SHIFT) + (uaddr & HUGE_MASK);
}

static int flush_run(struct phys_walk *walk)
{
	uint64_t npages = walk->run_pages;

	walk->run_pages = 0;
	return npages ? walk->each(walk->arg, walk->run_paddr, npages) : 0;
}

/* The next pages have frames from @paddr on. */
static int add_run(struct phys_walk *walk, uint64_t paddr, uint64_t npages)
{
	int ret = 0;

	walk->uaddr += npages << IOPT_PAGE_SHIFT;
	if (walk->run_pages && paddr == walk->run_paddr + (walk->run_pages << IOPT_PAGE_SHIFT)) {
		walk->run_pages += npages;
		return 0;
	}
	ret = flush_run(walk);
	walk->run_paddr = paddr;
	walk->run_pages = npages;
	return ret;
}

static int add_scattered(struct phys_walk *walk, uint64_t end)
{
	int ret = 0;

	while (!ret && walk->uaddr < end)
		ret = add_run(walk, scattered(walk->uaddr), 1);
	return ret;
}

/* ---- auto ---- */

static uint64_t entry_paddr(uint64_t entry, uint64_t uaddr)
{
	/* Without privilege frame numbers read 0. */
	return PAGEMAP_PFN(entry) ? PAGEMAP_PFN(entry) << IOPT_PAGE_SHIFT : scattered(uaddr);
}

/* A page that is missing, or private and shared with a fork: its frame may change. */
static bool is_unstable(uint64_t entry)
{
	return !(entry & PAGEMAP_PRESENT) || !(entry & (PAGEMAP_EXCLUSIVE | PAGEMAP_FILE));
}

/* Entries that a pin would have made stable. */
static int read_stable(struct phys_walk *walk, uint64_t *entries, unsigned int nr)
{
	unsigned int i = 0;

	if (!iommufd_pagemap_read(walk->fd, walk->uaddr, entries, nr))
		return -EFAULT;
	while (i < nr && !is_unstable(entries[i]))
		i++;
	if (i == nr)
		return 0;
	/* Memory that is only readable stays as it is. */
	if (iommufd_fault_in(walk->mm, walk->uaddr, nr, false, true))
		return -EFAULT;
	if (!iommufd_pagemap_read(walk->fd, walk->uaddr, entries, nr))
		return -EFAULT;
	for (i = 0; i < nr; i++)
		if (!(entries[i] & PAGEMAP_PRESENT))
			return -EFAULT;
	return 0;
}

/* Huge pages from here on, one entry read for each. 1 when there were any. */
static int add_huge_real(struct phys_walk *walk)
{
	uint64_t start, end, entry;
	int ret;

	if (walk->uaddr < walk->no_huge_before)
		return 0;
	ret = iommufd_pagemap_scan(walk->fd, walk->uaddr, walk->end, PAGE_SCAN_HUGE, false, &start,
				   &end);
	if (ret <= 0 || start != walk->uaddr) {
		walk->no_huge_before = ret > 0 ? start : walk->end;
		return 0;
	}
	while (walk->uaddr < end) {
		uint64_t left = MIN(end - walk->uaddr, IOPT_HUGE_SIZE - (walk->uaddr & HUGE_MASK));

		if (!iommufd_pagemap_read(walk->fd, walk->uaddr, &entry, 1))
			return -EFAULT;
		if (!(entry & PAGEMAP_PRESENT))
			break; /* not any more */
		ret = add_run(walk, entry_paddr(entry, walk->uaddr), left >> IOPT_PAGE_SHIFT);
		if (ret)
			return ret;
	}
	return 1;
}

/* Pages up to a border of huge pages. Sets whether the last ones can be a huge page. */
static int add_window(struct phys_walk *walk, bool *contiguous)
{
	uint64_t entries[WINDOW];
	uint64_t end = (walk->uaddr & ~HUGE_MASK) + (WINDOW << IOPT_PAGE_SHIFT);
	unsigned int nr = (MIN(end, walk->end) - walk->uaddr) >> IOPT_PAGE_SHIFT;
	int ret = read_stable(walk, entries, nr);

	for (unsigned int i = 0; !ret && i < nr; i++)
		ret = add_run(walk, entry_paddr(entries[i], walk->uaddr), 1);
	*contiguous = walk->run_pages >= HUGE_PAGES;
	return ret;
}

/* Where a window turned out to be contiguous, huge pages are looked for. */
static int walk_real(struct phys_walk *walk)
{
	bool contiguous = false;
	int ret = 0;

	while (ret >= 0 && walk->uaddr < walk->end) {
		if (contiguous) {
			ret = add_huge_real(walk);
			contiguous = false;
			continue;
		}
		ret = add_window(walk, &contiguous);
	}
	return MIN(ret, 0);
}

/* The next huge pages, or nothing at the end. A small range is not worth reading smaps. */
static void find_huge(const struct phys_walk *walk, uint64_t *start, uint64_t *end)
{
	int ret = iommufd_pagemap_scan(walk->fd, walk->uaddr, walk->end, PAGE_SCAN_HUGE, false,
				       start, end);

	if (ret > 0)
		return;
	if (ret < 0 && walk->end - walk->uaddr >= IOPT_HUGE_SIZE &&
	    iommufd_smaps_huge(walk->mm, walk->uaddr, walk->end, start, end))
		return;
	*start = *end = walk->end;
}

static int walk_huge(struct phys_walk *walk)
{
	uint64_t start, end;
	int ret = 0;

	while (!ret && walk->uaddr < walk->end) {
		find_huge(walk, &start, &end);
		ret = add_scattered(walk, start);
		while (!ret && walk->uaddr < end) {
			uint64_t left = IOPT_HUGE_SIZE - (walk->uaddr & HUGE_MASK);

			left = MIN(left, end - walk->uaddr);
			ret = add_run(walk, scattered_huge(walk->uaddr), left >> IOPT_PAGE_SHIFT);
		}
	}
	return ret;
}

static int walk_auto(struct phys_walk *walk)
{
	int ret;

	walk->fd = iommufd_pagemap_get(walk->mm);
	ret = iommufd_phys_is_real(walk->ctx) ? walk_real(walk) : walk_huge(walk);
	iommufd_pagemap_put(walk->mm, walk->fd);
	return ret;
}

/* Whether frame numbers can be read is tried on memory that is surely there. */
static bool frames_are_visible(void)
{
	static atomic_int known;
	uint64_t entry = 0;
	int fd;

	if (!known) {
		fd = iommufd_pagemap_get(iommufd_mm_own());
		iommufd_pagemap_read(fd, (uintptr_t)&entry & ~IOPT_PAGE_MASK, &entry, 1);
		known = PAGEMAP_PFN(entry) ? 1 : -1;
	}
	return known > 0;
}

bool iommufd_phys_is_real(const struct iommufd_ctx *ctx)
{
	return ctx->config.phys == IOMMUFD_PHYS_AUTO && frames_are_visible();
}

const char *iommufd_phys_name(const struct iommufd_ctx *ctx)
{
	switch (ctx->config.phys) {
	case IOMMUFD_PHYS_IDENTITY:
		return "identity";
	case IOMMUFD_PHYS_SCATTERED:
		return "scattered";
	default:
		return frames_are_visible() ? "auto, real frames" : "auto, huge pages";
	}
}

int iommufd_phys_runs(struct iommufd_ctx *ctx, struct iommufd_mm *mm, uint64_t uaddr,
		      uint64_t npages, run_fn each, void *arg)
{
	struct phys_walk walk = {
		.ctx = ctx,
		.mm = mm,
		.uaddr = uaddr,
		.end = uaddr + (npages << IOPT_PAGE_SHIFT),
		.each = each,
		.arg = arg,
	};
	int ret;

	if (ctx->config.phys == IOMMUFD_PHYS_IDENTITY)
		return each(arg, uaddr, npages);
	if (ctx->config.phys == IOMMUFD_PHYS_SCATTERED)
		ret = add_scattered(&walk, walk.end);
	else
		ret = walk_auto(&walk);
	return ret ? ret : flush_run(&walk);
}

static int take_paddr(void *arg, uint64_t paddr, uint64_t npages)
{
	*(uint64_t *)arg = paddr;
	return 0;
}

int iommufd_user_to_phys(struct iommufd_ctx *ctx, uint64_t uaddr, uint64_t *paddr)
{
	uint64_t page = uaddr & ~IOPT_PAGE_MASK;
	struct iommufd_mm *mm = iommufd_caller_mm();
	int ret = IS_ERR(mm) ? -EFAULT : iommufd_populate(ctx, mm, page, 1, false);

	if (!ret)
		ret = iommufd_phys_runs(ctx, mm, page, 1, take_paddr, paddr);
	if (!IS_ERR(mm))
		iommufd_mm_put(mm);
	*paddr += uaddr & IOPT_PAGE_MASK;
	return ret;
}
