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
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
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

static int polled = -1; /* of epoll */

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

void watch_process(struct process *process, int pidfd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = process};

	epoll_ctl(polled, EPOLL_CTL_ADD, pidfd, &event);
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

static const int forwarded[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

struct start {
	const char *path;
	char **argv;
	struct window window;
	sigset_t mask; /* as it was for us */
	int socket;
	int fallback; /* a socket */
};

static void __attribute__((noreturn)) start_program(const struct start *start)
{
	int listener;

	sigprocmask(SIG_SETMASK, &start->mask, NULL);
	listener = filter_install(&start->window);
	if (send_descriptor(start->socket, listener) || listener < 0)
		_exit(126);
	close(listener);
	execv(start->path, start->argv);
	options->not_started(start->path, errno);
	_exit(126);
}

/* Whether the memory of a program can be used at all: the same variable in a child. */
static int probe_memory(pid_t pid)
{
	static int probe = 1;
	int value;
	struct iovec local = {&value, sizeof(value)}, remote = {&probe, sizeof(probe)};

	return process_vm_readv(pid, &local, 1, &remote, 1, 0) < 0 && errno != ESRCH ? -errno : 0;
}

static struct window choose_window(void)
{
	struct rlimit limit;
	int end = WINDOW_END;

	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < (rlim_t)end)
		end = (int)limit.rlim_cur;
	return (struct window){end - end / 4, end};
}

/* ---- waiting ---- */

struct wait {
	pid_t program, fallback;
	bool ended;
	bool unused; /* no process is under the filter any more */
	bool told;   /* a signal to end has been passed on */
	bool over;
	int status;
	void (*call)(int status);
};

static void reap(struct wait *wait)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != wait->program)
			continue;
		wait->ended = true;
		wait->status = status;
		if (wait->call)
			wait->call(status);
	}
	wait->over |= wait->ended && wait->unused;
}

/* Every child, which is every process whose parent has ended, too. */
static bool signal_children(const struct wait *wait, int sig)
{
	bool any = false;
	char path[48];
	FILE *file;
	int pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	file = fopen(path, "re");
	while (file && fscanf(file, "%d", &pid) == 1) {
		if (pid == wait->fallback)
			continue;
		kill(pid, sig);
		any = true;
	}
	if (file)
		fclose(file);
	return any;
}

/* What dies leaves its children to us. */
static void kill_all(struct wait *wait)
{
	while (!wait->over && signal_children(wait, SIGKILL)) {
		struct timespec soon = {.tv_nsec = 1000000};

		nanosleep(&soon, NULL);
		reap(wait);
	}
	wait->over = true;
}

/*
 * What the terminal sends, it sends to the program as well. A second request to end is
 * one that was not followed.
 */
static void pass_on(struct wait *wait, const struct signalfd_siginfo *info)
{
	int sig = (int)info->ssi_signo;
	bool ends = sig == SIGINT || sig == SIGTERM;

	if (info->ssi_code > 0 && !wait->ended)
		return;
	if (ends && wait->told) {
		kill_all(wait);
		return;
	}
	wait->told |= ends;
	if (wait->ended)
		signal_children(wait, sig);
	else
		kill(wait->program, sig);
}

static void take_signals(struct wait *wait, int fd)
{
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			reap(wait);
		else
			pass_on(wait, &info);
	}
}

static int listener_fd = -1;

/* Only for the end of its last user: calls are the workers'. */
static int watch_listener(int fd, void *tag)
{
	struct epoll_event event = {.events = 0, .data.ptr = tag};

	listener_fd = fd;
	return epoll_ctl(polled, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static void unwatch_listener(void)
{
	epoll_ctl(polled, EPOLL_CTL_DEL, listener_fd, NULL);
}

static int watch_descriptor(int fd, void *tag)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = tag};

	return epoll_ctl(polled, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static char signals_tag, files_tag, listener_tag;

/* What has happened; waits for something if @block. False when there was nothing. */
static bool handle_events(struct wait *wait, int signals, bool block)
{
	struct epoll_event events[16];
	int n = epoll_wait(polled, events, ARRAY_SIZE(events), block ? -1 : 0);

	for (int i = 0; i < n; i++) {
		struct process *process = events[i].data.ptr;

		if (events[i].data.ptr == &signals_tag) {
			take_signals(wait, signals);
		} else if (events[i].data.ptr == &files_tag) {
			files_settle(NULL, NULL);
		} else if (events[i].data.ptr == &listener_tag) {
			if (!(events[i].events & (EPOLLHUP | EPOLLERR)))
				continue;
			wait->unused = true;
			unwatch_listener();
			reap(wait);
		} else {
			epoll_ctl(polled, EPOLL_CTL_DEL, process->pidfd, NULL);
			process_ended(process);
		}
	}
	return n > 0;
}

static void wait_for_all(struct wait *wait, int signals)
{
	reap(wait);
	while (!wait->over)
		handle_events(wait, signals, true);
	while (handle_events(wait, signals, false))
		;
	files_settle(NULL, NULL);
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

static int prepare(struct report *report, int signals, char *error, size_t size)
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
	polled = epoll_create1(EPOLL_CLOEXEC);
	if (!ret && polled < 0)
		ret = -errno;
	if (!ret)
		ret = watch_descriptor(signals, &signals_tag);
	if (!ret)
		ret = watch_descriptor(files_descriptor(), &files_tag);
	return ret ? fail(error, size, ret, "inotify, epoll", strerror(-ret)) : 0;
}

/* Its process, with all that it starts, calls here from now on. */
static int launch(struct start *start, pid_t *pid, char *error, size_t size)
{
	int sockets[2], listener, refused = -EPIPE, ret;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets))
		return fail(error, size, -errno, "socketpair", strerror(errno));
	fflush(NULL);
	*pid = fork();
	if (*pid < 0)
		return fail(error, size, -errno, "cannot start another process", strerror(errno));
	if (!*pid) {
		start->socket = sockets[1];
		start_program(start);
	}
	close(sockets[1]);
	listener = receive_descriptor(sockets[0], &refused);
	close(sockets[0]);
	if (listener < 0)
		return fail(error, size, refused, "seccomp", refusal(-refused));
	send_descriptor(start->fallback, listener);
	ret = probe_memory(*pid);
	if (ret) {
		kill(*pid, SIGKILL);
		return fail(error, size, ret, "the program's memory cannot be read",
			    "process_vm_readv() is refused, by Yama's ptrace_scope or a sandbox");
	}
	ret = watch_listener(listener, &listener_tag);
	if (!ret)
		ret = serve_start(listener, &start->window);
	if (ret)
		kill(*pid, SIGKILL);
	return ret ? fail(error, size, ret, "seccomp", strerror(-ret)) : 0;
}

int supervisor_run(const struct supervisor_options *opts, struct report *report, const char *path,
		   char **argv, void (*ended)(int status), pid_t *pid, int *status, char *error,
		   size_t error_size)
{
	struct start start = {.path = path, .argv = argv, .window = choose_window()};
	struct wait wait = {.call = ended};
	sigset_t block;
	int signals, ret;

	options = opts;
	sigemptyset(&block);
	sigaddset(&block, SIGCHLD);
	for (size_t i = 0; i < ARRAY_SIZE(forwarded); i++)
		sigaddset(&block, forwarded[i]);
	sigprocmask(SIG_BLOCK, &block, &start.mask);
	signals = signalfd(-1, &block, SFD_CLOEXEC | SFD_NONBLOCK);
	start.fallback = fallback_start(&wait.fallback);
	if (start.fallback < 0)
		return fail(error, error_size, start.fallback, "fork", strerror(-start.fallback));
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	ret = prepare(report, signals, error, error_size);
	if (!ret)
		ret = launch(&start, pid, error, error_size);
	if (!ret) {
		wait.program = *pid;
		wait_for_all(&wait, signals);
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
