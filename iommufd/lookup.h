/* SPDX-License-Identifier: MIT */
/*
 * For models of hardware that reads and writes memory: what memory is behind a
 * translation, and what is mapped and unmapped.
 */
#ifndef IOMMUFD_LOOKUP_H
#define IOMMUFD_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct io_pagetable;
struct iommu_domain;
struct iommufd_ctx;
struct iopt_pages;

/* A page of memory that is mapped: valid as long as its mapping is there. */
struct iommufd_memory {
	struct iopt_pages *pages;
	uint64_t byte; /* where in @pages */
};

/* The address space that fills a domain, or NULL. ctx->lock held. */
struct io_pagetable *iommufd_space_of(struct iommufd_ctx *ctx, const struct iommu_domain *domain);

/*
 * What a device reaches that has @iova translated to @paddr, both of one page: -ENOENT
 * when nothing that is mapped at @iova has this physical address. ctx->lock held.
 */
int iommufd_memory_find(struct io_pagetable *space, uint64_t iova, uint64_t paddr,
			struct iommufd_memory *memory);

/* Copy @length bytes from @offset in the page on. 0; -EFAULT when it is gone. */
int iommufd_memory_rw(const struct iommufd_memory *memory, uint64_t offset, void *data,
		      size_t length, bool write);

/* Who is told of mappings, or NULL. Set before there are any. Called with ctx->lock held. */
struct iommufd_observer {
	void (*mapped)(const struct io_pagetable *space, uint64_t iova, uint64_t length);
	void (*unmapped)(const struct io_pagetable *space, uint64_t iova, uint64_t length);
};

extern const struct iommufd_observer *iommufd_observer;

#endif
