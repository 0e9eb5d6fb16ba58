/* SPDX-License-Identifier: MIT */
#include "mm/buddy.h"

static struct page *free_blocks[MAX_ORDER + 1];

static void list_add(struct page *page, unsigned int order)
{
	page->listed = (uint8_t)(order + 1);
	page->prev = NULL;
	page->next = free_blocks[order];
	if (page->next)
		page->next->prev = page;
	free_blocks[order] = page;
}

static void list_del(struct page *page)
{
	if (page->prev)
		page->prev->next = page->next;
	else
		free_blocks[page->listed - 1] = page->next;
	if (page->next)
		page->next->prev = page->prev;
	page->listed = 0;
}

void buddy_put(struct page *page, unsigned int order)
{
	size_t index = page_index(page);

	for (; order < MAX_ORDER; order++) {
		struct page *buddy = page_at(index ^ ((size_t)1 << order));

		if (buddy->listed != order + 1)
			break;
		list_del(buddy);
		index &= ~((size_t)1 << order);
		page_at(index)->zeroed = buddy->zeroed && page->zeroed;
		page = page_at(index);
	}
	list_add(page, order);
}

struct page *buddy_take(unsigned int order)
{
	unsigned int from = order;
	struct page *page;

	while (from <= MAX_ORDER && !free_blocks[from])
		from++;
	if (from > MAX_ORDER)
		return NULL;
	page = free_blocks[from];
	list_del(page);
	while (from > order) {
		struct page *half = page_at(page_index(page) + ((size_t)1 << --from));

		half->zeroed = page->zeroed;
		list_add(half, from);
	}
	return page;
}
