/* SPDX-License-Identifier: MIT */
/*
 * The beginning and the end of a run: the program is started under the filter, and
 * the main thread waits for the processes under it, for their closes, and for
 * signals.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <uiommu/memcontrol.h>

#include "mm/memcontrol.h"
#include "plat/compiler.h"
#include "supervisor/supervisor.h"

/* Below the numbers that select() can take, and above those that programs use. */
#define WINDOW_END 1024

const struct supervisor_options *options;
struct mem_cgroup *run_cgroup;

void notice(const char *format, ...)
{
	static const char prefix[] = "uiommu: ";
	char line[512];
	size_t length = sizeof(prefix) - 1;
	va_list args;
	int n;

	memcpy(line, prefix, length);
	va_start(args, format);
	n = vsnprintf(line + length, sizeof(line) - length - 1, format, args);
	va_end(args);
	length += MIN((size_t)n, sizeof(line) - length - 2);
	line[length++] = '\n';
	if (write(STDERR_FILENO, line, length) < 0)
		return;
}

/* ---- the listener's way from the program to here ---- */

union control {
	char room[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

int send_descriptor(int to, int fd)
{
	union control control = {.room = {0}};
	struct iovec iov = {&fd, sizeof(fd)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c;

	if (fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&message);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	return sendmsg(to, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int receive_descriptor(int from, int *value)
{
	union control control;
	int fd = -EPIPE;
	struct iovec iov = {value, sizeof(*value)};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *c;

	if (recvmsg(from, &message, MSG_CMSG_CLOEXEC) <= 0)
		return -EPIPE;
	c = CMSG_FIRSTHDR(&message);
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

static const char *refusal(int error)
{
	switch (error) {
	case EBUSY:
		return "this is run by a 'uiommu run' already, or by another supervisor of system "
		       "calls: leave one of them out";
	case ENOSYS:
	case EINVAL:
		return "the kernel has no seccomp filters with user notification (Linux 5.14 has "
		       "them)";
	case EACCES:
	case EPERM:
		return "the kernel, or a sandbox, refuses a seccomp filter";
	default:
		return strerror(error);
	}
}

/* ---- the program ---- */

struct start {
	const char *path;
	char **argv;
	struct window window;
	sigset_t mask; /* as it was for us */
	struct rlimit descriptors;
	int socket;
	int fallback; /* a socket */
};

static void __attribute__((noreturn)) start_program(const struct start *start)
{
	int listener;

	sigprocmask(SIG_SETMASK, &start->mask, NULL);
	setrlimit(RLIMIT_NOFILE, &start->descriptors);
	listener = filter_install(&start->window);
	if (send_descriptor(start->socket, listener) || listener < 0) {
		/* With nobody to answer, the filter must not stop the exit. */
		if (listener >= 0)
			close(listener);
		_exit(126);
	}
	close(listener);
	execv(start->path, start->argv);
	options->not_started(start->path, errno);
	_exit(126);
}

/* What is refused of the calls that no program can be served without, or NULL. */
static const char *probe_program(pid_t pid)
{
	static int probe = 1;
	int value, pidfd;
	/* The same variable in the child. */
	struct iovec local = {&value, sizeof(value)}, remote = {&probe, sizeof(probe)};

	if (process_vm_readv(pid, &local, 1, &remote, 1, 0) < 0 && errno != ESRCH)
		return "process_vm_readv()";
	if (process_vm_writev(pid, &local, 0, &remote, 0, 0) < 0 && errno != ESRCH)
		return "process_vm_writev()";
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0 && errno != ESRCH)
		return "pidfd_open()";
	if (pidfd >= 0)
		close(pidfd);
	return NULL;
}

static struct window choose_window(void)
{
	struct rlimit limit;
	int end = WINDOW_END;

	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < (rlim_t)end)
		end = (int)limit.rlim_cur;
	return (struct window){end - end / 4, end};
}

/* What the supervisor has open is that of all programs, each of which has the limit. */
static void raise_limit(struct rlimit *before)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, before);
	limit = *before;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* ---- the run ---- */

static int fail(char *error, size_t size, int ret, const char *what, const char *why)
{
	snprintf(error, size, "%s: %s", what, why);
	return ret;
}

static void set_limit(const char *file, uint64_t limit)
{
	char text[32];

	if (limit == UINT64_MAX)
		return;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)limit);
	mem_cgroup_write(run_cgroup, file, text);
}

static int prepare(struct report *report, char *error, size_t size)
{
	int ret;

	run_cgroup = mem_cgroup_create(NULL);
	if (!run_cgroup)
		return fail(error, size, -ENOMEM, "memory", strerror(ENOMEM));
	memcg_keep_exact(run_cgroup);
	set_limit("memory.high", options->memory_high);
	set_limit("memory.max", options->memory_max);
	account_start(report);
	if (options->trace)
		trace_open(options->trace);
	if (sysfs_make_devices(error, size))
		return -EINVAL;
	fault_start();
	ret = tree_start();
	if (ret)
		return fail(error, size, ret, "a directory in /dev/shm or /tmp", strerror(-ret));
	ret = files_start();
	if (!ret)
		ret = wait_start();
	if (!ret)
		ret = ends_start();
	return ret ? fail(error, size, ret, "inotify, epoll", strerror(-ret)) : 0;
}

/* Its process, with all that it starts, calls here from now on. */
static int launch(struct start *start, struct wait *wait, char *error, size_t size)
{
	int sockets[2], refused = -EPIPE, ret;
	const char *missing;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets))
		return fail(error, size, -errno, "socketpair", strerror(errno));
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return fail(error, size, -errno, "cannot start another process", strerror(errno));
	if (!pid) {
		start->socket = sockets[1];
		start_program(start);
	}
	close(sockets[1]);
	wait->program = pid;
	wait->listener = receive_descriptor(sockets[0], &refused);
	close(sockets[0]);
	if (wait->listener < 0)
		return fail(error, size, refused, "seccomp", refusal(-refused));
	send_descriptor(start->fallback, wait->listener);
	missing = probe_program(pid);
	if (missing) {
		kill(pid, SIGKILL);
		return fail(error, size, -EPERM, missing,
			    "it is refused, by Yama's ptrace_scope or a sandbox");
	}
	ret = serve_start(wait->listener, &start->window);
	if (ret)
		kill(pid, SIGKILL);
	return ret ? fail(error, size, ret, "seccomp", strerror(-ret)) : 0;
}

int supervisor_run(const struct supervisor_options *opts, struct report *report, const char *path,
		   char **argv, void (*ended)(int status), pid_t *pid, int *status, char *error,
		   size_t error_size)
{
	struct start start = {.path = path, .argv = argv, .window = choose_window()};
	struct wait wait = {.call = ended};
	sigset_t block;
	int ret;

	options = opts;
	sigemptyset(&block);
	sigaddset(&block, SIGCHLD);
	for (size_t i = 0; i < nr_forwarded_signals; i++)
		sigaddset(&block, forwarded_signals[i]);
	sigprocmask(SIG_BLOCK, &block, &start.mask);
	wait.signals = signalfd(-1, &block, SFD_CLOEXEC | SFD_NONBLOCK);
	start.fallback = fallback_start(&wait.fallback);
	if (start.fallback < 0)
		return fail(error, error_size, start.fallback, "fork", strerror(-start.fallback));
	raise_limit(&start.descriptors);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	ret = prepare(report, error, error_size);
	if (!ret)
		ret = launch(&start, &wait, error, error_size);
	if (!ret) {
		ret = wait_for_all(&wait);
		if (ret)
			fail(error, error_size, ret, "epoll", strerror(-ret));
	}
	if (!ret) {
		*pid = wait.program;
		*status = wait.status;
		close(start.fallback);
		waitpid(wait.fallback, NULL, wait.unused ? 0 : WNOHANG);
		account_end();
		trace_flush();
		fault_end();
	}
	tree_end();
	return ret;
}
