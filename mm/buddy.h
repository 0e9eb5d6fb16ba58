/* SPDX-License-Identifier: MIT */
/*
 * Free blocks of 2^order pages, split and joined again. The caller locks.
 */
#ifndef MM_BUDDY_H
#define MM_BUDDY_H

#include "mm/page.h"

/* Give back a block; it joins its buddy if that is free too. */
void buddy_put(struct page *page, unsigned int order);

/* Take a block, splitting a larger one if need be; NULL when there is none. */
struct page *buddy_take(unsigned int order);

#endif
