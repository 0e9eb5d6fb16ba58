/* SPDX-License-Identifier: MIT */
/*
 * The platform without an operating system: one thread, and the embedder's callbacks.
 * Locks and barriers do nothing, since there are no other threads.
 */
#include <uiommu/plat.h>

#include "plat/compiler.h"
#include "plat/plat.h"

struct mm_thread *plat_self;

static const struct uiommu_plat_ops *ops;

void uiommu_plat_set(const struct uiommu_plat_ops *new_ops)
{
	ops = new_ops;
}

void plat_thread_started(struct mm_thread *self, void (*ended)(struct mm_thread *self))
{
}

void *plat_reserve(size_t size)
{
	return ops ? ops->reserve(size) : NULL;
}

void plat_unreserve(void *base, size_t size)
{
	if (ops->unreserve)
		ops->unreserve(base, size);
}

int plat_commit(void *base, size_t size)
{
	if (ops->commit && ops->commit(base, size))
		return -ENOMEM;
	return 0;
}

bool plat_barrier_init(void)
{
	return true;
}

bool plat_barrier_all(void)
{
	return true;
}

uint64_t plat_clock_ms(void)
{
	return 0;
}

void plat_watch_forks(void (*forked)(void))
{
}

void plat_forked(void)
{
}

void plat_yield(void)
{
	plat_panic("a lock is held, and no other thread can release it");
}

void plat_warn(const char *line)
{
	if (ops && ops->warn)
		ops->warn(line);
}

void plat_panic(const char *line)
{
	if (ops)
		ops->panic(line);
	__builtin_trap();
}

void plat_mutex_init(struct plat_mutex *mutex)
{
}

void plat_mutex_lock(struct plat_mutex *mutex)
{
}

void plat_mutex_unlock(struct plat_mutex *mutex)
{
}
