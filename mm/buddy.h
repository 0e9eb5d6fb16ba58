/* SPDX-License-Identifier: MIT */
/*
 * The free blocks of 2^order pages, which are split and joined again. The caller holds
 * zone.lock.
 */
#ifndef MM_BUDDY_H
#define MM_BUDDY_H

#include "mm/page.h"

/* Give back a block; it joins its buddy if that is free too. */
void buddy_put(struct page *page, unsigned int order);

/* Take a block; a larger one is split if there is no other. NULL when there is none. */
struct page *buddy_take(unsigned int order);

#endif
