/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the IOVA allocator share: a set with what is live in it, and
 * where a list of intervals says that a range must be.
 */
#ifndef TESTS_IOVA_RIG_H
#define TESTS_IOVA_RIG_H

#include <uiommu/iova.h>

#include "dma/iova.h"
#include "dma/iova_bits.h"
#include "tests/common.h"

#define MOST_LIVE 2000

struct range {
	uint64_t pfn, size;
};

/* A set, what is live in it, and the cgroup that pays. */
struct rig {
	struct mem_cgroup *memcg;
	struct iova_domain *iovad;
	uint64_t end, empty_bytes;
	struct range live[MOST_LIVE];
	unsigned int nr;
};

static inline struct iova_domain_info info_of(struct iova_domain *iovad)
{
	struct iova_domain_info info;

	iova_domain_get_info(iovad, &info);
	return info;
}

static inline void rig_begin(struct rig *rig, uint64_t granule, uint64_t start, uint64_t end)
{
	*rig = (struct rig){.memcg = enter_cgroup(NULL), .end = end};
	rig->iovad = iova_domain_alloc(granule, start, end, GFP_KERNEL_ACCOUNT);
	assert_false(IS_ERR(rig->iovad));
	assert_int_equal(iova_granule(rig->iovad), granule);
	rig->empty_bytes = info_of(rig->iovad).bytes;
}

/* Codes that were too high would show only in the time that a search takes. */
static inline unsigned int check_codes(struct iova_head *head, unsigned int level)
{
	struct iova_node *node = (struct iova_node *)head;

	if (!level) {
		struct iova_leaf *leaf = (struct iova_leaf *)head;

		for (unsigned int w = 0; w < LEAF_WORDS; w++)
			assert_int_equal(code_get(&leaf->codes, w), free_code(~leaf->used[w]));
		return codes_sum(&leaf->codes, 1, 7);
	}
	for (unsigned int i = 0; i < FAN; i++)
		if (node->child[i])
			assert_int_equal(code_get(node->codes, i),
					 check_codes(node->child[i], level - 1));
	return codes_sum(node->codes, FAN / 8, LEAF_LG2 + (level - 1) * FAN_LG2 + 1);
}

/* What is said of the memory is what the cgroup is charged. */
static inline void rig_check(struct rig *rig)
{
	struct iova_domain_info info = info_of(rig->iovad);
	uint64_t used = 0;

	for (unsigned int i = 0; i < rig->nr; i++)
		used += rig->live[i].size;
	assert_int_equal(info.used, used);
	assert_int_equal(info.cached, 0);
	assert_int_equal(check_codes(rig->iovad->used.root, rig->iovad->used.level),
			 rig->iovad->used.code);
	assert_int_equal(info.bytes, mem_cgroup_usage(rig->memcg));
}

static inline void rig_end(struct rig *rig)
{
	iova_domain_free(rig->iovad);
	leave_cgroup(rig->memcg);
}

static inline unsigned int order_of(uint64_t size)
{
	unsigned int order = 0;

	while (1ULL << order < size)
		order++;
	return order;
}

/* Highest place in the gap from @lo to @hi, both included. */
static inline uint64_t gap_place(uint64_t lo, uint64_t hi, uint64_t size, uint64_t align)
{
	uint64_t pfn;

	if (hi < lo || hi - lo < size - 1)
		return 0;
	pfn = (hi - (size - 1)) & -align;
	return pfn >= lo ? pfn : 0;
}

/* @live is sorted. *@holes: the gaps above the place that were too short. */
static inline uint64_t list_place(const struct rig *rig, uint64_t size, uint64_t limit,
				  bool aligned, unsigned int *holes)
{
	uint64_t align = aligned ? 1ULL << order_of(size) : 1, hi = rig->end;

	*holes = 0;
	for (unsigned int i = rig->nr + 1; i--;) {
		uint64_t lo = i ? rig->live[i - 1].pfn + rig->live[i - 1].size : 1;
		uint64_t pfn = gap_place(lo, hi < limit ? hi : limit, size, align);

		if (pfn)
			return pfn;
		*holes += lo <= hi;
		if (i)
			hi = rig->live[i - 1].pfn - 1;
	}
	return 0;
}

static inline uint64_t wide_size(uint64_t *seed, unsigned int bits)
{
	uint64_t size = 1ULL << random_below(seed, random_next(seed) & 1 ? 8 : bits);

	return random_next(seed) & 1 ? size : size + random_below(seed, size);
}

static inline void list_add(struct rig *rig, struct range range)
{
	unsigned int i = rig->nr++;

	for (; i && rig->live[i - 1].pfn > range.pfn; i--)
		rig->live[i] = rig->live[i - 1];
	rig->live[i] = range;
}

static inline void wide_free(struct rig *rig, uint64_t *seed)
{
	unsigned int i = (unsigned int)random_below(seed, rig->nr);
	struct range range = rig->live[i];

	memmove(rig->live + i, rig->live + i + 1, (--rig->nr - i) * sizeof(range));
	free_iova(rig->iovad, range.pfn, range.size);
}

static inline void wide_alloc(struct rig *rig, uint64_t *seed, unsigned int bits)
{
	uint64_t size = wide_size(seed, bits), limit = rig->end, exact, pfn;
	bool aligned = random_next(seed) & 1;
	unsigned int holes;

	if (random_next(seed) & 1)
		limit = random_next(seed) >> (64 - 1 - random_below(seed, bits));
	exact = list_place(rig, size, limit, aligned, &holes);
	pfn = alloc_iova(rig->iovad, size, limit, aligned, GFP_KERNEL);
	if (pfn != exact) {
		assert_true(size > 1 && (!aligned || size & (size - 1)));
		assert_true(pfn < exact && holes >= IOVA_TRIES / 2);
	}
	if (pfn)
		list_add(rig, (struct range){pfn, size});
}

#endif
