// SPDX-License-Identifier: MIT
/*
 * RLIMIT_MEMLOCK. The limit is the kernel's, for one of two counts: of the user,
 * which here is all contexts of this process, or of the process per context, as
 * type1 did. Who has CAP_IPC_LOCK when it maps is counted nowhere. A context may
 * have been given another limit, which then counts for everybody.
 */
#include <linux/capability.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "iommufd/pages.h"
#include "plat/compiler.h"

static atomic_ulong user_locked;

static bool may_lock_all(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data))
		return false;
	return data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective & CAP_TO_MASK(CAP_IPC_LOCK);
}

uint8_t iopt_account_mode(struct iommufd_ctx *ctx)
{
	uint64_t memlock = ctx->config.memlock;
	bool unlimited = memlock ? memlock == UINT64_MAX : may_lock_all();

	return unlimited ? IOPT_PAGES_ACCOUNT_NONE : ctx->account_mode;
}

static uint64_t limit_pages(const struct iommufd_ctx *ctx)
{
	struct rlimit limit;

	if (ctx->config.memlock)
		return ctx->config.memlock >> IOPT_PAGE_SHIFT;
	if (getrlimit(RLIMIT_MEMLOCK, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	return limit.rlim_cur >> IOPT_PAGE_SHIFT;
}

static int account_user(const struct iommufd_ctx *ctx, uint64_t npages)
{
	unsigned long locked = atomic_load(&user_locked);
	uint64_t limit = limit_pages(ctx);

	do {
		if (npages > limit || locked > limit - npages)
			return -ENOMEM;
	} while (!atomic_compare_exchange_weak(&user_locked, &locked, locked + npages));
	return 0;
}

static int account_mm(struct iommufd_ctx *ctx, uint64_t npages)
{
	uint64_t limit = limit_pages(ctx);

	if (npages > limit || ctx->mm_locked > limit - npages)
		return -ENOMEM;
	ctx->mm_locked += npages;
	return 0;
}

int iopt_account(struct iopt_pages *pages, uint64_t npages)
{
	int ret = 0;

	if (pages->account_mode == IOPT_PAGES_ACCOUNT_USER)
		ret = account_user(pages->ctx, npages);
	else if (pages->account_mode == IOPT_PAGES_ACCOUNT_MM)
		ret = account_mm(pages->ctx, npages);
	if (ret) {
		struct iommufd_memlock *memlock = &pages->ctx->memlock;

		memlock->limit = limit_pages(pages->ctx) << IOPT_PAGE_SHIFT;
		memlock->reached++;
		return ret;
	}
	pages->npinned += npages;
	return 0;
}

void iopt_unaccount(struct iopt_pages *pages, uint64_t npages)
{
	if (pages->account_mode == IOPT_PAGES_ACCOUNT_USER)
		atomic_fetch_sub(&user_locked, npages);
	else if (pages->account_mode == IOPT_PAGES_ACCOUNT_MM)
		pages->ctx->mm_locked -= npages;
	pages->npinned -= npages;
}
