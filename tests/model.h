/* SPDX-License-Identifier: MIT */
/*
 * A domain as its contract describes it: an ordered list of leaves, worked on by
 * scanning. What tables it needs follows from the leaves alone: each needs the
 * tables of every level from its own to the top on the path to it.
 */
#ifndef TESTS_MODEL_H
#define TESTS_MODEL_H

#include "tests/common.h"

struct leaf {
	uint64_t iova, paddr, size;
};

struct model {
	uint64_t pgsizes;
	uint64_t last; /* of the aperture */
	const struct iommu_format *format;
	unsigned int width;    /* of input addresses */
	unsigned int page_lg2; /* of the smallest page */
	unsigned int levels;   /* of tables; some formats grow */
	struct leaf *leaves;   /* by iova */
	size_t count, room;
};

static inline void model_init(struct model *model, struct iommu_domain *domain)
{
	struct iommu_domain_info info = domain_info(domain);

	*model = (struct model){
		.pgsizes = info.pgsizes,
		.last = info.aperture_last,
		.page_lg2 = (unsigned int)__builtin_ctzll(info.pgsizes),
		.levels = info.levels,
		.format = iommu_format_find(info.format),
		.width = info.address_width,
	};
}

static inline void model_fini(struct model *model)
{
	free(model->leaves);
}

/* Index of the first leaf that ends after @iova. */
static inline size_t model_find(const struct model *model, uint64_t iova)
{
	size_t low = 0, high = model->count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct leaf *leaf = &model->leaves[middle];

		if (leaf->iova + (leaf->size - 1) < iova)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static inline bool model_overlaps(const struct model *model, uint64_t iova, uint64_t size)
{
	size_t i = model_find(model, iova);

	return i < model->count && model->leaves[i].iova <= iova + (size - 1);
}

static inline uint64_t model_lookup(const struct model *model, uint64_t iova)
{
	size_t i = model_find(model, iova);

	if (i == model->count || model->leaves[i].iova > iova)
		return 0;
	return model->leaves[i].paddr + (iova - model->leaves[i].iova);
}

static inline void model_insert(struct model *model, struct leaf leaf)
{
	size_t i = model_find(model, leaf.iova);

	if (model->count == model->room) {
		model->room = model->room ? 2 * model->room : 64;
		model->leaves = realloc(model->leaves, model->room * sizeof(*model->leaves));
		assert_non_null(model->leaves);
	}
	/* Not memmove(), which the address sanitizer does byte by byte. */
	for (size_t j = model->count++; j > i; j--)
		model->leaves[j] = model->leaves[j - 1];
	model->leaves[i] = leaf;
}

static inline void model_remove(struct model *model, size_t i)
{
	model->count--;
	for (; i < model->count; i++)
		model->leaves[i] = model->leaves[i + 1];
}

/* z/Architecture: page tables of 256 items, the others of 2048; charged as objects. */
static inline bool tables_are_objects(const struct model *model)
{
	return !strcmp(model->format->name, "s390");
}

static inline bool table_grows(const struct model *model)
{
	return !strcmp(model->format->name, "amdv1");
}

/* log2 of the bytes under one item of a level. */
static inline unsigned int model_shift(const struct model *model, unsigned int level)
{
	if (tables_are_objects(model))
		return level ? 20 + 11 * (level - 1) : 12;
	/* Elsewhere a table of 8-byte items fills one page of the smallest size. */
	return model->page_lg2 + level * (model->page_lg2 - 3);
}

/* Bytes of a table of the level: those of its items, at least a page for the top. */
static inline uint64_t model_table_bytes(const struct model *model, unsigned int level)
{
	unsigned int lg2 = model_shift(model, level + 1) - model_shift(model, level) + 3;

	if (level + 1 < model->levels || table_grows(model))
		return 1ULL << lg2;
	lg2 = model->width - model_shift(model, level) + 3;
	return 1ULL << (lg2 < 12 ? 12 : lg2);
}

/* The level whose tables hold leaves of a size. */
static inline unsigned int model_level(const struct model *model, uint64_t size)
{
	unsigned int level = 0;

	while (model_shift(model, level + 1) <= (unsigned int)__builtin_ctzll(size))
		level++;
	return level;
}

/* The largest leaf that the addresses, the length and the levels allow. */
static inline uint64_t model_leaf_size(const struct model *model, uint64_t iova, uint64_t paddr,
				       uint64_t size)
{
	for (int lg2 = 63; lg2 >= 0; lg2--) {
		uint64_t leaf = 1ULL << lg2;

		if ((model->pgsizes & leaf) && leaf <= size && !((iova | paddr) & (leaf - 1)) &&
		    model_level(model, leaf) < model->levels)
			return leaf;
	}
	fail_msg("no leaf for 0x%llx", (unsigned long long)iova);
	return 0;
}

/* Grow, where the format can, until the tables span @last. */
static inline void model_grow(struct model *model, uint64_t last)
{
	while (table_grows(model) && model_shift(model, model->levels) < 64 &&
	       last >> model_shift(model, model->levels))
		model->levels++;
}

/* The range is free, lies in the aperture, and the tables span it. */
static inline void model_map(struct model *model, uint64_t iova, uint64_t paddr, uint64_t size)
{
	while (size) {
		uint64_t leaf = model_leaf_size(model, iova, paddr, size);

		model_insert(model, (struct leaf){iova, paddr, leaf});
		iova += leaf;
		paddr += leaf;
		size -= leaf;
	}
}

static inline uint64_t model_unmap(struct model *model, uint64_t iova, uint64_t size)
{
	uint64_t last = iova + (size - 1), unmapped = 0;
	size_t i = model_find(model, iova);

	while (i < model->count && model->leaves[i].iova <= iova && iova <= last) {
		struct leaf leaf = model->leaves[i];

		unmapped += leaf.size;
		model_remove(model, i);
		iova = leaf.iova + leaf.size;
		if (!iova) /* the end of the address space */
			break;
	}
	return unmapped;
}

/* Replace a leaf that reaches over @iova by the largest ones that do not. */
static inline void model_split(struct model *model, uint64_t iova)
{
	size_t i = model_find(model, iova);
	struct leaf leaf;

	if (i == model->count || model->leaves[i].iova >= iova)
		return;
	leaf = model->leaves[i];
	model_remove(model, i);
	model_map(model, leaf.iova, leaf.paddr, iova - leaf.iova);
	model_map(model, iova, leaf.paddr + (iova - leaf.iova), leaf.iova + leaf.size - iova);
}

/* Tables of each level below the top one, which is always there. */
static inline void model_tables(const struct model *model, uint64_t tables[IOMMU_MAX_LEVELS])
{
	memset(tables, 0, IOMMU_MAX_LEVELS * sizeof(*tables));
	tables[model->levels - 1] = 1;
	for (unsigned int level = 0; level + 1 < model->levels; level++) {
		unsigned int shift = model_shift(model, level + 1);
		uint64_t before = ~0ULL;

		for (size_t i = 0; i < model->count; i++) {
			const struct leaf *leaf = &model->leaves[i];
			uint64_t index = leaf->iova >> shift;

			if (model_level(model, leaf->size) > level || index == before)
				continue;
			tables[level]++;
			before = index;
		}
	}
}

static inline uint64_t model_bytes(const struct model *model)
{
	uint64_t tables[IOMMU_MAX_LEVELS], sum = 0;

	model_tables(model, tables);
	for (unsigned int level = 0; level < model->levels; level++)
		sum += tables[level] * model_table_bytes(model, level);
	return sum;
}

/* Compare the tables of a domain, level by level. */
static inline void model_check_tables(const struct model *model, struct iommu_domain *domain)
{
	struct iommu_domain_info info = domain_info(domain);
	uint64_t tables[IOMMU_MAX_LEVELS];

	model_tables(model, tables);
	assert_int_equal(info.levels, model->levels);
	for (unsigned int level = 0; level < IOMMU_MAX_LEVELS; level++)
		assert_int_equal(info.tables[level], tables[level]);
	assert_int_equal(info.table_bytes, model_bytes(model));
}

/* Compare the translations at both ends of every leaf and just beside it. */
static inline void model_check_lookups(const struct model *model, struct iommu_domain *domain)
{
	for (size_t i = 0; i < model->count; i++) {
		const struct leaf *leaf = &model->leaves[i];
		uint64_t last = leaf->iova + (leaf->size - 1);

		assert_int_equal(iommu_iova_to_phys(domain, leaf->iova), leaf->paddr);
		assert_int_equal(iommu_iova_to_phys(domain, last), leaf->paddr + leaf->size - 1);
		if (leaf->iova)
			assert_int_equal(iommu_iova_to_phys(domain, leaf->iova - 1),
					 model_lookup(model, leaf->iova - 1));
		if (last < model->last)
			assert_int_equal(iommu_iova_to_phys(domain, last + 1),
					 model_lookup(model, last + 1));
	}
}

#endif
