/* SPDX-License-Identifier: MIT */
/*
 * iommu_size() against the engine, which maps the same pieces, and against a
 * model that puts every table of every leaf into a set.
 */
#include "tests/geometry.h"

#include <uiommu/size.h>

#define SEED     0x512e0001ULL
#define MAX_MAPS 6

/* ---- the model ---- */

/* Tables that exist: level + 1 in the low bits, then the index. A hash set. */
struct table_set {
	uint64_t *slots;
	size_t size; /* a power of two */
	size_t used;
};

static void set_init(struct table_set *set, size_t size)
{
	*set = (struct table_set){calloc(size, sizeof(uint64_t)), size, 0};
	assert_non_null(set->slots);
}

/* Returns whether it is new. */
static bool set_add(struct table_set *set, uint64_t key)
{
	size_t i = (key * 0x9e3779b97f4a7c15ULL >> 20) & (set->size - 1);

	while (set->slots[i] && set->slots[i] != key)
		i = (i + 1) & (set->size - 1);
	if (set->slots[i])
		return false;
	set->slots[i] = key;
	if (++set->used * 2 > set->size) {
		struct table_set larger;

		set_init(&larger, 4 * set->size);
		for (i = 0; i < set->size; i++)
			if (set->slots[i])
				set_add(&larger, set->slots[i]);
		free(set->slots);
		*set = larger;
	}
	return true;
}

struct model {
	struct table_set set;
	const struct iommu_format *format;
	uint64_t pgsizes;
	unsigned int shift[IOMMU_MAX_LEVELS + 1]; /* log2 of what an item of a level spans */
	unsigned int top;                         /* level of the top table at the moment */
	bool grows;
	uint64_t tables[IOMMU_MAX_LEVELS];
	uint64_t entries[IOMMU_MAX_LEVELS];
};

static unsigned int page_lg2(const struct iommu_format *format)
{
	return (unsigned int)__builtin_ctzll(format->granule);
}

/* The leaf sizes that are in use without a choice. */
static uint64_t pgsizes_of(const struct iommu_format *format)
{
	if (is_family(format, "s390"))
		return 4096;
	/* Neither 1 MiB there nor 4 TiB here, which some hardware does not have. */
	return is_arm64(format) ? format->pgsizes & ~(1ULL << 42) : format->pgsizes;
}

static bool grows(const struct shape *shape)
{
	return !strcmp(shape->format->name, "amdv1");
}

/* A table is as large as the smallest page, but for those of s390. */
static unsigned int items_lg2(const struct iommu_format *format, unsigned int level)
{
	if (!strcmp(format->name, "s390"))
		return level ? 11 : 8;
	return page_lg2(format) - 3;
}

static void model_init(struct model *model, const struct shape *shape)
{
	unsigned int levels = (shape->width - 12 + 8) / 9;

	memset(model, 0, sizeof(*model));
	model->format = shape->format;
	model->pgsizes = pgsizes_of(shape->format);
	model->grows = grows(shape);
	if (!model->grows)
		levels = geometry_of(shape)->levels;
	model->top = (model->grows && levels > 3 ? 3 : levels) - 1;
	model->shift[0] = page_lg2(shape->format);
	for (unsigned int level = 0; level < IOMMU_MAX_LEVELS; level++)
		model->shift[level + 1] = model->shift[level] + items_lg2(shape->format, level);
	set_init(&model->set, 1024);
}

static void add_table(struct model *model, uint64_t iova, unsigned int level)
{
	unsigned int shift = model->shift[level + 1];
	uint64_t index = shift < 64 && level < model->top ? iova >> shift : 0;

	model->tables[level] += set_add(&model->set, index << 3 | (level + 1));
}

/* One physically contiguous piece: leaf by leaf, the largest that fits. */
static void model_map(struct model *model, uint64_t iova, uint64_t paddr, uint64_t size)
{
	uint64_t last = iova + size - 1;

	while (model->grows && model->shift[model->top + 1] < 64 &&
	       last >> model->shift[model->top + 1])
		model->top++;
	while (size) {
		unsigned int lg2 = 51, level;

		while (!(model->pgsizes >> lg2 & 1) || lg2 >= model->shift[model->top + 1] ||
		       ((iova | paddr) & ((1ULL << lg2) - 1)) || size >> lg2 == 0)
			lg2--;
		for (level = 0; model->shift[level + 1] <= lg2;)
			level++;
		model->entries[level]++;
		for (unsigned int i = level; i < IOMMU_MAX_LEVELS; i++)
			add_table(model, iova, i);
		iova += 1ULL << lg2;
		paddr += 1ULL << lg2;
		size -= 1ULL << lg2;
	}
}

/* ---- random maps ---- */

/* A map with at most so many pieces and pages, somewhere in the lower half. */
static struct iommu_size_map random_map(uint64_t *state, const struct shape *shape)
{
	unsigned int width = shape->width, page = page_lg2(shape->format), window, least = 25;
	unsigned int backing_lg2 = page + (unsigned int)random_below(state, 30);
	unsigned int align = page + (unsigned int)random_below(state, 24);
	struct iommu_size_map map = {.count = 1, .backing = 1ULL << backing_lg2};

	if (width < least + 2)
		least = page + 2;
	window = least + (unsigned int)random_below(state, width - 1 - least);
	if (!random_below(state, 8))
		map.backing = 0;
	map.iova = random_below(state, 1ULL << (window < 52 ? window : 52))
		   << (window < 52 ? 0 : window - 52);
	map.iova = random_below(state, 6) ? map.iova >> align << align : 0;
	map.iova = map.iova >> page << page;
	map.size = 1 + random_below(state, 1ULL << (1 + random_below(state, 6)));
	map.size <<=
		page + random_below(state, backing_lg2 > page + 8 ? backing_lg2 - page - 2 : 5);
	if (random_below(state, 2)) {
		map.size =
			random_below(state, 2) ? map.size : (1 + random_below(state, 600)) << page;
		map.count = 1 + random_below(state, 40);
		map.stride = map.size + (random_below(state, 1 << 12) << page);
		if (random_below(state, 2))
			map.stride = (map.stride + (1ULL << align) - 1) >> align << align;
	}
	return map;
}

static uint64_t pieces_of(const struct iommu_size_map *map, const struct iommu_format *format)
{
	uint64_t backing = map->backing ? map->backing : format->granule;

	return ((map->size - 1) / backing + 1) * map->count;
}

/* Leaves at most: what is in a piece is at most so many, and its tail. */
static bool is_small(const struct iommu_size_map *map, const struct iommu_format *format)
{
	unsigned int align = map->iova ? (unsigned int)__builtin_ctzll(map->iova) : 63;

	if (map->count > 1 && (unsigned int)__builtin_ctzll(map->stride) < align)
		align = (unsigned int)__builtin_ctzll(map->stride);
	if (map->backing && (unsigned int)__builtin_ctzll(map->backing) < align)
		align = (unsigned int)__builtin_ctzll(map->backing);
	if (!map->backing)
		align = page_lg2(format);
	/* In a small table no leaf is large. */
	align = align < 39 ? align : 39;
	while (!(pgsizes_of(format) >> align & 1))
		align--;
	return pieces_of(map, format) <= 3000 && (map->size >> align) * map->count <= 3000;
}

static bool overlap(const struct iommu_size_map *a, const struct iommu_size_map *b)
{
	for (uint64_t i = 0; i < a->count; i++)
		for (uint64_t j = 0; j < b->count; j++) {
			uint64_t x = a->iova + i * a->stride, y = b->iova + j * b->stride;

			if (x < y + b->size && y < x + a->size)
				return true;
		}
	return false;
}

static size_t random_maps(uint64_t *state, const struct shape *shape, struct iommu_size_map *maps)
{
	size_t wanted = 1 + random_below(state, MAX_MAPS), nr = 0;

	for (unsigned int tries = 0; tries < 30 && nr < wanted; tries++) {
		struct iommu_size_map map = random_map(state, shape);
		uint64_t end = map.iova + map.size + (map.count - 1) * map.stride;
		bool clash = end > 1ULL << (shape->width - 1) || !is_small(&map, shape->format);

		for (size_t i = 0; i < nr && !clash; i++)
			clash = overlap(&map, &maps[i]);
		if (!clash)
			maps[nr++] = map;
	}
	return nr;
}

/* Call @map_piece for every piece; odd multiples of the backing never adjoin. */
static void each_piece(const struct iommu_size_map *map, uint64_t page,
		       void (*map_piece)(void *to, uint64_t iova, uint64_t paddr, uint64_t size),
		       void *to)
{
	uint64_t backing = map->backing ? map->backing : page;

	for (uint64_t i = 0; i < map->count; i++) {
		uint64_t iova = map->iova + i * map->stride, left = map->size;

		for (uint64_t piece = 0; left; piece++) {
			uint64_t size = left < backing ? left : backing;

			map_piece(to, iova, backing * (2 * (piece % 4) + 1), size);
			iova += size;
			left -= size;
		}
	}
}

static void piece_to_model(void *to, uint64_t iova, uint64_t paddr, uint64_t size)
{
	model_map(to, iova, paddr, size);
}

static void piece_to_engine(void *to, uint64_t iova, uint64_t paddr, uint64_t size)
{
	assert_int_equal(iommu_map(to, iova, paddr, size, RW, GFP_KERNEL_ACCOUNT), 0);
}

static void print_maps(const struct shape *shape, const struct iommu_size_map *maps, size_t nr)
{
	print_message("%s, %u bits\n", shape->format->name, shape->width);
	for (size_t i = 0; i < nr; i++)
		print_message("  iova=%#llx,size=%#llx,backing=%#llx,count=%llu,stride=%#llx\n",
			      (unsigned long long)maps[i].iova, (unsigned long long)maps[i].size,
			      (unsigned long long)maps[i].backing,
			      (unsigned long long)maps[i].count,
			      (unsigned long long)maps[i].stride);
}

static void check_sums(const struct shape *shape, const struct iommu_size *size)
{
	const struct geometry amd = {"amdv1", 64, size->levels, 4096, 4096};
	const struct geometry *geometry = grows(shape) ? &amd : geometry_of(shape);
	uint64_t total = 0;

	for (unsigned int level = 0; level < size->levels; level++) {
		assert_int_equal(size->each[level].bytes, table_bytes(geometry, level));
		assert_int_equal(size->bytes[level],
				 size->tables[level] * table_bytes(geometry, level));
		total += size->bytes[level];
	}
	assert_int_equal(size->top_bytes, geometry->top);
	assert_int_equal(size->table_bytes, total - geometry->top);
}

static void compare_model(const struct shape *shape, const struct iommu_size_map *maps, size_t nr,
			  const struct iommu_size *size)
{
	struct model model;
	bool same = true;

	model_init(&model, shape);
	for (size_t i = 0; i < nr; i++)
		each_piece(&maps[i], shape->format->granule, piece_to_model, &model);
	model.tables[model.top] = 1; /* also of an empty domain */
	for (unsigned int level = 0; level < IOMMU_MAX_LEVELS; level++) {
		if (level > model.top)
			model.tables[level] = 0;
		same &= size->tables[level] == model.tables[level] &&
			size->entries[level] == model.entries[level];
	}
	if (!same)
		print_maps(shape, maps, nr);
	assert_memory_equal(size->tables, model.tables, sizeof(model.tables));
	assert_memory_equal(size->entries, model.entries, sizeof(model.entries));
	assert_int_equal(size->levels, model.top + 1);
	free(model.set.slots);
}

static void compare_engine(const struct shape *shape, const struct iommu_size_map *maps, size_t nr,
			   const struct iommu_size *size)
{
	struct mem_cgroup *memcg = enter_cgroup(NULL);
	struct iommu_domain *domain = new_domain(shape);
	struct iommu_domain_info info;
	/* Tables that are objects are charged as such, with the domain. */
	const char *kind = strcmp(shape->format->name, "s390") ? "sec_pagetables" : "slab";
	uint64_t before = cgroup_stat(memcg, kind);

	assert_true(before >= size->top_bytes);
	for (size_t i = 0; i < nr; i++)
		each_piece(&maps[i], shape->format->granule, piece_to_engine, domain);
	info = domain_info(domain);
	if (memcmp(info.tables, size->tables, sizeof(info.tables)))
		print_maps(shape, maps, nr);
	assert_memory_equal(info.tables, size->tables, sizeof(info.tables));
	assert_int_equal(info.levels, size->levels);
	assert_int_equal(info.table_bytes, size->top_bytes + size->table_bytes);
	assert_int_equal(info.aperture_last, size->aperture_last);
	assert_int_equal(cgroup_stat(memcg, kind) - before, size->table_bytes);
	iommu_domain_free(domain);
	leave_cgroup(memcg);
}

static void check_maps(const struct shape *shape, const struct iommu_size_map *maps, size_t nr)
{
	struct iommu_size size;

	if (iommu_size(shape->format->name, shape->width, maps, nr, &size)) {
		print_maps(shape, maps, nr);
		fail_msg("refused for reason %d", size.reason);
	}
	check_sums(shape, &size);
	compare_model(shape, maps, nr, &size);
	compare_engine(shape, maps, nr, &size);
}

static void test_random(void **unused)
{
	struct shape shapes[MAX_SHAPES];
	unsigned int nr_shapes = list_shapes(shapes), checked = 0;
	uint64_t state = SEED;

	print_message("seed %#llx\n", SEED);
	for (unsigned int round = 0; round < SCALED(4000); round++) {
		struct shape shape = shapes[random_below(&state, nr_shapes)];
		struct iommu_size_map maps[MAX_MAPS];
		size_t nr;

		/* A format that grows takes any width. */
		if (shape.width == shape.format->width_min && grows(&shape))
			shape.width = 28 + (unsigned int)random_below(&state, 36);
		nr = random_maps(&state, &shape, maps);
		check_maps(&shape, maps, nr);
		checked += nr > 1;
	}
	assert_in_range(checked, SCALED(1500), SCALED(4000));
}

/* The widths are the engine's, and so is what their first half and last page take. */
static void test_every_width(void **unused)
{
	const struct iommu_format *format = NULL;
	unsigned int nr = 0;

	while ((format = iommu_format_next(format)))
		for (unsigned int width = 1; width <= 64; width++) {
			struct shape shape = {format, width};
			struct iommu_domain *domain =
				alloc_domain(&shape, IOMMU_DOMAIN_UNMANAGED, GFP_KERNEL);
			struct iommu_size size;
			struct iommu_size_map maps[2];
			uint64_t half;

			if (IS_ERR(domain)) {
				assert_int_equal(iommu_size(format->name, width, NULL, 0, &size),
						 -EINVAL);
				assert_int_equal(size.reason, IOMMU_SIZE_WIDTH);
				continue;
			}
			iommu_domain_free(domain);
			assert_int_equal(iommu_size(format->name, width, NULL, 0, &size), 0);
			half = size.aperture_last / 2 + 1;
			half = half < 1ULL << 36 ? half : 1ULL << 36;
			maps[0] = (struct iommu_size_map){0, half, half, 1, 0};
			maps[1] = (struct iommu_size_map){size.aperture_last - format->granule + 1,
							  format->granule, 0, 1, 0};
			assert_int_equal(iommu_size(format->name, width, maps, 2, &size), 0);
			compare_engine(&shape, maps, 2, &size);
			nr++;
		}
	assert_in_range(nr, 180, 240);
}

/* What random numbers do not hit. */
static void test_corners(void **unused)
{
	const uint64_t g512 = 1ULL << 39, t256 = 1ULL << 48;
	const struct iommu_format *amd = iommu_format_find("amdv1");
	const struct iommu_format *vtd = iommu_format_find("vtd");
	const struct shape amd64 = {amd, 64}, vtd39 = {vtd, 39}, vtd57 = {vtd, 57};
	/* A piece of exactly what the top table spans, before and after it grew. */
	const struct iommu_size_map exact[] = {{0, g512, g512, 1, 0}, {g512, g512, g512, 1, 0}};
	const struct iommu_size_map late[] = {{g512, g512, g512, 1, 0}, {0, g512, g512, 1, 0}};
	const struct iommu_size_map twice[] = {{0, 2 * g512, g512, 1, 0}};
	const struct iommu_size_map joined[] = {{0, 2 * g512, 2 * g512, 1, 0}};
	const struct iommu_size_map strided[] = {{0, g512, g512, 3, 2 * g512}};
	const struct iommu_size_map high[] = {{0, t256, t256, 1, 0}, {-4096ULL, 4096, 0, 1, 0}};
	const struct iommu_size_map lone[] = {{-4096ULL, 4096, 0, 1, 0}};
	const struct iommu_size_map whole[] = {{0, g512, 1ULL << 30, 1, 0}};
	const struct iommu_size_map top57[] = {{(1ULL << 57) - 8192, 8192, 0, 1, 0}};

	check_maps(&amd64, NULL, 0);
	check_maps(&amd64, exact, 2);
	check_maps(&amd64, late, 2);
	check_maps(&amd64, twice, 1);
	check_maps(&amd64, joined, 1);
	check_maps(&amd64, strided, 1);
	check_maps(&amd64, high, 2);
	check_maps(&amd64, lone, 1);
	check_maps(&vtd39, NULL, 0);
	check_maps(&vtd39, whole, 1);
	check_maps(&vtd57, top57, 1);
}

/* Sets too large for the engine: pages at strides, a million of them. */
static void test_model_only(void **unused)
{
	const struct shape shape = {iommu_format_find("amdv1"), 64};
	const struct iommu_size_map maps[] = {
		{0x1000, 0x1000, 0, 300000, 0x203000},
		{0x2000000000000, 0x3000, 0x2000, 200000, 0x40008000},
		{0x2000000004000, 0x2000, 0x2000, 150000, 0x50018000},
	};
	struct iommu_size size;

	for (size_t nr = 1; nr <= 3; nr++) {
		assert_int_equal(iommu_size("amdv1", 64, maps, nr, &size), 0);
		compare_model(&shape, maps, nr, &size);
	}
}

/* A count of 10^12 is arithmetic. */
static void test_huge_counts(void **unused)
{
	const uint64_t count = 1000000000000;
	const struct iommu_size_map sparse = {0, 4096, 0, count, 8 << 20};
	const struct iommu_size_map pairs[] = {{0, 4096, 0, count, 8 << 20},
					       {4096, 4096, 0, count / 2, 16 << 20},
					       {6 << 20, 4096, 0, count / 4, 32 << 20}};
	struct iommu_size size;

	assert_int_equal(iommu_size("amdv1", 64, &sparse, 1, &size), 0);
	assert_int_equal(size.entries[0], count);
	assert_int_equal(size.tables[0], count);
	assert_int_equal(size.tables[1], count / 128 + (count % 128 != 0));
	assert_int_equal(iommu_size("amdv1", 64, pairs, 3, &size), 0);
	assert_int_equal(size.entries[0], count + count / 2 + count / 4);
	assert_int_equal(size.tables[0], count + count / 4);
}

struct refusal {
	const char *format;
	unsigned int width;
	struct iommu_size_map maps[2];
	size_t nr;
	int error;
	enum iommu_size_reason reason;
	size_t first, second;
};

static void test_refusals(void **unused)
{
	static const struct refusal refusals[] = {
		{"nvme", 0, {{0}}, 0, -EINVAL, IOMMU_SIZE_FORMAT, 0, 0},
		{NULL, 0, {{0}}, 0, -EINVAL, IOMMU_SIZE_FORMAT, 0, 0},
		{"vtd", 40, {{0}}, 0, -EINVAL, IOMMU_SIZE_WIDTH, 0, 0},
		{"vtd", 66, {{0}}, 0, -EINVAL, IOMMU_SIZE_WIDTH, 0, 0},
		{"x86_64", 39, {{0}}, 0, -EINVAL, IOMMU_SIZE_WIDTH, 0, 0},
		{"amdv1", 65, {{0}}, 0, -EINVAL, IOMMU_SIZE_WIDTH, 0, 0},
		{"vtd", 0, {{1, 4096, 0, 1, 0}}, 1, -EINVAL, IOMMU_SIZE_BAD_IOVA, 0, 0},
		{"vtd", 0, {{0, 0, 0, 1, 0}}, 1, -EINVAL, IOMMU_SIZE_BAD_SIZE, 0, 0},
		{"vtd", 0, {{0, 4097, 0, 1, 0}}, 1, -EINVAL, IOMMU_SIZE_BAD_SIZE, 0, 0},
		{"vtd", 0, {{0, 4096, 2048, 1, 0}}, 1, -EINVAL, IOMMU_SIZE_BAD_BACKING, 0, 0},
		{"vtd", 0, {{0, 4096, 12288, 1, 0}}, 1, -EINVAL, IOMMU_SIZE_BAD_BACKING, 0, 0},
		{"vtd", 0, {{0, 4096, 0, 0, 0}}, 1, -EINVAL, IOMMU_SIZE_BAD_COUNT, 0, 0},
		{"vtd", 0, {{0, 4096, 0, 2, 4097}}, 1, -EINVAL, IOMMU_SIZE_BAD_STRIDE, 0, 0},
		{"vtd", 0, {{0, 8192, 0, 2, 4096}}, 1, -EADDRINUSE, IOMMU_SIZE_OVERLAP, 0, 0},
		{"vtd", 0, {{0, 4096, 0, 2, 0}}, 1, -EADDRINUSE, IOMMU_SIZE_OVERLAP, 0, 0},
		{"amdv1", 0, {{-4096ULL, 8192, 0, 1, 0}}, 1, -ERANGE, IOMMU_SIZE_WRAPS, 0, 0},
		{"amdv1", 0, {{0, 4096, 0, 3, 1ULL << 63}}, 1, -ERANGE, IOMMU_SIZE_WRAPS, 0, 0},
		{"vtd", 39, {{1ULL << 39, 4096, 0, 1, 0}}, 1, -ERANGE, IOMMU_SIZE_APERTURE, 0, 0},
		{"x86_64",
		 48,
		 {{1ULL << 47, 4096, 0, 1, 0}},
		 1,
		 -ERANGE,
		 IOMMU_SIZE_APERTURE,
		 0,
		 0},
		{"vtd", 39, {{0, 4096, 0, 9, 1ULL << 36}}, 1, -ERANGE, IOMMU_SIZE_APERTURE, 0, 0},
		{"vtd",
		 39,
		 {{0, 4096, 0, 1, 0}, {-4096ULL, 4096, 0, 1, 0}},
		 2,
		 -ERANGE,
		 IOMMU_SIZE_APERTURE,
		 1,
		 1},
		{"vtd",
		 0,
		 {{0x8000, 0x2000, 0, 1, 0}, {0x1000, 0x8000, 0, 1, 0}},
		 2,
		 -EADDRINUSE,
		 IOMMU_SIZE_OVERLAP,
		 0,
		 1},
	};

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		const struct refusal *refusal = &refusals[i];
		struct iommu_size size;

		print_message("refusal %zu\n", i);
		assert_int_equal(iommu_size(refusal->format, refusal->width, refusal->maps,
					    refusal->nr, &size),
				 refusal->error);
		assert_int_equal(size.reason, refusal->reason);
		assert_int_equal(size.maps[0], refusal->first);
		assert_int_equal(size.maps[1], refusal->second);
	}
}

/* More maps than are counted on the stack. */
static void test_many_maps(void **unused)
{
	static struct iommu_size_map maps[20000];
	struct iommu_size size;

	for (size_t i = 0; i < 20000; i++)
		maps[i] = (struct iommu_size_map){(i * 7919 % 20000) << 20, 4096, 0, 1, 0};
	assert_int_equal(iommu_size("vtd", 48, maps, 20000, &size), 0);
	assert_int_equal(size.tables[0], 10000);
	assert_int_equal(size.tables[1], 20);
	maps[7].iova = maps[19999].iova;
	assert_int_equal(iommu_size("vtd", 48, maps, 20000, &size), -EADDRINUSE);
	assert_int_equal(size.maps[0], 7);
	assert_int_equal(size.maps[1], 19999);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),      cmocka_unit_test(test_every_width),
		cmocka_unit_test(test_corners),     cmocka_unit_test(test_model_only),
		cmocka_unit_test(test_huge_counts), cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_many_maps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
