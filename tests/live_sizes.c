/* SPDX-License-Identifier: MIT */
/*
 * What hardware may hold in its IOTLB while calls change the sizes of entries, seen
 * after each store that they make: splits, unmaps of parts, maps that fail half-way,
 * maps beside what is there. On Arm no address may ever be translated by entries of
 * two sizes, unless the domain says that the hardware can have that; elsewhere a split
 * may not take a translation away, not for an instant.
 */
#include "tests/iotlb_possible.h"

#define SEED        0xb0b5ULL
#define STEPS       400
#define LARGEST     (1ULL << 45) /* of the leaves that are tried, to bound the time */
#define NR_PIECES   24
#define OTHER_PLACE (1ULL << 33)

struct rig {
	struct iommu_domain *domain;
	struct possible possible;
	struct iommu_domain_info info;
	uint64_t page, random;
	unsigned int flushes;
	uint64_t flushed_first, flushed_last;
};

static struct rig rig;
static unsigned long all_looks;

static void look(void)
{
	possible_look(&rig.possible);
}

/* All of it when a flush is unbounded, as that of tables may be. */
static void flush(void *context, struct iommu_domain *domain, dma_addr_t first, dma_addr_t last,
		  bool tables)
{
	possible_flush(&rig.possible, first, last);
	rig.flushed_first = first;
	rig.flushed_last = last;
	rig.flushes++;
}

static const struct iommu_iotlb_ops ops = {.flush = flush};

static void open_rig(const struct shape *shape, unsigned int features)
{
	struct iommu_domain_params params = {
		.format = shape->format->name,
		.address_width = shape->width,
		.pgsizes = shape->format->pgsizes,
		.features = features,
	};
	struct iommu_domain *domain = iommu_domain_alloc(&params, GFP_KERNEL);

	assert_false(IS_ERR(domain));
	rig = (struct rig){.domain = domain, .page = smallest_page(shape->format), .random = SEED};
	rig.info = domain_info(domain);
	possible_init(&rig.possible, domain,
		      is_arm64(shape->format) && !(features & IOMMU_FEATURE_BBML2));
	iommu_domain_set_iotlb_ops(domain, &ops, NULL);
	store_watch.stored = look;
	assert_true(rig.info.split_breaks == rig.possible.one_size);
}

static void close_rig(void)
{
	all_looks += rig.possible.looks;
	possible_fini(&rig.possible);
	iommu_domain_free(rig.domain);
}

static void begin(void)
{
	possible_begin(&rig.possible);
	rig.flushes = 0;
	store_watch_begin();
}

static void end(void)
{
	store_watch_end();
	possible_look(&rig.possible);
	watch_nothing();
	if (rig.possible.wrong[0])
		fail_msg("%s, %u bits: %s", rig.info.format, rig.info.address_width,
			 rig.possible.wrong);
}

static void try_map(uint64_t iova, uint64_t paddr, uint64_t size, int expected)
{
	int ret;

	begin();
	ret = iommu_map(rig.domain, iova, paddr, size, RW, GFP_KERNEL);
	end();
	assert_int_equal(ret, expected);
}

static void try_unmap(uint64_t iova, uint64_t size, uint64_t expected)
{
	uint64_t unmapped;

	begin();
	unmapped = iommu_unmap(rig.domain, iova, size);
	end();
	assert_int_equal(unmapped, expected);
}

/* How many entries one address has, of the size that the walker sees now. */
static uint64_t size_at(uint64_t iova)
{
	struct hw_tables tables = hw_tables_of(rig.domain);
	struct hw_translation translation;

	return hw_translate(&tables, iova, 0, &translation) ? 0 : 1ULL << translation.size_lg2;
}

/*
 * Split, so that @iova to @iova + @size can be unmapped. What reached over an end was
 * flushed whole; it was taken out if it had to be, and not if it did not.
 */
static void try_split(uint64_t iova, uint64_t size)
{
	uint64_t before, entry = size_at(iova);
	bool over = iova & (entry - 1) || size < entry;
	int ret;

	begin();
	before = rig.possible.mapped;
	ret = iommu_split_mapping(rig.domain, iova, size, GFP_KERNEL);
	end();
	assert_int_equal(ret, 0);
	assert_int_equal(rig.possible.mapped, before);
	assert_int_equal(rig.possible.stale.nr, 0);
	if (!over)
		return;
	assert_true(rig.flushes > 0);
	if (rig.info.split_breaks)
		assert_true(rig.possible.least_mapped <= before - entry);
	else
		assert_int_equal(rig.possible.least_mapped, before);
	if (iova & (entry - 1)) {
		uint64_t again = size_at(iova - 1);

		assert_true(again && again < entry && size_at(iova) < entry);
	}
}

static void assert_translates(uint64_t iova, uint64_t paddr)
{
	assert_int_equal(iommu_iova_to_phys(rig.domain, iova), paddr);
}

/* One page out of a leaf, which lies between two others. */
static void split_leaf(uint64_t leaf, uint64_t cut)
{
	uint64_t iova = 2 * leaf, paddr = 4 * leaf, page = rig.page;

	assert_int_equal(iommu_map(rig.domain, iova - page, paddr - page, page, RW, GFP_KERNEL), 0);
	assert_int_equal(iommu_map(rig.domain, iova, paddr, leaf, RW, GFP_KERNEL), 0);
	assert_int_equal(size_at(iova), leaf);
	try_split(iova + cut, page);
	for (unsigned int i = 0; i < 8; i++) {
		uint64_t at = random_below(&rig.random, leaf);

		assert_translates(iova + at, paddr + at);
	}
	try_unmap(iova + cut, page, page);
	assert_translates(iova + cut, 0);
	if (cut)
		assert_translates(iova + cut - 1, paddr + cut - 1);
	assert_translates(iova - 1, paddr - 1);
	/* Another page there, so that the parts have a neighbour of their own size. */
	try_map(iova + cut, OTHER_PLACE, page, 0);
	try_unmap(iova + cut, page, page);
	if (cut)
		try_unmap(iova, cut, cut);
	if (leaf - cut > page)
		try_unmap(iova + cut + page, leaf - cut - page, leaf - cut - page);
	try_unmap(iova - page, page, page);
}

static bool leaf_fits(uint64_t leaf)
{
	return rig.info.pgsizes & leaf && leaf > rig.page && leaf <= LARGEST &&
	       leaf <= rig.info.aperture_last / 4;
}

static void split_leaves(const struct shape *shape, unsigned int features)
{
	open_rig(shape, features);
	for (unsigned int lg2 = 0; lg2 < 64; lg2++) {
		uint64_t leaf = 1ULL << lg2;

		if (!leaf_fits(leaf))
			continue;
		split_leaf(leaf, 0);
		split_leaf(leaf, leaf - rig.page);
		split_leaf(leaf, leaf / 2);
		split_leaf(leaf, random_below(&rig.random, leaf) & -rig.page);
	}
	close_rig();
}

/* The widest tables have nothing that those of the usual width do not have. */
static bool is_widest(const struct shape *shape)
{
	return shape->width == shape->format->width_max &&
	       shape->width != shape->format->width_default;
}

static void for_each(void (*test)(const struct shape *shape, unsigned int features),
		     unsigned int features, bool others)
{
	struct shape shapes[MAX_SHAPES];
	unsigned int count = list_shapes(shapes);

	for (unsigned int i = 0; i < count; i++)
		if (!is_widest(&shapes[i]) && (others || is_arm64(shapes[i].format)))
			test(&shapes[i], features);
}

static void splits(void **state)
{
	for_each(split_leaves, 0, true);
	for_each(split_leaves, IOMMU_FEATURE_BBML2, false);
}

/* A map that finds one page of its range in use, which stays as it is. */
static void fail_in(uint64_t leaf, uint64_t used)
{
	uint64_t iova = 2 * leaf, page = rig.page;

	assert_int_equal(iommu_map(rig.domain, iova + used, OTHER_PLACE, page, RW, GFP_KERNEL), 0);
	try_map(iova, 4 * leaf, leaf, -EADDRINUSE);
	assert_translates(iova + used, OTHER_PLACE);
	if (used)
		assert_translates(iova, 0);
	try_unmap(iova + used, page, page);
	/* The same where the range is more than the leaf. */
	assert_int_equal(iommu_map(rig.domain, iova + used, OTHER_PLACE, page, RW, GFP_KERNEL), 0);
	try_map(iova - leaf, 3 * leaf, 2 * leaf, -EADDRINUSE);
	assert_translates(iova - leaf, 0);
	try_unmap(iova + used, page, page);
}

static void fail_in_leaves(const struct shape *shape, unsigned int features)
{
	open_rig(shape, features);
	for (unsigned int lg2 = 0; lg2 < 64; lg2++) {
		uint64_t leaf = 1ULL << lg2;

		if (!leaf_fits(leaf))
			continue;
		fail_in(leaf, 0);
		fail_in(leaf, leaf - rig.page);
		fail_in(leaf, random_below(&rig.random, leaf) & -rig.page);
	}
	close_rig();
}

static void maps_that_fail(void **state)
{
	for_each(fail_in_leaves, 0, true);
}

/* Random calls on ranges side by side, which join to runs or share them. */
struct piece {
	uint64_t iova, size, paddr;
	bool mapped;
};

static void random_pieces(struct piece pieces[NR_PIECES], uint64_t leaf)
{
	uint64_t iova = leaf, paddr = 4 * leaf;

	for (unsigned int i = 0; i < NR_PIECES; i++) {
		uint64_t most = random_below(&rig.random, 3) ? 40 * rig.page : leaf;
		uint64_t size = (1 + random_below(&rig.random, most / rig.page)) * rig.page;

		if (!random_below(&rig.random, 4)) {
			iova = (iova + leaf - 1) & -leaf;
			paddr = (paddr + leaf - 1) & -leaf;
			size = leaf;
		}
		pieces[i] = (struct piece){iova, size, paddr, false};
		iova += size;
		paddr += size;
	}
}

/* Unmap one page of a piece, and whatever the entry had besides; the piece is given up. */
static void unmap_page_of(struct piece *piece)
{
	uint64_t at = random_below(&rig.random, piece->size) & -rig.page, unmapped;

	begin();
	if (random_below(&rig.random, 2))
		(void)iommu_split_mapping(rig.domain, piece->iova + at, rig.page, GFP_KERNEL);
	unmapped = iommu_unmap(rig.domain, piece->iova + at, rig.page);
	end();
	assert_true(unmapped >= rig.page);
	for (uint64_t iova = piece->iova, last = iova + piece->size; iova < last;)
		iova += MAX(iommu_unmap(rig.domain, iova, last - iova), rig.page);
	piece->mapped = false;
}

/* Over what is mapped behind a piece, or over the piece itself. */
static void map_over(const struct piece *piece)
{
	uint64_t size = piece->size;

	if (!piece->mapped)
		size = piece[1].iova - piece->iova +
		       (1 + random_below(&rig.random, piece[1].size / rig.page)) * rig.page;
	try_map(piece->iova, OTHER_PLACE + piece->iova, size, -EADDRINUSE);
}

static void random_step(struct piece *piece, bool is_last)
{
	bool is_beside = !is_last && piece[1].mapped;

	if (!random_below(&rig.random, 4) && (piece->mapped || is_beside)) {
		map_over(piece);
	} else if (!piece->mapped) {
		try_map(piece->iova, piece->paddr, piece->size, 0);
		piece->mapped = true;
	} else if (random_below(&rig.random, 3)) {
		try_unmap(piece->iova, piece->size, piece->size);
		piece->mapped = false;
	} else {
		unmap_page_of(piece);
	}
}

static void random_calls(const struct shape *shape, unsigned int features)
{
	struct piece pieces[NR_PIECES];
	uint64_t leaf;

	open_rig(shape, features);
	leaf = rig.info.pgsizes & ~rig.page;
	leaf = MAX(leaf & -leaf, 16 * rig.page);
	random_pieces(pieces, leaf);
	if (pieces[NR_PIECES - 1].iova + leaf < rig.info.aperture_last)
		for (unsigned int i = 0; i < SCALED(STEPS); i++) {
			uint64_t n = random_below(&rig.random, NR_PIECES);

			random_step(&pieces[n], n == NR_PIECES - 1);
		}
	close_rig();
}

static void random_ranges(void **state)
{
	for_each(random_calls, 0, true);
	for_each(random_calls, IOMMU_FEATURE_BBML2, false);
	print_message("# %lu stores, tables looked at %lu times\n", store_watch.stores, all_looks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(splits),
		cmocka_unit_test(maps_that_fail),
		cmocka_unit_test(random_ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
