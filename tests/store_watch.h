/* SPDX-License-Identifier: MIT */
/*
 * A function called after each store to some memory: the memory is made read-only, and
 * an instruction that faults there runs alone, by the processor's trap flag. Vectors
 * of items are one store.
 */
#ifndef TESTS_STORE_WATCH_H
#define TESTS_STORE_WATCH_H

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "tests/common.h"

#include "pgtable/items.h"

/* Sanitizers have handlers of their own. */
#if defined(__x86_64__) && !defined(ITEMS_SANITIZED)
#define CAN_WATCH_STORES
#endif

#define WATCHED_RANGES 256

struct watched_range {
	uintptr_t first, end;
};

static struct {
	void (*stored)(void); /* may call watch_memory() and watch_nothing() */
	bool on;
	struct watched_range ranges[WATCHED_RANGES];
	unsigned int nr;
	unsigned long stores;
} store_watch;

static inline void watch_protect(int protection)
{
	for (unsigned int i = 0; i < store_watch.nr; i++) {
		struct watched_range *range = &store_watch.ranges[i];

		if (mprotect((void *)range->first, range->end - range->first, protection))
			abort();
	}
}

/* Forget all ranges; they may be written again. */
static inline void watch_nothing(void)
{
	watch_protect(PROT_READ | PROT_WRITE);
	store_watch.nr = 0;
}

/* Watch the pages that hold so many bytes, from when on the next instruction runs. */
static inline void watch_memory(const void *memory, size_t bytes)
{
	uintptr_t first = (uintptr_t)memory & ~(uintptr_t)4095;

	if (store_watch.nr == WATCHED_RANGES)
		abort();
	store_watch.ranges[store_watch.nr++] =
		(struct watched_range){first, ((uintptr_t)memory + bytes + 4095) & ~4095UL};
}

#ifdef CAN_WATCH_STORES

#define TRAP_FLAG 0x100

static bool is_watched(uintptr_t address)
{
	for (unsigned int i = 0; i < store_watch.nr; i++)
		if (address >= store_watch.ranges[i].first && address < store_watch.ranges[i].end)
			return true;
	return false;
}

static void store_faulted(int number, siginfo_t *info, void *context)
{
	ucontext_t *state = context;

	if (!store_watch.on || !is_watched((uintptr_t)info->si_addr)) {
		signal(SIGSEGV, SIG_DFL); /* when it is run again */
		return;
	}
	watch_protect(PROT_READ | PROT_WRITE);
	state->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void store_done(int number, siginfo_t *info, void *context)
{
	ucontext_t *state = context;

	state->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
	store_watch.stores++;
	store_watch.stored();
	watch_protect(PROT_READ);
}

static inline void store_watch_begin(void)
{
	struct sigaction fault = {.sa_sigaction = store_faulted, .sa_flags = SA_SIGINFO};
	struct sigaction trap = {.sa_sigaction = store_done, .sa_flags = SA_SIGINFO};

	if (sigaction(SIGSEGV, &fault, NULL) || sigaction(SIGTRAP, &trap, NULL))
		abort();
	store_watch.on = true;
	watch_protect(PROT_READ);
}

static inline void store_watch_end(void)
{
	store_watch.on = false;
	watch_protect(PROT_READ | PROT_WRITE);
	signal(SIGSEGV, SIG_DFL);
}

#else

static inline void store_watch_begin(void)
{
}

static inline void store_watch_end(void)
{
}

#endif
#endif
