/* SPDX-License-Identifier: MIT */
/*
 * A domain behind an IOTLB: ranges of it that are mapped and unmapped, and
 * devices that translate meanwhile.
 */
#ifndef TESTS_IOTLB_WORLD_H
#define TESTS_IOTLB_WORLD_H

#include "tests/hw.h"

#include "hw/iotlb.h"

#define RANGES 32

/* Hardware reads without regard for what programs do meanwhile. */
#define NO_RACES __attribute__((no_sanitize("thread")))

enum range_state {
	FREE,
	MAPPED,
	PENDING, /* unmapped, but not flushed: devices may see either */
};

struct range {
	uint64_t iova, paddr, size;
	uint64_t mapped; /* bytes of it, from its start; all but after a split */
	enum range_state state;
};

struct cached_domain {
	struct iommu_domain *domain;
	struct hw_iotlb_domain cached; /* as the hardware knows it */
	struct hw_layout layout;
	uint64_t page;
	struct range ranges[RANGES];
	unsigned int nr_ranges;
};

/* Where a domain's tables are, and of what size. */
struct table_memory {
	uint64_t root, top_bytes, block;
	struct hw_memory memory;
	struct hw_tables tables;
};

/* By the first page of each table's block; what slabs hold is not looked into. */
NO_RACES static inline bool is_table_in_use(const struct table_memory *where, uint64_t paddr)
{
	const struct page *page = virt_to_page(phys_to_virt(paddr & ~(where->block - 1)));

	return paddr - where->root < where->top_bytes || page->use == PAGE_TABLE ||
	       page->use == PAGE_SLAB;
}

/* Memory as the hardware reads it, item by item. A table that was freed is no memory. */
NO_RACES static inline bool read_tables(void *context, uint64_t paddr, void *to, size_t bytes)
{
	uint64_t first = virt_to_phys(arena.base);
	const volatile uint64_t *items;

	if (paddr < first || paddr - first > arena.size - bytes || !is_table_in_use(context, paddr))
		return false;
	items = phys_to_virt(paddr);
	for (size_t i = 0; i < bytes / sizeof(*items); i++)
		((uint64_t *)to)[i] = items[i];
	return true;
}

static inline void find_tables(const struct cached_domain *domain, struct table_memory *where)
{
	struct hw_layout layout;

	where->tables = hw_tables_of(domain->domain);
	where->tables.memory = &where->memory;
	where->memory = (struct hw_memory){.read = read_tables, .context = where};
	assert_int_equal(hw_layout(&where->tables, &layout), 0);
	where->root = where->tables.root;
	where->top_bytes = UINT64_C(8) << layout.level[layout.levels - 1].bits;
	where->block = UINT64_C(1) << layout.level[0].shift;
}

/* One access of a device, through the IOTLB. */
static inline enum hw_fault device_access(const struct cached_domain *domain, uint64_t iova,
					  unsigned int access, struct hw_translation *out)
{
	struct table_memory where;

	find_tables(domain, &where);
	return hw_iotlb_translate(domain->cached.iotlb, domain->cached.domain, &where.tables, iova,
				  access, out);
}

static inline unsigned int count_stale(const struct cached_domain *domain)
{
	struct table_memory where;

	find_tables(domain, &where);
	return hw_iotlb_check(domain->cached.iotlb, domain->cached.domain, &where.tables, NULL);
}

/* What a device may not see at an offset of a range. */
static inline bool is_wrong(const struct range *range, uint64_t offset, enum hw_fault fault,
			    const struct hw_translation *got)
{
	bool is_old = !fault && got->paddr == range->paddr + offset;
	bool is_gone = fault == HW_FAULT_NOT_PRESENT;

	if (range->state == PENDING)
		return !is_old && !is_gone;
	return range->state == MAPPED && offset < range->mapped ? !is_old : !is_gone;
}

/* A device looks at one address of a range; true if it sees what it may not. */
static inline bool look(const struct cached_domain *domain, const struct range *range,
			uint64_t offset)
{
	struct hw_translation got;
	enum hw_fault fault = device_access(domain, range->iova + offset, HW_READ | HW_WRITE, &got);

	return is_wrong(range, offset, fault, &got);
}

/* Look at both ends and somewhere between. */
static inline unsigned int look_over(const struct cached_domain *domain, const struct range *range,
				     uint64_t *random)
{
	return look(domain, range, 0) + look(domain, range, range->size - 1) +
	       look(domain, range, random_below(random, range->size));
}

static inline void add_range(struct cached_domain *domain, uint64_t iova, uint64_t size)
{
	struct range *range = &domain->ranges[domain->nr_ranges];
	uint64_t align = UINT64_C(1) << (domain->layout.levels > 1 ? domain->layout.level[1].shift
								   : domain->layout.level[0].shift);

	if (domain->nr_ranges == RANGES || iova > domain_info(domain->domain).aperture_last - size)
		return;
	/* Far apart from those of all others, and aligned as the range. */
	range->paddr = (domain->cached.domain * RANGES + domain->nr_ranges + 1) * 2 * align;
	range->paddr += iova & (align - 1);
	range->iova = iova;
	range->size = size;
	domain->nr_ranges++;
}

/*
 * Ranges that share tables with each other at every level, so that the tables
 * come and go in many ways, and one that a large leaf can map.
 */
static inline void add_ranges(struct cached_domain *domain)
{
	uint64_t page = domain->page, leaf;

	for (unsigned int level = 0; level < domain->layout.levels; level++) {
		uint64_t start = level ? UINT64_C(1) << domain->layout.level[level].shift : 0;

		for (unsigned int i = 0; i < 4; i++)
			add_range(domain, start + 8 * i * page, (1 + i) * page);
	}
	if (domain->layout.levels < 2)
		return;
	leaf = UINT64_C(1) << domain->layout.level[1].shift;
	add_range(domain, 4 * leaf, leaf);
	add_range(domain, 5 * leaf, 2 * leaf);
}

static inline void open_domain(struct cached_domain *domain, const struct shape *shape,
			       struct hw_iotlb *iotlb, unsigned int id)
{
	struct hw_tables tables;

	*domain = (struct cached_domain){
		.domain = new_domain(shape),
		.cached = {iotlb, id},
		.page = smallest_page(shape->format),
	};
	tables = hw_tables_of(domain->domain);
	assert_int_equal(hw_layout(&tables, &domain->layout), 0);
	iommu_domain_set_iotlb_ops(domain->domain, &hw_iotlb_ops, &domain->cached);
	add_ranges(domain);
}

/* Shapes that hardware knows. */
static inline unsigned int list_hw_shapes(struct shape shapes[MAX_SHAPES])
{
	unsigned int all = list_shapes(shapes), count = 0;

	for (unsigned int i = 0; i < all; i++)
		if (hw_format_of(shapes[i].format))
			shapes[count++] = shapes[i];
	return count;
}

#endif
