// SPDX-License-Identifier: MIT
/*
 * Accesses: software that reads and writes through an IOAS. Its pins hold pages,
 * not areas: who unmaps an area asks each access to let go, and waits for it.
 */
#include "iommufd/pages.h"
#include "mm/warn.h"
#include "plat/compiler.h"

struct iommufd_access *iommufd_access_create(struct iommufd_ctx *ctx,
					     const struct iommufd_access_ops *ops, void *data,
					     uint32_t *id)
{
	struct mem_cgroup *before = iommufd_lock(ctx);
	struct iommufd_access *access =
		iommufd_object_alloc(ctx, sizeof(*access), IOMMUFD_OBJ_ACCESS);

	if (!IS_ERR(access)) {
		access->ctx = ctx;
		access->ops = ops;
		access->data = data;
		access->iova_alignment = ops->needs_pin_pages ? IOPT_PAGE_SIZE : 1;
		INIT_LIST_HEAD(&access->link);
		access->obj.users = 1; /* the caller, until iommufd_access_destroy() */
		*id = access->obj.id;
		iommufd_object_finalize(ctx, &access->obj);
	}
	iommufd_unlock(ctx, before);
	return access;
}

static void call_unmap(struct iommufd_access *access, uint64_t iova, uint64_t length)
{
	if (!access->ops->unmap)
		return;
	access->ctx->in_unmap++;
	access->ops->unmap(access->data, iova, length);
	access->ctx->in_unmap--;
}

/* For what cannot fail. In a callback, whose caller goes through the accesses, it is refused. */
static bool may_go(const struct iommufd_access *access, const void *caller)
{
	return !access->ctx->in_unmap || !iommufd_may_change(access->ctx, caller);
}

/*
 * The access is in the list of one table only. From here on it cannot pin, while
 * its callback still unpins in the old one.
 */
static int change_ioas(struct iommufd_access *access, struct iommufd_ioas *ioas)
{
	struct iommufd_ioas *old = access->ioas;
	int ret;

	if (access->ctx->in_unmap)
		return -EBUSY;
	if (old == ioas)
		return 0;
	list_del(&access->link);
	if (ioas) {
		ret = iopt_add_access(&ioas->iopt, access);
		if (ret) {
			if (old)
				list_add_tail(&access->link, &old->iopt.accesses);
			return ret;
		}
		ioas->obj.users++;
	}
	access->ioas = NULL;
	if (old) {
		call_unmap(access, 0, UINT64_MAX);
		iopt_calculate_iova_alignment(&old->iopt); /* can only become less */
		old->obj.users--;
	}
	access->ioas = ioas;
	access->ioas_unpin = ioas;
	return 0;
}

static int change_ioas_id(struct iommufd_access *access, uint32_t id)
{
	struct iommufd_ioas *ioas = iommufd_get_object(access->ctx, id, IOMMUFD_OBJ_IOAS);

	return IS_ERR(ioas) ? PTR_ERR(ioas) : change_ioas(access, ioas);
}

void iommufd_access_destroy_object(struct iommufd_object *obj)
{
	change_ioas(container_of(obj, struct iommufd_access, obj), NULL);
}

void iommufd_access_destroy(struct iommufd_access *access)
{
	struct iommufd_ctx *ctx = access->ctx;
	struct mem_cgroup *before = iommufd_lock(ctx);

	if (may_go(access, __builtin_return_address(0))) {
		access->obj.users--;
		iommufd_object_destroy(ctx, &access->obj);
	}
	iommufd_unlock(ctx, before);
}

int iommufd_access_attach(struct iommufd_access *access, uint32_t ioas_id)
{
	struct mem_cgroup *before = iommufd_lock(access->ctx);
	int ret = access->ioas ? -EINVAL : change_ioas_id(access, ioas_id);

	iommufd_unlock(access->ctx, before);
	return ret;
}

int iommufd_access_replace(struct iommufd_access *access, uint32_t ioas_id)
{
	struct mem_cgroup *before = iommufd_lock(access->ctx);
	int ret = -ENOENT;

	if (access->ioas || access->ctx->in_unmap)
		ret = change_ioas_id(access, ioas_id);
	iommufd_unlock(access->ctx, before);
	return ret;
}

void iommufd_access_detach(struct iommufd_access *access)
{
	struct mem_cgroup *before = iommufd_lock(access->ctx);

	if (may_go(access, __builtin_return_address(0)))
		change_ioas(access, NULL);
	iommufd_unlock(access->ctx, before);
}

void iommufd_access_notify_unmap(struct io_pagetable *iopt, uint64_t iova, uint64_t length)
{
	struct iommufd_access *access, *next;

	list_for_each_entry_safe(access, next, &iopt->accesses, link)
		call_unmap(access, iova, length);
}

/* ---- pins ---- */

static bool has_rights(const struct iopt_area *area, unsigned int flags)
{
	return area->prot & (flags & IOMMUFD_ACCESS_RW_WRITE ? IOMMU_WRITE : IOMMU_READ);
}

/* Whole pages, or there would be none to hand out: also where one area ends and the next begins. */
static bool is_page_aligned(const struct iopt_area *area, uint64_t iova, uint64_t last)
{
	if (iopt_area_byte(area, iova) & IOPT_PAGE_MASK)
		return false;
	return last <= area->node.last ||
	       ((iopt_area_byte(area, area->node.last) + 1) & IOPT_PAGE_MASK) == 0;
}

void iopt_unpin_range(struct io_pagetable *iopt, uint64_t iova, uint64_t last, unsigned int flags)
{
	static atomic_uint said;

	for (;;) {
		struct iopt_area *area = iopt_area_at(iopt, iova);
		uint64_t end;

		if (!area)
			break;
		end = MIN(last, area->node.last);
		if (!iopt_pages_remove_access(area->pages,
					      iopt_area_byte(area, iova) >> IOPT_PAGE_SHIFT,
					      iopt_area_byte(area, end) >> IOPT_PAGE_SHIFT))
			break;
		area->num_accesses--;
		area->num_locks -= !!(flags & IOPT_PIN_LOCK);
		if (end == last)
			return;
		iova = end + 1;
	}
	mm_warn_once(&said, "an access unpins what it did not pin", "iova", iova);
}

/* Pin what one area has of [iova, last]. */
static int pin_area(struct iopt_area *area, uint64_t iova, uint64_t last, void **pages,
		    unsigned int flags)
{
	uint64_t first = iopt_area_byte(area, iova) >> IOPT_PAGE_SHIFT;
	uint64_t end = iopt_area_byte(area, MIN(last, area->node.last)) >> IOPT_PAGE_SHIFT;
	int ret;

	if (area->prevent_access || !is_page_aligned(area, iova, last))
		return -EINVAL;
	if (!has_rights(area, flags))
		return -EPERM;
	if ((flags & IOMMUFD_ACCESS_RW_WRITE) && !area->pages->writable)
		return -EPERM;
	if ((flags & IOPT_PIN_LOCK) && area->num_locks == UINT16_MAX)
		return -EBUSY;
	ret = iopt_pages_add_access(area->pages, first, end);
	if (ret)
		return ret;
	area->num_accesses++;
	area->num_locks += !!(flags & IOPT_PIN_LOCK);
	for (uint64_t index = first; pages && index <= end; index++)
		pages[index - first] = (void *)(uintptr_t)(iopt_pages_uaddr(area->pages) +
							   (index << IOPT_PAGE_SHIFT));
	return 0;
}

int iopt_pin_range(struct io_pagetable *iopt, uint64_t iova, uint64_t last, void **pages,
		   unsigned int flags)
{
	uint64_t cursor = iova;
	int ret;

	for (;;) {
		struct iopt_area *area = iopt_area_at(iopt, cursor);
		uint64_t end;

		ret = area ? pin_area(area, cursor, last, pages, flags) : -ENOENT;
		if (ret)
			break;
		end = MIN(last, area->node.last);
		if (end == last)
			return 0;
		if (pages)
			pages += ((iopt_area_byte(area, end) >> IOPT_PAGE_SHIFT) -
				  (iopt_area_byte(area, cursor) >> IOPT_PAGE_SHIFT)) +
				 1;
		cursor = end + 1;
	}
	if (cursor != iova)
		iopt_unpin_range(iopt, iova, cursor - 1, flags);
	return ret;
}

int iommufd_access_pin_pages(struct iommufd_access *access, uint64_t iova, uint64_t length,
			     void **pages, unsigned int flags)
{
	struct mem_cgroup *before;
	uint64_t last;
	int ret;

	if (access->iova_alignment != IOPT_PAGE_SIZE || !access->ops->unmap || !length)
		return -EINVAL;
	if (__builtin_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;
	before = iommufd_lock(access->ctx);
	ret = access->ioas ? iopt_pin_range(&access->ioas->iopt, iova, last, pages, flags)
			   : -ENOENT;
	iommufd_unlock(access->ctx, before);
	return ret;
}

void iommufd_access_unpin_pages(struct iommufd_access *access, uint64_t iova, uint64_t length)
{
	struct mem_cgroup *before;
	uint64_t last;

	if (!length || __builtin_add_overflow(iova, length - 1, &last))
		return;
	before = iommufd_lock(access->ctx);
	if (access->ioas_unpin)
		iopt_unpin_range(&access->ioas_unpin->iopt, iova, last, 0);
	iommufd_unlock(access->ctx, before);
}

/* ---- reading and writing ---- */

static int rw_range(struct io_pagetable *iopt, uint64_t iova, uint64_t last, char *data,
		    unsigned int flags)
{
	for (;;) {
		struct iopt_area *area = iopt_area_at(iopt, iova);
		uint64_t end;
		int ret;

		if (!area)
			return -ENOENT;
		if (area->prevent_access)
			return -EINVAL;
		if (!has_rights(area, flags))
			return -EPERM;
		end = MIN(last, area->node.last);
		ret = iopt_pages_rw(area->pages, iopt_area_byte(area, iova), data, end - iova + 1,
				    flags & IOMMUFD_ACCESS_RW_WRITE);
		if (ret || end == last)
			return ret;
		data += end - iova + 1;
		iova = end + 1;
	}
}

int iommufd_access_rw(struct iommufd_access *access, uint64_t iova, void *data, size_t length,
		      unsigned int flags)
{
	struct mem_cgroup *before;
	uint64_t last;
	int ret;

	if (!length)
		return -EINVAL;
	if (__builtin_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;
	before = iommufd_lock(access->ctx);
	ret = access->ioas ? rw_range(&access->ioas->iopt, iova, last, data, flags) : -ENOENT;
	iommufd_unlock(access->ctx, before);
	return ret;
}
