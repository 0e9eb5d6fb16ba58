/* SPDX-License-Identifier: MIT */
/*
 * Callbacks that the library makes in the middle of a call, and that call it
 * themselves: shrinkers at every allocation, flushes of the IOTLB, fault handlers.
 * After each of them every translation, the tables and the charges must be right,
 * whatever the callback did, also when an allocation fails or memory is short.
 */
#include "tests/callbacks.h"

/* What the test itself does. 0, or a negative errno that is allowed. */
struct op {
	const char *name;
	void (*prepare)(struct stage *s);
	int (*run)(struct stage *s);
	int expected;
};

/* ---- the callbacks ---- */

static struct {
	struct stage *stage;
	const struct act *act;
	unsigned int countdown; /* acts when this becomes 0 */
	bool inside;
} callback;

static bool callback_acts(void)
{
	struct stage *s = callback.stage;

	if (!s || callback.inside || !callback.countdown || --callback.countdown)
		return false;
	callback.inside = true;
	callback.act->run(s);
	callback.inside = false;
	return true;
}

static unsigned long count_objects(struct shrinker *shrinker)
{
	return callback.countdown;
}

static unsigned long scan_objects(struct shrinker *shrinker, unsigned long nr)
{
	return callback_acts();
}

static struct shrinker shrinker = {.count_objects = count_objects, .scan_objects = scan_objects};

static void flush(void *context, struct iommu_domain *domain, dma_addr_t iova, dma_addr_t last,
		  bool tables)
{
	callback_acts();
}

static const struct iommu_iotlb_ops iotlb_ops = {.flush = flush};

static int handle_fault(struct iommu_domain *domain, struct iommu_device *dev, dma_addr_t iova,
			int flags, void *token)
{
	callback_acts();
	return 0;
}

/* ---- what the test does meanwhile ---- */

static void nothing(struct stage *s)
{
}

static int map_range(struct stage *s, uint64_t iova, uint64_t size)
{
	uint64_t paddr = some_paddr(s);
	int ret = iommu_map(s->domain, iova, paddr, size, RW, GFP_KERNEL_ACCOUNT);

	range_new(s, s->domain, iova, paddr, size)->mapped = !ret;
	return ret;
}

/* From one table through the next one to a third. */
static int map_across(struct stage *s)
{
	return map_range(s, s->base + 2 * s->unit - 2 * s->page, s->unit + 4 * s->page);
}

static void occupy_end(struct stage *s)
{
	map_at(s, s->domain, s->base + 3 * s->unit + s->page, s->page);
}

static int map_page(struct stage *s)
{
	return map_range(s, s->base + s->unit, s->page);
}

static int map_into_victims_table(struct stage *s)
{
	return map_range(s, s->base + 7 * s->page, s->page);
}

/* Shares a table of the second level above with the victim. */
static int map_next(struct stage *s)
{
	uint64_t iova = s->base + next_level_span(s);

	if (iova > s->last - 4 * s->unit || iova < s->base)
		return 0;
	return map_range(s, iova + s->unit, 3 * s->unit - s->page);
}

static int map_deep(struct stage *s)
{
	return map_range(s, s->last / 4 / s->unit * s->unit + s->unit - s->page, 2 * s->page);
}

static int map_high(struct stage *s)
{
	return map_range(s, s->last - (2 * s->unit - 1), s->unit + s->page);
}

static int map_large(struct stage *s)
{
	struct range *range =
		range_new(s, s->domain, s->base + 14 * s->unit, 14 * s->unit, s->unit);
	int ret = iommu_map(s->domain, range->iova, range->paddr, range->size, RW,
			    GFP_KERNEL_ACCOUNT);

	range->mapped = !ret;
	return ret;
}

static int map_pieces(struct stage *s)
{
	struct iommu_sg sg[] = {
		{3 * s->page, 2 * s->page}, {7 * s->page, s->unit}, {2 * s->page, 2 * s->page}};
	uint64_t iova = s->base + 2 * s->unit - 2 * s->page;
	ssize_t ret;

	ret = iommu_map_sg(s->domain, iova, sg, 3, RW, GFP_KERNEL_ACCOUNT);
	for (unsigned int i = 0; i < 3; i++) {
		range_new(s, s->domain, iova, sg[i].paddr, sg[i].length)->mapped = ret > 0;
		iova += sg[i].length;
	}
	return ret < 0 ? (int)ret : 0;
}

/* Nobody else may change what is being split. */
static void keep_large2(struct stage *s)
{
	struct range *range = &s->ranges[LARGE2];

	s->kept = range_new(s, s->domain, range->iova, range->paddr, range->size);
	s->kept->mapped = range->mapped;
	range->domain = NULL;
	range->mapped = false;
}

static int split(struct stage *s)
{
	int ret;

	if (!s->kept->mapped)
		return 0;
	s->kept->breaks = domain_info(s->domain).split_breaks;
	ret = iommu_split_mapping(s->domain, s->kept->iova, s->page, GFP_KERNEL_ACCOUNT);
	s->kept->breaks = false;
	s->kept->split = !ret;
	return ret;
}

static int alloc_domain_and_map(struct stage *s)
{
	struct iommu_domain *domain =
		alloc_domain(&s->at.shape, IOMMU_DOMAIN_UNMANAGED, GFP_KERNEL_ACCOUNT);
	int ret;

	if (IS_ERR(domain))
		return (int)PTR_ERR(domain);
	ret = iommu_map(domain, s->base, 3 * s->page, s->page, RW, GFP_KERNEL);
	assert_int_equal(iommu_iova_to_phys(domain, s->base), ret ? 0 : 3 * s->page);
	iommu_domain_free(domain);
	return ret;
}

static int unmap_one(struct stage *s, unsigned int i)
{
	struct range *range = &s->ranges[i];
	bool mapped = range->mapped;

	range->mapped = false; /* by the time that it is flushed */
	assert_int_equal(iommu_unmap(s->domain, range->iova, range->size),
			 mapped ? range->size : 0);
	return 0;
}

static int unmap_victims_page(struct stage *s)
{
	return unmap_one(s, VICTIM);
}

static int unmap_full_table(struct stage *s)
{
	return unmap_one(s, FULL);
}

static int unmap_large(struct stage *s)
{
	return unmap_one(s, LARGE2);
}

static int clean_dirty_bits(struct stage *s)
{
	if (iommu_domain_tracks_dirty(s->domain)) {
		assert_int_equal(iommu_set_dirty_tracking(s->domain, true), 0);
		assert_int_equal(iommu_set_dirty_tracking(s->domain, false), 0);
	}
	return 0;
}

static int report_fault(struct stage *s)
{
	return report_iommu_fault(s->domain, NULL, s->base, IOMMU_FAULT_READ);
}

static const struct op allocating[] = {
	{"map across tables", nothing, map_across, 0},
	{"map onto a page", occupy_end, map_across, -EADDRINUSE},
	{"map a page", nothing, map_page, 0},
	{"map in the victim's table", nothing, map_into_victims_table, 0},
	{"map under the next table", nothing, map_next, 0},
	{"map elsewhere", nothing, map_deep, 0},
	{"map at the end", nothing, map_high, 0},
	{"map a large entry", nothing, map_large, 0},
	{"map a list", nothing, map_pieces, 0},
	{"map a list onto a page", occupy_end, map_pieces, -EADDRINUSE},
	{"split", keep_large2, split, 0},
	{"allocate a domain", nothing, alloc_domain_and_map, 0},
};

static const struct op flushing[] = {
	{"unmap a page", nothing, unmap_victims_page, 0},
	{"unmap a full table", nothing, unmap_full_table, 0},
	{"unmap a large entry", nothing, unmap_large, 0},
	{"map across tables", nothing, map_across, 0},
	{"map onto a page", occupy_end, map_across, -EADDRINUSE},
	{"map a list onto a page", occupy_end, map_pieces, -EADDRINUSE},
	{"map at the end", nothing, map_high, 0},
	{"split", keep_large2, split, 0},
	{"clean dirty bits", nothing, clean_dirty_bits, 0},
	{"report a fault", nothing, report_fault, 0},
};

/* ---- one run ---- */

struct run {
	struct setting at;
	const struct op *op;
	const struct act *act;
	unsigned int nth;      /* the callback that acts */
	unsigned int fail_nth; /* 0: none */
	bool sticky;
	uint64_t room; /* bytes that may be charged besides, or ~0 and shrinkers run each time */
};

static struct run current; /* for the message of a failure */
static unsigned long runs;

/* What the test would need, alone. */
static void run_op(struct stage *s, const struct run *run)
{
	int ret = run->op->run(s);

	if (ret != run->op->expected)
		assert_true(s->may_fail && ret == -ENOMEM);
}

static void set_limits(struct stage *s, const struct run *run)
{
	if (run->room == ~0ULL)
		assert_int_equal(mem_cgroup_write(s->memcg, "memory.high", "0"), 0);
	else
		cgroup_limit(s->memcg, mem_cgroup_usage(s->memcg) + run->room);
	s->may_fail = run->fail_nth || run->room != ~0ULL;
}

/* *acted: the callback did. Returns whether an injected failure was met. */
static bool run_once(const struct run *run, bool *acted)
{
	struct uiommu_mm_stat before, after;
	struct stage s;
	bool hit;

	current = *run;
	runs++;
	uiommu_mm_stat(&before);
	stage_begin(&s, &run->at);
	run->op->prepare(&s);
	iommu_domain_set_iotlb_ops(s.domain, &iotlb_ops, NULL);
	iommu_set_fault_handler(s.domain, handle_fault, NULL);
	set_limits(&s, run);
	callback.stage = &s;
	callback.act = run->act;
	callback.countdown = run->nth;
	uiommu_fail_nth(run->fail_nth, run->sticky);
	run_op(&s, run);
	hit = uiommu_fail_nth(0, false);
	*acted = !callback.countdown;
	callback.countdown = 0;
	callback.stage = NULL;
	mem_cgroup_write(s.memcg, "memory.high", "max");
	cgroup_limit(s.memcg, ~0ULL);
	stage_check(&s);
	/* What went wrong would be found by those who use the same tables next. */
	s.may_fail = false;
	map_at(&s, s.domain, s.base + 13 * s.unit, s.page);
	map_at(&s, s.other, s.base + 13 * s.unit - s.page, 2 * s.page);
	stage_check(&s);
	stage_end(&s);
	uiommu_mm_stat(&after);
	assert_int_equal(after.tables, before.tables);
	return hit;
}

static void say_where(const struct run *run)
{
	print_message("# %s, %u bits, %s%s: %s, in callback %u: %s; failing %u%s, room %lld\n",
		      run->at.shape.format->name, run->at.shape.width,
		      run->at.middle ? "middle" : "start", run->at.sparse ? ", sparse" : "",
		      run->op->name, run->nth, run->act->name, run->fail_nth,
		      run->sticky ? " and all after" : "", (long long)run->room);
}

static int after_test(void **state)
{
	if (current.op)
		say_where(&current);
	return 0;
}

/* ---- all of them ---- */

/* Of the kinds of one format the default one, or all. */
static void each_run(const struct op *ops, unsigned int nr_ops, bool all_widths,
		     void (*each)(struct run *run))
{
	struct shape shapes[MAX_SHAPES];
	unsigned int count = list_shapes(shapes);

	runs = 0;
	for (unsigned int i = 0; i < count * 4; i++) {
		struct run run = {.at = {shapes[i / 4], i & 1, i & 2}};

		if (!setting_is_chosen(i) || !setting_is_possible(&run.at) ||
		    (!all_widths && run.at.shape.width != run.at.shape.format->width_default))
			continue;
		for (unsigned int op = 0; op < nr_ops; op++) {
			for (unsigned int act = 0; act < NR_ACTS; act++) {
				run.op = &ops[op];
				run.act = &acts[act];
				each(&run);
			}
		}
	}
	print_message("# %lu runs\n", runs);
	current.op = NULL;
}

/* The act at each callback, until there is one fewer. */
static void each_callback(struct run *run)
{
	bool acted = true;

	run->room = ~0ULL;
	run->fail_nth = 0;
	for (run->nth = 1; acted; run->nth++)
		run_once(run, &acted);
}

/* The same, with each of the allocations failing, in the act too. */
static void each_failure(struct run *run)
{
	bool acted = true;

	run->room = ~0ULL;
	for (run->nth = 1; acted; run->nth++) {
		bool any = false, now;

		for (run->fail_nth = 1; run_once(run, &now); run->fail_nth++)
			any |= now;
		acted = any | now;
	}
}

/* Room for each number of tables, from none up to what is enough. */
static void each_limit(struct run *run)
{
	uint64_t page = smallest_page(run->at.shape.format);
	uint64_t table = is_family(run->at.shape.format, "s390") ? 2048 : page;
	bool acted = true, any = true;

	run->fail_nth = 0;
	for (run->nth = 1; any; run->nth++) {
		any = false;
		acted = true;
		for (run->room = 0; acted && run->room < 16 * table; run->room += table) {
			run_once(run, &acted);
			any |= acted;
		}
	}
}

#define OPS(ops) ops, sizeof(ops) / sizeof(ops[0])

static void shrinkers_act(void **state)
{
	each_run(OPS(allocating), true, each_callback);
}

static void shrinkers_act_and_allocations_fail(void **state)
{
	each_run(OPS(allocating), false, each_failure);
}

static void shrinkers_act_at_limits(void **state)
{
	each_run(OPS(allocating), false, each_limit);
}

static void flushes_act(void **state)
{
	each_run(OPS(flushing), true, each_callback);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(shrinkers_act, after_test),
		cmocka_unit_test_teardown(shrinkers_act_and_allocations_fail, after_test),
		cmocka_unit_test_teardown(shrinkers_act_at_limits, after_test),
		cmocka_unit_test_teardown(flushes_act, after_test),
	};

	register_shrinker(&shrinker);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
