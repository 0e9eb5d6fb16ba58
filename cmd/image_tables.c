/* SPDX-License-Identifier: MIT */
/*
 * uiommu image: the tables, made by the library itself and at their final
 * addresses, so that nothing has to be rewritten in them.
 *
 * Tables hold physical addresses, which differ from the arena's by a constant.
 * As long as the top table is empty nothing depends on that constant: it is
 * chosen then. From there on pages are handed out in ascending order, so the top
 * table is the lowest and the rest follows it.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include <uiommu/mm.h>

#include "cmd/cmd.h"
#include "cmd/image.h"
#include "cmd/progress.h"
#include "cmd/run.h"
#include "mm/page.h"

#define ARENA_STEP  ((uint64_t)2 << 20)
#define ARENA_MOST  ((uint64_t)256 << 30)
#define ARENA_SPARE ((uint64_t)64 << 20) /* for what the library keeps beside tables */
#define BLOCK_BYTES (PAGE_SIZE << MAX_ORDER)

/* The most that is mapped at once where pages are smaller; all is mapped at once otherwise. */
#define PART            (UINT64_C(1) << 30)
#define PART_NONE       (UINT64_C(1) << 63)
#define PROGRESS_PIECES 4096 /* from one look at the clock to the next */

static uint64_t arena_limit;
static bool limited_by_base; /* and not by the available memory */

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t available_memory(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long long kib = UINT64_MAX >> 10;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return (uint64_t)kib << 10;
}

/* The memory that tables may take without swapping or exceeding the process's own cgroup. */
static uint64_t usable_memory(void)
{
	uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	char where[PATH_MAX];

	memory = smaller(memory, run_real_limit(where, sizeof(where)));
	memory = smaller(memory / 2, available_memory());
	return smaller(memory, ARENA_MOST) / ARENA_STEP * ARENA_STEP;
}

void image_refuse_base(const struct image *image, const struct image_args *args, uint64_t bytes)
{
	char needed[BYTES_TEXT] = "", space[BYTES_TEXT];

	if (bytes)
		format_bytes(bytes, needed);
	die("--base %#llx: the tables take %s%smore than %s up to the end of %u bits of physical "
	    "address: let the addresses and the backing allow larger pages",
	    (unsigned long long)args->base, needed, bytes ? ", " : "",
	    format_bytes(image->space, space), image->layout.output_width);
}

static void __attribute__((noreturn)) refuse_memory(uint64_t bytes, uint64_t memory)
{
	char needed[BYTES_TEXT], usable[BYTES_TEXT];

	fail("out of memory: the tables take %s, and %s can be had: let the addresses and the "
	     "backing allow larger pages",
	     format_bytes(bytes, needed), format_bytes(memory, usable));
}

/* The memory that the tables take, if that is known before; else as much as is available. */
static void choose_limit(const struct image *image, const struct image_args *args)
{
	uint64_t memory = usable_memory(), bytes;

	arena_limit = memory;
	if (!image_count(args, &bytes)) {
		limited_by_base =
			image->space && memory > ARENA_SPARE && image->space < memory - ARENA_SPARE;
		if (limited_by_base)
			arena_limit = image->space / ARENA_STEP * ARENA_STEP + ARENA_SPARE;
		return;
	}
	if (image->space && bytes > image->space)
		image_refuse_base(image, args, bytes);
	if (bytes > memory)
		refuse_memory(bytes, memory);
	output_reserve(image->out, bytes);
	arena_limit = smaller(memory, (bytes + bytes / 4) / ARENA_STEP * ARENA_STEP + ARENA_SPARE);
}

static void set_up_arena(struct image *image, const struct image_args *args)
{
	unsigned int width = image->layout.output_width;
	struct uiommu_config config = {.phys_base = UIOMMU_PHYS_IS_VIRT};

	if (width < 64 && args->base >> width)
		die("--base %#llx: %s has %u bits of physical address",
		    (unsigned long long)args->base, args->format->name, width);
	image->space = (width < 64 ? UINT64_C(1) << width : 0) - args->base;
	choose_limit(image, args);
	config.arena_bytes = arena_limit;
	if (!arena_limit || uiommu_init(&config))
		out_of_memory();
	page_alloc_in_order();
}

static struct iommu_domain *new_domain(const struct image_args *args)
{
	const struct iommu_domain_params params = {
		.type = IOMMU_DOMAIN_UNMANAGED,
		.format = args->format->name,
		.address_width = args->address_width,
	};
	struct iommu_domain *domain = iommu_domain_alloc(&params, GFP_KERNEL);

	if (IS_ERR(domain) && PTR_ERR(domain) == -EINVAL)
		die("--address-width %u: %s has no such tables", args->address_width,
		    args->format->name);
	if (IS_ERR(domain))
		out_of_memory();
	return domain;
}

/*
 * Let the library allocate what it keeps besides tables, and then use up the rest of
 * its last block: the next page is the first one of an unused block.
 */
static void warm_up(const struct image_args *args)
{
	struct page *page;

	new_domain(args);
	do {
		page = alloc_pages(GFP_KERNEL, 0, NULL, PAGE_OTHER);
		if (!page)
			out_of_memory();
	} while (((uintptr_t)page_address(page) + PAGE_SIZE) % BLOCK_BYTES);
}

static uint64_t largest_table(const struct hw_layout *layout)
{
	unsigned int bits = 0;

	for (unsigned int level = 0; level < layout->levels; level++)
		if (layout->level[level].bits > bits)
			bits = layout->level[level].bits;
	return UINT64_C(8) << bits;
}

/* Let the block that begins with the top table be at the base. */
static void place(struct image *image, const struct image_args *args)
{
	uint64_t table = largest_table(&image->layout), granule = args->format->granule;
	uint64_t align = table > granule ? table : granule;
	char bytes[BYTES_TEXT];

	if (args->base % align)
		die("--base %#llx: not a multiple of %s, to which %s with %u bits aligns tables",
		    (unsigned long long)args->base, exact_bytes(align, bytes), args->format->name,
		    args->address_width);
	iommu_domain_get_info(image->domain, &image->info);
	arena.phys_offset += args->base - image->info.root / BLOCK_BYTES * BLOCK_BYTES;
}

static void refuse_piece(const struct image *image, const struct image_args *args,
			 const struct map_origin *origin, uint64_t iova, uint64_t paddr,
			 uint64_t size, int rc)
{
	const struct iommu_domain_info *info = &image->info;
	char bytes[BYTES_TEXT];

	if (rc == -ENOMEM && limited_by_base)
		image_refuse_base(image, args, 0);
	if (rc == -ENOMEM)
		fail("--map %s: out of memory: the tables take more than %s: let the addresses "
		     "and the backing allow larger pages",
		     origin->text, format_bytes(arena_limit, bytes));
	if (rc == -EADDRINUSE)
		die("--map %s: overlaps another mapping, or itself", origin->text);
	if (rc == -EINVAL)
		die("--map %s: iova, size, backing or stride is not a multiple of %s", origin->text,
		    exact_bytes(info->pgsizes & -info->pgsizes, bytes));
	if (iova > info->aperture_last || size - 1 > info->aperture_last - iova)
		die("--map %s: reaches beyond %#llx, the last address of %s with %u bits",
		    origin->text, (unsigned long long)info->aperture_last, info->format,
		    info->address_width);
	die("--map %s: physical addresses from %#llx to %#llx are more than %s can hold",
	    origin->text, (unsigned long long)paddr, (unsigned long long)(paddr + size - 1),
	    info->format);
}

/* Map one piece, in parts that take little time each if pages are small. */
static void map_piece(struct image *image, const struct image_args *args,
		      const struct map_origin *origin, uint64_t iova, uint64_t paddr, uint64_t size,
		      uint64_t part)
{
	static uint64_t pieces;

	for (uint64_t left = size; left;) {
		uint64_t now = part - (iova & (part - 1));
		int rc;

		if (now > left)
			now = left;
		rc = iommu_map(image->domain, iova, paddr, now, origin->prot, GFP_KERNEL);
		if (rc)
			refuse_piece(image, args, origin, iova, paddr, now, rc);
		image->mapped += now;
		iova += now;
		paddr += now;
		left -= now;
		if (now == PART || pieces++ % PROGRESS_PIECES == 0)
			progress_show((double)image->mapped / image->all, image->mapped >> 20,
				      "MiB mapped");
	}
}

static void map_one(struct image *image, const struct image_args *args, size_t nr)
{
	const struct iommu_size_map *map = &args->maps.maps[nr];
	const struct map_origin *origin = &args->maps.origins[nr];
	uint64_t backing = map->backing ? map->backing : map->size;

	for (uint64_t i = 0; i < map->count; i++) {
		uint64_t iova = map->iova + i * map->stride;
		uint64_t paddr = origin->placed ? origin->paddr + i * map->size : iova;
		uint64_t part = image_alignment(origin, map, i) < PART ? PART : PART_NONE;

		for (uint64_t at = 0; at < map->size; at += backing) {
			uint64_t left = map->size - at;

			map_piece(image, args, origin, iova + at, paddr + at,
				  left < backing ? left : backing, part);
			if (left <= backing)
				break;
		}
	}
}

/* What hardware must know of the tables, except where they are. */
static void describe(struct image *image, const struct image_args *args)
{
	struct hw_tables *hw = &image->hw;

	hw->format = hw_format_find(args->format->family);
	hw->address_width = args->address_width;
	hw->granule_lg2 = (unsigned int)__builtin_ctzll(args->format->granule);
	if (!hw->format || hw_layout(hw, &image->layout))
		die("--iommu %s: there is no walker to check the image by", args->format->name);
}

void image_make(struct image *image, const struct image_args *args)
{
	describe(image, args);
	set_up_arena(image, args);
	warm_up(args);
	image->domain = new_domain(args);
	place(image, args);
	for (size_t i = 0; i < args->maps.nr; i++)
		image->all += (double)args->maps.maps[i].size * (double)args->maps.maps[i].count;
	for (size_t i = 0; i < args->maps.nr; i++)
		map_one(image, args, i);
	iommu_domain_get_info(image->domain, &image->info);
	if (image->space && image->info.table_bytes > image->space)
		image_refuse_base(image, args, image->info.table_bytes);
	image->hw.root = image->info.root;
	/* If the width does not determine the number of levels. */
	if (image->layout.levels != image->info.levels)
		image->hw.levels = image->info.levels;
	if (hw_layout(&image->hw, &image->layout))
		die("--iommu %s: the walker has no such tables", args->format->name);
}
