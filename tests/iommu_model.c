/* SPDX-License-Identifier: MIT */
/*
 * Random operations on domains of every shape, each step compared with a model:
 * results, translations, tables of each level, and bytes charged. The cgroups
 * are nested, and limits are hit midway.
 */
#include "tests/common.h"
#include "tests/model.h"

#define SEED   0x1d0a7e5ULL
#define WORLDS 3 /* of each shape */
#define STEPS  1000
#define MANY   500 /* leaves from which on everything is unmapped */
#define NR_SG  12
#define DEPTH  3
#define NO_MAX (~0ULL)

struct world {
	const struct shape *shape;
	struct iommu_domain *domain;
	struct model model;
	struct mem_cgroup *cgroups[DEPTH]; /* [0] the root; the last is the owner */
	uint64_t max[DEPTH];
	uint64_t fixed; /* bytes charged beside tables */
	uint64_t random;
};

/* A range to try: of pages, of middling or of large leaves, often beside others. */
struct range {
	uint64_t iova, paddr, size;
};

static uint64_t random_granule(struct world *world)
{
	unsigned int page = world->model.page_lg2, index = page - 3;
	unsigned int level = (unsigned int)random_below(&world->random, 8);
	unsigned int lg2 = page + (level < 5 ? 0 : level < 7 ? 1 : 2) * index;

	/* Formats that join items have sizes in between. */
	if (!random_below(&world->random, 3))
		lg2 += (unsigned int)random_below(&world->random, index);
	/* Physical addresses of every format have more bits. */
	return 1ULL << (lg2 < 40 ? lg2 : 40);
}

static uint64_t random_base(struct world *world)
{
	unsigned int page = world->model.page_lg2, index = page - 3;
	uint64_t last = world->model.last;

	switch (random_below(&world->random, 6)) {
	case 0:
		return last - (last >> 1); /* the upper half */
	case 1:
		return last - (1ULL << (page + index)) + 1; /* under the last table */
	case 2:
		return (1ULL << (page + 2 * index)) - (8ULL << page); /* over a large edge */
	default:
		return 0;
	}
}

/* Would a range take more than 600 leaves? */
static bool is_long(const struct model *model, uint64_t iova, uint64_t paddr, uint64_t size)
{
	for (unsigned int leaves = 0; size; leaves++) {
		uint64_t leaf = model_leaf_size(model, iova, paddr, size);

		if (leaves > 600)
			return true;
		iova += leaf;
		paddr += leaf;
		size -= leaf;
	}
	return false;
}

/* Would splitting what reaches over an address take many leaves? */
static bool split_is_long(const struct model *model, uint64_t iova)
{
	size_t i = model_find(model, iova);
	const struct leaf *leaf = model->count ? &model->leaves[i] : NULL;

	return i < model->count && leaf->iova < iova &&
	       (is_long(model, leaf->iova, leaf->paddr, iova - leaf->iova) ||
		is_long(model, iova, leaf->paddr + (iova - leaf->iova),
			leaf->iova + leaf->size - iova));
}

static struct range random_range(struct world *world)
{
	uint64_t page = 1ULL << world->model.page_lg2;
	uint64_t granule = random_granule(world), align = granule;
	struct range range;

	range.size = granule * (1 + random_below(&world->random, granule > 256 * page ? 3 : 24));
	if (!random_below(&world->random, 4))
		range.size += page * random_below(&world->random, 20);
	range.iova = random_base(world) + granule * random_below(&world->random, 32);
	if (!random_below(&world->random, 5))
		range.iova += page * random_below(&world->random, 600);
	range.iova &= -page;
	/* Physical addresses that keep the leaves from being large, yet not too many. */
	while (align > page && random_below(&world->random, 4) == 0 && range.size / align < 256)
		align >>= 1;
	range.paddr = (1 + random_below(&world->random, 1ULL << 30)) * page & -align;
	if (!range.paddr)
		range.paddr = align;
	/* Gigabytes in small pages would only slow the model down. */
	if (is_long(&world->model, range.iova, range.paddr, range.size))
		range.size = 200 * page;
	return range;
}

static uint64_t usage_room(const struct world *world)
{
	uint64_t room = NO_MAX;

	for (unsigned int i = 0; i < DEPTH; i++) {
		uint64_t usage = mem_cgroup_usage(world->cgroups[i]);
		uint64_t here = world->max[i] == NO_MAX ? NO_MAX
				: world->max[i] < usage ? 0
							: world->max[i] - usage;

		if (here < room)
			room = here;
	}
	return room;
}

/* What a map of some runs must return, with the model changed if that is 0. */
static int model_try(struct world *world, uint64_t iova, const struct iommu_sg *runs,
		     unsigned int nr_runs, uint64_t total)
{
	struct model *model = &world->model, before = *model;
	uint64_t old = model_bytes(model), now, room = usage_room(world);

	if (iova + (total - 1) < iova)
		return -EINVAL;
	if (iova + (total - 1) > model->last)
		return -ERANGE;
	if (model_overlaps(model, iova, total))
		return -EADDRINUSE;
	before.leaves = malloc(model->count * sizeof(*model->leaves) + 1);
	assert_non_null(before.leaves);
	if (model->count)
		memcpy(before.leaves, model->leaves, model->count * sizeof(*model->leaves));
	before.room = model->count;
	model_grow(model, iova + (total - 1));
	for (unsigned int i = 0; i < nr_runs; i++) {
		model_map(model, iova, runs[i].paddr, runs[i].length);
		iova += runs[i].length;
	}
	now = model_bytes(model);
	if (now <= old || now - old <= room) {
		free(before.leaves);
		return 0;
	}
	free(model->leaves);
	*model = before;
	return -ENOMEM;
}

/*
 * Memory may run out before the mapped part is met; of a list, an earlier run may
 * be in the way when a later one is too wide.
 */
static void check_result(const struct world *world, ssize_t ret, ssize_t expected)
{
	if (ret == -ENOMEM && expected < 0 && usage_room(world) != NO_MAX)
		return;
	if (ret == -EADDRINUSE && expected == -ERANGE)
		return;
	assert_int_equal(ret, expected);
}

static void do_map(struct world *world)
{
	struct range range = random_range(world);
	struct iommu_sg run = {range.paddr, range.size};
	int expected, ret;

	expected = model_try(world, range.iova, &run, 1, range.size);
	ret = iommu_map(world->domain, range.iova, range.paddr, range.size, RW, GFP_KERNEL);
	check_result(world, ret, expected);
}

/* Some pieces adjoin, some are empty; the model is given the runs. */
static void do_map_sg(struct world *world)
{
	uint64_t page = 1ULL << world->model.page_lg2, total = 0;
	struct iommu_sg pieces[NR_SG], runs[NR_SG];
	struct range range = random_range(world);
	unsigned int nents = 1 + (unsigned int)random_below(&world->random, NR_SG), nr_runs = 0;
	ssize_t expected, ret;

	for (unsigned int i = 0; i < nents; i++) {
		struct iommu_sg *run = nr_runs ? &runs[nr_runs - 1] : NULL;

		pieces[i].length = random_below(&world->random, 5) * page;
		pieces[i].paddr = random_below(&world->random, 1ULL << 28) * page;
		if (nr_runs && random_below(&world->random, 3))
			pieces[i].paddr = run->paddr + run->length;
		total += pieces[i].length;
		if (!pieces[i].length)
			continue;
		if (nr_runs && pieces[i].paddr == run->paddr + run->length)
			run->length += pieces[i].length;
		else
			runs[nr_runs++] = pieces[i];
	}
	expected = total ? model_try(world, range.iova, runs, nr_runs, total) : -EINVAL;
	ret = iommu_map_sg(world->domain, range.iova, pieces, nents, RW, GFP_KERNEL);
	check_result(world, ret, expected ? expected : (ssize_t)total);
}

/* A range at or near a leaf that exists, so that much of it is mapped. */
static struct range range_near_leaf(struct world *world)
{
	struct range range = random_range(world);
	uint64_t page = 1ULL << world->model.page_lg2;
	const struct leaf *leaf;

	if (!world->model.count || !random_below(&world->random, 4))
		return range;
	leaf = &world->model.leaves[random_below(&world->random, world->model.count)];
	range.iova = leaf->iova;
	if (!random_below(&world->random, 3))
		range.iova += page * random_below(&world->random, leaf->size / page);
	return range;
}

static uint64_t model_unmap_in_aperture(struct world *world, const struct range *range)
{
	uint64_t last = range->iova + (range->size - 1);

	if (last < range->iova || last > world->model.last)
		return 0;
	return model_unmap(&world->model, range->iova, range->size);
}

static void do_unmap(struct world *world)
{
	struct range range = range_near_leaf(world);
	uint64_t expected = model_unmap_in_aperture(world, &range);

	assert_int_equal(iommu_unmap(world->domain, range.iova, range.size), expected);
}

/* Several ranges before one sync; what they empty is charged until then. */
static void do_unmap_fast(struct world *world)
{
	struct iommu_iotlb_gather gather;
	uint64_t before = mem_cgroup_usage(world->cgroups[0]);

	iommu_iotlb_gather_init(&gather);
	for (unsigned int i = 0; i < 4; i++) {
		struct range range = range_near_leaf(world);
		uint64_t expected = model_unmap_in_aperture(world, &range);

		assert_int_equal(iommu_unmap_fast(world->domain, range.iova, range.size, &gather),
				 expected);
	}
	assert_int_equal(mem_cgroup_usage(world->cgroups[0]), before);
	iommu_iotlb_sync(world->domain, &gather);
	assert_true(gather.start > gather.last && !gather.freelist && !gather.tables);
}

/* Run by run, each from its first leaf to the end of the aperture. */
static void do_unmap_all(struct world *world)
{
	struct model *model = &world->model;

	while (model->count) {
		uint64_t iova = model->leaves[0].iova, size = model->last - iova + 1;

		if (!size) /* 2^64 */
			size = -(1ULL << model->page_lg2);
		assert_int_equal(iommu_unmap(world->domain, iova, size),
				 model_unmap(model, iova, size));
	}
	assert_int_equal(count_tables(world->domain), 1);
}

static void set_limit(struct world *world, unsigned int i, uint64_t max)
{
	world->max[i] = max == NO_MAX ? max : max & ~4095ULL;
	cgroup_limit(world->cgroups[i], max);
}

static void do_split(struct world *world)
{
	struct range range = range_near_leaf(world);
	uint64_t end;

	if (range.iova + (range.size - 1) < range.iova)
		return;
	for (unsigned int i = 0; i < DEPTH; i++)
		set_limit(world, i, NO_MAX);
	end = range.iova + range.size;
	if (split_is_long(&world->model, range.iova) || (end && split_is_long(&world->model, end)))
		return;
	assert_int_equal(iommu_split_mapping(world->domain, range.iova, range.size, GFP_KERNEL), 0);
	model_split(&world->model, range.iova);
	if (end)
		model_split(&world->model, end);
}

static void do_limit(struct world *world)
{
	unsigned int i = (unsigned int)random_below(&world->random, DEPTH);
	uint64_t usage = mem_cgroup_usage(world->cgroups[i]);

	if (random_below(&world->random, 3))
		set_limit(world, i,
			  usage + (random_below(&world->random, 10) << world->model.page_lg2));
	else
		set_limit(world, i, NO_MAX);
}

static void check_charges(struct world *world)
{
	uint64_t tables = domain_info(world->domain).table_bytes;

	for (unsigned int i = 0; i < DEPTH; i++) {
		assert_int_equal(cgroup_stat(world->cgroups[i], "sec_pagetables"),
				 tables_are_objects(&world->model) ? 0 : tables);
		assert_int_equal(mem_cgroup_usage(world->cgroups[i]), tables + world->fixed);
	}
}

static void check_random_lookups(struct world *world)
{
	for (unsigned int i = 0; i < 8; i++) {
		struct range range = range_near_leaf(world);
		uint64_t iova = range.iova + random_below(&world->random, range.size);

		if (iova <= world->model.last)
			assert_int_equal(iommu_iova_to_phys(world->domain, iova),
					 model_lookup(&world->model, iova));
	}
}

static void step(struct world *world)
{
	unsigned int what = (unsigned int)random_below(&world->random, 20);

	if (world->model.count > MANY)
		do_unmap_all(world);
	if (what < 8)
		do_map(world);
	else if (what < 12)
		do_map_sg(world);
	else if (what < 15)
		do_unmap(world);
	else if (what < 17)
		do_unmap_fast(world);
	else if (what < 18)
		do_split(world);
	else
		do_limit(world);
	model_check_tables(&world->model, world->domain);
	check_charges(world);
	check_random_lookups(world);
}

/* All leaf sizes, only the smallest, or some. */
static uint64_t choose_pgsizes(struct world *world, unsigned int number)
{
	uint64_t has = world->shape->format->pgsizes, smallest = has & -has;

	switch (number % WORLDS) {
	case 1:
		return smallest;
	case 2:
		return smallest | (has & random_next(&world->random));
	default:
		return 0;
	}
}

static void world_begin(struct world *world, const struct shape *shape, unsigned int number)
{
	struct iommu_domain_params params = {
		.format = shape->format->name,
		.address_width = shape->width,
	};

	*world = (struct world){.shape = shape, .random = SEED + WORLDS * shape->width + number};
	print_message("# %s, %u bits, seed 0x%llx\n", shape->format->name, shape->width,
		      (unsigned long long)world->random);
	params.pgsizes = choose_pgsizes(world, number);
	for (unsigned int i = 0; i < DEPTH; i++) {
		world->cgroups[i] = mem_cgroup_create(i ? world->cgroups[i - 1] : NULL);
		assert_non_null(world->cgroups[i]);
		world->max[i] = NO_MAX;
	}
	mem_cgroup_set_active(world->cgroups[DEPTH - 1]);
	world->domain = iommu_domain_alloc(&params, GFP_KERNEL_ACCOUNT);
	assert_false(IS_ERR(world->domain));
	/* From here on the owner pays, not the active cgroup. */
	mem_cgroup_set_active(NULL);
	model_init(&world->model, world->domain);
	world->fixed = mem_cgroup_usage(world->cgroups[0]) - domain_info(world->domain).table_bytes;
	model_check_tables(&world->model, world->domain);
	check_charges(world);
}

static void world_end(struct world *world)
{
	iommu_domain_free(world->domain);
	model_fini(&world->model);
	for (unsigned int i = DEPTH; i-- > 0;) {
		assert_cgroup_empty(world->cgroups[i]);
		mem_cgroup_put(world->cgroups[i]);
	}
}

static void random_operations(void **state)
{
	struct shape shapes[MAX_SHAPES];
	unsigned int count = list_shapes(shapes);

	for (unsigned int i = 0; i < count * WORLDS; i++) {
		struct world world;

		world_begin(&world, &shapes[i / WORLDS], i % WORLDS);
		for (unsigned int n = 1; n <= SCALED(STEPS); n++) {
			step(&world);
			if (n % 100 == 0)
				model_check_lookups(&world.model, world.domain);
		}
		world_end(&world);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_operations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
