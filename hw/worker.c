// SPDX-License-Identifier: MIT
/* The thread of a device. */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "hw/worker.h"

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Until a kick that is not among @kicks, at most @ns. */
static void sleep_for(struct hw_worker *worker, uint32_t kicks, uint64_t ns)
{
	struct timespec timeout = {.tv_nsec = (long)ns};

	syscall(SYS_futex, &worker->kicks, FUTEX_WAIT_PRIVATE, kicks, &timeout, NULL, 0);
}

static void work(struct hw_worker *worker)
{
	uint64_t last = now_ns();

	while (hw_worker_wanted(worker)) {
		uint32_t kicks;
		uint64_t idle;

		if (worker->look(worker->device)) {
			last = 0;
			continue;
		}
		if (!last)
			last = now_ns();
		idle = now_ns() - last;
		if (idle < HW_WORKER_SPIN_NS) {
			relax();
			continue;
		}
		if (idle < worker->hot_ns) {
			sched_yield();
			continue;
		}
		/* Either the kick sees that this thread sleeps, or this look sees what it is for.
		 */
		kicks = __atomic_load_n(&worker->kicks, __ATOMIC_SEQ_CST);
		__atomic_store_n(&worker->sleeping, 1, __ATOMIC_SEQ_CST);
		if (worker->look(worker->device)) {
			last = 0;
		} else if (hw_worker_wanted(worker)) {
			idle /= 8;
			if (idle < HW_WORKER_SLEEP_MIN_NS)
				idle = HW_WORKER_SLEEP_MIN_NS;
			if (idle > HW_WORKER_SLEEP_MAX_NS)
				idle = HW_WORKER_SLEEP_MAX_NS;
			sleep_for(worker, kicks, idle);
		}
		__atomic_store_n(&worker->sleeping, 0, __ATOMIC_RELAXED);
	}
}

static void *run_worker(void *of)
{
	struct hw_worker *worker = of;

	/* Timers of this thread come when they are due, not 50 us later. */
	prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
	pthread_mutex_lock(&worker->lock);
	while (!worker->exit) {
		if (!worker->run) {
			worker->resting = true;
			pthread_cond_broadcast(&worker->changed);
			pthread_cond_wait(&worker->changed, &worker->lock);
			continue;
		}
		worker->resting = false;
		pthread_mutex_unlock(&worker->lock);
		work(worker);
		pthread_mutex_lock(&worker->lock);
	}
	pthread_mutex_unlock(&worker->lock);
	return NULL;
}

int hw_worker_create(struct hw_worker *worker, bool (*look)(void *device), void *device,
		     uint64_t hot_ns)
{
	int ret;

	*worker = (struct hw_worker){
		.look = look,
		.device = device,
		.hot_ns = hot_ns,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
		.resting = true,
	};
	ret = pthread_create(&worker->thread, NULL, run_worker, worker);
	return -ret;
}

void hw_worker_kick(struct hw_worker *worker)
{
	__atomic_add_fetch(&worker->kicks, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&worker->sleeping, __ATOMIC_SEQ_CST))
		syscall(SYS_futex, &worker->kicks, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void set_run(struct hw_worker *worker, bool run)
{
	__atomic_store_n(&worker->run, run, __ATOMIC_RELAXED);
	pthread_cond_broadcast(&worker->changed);
}

void hw_worker_start(struct hw_worker *worker)
{
	pthread_mutex_lock(&worker->lock);
	worker->resting = false;
	set_run(worker, true);
	pthread_mutex_unlock(&worker->lock);
}

bool hw_worker_stop(struct hw_worker *worker)
{
	bool was_running;

	pthread_mutex_lock(&worker->lock);
	was_running = worker->run;
	set_run(worker, false);
	hw_worker_kick(worker);
	while (!worker->resting)
		pthread_cond_wait(&worker->changed, &worker->lock);
	pthread_mutex_unlock(&worker->lock);
	return was_running;
}

void hw_worker_destroy(struct hw_worker *worker)
{
	pthread_mutex_lock(&worker->lock);
	worker->exit = true;
	set_run(worker, false);
	hw_worker_kick(worker);
	pthread_mutex_unlock(&worker->lock);
	pthread_join(worker->thread, NULL);
	pthread_mutex_destroy(&worker->lock);
	pthread_cond_destroy(&worker->changed);
}
