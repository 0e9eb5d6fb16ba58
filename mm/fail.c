/* SPDX-License-Identifier: MIT */
#include <uiommu/mm.h>

#include "mm/fail.h"

bool mm_should_fail_slow(struct mm_thread *self)
{
	if (self->fail_nth > 1) {
		self->fail_nth--;
		return false;
	}
	if (!self->fail_sticky)
		self->fail_nth = 0;
	self->fail_hit = true;
	return true;
}

bool uiommu_fail_nth(unsigned int nth, bool sticky)
{
	struct mm_thread *self = mm_thread_self();
	bool hit = self->fail_hit;

	self->fail_nth = nth;
	self->fail_sticky = sticky;
	self->fail_hit = false;
	return hit;
}
