/* SPDX-License-Identifier: MIT */
#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "iommufd/pages.h"
#include "iommufd/user.h"

__thread struct iommufd_caller *iommufd_caller __attribute__((tls_model("initial-exec")));

static pid_t target(void)
{
	return iommufd_caller ? iommufd_caller->tid : iommufd_getpid();
}

static bool is_user_range(uint64_t start, size_t len)
{
	uint64_t last;

	return !__builtin_add_overflow(start, len - 1, &last) && last <= UINTPTR_MAX;
}

/* ---- one read for several copies ---- */

void iommufd_read_ahead(uint64_t at)
{
	struct iommufd_caller *caller = iommufd_caller;
	size_t first = IOPT_PAGE_SIZE - (at & IOPT_PAGE_MASK);
	struct iovec local, remote[2];
	ssize_t done;

	if (!caller)
		return;
	caller->ahead = 0;
	first = MIN(first, IOMMUFD_AHEAD);
	if (!is_user_range(at, IOMMUFD_AHEAD))
		return;
	/* The second page may be missing; then the first is all that there is. */
	local = (struct iovec){caller->bytes, IOMMUFD_AHEAD};
	remote[0] = (struct iovec){(void *)(uintptr_t)at, first};
	remote[1] = (struct iovec){(void *)(uintptr_t)(at + first), IOMMUFD_AHEAD - first};
	done = process_vm_readv(caller->tid, &local, 1, remote, first < IOMMUFD_AHEAD ? 2 : 1, 0);
	caller->ahead_at = at;
	caller->ahead = done > 0 ? (size_t)done : 0;
}

static bool is_ahead(const struct iommufd_caller *caller, uint64_t at, size_t len)
{
	return caller && at >= caller->ahead_at && len <= caller->ahead &&
	       at - caller->ahead_at <= caller->ahead - len;
}

/* What the caller is given replaces what was read of it. */
static void forget_ahead(struct iommufd_caller *caller, uint64_t at, size_t len)
{
	if (caller && at < caller->ahead_at + caller->ahead && at + len > caller->ahead_at)
		caller->ahead = 0;
}

/* ---- copies ---- */

int iommufd_copy_from_user(struct iommufd_ctx *ctx, void *to, uint64_t from, size_t len)
{
	struct iovec local = {.iov_base = to, .iov_len = len};
	struct iovec remote = {.iov_base = (void *)(uintptr_t)from, .iov_len = len};

	if (!len)
		return 0;
	if (!is_user_range(from, len))
		return -EFAULT;
	if (is_ahead(iommufd_caller, from, len)) {
		memcpy(to, iommufd_caller->bytes + (from - iommufd_caller->ahead_at), len);
		return 0;
	}
	return process_vm_readv(target(), &local, 1, &remote, 1, 0) == (ssize_t)len ? 0 : -EFAULT;
}

int iommufd_copy_to_user(struct iommufd_ctx *ctx, uint64_t to, const void *from, size_t len)
{
	struct iovec local = {.iov_base = (void *)(uintptr_t)from, .iov_len = len};
	struct iovec remote = {.iov_base = (void *)(uintptr_t)to, .iov_len = len};

	if (!len)
		return 0;
	if (!is_user_range(to, len))
		return -EFAULT;
	if (iommufd_caller && !iommufd_caller->is_valid(iommufd_caller))
		return -EFAULT;
	forget_ahead(iommufd_caller, to, len);
	return process_vm_writev(target(), &local, 1, &remote, 1, 0) == (ssize_t)len ? 0 : -EFAULT;
}

/* -E2BIG unless all of it is 0. */
static int check_zero(struct iommufd_ctx *ctx, uint64_t from, size_t len)
{
	uint64_t words[64];

	while (len) {
		size_t chunk = MIN(len, sizeof(words));
		int rc;

		memset(words, 0, sizeof(words));
		rc = iommufd_copy_from_user(ctx, words, from, chunk);
		if (rc)
			return rc;
		for (size_t n = 0; n < ARRAY_SIZE(words); n++)
			if (words[n])
				return -E2BIG;
		from += chunk;
		len -= chunk;
	}
	return 0;
}

int iommufd_copy_struct_from_user(struct iommufd_ctx *ctx, void *to, size_t len, uint64_t from,
				  size_t user_len)
{
	size_t known = MIN(len, user_len);

	if (user_len > len) {
		int rc = check_zero(ctx, from + len, user_len - len);

		if (rc)
			return rc;
	}
	memset((char *)to + known, 0, len - known);
	return iommufd_copy_from_user(ctx, to, from, known);
}

/* ---- who calls ---- */

struct iommufd_mm *iommufd_caller_mm(void)
{
	struct iommufd_mm *mm =
		iommufd_caller ? iommufd_caller->mm(iommufd_caller) : iommufd_mm_own();

	return IS_ERR(mm) ? mm : iommufd_mm_get(mm);
}

uid_t iommufd_caller_uid(void)
{
	struct iommufd_mm *mm = iommufd_caller ? iommufd_caller->mm(iommufd_caller) : NULL;

	if (!mm)
		return geteuid();
	return IS_ERR(mm) ? (uid_t)-1 : mm->user->uid;
}

bool iommufd_caller_may(int capability)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
		.pid = iommufd_caller ? iommufd_caller->pid : 0,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data))
		return false;
	return data[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability);
}
