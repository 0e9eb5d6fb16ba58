/* SPDX-License-Identifier: MIT */
/*
 * The two halves of freeing pages, for rcu.c: the pages are uncharged at once, and
 * their memory is freed after a grace period. Lists are linked by ->next.
 */
#ifndef MM_PAGE_ALLOC_H
#define MM_PAGE_ALLOC_H

#include "mm/page.h"

/* The statistic that a page in use is charged to. */
enum memcg_stat page_stat(const struct page *page);

void page_uncharge_list(struct page *first);
void page_release_list(struct page *first);

#endif
