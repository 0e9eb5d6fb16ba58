/* SPDX-License-Identifier: MIT */
/*
 * A lock for a few instructions: its holder never blocks and never enters the kernel.
 * Atomic allocations only try it.
 */
#ifndef PLAT_SPINLOCK_H
#define PLAT_SPINLOCK_H

#include <stdatomic.h>
#include <stdbool.h>

#include "plat/compiler.h"
#include "plat/plat.h"

struct spinlock {
	atomic_uint held;
};

static inline bool spin_trylock(struct spinlock *lock)
{
	return !atomic_load_explicit(&lock->held, memory_order_relaxed) &&
	       !atomic_exchange_explicit(&lock->held, 1, memory_order_acquire);
}

static inline void spin_lock(struct spinlock *lock)
{
	for (unsigned int spins = 0; !spin_trylock(lock); spins++) {
		cpu_relax();
		if (spins >= 100)
			plat_yield();
	}
}

static inline void spin_unlock(struct spinlock *lock)
{
	atomic_store_explicit(&lock->held, 0, memory_order_release);
}

#endif
