/* SPDX-License-Identifier: MIT */
/*
 * The list of shrinkers. Its mutex is held while they run, so one shrinker runs at a
 * time, and a shrinker that is off the list is not running. A shrinker may add and
 * remove other shrinkers, also by freeing a domain that has some: its thread holds the
 * mutex already.
 */
#include <uiommu/mm.h>

#include "mm/shrinker.h"
#include "mm/thread.h"
#include "plat/spinlock.h"

static struct {
	struct spinlock setup; /* protects ready */
	bool ready;            /* the mutex is initialised */
	struct plat_mutex mutex;
	struct shrinker *first; /* under the mutex */
	struct shrinker *next;  /* under the mutex: the one that runs after this one */
} shrinkers;

/* Does nothing inside a shrinker, whose thread holds the mutex. */
static void shrinkers_lock(const struct mm_thread *self)
{
	if (self->shrinking)
		return;
	spin_lock(&shrinkers.setup);
	if (!shrinkers.ready) {
		plat_mutex_init(&shrinkers.mutex);
		shrinkers.ready = true;
	}
	spin_unlock(&shrinkers.setup);
	plat_mutex_lock(&shrinkers.mutex);
}

static void shrinkers_unlock(const struct mm_thread *self)
{
	if (!self->shrinking)
		plat_mutex_unlock(&shrinkers.mutex);
}

void register_shrinker(struct shrinker *shrinker)
{
	struct mm_thread *self = mm_thread_self();

	shrinkers_lock(self);
	shrinker->next = shrinkers.first;
	shrinkers.first = shrinker;
	shrinkers_unlock(self);
}

void unregister_shrinker(struct shrinker *shrinker)
{
	struct mm_thread *self = mm_thread_self();
	struct shrinker **link;

	shrinkers_lock(self);
	for (link = &shrinkers.first; *link; link = &(*link)->next) {
		if (*link == shrinker) {
			*link = shrinker->next;
			break;
		}
	}
	if (shrinkers.next == shrinker)
		shrinkers.next = shrinker->next;
	shrinkers_unlock(self);
}

static unsigned long shrink_one(struct shrinker *shrinker)
{
	unsigned long count = shrinker->count_objects(shrinker);

	return count ? shrinker->scan_objects(shrinker, count) : 0;
}

bool shrink_all(gfp_t gfp)
{
	struct mm_thread *self = mm_thread_self();
	struct mm_call call;
	bool freed = false;

	if (!gfpflags_allow_blocking(gfp) || (gfp & __GFP_NORETRY) || self->shrinking)
		return false;
	shrinkers_lock(self);
	mm_call_begin(self, &call, self->allocates_for);
	self->shrinking = true;
	for (struct shrinker *shrinker = shrinkers.first; shrinker; shrinker = shrinkers.next) {
		shrinkers.next = shrinker->next;
		freed |= shrink_one(shrinker) != 0;
	}
	self->shrinking = false;
	self->allocates_for = call.tables; /* a shrinker may have changed it */
	mm_call_end(self, &call);
	shrinkers_unlock(self);
	return freed;
}
