/* SPDX-License-Identifier: MIT */
/*
 * A watch over calls that may not block. What would wait or enter the kernel is
 * caught on its way to plat/ (the linker's --wrap); where the processor can run one
 * instruction at a time, each one of a call is counted and looked at besides.
 */
#ifndef TESTS_ATOMIC_WATCH_H
#define TESTS_ATOMIC_WATCH_H

#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include "tests/common.h"

#include "pgtable/items.h"
#include "plat/plat.h"

/* Sanitizers make system calls of their own. */
#if defined(__x86_64__) && !defined(ITEMS_SANITIZED)
#define CAN_STEP
#endif

static struct {
	bool on;
	bool fatal; /* whoever holds the lock does not go on: there is no return */
	const char *call, *slept;
	unsigned int sleeps, reports;
	unsigned long calls; /* that were begun */
	/* of the steps */
	unsigned long steps, spins, system_calls;
	unsigned long most;    /* steps of a call that was found at work for long; 0: not so */
	volatile bool endless; /* and they were more */
} watch;

/* There is no way back from where this is called. */
static void __attribute__((noreturn)) watch_abort(const char *call, const char *function)
{
	static const char text[] = " waits or enters the kernel: ";

	if (write(STDERR_FILENO, call, strlen(call)) < 0 ||
	    write(STDERR_FILENO, text, strlen(text)) < 0 ||
	    write(STDERR_FILENO, function, strlen(function)) < 0)
		abort();
	abort();
}

static void watch_sleep(const char *function)
{
	if (!watch.on)
		return;
	watch.sleeps++;
	watch.slept = function;
	if (watch.fatal)
		watch_abort(watch.call, function);
}

#define WATCHED(type, function, parameters, arguments) \
	type __real_##function parameters;             \
	type __wrap_##function parameters;             \
	type __wrap_##function parameters              \
	{                                              \
		watch_sleep(#function);                \
		return __real_##function arguments;    \
	}

WATCHED(void, plat_mutex_lock, (struct plat_mutex * mutex), (mutex))
WATCHED(void, plat_yield, (void), ())
WATCHED(bool, plat_barrier_all, (void), ())
WATCHED(int, plat_commit, (void *base, size_t size), (base, size))
WATCHED(void *, plat_reserve, (size_t size), (size))
WATCHED(void, plat_warn, (const char *line), (line))

void __real_might_sleep_warn(const void *caller);
void __wrap_might_sleep_warn(const void *caller);

/* Instead of a line, since that is printed once only. */
void __wrap_might_sleep_warn(const void *caller)
{
	watch.reports++;
}

static inline void watch_begin(const char *call)
{
	watch.call = call;
	watch.slept = "nothing";
	watch.sleeps = watch.reports = 0;
	watch.steps = watch.spins = watch.system_calls = 0;
	watch.calls++;
	watch.on = true;
}

static inline void watch_end(void)
{
	watch.on = false;
}

#ifdef CAN_STEP

#define TRAP_FLAG 0x100ULL

/* What runs after each instruction; NULL: count. */
static void (*after_step)(void);
static bool stepping; /* within after_step: count as well */

static void count_step(const unsigned char *next)
{
	if (++watch.steps > watch.most && watch.most && !watch.endless) {
		watch.endless = true;
		watch_sleep("for ever");
	}
	watch.spins += next[0] == 0xf3 && next[1] == 0x90;        /* pause */
	watch.system_calls += next[0] == 0x0f && next[1] == 0x05; /* syscall */
}

/* An instruction that repeats itself, on the bytes of a page perhaps, is one. */
static bool moved_on(uintptr_t *last, uintptr_t next)
{
	bool moved = next != *last;

	*last = next;
	return moved;
}

static void step_trapped(int signal, siginfo_t *info, void *context)
{
	static uintptr_t last_counted, last_stopped;
	const ucontext_t *state = context;
	uintptr_t next = (uintptr_t)state->uc_mcontext.gregs[REG_RIP];

	if (stepping || !after_step) {
		if (moved_on(&last_counted, next))
			count_step((const unsigned char *)next);
	} else if (moved_on(&last_stopped, next)) {
		after_step();
	}
}

static inline void step_init(void)
{
	struct sigaction action = {.sa_sigaction = step_trapped,
				   .sa_flags = SA_SIGINFO | SA_NODEFER};

	assert_int_equal(sigaction(SIGTRAP, &action, NULL), 0);
}

/* What the handler looks at is written before, and read after. */
static inline void step_begin(void)
{
	__asm__ volatile("" ::: "memory");
	__builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() | TRAP_FLAG);
}

static inline void step_end(void)
{
	__builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() & ~TRAP_FLAG);
	__asm__ volatile("" ::: "memory");
}

/* ---- calls that never end ---- */

static unsigned long watch_limit; /* steps that are left to a call that takes long */

/*
 * Each time that the process has had some more of a processor. A call that was at work
 * the last time is counted from here on: what other work on the machine takes does not
 * matter, nor how fast the processor is.
 */
static void watch_tick(int signal, siginfo_t *info, void *context)
{
	static unsigned long last;
	ucontext_t *state = context;

	if (watch.on && watch.calls == last && !watch.most && !stepping) {
		watch.steps = 0;
		watch.most = watch_limit;
		stepping = true;
		state->uc_mcontext.gregs[REG_EFL] |= (long long)TRAP_FLAG;
	}
	last = watch.calls;
}

static inline void watch_calls_begin(unsigned int ms, unsigned long limit)
{
	struct sigaction action = {.sa_sigaction = watch_tick, .sa_flags = SA_SIGINFO | SA_RESTART};
	const struct timeval each = {ms / 1000, ms % 1000 * 1000};

	watch_limit = limit;
	assert_int_equal(sigaction(SIGPROF, &action, NULL), 0);
	assert_int_equal(setitimer(ITIMER_PROF, &(struct itimerval){each, each}, NULL), 0);
}

static inline void watch_calls_end(void)
{
	assert_int_equal(setitimer(ITIMER_PROF, &(struct itimerval){0}, NULL), 0);
}

/* The call has ended after all. */
static inline void watch_call_ended(void)
{
	if (!watch.most)
		return;
	step_end();
	stepping = false;
	watch.most = 0;
}

#endif
#endif
