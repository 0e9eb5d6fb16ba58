/* SPDX-License-Identifier: MIT */
/*
 * A second opinion on the tables: a walker written from the formats' facts alone,
 * without a header of the engine. After each of many random operations it reads
 * the raw items from the root down and compares every translation, leaf size and
 * right with the model, and the number of tables of each level with the domain's.
 */
#include <endian.h>

#include "tests/model.h"

#include "mm/page.h"
#include "mm/slab.h"

#define SEED  0x7ab1e5ULL
#define STEPS 150

struct walker;

typedef struct item (*reader)(const struct walker *w, uint64_t raw, unsigned int level);

struct walker {
	const struct model *model;
	const struct iommu_format *format;
	reader read;
	uint64_t empty[2]; /* what translates nothing, at level 0 and above */
	unsigned int width, levels, page_lg2;
	size_t next; /* leaf of the model */
	uint64_t tables[IOMMU_MAX_LEVELS];
};

/* What one item says. */
struct item {
	bool present, leaf;
	int prot;  /* what is allowed, and how */
	int knows; /* which of IOMMU_* the layout can tell */
	uint64_t oa;
	unsigned int run_lg2;
};

static uint64_t bit(uint64_t item, unsigned int n)
{
	return item >> n & 1;
}

static uint64_t bits(uint64_t item, unsigned int last, unsigned int first)
{
	return item >> first & ((2ULL << (last - first)) - 1);
}

/* Bits of an address that lie where they belong. */
static uint64_t oa_of(uint64_t raw, unsigned int last, unsigned int first)
{
	return bits(raw, last, first) << first;
}

static int prot_if(uint64_t set, int prot)
{
	return set ? prot : 0;
}

static struct item read_vtd(const struct walker *w, uint64_t raw, unsigned int level)
{
	return (struct item){
		.present = raw & 3,
		.leaf = !level || bit(raw, 7),
		.prot = prot_if(bit(raw, 0), IOMMU_READ) | prot_if(bit(raw, 1), IOMMU_WRITE) |
			prot_if(bit(raw, 11), IOMMU_CACHE),
		.knows = RW | IOMMU_CACHE,
		.oa = oa_of(raw, 51, 12),
	};
}

static struct item read_x86_64(const struct walker *w, uint64_t raw, unsigned int level)
{
	assert_true(bit(raw, 2));
	return (struct item){
		.present = bit(raw, 0),
		.leaf = !level || bit(raw, 7),
		.prot = IOMMU_READ | prot_if(bit(raw, 1), IOMMU_WRITE) |
			prot_if(bit(raw, 63), IOMMU_NOEXEC),
		.knows = IOMMU_WRITE | IOMMU_NOEXEC,
		.oa = oa_of(raw, 51, 12),
	};
}

static struct item read_amdv1(const struct walker *w, uint64_t raw, unsigned int level)
{
	unsigned int next = bits(raw, 11, 9), s = 12;
	struct item item = {
		.present = bit(raw, 0),
		.leaf = next == 0 || next == 7,
		.prot = prot_if(bit(raw, 61), IOMMU_READ) | prot_if(bit(raw, 62), IOMMU_WRITE) |
			prot_if(bit(raw, 60), IOMMU_CACHE),
		.knows = RW | IOMMU_CACHE,
		.oa = oa_of(raw, 51, 12),
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

/* What both stages have; true for a leaf. */
static bool read_arm64(const struct walker *w, uint64_t raw, unsigned int level, struct item *item)
{
	item->present = bit(raw, 0);
	item->leaf = level ? !bit(raw, 1) : true;
	item->oa = oa_of(raw, 47, w->page_lg2);
	if (w->page_lg2 == 16)
		item->oa |= bits(raw, 15, 12) << 48;
	if (!item->present)
		return false;
	if (!item->leaf) {
		/* Nothing but the address: no attribute takes from what leaves say. */
		assert_int_equal(bits(raw, 1, 0), 3);
		assert_int_equal(raw & ~(oa_of(raw, 47, 12) | 3), 0);
		item->prot = RW;
		return false;
	}
	assert_int_equal(bit(raw, 1), !level);
	assert_int_equal(bit(raw, 10), 1); /* nobody handles access flag faults */
	assert_int_equal(bits(raw, 9, 8) & 2, 2);
	assert_int_equal(bits(raw, 63, 55), 0);
	if (bit(raw, 52))
		item->run_lg2 = w->page_lg2 == 12 ? 4 : w->page_lg2 == 14 && !level ? 7 : 5;
	return true;
}

static struct item read_arm64_s1(const struct walker *w, uint64_t raw, unsigned int level)
{
	struct item item = {.knows = IOMMU_WRITE | IOMMU_CACHE | IOMMU_NOEXEC};

	if (!read_arm64(w, raw, level, &item))
		return item;
	/* Not tracked: what may be written (DBM) is not marked read-only. */
	assert_int_equal(bit(raw, 51), !bit(raw, 7));
	assert_int_equal(bit(raw, 6), 1);
	assert_int_equal(bit(raw, 11), 1);
	assert_int_equal(bit(raw, 53), bit(raw, 54));
	assert_in_range(bits(raw, 4, 2), 0, 1);
	item.prot = IOMMU_READ | prot_if(!bit(raw, 7), IOMMU_WRITE) |
		    prot_if(bits(raw, 4, 2) == 1, IOMMU_CACHE) |
		    prot_if(bit(raw, 54), IOMMU_NOEXEC);
	return item;
}

static struct item read_arm64_s2(const struct walker *w, uint64_t raw, unsigned int level)
{
	struct item item = {.knows = RW | IOMMU_CACHE | IOMMU_NOEXEC};

	if (!read_arm64(w, raw, level, &item))
		return item;
	assert_int_equal(bit(raw, 51), bit(raw, 7));
	assert_true(bits(raw, 5, 2) == 15 || bits(raw, 5, 2) == 5);
	assert_int_equal(bits(raw, 53, 53) | bit(raw, 11), 0);
	item.prot = prot_if(bit(raw, 6), IOMMU_READ) | prot_if(bit(raw, 7), IOMMU_WRITE) |
		    prot_if(bits(raw, 5, 2) == 15, IOMMU_CACHE) |
		    prot_if(bit(raw, 54), IOMMU_NOEXEC);
	return item;
}

static struct item read_riscv64(const struct walker *w, uint64_t raw, unsigned int level)
{
	struct item item = {
		.present = bit(raw, 0),
		.leaf = bits(raw, 3, 1),
		.knows = IOMMU_WRITE | IOMMU_NOEXEC,
		.oa = bits(raw, 53, 10) << 12,
	};

	assert_int_equal(bits(raw, 62, 54), 0);
	if (!item.present)
		return item;
	if (!item.leaf) {
		/* RSW, bits 9:8, are for software in a table's item, too. */
		assert_int_equal(bits(raw, 7, 1) | bit(raw, 63), 0);
		item.prot = RW;
		return item;
	}
	assert_true(bit(raw, 1) && bit(raw, 4) && bit(raw, 6));
	assert_int_equal(bit(raw, 7), bit(raw, 2));
	item.prot = IOMMU_READ | prot_if(bit(raw, 2), IOMMU_WRITE) |
		    prot_if(!bit(raw, 3), IOMMU_NOEXEC);
	if (bit(raw, 63)) {
		assert_int_equal(level, 0);
		assert_int_equal(bits(raw, 13, 10), 8);
		item.oa &= ~0xffffULL;
		item.run_lg2 = 4;
	}
	return item;
}

static struct item read_s390(const struct walker *w, uint64_t raw, unsigned int level)
{
	uint64_t invalid = level ? 0x20 : 0x400;
	struct item item = {.present = !(raw & invalid), .knows = IOMMU_WRITE};

	item.leaf = !level || (level == 1 && bit(raw, 10));
	item.prot = IOMMU_READ | prot_if(!bit(raw, 9), IOMMU_WRITE);
	if (!level)
		assert_int_equal(bits(raw, 11, 10) | bits(raw, 8, 0), 0);
	else if (item.leaf)
		assert_int_equal(bits(raw, 19, 11) | bits(raw, 8, 0), 0);
	else if (level == 1)
		assert_int_equal(bits(raw, 10, 0), 0);
	else /* a region table's type, from 1 on, and length 3 */
		assert_int_equal(bits(raw, 11, 0), (level - 1) << 2 | 3);
	item.oa = raw & ~(level && !item.leaf ? 0x7ffULL : 0xfffULL);
	return item;
}

static reader reader_of(const struct iommu_format *format)
{
	static const struct {
		const char *family;
		reader read;
	} readers[] = {
		{"vtd", read_vtd},           {"x86_64", read_x86_64},     {"amdv1", read_amdv1},
		{"arm64-s1", read_arm64_s1}, {"arm64-s2", read_arm64_s2}, {"riscv64", read_riscv64},
		{"s390", read_s390},
	};

	for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++)
		if (is_family(format, readers[i].family))
			return readers[i].read;
	fail_msg("nobody here can read %s", format->name);
	return NULL;
}

/* log2 of the bytes under one item. */
static unsigned int shift_of(const struct walker *w, unsigned int level)
{
	if (is_family(w->format, "s390"))
		return level ? 20 + 11 * (level - 1) : 12;
	return w->page_lg2 + (w->page_lg2 - 3) * level;
}

static unsigned int items_of(const struct walker *w, unsigned int level)
{
	unsigned int shift = shift_of(w, level);

	if (level + 1 == w->levels && !is_family(w->format, "amdv1"))
		return 1u << (w->width - shift);
	return 1u << (shift_of(w, level + 1) - shift);
}

/* Live items of a table, as the library counts them. */
static int live_of(const struct walker *w, const uint64_t *items)
{
	struct page *page =
		is_family(w->format, "s390") ? table_object_page(items) : virt_to_page(items);

	return atomic_load(&page->live);
}

/* Rights go with the physical address, so that the model need not know them. */
static unsigned int prot_shift(const struct iommu_format *format)
{
	return paddr_bits(format) - 7;
}

static int prot_of(const struct iommu_format *format, uint64_t paddr)
{
	int prot = (int)(paddr >> prot_shift(format)) & 15;

	return prot & RW ? prot : prot | IOMMU_READ;
}

static void check_leaf(struct walker *w, const struct item *item, uint64_t iova, uint64_t size)
{
	const struct leaf *want = &w->model->leaves[w->next];

	assert_true(w->next < w->model->count);
	w->next++;
	assert_int_equal(iova, want->iova);
	assert_int_equal(size, want->size);
	assert_int_equal(item->oa, want->paddr);
	assert_int_equal(item->prot & item->knows, prot_of(w->format, item->oa) & item->knows);
}

static struct item read_item(const struct walker *w, uint64_t stored, unsigned int level)
{
	bool big_endian = !strcmp(w->format->name, "s390");

	return w->read(w, big_endian ? be64toh(stored) : le64toh(stored), level);
}

/* The items of a run are alike, but that Arm's have an address each. */
static void check_run(const struct walker *w, const uint64_t *items, const struct item *first,
		      unsigned int level)
{
	uint64_t step = is_arm64(w->format) ? 1ULL << shift_of(w, level) : 0;
	uint64_t address = step ? htole64(0x0000fffffffff000ULL) : 0;

	for (unsigned int k = 1; k < 1u << first->run_lg2; k++) {
		struct item item = read_item(w, items[k], level);

		assert_int_equal(items[k] & ~address, items[0] & ~address);
		assert_int_equal(item.oa, first->oa + k * step);
		assert_true(item.present && item.leaf && item.run_lg2 == first->run_lg2);
	}
}

static void walk(struct walker *w, uint64_t table, unsigned int level, uint64_t iova, bool top)
{
	const uint64_t *items = (const uint64_t *)(uintptr_t)table;
	unsigned int used = 0, count = items_of(w, level);
	uint64_t size = 1ULL << shift_of(w, level);
	int live = live_of(w, items);

	w->tables[level]++;
	for (unsigned int i = 0; i < count; i++) {
		uint64_t at = iova + i * size;
		struct item item;

		if (items[i] == w->empty[!!level])
			continue;
		item = read_item(w, items[i], level);
		assert_true(item.present);
		used++;
		if (!item.leaf) {
			assert_int_equal(item.prot & RW, RW);
			walk(w, item.oa, level - 1, at, false);
			continue;
		}
		assert_int_equal(i % (1u << item.run_lg2), 0);
		check_run(w, &items[i], &item, level);
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
	struct walker w = {
		.model = model,
		.format = model->format,
		.read = reader_of(model->format),
		.width = info.address_width,
		.levels = info.levels,
		.page_lg2 = (unsigned int)__builtin_ctzll(info.pgsizes),
	};

	if (is_family(model->format, "s390")) {
		w.empty[0] = htobe64(0x400);
		w.empty[1] = htobe64(0x20);
	}
	walk(&w, info.root, info.levels - 1, 0, true);
	assert_int_equal(w.next, model->count);
	for (unsigned int level = 0; level < IOMMU_MAX_LEVELS; level++)
		assert_int_equal(w.tables[level], info.tables[level]);
	model_check_tables(model, domain);
}

struct request {
	uint64_t iova, paddr, size;
};

/* Not more leaves than the model can take. */
static uint64_t limit_size(const struct model *model, const struct request *q, uint64_t *random)
{
	uint64_t page = model->format->granule, block = lowest_table_span(model->format);
	uint64_t big = model->pgsizes >> 30 & 1 ? 1ULL << 30 : block;
	uint64_t size = q->size, skew = q->iova ^ q->paddr;

	if (size > big && skew & (big - 1))
		size = big;
	if (size > block && (skew & (block - 1) || !(model->pgsizes & block)))
		size = page * (1 + random_below(random, 700));
	return size / big > 3000 ? big * (1 + random_below(random, 700)) : size;
}

/* Of 64K pages, whose blocks are of 8192, not more than 700 before and after blocks. */
static uint64_t limit_ends(const struct request *q)
{
	const uint64_t block = 1ULL << 29, few = 700ULL << 16;
	uint64_t lead = -q->iova & (block - 1), tail = (q->iova + q->size) & (block - 1);

	if (lead > few)
		return q->size < few ? q->size : few;
	return tail > few && q->size > tail ? q->size - tail : q->size;
}

static struct request random_request(const struct model *model, uint64_t *random)
{
	unsigned int page_lg2 = model->page_lg2, rights = prot_shift(model->format);
	/* Physical addresses have to stay below the rights. */
	unsigned int most = model->width < 32 ? model->width - 4 : rights > 41 ? 35 : 34;
	unsigned int lg2 = page_lg2 + (unsigned int)random_below(random, most + 1 - page_lg2);
	uint64_t span = model->last < 1ULL << 45 ? model->last : 1ULL << 45;
	struct request q;

	q.size = (1 + random_below(random, 40)) << lg2;
	q.iova = random_below(random, 4) << lg2;
	q.iova |= random_below(random, 40) << page_lg2;
	if (page_lg2 == 16 && lg2 >= 29)
		q.iova = -q.iova & ((4ULL << lg2) - 1);
	q.paddr = random_below(random, 128) << rights;
	q.paddr |= random_below(random, 64) << lg2;
	if (!random_below(random, 3))
		q.iova += (span + 1) / 2;
	if (model->last == ~0ULL && !random_below(random, 8))
		q.iova = -(1ULL << 43) + (q.iova & ((1ULL << 42) - 1));
	if (!random_below(random, 3))
		q.paddr += q.iova & ((1ULL << lg2) - 1);
	q.size = limit_size(model, &q, random);
	if (page_lg2 == 16)
		q.size = limit_ends(&q);
	return q;
}

static void step(struct model *model, struct iommu_domain *domain, uint64_t *random)
{
	struct request q = random_request(model, random);
	uint64_t iova = q.iova, paddr = q.paddr, size = q.size;
	int prot = prot_of(model->format, paddr);

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
		if (!(model->pgsizes & lowest_table_span(model->format)))
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
			assert_int_equal(iommu_map(domain, iova, paddr, size, prot, GFP_KERNEL),
					 -EADDRINUSE);
			break;
		}
		assert_int_equal(iommu_map(domain, iova, paddr, size, prot, GFP_KERNEL), 0);
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
	for (unsigned int i = 0; i < SCALED(STEPS); i++) {
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
		uint64_t page = shapes[i].format->granule;
		uint64_t block = lowest_table_span(shapes[i].format);

		print_message("# %s, %u bits, seed 0x%llx\n", shapes[i].format->name,
			      shapes[i].width, SEED + i);
		test_shape(&shapes[i], 0, SEED + i);
		/* One size for each of the lower levels; the smallest only. */
		test_shape(&shapes[i], page | block | block * (page / 8), SEED + i + 100);
		test_shape(&shapes[i], page, SEED + i + 200);
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
	struct shape shapes[MAX_SHAPES];
	unsigned int count = list_shapes(shapes);

	for (unsigned int i = 0; i < count; i++) {
		struct iommu_domain *domain = new_domain(&shapes[i]);
		uint64_t iova = 0x40000000, page = shapes[i].format->granule;
		struct iommu_iotlb_gather gather;
		struct flushed flushed = {0};

		if (domain_info(domain).levels < 2) {
			iommu_domain_free(domain);
			continue;
		}
		if (shapes[i].width < 32)
			iova = 1ULL << (shapes[i].width - 2);
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
