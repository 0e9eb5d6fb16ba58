/* SPDX-License-Identifier: MIT */
/*
 * uiommu image: how much the tables take, before any is made, counted as in `uiommu
 * size`. Unlike there, the physical addresses are known, and with them how large pages
 * can be.
 */
#include "cmd/cmd.h"
#include "cmd/image.h"

/* The most mappings that are counted one by one. */
#define EACH_MAX 4096

static uint64_t lowest_bit(uint64_t distance)
{
	return distance ? distance & -distance : UINT64_C(1) << 63;
}

/* The distance of the @nth range from its physical memory, which limits the size of pages. */
static uint64_t distance(const struct map_origin *origin, const struct iommu_size_map *map,
			 uint64_t nth)
{
	if (!origin->placed)
		return 0;
	return map->iova + nth * map->stride - (origin->paddr + nth * map->size);
}

uint64_t image_alignment(const struct map_origin *origin, const struct iommu_size_map *map,
			 uint64_t nth)
{
	return lowest_bit(distance(origin, map, nth));
}

/*
 * A range whose largest page has @backing bytes: pages grow up to its first multiple.
 * All repeats of @map begin alike.
 */
static void add_range(struct maps *maps, struct iommu_size_map map, uint64_t backing)
{
	uint64_t start = map.iova, left = map.size;

	while (left) {
		uint64_t lowest = start & -start;
		bool aligned = !(start & (backing - 1));
		uint64_t size = aligned || lowest > left ? left : lowest;

		map.iova = start;
		map.size = size;
		map.backing = aligned ? backing : lowest;
		maps_add(maps, map, (struct map_origin){0});
		start += size;
		left -= size;
	}
}

/* The largest page that fits into a piece of a range. */
static uint64_t largest_page(const struct iommu_size_map *map)
{
	uint64_t piece = map->backing && map->backing < map->size ? map->backing : map->size;

	return UINT64_C(1) << (63 - __builtin_clzll(piece));
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * Count many ranges as one, if all have pages of the same size, because of the distance
 * to their memory or because of their own size, and begin alike. Returns false if not.
 */
static bool add_many(struct maps *maps, const struct image_args *args, size_t nr)
{
	const struct map_origin *origin = &args->maps.origins[nr];
	const struct iommu_size_map *map = &args->maps.maps[nr];
	uint64_t most = largest_page(map), first = image_alignment(origin, map, 0);
	uint64_t step = lowest_bit(distance(origin, map, 1) - distance(origin, map, 0));
	uint64_t page = smaller(most, first);

	if (step <= first && smaller(step, first) < most)
		return false;
	if (map->stride & (page - 1))
		return false;
	add_range(maps, *map, page);
	return true;
}

/* Returns false when only making the tables can tell. */
static bool add_map(struct maps *maps, const struct image_args *args, size_t nr)
{
	const struct map_origin *origin = &args->maps.origins[nr];
	const struct iommu_size_map *map = &args->maps.maps[nr];

	if (map->count > EACH_MAX)
		return add_many(maps, args, nr);
	for (uint64_t i = 0; i < map->count; i++)
		add_range(maps,
			  (struct iommu_size_map){.iova = map->iova + i * map->stride,
						  .size = map->size,
						  .count = 1},
			  smaller(largest_page(map), image_alignment(origin, map, i)));
	return true;
}

bool image_count(const struct image_args *args, uint64_t *bytes)
{
	struct iommu_size size;
	struct maps maps = {0};
	bool known = true;

	for (size_t i = 0; i < args->maps.nr && known; i++)
		known = add_map(&maps, args, i);
	known = known &&
		!iommu_size(args->format->name, args->address_width, maps.maps, maps.nr, &size);
	maps_free(&maps);
	*bytes = known ? size.top_bytes + size.table_bytes : 0;
	return known;
}
