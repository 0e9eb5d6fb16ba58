// SPDX-License-Identifier: MIT
/*
 * The engine's flushes, judged by an IOTLB that believes what it kept: devices
 * translate between random maps and unmaps, and after a sync never see what was
 * there before. Every way to spoil the flushes is then tried, and must be seen.
 */
#include "tests/iotlb_world.h"

#define SEED 0x107cbULL
#ifdef HW_SANITIZED
#define STEPS 3000
#else
#define STEPS 20000
#endif
#define DOMAINS 2
/* Steps within which a spoiled flush must show. */
#define PATIENCE 100000

static const struct hw_iotlb_shape iotlb_shape = {
	.sets = 8, .ways = 4, .table_sets = 4, .table_ways = 4};

/* What is wrong with the flushes of a run. */
enum fault_of_flush {
	HONEST,
	MISSING,
	EARLY,  /* before the unmap */
	NARROW, /* the last page is left out */
	NO_TABLES,
	LATE_TABLES, /* the tables are free by then */
	NOT_BY_MAP,  /* where a table takes the place of one that waits for its flush */
	NR_FAULTS_OF_FLUSH,
};

static const char *const names[NR_FAULTS_OF_FLUSH] = {
	"honest",         "missing",         "early",      "too narrow",
	"without tables", "late for tables", "not by map",
};

struct rig {
	enum fault_of_flush fault;
	struct cached_domain domains[DOMAINS];
	struct iommu_iotlb_gather gathers[DOMAINS];
	struct hw_iotlb *iotlb;
	uint64_t random;
	unsigned int wrong; /* what devices saw and should not have */
	bool is_mapping;
	struct {
		bool is_due;
		dma_addr_t first, last;
	} late;
};

static struct rig rig;

static uint64_t below(uint64_t limit)
{
	return random_below(&rig.random, limit);
}

static void spoiled_flush(void *context, struct iommu_domain *domain, dma_addr_t first,
			  dma_addr_t last, bool tables)
{
	struct hw_iotlb_domain *cached = context;
	uint64_t page = rig.domains[0].page;

	switch (rig.fault) {
	case HONEST:
	case NR_FAULTS_OF_FLUSH:
		break;
	case MISSING:
	case EARLY: /* was done when it did no good */
		return;
	case NOT_BY_MAP:
		if (rig.is_mapping)
			return;
		break;
	case NARROW:
		if (last - first >= page)
			last -= page;
		break;
	case LATE_TABLES:
		rig.late.is_due = tables;
		rig.late.first = first;
		rig.late.last = last;
		tables = false;
		break;
	case NO_TABLES:
		tables = false;
	}
	hw_iotlb_invalidate(cached->iotlb, cached->domain, first, last, tables);
}

static const struct iommu_iotlb_ops spoiled_ops = {.flush = spoiled_flush};

static struct range *random_range(struct cached_domain *domain)
{
	return &domain->ranges[below(domain->nr_ranges)];
}

static void devices_look(unsigned int times)
{
	while (times--) {
		struct cached_domain *domain = &rig.domains[below(DOMAINS)];
		struct range *range = random_range(domain);

		rig.wrong += look(domain, range, below(range->size));
	}
}

static void map(struct cached_domain *domain, struct range *range)
{
	int ret;

	rig.is_mapping = true;
	ret = iommu_map(domain->domain, range->iova, range->paddr, range->size, RW, GFP_KERNEL);
	rig.is_mapping = false;
	assert_int_equal(ret, 0);
	range->state = MAPPED;
	range->mapped = range->size;
	rig.wrong += look_over(domain, range, &rig.random);
}

static void flush_early(struct cached_domain *domain, const struct range *range)
{
	if (rig.fault != EARLY)
		return;
	hw_iotlb_invalidate(rig.iotlb, domain->cached.domain, range->iova,
			    range->iova + range->size - 1, true);
	rig.wrong += look_over(domain, range, &rig.random);
}

static void flush_late(struct cached_domain *domain, const struct range *range)
{
	if (!rig.late.is_due)
		return;
	rig.wrong += look_over(domain, range, &rig.random);
	hw_iotlb_invalidate(rig.iotlb, domain->cached.domain, rig.late.first, rig.late.last, true);
	rig.late.is_due = false;
}

static void unmap(struct cached_domain *domain, struct range *range)
{
	flush_early(domain, range);
	assert_int_equal(iommu_unmap(domain->domain, range->iova, range->mapped), range->mapped);
	range->state = FREE;
	flush_late(domain, range);
	rig.wrong += look_over(domain, range, &rig.random);
}

static void unmap_half(struct cached_domain *domain, struct range *range)
{
	uint64_t half = range->mapped / 2 & ~(domain->page - 1);

	if (!half || range->mapped != range->size)
		return;
	assert_int_equal(iommu_split_mapping(domain->domain, range->iova + half, range->size - half,
					     GFP_KERNEL),
			 0);
	rig.wrong += look_over(domain, range, &rig.random);
	flush_early(domain, range);
	assert_int_equal(iommu_unmap(domain->domain, range->iova + half, range->size - half),
			 range->size - half);
	range->mapped = half;
	flush_late(domain, range);
	rig.wrong += look_over(domain, range, &rig.random);
}

static void unmap_fast(struct cached_domain *domain, struct range *range)
{
	flush_early(domain, range);
	assert_int_equal(iommu_unmap_fast(domain->domain, range->iova, range->mapped,
					  &rig.gathers[domain - rig.domains]),
			 range->mapped);
	range->state = PENDING;
	rig.wrong += look_over(domain, range, &rig.random);
}

static void sync(struct cached_domain *domain)
{
	iommu_iotlb_sync(domain->domain, &rig.gathers[domain - rig.domains]);
	for (unsigned int i = 0; i < domain->nr_ranges; i++) {
		struct range *range = &domain->ranges[i];

		if (range->state != PENDING)
			continue;
		range->state = FREE;
		flush_late(domain, range);
		rig.wrong += look_over(domain, range, &rig.random);
	}
	rig.wrong += count_stale(domain);
}

static void step(void)
{
	struct cached_domain *domain = &rig.domains[below(DOMAINS)];
	struct range *range = random_range(domain);

	if (range->state == FREE)
		map(domain, range);
	else if (range->state == PENDING)
		sync(domain);
	else if (!below(3))
		unmap_half(domain, range);
	else if (below(2))
		unmap_fast(domain, range);
	else
		unmap(domain, range);
	devices_look(4);
}

static void begin(const struct shape *shape, enum fault_of_flush fault, uint64_t seed)
{
	memset(&rig, 0, sizeof(rig));
	rig.random = seed;
	rig.fault = fault;
	rig.iotlb = hw_iotlb_create(&iotlb_shape);
	assert_non_null(rig.iotlb);
	for (unsigned int i = 0; i < DOMAINS; i++) {
		struct cached_domain *domain = &rig.domains[i];

		open_domain(domain, shape, rig.iotlb, i);
		iommu_domain_set_iotlb_ops(domain->domain, &spoiled_ops, &domain->cached);
		iommu_iotlb_gather_init(&rig.gathers[i]);
	}
}

static void end(void)
{
	for (unsigned int i = 0; i < DOMAINS; i++) {
		struct cached_domain *domain = &rig.domains[i];

		sync(domain);
		for (unsigned int k = 0; k < domain->nr_ranges; k++)
			if (domain->ranges[k].state == MAPPED)
				unmap(domain, &domain->ranges[k]);
		rig.wrong += count_stale(domain);
		iommu_domain_free(domain->domain);
	}
	hw_iotlb_destroy(rig.iotlb);
}

/* Full and in use; all shapes together, since small ones fit into it. */
static void assert_busy(const struct hw_iotlb_stat *sum, unsigned int shapes)
{
	uint64_t steps = (uint64_t)STEPS * shapes;

	print_message("# %llu hits, %llu misses, %llu evictions; of tables %llu, %llu, %llu\n",
		      (unsigned long long)sum->hits, (unsigned long long)sum->misses,
		      (unsigned long long)sum->evictions, (unsigned long long)sum->table_hits,
		      (unsigned long long)sum->table_misses,
		      (unsigned long long)sum->table_evictions);
	assert_true(sum->hits > steps && sum->misses > steps && sum->table_hits > steps);
	assert_true(sum->evictions > steps / 10 && sum->table_evictions > steps / 10);
}

static void honest_flushes(void **state)
{
	struct shape shapes[MAX_SHAPES];
	unsigned int count = list_hw_shapes(shapes);
	struct hw_iotlb_stat sum = {0}, stat;

	for (unsigned int i = 0; i < count; i++) {
		print_message("# %s, %u bits, seed 0x%llx\n", shapes[i].format->name,
			      shapes[i].width, SEED + i);
		begin(&shapes[i], HONEST, SEED + i);
		for (unsigned int k = 0; k < STEPS; k++)
			step();
		hw_iotlb_get_stat(rig.iotlb, &stat);
		end();
		assert_int_equal(rig.wrong, 0);
		sum.hits += stat.hits;
		sum.misses += stat.misses;
		sum.evictions += stat.evictions;
		sum.table_hits += stat.table_hits;
		sum.table_misses += stat.table_misses;
		sum.table_evictions += stat.table_evictions;
	}
	assert_busy(&sum, count);
}

/* Steps until a fault of the flushes shows; PATIENCE if it does not. */
static unsigned int steps_to_see(const struct shape *shape, enum fault_of_flush fault,
				 uint64_t seed)
{
	unsigned int steps = 0;

	begin(shape, fault, seed);
	while (!rig.wrong && steps < PATIENCE) {
		step();
		steps++;
	}
	end();
	return steps;
}

/* Where there is nothing below the top, no table is ever freed. */
static bool has_one_level(const struct shape *shape)
{
	unsigned int levels;

	begin(shape, HONEST, SEED);
	levels = rig.domains[0].layout.levels;
	end();
	return levels == 1;
}

static void spoiled_flushes(void **state)
{
	struct shape shapes[MAX_SHAPES];
	unsigned int count = list_hw_shapes(shapes);

	for (unsigned int i = 0; i < count; i++)
		for (enum fault_of_flush fault = MISSING; fault < NR_FAULTS_OF_FLUSH; fault++) {
			unsigned int steps;

			if (fault >= NO_TABLES && has_one_level(&shapes[i]))
				continue;
			steps = steps_to_see(&shapes[i], fault, SEED + i);
			print_message("# %s, %u bits, %s: seen after %u steps\n",
				      shapes[i].format->name, shapes[i].width, names[fault], steps);
			assert_true(steps < PATIENCE);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(honest_flushes),
		cmocka_unit_test(spoiled_flushes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
