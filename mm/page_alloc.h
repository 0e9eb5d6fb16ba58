/* SPDX-License-Identifier: MIT */
/*
 * The two halves of freeing pages, for rcu.c: the charge goes at once, the
 * memory after a grace period. Lists are linked by ->next.
 */
#ifndef MM_PAGE_ALLOC_H
#define MM_PAGE_ALLOC_H

#include "mm/page.h"

/* What the memory of a page that is in use is charged as. */
enum memcg_stat page_stat(const struct page *page);

void page_uncharge_list(struct page *first);
void page_release_list(struct page *first);

#endif
