/* SPDX-License-Identifier: MIT */
/*
 * What mm/, pgtable/, core/ and dma/ need of the platform. posix.c implements it on a
 * POSIX system, freestanding.c with the embedder's callbacks.
 */
#ifndef PLAT_PLAT_H
#define PLAT_PLAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mm_thread;

/* The calling thread's state, NULL before its first use of the library. */
#if __STDC_HOSTED__
extern __thread struct mm_thread *plat_self __attribute__((tls_model("initial-exec")));
#else
extern struct mm_thread *plat_self;
#endif

/* Arrange that ended(), always the same, is called with this state when the thread ends. */
void plat_thread_started(struct mm_thread *self, void (*ended)(struct mm_thread *self));

/* Reserve address space, aligned to 2 MiB; NULL when there is none. */
void *plat_reserve(size_t size);
void plat_unreserve(void *base, size_t size);

/*
 * Back a part of a reservation with zeroed memory, so that touching it later never
 * enters the kernel. Always whole 2 MiB, except for mm_thread states.
 */
int plat_commit(void *base, size_t size);

/*
 * plat_barrier_all() makes every other thread pass a full memory barrier. If
 * plat_barrier_init() returns false, there is no such barrier and readers must execute
 * their own. plat_barrier_all() may begin to fail later, and then returns false: the
 * caller waits PLAT_SETTLE_MS by plat_clock_ms(), within which the stores of other
 * threads have become visible.
 */
bool plat_barrier_init(void);
bool plat_barrier_all(void);

#define PLAT_SETTLE_MS 20 /* processors take less than a microsecond */

/* Milliseconds since an arbitrary time. */
uint64_t plat_clock_ms(void);

/*
 * From now on forked(), always the same, is called in the child of a fork(), if the child
 * has a copy of the library's memory.
 */
void plat_watch_forks(void (*forked)(void));
/* The child's thread has no state yet, even if its parent had one. */
void plat_forked(void);

/* Let another thread run: the holder of a spinlock may have been preempted. */
void plat_yield(void);

/* Print one line for the user of the program. */
void plat_warn(const char *line);
void plat_panic(const char *line) __attribute__((noreturn));

/* A lock whose holder may block. */
struct plat_mutex {
	uint64_t opaque[8];
};
void plat_mutex_init(struct plat_mutex *mutex);
void plat_mutex_lock(struct plat_mutex *mutex);
void plat_mutex_unlock(struct plat_mutex *mutex);
/* Call init once per process, by the first caller. */
void plat_once(void (*init)(void));

#endif
