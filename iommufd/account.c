// SPDX-License-Identifier: MIT
/*
 * RLIMIT_MEMLOCK. The limit is that of the process that mapped, for one of two
 * counts: of its user, or of the process, as type1 did. A process that has
 * CAP_IPC_LOCK when it maps is counted nowhere. A context may have been given
 * another limit, which then counts for everybody.
 */
#include <linux/capability.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "iommufd/pages.h"
#include "plat/compiler.h"

uint8_t iopt_account_mode(struct iommufd_ctx *ctx)
{
	uint64_t memlock = ctx->config.memlock;
	bool unlimited = memlock ? memlock == UINT64_MAX : iommufd_caller_may(CAP_IPC_LOCK);

	return unlimited ? IOPT_PAGES_ACCOUNT_NONE : ctx->account_mode;
}

static uint64_t limit_pages(const struct iommufd_ctx *ctx, const struct iommufd_mm *mm)
{
	uint64_t memlock = ctx->config.memlock;
	struct rlimit limit;

	if (memlock)
		return memlock >> IOPT_PAGE_SHIFT;
	if (prlimit(mm->pid, RLIMIT_MEMLOCK, NULL, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	return limit.rlim_cur >> IOPT_PAGE_SHIFT;
}

/* What pages of @mm count in, or NULL. */
static atomic_ulong *count_of(struct iommufd_mm *mm, uint8_t mode)
{
	if (mode == IOPT_PAGES_ACCOUNT_USER)
		return &mm->user->locked;
	return mode == IOPT_PAGES_ACCOUNT_MM ? &mm->locked : NULL;
}

static bool add_below(atomic_ulong *count, uint64_t npages, uint64_t limit)
{
	unsigned long locked = atomic_load(count);

	do {
		if (npages > limit || locked > limit - npages)
			return false;
	} while (!atomic_compare_exchange_weak(count, &locked, locked + npages));
	return true;
}

int iopt_account_to(struct iommufd_ctx *ctx, struct iommufd_mm *mm, uint8_t mode, uint64_t npages)
{
	atomic_ulong *count = count_of(mm, mode);
	uint64_t limit = count ? limit_pages(ctx, mm) : 0;

	if (count && !add_below(count, npages, limit)) {
		ctx->memlock.limit = limit << IOPT_PAGE_SHIFT;
		ctx->memlock.reached++;
		return -ENOMEM;
	}
	atomic_fetch_add(&mm->pinned, npages);
	return 0;
}

void iopt_unaccount_from(struct iommufd_mm *mm, uint8_t mode, uint64_t npages)
{
	atomic_ulong *count = count_of(mm, mode);

	if (count)
		atomic_fetch_sub(count, npages);
	atomic_fetch_sub(&mm->pinned, npages);
}

int iopt_account(struct iopt_pages *pages, uint64_t npages)
{
	int ret = iopt_account_to(pages->ctx, pages->source, pages->account_mode, npages);

	if (!ret)
		pages->npinned += npages;
	return ret;
}

void iopt_unaccount(struct iopt_pages *pages, uint64_t npages)
{
	iopt_unaccount_from(pages->source, pages->account_mode, npages);
	pages->npinned -= npages;
}
