/* SPDX-License-Identifier: MIT */
/*
 * Whose memory ioctls work on: the calling process's, which is this one when the
 * library is part of a program, and another one under `uiommu run`. A pointer of the
 * caller may be bad, and may become bad meanwhile: a copy then fails with -EFAULT.
 */
#ifndef IOMMUFD_USER_H
#define IOMMUFD_USER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What the processes of one user have pinned. Lives as long as this process. */
struct iommufd_user {
	uid_t uid;
	atomic_ulong locked; /* pages */
	struct iommufd_user *next;
};

/*
 * One address space. Its files in /proc stay those of that address space after an
 * exec of the process, and read nothing once it is gone.
 */
struct iommufd_mm {
	atomic_uint refs;
	pid_t pid; /* 0: this process */
	int pagemap, maps, mem;
	struct iommufd_user *user;
	atomic_ulong pinned; /* pages, also those that count nowhere */
	atomic_ulong locked; /* pages that count for this process */
};

/* That of process @pid; ERR_PTR: -ENOMEM, or why its files in /proc cannot be opened. */
struct iommufd_mm *iommufd_mm_open(pid_t pid);
struct iommufd_mm *iommufd_mm_get(struct iommufd_mm *mm);
void iommufd_mm_put(struct iommufd_mm *mm);
/* That of this process; the reference counts are not. */
struct iommufd_mm *iommufd_mm_own(void);

static inline bool iommufd_mm_is_own(const struct iommufd_mm *mm)
{
	return !mm->pid;
}

/* Copy memory of @mm, which need not be the caller's. 0 or -EFAULT. */
int iommufd_mm_rw(struct iommufd_mm *mm, uint64_t uaddr, void *data, size_t length, bool write);

#define IOMMUFD_AHEAD 128

/* Who makes the calls that this thread serves, if it is not this process. */
struct iommufd_caller {
	pid_t tid; /* the thread, whose memory it is */
	pid_t pid; /* its process */
	/* Its address space, without a reference; an ERR_PTR. Called in this thread. */
	struct iommufd_mm *(*mm)(struct iommufd_caller *caller);
	/* A copy of its descriptor @fd, or a negative errno. */
	int (*descriptor)(struct iommufd_caller *caller, int fd);
	/* The thread still waits for the call: its number is not another's by now. */
	bool (*is_valid)(struct iommufd_caller *caller);
	/* What iommufd_read_ahead() has of the caller's memory. */
	uint64_t ahead_at;
	size_t ahead;
	unsigned char bytes[IOMMUFD_AHEAD];
};

/* NULL: this process itself. Kept by whoever serves the calls of others. */
extern __thread struct iommufd_caller *iommufd_caller
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/* The caller's address space, with a reference. ERR_PTR. */
struct iommufd_mm *iommufd_caller_mm(void);
uid_t iommufd_caller_uid(void);
/* Whether it has a capability in its own user namespace. */
bool iommufd_caller_may(int capability);

/*
 * Fetch up to IOMMUFD_AHEAD bytes at @at, so that the copies of an argument that
 * follow are of one moment and cost one system call.
 */
void iommufd_read_ahead(uint64_t at);

#endif
