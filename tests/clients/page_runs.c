/* SPDX-License-Identifier: MIT */
#include "tests/clients/page_runs.h"

#include "mm/page.h"

/* Let runs->next be the next page. */
static int ask_next(struct page_runs *runs)
{
	int ret = runs->phys(runs->context, runs->address, runs->writable, &runs->next);

	if (ret)
		return ret;
	runs->has_next = true;
	runs->address += PAGE_SIZE;
	runs->pages--;
	return 0;
}

int page_runs_next(struct page_runs *runs, struct iommu_sg *run)
{
	*run = (struct iommu_sg){0};
	while (runs->has_next || runs->pages) {
		uint64_t end = run->paddr + run->length;
		int ret = runs->has_next ? 0 : ask_next(runs);

		if (ret)
			return ret;
		/* A run that ends at 2^64 has no neighbour. */
		if (run->length && (!end || runs->next != end))
			break;
		if (!run->length)
			run->paddr = runs->next;
		run->length += PAGE_SIZE;
		runs->has_next = false;
	}
	return run->length != 0;
}
