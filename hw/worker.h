/* SPDX-License-Identifier: MIT */
/*
 * The thread of a device: it looks at the device's registers again and again and does
 * what they ask for.
 *
 * A register behind read() and write() wakes it (hw_worker_kick()). A register that the
 * program has mapped is memory, and nothing tells of a store there. The thread
 * therefore looks without a pause for HW_WORKER_SPIN_NS after it had something to do,
 * and then for some time (hot_ns) as often as other threads let it. From then on it
 * sleeps between two looks, each time for an eighth of the time that has passed since,
 * and at most HW_WORKER_SLEEP_MAX_NS: what comes after a pause waits at most an eighth
 * longer than the pause, and a device without work takes 100 looks a second, which are
 * some thousandths of a processor.
 */
#ifndef HW_WORKER_H
#define HW_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define HW_WORKER_SPIN_NS      50000
#define HW_WORKER_SLEEP_MIN_NS 10000
#define HW_WORKER_SLEEP_MAX_NS 10000000

struct hw_worker {
	/*
	 * Do some of what is asked for; false if there is nothing. Returns soon where
	 * hw_worker_wanted() is false.
	 */
	bool (*look)(void *device);
	void *device;
	uint64_t hot_ns;
	pthread_t thread;
	pthread_mutex_t lock;   /* of what follows, but for atomic reads */
	pthread_cond_t changed; /* any of them */
	bool run, exit;         /* what is asked of the thread */
	bool resting;           /* its answer to @run being false */
	uint32_t kicks;         /* a futex, and how many kicks there were */
	uint32_t sleeping;      /* on that futex, or about to */
};

/* Starts the thread, at rest. 0 or -errno. */
int hw_worker_create(struct hw_worker *worker, bool (*look)(void *device), void *device,
		     uint64_t hot_ns);
/* Ends it. */
void hw_worker_destroy(struct hw_worker *worker);
/* Let it look. */
void hw_worker_start(struct hw_worker *worker);
/* Bring it to rest: it looks no more when this returns. True if it was not at rest. */
bool hw_worker_stop(struct hw_worker *worker);
/* There is something to look at. */
void hw_worker_kick(struct hw_worker *worker);

/* False as soon as the thread is to come to rest. */
static inline bool hw_worker_wanted(const struct hw_worker *worker)
{
	return __atomic_load_n(&worker->run, __ATOMIC_RELAXED);
}

#endif
