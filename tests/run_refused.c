/* SPDX-License-Identifier: MIT */
/*
 * `run_refused CALL ERROR PROGRAM [ARG...]`: run a program where a system call is
 * refused, as by a container's profile or by Yama.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
	const char *name;
	unsigned int nr;
} calls[] = {
	{"seccomp", SYS_seccomp},
	{"seccomp-listener", SYS_seccomp},
	{"process_vm_readv", SYS_process_vm_readv},
	{"process_vm_writev", SYS_process_vm_writev},
	{"pidfd_getfd", SYS_pidfd_getfd},
	{"pidfd_open", SYS_pidfd_open},
	{"memfd_create", SYS_memfd_create},
	{"inotify_init1", SYS_inotify_init1},
};

static int error_of(const char *name)
{
	return !strcmp(name, "EPERM") ? EPERM : !strcmp(name, "EACCES") ? EACCES : ENOSYS;
}

/* Of a listener only a filter with one is refused. */
static int install(unsigned int nr, int error, int only_listener)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K,
			 only_listener ? SECCOMP_FILTER_FLAG_NEW_LISTENER : ~0u, 0,
			 !!only_listener),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned int)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {sizeof(filter) / sizeof(filter[0]), filter};

	if (!only_listener)
		filter[2] = filter[3] = filter[4];
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 3 && i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (strcmp(argv[1], calls[i].name) != 0)
			continue;
		if (install(calls[i].nr, error_of(argv[2]), !!strchr(argv[1], '-')))
			break;
		execv(argv[3], argv + 3);
	}
	perror("run_refused");
	return 125;
}
