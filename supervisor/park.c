/* SPDX-License-Identifier: MIT */
/*
 * Calls may take for ever, and workers are limited: so a process whose calls take as many
 * workers as are free besides gets no more of them. Its further calls are received, so that
 * others can be, and wait for the end of those before.
 */
#include <pthread.h>
#include <sys/syscall.h>

#include "plat/compiler.h"
#include "supervisor/supervisor.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* The thread that each worker serves, or 0. */
static _Atomic(pid_t) served[WORKERS_MAX];

static struct seccomp_notif parked[PARKED_MAX]; /* without an id: none */
static atomic_uint nr_parked;

static void begin(unsigned int number, const struct seccomp_notif *notif)
{
	atomic_store_explicit(&served[number], (pid_t)notif->pid, memory_order_relaxed);
	atomic_store_explicit(&under_way->worker[number].nr, notif->data.nr, memory_order_relaxed);
	atomic_store_explicit(&under_way->worker[number].id, notif->id, memory_order_relaxed);
}

static bool has_its_share(pid_t tid, int serving)
{
	pid_t pid = process_pid(tid);
	int free_ones = WORKERS_MAX - serving, its = 0;

	for (unsigned int i = 0; i < WORKERS_MAX; i++) {
		pid_t other = atomic_load(&served[i]);

		its += other && process_pid(other) == pid;
	}
	return its && its >= free_ones;
}

/* False: there is no room. */
static bool park_locked(const struct seccomp_notif *notif)
{
	for (unsigned int i = 0; i < PARKED_MAX; i++) {
		if (parked[i].id)
			continue;
		parked[i] = *notif;
		atomic_store(&under_way->worker[WORKERS_MAX + i].nr, notif->data.nr);
		atomic_store(&under_way->worker[WORKERS_MAX + i].id, notif->id);
		nr_parked++;
		return true;
	}
	return false;
}

bool park_admits(unsigned int number, const struct seccomp_notif *notif, int serving)
{
	bool admits = true;

	/* An end is what others wait for. */
	if (unlikely(serving > WORKERS_MAX / 2) && notif->data.nr != SYS_exit_group) {
		pthread_mutex_lock(&lock);
		admits = !has_its_share((pid_t)notif->pid, serving) || !park_locked(notif);
		pthread_mutex_unlock(&lock);
	}
	if (admits)
		begin(number, notif);
	atomic_store_explicit(&under_way->latest, notif->id, memory_order_release);
	return admits;
}

/* The one that has waited for longest, of those that may be served now, or -1. */
static int find_locked(int serving)
{
	int found = -1;

	for (int i = 0; i < PARKED_MAX; i++)
		if (parked[i].id && (found < 0 || parked[i].id < parked[found].id) &&
		    !has_its_share((pid_t)parked[i].pid, serving))
			found = i;
	return found;
}

bool park_next(unsigned int number, struct seccomp_notif *notif, int serving)
{
	int found;

	atomic_store_explicit(&served[number], 0, memory_order_relaxed);
	if (likely(!atomic_load(&nr_parked)))
		return false;
	pthread_mutex_lock(&lock);
	found = find_locked(serving);
	if (found >= 0) {
		*notif = parked[found];
		begin(number, notif);
		parked[found].id = 0;
		atomic_store(&under_way->worker[WORKERS_MAX + found].id, 0);
		nr_parked--;
	}
	pthread_mutex_unlock(&lock);
	return found >= 0;
}
