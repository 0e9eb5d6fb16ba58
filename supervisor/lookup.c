/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that were looked up lately.
 *
 * A descriptor in the window stays what it is until a call that the filter brings here
 * closes it or puts another in its place. That is done by the kernel, after the call has
 * left the supervisor: so until the thread makes another call, which says that it is done,
 * nothing is remembered of the numbers that it is about.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "supervisor/supervisor.h"

#define LATELY_SLOTS 256
#define LATELY_NS    1000000000ull /* numbers of threads are not given out again so soon */
#define CHANGES_MAX  64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct lately {
	pid_t tid;
	int fd;
	uint64_t generation, until;
	struct file *file; /* no reference: an open file of this generation */
} lately[LATELY_SLOTS];
static uint64_t generation = 1;

/* Calls that change a descriptor, which may not be done yet. */
static struct change {
	pid_t tid;
	pid_t pid; /* whose descriptors, or 0: of whoever shares them */
	unsigned int first, last;
} changes[CHANGES_MAX];
static atomic_uint nr_changes;
static bool too_many; /* there was one that had no room: nothing is remembered any more */

static uint64_t coarse_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void files_forget(void)
{
	pthread_mutex_lock(&lock);
	generation++;
	pthread_mutex_unlock(&lock);
}

static void end_change_locked(unsigned int i)
{
	changes[i] = changes[--nr_changes];
	generation++;
}

static void end_changes_of_dead_locked(void)
{
	for (unsigned int i = nr_changes; i-- > 0;)
		if (kill(changes[i].tid, 0) && errno == ESRCH)
			end_change_locked(i);
}

static void add_change(const struct change *change)
{
	pthread_mutex_lock(&lock);
	generation++;
	if (nr_changes == CHANGES_MAX)
		end_changes_of_dead_locked();
	if (nr_changes == CHANGES_MAX)
		too_many = true;
	else
		changes[nr_changes++] = *change;
	pthread_mutex_unlock(&lock);
}

void files_change(const struct call *call, unsigned int first, unsigned int last)
{
	add_change(&(struct change){call->caller.tid, 0, first, last});
}

void files_change_all(const struct call *call)
{
	pid_t tid = call->caller.tid;

	add_change(&(struct change){tid, process_pid(tid), 0, UINT_MAX});
}

void files_changed(pid_t tid)
{
	if (!atomic_load(&nr_changes))
		return;
	pthread_mutex_lock(&lock);
	for (unsigned int i = nr_changes; i-- > 0;)
		if (changes[i].tid == tid)
			end_change_locked(i);
	pthread_mutex_unlock(&lock);
}

static bool may_change_locked(pid_t tid, unsigned int fd)
{
	for (unsigned int i = 0; i < nr_changes; i++)
		if (fd >= changes[i].first && fd <= changes[i].last &&
		    (!changes[i].pid || changes[i].pid == process_pid(tid)))
			return true;
	return too_many;
}

struct file *file_get_of(struct call *call, int fd)
{
	pid_t tid = call->caller.tid;
	struct lately *slot = &lately[((unsigned int)tid * 31 + (unsigned int)fd) % LATELY_SLOTS];
	uint64_t now = coarse_ns(), began;
	struct file *file = NULL;

	pthread_mutex_lock(&lock);
	began = generation;
	if (slot->tid == tid && slot->fd == fd && slot->generation == began && now < slot->until) {
		file = slot->file;
		file_hold(file);
	}
	pthread_mutex_unlock(&lock);
	if (file)
		return file;
	file = file_get(tid, fd);
	if (!file || !call_is_in_window(fd))
		return file;
	if (!call_is_valid(call)) {
		file_put(file);
		return NULL;
	}
	pthread_mutex_lock(&lock);
	/* Unless something was closed while it was looked up, or is about to be. */
	if (generation == began && !may_change_locked(tid, (unsigned int)fd))
		*slot = (struct lately){tid, fd, began, now + LATELY_NS, file};
	pthread_mutex_unlock(&lock);
	return file;
}
