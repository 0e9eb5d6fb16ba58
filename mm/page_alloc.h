/* SPDX-License-Identifier: MIT */
/*
 * The two halves of freeing pages, for rcu.c: the charge goes at once, the
 * memory after a grace period. Lists are linked by ->next.
 */
#ifndef MM_PAGE_ALLOC_H
#define MM_PAGE_ALLOC_H

#include "mm/page.h"

void page_uncharge_list(struct page *first);
void page_release_list(struct page *first);

#endif
