// SPDX-License-Identifier: MIT
#include "tests/clients/gk20a.h"

#include "mm/page.h"
#include "mm/slab.h"
#include "plat/compiler.h"
#include "plat/plat.h"

struct gk20a_instmem {
	struct iommu_domain *domain;
	struct mem_cgroup *owner;      /* the domain's */
	unsigned int pgshift;          /* of the domain's smallest page */
	uint64_t pages;                /* of addresses */
	struct plat_mutex mutex;       /* protects the list of objects */
	struct gk20a_instobj *objects; /* by offset */
};

struct gk20a_instobj {
	struct gk20a_instmem *imem;
	struct gk20a_instobj *next;
	uint64_t offset; /* in pages */
	uint32_t npages;
	struct page *pages[];
};

struct gk20a_instmem *gk20a_instmem_new(struct iommu_domain *domain)
{
	struct gk20a_instmem *imem;
	struct iommu_domain_info info;
	uint64_t last = BIT_ULL(GK20A_IOMMU_BIT) - 1;
	unsigned int pgshift;

	iommu_domain_get_info(domain, &info);
	if (!info.format)
		return ERR_PTR(-EINVAL);
	pgshift = (unsigned int)__builtin_ctzll(info.pgsizes);
	if (pgshift < PAGE_SHIFT || pgshift > PAGE_SHIFT + MAX_ORDER)
		return ERR_PTR(-EINVAL);
	imem = kzalloc(sizeof(*imem), GFP_KERNEL, info.owner);
	if (!imem)
		return ERR_PTR(-ENOMEM);
	imem->domain = domain;
	imem->owner = info.owner;
	imem->pgshift = pgshift;
	imem->pages = ((info.aperture_last < last ? info.aperture_last : last) >> pgshift) + 1;
	plat_mutex_init(&imem->mutex);
	return imem;
}

void gk20a_instmem_del(struct gk20a_instmem *imem)
{
	kfree(imem);
}

/* ---- the area of addresses ---- */

/* The lowest gap that @obj fits into. */
static int reserve_area(struct gk20a_instmem *imem, struct gk20a_instobj *obj, uint64_t align)
{
	struct gk20a_instobj **at = &imem->objects;
	uint64_t offset = 0;
	int ret = -ENOSPC;

	plat_mutex_lock(&imem->mutex);
	while (*at && (*at)->offset < offset + obj->npages) {
		offset = ((*at)->offset + (*at)->npages + align - 1) & ~(align - 1);
		at = &(*at)->next;
	}
	if (offset + obj->npages <= imem->pages) {
		obj->offset = offset;
		obj->next = *at;
		*at = obj;
		ret = 0;
	}
	plat_mutex_unlock(&imem->mutex);
	return ret;
}

static void release_area(struct gk20a_instobj *obj)
{
	struct gk20a_instobj **at = &obj->imem->objects;

	plat_mutex_lock(&obj->imem->mutex);
	while (*at != obj)
		at = &(*at)->next;
	*at = obj->next;
	plat_mutex_unlock(&obj->imem->mutex);
}

/* ---- pages ---- */

static void free_object_pages(struct gk20a_instobj *obj)
{
	for (uint32_t i = 0; i < obj->npages && obj->pages[i]; i++)
		free_pages(obj->pages[i]);
}

static int alloc_object_pages(struct gk20a_instobj *obj)
{
	const struct gk20a_instmem *imem = obj->imem;

	for (uint32_t i = 0; i < obj->npages; i++) {
		obj->pages[i] = alloc_pages(GFP_KERNEL, imem->pgshift - PAGE_SHIFT, imem->owner,
					    PAGE_OTHER);
		if (!obj->pages[i]) {
			free_object_pages(obj);
			return -ENOMEM;
		}
	}
	return 0;
}

static uint64_t page_iova(const struct gk20a_instobj *obj, uint32_t index)
{
	return (obj->offset + index) << obj->imem->pgshift;
}

static void unmap_pages(struct gk20a_instobj *obj, uint32_t count)
{
	const struct gk20a_instmem *imem = obj->imem;

	while (count--)
		iommu_unmap(imem->domain, page_iova(obj, count), BIT_ULL(imem->pgshift));
}

static int map_pages(struct gk20a_instobj *obj)
{
	const struct gk20a_instmem *imem = obj->imem;

	for (uint32_t i = 0; i < obj->npages; i++) {
		int ret = iommu_map(imem->domain, page_iova(obj, i),
				    virt_to_phys(page_address(obj->pages[i])),
				    BIT_ULL(imem->pgshift), IOMMU_READ | IOMMU_WRITE, GFP_KERNEL);

		if (ret) {
			unmap_pages(obj, i);
			return ret;
		}
	}
	return 0;
}

/* ---- objects ---- */

/* Of @bytes, at least one page. */
static uint64_t to_pages(const struct gk20a_instmem *imem, uint32_t bytes)
{
	return bytes ? (((uint64_t)bytes - 1) >> imem->pgshift) + 1 : 1;
}

struct gk20a_instobj *gk20a_instobj_new(struct gk20a_instmem *imem, uint32_t size, uint32_t align)
{
	uint64_t npages = to_pages(imem, size), align_pages = to_pages(imem, align);
	struct gk20a_instobj *obj;
	int ret;

	if (align_pages & (align_pages - 1))
		return ERR_PTR(-EINVAL);
	obj = kzalloc(sizeof(*obj) + npages * sizeof(obj->pages[0]), GFP_KERNEL, imem->owner);
	if (!obj)
		return ERR_PTR(-ENOMEM);
	obj->imem = imem;
	obj->npages = (uint32_t)npages;
	ret = alloc_object_pages(obj);
	if (ret)
		goto free_object;
	ret = reserve_area(imem, obj, align_pages);
	if (ret)
		goto free_pages;
	ret = map_pages(obj);
	if (ret)
		goto release_area;
	return obj;

release_area:
	release_area(obj);
free_pages:
	free_object_pages(obj);
free_object:
	kfree(obj);
	return ERR_PTR(ret);
}

uint64_t gk20a_instobj_addr(const struct gk20a_instobj *obj)
{
	return page_iova(obj, 0) | BIT_ULL(GK20A_IOMMU_BIT);
}

uint64_t gk20a_instobj_size(const struct gk20a_instobj *obj)
{
	return (uint64_t)obj->npages << obj->imem->pgshift;
}

void *gk20a_instobj_page(const struct gk20a_instobj *obj, uint32_t index)
{
	return page_address(obj->pages[index]);
}

void gk20a_instobj_del(struct gk20a_instobj *obj)
{
	unmap_pages(obj, obj->npages);
	release_area(obj);
	free_object_pages(obj);
	kfree(obj);
}
