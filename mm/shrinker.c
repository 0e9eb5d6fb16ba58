/* SPDX-License-Identifier: MIT */
/*
 * The list of shrinkers. Its mutex is held while they run: so one runs at a
 * time, and a shrinker that has been taken off the list is not running.
 */
#include <uiommu/mm.h>

#include "mm/shrinker.h"
#include "mm/thread.h"
#include "plat/spinlock.h"

static struct {
	struct spinlock setup; /* for ready */
	bool ready;            /* the mutex is initialised */
	struct plat_mutex mutex;
	struct shrinker *first; /* under the mutex */
} shrinkers;

static void shrinkers_lock(void)
{
	spin_lock(&shrinkers.setup);
	if (!shrinkers.ready) {
		plat_mutex_init(&shrinkers.mutex);
		shrinkers.ready = true;
	}
	spin_unlock(&shrinkers.setup);
	plat_mutex_lock(&shrinkers.mutex);
}

static void shrinkers_unlock(void)
{
	plat_mutex_unlock(&shrinkers.mutex);
}

void register_shrinker(struct shrinker *shrinker)
{
	shrinkers_lock();
	shrinker->next = shrinkers.first;
	shrinkers.first = shrinker;
	shrinkers_unlock();
}

void unregister_shrinker(struct shrinker *shrinker)
{
	struct shrinker **link;

	shrinkers_lock();
	for (link = &shrinkers.first; *link; link = &(*link)->next) {
		if (*link == shrinker) {
			*link = shrinker->next;
			break;
		}
	}
	shrinkers_unlock();
}

static unsigned long shrink_one(struct shrinker *shrinker)
{
	unsigned long count = shrinker->count_objects(shrinker);

	return count ? shrinker->scan_objects(shrinker, count) : 0;
}

bool shrink_all(gfp_t gfp)
{
	struct mm_thread *self = mm_thread_self();
	bool freed = false;

	if (!gfpflags_allow_blocking(gfp) || (gfp & __GFP_NORETRY) || self->shrinking)
		return false;
	self->shrinking = true;
	shrinkers_lock();
	for (struct shrinker *shrinker = shrinkers.first; shrinker; shrinker = shrinker->next)
		freed |= shrink_one(shrinker) != 0;
	shrinkers_unlock();
	self->shrinking = false;
	return freed;
}
