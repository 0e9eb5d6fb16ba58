// SPDX-License-Identifier: MIT
/*
 * The engine against the walkers, which share nothing with it: random maps,
 * unmaps and splits by the public calls, in every format that both know. After
 * each a few addresses are translated as a device would, and from time to time
 * everything is listed; a model says what must come out. Last, single bits of the
 * tables are flipped, to see that this can fail.
 */
#include <endian.h>

#include "tests/hw.h"
#include "tests/hw_model.h"

#define SEED      0x5ec0d0ULL
#define FLIP_SEED 0xf11b5ULL
#ifdef HW_SANITIZED
#define OPERATIONS 60000 /* over all shapes */
#define FLIPS      64    /* of each shape */
#else
#define OPERATIONS 2000000
#define FLIPS      512
#endif
#define LIST_EVERY  500
#define MOST_LEAVES 600 /* of one map or split */
#define MANY        3000
#define WORLDS      4
#define MAX_WALKED  512

/* How often something came about, over all shapes. */
static struct {
	unsigned long long mapped, refused, unmapped, split;
	unsigned long long translated, faulted, listed;
} tally;

struct world {
	struct iommu_domain *domain;
	struct iommu_domain_info info;
	struct hw_tables tables;
	struct hw_layout layout;
	struct hw_model model;
	uint64_t random, page;
	unsigned int leaves; /* when last listed */
};

static uint64_t below(struct world *world, uint64_t limit)
{
	return random_below(&world->random, limit);
}

/* What device and walker are told changes when tables grow. */
static void look(struct world *world)
{
	world->info = domain_info(world->domain);
	world->tables = hw_tables_of(world->domain);
	assert_int_equal(hw_layout(&world->tables, &world->layout), 0);
}

/* Formats that cannot say write-only let reads through. */
static unsigned int access_of(const struct world *world, int prot)
{
	static const char *const write_only[] = {"vtd", "amdv1", "arm64-s2"};
	unsigned int access = prot & IOMMU_WRITE ? HW_WRITE : 0;

	if (prot & IOMMU_READ)
		return access | HW_READ;
	for (unsigned int i = 0; i < 3; i++)
		if (!strcmp(world->tables.format->name, write_only[i]))
			return access;
	return access | HW_READ;
}

/* Bits of input address that the tables take, the sign not counted. */
static unsigned int plain_bits(const struct world *world)
{
	return world->layout.address_width - world->layout.sign_extended;
}

static bool is_too_wide(const struct world *world, uint64_t iova)
{
	unsigned int bits = plain_bits(world);

	return bits < 64 && iova >> bits && !(world->layout.sign_extended && ~iova >> bits == 0);
}

static void probe(struct world *world, uint64_t iova)
{
	const struct segment *segment = model_find(&world->model, iova);
	struct hw_translation t;
	struct piece leaf;
	unsigned int access;

	if (!segment) {
		assert_int_equal(hw_translate(&world->tables, iova, HW_READ, &t),
				 is_too_wide(world, iova) ? HW_FAULT_ADDRESS
							  : HW_FAULT_NOT_PRESENT);
		tally.faulted++;
		return;
	}
	leaf = model_leaf(&world->model, segment, iova);
	tally.translated++;
	access = access_of(world, segment->prot);
	assert_int_equal(hw_translate(&world->tables, iova, 0, &t), HW_FAULT_NONE);
	assert_int_equal(t.paddr, leaf.paddr + (iova - leaf.iova));
	assert_int_equal(t.size_lg2, leaf.size_lg2);
	assert_int_equal(t.access & (HW_READ | HW_WRITE), access);
	assert_int_equal(hw_translate(&world->tables, iova, HW_READ, &t),
			 access & HW_READ ? HW_FAULT_NONE : HW_FAULT_READ);
	assert_int_equal(hw_translate(&world->tables, iova, HW_WRITE, &t),
			 access & HW_WRITE ? HW_FAULT_NONE : HW_FAULT_WRITE);
}

/* A listing on its way along the model. */
struct listing {
	const struct world *world;
	unsigned int segment, leaves;
	uint64_t iova; /* next leaf, if @inside the segment */
	bool inside, agrees;
	uint64_t tables[IOMMU_MAX_LEVELS];
};

static bool is_same_leaf(const struct world *world, const struct hw_found *found,
			 const struct segment *segment, const struct piece *leaf)
{
	return found->item.kind == HW_LEAF && found->iova == leaf->iova &&
	       found->size == 1ULL << leaf->size_lg2 && found->item.address == leaf->paddr &&
	       (found->access & (HW_READ | HW_WRITE)) == access_of(world, segment->prot);
}

static bool list_found(void *context, const struct hw_found *found)
{
	struct listing *listing = context;
	const struct hw_model *model = &listing->world->model;
	const struct segment *segment = &model->segments[listing->segment];
	struct piece leaf;

	listing->agrees = listing->segment < model->count;
	if (!listing->agrees)
		return false;
	leaf = model_leaf(model, segment, listing->inside ? listing->iova : segment->iova);
	listing->agrees = is_same_leaf(listing->world, found, segment, &leaf);
	listing->inside = leaf.last != segment->last;
	listing->segment += !listing->inside;
	listing->iova = leaf.last + 1;
	listing->leaves++;
	return listing->agrees;
}

static bool list_table(void *context, const struct hw_table *table)
{
	struct listing *listing = context;

	listing->tables[table->level]++;
	return true;
}

/* Is what the walker lists what the model has, leaf by leaf and table by table? */
static bool lists_the_same(struct world *world)
{
	struct listing listing = {.world = world, .agrees = true};
	struct hw_list_ops ops = {
		.found = list_found,
		.table = list_table,
		.context = &listing,
		.budget = 1 << 24,
	};

	if (hw_list(&world->tables, &ops) || !listing.agrees ||
	    listing.segment != world->model.count)
		return false;
	world->leaves = listing.leaves;
	tally.listed += listing.leaves;
	return !memcmp(listing.tables, world->info.tables, sizeof(listing.tables));
}

/* Every item of a leaf must do for the whole. */
static void probe_leaf(struct world *world)
{
	const struct segment *segment;
	struct hw_translation t;
	struct piece leaf;
	unsigned int shift;

	if (!world->model.count)
		return;
	segment = &world->model.segments[below(world, world->model.count)];
	leaf = model_leaf(&world->model, segment,
			  segment->iova + below(world, segment->last - segment->iova + 1));
	assert_int_equal(hw_translate(&world->tables, leaf.iova, 0, &t), HW_FAULT_NONE);
	shift = world->layout.level[t.steps[t.nr_steps - 1].level].shift;
	for (uint64_t at = 0; at <= leaf.last - leaf.iova; at += 1ULL << shift)
		probe(world, leaf.iova + at);
}

static unsigned int random_size_lg2(struct world *world)
{
	uint64_t sizes = world->info.pgsizes;
	unsigned int skip = (unsigned int)below(world, below(world, 2) ? 64 : 3);

	skip %= (unsigned int)__builtin_popcountll(sizes);
	while (skip--)
		sizes &= sizes - 1;
	return (unsigned int)__builtin_ctzll(sizes);
}

static uint64_t random_base(struct world *world, uint64_t granule)
{
	uint64_t last = world->info.aperture_last;

	switch (below(world, 8)) {
	case 0:
		return last - (last >> 1);
	case 1:
		return last - 32 * granule + 1;
	case 2:
		return world->layout.sign_extended ? ~last : 0;
	case 3:
		return world->layout.sign_extended ? -(64 * granule) : 0;
	case 4:
		return 0;
	default:
		return 64 * granule * (1 + below(world, 16));
	}
}

/* May the format have the whole of it, and is it in one of its halves? */
static bool is_possible(const struct world *world, const struct segment *segment)
{
	uint64_t last = world->info.aperture_last;
	uint64_t last_paddr = segment->paddr + (segment->to - segment->from);

	if (segment->to < segment->from || last_paddr < segment->paddr ||
	    (world->layout.output_width < 64 && last_paddr >> world->layout.output_width))
		return false;
	if (world->layout.sign_extended && segment->from >= ~last)
		return true;
	return segment->to <= last;
}

/* A range of few leaves that could be mapped, were nothing in the way. */
static struct segment random_segment(struct world *world)
{
	uint64_t granule = 1ULL << random_size_lg2(world), page = world->page, size;
	struct segment s = {.below_lg2 = 64};

	do {
		uint64_t align = granule;

		size = (1 + below(world, 24)) * granule +
		       (below(world, 4) ? 0 : below(world, 20)) * page;
		s.from = random_base(world, granule) + below(world, 32) * granule;
		s.from += (below(world, 5) ? 0 : below(world, 600)) * page;
		s.from &= -page;
		while (align > page && !below(world, 4))
			align >>= 1;
		s.paddr = random_next(&world->random) & (align < page ? -page : -align);
		s.paddr &= ~0ULL >> (64 - world->layout.output_width);
		s.to = s.from + size - 1;
		if (is_possible(world, &s) && model_is_long(&world->model, &s, MOST_LEAVES))
			s.to = s.from + 40 * page - 1;
		granule = granule > page && !below(world, 8) ? page : granule;
	} while (!is_possible(world, &s));
	s.iova = s.from;
	s.last = s.to;
	s.prot = 1 + (int)below(world, 3);
	s.prot |= (below(world, 2) ? IOMMU_CACHE : 0) | (below(world, 2) ? IOMMU_NOEXEC : 0);
	return s;
}

static void do_map(struct world *world, struct segment s)
{
	bool is_free = model_is_free(&world->model, s.iova, s.last);
	const struct hw_level *top;

	assert_int_equal(
		iommu_map(world->domain, s.iova, s.paddr, s.last - s.iova + 1, s.prot, GFP_KERNEL),
		is_free ? 0 : -EADDRINUSE);
	look(world);
	if (!is_free) {
		tally.refused++;
		return;
	}
	tally.mapped++;
	/* No leaf spans all that the tables do. */
	top = &world->layout.level[world->layout.levels - 1];
	s.below_lg2 = top->shift + top->bits;
	model_map(&world->model, &s);
}

/* From somewhere in a segment, often over its end. */
static struct segment random_mapped(struct world *world)
{
	struct segment s = random_segment(world);
	const struct segment *at;

	if (!world->model.count || !below(world, 8))
		return s;
	at = &world->model.segments[below(world, world->model.count)];
	s.last -= s.iova;
	s.iova = at->iova +
		 (below(world, 3) ? below(world, at->last - at->iova + 1) & -world->page : 0);
	s.last += s.iova;
	if (s.last < s.iova ||
	    (s.iova <= world->info.aperture_last && s.last > world->info.aperture_last))
		s.last = at->last;
	return s;
}

static void do_unmap(struct world *world, struct segment s)
{
	uint64_t unmapped = model_unmap(&world->model, s.iova, s.last);

	assert_int_equal(iommu_unmap(world->domain, s.iova, s.last - s.iova + 1), unmapped);
	tally.unmapped += !!unmapped;
}

static bool split_is_long(struct world *world, uint64_t iova)
{
	struct segment halves[2];

	return model_halves(&world->model, iova, halves) &&
	       (model_is_long(&world->model, &halves[0], MOST_LEAVES) ||
		model_is_long(&world->model, &halves[1], MOST_LEAVES));
}

static void do_split(struct world *world, struct segment s)
{
	unsigned int segments = world->model.count;

	if (split_is_long(world, s.iova) || (s.last + 1 && split_is_long(world, s.last + 1)))
		return;
	assert_int_equal(
		iommu_split_mapping(world->domain, s.iova, s.last - s.iova + 1, GFP_KERNEL), 0);
	model_split(&world->model, s.iova);
	if (s.last + 1)
		model_split(&world->model, s.last + 1);
	tally.split += world->model.count != segments;
}

static void unmap_all(struct world *world)
{
	while (world->model.count)
		do_unmap(world, world->model.segments[0]);
}

static void step(struct world *world)
{
	struct segment s = random_segment(world);

	if (world->model.count > MAX_SEGMENTS - 8 || world->leaves > MANY || !below(world, 4000)) {
		unmap_all(world);
		world->leaves = 0;
	}
	switch (below(world, 8)) {
	case 0:
		s = random_mapped(world);
		do_split(world, s);
		break;
	case 1:
	case 2:
	case 3:
		s = random_mapped(world);
		do_unmap(world, s);
		break;
	default:
		do_map(world, s);
	}
	look(world);
	probe(world, s.iova + below(world, s.last - s.iova + 1));
	probe(world, s.last);
	probe(world, s.last + 1);
	probe(world, s.iova - 1);
}

static void world_begin(struct world *world, const struct shape *shape, unsigned int number,
			uint64_t seed)
{
	uint64_t pgsizes = shape->format->pgsizes;
	struct iommu_domain_params params = {
		.format = shape->format->name,
		.address_width = shape->width,
	};

	*world = (struct world){.random = seed};
	print_message("# %s, %u bits, seed 0x%llx\n", shape->format->name, shape->width,
		      (unsigned long long)world->random);
	if (number == 1)
		params.pgsizes = pgsizes & -pgsizes;
	else if (number == 2)
		params.pgsizes = (pgsizes & -pgsizes) | (pgsizes & random_next(&world->random));
	world->domain = iommu_domain_alloc(&params, GFP_KERNEL);
	assert_false(IS_ERR(world->domain));
	look(world);
	world->model.pgsizes = world->info.pgsizes;
	world->page = world->info.pgsizes & -world->info.pgsizes;
}

/* Every width of every format that has a walker. */
static unsigned int list_walked(struct shape shapes[MAX_WALKED])
{
	const struct iommu_format *format = NULL;
	unsigned int count = 0;

	while ((format = iommu_format_next(format))) {
		if (!hw_format_of(format))
			continue;
		for (unsigned int w = format->width_min; w <= format->width_max; w++) {
			struct shape shape = {format, w};
			struct iommu_domain *domain =
				alloc_domain(&shape, IOMMU_DOMAIN_UNMANAGED, GFP_KERNEL);

			if (IS_ERR(domain))
				continue;
			iommu_domain_free(domain);
			assert_true(count < MAX_WALKED);
			shapes[count++] = shape;
		}
	}
	assert_true(count >= 8);
	return count;
}

static void engine_and_walker_agree(void **state)
{
	static struct shape shapes[MAX_WALKED];
	unsigned int count = list_walked(shapes);

	for (unsigned int i = 0; i < 2 * count; i++) {
		struct world world;

		/* All leaf sizes, and then only the smallest, or some, or all again. */
		world_begin(&world, &shapes[i / 2], i % 2 ? 1 + i / 2 % (WORLDS - 1) : 0, SEED + i);
		for (unsigned int k = 0; k < OPERATIONS / (2 * count); k++) {
			step(&world);
			if (k % LIST_EVERY)
				continue;
			assert_true(lists_the_same(&world));
			probe_leaf(&world);
		}
		unmap_all(&world);
		look(&world);
		assert_true(lists_the_same(&world));
		iommu_domain_free(world.domain);
	}
	print_message("# %llu maps, %llu refused, %llu unmaps, %llu splits; "
		      "%llu addresses translated, %llu faulted; %llu leaves listed\n",
		      tally.mapped, tally.refused, tally.unmapped, tally.split, tally.translated,
		      tally.faulted, tally.listed);
	assert_true(tally.mapped > OPERATIONS / 8 && tally.unmapped > OPERATIONS / 8);
	assert_true(tally.refused && tally.split > OPERATIONS / 50);
	assert_true(tally.translated > OPERATIONS && tally.faulted > OPERATIONS / 2);
}

/* Every table of a domain, to choose from. */
struct all_tables {
	struct hw_table tables[4096];
	unsigned int count;
};

static bool note_table(void *context, const struct hw_table *table)
{
	struct all_tables *all = context;

	all->tables[all->count++] = *table;
	return all->count < 4096;
}

/* Does another value of an item mean something else? */
static bool means_else(const struct world *world, const struct hw_table *table, unsigned int index,
		       uint64_t a, uint64_t b)
{
	struct hw_item one, two;

	if (world->layout.big_endian) {
		a = be64toh(a);
		b = be64toh(b);
	} else {
		a = le64toh(a);
		b = le64toh(b);
	}
	hw_decode(&world->tables, &world->layout, a, table->level, index, &one);
	hw_decode(&world->tables, &world->layout, b, table->level, index, &two);
	if (one.kind != two.kind || one.address != two.address || one.size_lg2 != two.size_lg2)
		return true;
	/* Nothing below a table need have the right that it takes away. */
	return one.kind == HW_LEAF && ((one.access ^ two.access) & (HW_READ | HW_WRITE));
}

/* Returns how many bits of one item the listing has to notice, having seen that it does. */
static unsigned int flip_bits(struct world *world, const struct hw_table *table, unsigned int index)
{
	uint64_t *item = (uint64_t *)phys_to_virt(table->paddr) + index, was = *item;
	unsigned int noticed = 0;

	for (unsigned int bit = 0; bit < 64; bit++) {
		*item = was ^ 1ULL << bit;
		if (means_else(world, table, index, was, *item)) {
			assert_false(lists_the_same(world));
			noticed++;
		}
	}
	*item = was;
	return noticed;
}

static uint64_t iova_of(const struct world *world, const struct hw_table *table, unsigned int index)
{
	uint64_t iova = table->iova + ((uint64_t)index << world->layout.level[table->level].shift);

	return world->layout.sign_extended && iova >> plain_bits(world) == 1
		       ? iova | ~world->info.aperture_last
		       : iova;
}

static void flip_in(struct world *world, struct all_tables *all)
{
	struct hw_list_ops ops = {.table = note_table, .context = all};

	assert_int_equal(hw_list(&world->tables, &ops), 0);
	for (unsigned int i = 0; i < FLIPS / 64; i++) {
		const struct hw_table *table = &all->tables[below(world, all->count)];
		unsigned int level = table->level, index;
		struct hw_item item;
		uint64_t value;

		/* A table may have more items than there are addresses for. */
		do {
			index = (unsigned int)below(world, 1u << world->layout.level[level].bits);
		} while (is_too_wide(world, iova_of(world, table, index)));
		value = ((uint64_t *)phys_to_virt(table->paddr))[index];
		value = world->layout.big_endian ? be64toh(value) : le64toh(value);
		hw_decode(&world->tables, &world->layout, value, level, index, &item);
		/* Address, rights, presence, reserved bits; not what is for software. */
		assert_true(flip_bits(world, table, index) >= (item.kind == HW_EMPTY ? 1 : 30));
	}
}

static void flipped_bits_are_noticed(void **state)
{
	struct all_tables *all = calloc(1, sizeof(*all));
	static struct shape shapes[MAX_WALKED];
	unsigned int count = list_walked(shapes);

	assert_non_null(all);
	for (unsigned int i = 0; i < count; i += 5) {
		struct world world;

		/* A seed of its own, or a flipped address may hit on what a table was before. */
		world_begin(&world, &shapes[i], 0, FLIP_SEED + i);
		for (unsigned int k = 0; k < 30; k++)
			do_map(&world, random_segment(&world));
		assert_true(lists_the_same(&world));
		all->count = 0;
		flip_in(&world, all);
		assert_true(lists_the_same(&world));
		iommu_domain_free(world.domain);
	}
	free(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(engine_and_walker_agree),
		cmocka_unit_test(flipped_bits_are_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
