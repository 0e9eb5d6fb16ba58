/* SPDX-License-Identifier: MIT */
/*
 * The seccomp filter: which system calls are brought to the supervisor. It sees the
 * number and the arguments of a call, but nothing that they point to, so
 *
 *   every call with a path is;
 *   an ioctl is by its type, ';', which is iommufd's and VFIO's, whatever it is of;
 *   others are on a descriptor in the window, see below;
 *   what reads, writes or copies a descriptor is if its number lies in the window in
 *   which the supervisor gives out its own;
 *   an exec and the end of a process are, for the report;
 *   the wish for a listener is, which the kernel then refuses.
 *
 * Everything else is the kernel's, as are all calls of another kind of program (of 32
 * bits) in the same process.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "plat/compiler.h"
#include "supervisor/supervisor.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv)
#define NATIVE_ARCH AUDIT_ARCH_RISCV64
#elif defined(__s390x__)
#define NATIVE_ARCH AUDIT_ARCH_S390X
#else
#error "the value of seccomp_data.arch for this processor"
#endif

#define IOCTL_TYPE ';'

static const int always[] = {
#ifdef SYS_open
	SYS_open,       SYS_creat,      SYS_stat,       SYS_lstat,
	SYS_access,     SYS_readlink,   SYS_chmod,
#endif
	SYS_openat,     SYS_openat2,    SYS_newfstatat, SYS_statx,
	SYS_faccessat,  SYS_faccessat2, SYS_readlinkat, SYS_fchmodat,
	SYS_getdents64, SYS_getcwd,     SYS_statfs,     SYS_getxattr,
	SYS_lgetxattr,  SYS_listxattr,  SYS_llistxattr, SYS_inotify_add_watch,
	SYS_execve,     SYS_execveat,   SYS_exit_group, SYS_close_range,
};

/* Those with the descriptor as their first argument. */
static const int in_window[] = {
	SYS_close,   SYS_read,    SYS_write,    SYS_lseek,     SYS_readv,
	SYS_writev,  SYS_fstat,   SYS_pread64,  SYS_pwrite64,  SYS_preadv,
	SYS_pwritev, SYS_preadv2, SYS_pwritev2, SYS_ftruncate, SYS_dup,
};

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
/* The low half of an argument: descriptors and commands are ints. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ARG(n) (offsetof(struct seccomp_data, args) + 8 * (n))
#else
#define ARG(n) (offsetof(struct seccomp_data, args) + 8 * (n) + 4)
#endif
#define LOAD_ARG(n)          BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARG(n))
#define IF(test, k, yes, no) BPF_JUMP(BPF_JMP | (test) | BPF_K, (unsigned int)(k), yes, no)
#define RETURN(action)       BPF_STMT(BPF_RET | BPF_K, action)
#define NOTIFY               RETURN(SECCOMP_RET_USER_NOTIF)
#define ALLOW                RETURN(SECCOMP_RET_ALLOW)

/* Of a descriptor in the accumulator: the last three of a piece, which ends there. */
#define IF_IN_WINDOW(w) IF(BPF_JGE, (w)->start, 0, 2), IF(BPF_JGE, (w)->end, 1, 0), NOTIFY, ALLOW

#define INSTRUCTIONS 256

struct program {
	struct sock_filter at[INSTRUCTIONS];
	unsigned short length;
};

static void add(struct program *p, const struct sock_filter *piece, size_t length)
{
	for (size_t i = 0; i < length && p->length < INSTRUCTIONS; i++)
		p->at[p->length++] = piece[i];
}

#define ADD(p, ...)                                                 \
	do {                                                        \
		const struct sock_filter piece_[] = {__VA_ARGS__};  \
		add(p, piece_, sizeof(piece_) / sizeof(piece_[0])); \
	} while (0)

static void build(struct program *p, const struct window *w)
{
	ADD(p, LOAD(arch), IF(BPF_JEQ, NATIVE_ARCH, 1, 0), ALLOW, LOAD(nr));
	/* What programs call most comes first. */
	for (size_t i = 0; i < ARRAY_SIZE(in_window); i++)
		ADD(p, IF(BPF_JEQ, in_window[i], 0, 5), LOAD_ARG(0), IF_IN_WINDOW(w));
	ADD(p, IF(BPF_JEQ, SYS_ioctl, 0, 10), LOAD_ARG(1), BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 8),
	    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff), IF(BPF_JEQ, IOCTL_TYPE, 0, 1), NOTIFY,
	    LOAD_ARG(0), IF_IN_WINDOW(w));
	for (size_t i = 0; i < ARRAY_SIZE(always); i++)
		ADD(p, IF(BPF_JEQ, always[i], 0, 1), NOTIFY);
	/* Duplicates of ours stay in the window, unless they are asked for elsewhere. */
	ADD(p, IF(BPF_JEQ, SYS_fcntl, 0, 9), LOAD_ARG(1), IF(BPF_JEQ, F_DUPFD, 2, 0),
	    IF(BPF_JEQ, F_DUPFD_CLOEXEC, 1, 0), ALLOW, LOAD_ARG(0), IF_IN_WINDOW(w));
	/* What may put another in the place of one of ours. */
	ADD(p, IF(BPF_JEQ, SYS_dup3, 0, 5), LOAD_ARG(1), IF_IN_WINDOW(w));
#ifdef SYS_dup2
	ADD(p, IF(BPF_JEQ, SYS_dup2, 0, 5), LOAD_ARG(1), IF_IN_WINDOW(w));
#endif
	/* Another listener, of which there cannot be two: to say so. */
	ADD(p, IF(BPF_JEQ, SYS_seccomp, 0, 6), LOAD_ARG(0),
	    IF(BPF_JEQ, SECCOMP_SET_MODE_FILTER, 0, 2), LOAD_ARG(1),
	    IF(BPF_JSET, SECCOMP_FILTER_FLAG_NEW_LISTENER, 1, 0), ALLOW, NOTIFY);
	ADD(p, IF(BPF_JEQ, SYS_mmap, 0, 8), LOAD_ARG(3), IF(BPF_JSET, MAP_ANONYMOUS, 0, 1), ALLOW,
	    LOAD_ARG(4), IF_IN_WINDOW(w));
	ADD(p, ALLOW);
}

static int install(const struct program *p, unsigned long flags)
{
	struct sock_fprog prog = {p->length, (struct sock_filter *)p->at};
	long ret = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			   SECCOMP_FILTER_FLAG_NEW_LISTENER | flags, &prog);

	return ret < 0 ? -errno : (int)ret;
}

int filter_install(const struct window *window)
{
	struct program program = {.length = 0};
	int ret;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	build(&program, window);
	/* A signal that does not kill waits for the end of a call that was received. */
	ret = install(&program, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
	return ret == -EINVAL ? install(&program, 0) : ret;
}
