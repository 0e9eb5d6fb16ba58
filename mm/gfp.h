/* SPDX-License-Identifier: MIT */
/* Checks of the allocation context, made by the public functions. */
#ifndef MM_GFP_H
#define MM_GFP_H

#include <stdbool.h>

#include <uiommu/gfp.h>

#include "mm/thread.h"
#include "plat/compiler.h"

void might_sleep_warn(const void *caller) __cold;
bool gfp_refused_slow(gfp_t gfp) __cold;

/*
 * Report the first call that may block inside an atomic section. Must be inlined into
 * the public function itself: the reported address is the one that this function
 * returns to.
 */
static inline __attribute__((always_inline)) void might_sleep_if(struct mm_thread *self,
								 bool may_block)
{
	if (unlikely(may_block && self->atomic_depth))
		might_sleep_warn(__builtin_return_address(0));
}

/* True for a gfp that chooses where memory comes from, which is reported once. */
static inline bool gfp_refused(gfp_t gfp)
{
	return unlikely(gfp & GFP_POLICY_MASK) && gfp_refused_slow(gfp);
}

/* The flags of the caller's gfp that apply to an allocation of the library's own metadata. */
static inline gfp_t gfp_metadata(gfp_t gfp)
{
	return gfp & ~(GFP_POLICY_MASK | __GFP_ZERO | __GFP_ACCOUNT);
}

#endif
