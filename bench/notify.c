/* SPDX-License-Identifier: MIT */
/*
 * A minimal supervisor of system calls: `notify PROGRAM [ARG...]` runs a program under
 * a filter that notifies it of opens and of ioctls of iommufd's type. An ioctl is
 * answered by one copy in, one copy out and success; the path of an open is read.
 * `uiommu run` is compared with this.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

#define ARGUMENT 40 /* bytes of a struct iommu_option */

static int install_filter(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 5, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 8),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ';', 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {sizeof(filter) / sizeof(filter[0]), filter};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
			    &prog);
}

/* By number: fetch the listener from the child. */
static int fetch_listener(pid_t pid, int number)
{
	long pidfd = syscall(SYS_pidfd_open, pid, 0);

	return (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
}

static void serve_one(int listener)
{
	struct seccomp_notif notif;
	struct seccomp_notif_resp response;
	char bytes[256];
	struct iovec local = {bytes, ARGUMENT}, remote = {NULL, ARGUMENT};

	memset(&notif, 0, sizeof(notif));
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notif))
		return;
	response = (struct seccomp_notif_resp){.id = notif.id};
	if (notif.data.nr == SYS_ioctl) {
		remote.iov_base = (void *)(uintptr_t)notif.data.args[2];
		process_vm_readv((pid_t)notif.pid, &local, 1, &remote, 1, 0);
		process_vm_writev((pid_t)notif.pid, &local, 1, &remote, 1, 0);
	} else {
		remote.iov_base = (void *)(uintptr_t)notif.data.args[1];
		remote.iov_len = local.iov_len = 64;
		process_vm_readv((pid_t)notif.pid, &local, 1, &remote, 1, 0);
		response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	}
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

int main(int argc, char **argv)
{
	int sockets[2], number, listener, status;
	pid_t pid;

	if (argc < 2 || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets))
		return 1;
	pid = fork();
	if (!pid) {
		number = install_filter();
		if (write(sockets[1], &number, sizeof(number)) < 0 ||
		    read(sockets[1], &number, sizeof(number)) < 0)
			_exit(126);
		execv(argv[1], argv + 1);
		_exit(127);
	}
	if (read(sockets[0], &number, sizeof(number)) != sizeof(number))
		return 1;
	listener = fetch_listener(pid, number);
	if (listener < 0 || write(sockets[0], &number, sizeof(number)) < 0) {
		perror("notify: the listener");
		return 1;
	}
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, 1ul);
	while (waitpid(pid, &status, WNOHANG) == 0)
		serve_one(listener);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
