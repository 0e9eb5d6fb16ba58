/* SPDX-License-Identifier: MIT */
/*
 * What a domain should translate: an ordered list of leaves, worked on one by
 * one, that knows nothing of items and tables. A leaf's size follows from the
 * contract of iommu_map(): the largest that addresses, length and levels allow.
 */
#ifndef TESTS_ORACLE_MODEL_H
#define TESTS_ORACLE_MODEL_H

#include "tests/oracle/oracle.h"

struct leaf {
	uint64_t iova, paddr;
	unsigned int size_lg2;
	int access; /* what the format makes of the prot that was asked for */
};

struct model {
	uint64_t pgsizes;
	uint64_t last;          /* of the aperture, its lower half if that is signed */
	bool is_signed;         /* there is an upper half, of the numbers' complements */
	unsigned int page_lg2;  /* of the smallest page */
	unsigned int index_lg2; /* items of a table; only for formats that grow */
	unsigned int levels;    /* at present; 0 for formats that do not grow */
	bool write_only;        /* the format has it; else what may be written may be read */
	struct leaf *leaves;    /* by iova */
	size_t count, room;
};

void model_init(struct model *model, const struct oracle_case *test, struct iommu_domain *domain);
void model_fini(struct model *model);

uint64_t leaf_last(const struct leaf *leaf);
/* Index of the first leaf that ends at or after @iova. */
size_t model_find(const struct model *model, uint64_t iova);
/* The leaf that translates @iova, or NULL. */
const struct leaf *model_lookup(const struct model *model, uint64_t iova);
bool model_overlaps(const struct model *model, uint64_t iova, uint64_t size);
/* Does the range lie in the aperture? */
bool model_has(const struct model *model, uint64_t iova, uint64_t size);
/* How many leaves a mapping would take, or @most if it is that many or more. */
unsigned int model_cost(const struct model *model, uint64_t iova, uint64_t paddr, uint64_t size,
			unsigned int most);

/* As many or more, of splitting the leaf that reaches over an address. */
unsigned int model_split_cost(const struct model *model, uint64_t iova, unsigned int most);

/* The range is free and in the aperture. */
void model_map(struct model *model, uint64_t iova, uint64_t paddr, uint64_t size, int prot);
/* As iommu_unmap(): whole leaves, up to the first address that is not mapped. */
uint64_t model_unmap(struct model *model, uint64_t iova, uint64_t size);
/* As iommu_split_mapping(). */
void model_split(struct model *model, uint64_t iova, uint64_t size);

#endif
