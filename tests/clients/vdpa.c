/* SPDX-License-Identifier: MIT */
#include "tests/clients/vdpa.h"

#include "mm/page.h"
#include "mm/slab.h"
#include "plat/compiler.h"
#include "plat/plat.h"
#include "plat/string.h"

/* What one iommu_map() has mapped: whole pages. */
struct vdpa_map {
	uint64_t start, last;
	struct vdpa_map *next; /* by start */
};

struct vhost_vdpa {
	struct iommu_domain *domain;
	struct mem_cgroup *owner; /* the domain's */
	uint64_t range_first, range_last;
	page_phys_fn phys;
	void *context;
	bool has_asid;
	struct plat_mutex mutex; /* protects what follows */
	bool has_as;             /* address space 0 is in use */
	struct vdpa_map *maps;
};

struct vhost_vdpa *vhost_vdpa_open(struct iommu_domain *domain, bool has_asid, page_phys_fn phys,
				   void *context)
{
	struct iommu_domain_info info;
	struct vhost_vdpa *v;

	iommu_domain_get_info(domain, &info);
	if (!info.format)
		return ERR_PTR(-EINVAL);
	v = kzalloc(sizeof(*v), GFP_KERNEL, info.owner);
	if (!v)
		return ERR_PTR(-ENOMEM);
	v->domain = domain;
	v->owner = info.owner;
	v->range_first = info.aperture_start;
	v->range_last = info.aperture_last;
	v->phys = phys;
	v->context = context;
	v->has_asid = has_asid;
	plat_mutex_init(&v->mutex);
	return v;
}

/* Where the first map is, or would be, that ends at or after @start. */
static struct vdpa_map **find_map(struct vhost_vdpa *v, uint64_t start)
{
	struct vdpa_map **at = &v->maps;

	while (*at && (*at)->last < start)
		at = &(*at)->next;
	return at;
}

static void unmap_range(struct vhost_vdpa *v, uint64_t start, uint64_t last)
{
	struct vdpa_map **at = find_map(v, start);
	struct vdpa_map *map;

	if (last < start)
		return;
	while ((map = *at) && map->start <= last) {
		iommu_unmap(v->domain, map->start, map->last - map->start + 1);
		*at = map->next;
		kfree(map);
	}
}

static int perm_to_iommu_flags(uint8_t perm)
{
	switch (perm) {
	case VDPA_ACCESS_RO:
		return IOMMU_READ | IOMMU_CACHE;
	case VDPA_ACCESS_WO:
		return IOMMU_WRITE | IOMMU_CACHE;
	case VDPA_ACCESS_RW:
		return IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE;
	default:
		return IOMMU_CACHE; /* which iommu_map() refuses */
	}
}

/* Map a run, and note that at *at. */
static int map_run(struct vhost_vdpa *v, struct vdpa_map **at, uint64_t iova,
		   const struct iommu_sg *run, uint8_t perm)
{
	struct vdpa_map *map = kmalloc(sizeof(*map), GFP_KERNEL, v->owner);
	int ret;

	if (!map)
		return -ENOMEM;
	ret = iommu_map(v->domain, iova, run->paddr, run->length, perm_to_iommu_flags(perm),
			GFP_KERNEL);
	if (ret) {
		kfree(map);
		return ret;
	}
	*map = (struct vdpa_map){
		.start = iova,
		.last = iova + (run->length - 1),
		.next = *at,
	};
	*at = map;
	return 0;
}

static int map_pages(struct vhost_vdpa *v, struct vdpa_map **at, const struct vdpa_iotlb_msg *msg)
{
	uint64_t offset = msg->iova & (PAGE_SIZE - 1), iova = msg->iova - offset;
	struct page_runs runs = {
		.phys = v->phys,
		.context = v->context,
		.address = msg->uaddr & ~(uint64_t)(PAGE_SIZE - 1),
		.pages = ((msg->size - 1) >> PAGE_SHIFT) + 1,
		.writable = msg->perm & VDPA_ACCESS_WO,
	};
	struct iommu_sg run;
	int ret;

	/* A page more, where the offset carries the last byte into it. */
	runs.pages += offset + ((msg->size - 1) & (PAGE_SIZE - 1)) >= PAGE_SIZE;
	while ((ret = page_runs_next(&runs, &run)) > 0) {
		ret = map_run(v, at, iova, &run, msg->perm);
		if (ret)
			break;
		at = &(*at)->next;
		iova += run.length;
	}
	return ret;
}

static int process_update(struct vhost_vdpa *v, const struct vdpa_iotlb_msg *msg)
{
	uint64_t last = msg->iova + (msg->size - 1);
	struct vdpa_map **at;
	int ret;

	if (msg->iova < v->range_first || last < msg->iova || last > v->range_last)
		return -EINVAL;
	at = find_map(v, msg->iova);
	if (*at && (*at)->start <= last)
		return -EEXIST;
	ret = map_pages(v, at, msg);
	/* Nothing in the range is older than this message. */
	if (ret)
		unmap_range(v, msg->iova, last);
	return ret;
}

/* With v->mutex held. */
static int process_msg(struct vhost_vdpa *v, uint32_t asid, const struct vdpa_iotlb_msg *msg)
{
	if (asid)
		return -EINVAL;
	if (msg->type == VDPA_IOTLB_UPDATE || msg->type == VDPA_IOTLB_BATCH_BEGIN)
		v->has_as = true;
	if (!v->has_as)
		return -EINVAL;
	switch (msg->type) {
	case VDPA_IOTLB_UPDATE:
		return process_update(v, msg);
	case VDPA_IOTLB_INVALIDATE:
		unmap_range(v, msg->iova, msg->iova + (msg->size - 1));
		return 0;
	case VDPA_IOTLB_BATCH_BEGIN:
	case VDPA_IOTLB_BATCH_END:
		return 0;
	default:
		return -EINVAL;
	}
}

ssize_t vhost_vdpa_write(struct vhost_vdpa *v, const void *bytes, size_t length)
{
	struct vdpa_msg msg;
	size_t least = offsetof(struct vdpa_msg, iotlb) + sizeof(msg.iotlb);
	int ret;

	if (length < least)
		return -EINVAL;
	memcpy(&msg, bytes, least);
	if (msg.type != VDPA_IOTLB_MSG && msg.type != VDPA_IOTLB_MSG_V2)
		return -EINVAL;
	if (msg.iotlb.type == VDPA_IOTLB_UPDATE && !msg.iotlb.size)
		return -EINVAL;
	if (msg.type == VDPA_IOTLB_MSG || !v->has_asid)
		msg.asid = 0;
	plat_mutex_lock(&v->mutex);
	ret = process_msg(v, msg.asid, &msg.iotlb);
	plat_mutex_unlock(&v->mutex);
	return ret ? -EFAULT : (ssize_t)sizeof(msg);
}

void vhost_vdpa_release(struct vhost_vdpa *v)
{
	unmap_range(v, 0, UINT64_MAX);
	kfree(v);
}
