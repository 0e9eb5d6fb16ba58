/* SPDX-License-Identifier: MIT */
#include "bench/peers/pages.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench/measure.h"

#define HUGE      ((size_t)2 << 20)
#define MEMORY    ((size_t)256 << 20)
#define NR        (MEMORY >> PAGES_SHIFT)
#define STRUCT    64 /* bytes, as the kernel's */
#define MAX_ORDER 5

char *pages_memory;
struct page *pages_structs;

/*
 * Stacks of free page numbers by order. If a stack is empty, a block is cut from unused
 * memory.
 */
static struct {
	uint32_t *page;
	size_t nr;
} stacks[MAX_ORDER + 1];
static size_t rest;
static uint64_t bytes_used;

void *huge_pages(size_t size)
{
	char *memory = aligned_alloc(HUGE, size);

	if (!memory)
		fail("out of memory");
	madvise(memory, size, MADV_HUGEPAGE);
	return memset(memory, 0, size);
}

void pages_init(void)
{
	pages_memory = huge_pages(MEMORY);
	pages_structs = huge_pages(NR * STRUCT);
	for (int order = 0; order <= MAX_ORDER; order++) {
		stacks[order].page = calloc(NR, sizeof(uint32_t));
		if (!stacks[order].page)
			fail("out of memory");
	}
}

static size_t cut_off(unsigned int order)
{
	const size_t nr = (size_t)1 << order, page = (rest + nr - 1) & ~(nr - 1);

	rest = page + nr;
	return page;
}

void *pages_alloc(unsigned int order)
{
	const size_t bytes = (size_t)1 << (order + PAGES_SHIFT);
	const size_t page =
		stacks[order].nr ? stacks[order].page[--stacks[order].nr] : cut_off(order);

	if (page + (1u << order) > NR)
		return NULL;
	bytes_used += bytes;
	return memset(pages_memory + (page << PAGES_SHIFT), 0, bytes);
}

void pages_free(void *memory, unsigned int order)
{
	const size_t page = (size_t)((char *)memory - pages_memory) >> PAGES_SHIFT;

	stacks[order].page[stacks[order].nr++] = (uint32_t)page;
	bytes_used -= (uint64_t)1 << (order + PAGES_SHIFT);
}

uint64_t pages_bytes_used(void)
{
	return bytes_used;
}

void pages_warn(const char *file, int line)
{
	fail("a warning of the kernel's at %s:%d", file, line);
}
