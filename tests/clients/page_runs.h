/* SPDX-License-Identifier: MIT */
/*
 * Pages that somebody names one by one, put together into runs that are
 * physically contiguous: what the kernel's clients do before each iommu_map().
 */
#ifndef CLIENTS_PAGE_RUNS_H
#define CLIENTS_PAGE_RUNS_H

#include <stdbool.h>
#include <stdint.h>

#include <uiommu/iommu.h>

/**
 * typedef page_phys_fn - Tell where a page of the client's user is.
 * @context: as given with the function
 * @address: of the page, a multiple of 4096
 * @writable: the device is going to write to it
 * @paddr: where its physical address goes, a multiple of 4096
 *
 * What pin_user_pages() is to the kernel's clients. To hold the page in place
 * for as long as it is mapped is its matter.
 *
 * Context: May block. The client's lock is held: it must not call the client.
 * Return: 0, or the negative errno that the client's call is to fail with.
 */
typedef int (*page_phys_fn)(void *context, uint64_t address, bool writable, phys_addr_t *paddr);

/**
 * struct page_runs - A walk along pages.
 * @phys: tells where they are
 * @context: handed to @phys
 * @address: of the first page
 * @pages: how many
 * @writable: handed to @phys
 * @next: used by page_runs_next(): the page that did not belong to the last run
 * @has_next: there is one
 */
struct page_runs {
	page_phys_fn phys;
	void *context;
	uint64_t address;
	uint64_t pages;
	bool writable;
	phys_addr_t next;
	bool has_next;
};

/**
 * page_runs_next() - Find the next run.
 * @runs: the walk
 * @run: where it goes
 *
 * Asks for each page once, in order.
 *
 * Return: 1; 0 after the last run; an error of @runs->phys.
 */
int page_runs_next(struct page_runs *runs, struct iommu_sg *run);

#endif
