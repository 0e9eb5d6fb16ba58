/* SPDX-License-Identifier: MIT */
/*
 * Dirty tracking against a model. The hardware is a walker of its own, written
 * from the formats' descriptions: it finds the leaf of an address in the tables
 * and sets bits in it as an IOMMU does, at any moment.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include <uiommu/dirty.h>
#include <uiommu/mm.h>

#include "tests/device.h"

#define KIB (1ULL << 10)
#define MIB (1ULL << 20)
#define GIB (1ULL << 30)

/* Every kind of tables that takes addresses above 4 GiB. */
static unsigned int wide_shapes(struct shape shapes[MAX_SHAPES])
{
	unsigned int n = list_shapes(shapes), wide = 0;

	for (unsigned int i = 0; i < n; i++)
		if (shapes[i].width > 32)
			shapes[wide++] = shapes[i];
	return wide;
}

/* ---- hardware ---- */

/* Where an address is translated, and by how large an entry. */
struct leaf {
	uint64_t *slot;
	uint64_t start, size;
};

static bool vtd_or_x86_leaf(uint64_t item, unsigned int level, unsigned int *lg2)
{
	*lg2 = 12 + 9 * level;
	return !level || item >> 7 & 1;
}

static bool amdv1_leaf(uint64_t item, unsigned int level, unsigned int *lg2)
{
	unsigned int next = item >> 9 & 7;

	*lg2 = 12 + 9 * level;
	if (next == 7)
		for (*lg2 = 13; item >> (*lg2 - 1) & 1;)
			++*lg2;
	return next == 0 || next == 7;
}

/* The bits that hardware sets: accessed everywhere, dirty in leaves. */
struct layout {
	const char *name;
	uint64_t accessed, dirty, present;
	bool (*leaf)(uint64_t item, unsigned int level, unsigned int *lg2);
};

static const struct layout layouts[] = {
	{"vtd", 1 << 8, 1 << 9, 3, vtd_or_x86_leaf},
	{"x86_64", 1 << 5, 1 << 6, 1, vtd_or_x86_leaf},
	{"amdv1", 1 << 5, 1 << 6, 1, amdv1_leaf},
};

static const struct layout *layout_of(const struct iommu_format *format)
{
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++)
		if (!strcmp(layouts[i].name, format->name))
			return &layouts[i];
	return NULL;
}

struct hw {
	const struct layout *layout;
	struct iommu_domain *domain;
	uint64_t root;
	unsigned int levels;
};

static struct hw hw_of(const struct shape *shape, struct iommu_domain *domain)
{
	struct iommu_domain_info info = domain_info(domain);

	return (struct hw){layout_of(shape->format), domain, info.root, info.levels};
}

/* Walk as an access does; @touch: leave accessed bits on the way. */
static bool hw_walk(const struct hw *hw, uint64_t iova, bool touch, struct leaf *leaf)
{
	uint64_t *table = (uint64_t *)(uintptr_t)hw->root;

	for (unsigned int level = hw->levels; level-- > 0;) {
		uint64_t *slot = &table[iova >> (12 + 9 * level) & 511];
		uint64_t item = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
		unsigned int lg2;

		if (!(item & hw->layout->present))
			return false;
		if (touch)
			__atomic_fetch_or(slot, hw->layout->accessed, __ATOMIC_SEQ_CST);
		if (hw->layout->leaf(item, level, &lg2)) {
			*leaf = (struct leaf){slot, iova >> lg2 << lg2, 1ULL << lg2};
			return true;
		}
		table = (uint64_t *)(uintptr_t)(item & 0x000ffffffffff000ULL);
	}
	return false;
}

/* Write to an address. False when it is not mapped. */
static bool hw_write(const struct hw *hw, uint64_t iova, struct leaf *leaf)
{
	for (;;) {
		uint64_t item;

		if (!hw_walk(hw, iova, true, leaf))
			return false;
		item = __atomic_load_n(leaf->slot, __ATOMIC_ACQUIRE);
		/* As the specifications want it: only if the item is still the same. */
		if (__atomic_compare_exchange_n(leaf->slot, &item, item | hw->layout->dirty, false,
						__ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
			struct leaf now;

			if (hw_walk(hw, iova, false, &now) && now.slot == leaf->slot)
				return true;
		}
	}
}

/* ---- what the library reports ---- */

#define WINDOW (64 * MIB)
#define PAGES  (WINDOW / (4 * KIB))

struct report {
	uint64_t base; /* page 0 */
	uint64_t next; /* the report after this must begin above */
	unsigned int calls;
	uint8_t dirty[PAGES];
};

static void record(void *context, dma_addr_t iova, dma_addr_t last)
{
	struct report *report = context;

	assert_true(iova <= last);
	assert_true(!report->calls || iova > report->next);
	report->calls++;
	report->next = last + 1;
	for (uint64_t at = iova; at <= last && at >= iova; at += 4 * KIB)
		report->dirty[(at - report->base) / (4 * KIB)] = 1;
}

static void read_dirty(struct iommu_domain *domain, uint64_t iova, uint64_t size,
		       unsigned long flags, struct report *report)
{
	struct iommu_iotlb_gather gather;
	struct iommu_dirty_bitmap dirty = {record, report, &gather};

	report->calls = 0;
	memset(report->dirty, 0, sizeof(report->dirty));
	iommu_iotlb_gather_init(&gather);
	assert_int_equal(iommu_read_and_clear_dirty(domain, iova, size, flags, &dirty), 0);
	iommu_iotlb_sync(domain, &gather);
}

/* ---- one thread, against a model ---- */

struct model {
	bool mapped[PAGES], dirty[PAGES];
};

/* Map the window at random, with large entries where they happen to fit. */
static void map_some(struct iommu_domain *domain, uint64_t base, struct model *m, uint64_t *seed)
{
	for (unsigned int i = 0; i < 120; i++) {
		uint64_t size = 4 * KIB << random_below(seed, 12);
		uint64_t page = random_below(seed, PAGES), n;

		if (random_below(seed, 4))
			page &= ~(size / (4 * KIB) - 1);
		if (random_below(seed, 4) == 0)
			size = 4 * KIB * (1 + random_below(seed, 700));
		n = size / (4 * KIB);
		if (page + n > PAGES || memchr(&m->mapped[page], true, n))
			continue;
		assert_int_equal(iommu_map(domain, base + page * 4 * KIB, 8 * GIB + page * 4 * KIB,
					   size, RW, GFP_KERNEL),
				 0);
		memset(&m->mapped[page], true, n);
	}
}

static void write_some(const struct hw *hw, uint64_t base, struct model *m, uint64_t *seed)
{
	for (unsigned int i = 0; i < 30; i++) {
		uint64_t page = random_below(seed, PAGES);
		uint64_t iova = base + page * 4 * KIB + random_below(seed, 4 * KIB);
		struct leaf leaf;

		assert_int_equal(hw_write(hw, iova, &leaf), m->mapped[page]);
		if (m->mapped[page])
			memset(&m->dirty[(leaf.start - base) / (4 * KIB)], true,
			       leaf.size / (4 * KIB));
	}
}

/* Clean every page of each entry that a range of pages has a part of. */
static void clean_entries(const struct hw *hw, uint64_t base, struct model *m, uint64_t page,
			  uint64_t n)
{
	for (uint64_t i = page; i < page + n; i++) {
		struct leaf leaf;

		if (m->mapped[i] && hw_walk(hw, base + i * 4 * KIB, false, &leaf))
			memset(&m->dirty[(leaf.start - base) / (4 * KIB)], false,
			       leaf.size / (4 * KIB));
	}
}

static void read_some(const struct hw *hw, uint64_t base, struct model *m, struct report *report,
		      uint64_t *seed)
{
	uint64_t page = random_below(seed, PAGES), n = 1 + random_below(seed, PAGES - page);
	bool no_clear = random_below(seed, 2);

	read_dirty(hw->domain, base + page * 4 * KIB, n * 4 * KIB,
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
	assert_int_equal(iommu_set_dirty_tracking(domain, true), 0);
	map_some(domain, base, m, seed);
	hw = hw_of(shape, domain);
	for (unsigned int round = 0; round < 12; round++) {
		write_some(&hw, base, m, seed);
		read_some(&hw, base, m, report, seed);
	}
	/* Once more from the start: everything is clean. */
	write_some(&hw, base, m, seed);
	assert_int_equal(iommu_set_dirty_tracking(domain, true), 0);
	read_dirty(domain, base, WINDOW, 0, report);
	assert_int_equal(report->calls, 0);
	free(m);
	free(report);
	iommu_domain_free(domain);
}

static uint64_t highest_window(const struct shape *shape)
{
	if (!strcmp(shape->format->name, "x86_64"))
		return ~0ULL << (shape->width - 1);
	return (shape->width < 64 ? 1ULL << shape->width : 0) - WINDOW;
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

static bool is_dirty(const struct hw *hw, uint64_t iova)
{
	struct leaf leaf;

	assert_true(hw_walk(hw, iova, false, &leaf));
	return *leaf.slot & hw->layout->dirty;
}

static void mappings_begin_clean(void **state)
{
	struct shape shapes[MAX_SHAPES];
	unsigned int n = wide_shapes(shapes);

	for (unsigned int i = 0; i < n; i++) {
		struct iommu_domain *domain;
		struct hw hw;

		domain = new_domain(&shapes[i]);
		assert_int_equal(iommu_map(domain, MIB, MIB, 8 * KIB, RW, GFP_KERNEL), 0);
		hw = hw_of(&shapes[i], domain);
		/* Only x86-64 says in advance what nobody asks. */
		assert_int_equal(is_dirty(&hw, MIB), !strcmp(hw.layout->name, "x86_64"));
		assert_int_equal(iommu_set_dirty_tracking(domain, true), 0);
		assert_int_equal(iommu_map(domain, 4 * MIB, 4 * MIB, 2 * MIB, RW, GFP_KERNEL), 0);
		assert_false(is_dirty(&hw, MIB));
		assert_false(is_dirty(&hw, 4 * MIB));
		assert_true(iommu_mark_dirty(domain, 5 * MIB));
		assert_true(is_dirty(&hw, 5 * MIB));
		assert_false(iommu_mark_dirty(domain, 9 * MIB));
		assert_int_equal(iommu_set_dirty_tracking(domain, false), 0);
		assert_int_equal(iommu_map(domain, 8 * MIB, MIB, 4 * KIB, RW, GFP_KERNEL), 0);
		assert_int_equal(is_dirty(&hw, 8 * MIB), !strcmp(hw.layout->name, "x86_64"));
		iommu_domain_free(domain);
	}
}

/* ---- tables that hardware has marked as used ---- */

static void accessed_tables_are_freed(void **state)
{
	struct mem_cgroup *memcg = enter_cgroup(NULL);
	struct shape shapes[MAX_SHAPES];
	unsigned int n = wide_shapes(shapes);

	for (unsigned int i = 0; i < n; i++) {
		uint64_t iova = 256 * MIB, tables;
		struct iommu_domain *domain;
		struct leaf leaf;
		struct hw hw;

		domain = new_domain(&shapes[i]);
		assert_int_equal(iommu_map(domain, GIB, 0, 4 * KIB, RW, GFP_KERNEL), 0);
		tables = count_tables(domain);
		for (unsigned int round = 0; round < 3; round++, iova += 4 * KIB) {
			assert_int_equal(iommu_map(domain, iova, GIB, 4 * KIB, RW, GFP_KERNEL), 0);
			assert_true(count_tables(domain) > tables);
			hw = hw_of(&shapes[i], domain);
			assert_true(hw_write(&hw, iova, &leaf));
			assert_int_equal(iommu_unmap(domain, iova, 4 * KIB), 4 * KIB);
			assert_int_equal(count_tables(domain), tables);
			assert_false(hw_walk(&hw, iova, false, &leaf));
		}
		iommu_domain_free(domain);
	}
	leave_cgroup(memcg);
}

/* ---- splits ---- */

static void split_hands_on(const struct shape *shape, bool write)
{
	struct iommu_domain *domain = new_domain(shape);
	struct leaf leaf;
	struct hw hw;

	assert_int_equal(iommu_set_dirty_tracking(domain, true), 0);
	assert_int_equal(iommu_map(domain, GIB, GIB, 2 * MIB, RW, GFP_KERNEL), 0);
	assert_int_equal(iommu_map(domain, GIB + 2 * MIB, 3 * MIB, 64 * KIB, RW, GFP_KERNEL), 0);
	hw = hw_of(shape, domain);
	if (write) {
		assert_true(hw_write(&hw, GIB + MIB, &leaf));
		assert_int_equal(leaf.size, 2 * MIB);
		assert_true(hw_write(&hw, GIB + 2 * MIB + 36 * KIB, &leaf));
	}
	assert_int_equal(iommu_split_mapping(domain, GIB + 12 * KIB, 4 * KIB, GFP_KERNEL), 0);
	for (uint64_t at = GIB; at < GIB + 2 * MIB; at += 4 * KIB)
		assert_int_equal(is_dirty(&hw, at), write);
	assert_true(hw_walk(&hw, GIB + 12 * KIB, false, &leaf));
	assert_true(leaf.size < 2 * MIB);
	/* What was one entry of several items (AMD) is dirty in all its parts. */
	assert_true(hw_walk(&hw, GIB + 2 * MIB + 36 * KIB, false, &leaf));
	assert_int_equal(iommu_split_mapping(domain, GIB + 2 * MIB + 8 * KIB, 4 * KIB, GFP_KERNEL),
			 0);
	for (uint64_t at = leaf.start; at < leaf.start + leaf.size; at += 4 * KIB)
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

/* ---- hardware at the same time ---- */

#define RACE_PAGES 4096u

struct race {
	struct hw hw;
	uint64_t base, step; /* pages from here on, by steps */
	uint8_t *written;
	atomic_bool done;
};

static void *race_writer(void *arg)
{
	struct race *race = arg;

	for (uint64_t k = 0; k < RACE_PAGES; k++) {
		uint64_t page = k * race->step % RACE_PAGES;
		struct leaf leaf;

		if (hw_write(&race->hw, race->base + page * 4 * KIB, &leaf))
			race->written[page] = 1;
		if (k % 64 == 0)
			sched_yield();
	}
	atomic_store(&race->done, true);
	return NULL;
}

/* Every write is in the next report or in a later one, none in both. */
static void no_write_is_lost(void **state)
{
	struct shape shapes[MAX_SHAPES];
	unsigned int n = wide_shapes(shapes);
	struct report *report = calloc(1, sizeof(*report));
	unsigned int *seen = calloc(RACE_PAGES, sizeof(*seen));

	for (unsigned int i = 0; i < n; i++) {
		struct race race = {.base = GIB, .step = 1663};
		struct iommu_domain *domain;
		pthread_t thread;

		domain = new_domain(&shapes[i]);
		race.written = calloc(RACE_PAGES, 1);
		memset(seen, 0, RACE_PAGES * sizeof(*seen));
		assert_int_equal(iommu_set_dirty_tracking(domain, true), 0);
		/* No two pages adjoin, so that each is an entry. */
		for (uint64_t page = 0; page < RACE_PAGES; page++)
			assert_int_equal(iommu_map(domain, GIB + page * 4 * KIB, page * 8 * KIB,
						   4 * KIB, RW, GFP_KERNEL),
					 0);
		race.hw = hw_of(&shapes[i], domain);
		report->base = GIB;
		assert_int_equal(pthread_create(&thread, NULL, race_writer, &race), 0);
		for (bool last = false; !last;) {
			last = atomic_load(&race.done);
			read_dirty(domain, GIB, RACE_PAGES * 4 * KIB, 0, report);
			for (unsigned int page = 0; page < RACE_PAGES; page++)
				seen[page] += report->dirty[page];
		}
		pthread_join(thread, NULL);
		for (unsigned int page = 0; page < RACE_PAGES; page++) {
			assert_int_equal(race.written[page], 1);
			assert_int_equal(seen[page], 1);
		}
		free(race.written);
		iommu_domain_free(domain);
	}
	free(seen);
	free(report);
}

/* Hardware that writes whenever the library allocates. */
static struct hw *alloc_hw;
static unsigned int alloc_writes;

static unsigned long one_object(struct shrinker *shrinker)
{
	return 1;
}

static unsigned long write_instead(struct shrinker *shrinker, unsigned long nr)
{
	struct leaf leaf;

	assert_true(hw_write(alloc_hw, 2 * GIB - 1, &leaf));
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
		struct iommu_domain *domain;
		struct hw hw;

		domain = new_domain(&shapes[i]);
		assert_int_equal(iommu_set_dirty_tracking(domain, true), 0);
		assert_int_equal(iommu_map(domain, GIB, GIB, GIB, RW, GFP_KERNEL), 0);
		hw = hw_of(&shapes[i], domain);
		alloc_hw = &hw;
		alloc_writes = 0;
		register_shrinker(&shrinker);
		assert_int_equal(iommu_split_mapping(domain, GIB + 8 * KIB, 4 * KIB, GFP_KERNEL),
				 0);
		unregister_shrinker(&shrinker);
		assert_true(alloc_writes);
		for (uint64_t at = GIB; at < 2 * GIB; at += 4 * KIB)
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
		cmocka_unit_test(agrees_with_model),
		cmocka_unit_test(mappings_begin_clean),
		cmocka_unit_test(accessed_tables_are_freed),
		cmocka_unit_test(splits_keep_dirt),
		cmocka_unit_test(no_write_is_lost),
		cmocka_unit_test(splits_lose_no_write),
		cmocka_unit_test(cleared_is_flushed),
		cmocka_unit_test(refuses_bad_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
