/* SPDX-License-Identifier: MIT */
/*
 * A thread that takes notice of ends: of processes, for the report, and of last closes
 * that no call has handled. What it does may wait for a call that takes long; the main
 * thread, which takes signals, never does.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "plat/compiler.h"
#include "supervisor/supervisor.h"

static int polled = -1; /* of epoll */
static int wake = -1;   /* of eventfd */
static atomic_bool finishing, done;
static char files_tag, wake_tag;
/* How long until files are looked at again that may be closed. */
#define LOOK_MS_MAX 1000

static int watch(int fd, void *tag)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = tag};

	return epoll_ctl(polled, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

void ends_watch(struct process *process, int pidfd)
{
	watch(pidfd, process);
}

void ends_wake(void)
{
	eventfd_write(wake, 1);
}

void ends_finish(void)
{
	atomic_store(&finishing, true);
	ends_wake();
}

bool ends_done(void)
{
	return atomic_load(&done);
}

/* Waits for something if @block. False when there was nothing. */
static bool handle_events(bool block)
{
	struct epoll_event events[16];
	static int look_ms = -1;
	eventfd_t ignored;
	int n = epoll_wait(polled, events, ARRAY_SIZE(events), block ? look_ms : 0);

	for (int i = 0; i < n; i++) {
		struct process *process = events[i].data.ptr;

		if (events[i].data.ptr == &wake_tag) {
			eventfd_read(wake, &ignored);
		} else if (events[i].data.ptr != &files_tag) {
			epoll_ctl(polled, EPOLL_CTL_DEL, process->pidfd, NULL);
			process_ended(process);
		}
	}
	if (files_settle_all())
		look_ms = -1;
	else
		look_ms = n > 0 ? 1 : MIN(look_ms * 2, LOOK_MS_MAX);
	return n > 0;
}

static void *handle_ends(void *arg)
{
	while (!atomic_load(&finishing))
		handle_events(true);
	while (handle_events(false))
		;
	atomic_store(&done, true);
	wait_wake();
	return NULL;
}

int ends_start(void)
{
	pthread_t thread;
	int ret;

	polled = epoll_create1(EPOLL_CLOEXEC);
	wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (polled < 0 || wake < 0)
		return -errno;
	ret = watch(wake, &wake_tag);
	if (!ret)
		ret = watch(files_descriptor(), &files_tag);
	if (!ret)
		ret = -pthread_create(&thread, NULL, handle_ends, NULL);
	if (!ret)
		pthread_detach(thread);
	return ret;
}
