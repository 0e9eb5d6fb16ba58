/* SPDX-License-Identifier: MIT */
/*
 * The list of formats, and what they share without being compiled per format.
 */
#include "mm/page_alloc.h"
#include "mm/rcu.h"
#include "pgtable/pgtable.h"

extern const struct pgtable_ops pgtable_vtd, pgtable_x86_64, pgtable_amdv1, pgtable_arm64_s1_4k,
	pgtable_arm64_s1_16k, pgtable_arm64_s1_64k, pgtable_arm64_s2_4k, pgtable_arm64_s2_16k,
	pgtable_arm64_s2_64k, pgtable_riscv64, pgtable_s390, pgtable_mock;

const struct pgtable_ops *const pgtable_formats[] = {
	&pgtable_vtd,          &pgtable_x86_64,       &pgtable_amdv1,       &pgtable_arm64_s1_4k,
	&pgtable_arm64_s1_16k, &pgtable_arm64_s1_64k, &pgtable_arm64_s2_4k, &pgtable_arm64_s2_16k,
	&pgtable_arm64_s2_64k, &pgtable_riscv64,      &pgtable_s390,        NULL,
};

static bool same_name(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

const struct pgtable_ops *pgtable_find(const char *name)
{
	for (const struct pgtable_ops *const *ops = pgtable_formats; name && *ops; ops++)
		if (same_name((*ops)->format->name, name))
			return *ops;
	return name && same_name(pgtable_mock.format->name, name) ? &pgtable_mock : NULL;
}

const struct iommu_format *iommu_format_find(const char *name)
{
	const struct pgtable_ops *ops = pgtable_find(name);

	return ops ? ops->format : NULL;
}

static bool is_variant(const struct iommu_format *format, const char *name, uint64_t granule)
{
	if (granule && format->granule != granule)
		return false;
	return same_name(format->name, name) || same_name(format->family, name);
}

const struct iommu_format *iommu_format_find_granule(const char *name, uint64_t granule)
{
	for (const struct pgtable_ops *const *ops = pgtable_formats; name && *ops; ops++)
		if (is_variant((*ops)->format, name, granule))
			return (*ops)->format;
	return name && is_variant(pgtable_mock.format, name, granule) ? pgtable_mock.format : NULL;
}

const struct iommu_format *iommu_format_next(const struct iommu_format *format)
{
	const struct pgtable_ops *const *ops = pgtable_formats;

	if (!format)
		return (*ops)->format;
	while (*ops && (*ops)->format != format)
		ops++;
	return *ops && ops[1] ? ops[1]->format : NULL;
}

struct iommu_sg pgtable_next_piece(const struct iommu_sg **sg, const struct iommu_sg *end)
{
	struct iommu_sg piece = *(*sg)++;

	for (; *sg != end; (*sg)++) {
		uint64_t behind = piece.paddr + piece.length;

		if (!(*sg)->length)
			continue;
		/* Nothing adjoins a piece that ends at 2^64. */
		if (piece.length && (!behind || (*sg)->paddr != behind))
			break;
		if (!piece.length)
			piece.paddr = (*sg)->paddr;
		piece.length += (*sg)->length;
	}
	return piece;
}

void pgtable_count(struct pgtable *pt, uint64_t tables[IOMMU_MAX_LEVELS])
{
	for (unsigned int level = 0; level < IOMMU_MAX_LEVELS; level++) {
		long sum = 0;

		for (unsigned int i = 0; i < PGTABLE_STAT_SHARDS; i++)
			sum += atomic_load_explicit(&pt->stat[i].tables[level],
						    memory_order_relaxed);
		/*
		 * A shard may count a free whose allocation is counted in another
		 * shard, not read yet.
		 */
		tables[level] = sum > 0 ? (uint64_t)sum : 0;
	}
}

void pgtable_free_gathered(struct pgtable *pt, struct iommu_iotlb_gather *gather)
{
	struct mm_thread *self = mm_thread_self();
	struct page *first = gather->freelist;
	size_t bytes = 0;

	gather->freelist = NULL;
	for (unsigned int part = 0; part <= PGTABLE_PARTS; part++)
		if (gather->pending >> part & 1)
			atomic_fetch_sub(&pt->unflushed[part].count, 1);
	gather->pending = 0;
	if (!first)
		return;
	for (unsigned int level = 0; level < IOMMU_MAX_LEVELS; level++)
		bytes += (size_t)gather->gone[level] * pt->table_bytes[level];
	pgtable_count_sub(pt, self, gather->gone);
	/* Without an owner, each table was charged according to the call that made it. */
	if (pt->owner)
		mem_cgroup_uncharge(pt->owner, bytes, page_stat(first));
	else
		page_uncharge_list(first);
	rcu_release_page_list(self, first);
}
