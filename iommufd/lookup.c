/* SPDX-License-Identifier: MIT */
/*
 * From a translation back to memory. A physical address alone does not say whose page
 * it is, because those that are invented may be the same in two processes. So it is
 * compared with that of the page which is mapped at the same iova: where they differ
 * the translation is an old one.
 */
#include "iommufd/lookup.h"

#include "iommufd/pages.h"
#include "plat/compiler.h"

const struct iommufd_observer *iommufd_observer;

static bool fills(const struct io_pagetable *space, const struct iommu_domain *domain)
{
	const struct iopt_domain *filled;

	list_for_each_entry(filled, &space->domains, link)
	{
		if (filled->domain == domain)
			return true;
	}
	return false;
}

struct io_pagetable *iommufd_space_of(struct iommufd_ctx *ctx, const struct iommu_domain *domain)
{
	struct iommufd_object *obj;

	for (uint32_t id = 0; (obj = idmap_next(&ctx->objects, &id)) != NULL; id++) {
		struct iommufd_ioas *ioas = container_of(obj, struct iommufd_ioas, obj);

		if (obj->type == IOMMUFD_OBJ_IOAS && fills(&ioas->iopt, domain))
			return &ioas->iopt;
	}
	return NULL;
}

static int take_paddr(void *arg, uint64_t paddr, uint64_t npages)
{
	*(uint64_t *)arg = paddr;
	return 0;
}

int iommufd_memory_find(struct io_pagetable *space, uint64_t iova, uint64_t paddr,
			struct iommufd_memory *memory)
{
	const struct iopt_area *area = iopt_area_at(space, iova);
	uint64_t byte, real = 0;

	if (!area)
		return -ENOENT;
	byte = iopt_area_byte(area, iova) & ~IOPT_PAGE_MASK;
	if (iommufd_phys_runs(space->ctx, iopt_pages_mm(area->pages),
			      iopt_pages_uaddr(area->pages) + byte, 1, take_paddr, &real) ||
	    real != (paddr & ~IOPT_PAGE_MASK))
		return -ENOENT;
	*memory = (struct iommufd_memory){area->pages, byte};
	return 0;
}

/* The file of shared memory is what was pinned, whatever its process has done since. */
int iommufd_memory_rw(const struct iommufd_memory *memory, uint64_t offset, void *data,
		      size_t length, bool write)
{
	const struct iopt_pages *pages = memory->pages;
	uint64_t byte = memory->byte + offset;

	if (pages->backing)
		return iommufd_backing_rw(pages->backing, pages->backing_offset + byte, data,
					  length, write);
	return iommufd_mm_rw(iopt_pages_mm(pages), pages->node.start + byte, data, length, write);
}
