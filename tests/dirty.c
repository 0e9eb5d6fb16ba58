/* SPDX-License-Identifier: MIT */
/*
 * Dirty tracking against a model. The hardware is a walker of its own
 * (dirty_hw.h): it finds the leaf of an address in the tables and sets bits in it
 * as an IOMMU does, at any moment.
 */
#include <uiommu/dirty.h>
#include <uiommu/mm.h>

#include "tests/device.h"
#include "tests/dirty_report.h"

/* ---- one thread, against a model ---- */

struct model {
	bool mapped[PAGES], dirty[PAGES];
};

/* Map the window at random, with large entries where they happen to fit. */
static void map_some(const struct hw *hw, uint64_t base, struct model *m, uint64_t *seed)
{
	unsigned int lg2 = hw->page_lg2, orders = lg2 == 12 ? 12 : 14;

	for (unsigned int i = 0; i < 120; i++) {
		uint64_t size = 1ULL << (lg2 + random_below(seed, orders));
		uint64_t page = random_below(seed, PAGES), n;

		if (random_below(seed, 4))
			page &= ~((size >> lg2) - 1);
		if (random_below(seed, 4) == 0)
			size = (1 + random_below(seed, 700)) << lg2;
		n = size >> lg2;
		if (page + n > PAGES || memchr(&m->mapped[page], true, n))
			continue;
		assert_int_equal(iommu_map(hw->domain, base + (page << lg2),
					   8 * GIB + (page << lg2), size, RW, GFP_KERNEL),
				 0);
		memset(&m->mapped[page], true, n);
	}
}

static void write_some(const struct hw *hw, uint64_t base, struct model *m, uint64_t *seed)
{
	unsigned int lg2 = hw->page_lg2;

	for (unsigned int i = 0; i < 30; i++) {
		uint64_t page = random_below(seed, PAGES);
		uint64_t iova = base + (page << lg2) + random_below(seed, 1ULL << lg2);
		struct leaf leaf;

		assert_int_equal(hw_write(hw, iova, &leaf), m->mapped[page]);
		if (m->mapped[page])
			memset(&m->dirty[(leaf.start - base) >> lg2], true, leaf.size >> lg2);
	}
}

/* Clean every page of each entry that a range of pages has a part of. */
static void clean_entries(const struct hw *hw, uint64_t base, struct model *m, uint64_t page,
			  uint64_t n)
{
	unsigned int lg2 = hw->page_lg2;

	for (uint64_t i = page; i < page + n; i++) {
		struct leaf leaf;

		if (m->mapped[i] && hw_walk(hw, base + (i << lg2), false, &leaf))
			memset(&m->dirty[(leaf.start - base) >> lg2], false, leaf.size >> lg2);
	}
}

static void read_some(const struct hw *hw, uint64_t base, struct model *m, struct report *report,
		      uint64_t *seed)
{
	uint64_t page = random_below(seed, PAGES), n = 1 + random_below(seed, PAGES - page);
	bool no_clear = random_below(seed, 2);

	read_dirty(hw->domain, base + (page << hw->page_lg2), n << hw->page_lg2,
		   no_clear ? IOMMU_DIRTY_NO_CLEAR : 0, report);
	for (uint64_t i = 0; i < PAGES; i++)
		assert_int_equal(report->dirty[i], m->dirty[i] && i >= page && i < page + n);
	if (!no_clear)
		clean_entries(hw, base, m, page, n);
}

static void model_one(const struct shape *shape, uint64_t base, uint64_t *seed)
{
	struct iommu_domain *domain = new_domain(shape);
	struct report *report = calloc(1, sizeof(*report));
	struct model *m = calloc(1, sizeof(*m));
	struct hw hw;

	report->base = base;
	report->page_size = shape->format->granule;
	assert_int_equal(iommu_set_dirty_tracking(domain, true), 0);
	hw = hw_of(shape, domain);
	map_some(&hw, base, m, seed);
	hw = hw_of(shape, domain); /* it may have grown */
	for (unsigned int round = 0; round < 12; round++) {
		write_some(&hw, base, m, seed);
		read_some(&hw, base, m, report, seed);
	}
	/* Once more from the start: everything is clean. */
	write_some(&hw, base, m, seed);
	assert_int_equal(iommu_set_dirty_tracking(domain, true), 0);
	read_dirty(domain, base, window(shape), 0, report);
	assert_int_equal(report->calls, 0);
	free(m);
	free(report);
	iommu_domain_free(domain);
}

static uint64_t highest_window(const struct shape *shape)
{
	bool riscv_signed = is_family(shape->format, "riscv64") && (shape->width - 12) % 9 == 0;

	if (is_family(shape->format, "x86_64") || riscv_signed)
		return ~0ULL << (shape->width - 1);
	return (shape->width < 64 ? 1ULL << shape->width : 0) - window(shape);
}

static void agrees_with_model(void **state)
{
	struct mem_cgroup *memcg = enter_cgroup(NULL);
	struct shape shapes[MAX_SHAPES];
	unsigned int n = wide_shapes(shapes);
	uint64_t seed = 0xd1e7;

	print_message("# seed %#llx\n", (unsigned long long)seed);
	for (unsigned int i = 0; i < n; i++) {
		for (unsigned int round = 0; round < 3; round++) {
			model_one(&shapes[i], GIB, &seed);
			model_one(&shapes[i], 0, &seed);
		}
		/* The upper half of signed addresses, the very end of others. */
		model_one(&shapes[i], highest_window(&shapes[i]), &seed);
	}
	leave_cgroup(memcg);
}

/* ---- what begins clean ---- */

static void mappings_begin_clean(void **state)
{
	struct shape shapes[MAX_SHAPES];
	unsigned int n = wide_shapes(shapes);

	for (unsigned int i = 0; i < n; i++) {
		/* What one table maps, 2 MiB with pages of 4 KiB. */
		uint64_t page = shapes[i].format->granule, span = page * (page / 8);
		struct iommu_domain *domain;
		struct hw hw;

		domain = new_domain(&shapes[i]);
		assert_int_equal(iommu_map(domain, span / 2, span / 2, 2 * page, RW, GFP_KERNEL),
				 0);
		hw = hw_of(&shapes[i], domain);
		/* Some layouts say in advance what nobody asks. */
		assert_int_equal(is_dirty(&hw, span / 2), hw.layout->in_advance);
		assert_int_equal(iommu_set_dirty_tracking(domain, true), 0);
		assert_int_equal(iommu_map(domain, 2 * span, 2 * span, span, RW, GFP_KERNEL), 0);
		assert_false(is_dirty(&hw, span / 2));
		assert_false(is_dirty(&hw, 2 * span));
		assert_true(iommu_mark_dirty(domain, 2 * span + span / 2));
		assert_true(is_dirty(&hw, 2 * span + span / 2));
		assert_false(iommu_mark_dirty(domain, 4 * span + span / 2));
		assert_int_equal(iommu_set_dirty_tracking(domain, false), 0);
		assert_int_equal(iommu_map(domain, 4 * span, span / 2, page, RW, GFP_KERNEL), 0);
		assert_int_equal(is_dirty(&hw, 4 * span), hw.layout->in_advance);
		iommu_domain_free(domain);
	}
}

/* ---- what cannot be written, or not be marked ---- */

/* On Arm the bit that says dirty is the right to write. */
static void read_only_stays_so(void **state)
{
	struct report *report = calloc(1, sizeof(*report));
	struct shape shapes[MAX_SHAPES];
	unsigned int n = wide_shapes(shapes);

	for (unsigned int i = 0; i < n; i++) {
		uint64_t page = shapes[i].format->granule, run = page << 9, before;
		struct iommu_domain *domain;
		struct leaf leaf;
		struct hw hw;

		if (!is_arm64(shapes[i].format))
			continue;
		domain = new_domain(&shapes[i]);
		*report = (struct report){.base = GIB, .page_size = page};
		assert_int_equal(iommu_map(domain, GIB, GIB, run, IOMMU_READ, GFP_KERNEL), 0);
		hw = hw_of(&shapes[i], domain);
		assert_true(hw_walk(&hw, GIB + page, false, &leaf));
		before = hw_load(leaf.slot);
		assert_int_equal(iommu_set_dirty_tracking(domain, true), 0);
		assert_false(iommu_mark_dirty(domain, GIB + page));
		read_dirty(domain, GIB, run, 0, report);
		assert_int_equal(report->calls, 0);
		assert_int_equal(iommu_set_dirty_tracking(domain, false), 0);
		assert_true(hw_load(leaf.slot) == before);
		/* Stage 1: bit 7 takes the right away; stage 2: it gives it. */
		assert_false(bit(before, 51));
		assert_int_equal(bit(before, 7), is_family(shapes[i].format, "arm64-s1"));
		iommu_domain_free(domain);
	}
	free(report);
}

static void some_mark_nothing(void **state)
{
	struct shape shape = {iommu_format_find("s390"), 42};
	struct iommu_domain *domain = new_domain(&shape);
	struct iommu_iotlb_gather gather;
	struct iommu_dirty_bitmap dirty = {.gather = &gather};

	iommu_iotlb_gather_init(&gather);
	assert_int_equal(iommu_map(domain, MIB, MIB, 8 * KIB, RW, GFP_KERNEL), 0);
	assert_false(iommu_domain_tracks_dirty(domain));
	assert_int_equal(iommu_set_dirty_tracking(domain, true), -EOPNOTSUPP);
	assert_int_equal(iommu_set_dirty_tracking(domain, false), -EOPNOTSUPP);
	assert_int_equal(iommu_read_and_clear_dirty(domain, 0, 2 * MIB, 0, &dirty), -EOPNOTSUPP);
	assert_false(iommu_mark_dirty(domain, MIB));
	iommu_domain_free(domain);
}

/* ---- tables that hardware has marked as used ---- */

static void accessed_tables_are_freed(void **state)
{
	struct mem_cgroup *memcg = enter_cgroup(NULL);
	struct shape shapes[MAX_SHAPES];
	unsigned int n = wide_shapes(shapes);

	for (unsigned int i = 0; i < n; i++) {
		uint64_t page = shapes[i].format->granule, iova = 256 * MIB, tables;
		struct iommu_domain *domain;
		struct leaf leaf;
		struct hw hw;

		domain = new_domain(&shapes[i]);
		assert_int_equal(iommu_map(domain, GIB, 0, page, RW, GFP_KERNEL), 0);
		tables = count_tables(domain);
		for (unsigned int round = 0; round < 3; round++, iova += page) {
			assert_int_equal(iommu_map(domain, iova, GIB, page, RW, GFP_KERNEL), 0);
			assert_true(count_tables(domain) > tables);
			hw = hw_of(&shapes[i], domain);
			assert_true(hw_write(&hw, iova, &leaf));
			assert_int_equal(iommu_unmap(domain, iova, page), page);
			assert_int_equal(count_tables(domain), tables);
			assert_false(hw_walk(&hw, iova, false, &leaf));
		}
		iommu_domain_free(domain);
	}
	leave_cgroup(memcg);
}

/* ---- splits ---- */

/* Pages that make the smallest entry of several items, where there is one. */
static unsigned int run_pages(const struct shape *shape)
{
	uint64_t page = shape->format->granule;

	return page == 4096 ? 16 : page == 16384 ? 128 : 32;
}

static void split_hands_on(const struct shape *shape, bool write)
{
	uint64_t page = shape->format->granule, span = page * (page / 8);
	struct iommu_domain *domain = new_domain(shape);
	uint64_t run = GIB + span;
	struct leaf leaf;
	struct hw hw;

	assert_int_equal(iommu_set_dirty_tracking(domain, true), 0);
	assert_int_equal(iommu_map(domain, GIB, GIB, span, RW, GFP_KERNEL), 0);
	assert_int_equal(
		iommu_map(domain, run, span + span / 2, run_pages(shape) * page, RW, GFP_KERNEL),
		0);
	hw = hw_of(shape, domain);
	if (write) {
		assert_true(hw_write(&hw, GIB + span / 2, &leaf));
		assert_int_equal(leaf.size, span);
		assert_true(hw_write(&hw, run + 9 * page, &leaf));
	}
	assert_int_equal(iommu_split_mapping(domain, GIB + 3 * page, page, GFP_KERNEL), 0);
	for (uint64_t at = GIB; at < GIB + span; at += page)
		assert_int_equal(is_dirty(&hw, at), write);
	assert_true(hw_walk(&hw, GIB + 3 * page, false, &leaf));
	assert_true(leaf.size < span);
	/* What was one entry of several items is dirty in all its parts. */
	assert_true(hw_walk(&hw, run + 9 * page, false, &leaf));
	if (!is_family(shape->format, "vtd") && !is_family(shape->format, "x86_64"))
		assert_int_equal(leaf.size, run_pages(shape) * page);
	assert_int_equal(iommu_split_mapping(domain, run + 2 * page, page, GFP_KERNEL), 0);
	for (uint64_t at = leaf.start; at < leaf.start + leaf.size; at += page)
		assert_int_equal(is_dirty(&hw, at), write);
	iommu_domain_free(domain);
}

static void splits_keep_dirt(void **state)
{
	struct shape shapes[MAX_SHAPES];
	unsigned int n = wide_shapes(shapes);

	for (unsigned int i = 0; i < n; i++) {
		split_hands_on(&shapes[i], false);
		split_hands_on(&shapes[i], true);
	}
}

/* Hardware that writes whenever the library allocates. */
static struct hw *alloc_hw;
static uint64_t alloc_iova;
static unsigned int alloc_writes;

static unsigned long one_object(struct shrinker *shrinker)
{
	return 1;
}

static unsigned long write_instead(struct shrinker *shrinker, unsigned long nr)
{
	struct leaf leaf;

	assert_true(hw_write(alloc_hw, alloc_iova, &leaf));
	alloc_writes++;
	return 0;
}

static void splits_lose_no_write(void **state)
{
	struct shrinker shrinker = {.count_objects = one_object, .scan_objects = write_instead};
	struct mem_cgroup *memcg = enter_cgroup(NULL);
	struct shape shapes[MAX_SHAPES];
	unsigned int n = wide_shapes(shapes);

	assert_int_equal(mem_cgroup_write(memcg, "memory.high", "4096"), 0);
	for (unsigned int i = 0; i < n; i++) {
		/* A leaf of one item, which needs a table to be split. */
		uint64_t page = shapes[i].format->granule;
		uint64_t size = page == 4096 ? GIB : page * (page / 8);
		struct iommu_domain *domain;
		struct hw hw;

		domain = new_domain(&shapes[i]);
		assert_int_equal(iommu_set_dirty_tracking(domain, true), 0);
		assert_int_equal(iommu_map(domain, GIB, GIB, size, RW, GFP_KERNEL), 0);
		hw = hw_of(&shapes[i], domain);
		alloc_hw = &hw;
		alloc_iova = GIB + size - 1;
		alloc_writes = 0;
		register_shrinker(&shrinker);
		assert_int_equal(iommu_split_mapping(domain, GIB + 2 * page, page, GFP_KERNEL), 0);
		unregister_shrinker(&shrinker);
		assert_true(alloc_writes);
		for (uint64_t at = GIB; at < GIB + size; at += page)
			assert_true(is_dirty(&hw, at));
		iommu_domain_free(domain);
	}
	leave_cgroup(memcg);
}

/* ---- flushes and arguments ---- */

struct flushed {
	uint64_t first, last;
	unsigned int calls;
};

static void note_flush(void *context, struct iommu_domain *domain, dma_addr_t iova, dma_addr_t last,
		       bool tables)
{
	struct flushed *flushed = context;

	flushed->first = iova;
	flushed->last = last;
	flushed->calls++;
	assert_false(tables);
}

static void cleared_is_flushed(void **state)
{
	static const struct iommu_iotlb_ops ops = {.flush = note_flush};
	struct iommu_domain *domain = plain_domain(IOMMU_DOMAIN_UNMANAGED);
	struct report *report = calloc(1, sizeof(*report));
	struct flushed flushed = {0};

	report->page_size = 4 * KIB;
	assert_int_equal(iommu_map(domain, MIB, MIB, 64 * KIB, RW, GFP_KERNEL), 0);
	assert_int_equal(iommu_set_dirty_tracking(domain, true), 0);
	iommu_domain_set_iotlb_ops(domain, &ops, &flushed);
	assert_true(iommu_mark_dirty(domain, MIB + 8 * KIB));
	assert_true(iommu_mark_dirty(domain, MIB + 16 * KIB));
	read_dirty(domain, MIB, 64 * KIB, IOMMU_DIRTY_NO_CLEAR, report);
	assert_int_equal(report->calls, 2);
	assert_int_equal(flushed.calls, 0);
	read_dirty(domain, MIB, 64 * KIB, 0, report);
	assert_int_equal(flushed.calls, 1);
	assert_int_equal(flushed.first, MIB + 8 * KIB);
	assert_int_equal(flushed.last, MIB + 20 * KIB - 1);
	free(report);
	iommu_domain_free(domain);
}

static void refuses_bad_arguments(void **state)
{
	struct iommu_domain *domain = plain_domain(IOMMU_DOMAIN_UNMANAGED);
	struct iommu_domain *blocked = plain_domain(IOMMU_DOMAIN_BLOCKED);
	struct iommu_iotlb_gather gather;
	struct report *report = calloc(1, sizeof(*report));
	struct iommu_dirty_bitmap dirty = {record, report, &gather};

	iommu_iotlb_gather_init(&gather);
	assert_int_equal(iommu_set_dirty_tracking(blocked, true), -EINVAL);
	assert_false(iommu_domain_tracks_dirty(blocked));
	assert_true(iommu_domain_tracks_dirty(domain));
	assert_int_equal(iommu_read_and_clear_dirty(blocked, 0, MIB, 0, &dirty), -EINVAL);
	assert_int_equal(iommu_read_and_clear_dirty(domain, 0, MIB, 0, &dirty), -EINVAL);
	assert_int_equal(iommu_set_dirty_tracking(domain, true), 0);
	assert_int_equal(iommu_read_and_clear_dirty(domain, 0, 0, 0, &dirty), -EINVAL);
	assert_int_equal(iommu_read_and_clear_dirty(domain, ~0ULL, 2, 0, &dirty), -EINVAL);
	assert_int_equal(iommu_read_and_clear_dirty(domain, 0, MIB, 2, &dirty), -EINVAL);
	assert_int_equal(iommu_read_and_clear_dirty(domain, 0, ~0ULL, 0, &dirty), 0);
	assert_int_equal(report->calls, 0);
	free(report);
	iommu_domain_free(blocked);
	iommu_domain_free(domain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_model),         cmocka_unit_test(mappings_begin_clean),
		cmocka_unit_test(read_only_stays_so),        cmocka_unit_test(some_mark_nothing),
		cmocka_unit_test(accessed_tables_are_freed), cmocka_unit_test(splits_keep_dirt),
		cmocka_unit_test(splits_lose_no_write),      cmocka_unit_test(cleared_is_flushed),
		cmocka_unit_test(refuses_bad_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
