/* SPDX-License-Identifier: MIT */
/*
 * Fault injection: uiommu_fail_nth().
 */
#ifndef MM_FAIL_H
#define MM_FAIL_H

#include "mm/thread.h"

bool mm_should_fail_slow(struct mm_thread *self) __cold;

/* Called once by each page, object and kmalloc() allocation, before it charges. */
static inline bool mm_should_fail(struct mm_thread *self)
{
	return unlikely(self->fail_nth != 0) && mm_should_fail_slow(self);
}

#endif
