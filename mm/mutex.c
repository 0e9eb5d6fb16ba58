/* SPDX-License-Identifier: MIT */
#include "mm/mutex.h"

#include "mm/thread.h"
#include "mm/warn.h"

bool mm_mutex_lock_for(struct mm_mutex *mutex, const void *caller)
{
	static atomic_uint said;
	struct mm_thread *self = mm_thread_self();

	/* Other threads may write the holder meanwhile, but never this thread's address. */
	if (unlikely(self->shrinking ||
		     atomic_load_explicit(&mutex->holder, memory_order_relaxed) == self)) {
		mm_warn_once(&said,
			     "refused, for a callback that would wait for itself, called from",
			     NULL, (uintptr_t)caller);
		return false;
	}
	plat_mutex_lock(&mutex->lock);
	atomic_store_explicit(&mutex->holder, self, memory_order_relaxed);
	return true;
}

void mm_mutex_unlock(struct mm_mutex *mutex)
{
	atomic_store_explicit(&mutex->holder, NULL, memory_order_relaxed);
	plat_mutex_unlock(&mutex->lock);
}
