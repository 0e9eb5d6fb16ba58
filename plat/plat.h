/* SPDX-License-Identifier: MIT */
/*
 * What mm/, pgtable/, core/ and dma/ need from below: posix.c has it from a
 * POSIX system, freestanding.c from the embedder.
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

/* Arrange for ended() to run on this thread's state when it ends; it is always the same. */
void plat_thread_started(struct mm_thread *self, void (*ended)(struct mm_thread *self));

/* Reserve address space, aligned to 2 MiB; NULL when there is none. */
void *plat_reserve(size_t size);
void plat_unreserve(void *base, size_t size);

/*
 * Back a part of a reservation with zeroed memory, so that touching it later
 * never enters the kernel. Whole 2 MiB at a time, but for mm_thread states.
 */
int plat_commit(void *base, size_t size);

/*
 * plat_barrier_all() makes every other thread pass a full memory barrier; where
 * plat_barrier_init() says that this cannot be had, readers must use their own. It may
 * cease to work later, and is false then: whoever needs it waits PLAT_SETTLE_MS by
 * plat_clock_ms(), within which all that other threads had stored has become visible.
 */
bool plat_barrier_init(void);
bool plat_barrier_all(void);

#define PLAT_SETTLE_MS 20 /* processors take less than a microsecond */

/* Milliseconds since any moment. */
uint64_t plat_clock_ms(void);

/*
 * From now on forked(), always the same, runs in the child of a fork(), as far as that
 * has a copy of the library's memory.
 */
void plat_watch_forks(void (*forked)(void));
/* The child's thread has no state yet, whatever that of its parent had. */
void plat_forked(void);

/* Let another thread run (a spin lock's holder may have lost its processor). */
void plat_yield(void);

/* One line for the person who runs the program. */
void plat_warn(const char *line);
void plat_panic(const char *line) __attribute__((noreturn));

/* A lock whose holders may block. */
struct plat_mutex {
	uint64_t opaque[8];
};
void plat_mutex_init(struct plat_mutex *mutex);
void plat_mutex_lock(struct plat_mutex *mutex);
void plat_mutex_unlock(struct plat_mutex *mutex);
/* Run init once per process, whoever comes first. */
void plat_once(void (*init)(void));

#endif
