/* SPDX-License-Identifier: MIT */
#include "tests/oracle/model.h"

#include <stdlib.h>
#include <string.h>

static bool starts_with(const char *name, const char *with)
{
	return !strncmp(name, with, strlen(with));
}

/* Can an item let writes through and not reads? */
static bool has_write_only(const char *format)
{
	return starts_with(format, "vtd") || starts_with(format, "amdv1") ||
	       starts_with(format, "arm64-s2");
}

static bool is_sign_extended(const struct oracle_case *test)
{
	if (starts_with(test->format, "riscv64"))
		return test->width == 39 || test->width == 48 || test->width == 57;
	return starts_with(test->format, "x86_64");
}

void model_init(struct model *model, const struct oracle_case *test, struct iommu_domain *domain)
{
	bool grows = starts_with(test->format, "amdv1");
	struct iommu_domain_info info;

	iommu_domain_get_info(domain, &info);
	*model = (struct model){
		.pgsizes = info.pgsizes,
		.last = info.aperture_last,
		.is_signed = is_sign_extended(test),
		.page_lg2 = (unsigned int)__builtin_ctzll(info.pgsizes),
		.index_lg2 = 9,
		.levels = grows ? info.levels : 0,
		.write_only = has_write_only(test->format),
	};
}

void model_fini(struct model *model)
{
	free(model->leaves);
	*model = (struct model){0};
}

/* ---- questions ---- */

uint64_t leaf_last(const struct leaf *leaf)
{
	return leaf->iova + ((UINT64_C(1) << leaf->size_lg2) - 1);
}

size_t model_find(const struct model *model, uint64_t iova)
{
	size_t low = 0, high = model->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (leaf_last(&model->leaves[middle]) < iova)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct leaf *model_lookup(const struct model *model, uint64_t iova)
{
	size_t i = model_find(model, iova);

	return i < model->count && model->leaves[i].iova <= iova ? &model->leaves[i] : NULL;
}

bool model_overlaps(const struct model *model, uint64_t iova, uint64_t size)
{
	size_t i = model_find(model, iova);

	return i < model->count && model->leaves[i].iova <= iova + (size - 1);
}

bool model_has(const struct model *model, uint64_t iova, uint64_t size)
{
	uint64_t last = iova + (size - 1);

	if (last < iova)
		return false;
	return last <= model->last || (model->is_signed && iova >= ~model->last);
}

/* log2 of the largest leaf that the addresses, the length and the levels allow. */
static unsigned int leaf_size(const struct model *model, uint64_t iova, uint64_t paddr,
			      uint64_t size)
{
	unsigned int most = model->levels ? model->page_lg2 + model->levels * model->index_lg2 : 64;

	for (unsigned int lg2 = 63; lg2 >= model->page_lg2; lg2--) {
		uint64_t leaf = UINT64_C(1) << lg2;

		if ((model->pgsizes & leaf) && leaf <= size && !((iova | paddr) & (leaf - 1)) &&
		    lg2 < most)
			return lg2;
	}
	die("the model has no leaf for %#llx", (unsigned long long)iova);
}

unsigned int model_cost(const struct model *model, uint64_t iova, uint64_t paddr, uint64_t size,
			unsigned int most)
{
	unsigned int leaves = 0;

	while (size && leaves < most) {
		uint64_t leaf = UINT64_C(1) << leaf_size(model, iova, paddr, size);

		iova += leaf;
		paddr += leaf;
		size -= leaf;
		leaves++;
	}
	return leaves;
}

/* ---- changes ---- */

static void insert(struct model *model, struct leaf leaf)
{
	size_t i = model_find(model, leaf.iova);

	if (model->count == model->room) {
		model->room = model->room ? 2 * model->room : 256;
		model->leaves = realloc(model->leaves, model->room * sizeof(*model->leaves));
		if (!model->leaves)
			die("no memory for the model");
	}
	memmove(&model->leaves[i + 1], &model->leaves[i],
		(model->count - i) * sizeof(*model->leaves));
	model->leaves[i] = leaf;
	model->count++;
}

static void remove_leaf(struct model *model, size_t i)
{
	model->count--;
	memmove(&model->leaves[i], &model->leaves[i + 1],
		(model->count - i) * sizeof(*model->leaves));
}

/* Tables of a format that grows span @last from now on. */
static void grow(struct model *model, uint64_t last)
{
	unsigned int shift;

	while (model->levels) {
		shift = model->page_lg2 + model->levels * model->index_lg2;
		if (shift >= 64 || !(last >> shift))
			return;
		model->levels++;
	}
}

static void add_leaves(struct model *model, uint64_t iova, uint64_t paddr, uint64_t size,
		       int access)
{
	while (size) {
		unsigned int lg2 = leaf_size(model, iova, paddr, size);
		uint64_t leaf = UINT64_C(1) << lg2;

		insert(model, (struct leaf){iova, paddr, lg2, access});
		iova += leaf;
		paddr += leaf;
		size -= leaf;
	}
}

void model_map(struct model *model, uint64_t iova, uint64_t paddr, uint64_t size, int prot)
{
	int access = prot & RW;

	if (!model->write_only)
		access |= IOMMU_READ;
	grow(model, iova + (size - 1));
	add_leaves(model, iova, paddr, size, access);
}

uint64_t model_unmap(struct model *model, uint64_t iova, uint64_t size)
{
	uint64_t last = iova + (size - 1), unmapped = 0;
	size_t i = model_find(model, iova);

	while (i < model->count && model->leaves[i].iova <= iova && iova <= last) {
		struct leaf leaf = model->leaves[i];

		unmapped += UINT64_C(1) << leaf.size_lg2;
		remove_leaf(model, i);
		iova = leaf_last(&leaf) + 1;
		if (!iova) /* the end of the address space */
			break;
	}
	return unmapped;
}

/* Replace a leaf that reaches over @iova by the largest ones that do not. */
static void split_at(struct model *model, uint64_t iova)
{
	size_t i = model_find(model, iova);
	struct leaf leaf;
	uint64_t head;

	if (i == model->count || model->leaves[i].iova >= iova)
		return;
	leaf = model->leaves[i];
	head = iova - leaf.iova;
	remove_leaf(model, i);
	add_leaves(model, leaf.iova, leaf.paddr, head, leaf.access);
	add_leaves(model, iova, leaf.paddr + head, (UINT64_C(1) << leaf.size_lg2) - head,
		   leaf.access);
}

unsigned int model_split_cost(const struct model *model, uint64_t iova, unsigned int most)
{
	const struct leaf *leaf = model_lookup(model, iova);
	uint64_t head = leaf ? iova - leaf->iova : 0;

	if (!head)
		return 0;
	return model_cost(model, leaf->iova, leaf->paddr, head, most) +
	       model_cost(model, iova, leaf->paddr + head, (UINT64_C(1) << leaf->size_lg2) - head,
			  most);
}

void model_split(struct model *model, uint64_t iova, uint64_t size)
{
	split_at(model, iova);
	if (iova + size) /* else it ends with the address space */
		split_at(model, iova + size);
}
