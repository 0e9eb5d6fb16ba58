/* SPDX-License-Identifier: MIT */
/*
 * A mutex that is held while drivers' callbacks run and while memory is allocated. A
 * caller that would wait for itself is refused: a callback of the holder, and a
 * shrinker, for whose end the holder may be waiting.
 */
#ifndef MM_MUTEX_H
#define MM_MUTEX_H

#include <stdatomic.h>
#include <stdbool.h>

#include "plat/compiler.h"
#include "plat/plat.h"

struct mm_thread;

struct mm_mutex {
	struct plat_mutex lock;
	_Atomic(struct mm_thread *) holder;
};

static inline void mm_mutex_init(struct mm_mutex *mutex)
{
	plat_mutex_init(&mutex->lock);
}

bool mm_mutex_lock_for(struct mm_mutex *mutex, const void *caller);
void mm_mutex_unlock(struct mm_mutex *mutex);

/*
 * Lock the mutex. Returns false for a caller that must not wait, which is reported
 * once. Inlined into the public function, whose caller is the one that is reported.
 */
static inline __attribute__((always_inline)) bool mm_mutex_lock(struct mm_mutex *mutex)
{
	return mm_mutex_lock_for(mutex, __builtin_return_address(0));
}

#endif
