/* SPDX-License-Identifier: MIT */
/*
 * The main thread waits: for the program, for all processes under it, for the calls and
 * closes that they leave, and for signals, which can cut this short at any time. So
 * nothing here waits for a lock that a call may hold.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plat/compiler.h"
#include "supervisor/supervisor.h"

const int forwarded_signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
const size_t nr_forwarded_signals = ARRAY_SIZE(forwarded_signals);

/* How long what has been killed may take to go, and its calls to end. */
#define GIVE_UP_NS 3000000000ull
#define KILL_MS    5

static int wake = -1; /* of eventfd */

int wait_start(void)
{
	wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return wake < 0 ? -errno : 0;
}

void wait_wake(void)
{
	eventfd_write(wake, 1);
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

static void reap(struct wait *wait)
{
	siginfo_t info = {.si_pid = 0};
	int status;
	pid_t pid;

	while (!waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid) {
		pid = info.si_pid;
		process_note_status(pid, &info);
		info.si_pid = 0;
		if (waitpid(pid, &status, WNOHANG) <= 0)
			continue;
		if (pid != wait->program)
			continue;
		wait->ended = true;
		wait->status = status;
		if (wait->call)
			wait->call(status);
	}
}

/*
 * A process leaves the filter before its files are closed, and it is reaped after that.
 * Calls that were received go on without their callers.
 */
static void look_whether_over(struct wait *wait)
{
	reap(wait);
	if (!wait->finishing && wait->ended && wait->unused && !signal_children(wait, 0) &&
	    serve_is_idle()) {
		wait->finishing = true;
		ends_finish();
	}
	wait->over = wait->finishing && ends_done();
}

/* What dies leaves its children to us. */
static void kill_all(struct wait *wait)
{
	uint64_t now = account_clock();

	if (!wait->give_up)
		wait->give_up = now + GIVE_UP_NS;
	signal_children(wait, SIGKILL);
	look_whether_over(wait);
	wait->over |= now >= wait->give_up;
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

static void take_signals(struct wait *wait)
{
	struct signalfd_siginfo info;

	while (read(wait->signals, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo != SIGCHLD)
			pass_on(wait, &info);
}

static int watch(int polled, int fd, unsigned int events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	return epoll_ctl(polled, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static void handle_events(struct wait *wait, int polled)
{
	struct epoll_event events[4];
	eventfd_t ignored;
	int n = epoll_wait(polled, events, ARRAY_SIZE(events), wait->give_up ? KILL_MS : -1);

	for (int i = 0; i < n; i++) {
		if (events[i].data.fd == wait->signals) {
			take_signals(wait);
		} else if (events[i].data.fd == wake) {
			eventfd_read(wake, &ignored);
		} else if (events[i].events & (EPOLLHUP | EPOLLERR)) {
			wait->unused = true;
			epoll_ctl(polled, EPOLL_CTL_DEL, wait->listener, NULL);
		}
	}
	if (wait->give_up)
		kill_all(wait);
	else
		look_whether_over(wait);
}

int wait_for_all(struct wait *wait)
{
	int polled = epoll_create1(EPOLL_CLOEXEC);
	int ret = polled < 0 ? -errno : watch(polled, wait->signals, EPOLLIN);

	if (!ret)
		ret = watch(polled, wake, EPOLLIN);
	/* Only for the end of its last user: calls are the workers'. */
	if (!ret)
		ret = watch(polled, wait->listener, 0);
	while (!ret && !wait->over)
		handle_events(wait, polled);
	if (polled >= 0)
		close(polled);
	return ret;
}
