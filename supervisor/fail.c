/* SPDX-License-Identifier: MIT */
/*
 * Injected faults are a thread's own: the number of allocations until one fails goes
 * with the calls of that thread, whichever of ours serves them.
 */
#include <pthread.h>

#include <uiommu/mm.h>

#include "mm/thread.h"
#include "supervisor/supervisor.h"

#define THREADS 64

atomic_bool fail_in_use;
static atomic_bool hit;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Of more threads at once the one that was set first is forgotten. */
static struct {
	pid_t tid;
	unsigned int nth;
} threads[THREADS];
static unsigned int next;

static unsigned int exchange(pid_t tid, unsigned int nth, bool set)
{
	unsigned int i = 0, old = 0;

	pthread_mutex_lock(&lock);
	while (i < THREADS && threads[i].tid != tid)
		i++;
	if (i < THREADS)
		old = threads[i].nth;
	else if (set && nth)
		i = next++ % THREADS;
	if (set && i < THREADS) {
		threads[i].tid = tid;
		threads[i].nth = nth;
	}
	pthread_mutex_unlock(&lock);
	return old;
}

void fail_set(pid_t tid, unsigned int nth)
{
	atomic_store(&fail_in_use, true);
	atomic_store(&hit, false);
	exchange(tid, nth, true);
}

unsigned int fail_get(pid_t tid)
{
	return exchange(tid, 0, false);
}

void fail_begin(pid_t tid)
{
	uiommu_fail_nth(fail_get(tid), false);
}

void fail_end(pid_t tid)
{
	unsigned int left = mm_thread_self()->fail_nth;

	if (uiommu_fail_nth(0, false))
		atomic_store(&hit, true);
	if (fail_get(tid) != left)
		exchange(tid, left, true);
}

bool fail_was_hit(void)
{
	return atomic_load(&hit);
}
