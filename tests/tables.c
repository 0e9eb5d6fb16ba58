/* SPDX-License-Identifier: MIT */
/*
 * A second opinion on the tables: a walker written from the formats' facts alone,
 * without a header of the engine. After each of many random operations it reads
 * the raw items from the root down and compares every translation, leaf size and
 * right with the model, and the number of tables of each level with the domain's.
 */
#include "tests/common.h"
#include "tests/model.h"

#include "mm/page.h"

#define SEED  0x7ab1e5ULL
#define STEPS 150
#define OA    0x000ffffffffff000ULL

struct walker {
	const struct model *model;
	const char *format;
	size_t next; /* leaf of the model */
	uint64_t tables[IOMMU_MAX_LEVELS];
};

/* What one item says. */
struct item {
	bool present, leaf, read, write, cache, noexec;
	uint64_t oa;
	unsigned int run_lg2;
};

static uint64_t bit(uint64_t item, unsigned int n)
{
	return item >> n & 1;
}

static struct item read_vtd(uint64_t raw, unsigned int level)
{
	return (struct item){
		.present = raw & 3,
		.leaf = !level || bit(raw, 7),
		.read = bit(raw, 0),
		.write = bit(raw, 1),
		.cache = bit(raw, 11),
		.oa = raw & OA,
	};
}

static struct item read_x86_64(uint64_t raw, unsigned int level)
{
	assert_true(!raw || (bit(raw, 0) && bit(raw, 2)));
	return (struct item){
		.present = bit(raw, 0),
		.leaf = !level || bit(raw, 7),
		.read = true,
		.write = bit(raw, 1),
		.noexec = bit(raw, 63),
		.oa = raw & OA,
	};
}

static struct item read_amdv1(uint64_t raw, unsigned int level)
{
	unsigned int next = raw >> 9 & 7, s = 12;
	struct item item = {
		.present = bit(raw, 0),
		.leaf = next == 0 || next == 7,
		.read = bit(raw, 61),
		.write = bit(raw, 62),
		.cache = bit(raw, 60),
		.oa = raw & OA,
	};

	if (!item.present || !item.leaf) {
		/* Tables counted from 1: below that of level 1 (counted from 0) is 1. */
		assert_true(!item.present || next == level);
		return item;
	}
	if (next == 7) {
		while (bit(raw, s))
			s++;
		s++;
		item.oa &= ~((1ULL << s) - 1);
		item.run_lg2 = s - (12 + 9 * level);
		assert_in_range(item.run_lg2, 1, 8);
	}
	return item;
}

static struct item read_item(const struct walker *w, uint64_t raw, unsigned int level)
{
	if (!strcmp(w->format, "vtd"))
		return read_vtd(raw, level);
	if (!strcmp(w->format, "x86_64"))
		return read_x86_64(raw, level);
	assert_string_equal(w->format, "amdv1");
	return read_amdv1(raw, level);
}

/* Rights go with the physical address, so that the model need not know them. */
static int prot_of(uint64_t paddr)
{
	int prot = (int)(paddr >> 45) & 15;

	return prot & RW ? prot : prot | IOMMU_READ;
}

static void check_leaf(struct walker *w, const struct item *item, uint64_t iova, uint64_t size)
{
	const struct leaf *want = &w->model->leaves[w->next];
	int prot = prot_of(item->oa);
	bool x86 = !strcmp(w->format, "x86_64");

	assert_true(w->next < w->model->count);
	w->next++;
	assert_int_equal(iova, want->iova);
	assert_int_equal(size, want->size);
	assert_int_equal(item->oa, want->paddr);
	assert_int_equal(item->write, !!(prot & IOMMU_WRITE));
	if (x86)
		assert_int_equal(item->noexec, !!(prot & IOMMU_NOEXEC));
	else
		assert_int_equal(item->read, !!(prot & IOMMU_READ));
	if (!x86)
		assert_int_equal(item->cache, !!(prot & IOMMU_CACHE));
}

static void walk(struct walker *w, uint64_t table, unsigned int level, uint64_t iova, bool top)
{
	const uint64_t *items = (const uint64_t *)(uintptr_t)table;
	unsigned int used = 0;
	int live = atomic_load(&virt_to_page(items)->live);

	w->tables[level]++;
	for (unsigned int i = 0; i < 512; i++) {
		struct item item = read_item(w, items[i], level);
		uint64_t size = 1ULL << (12 + 9 * level), at = iova + i * size;

		if (!item.present) {
			assert_int_equal(items[i], 0);
			continue;
		}
		used++;
		if (!item.leaf) {
			assert_true(item.write);
			assert_true(item.read);
			walk(w, item.oa, level - 1, at, false);
			continue;
		}
		assert_int_equal(i % (1u << item.run_lg2), 0);
		for (unsigned int k = 1; k < 1u << item.run_lg2; k++)
			assert_int_equal(items[i + k], items[i]);
		check_leaf(w, &item, at, size << item.run_lg2);
		i += (1u << item.run_lg2) - 1;
		used += (1u << item.run_lg2) - 1;
	}
	/* The top's count says besides that it is the top. */
	assert_int_equal(top ? live & 0xffff : live, used);
	assert_true(top || used);
}

static void check(const struct model *model, struct iommu_domain *domain)
{
	struct iommu_domain_info info = domain_info(domain);
	struct walker w = {.model = model, .format = info.format};

	walk(&w, info.root, info.levels - 1, 0, true);
	assert_int_equal(w.next, model->count);
	for (unsigned int level = 0; level < IOMMU_MAX_LEVELS; level++)
		assert_int_equal(w.tables[level], info.tables[level]);
	model_check_tables(model, domain);
}

static void step(struct model *model, struct iommu_domain *domain, uint64_t *random)
{
	unsigned int lg2 = 12 + (unsigned int)random_below(random, 24);
	uint64_t span = model->last < 1ULL << 45 ? model->last : 1ULL << 45;
	uint64_t size = (1 + random_below(random, 40)) << lg2;
	uint64_t iova = random_below(random, 4) << lg2 | random_below(random, 40) << 12;
	uint64_t paddr = random_below(random, 128) << 45 | random_below(random, 64) << lg2;

	if (!random_below(random, 3))
		iova += (span + 1) / 2;
	if (model->last == ~0ULL && !random_below(random, 8))
		iova = -(1ULL << 43) + (iova & ((1ULL << 42) - 1));
	if (!random_below(random, 3))
		paddr += iova & ((1ULL << lg2) - 1);
	/* Not more leaves than the model can take. */
	if (size > 1ULL << 30 && ((iova ^ paddr) & 0x3fffffff))
		size = 1ULL << 30;
	if (size > 1ULL << 21 && (((iova ^ paddr) & 0x1fffff) || !(model->pgsizes >> 21 & 1)))
		size = 4096 * (1 + random_below(random, 700));
	if (iova > model->last || size - 1 > model->last - iova)
		return;
	switch (model->count > 3000 ? 9 : random_below(random, 10)) {
	case 9:
		while (model->count) {
			struct leaf leaf = model->leaves[0];

			assert_int_equal(iommu_unmap(domain, leaf.iova, leaf.size), leaf.size);
			model_remove(model, 0);
		}
		break;
	case 8:
		if (!(model->pgsizes >> 21 & 1))
			break;
		assert_int_equal(iommu_split_mapping(domain, iova, size, GFP_KERNEL), 0);
		model_split(model, iova);
		if (iova + size)
			model_split(model, iova + size);
		break;
	case 7:
	case 6:
		assert_int_equal(iommu_unmap(domain, iova, size), model_unmap(model, iova, size));
		break;
	default:
		if (model_overlaps(model, iova, size)) {
			assert_int_equal(
				iommu_map(domain, iova, paddr, size, prot_of(paddr), GFP_KERNEL),
				-EADDRINUSE);
			break;
		}
		assert_int_equal(iommu_map(domain, iova, paddr, size, prot_of(paddr), GFP_KERNEL),
				 0);
		model_grow(model, iova + size - 1);
		model_map(model, iova, paddr, size);
	}
}

static void test_shape(const struct shape *shape, uint64_t pgsizes, uint64_t seed)
{
	struct iommu_domain_params params = {
		.format = shape->format->name,
		.address_width = shape->width,
		.pgsizes = pgsizes,
	};
	struct iommu_domain *domain = iommu_domain_alloc(&params, GFP_KERNEL);
	struct model model;

	assert_false(IS_ERR(domain));
	model_init(&model, domain);
	for (unsigned int i = 0; i < STEPS; i++) {
		step(&model, domain, &seed);
		check(&model, domain);
	}
	model_fini(&model);
	iommu_domain_free(domain);
}

static void random_tables(void **state)
{
	struct shape shapes[MAX_SHAPES];
	unsigned int count = list_shapes(shapes);

	for (unsigned int i = 0; i < count; i++) {
		print_message("# %s, %u bits, seed 0x%llx\n", shapes[i].format->name,
			      shapes[i].width, SEED + i);
		test_shape(&shapes[i], 0, SEED + i);
		test_shape(&shapes[i], 0x40201000, SEED + i + 100);
		test_shape(&shapes[i], 0x1000, SEED + i + 200);
	}
}

struct flushed {
	unsigned int calls;
	bool tables;
	uint64_t start, last;
};

static void note_flush(void *context, struct iommu_domain *domain, dma_addr_t iova, dma_addr_t last,
		       bool tables)
{
	struct flushed *flushed = context;

	flushed->calls++;
	flushed->tables |= tables;
	flushed->start = iova;
	flushed->last = last;
}

/* While a device may know a table that is gone, a new one in its place asks for a flush. */
static void new_table_before_sync(void **state)
{
	static const struct iommu_iotlb_ops ops = {.flush = note_flush};
	const uint64_t iova = 0x40000000, page = 4096;
	struct shape shapes[MAX_SHAPES];
	unsigned int count = list_shapes(shapes);

	for (unsigned int i = 0; i < count; i++) {
		struct iommu_domain *domain = new_domain(&shapes[i]);
		struct iommu_iotlb_gather gather;
		struct flushed flushed = {0};

		if (domain_info(domain).levels < 2) {
			iommu_domain_free(domain);
			continue;
		}
		iommu_domain_set_iotlb_ops(domain, &ops, &flushed);
		assert_int_equal(iommu_map(domain, iova, page, page, RW, GFP_KERNEL), 0);
		assert_int_equal(flushed.calls, 0);
		iommu_iotlb_gather_init(&gather);
		assert_int_equal(iommu_unmap_fast(domain, iova, page, &gather), page);
		assert_non_null(gather.freelist);
		assert_true(gather.tables && gather.start <= iova && gather.last >= iova);
		assert_int_equal(iommu_map(domain, iova, page, page, RW, GFP_KERNEL), 0);
		assert_int_equal(flushed.calls, 1);
		assert_true(flushed.tables && flushed.start <= iova && flushed.last >= iova);
		iommu_iotlb_sync(domain, &gather);
		assert_int_equal(flushed.calls, 2);
		/* Nothing is in a gather any more. */
		assert_int_equal(iommu_map(domain, 2 * iova, page, page, RW, GFP_KERNEL), 0);
		assert_int_equal(flushed.calls, 2);
		assert_int_equal(iommu_unmap(domain, iova, page), page);
		assert_true(flushed.start <= iova && flushed.last >= iova + page - 1);
		iommu_domain_free(domain);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_tables),
		cmocka_unit_test(new_table_before_sync),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
