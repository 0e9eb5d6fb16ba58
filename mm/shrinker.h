/* SPDX-License-Identifier: MIT */
#ifndef MM_SHRINKER_H
#define MM_SHRINKER_H

#include <stdbool.h>

#include <uiommu/gfp.h>

/*
 * Run every shrinker once for an allocation that failed. Returns true when one of them
 * freed something. Returns false without running any when @gfp may not block or has
 * __GFP_NORETRY, or a shrinker is running on this thread already.
 */
bool shrink_all(gfp_t gfp);

#endif
