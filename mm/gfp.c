/* SPDX-License-Identifier: MIT */
#include <stdatomic.h>

#include "mm/gfp.h"
#include "mm/warn.h"

void iommu_atomic_enter(void)
{
	mm_thread_self()->atomic_depth++;
}

void iommu_atomic_exit(void)
{
	static atomic_uint said;
	struct mm_thread *self = mm_thread_self();

	if (self->atomic_depth)
		self->atomic_depth--;
	else
		mm_warn_once(&said, "iommu_atomic_exit() without enter, called from", NULL,
			     (uintptr_t)__builtin_return_address(0));
}

void might_sleep_warn(const void *caller)
{
	static atomic_uint said;

	mm_warn_once(&said, "blocking gfp inside an atomic section, called from", NULL,
		     (uintptr_t)caller);
}

bool gfp_refused_slow(gfp_t gfp)
{
	static atomic_uint said;

	mm_warn_once(&said, "refused gfp with __GFP_COMP, __GFP_DMA, __GFP_DMA32 or __GFP_HIGHMEM",
		     NULL, gfp);
	return true;
}
