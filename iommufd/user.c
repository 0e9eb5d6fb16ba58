/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "iommufd/guard.h"
#include "iommufd/iommufd.h"

/*
 * The sanitizers must not look: it is not our memory, and a race for it is the
 * caller's affair. Volatile, so that nobody makes a memcpy() of it.
 */
#define UNINSTRUMENTED __attribute__((no_sanitize("address", "thread", "undefined")))

typedef uint64_t __attribute__((may_alias, aligned(1))) user_word;

UNINSTRUMENTED __noinline static void copy_bytes(void *to, const void *from, size_t len)
{
	volatile char *to_byte;
	const volatile char *from_byte;

	for (; len >= sizeof(user_word); len -= sizeof(user_word)) {
		*(volatile user_word *)to = *(const volatile user_word *)from;
		to = (char *)to + sizeof(user_word);
		from = (const char *)from + sizeof(user_word);
	}
	for (to_byte = to, from_byte = from; len; len--)
		*to_byte++ = *from_byte++;
}

/* @user is the one of the two that may be bad. */
static int copy_guarded(void *to, const void *from, size_t len, uint64_t user)
{
	struct user_guard guard = {.start = user, .last = user + len - 1};

	if (_setjmp(guard.env)) {
		user_guard_end();
		return -EFAULT;
	}
	user_guard_begin(&guard);
	copy_bytes(to, from, len);
	user_guard_end();
	return 0;
}

static int copy_by_call(void *ours, uint64_t user, size_t len, bool write)
{
	struct iovec local = {.iov_base = ours, .iov_len = len};
	struct iovec remote = {.iov_base = (void *)(uintptr_t)user, .iov_len = len};
	ssize_t done = write ? process_vm_writev(getpid(), &local, 1, &remote, 1, 0)
			     : process_vm_readv(getpid(), &local, 1, &remote, 1, 0);

	return done == (ssize_t)len ? 0 : -EFAULT;
}

static bool is_user_range(uint64_t start, size_t len)
{
	uint64_t last;

	return !__builtin_add_overflow(start, len - 1, &last) && last <= UINTPTR_MAX;
}

int iommufd_copy_from_user(struct iommufd_ctx *ctx, void *to, uint64_t from, size_t len)
{
	if (!len)
		return 0;
	if (!is_user_range(from, len))
		return -EFAULT;
	if (user_guard_installed())
		return copy_guarded(to, (const void *)(uintptr_t)from, len, from);
	return copy_by_call(to, from, len, false);
}

int iommufd_copy_to_user(struct iommufd_ctx *ctx, uint64_t to, const void *from, size_t len)
{
	if (!len)
		return 0;
	if (!is_user_range(to, len))
		return -EFAULT;
	if (user_guard_installed())
		return copy_guarded((void *)(uintptr_t)to, from, len, to);
	return copy_by_call((void *)(uintptr_t)from, to, len, true);
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
