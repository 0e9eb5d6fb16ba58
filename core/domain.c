/* SPDX-License-Identifier: MIT */
/*
 * Allocation and freeing of domains. A domain remembers its owner: the object itself,
 * its top table and all that is linked to it later are charged to that memory cgroup.
 */
#include <uiommu/iommu.h>

#include "core/domain.h"
#include "mm/gfp.h"
#include "mm/memcg.h"
#include "mm/page.h"
#include "mm/slab.h"
#include "mm/warn.h"

/* Created with the first domain; there is one for the process, as there is one arena. */
static _Atomic(struct kmem_cache *) domain_cache;

static struct kmem_cache *get_domain_cache(gfp_t gfp)
{
	struct kmem_cache *cache = atomic_load_explicit(&domain_cache, memory_order_acquire);
	struct kmem_cache *first = NULL;

	if (cache)
		return cache;
	cache = kmem_cache_create("iommu_domain", sizeof(struct iommu_domain),
				  _Alignof(struct iommu_domain), gfp);
	if (!cache)
		return NULL;
	if (atomic_compare_exchange_strong(&domain_cache, &first, cache))
		return cache;
	kmem_cache_destroy(cache); /* another thread was first */
	return first;
}

static struct iommu_domain *domain_new(enum iommu_domain_type type, gfp_t gfp)
{
	struct kmem_cache *cache = get_domain_cache(gfp);
	struct mem_cgroup *owner = gfp & __GFP_ACCOUNT ? mem_cgroup_active() : NULL;
	struct iommu_domain *domain;

	if (!cache)
		return NULL;
	domain = kmem_cache_alloc(cache, gfp | __GFP_ZERO, owner);
	if (!domain)
		return NULL;
	domain->type = type;
	domain->misaligned = ~0ULL;
	domain->pt.owner = mem_cgroup_get(owner);
	return domain;
}

static void domain_delete(struct iommu_domain *domain)
{
	struct mem_cgroup *owner = domain->pt.owner;

	kmem_cache_free(atomic_load_explicit(&domain_cache, memory_order_relaxed), domain);
	mem_cgroup_put(owner);
}

static bool domain_type_translates(enum iommu_domain_type type)
{
	return type == IOMMU_DOMAIN_UNMANAGED || type == IOMMU_DOMAIN_DMA;
}

static bool domain_type_is_known(enum iommu_domain_type type)
{
	return domain_type_translates(type) || type == IOMMU_DOMAIN_IDENTITY ||
	       type == IOMMU_DOMAIN_BLOCKED;
}

static uint64_t identity_iova_to_phys(struct pgtable *pt, uint64_t iova)
{
	return iova;
}

static uint64_t blocked_iova_to_phys(struct pgtable *pt, uint64_t iova)
{
	return 0;
}

/* Find the format and the leaf sizes; 0 when the smallest leaf size is not among them. */
static uint64_t choose_pgsizes(const struct iommu_domain_params *params,
			       const struct pgtable_ops *ops)
{
	uint64_t has = ops->format->pgsizes;
	uint64_t usual = ops->format->pgsizes_default ? ops->format->pgsizes_default : has;
	uint64_t chosen = params->pgsizes ? params->pgsizes & has : usual;

	return chosen & has & -has ? chosen : 0;
}

static void sync_tables(struct pgtable *pt, struct iommu_iotlb_gather *gather)
{
	iommu_iotlb_sync(container_of(pt, struct iommu_domain, pt), gather);
}

static struct iommu_domain *alloc_translating(const struct iommu_domain_params *params, gfp_t gfp)
{
	const struct pgtable_ops *ops = params->format ? pgtable_find(params->format) : NULL;
	uint64_t pgsizes = ops ? choose_pgsizes(params, ops) : 0;
	struct iommu_domain *domain;
	int ret;

	if (!pgsizes)
		return ERR_PTR(-EINVAL);
	domain = domain_new(params->type, gfp);
	if (!domain)
		return ERR_PTR(-ENOMEM);
	domain->pt.ops = ops;
	domain->pt.pgsizes = pgsizes;
	domain->pt.features = params->features & ops->format->features;
	domain->pt.sync = sync_tables;
	ret = ops->init(&domain->pt, params->address_width, gfp);
	if (ret) {
		domain_delete(domain);
		return ERR_PTR(ret);
	}
	domain->misaligned = (pgsizes & -pgsizes) - 1;
	return domain;
}

struct iommu_domain *iommu_domain_alloc(const struct iommu_domain_params *params, gfp_t gfp)
{
	struct iommu_domain *domain;

	might_sleep_if(mm_thread_self(), gfpflags_allow_blocking(gfp));
	if (gfp_refused(gfp) || !domain_type_is_known(params->type))
		return ERR_PTR(-EINVAL);
	if (domain_type_translates(params->type))
		return alloc_translating(params, gfp);
	domain = domain_new(params->type, gfp);
	if (!domain)
		return ERR_PTR(-ENOMEM);
	domain->pt.iova_to_phys = params->type == IOMMU_DOMAIN_IDENTITY ? identity_iova_to_phys
									: blocked_iova_to_phys;
	return domain;
}

void iommu_domain_free(struct iommu_domain *domain)
{
	static atomic_uint said, said_in_call;
	struct iommu_domain_cookie *cookie;

	if (!domain)
		return;
	if (atomic_load(&domain->users)) {
		mm_warn_once(&said, "iommu_domain_free() of a domain that is attached, called from",
			     NULL, (uintptr_t)__builtin_return_address(0));
		return;
	}
	if (mm_is_called_for(mm_thread_self(), &domain->pt)) {
		mm_warn_once(
			&said_in_call,
			"iommu_domain_free() in a callback of a call on the domain, called from",
			NULL, (uintptr_t)__builtin_return_address(0));
		return;
	}
	cookie = atomic_load(&domain->cookie);
	if (cookie)
		cookie->free(domain, cookie);
	if (domain->pt.ops)
		domain->pt.ops->fini(&domain->pt);
	domain_delete(domain);
}

void iommu_domain_use(struct iommu_domain *domain)
{
	if (domain)
		atomic_fetch_add(&domain->users, 1);
}

void iommu_domain_unuse(struct iommu_domain *domain)
{
	if (domain)
		atomic_fetch_sub(&domain->users, 1);
}

static void table_info(struct pgtable *pt, struct iommu_domain_info *info)
{
	uint64_t top = atomic_load(&pt->top);

	info->format = pt->ops->format->name;
	info->address_width = pt->address_width;
	info->aperture_start = pt->aperture_start;
	info->aperture_last = pt->aperture_last;
	info->pgsizes = pt->pgsizes;
	info->split_breaks = pt->ops->format->features & ~pt->features & IOMMU_FEATURE_BBML2;
	info->levels = top & (PAGE_SIZE - 1);
	info->root = virt_to_phys((const void *)(uintptr_t)(top & ~(PAGE_SIZE - 1)));
	pgtable_count(pt, info->tables);
	for (unsigned int level = 0; level < IOMMU_MAX_LEVELS; level++)
		info->table_bytes += info->tables[level] * pt->table_bytes[level];
}

void iommu_domain_get_info(struct iommu_domain *domain, struct iommu_domain_info *info)
{
	*info = (struct iommu_domain_info){
		.type = domain->type,
		.owner = domain->pt.owner,
	};
	if (domain->pt.ops)
		table_info(&domain->pt, info);
}
