// SPDX-License-Identifier: MIT
/*
 * RLIMIT_MEMLOCK. The limit is that of the process that mapped, for one of two
 * counts: of its user, or of the process per context, as type1 did. A process that
 * has CAP_IPC_LOCK when it maps is counted nowhere. A context may have been given
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

static uint64_t limit_pages(const struct iopt_pages *pages)
{
	uint64_t memlock = pages->ctx->config.memlock;
	struct rlimit limit;

	if (memlock)
		return memlock >> IOPT_PAGE_SHIFT;
	if (prlimit(pages->source->pid, RLIMIT_MEMLOCK, NULL, &limit) ||
	    limit.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	return limit.rlim_cur >> IOPT_PAGE_SHIFT;
}

static int account_user(const struct iopt_pages *pages, uint64_t npages)
{
	atomic_ulong *count = &pages->source->user->locked;
	unsigned long locked = atomic_load(count);
	uint64_t limit = limit_pages(pages);

	do {
		if (npages > limit || locked > limit - npages)
			return -ENOMEM;
	} while (!atomic_compare_exchange_weak(count, &locked, locked + npages));
	return 0;
}

static int account_mm(const struct iopt_pages *pages, uint64_t npages)
{
	struct iommufd_ctx *ctx = pages->ctx;
	uint64_t limit = limit_pages(pages);

	if (npages > limit || ctx->mm_locked > limit - npages)
		return -ENOMEM;
	ctx->mm_locked += npages;
	return 0;
}

int iopt_account(struct iopt_pages *pages, uint64_t npages)
{
	int ret = 0;

	if (pages->account_mode == IOPT_PAGES_ACCOUNT_USER)
		ret = account_user(pages, npages);
	else if (pages->account_mode == IOPT_PAGES_ACCOUNT_MM)
		ret = account_mm(pages, npages);
	if (ret) {
		struct iommufd_memlock *memlock = &pages->ctx->memlock;

		memlock->limit = limit_pages(pages) << IOPT_PAGE_SHIFT;
		memlock->reached++;
		return ret;
	}
	pages->npinned += npages;
	return 0;
}

void iopt_unaccount(struct iopt_pages *pages, uint64_t npages)
{
	if (pages->account_mode == IOPT_PAGES_ACCOUNT_USER)
		atomic_fetch_sub(&pages->source->user->locked, npages);
	else if (pages->account_mode == IOPT_PAGES_ACCOUNT_MM)
		pages->ctx->mm_locked -= npages;
	pages->npinned -= npages;
}
