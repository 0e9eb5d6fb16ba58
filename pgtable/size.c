/* SPDX-License-Identifier: MIT */
/*
 * The tables that a set of mappings needs, in closed form. This shares nothing with the
 * engine but the formats' names, widths and page sizes.
 *
 * Leaves: input and physical memory of a mapping have the same alignment up to its
 * backing or the alignment of its iova, whichever is less; it cannot have larger
 * leaves. From its start on it has leaves of the largest possible size, and in the
 * rest, which is smaller than one of these, leaves of smaller and smaller sizes.
 *
 * Tables: a level has a table where a leaf of that level or below lies in what the
 * table spans. A leaf of a level above fills whole such spans, and nothing else can lie
 * there. So the tables of a level are the distinct spans that the mappings touch
 * (strided.h counts those), less the spans in the leaves above.
 */
#include <uiommu/size.h>

#include "pgtable/strided.h"
#include "pgtable/pgtable.h"
#include "plat/plat.h"
#include "plat/string.h"

/* How the top table translates exactly the address width. */
enum top {
	TOP_WHOLE,  /* it is like the other tables of its level: there are no other widths */
	TOP_GROWS,  /* like TOP_WHOLE, but levels are added on demand */
	TOP_CUT,    /* it has the items that the width needs */
	TOP_JOINED, /* like TOP_CUT, or up to 16 times more items in place of one more level */
	TOP_WIDE,   /* like TOP_WHOLE, or four times as many items */
};

/*
 * What a format's tables look like; struct iommu_format has the rest. An item
 * is 8 bytes, so a table of 2^n items takes 2^(n+3).
 */
struct layout {
	const char *format;
	uint8_t granule_lg2;                 /* smallest page */
	uint8_t index_lg2[IOMMU_MAX_LEVELS]; /* items of a table, from level 0 on; 0: no level */
	uint8_t start_levels; /* grows on demand from this number of levels; 0: fixed */
	bool sign_extended;   /* half of the addresses are at the upper end */
	enum top top;
};

static const struct layout layouts[] = {
	{"vtd", 12, {9, 9, 9, 9, 9}, 0, false, TOP_WHOLE},
	{"x86_64", 12, {9, 9, 9, 9, 9}, 0, true, TOP_WHOLE},
	{"amdv1", 12, {9, 9, 9, 9, 9, 9}, 3, false, TOP_GROWS},
	{"arm64-s1", 12, {9, 9, 9, 9}, 0, false, TOP_CUT},
	{"arm64-s1-16k", 14, {11, 11, 11, 11}, 0, false, TOP_CUT},
	{"arm64-s1-64k", 16, {13, 13, 13}, 0, false, TOP_CUT},
	{"arm64-s2", 12, {9, 9, 9, 9}, 0, false, TOP_JOINED},
	{"arm64-s2-16k", 14, {11, 11, 11, 11}, 0, false, TOP_JOINED},
	{"arm64-s2-64k", 16, {13, 13, 13}, 0, false, TOP_JOINED},
	{"riscv64", 12, {9, 9, 9, 9, 9}, 0, true, TOP_WIDE},
	{"s390", 12, {8, 11, 11, 11, 11}, 0, false, TOP_WHOLE},
};

#define JOINED_LG2    4 /* log2 of the most tables that a JOINED top is made of */
#define WIDE_LG2      2 /* log2 of the same for a WIDE top */
#define LEAST_TOP_LG2 9 /* log2 of the least items that a top table has memory for: a page */

/* log2 of the bytes that an item of the level, or a table of the level below, spans. */
static unsigned int level_shift(const struct layout *layout, unsigned int level)
{
	unsigned int shift = layout->granule_lg2;

	for (unsigned int i = 0; i < level; i++)
		shift += layout->index_lg2[i];
	return shift;
}

/* The bytes that so many levels span; 0 for 2^64 and more. */
static uint64_t level_span(const struct layout *layout, unsigned int levels)
{
	unsigned int shift = level_shift(layout, levels);

	return shift < 64 ? BIT_ULL(shift) : 0;
}

/* The levels that 2^width addresses need; 0 when the format has not so many. */
static unsigned int levels_for(const struct layout *layout, unsigned int width)
{
	for (unsigned int levels = 1; levels <= IOMMU_MAX_LEVELS; levels++) {
		if (!layout->index_lg2[levels - 1])
			return 0;
		if (level_shift(layout, levels) >= width)
			return levels;
	}
	return 0;
}

/* The level of the items that a leaf of 2^size_lg2 bytes consists of. */
static unsigned int leaf_level(const struct layout *layout, unsigned int size_lg2)
{
	return levels_for(layout, size_lg2 + 1) - 1;
}

static const struct layout *find_layout(const char *format)
{
	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++)
		if (pgtable_find(layouts[i].format) == pgtable_find(format))
			return &layouts[i];
	return NULL;
}

/* ---- leaves ---- */

/* Leaves per level, and how much they map, in granules. */
struct leaves {
	const struct layout *layout;
	uint64_t pgsizes;
	uint64_t entries[IOMMU_MAX_LEVELS];
	uint64_t granules[IOMMU_MAX_LEVELS];
};

/* Count @times ranges of @size bytes each, aligned to 2^align_lg2 at least. */
static void count_leaves(struct leaves *leaves, uint64_t size, unsigned int align_lg2,
			 uint64_t times)
{
	uint64_t sizes = leaves->pgsizes & (BIT_ULL(align_lg2) | (BIT_ULL(align_lg2) - 1));

	while (times && sizes) {
		unsigned int lg2 = fls64_index(sizes);
		unsigned int level = leaf_level(leaves->layout, lg2);
		uint64_t entries = (size >> lg2) * times;

		leaves->entries[level] += entries;
		leaves->granules[level] += entries << (lg2 - leaves->layout->granule_lg2);
		size &= BIT_ULL(lg2) - 1;
		sizes &= ~BIT_ULL(lg2);
	}
}

/* The inverse of an odd number modulo 2^64; each step doubles the right bits. */
static uint64_t odd_inverse(uint64_t odd)
{
	uint64_t inverse = odd;

	for (unsigned int bits = 3; bits < 64; bits *= 2)
		inverse *= 2 - odd * inverse;
	return inverse;
}

/* How many of the starts first + i * stride, i < count, are multiples of 2^lg2. */
static uint64_t aligned_starts(uint64_t first, uint64_t stride, uint64_t count, unsigned int lg2)
{
	uint64_t mask = BIT_ULL(lg2) - 1;
	unsigned int stride_lg2;
	uint64_t i;

	if (!(stride & mask) || count == 1)
		return first & mask ? 0 : count;
	stride_lg2 = ffs64_index(stride);
	if (first & (BIT_ULL(stride_lg2) - 1))
		return 0;
	/* The first such i, by division modulo a power of two. */
	i = -(first >> stride_lg2) * odd_inverse(stride >> stride_lg2) & mask >> stride_lg2;
	return i < count ? ((count - 1 - i) >> (lg2 - stride_lg2)) + 1 : 0;
}

/* Count the leaves of a map whose repeats may begin at different alignments. */
static void count_map(struct leaves *leaves, const struct iommu_size_map *map,
		      unsigned int backing_lg2)
{
	uint64_t here = map->count; /* starts that are aligned to 2^lg2 at least */

	for (unsigned int lg2 = leaves->layout->granule_lg2; here; lg2++) {
		uint64_t more = 0;

		if (lg2 < backing_lg2)
			more = aligned_starts(map->iova, map->stride, map->count, lg2 + 1);
		count_leaves(leaves, map->size, lg2, here - more);
		here = more;
	}
}

/*
 * A table that grows has leaves only below its present top. That matters for a map
 * whose first piece is exactly what the top table spans: the piece has leaves smaller
 * than itself, though the table may grow later.
 */
static void count_spanning_piece(struct leaves *leaves, struct iommu_size_map map, uint64_t piece,
				 unsigned int backing_lg2)
{
	count_leaves(leaves, piece, fls64_index(piece) - 1, 1);
	count_leaves(leaves, map.size - piece, backing_lg2, 1);
	map.iova += map.stride;
	map.count--;
	count_map(leaves, &map, backing_lg2);
}

/* ---- what is asked for ---- */

struct sizing {
	const struct layout *layout;
	const struct iommu_format *format;
	unsigned int top_lg2; /* items of the top table */
	struct iommu_size *size;
	const struct iommu_size_map *maps;
	size_t nr;
	struct strided *ranges;
	struct strided_work work;
};

static int refuse(struct iommu_size *size, enum iommu_size_reason reason, size_t a, size_t b)
{
	size->reason = reason;
	size->maps[0] = a;
	size->maps[1] = b;
	switch (reason) {
	case IOMMU_SIZE_WRAPS:
	case IOMMU_SIZE_APERTURE:
		return -ERANGE;
	case IOMMU_SIZE_OVERLAP:
		return -EADDRINUSE;
	case IOMMU_SIZE_INTERLEAVED:
		return -E2BIG;
	case IOMMU_SIZE_MEMORY:
		return -ENOMEM;
	default:
		return -EINVAL;
	}
}

/* Choose levels and top table for an address width. Returns false if there is no such width. */
static bool choose_levels(struct sizing *s, unsigned int width)
{
	const struct layout *layout = s->layout;
	unsigned int levels = levels_for(layout, width), rest, whole;

	if (layout->top == TOP_JOINED && levels >= (layout->granule_lg2 == 14 ? 3 : 4) &&
	    width <= level_shift(layout, levels - 1) + JOINED_LG2)
		levels--;
	if (layout->top == TOP_WIDE && level_shift(layout, levels) != width)
		levels = levels_for(layout, width - WIDE_LG2);
	s->size->levels = levels;
	if (width < s->format->width_min || width > s->format->width_max || !levels)
		return false;
	whole = layout->index_lg2[levels - 1];
	rest = width - level_shift(layout, levels - 1);
	s->top_lg2 = layout->top == TOP_GROWS ? whole : rest;
	switch (layout->top) {
	case TOP_WHOLE:
		return rest == whole;
	case TOP_WIDE:
		return rest == whole || rest == whole + WIDE_LG2;
	default:
		return true;
	}
}

/* Are half of the addresses at the upper end? Not with a wider top. */
static bool is_sign_extended(const struct sizing *s)
{
	return s->layout->sign_extended && s->top_lg2 == s->layout->index_lg2[s->size->levels - 1];
}

/* Tables of every level that there may be. */
static void describe_tables(struct sizing *s)
{
	struct iommu_size *size = s->size;

	for (unsigned int level = 0; level < size->levels; level++) {
		unsigned int items_lg2 = s->layout->index_lg2[level];

		if (level + 1 == size->levels)
			items_lg2 = MAX(s->top_lg2, LEAST_TOP_LG2);
		size->each[level].bytes = BIT_ULL(items_lg2 + 3);
		size->each[level].span_lg2 = level_shift(s->layout, level) +
					     (level + 1 == size->levels ? s->top_lg2 : items_lg2);
	}
}

/* Find the format and the width, and set all that follows from them. */
static int choose_format(struct sizing *s, const char *name, unsigned int width)
{
	struct iommu_size *size = s->size;
	unsigned int bits;

	s->format = iommu_format_find(name);
	s->layout = s->format ? find_layout(name) : NULL;
	if (!s->layout)
		return refuse(size, IOMMU_SIZE_FORMAT, 0, 0);
	if (!width)
		width = s->format->width_default;
	size->format = s->format->name;
	size->address_width = width;
	size->granule = BIT_ULL(s->layout->granule_lg2);
	if (!choose_levels(s, width))
		return refuse(size, IOMMU_SIZE_WIDTH, 0, 0);
	bits = width - is_sign_extended(s);
	size->aperture_last = bits < 64 ? BIT_ULL(bits) - 1 : UINT64_MAX;
	describe_tables(s);
	if (s->layout->start_levels)
		size->levels = MIN(size->levels, s->layout->start_levels);
	return 0;
}

/* Check the numbers of a map, each by itself. */
static enum iommu_size_reason check_map(const struct iommu_size_map *map, uint64_t granule)
{
	if (map->iova & (granule - 1))
		return IOMMU_SIZE_BAD_IOVA;
	if (!map->size || map->size & (granule - 1))
		return IOMMU_SIZE_BAD_SIZE;
	if (map->backing & (map->backing - 1) || (map->backing && map->backing < granule))
		return IOMMU_SIZE_BAD_BACKING;
	if (!map->count)
		return IOMMU_SIZE_BAD_COUNT;
	if (map->count > 1 && map->stride & (granule - 1))
		return IOMMU_SIZE_BAD_STRIDE;
	if (map->size - 1 > UINT64_MAX - map->iova)
		return IOMMU_SIZE_WRAPS;
	return IOMMU_SIZE_GOOD;
}

/* Check where the last repeat of a map ends. */
static enum iommu_size_reason check_range(const struct iommu_size_map *map, uint64_t aperture_last)
{
	unsigned __int128 last = map->iova + (map->size - 1);

	if (map->count > 1)
		last += (unsigned __int128)(map->count - 1) * map->stride;
	if (last > UINT64_MAX)
		return IOMMU_SIZE_WRAPS;
	if (last > aperture_last)
		return IOMMU_SIZE_APERTURE;
	if (map->count > 1 && map->stride < map->size)
		return IOMMU_SIZE_OVERLAP;
	return IOMMU_SIZE_GOOD;
}

static uint64_t map_last(const struct iommu_size_map *map)
{
	return map->iova + (map->size - 1) + (map->count - 1) * (map->count > 1 ? map->stride : 0);
}

static int check_maps(struct sizing *s)
{
	for (size_t i = 0; i < s->nr; i++) {
		enum iommu_size_reason reason = check_map(&s->maps[i], s->size->granule);

		if (reason == IOMMU_SIZE_GOOD)
			reason = check_range(&s->maps[i], s->size->aperture_last);
		if (reason != IOMMU_SIZE_GOOD)
			return refuse(s->size, reason, i, i);
	}
	return 0;
}

static void make_ranges(struct sizing *s)
{
	for (size_t i = 0; i < s->nr; i++) {
		const struct iommu_size_map *map = &s->maps[i];

		s->ranges[i] = (struct strided){map->iova, map->iova + (map->size - 1),
						map->count > 1 ? map->stride : 0, map->count, i};
	}
}

/* Let a table that grows become as tall as an address needs. */
static void grow_to(struct sizing *s, uint64_t last)
{
	if (s->layout->start_levels && last)
		s->size->levels =
			MAX(s->size->levels, levels_for(s->layout, fls64_index(last) + 1));
}

/* Count the leaves of all maps, in order, since the height of a growing table depends on it. */
static void count_all_leaves(struct sizing *s, struct leaves *leaves)
{
	for (size_t i = 0; i < s->nr; i++) {
		const struct iommu_size_map *map = &s->maps[i];
		unsigned int backing_lg2 =
			map->backing ? ffs64_index(map->backing) : s->layout->granule_lg2;
		uint64_t piece = MIN(map->size, BIT_ULL(backing_lg2));

		grow_to(s, map->iova + (piece - 1));
		if (s->layout->start_levels && !map->iova &&
		    piece == level_span(s->layout, s->size->levels))
			count_spanning_piece(leaves, *map, piece, backing_lg2);
		else
			count_map(leaves, map, backing_lg2);
		grow_to(s, map_last(map));
	}
}

/* Count the tables of a level below the top. */
static int count_tables(struct sizing *s, const struct leaves *leaves, unsigned int level)
{
	unsigned int shift = level_shift(s->layout, level + 1);
	uint64_t touched, above = 0;

	if (!strided_blocks(s->ranges, s->nr, shift, &s->work, &touched))
		return refuse(s->size, IOMMU_SIZE_INTERLEAVED, s->work.tags[0], s->work.tags[1]);
	for (unsigned int i = level + 1; i < s->size->levels; i++)
		above += leaves->granules[i];
	s->size->tables[level] = touched - (above >> (shift - s->layout->granule_lg2));
	return 0;
}

/*
 * The leaf sizes of a domain that asks for none in particular, as far as these levels
 * have them.
 */
static uint64_t usable_pgsizes(const struct sizing *s)
{
	const struct iommu_format *format = s->format;
	uint64_t sizes = format->pgsizes_default ? format->pgsizes_default : format->pgsizes;

	if (!s->layout->start_levels)
		for (unsigned int lg2 = 0; lg2 < 64; lg2++)
			if (sizes >> lg2 & 1 && leaf_level(s->layout, lg2) >= s->size->levels)
				sizes &= ~BIT_ULL(lg2);
	return sizes;
}

static int count_everything(struct sizing *s)
{
	struct leaves leaves = {.layout = s->layout, .pgsizes = usable_pgsizes(s)};
	struct iommu_size *size = s->size;
	uint64_t total = 0;
	int ret = 0;

	make_ranges(s);
	if (strided_find_overlap(s->ranges, s->nr, size->maps))
		return refuse(size, IOMMU_SIZE_OVERLAP, size->maps[0], size->maps[1]);
	make_ranges(s); /* strided_find_overlap() has destroyed them */
	count_all_leaves(s, &leaves);
	memcpy(size->entries, leaves.entries, sizeof(size->entries));
	size->tables[size->levels - 1] = 1;
	for (unsigned int level = 0; level + 1 < size->levels && !ret; level++)
		ret = count_tables(s, &leaves, level);
	for (unsigned int level = 0; level < size->levels; level++) {
		size->bytes[level] = size->tables[level] * size->each[level].bytes;
		total += size->bytes[level];
	}
	size->top_bytes = size->bytes[size->levels - 1];
	size->table_bytes = total - size->top_bytes;
	return ret;
}

/* Count in the memory given. */
static int count_in(struct sizing *s, void *memory)
{
	s->ranges = memory;
	strided_work_init(&s->work, s->nr, s->ranges + s->nr);
	return count_everything(s);
}

/* The most bytes of maps that are counted in memory on the stack. */
#define FEW_BYTES 8192

int iommu_size(const char *format, unsigned int address_width, const struct iommu_size_map *maps,
	       size_t nr, struct iommu_size *size)
{
	struct sizing s = {.size = size, .maps = maps, .nr = nr};
	size_t bytes = nr * sizeof(struct strided) + strided_work_bytes(nr);
	void *memory;
	int ret;

	memset(size, 0, sizeof(*size));
	ret = choose_format(&s, format, address_width);
	if (!ret)
		ret = check_maps(&s);
	if (ret)
		return ret;
	if (bytes <= FEW_BYTES) {
		uint64_t few[FEW_BYTES / sizeof(uint64_t)];

		return count_in(&s, few);
	}
	bytes = (bytes + 0x1fffff) &
		~(size_t)0x1fffff; /* a multiple of what plat_commit() can back */
	memory = plat_reserve(bytes);
	if (!memory)
		return refuse(size, IOMMU_SIZE_MEMORY, 0, 0);
	if (plat_commit(memory, bytes))
		ret = refuse(size, IOMMU_SIZE_MEMORY, 0, 0);
	else
		ret = count_in(&s, memory);
	plat_unreserve(memory, bytes);
	return ret;
}
