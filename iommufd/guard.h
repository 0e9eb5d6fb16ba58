/* SPDX-License-Identifier: MIT */
/*
 * Coming back from a memory fault at an address that somebody else gave us.
 */
#ifndef IOMMUFD_GUARD_H
#define IOMMUFD_GUARD_H

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* While it is the thread's, a fault in [start, last] goes to env. */
struct user_guard {
	uint64_t start, last;
	jmp_buf env;
};

/* Initial-exec: a signal handler reads it, which must not allocate. */
extern __thread struct user_guard *user_guard_current
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

struct user_guard_state {
	_Alignas(4096) atomic_bool ready;
	pthread_mutex_t lock;
	struct {
		int sig;
		struct sigaction action;
	} program[2];
};

extern struct user_guard_state user_guard_state __attribute__((visibility("hidden")));

static inline bool user_guard_installed(void)
{
	return atomic_load_explicit(&user_guard_state.ready, memory_order_acquire);
}

static inline void user_guard_begin(struct user_guard *guard)
{
	user_guard_current = guard;
	atomic_signal_fence(memory_order_seq_cst);
}

static inline void user_guard_end(void)
{
	atomic_signal_fence(memory_order_seq_cst);
	user_guard_current = NULL;
}

#endif
