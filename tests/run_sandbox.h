/* SPDX-License-Identifier: MIT */
/* Parts of tests/run_kinds.c: programs that limit their own system calls. */
#ifndef RUN_SANDBOX_H
#define RUN_SANDBOX_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "run_program.h"

/* All that a monitor of virtual machines may do once it is set up, and nothing else. */
static const int allowed[] = {
	SYS_fcntl,
#ifdef SYS_open
	SYS_open,
#endif
	SYS_openat, SYS_ioctl, SYS_close,    SYS_read,       SYS_write,  SYS_mmap,
	SYS_munmap, SYS_brk,   SYS_mprotect, SYS_exit_group, SYS_futex,  SYS_dup,
	SYS_fstat,  SYS_exit,  SYS_madvise,  SYS_newfstatat, SYS_writev,
};

#define NR_ALLOWED (sizeof(allowed) / sizeof(allowed[0]))

/* What is not allowed ends by @action; of ioctls only those of type ';' are. */
static void sandbox(unsigned int action)
{
	struct sock_filter filter[2 * NR_ALLOWED + 8];
	struct sock_fprog prog = {0, filter};
	unsigned short n = 0;

	filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						   offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < NR_ALLOWED; i++) {
		if (allowed[i] == SYS_ioctl)
			continue;
		filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							   (unsigned int)allowed[i], 0, 1);
		filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	}
	filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 4);
	filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						   offsetof(struct seccomp_data, args[1]));
	filter[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff00);
	filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ';' << 8, 0, 1);
	filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action);
	prog.len = n;
	check(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	check(!syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog));
}

static void use_everything(int early)
{
	int fd = open_iommu();
	uint32_t ioas = ioas_alloc(fd);
	int device = attach(fd, ioas), copy;
	void *at = memory(M);

	check(ioas_alloc(early) == 1);
	check(!map(fd, ioas, at, M, 1ul << 32));
	check_errno(map(fd, ioas, at, M, 1ul << 32), EEXIST);
	copy = dup(fd);
	check(copy >= 0 && !close(fd) && unmap(copy, ioas, 1ul << 32, M) == 256);
	check(!close(device) && !destroy(copy, ioas) && !close(copy));
}

/* The supervisor's part of a call is not done by the program, and so not judged. */
static void filter_kill(void)
{
	int early = open_iommu();

	sandbox(SECCOMP_RET_KILL_PROCESS);
	use_everything(early);
	_exit(0);
}

static void filter_errno(void)
{
	int early = open_iommu();
	char buf[64];

	sandbox(SECCOMP_RET_ERRNO | ENOANO);
	use_everything(early);
	/* What it answers itself does not come to the supervisor. */
	check_errno(syscall(SYS_readlinkat, AT_FDCWD, "/dev/iommu", buf, 64), ENOANO);
	check_errno(ioctl(early, 0x5401, buf), ENOANO);
	_exit(0);
}

/* Only one can have the calls: the kernel refuses another, and the program goes on. */
static void test_listener(void)
{
	struct sock_filter filter[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	struct sock_fprog prog = {1, filter};

	check(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	check_errno(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
			    &prog),
		    EBUSY);
	check(!syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog));
	check(ioas_alloc(open_iommu()) == 1);
}

#endif
