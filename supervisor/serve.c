/* SPDX-License-Identifier: MIT */
/*
 * Worker threads, which take the system calls of all programs from the listener. As
 * long as all of them are busy there is one more, so that no program waits for the
 * long call of another.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "plat/compiler.h"
#include "supervisor/supervisor.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
#define SYNC_WAKE_UP 1ul /* SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP, of Linux 6.6 */

#define WORKER_STACK (512 << 10)

/* A newer kernel's may be longer. */
union notification {
	struct seccomp_notif notif;
	char room[512];
};

__thread struct call *current_call;

static int listener = -1;
static struct window window;
static atomic_int idle, workers;
/* The choice of a free number and its use. */
static pthread_mutex_t give_lock = PTHREAD_MUTEX_INITIALIZER;
static int next_number;

static void add_worker(void);

bool call_is_valid(const struct call *call)
{
	return !ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &call->id);
}

static bool caller_is_valid(struct iommufd_caller *caller)
{
	return call_is_valid(container_of(caller, struct call, caller));
}

struct process *call_process(struct call *call)
{
	if (!call->process) {
		call->process = process_of(call->caller.tid);
		if (call->process)
			call->caller.pid = call->process->pid;
	}
	return call->process;
}

static struct iommufd_mm *caller_mm(struct iommufd_caller *caller)
{
	struct call *call = container_of(caller, struct call, caller);
	struct process *process = call_process(call);

	return process ? process_mm(process, caller->tid) : ERR_PTR(-ESRCH);
}

ssize_t call_text(struct call *call, uint64_t at, char *text, size_t size)
{
	size_t done = 0;

	while (done < size) {
		/* Up to the end of a page: the next one may be missing. */
		size_t part = 4096 - ((at + done) & 4095);
		struct iovec local = {text + done, MIN(part, size - done)};
		struct iovec remote = {(void *)(uintptr_t)(at + done), local.iov_len};
		ssize_t n = process_vm_readv(call->caller.tid, &local, 1, &remote, 1, 0);
		const char *end;

		if (n <= 0)
			return -EFAULT;
		end = memchr(text + done, '\0', (size_t)n);
		if (end)
			return end - text;
		done += (size_t)n;
	}
	return -ENAMETOOLONG;
}

/* ---- descriptors of the caller ---- */

static bool is_free(pid_t tid, int number)
{
	char path[48];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)tid, number);
	return lstat(path, &st) && errno == ENOENT;
}

/* From the top down, where programs have few; -1 for none. */
static int free_number(pid_t tid)
{
	int size = window.end - window.start;

	for (int i = 0; i < size; i++) {
		if (next_number <= window.start)
			next_number = window.end;
		if (is_free(tid, --next_number))
			return next_number;
	}
	return -1;
}

static int add_fd(const struct call *call, struct seccomp_notif_addfd *add)
{
	int number = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, add);

	return number < 0 ? -errno : number;
}

int call_give(struct call *call, int fd, int flags, enum give how)
{
	struct seccomp_notif_addfd add = {
		.id = call->id,
		.flags = how == GIVE_ONLY ? 0 : SECCOMP_ADDFD_FLAG_SEND,
		.srcfd = (unsigned int)fd,
		.newfd_flags = (unsigned int)flags & O_CLOEXEC,
	};
	int number, ret = -EBADF;

	pthread_mutex_lock(&give_lock);
	number = how == GIVE_LOWEST ? -1 : free_number(call->caller.tid);
	if (number >= 0) {
		add.flags |= SECCOMP_ADDFD_FLAG_SETFD;
		add.newfd = (unsigned int)number;
		ret = add_fd(call, &add);
		add.flags &= ~(unsigned int)SECCOMP_ADDFD_FLAG_SETFD;
		add.newfd = 0;
	}
	/* None is free, or a limit on descriptors is below it. */
	if (ret == -EBADF || ret == -EMFILE)
		ret = add_fd(call, &add);
	pthread_mutex_unlock(&give_lock);
	if (ret >= 0 && how != GIVE_ONLY)
		call->answered = true;
	return ret;
}

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

int call_take(const struct call *call, int fd)
{
	long pidfd = syscall(SYS_pidfd_open, call->caller.tid, PIDFD_THREAD), taken;

	/* Before Linux 6.9 there are none of threads but the first. */
	if (pidfd < 0)
		pidfd = syscall(SYS_pidfd_open, call->caller.tid, 0);
	if (pidfd < 0)
		return -errno;
	taken = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	if (taken < 0)
		taken = -errno;
	close((int)pidfd);
	return (int)taken;
}

/* ---- calls ---- */

static long dispatch(struct call *call)
{
	switch (call->nr) {
	case SYS_ioctl:
	case SYS_read:
	case SYS_write:
	case SYS_readv:
	case SYS_writev:
	case SYS_pread64:
	case SYS_pwrite64:
	case SYS_preadv:
	case SYS_pwritev:
	case SYS_preadv2:
	case SYS_pwritev2:
	case SYS_lseek:
	case SYS_ftruncate:
	case SYS_fstat:
	case SYS_dup:
	case SYS_fcntl:
	case SYS_mmap:
	case SYS_close:
		return descriptors_call(call);
	case SYS_execve:
	case SYS_execveat:
	case SYS_exit_group:
		return exec_call(call);
	default:
		return paths_call(call);
	}
}

static void answer(const struct call *call, long result)
{
	struct seccomp_notif_resp response = {.id = call->id};

	if (result == CONTINUE)
		response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else if (result < 0)
		response.error = (int)result;
	else
		response.val = result;
	/* That the caller is gone is all that can be wrong. */
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

static void serve(const struct seccomp_notif *notif)
{
	struct call call = {
		.caller = {.tid = (pid_t)notif->pid,
			   .pid = (pid_t)notif->pid,
			   .mm = caller_mm,
			   .is_valid = caller_is_valid},
		.id = notif->id,
		.nr = notif->data.nr,
	};
	long result;

	memcpy(call.args, notif->data.args, sizeof(call.args));
	current_call = &call;
	iommufd_caller = &call.caller;
	result = dispatch(&call);
	iommufd_caller = NULL;
	current_call = NULL;
	if (!call.answered)
		answer(&call, result);
	if (call.process)
		process_put(call.process);
}

static bool is_over(void)
{
	struct pollfd polled = {.fd = listener};

	return poll(&polled, 1, 0) == 1 && (polled.revents & POLLHUP);
}

static void *work(void *arg)
{
	uintptr_t number = (uintptr_t)arg;
	union notification next;

	for (;;) {
		memset(&next, 0, sizeof(next));
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &next.notif)) {
			/* The caller was killed meanwhile, or no program is left. */
			if (errno == EINTR || (errno == ENOENT && !is_over()))
				continue;
			return NULL;
		}
		atomic_store(&under_way->worker[number].nr, next.notif.data.nr);
		atomic_store(&under_way->worker[number].id, next.notif.id);
		atomic_store(&under_way->latest, next.notif.id);
		if (atomic_fetch_sub(&idle, 1) == 1)
			add_worker();
		serve(&next.notif);
		atomic_store(&under_way->worker[number].id, 0);
		atomic_fetch_add(&idle, 1);
	}
}

static void add_worker(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	int number = atomic_fetch_add(&workers, 1);

	if (number >= WORKERS_MAX) {
		atomic_fetch_sub(&workers, 1);
		return;
	}
	atomic_fetch_add(&idle, 1);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WORKER_STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &attr, work, (void *)(uintptr_t)number)) {
		atomic_fetch_sub(&idle, 1);
		atomic_fetch_sub(&workers, 1);
	}
	pthread_attr_destroy(&attr);
}

int serve_start(int listener_fd, const struct window *numbers)
{
	struct seccomp_notif_sizes sizes;

	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes))
		return -errno;
	if (sizes.seccomp_notif > sizeof(union notification))
		return -EOVERFLOW;
	listener = listener_fd;
	window = *numbers;
	next_number = window.end;
	/* The caller goes on where the answer is given; older kernels do without. */
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP);
	add_worker();
	add_worker();
	return atomic_load(&workers) ? 0 : -EAGAIN;
}
