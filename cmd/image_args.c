/* SPDX-License-Identifier: MIT */
/* uiommu image: its arguments. */
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/image.h"

enum {
	OPTION_IOMMU = 0x100,
	OPTION_GRANULE,
	OPTION_WIDTH,
	OPTION_MAP,
	OPTION_BASE,
	OPTION_OUT,
	OPTION_JSON
};

static const struct argp_option options[] = {
	{"iommu", OPTION_IOMMU, "FORMAT", 0, "The layout of the tables, as uiommu(7) lists them",
	 0},
	{"granule", OPTION_GRANULE, "BYTES", 0,
	 "Arm: size of the smallest page: 4K, 16K or 64K (default: 4K)", 0},
	{"address-width", OPTION_WIDTH, "BITS", 0,
	 "Bits of input address (default: the format's usual)", 0},
	{"map", OPTION_MAP, "iova=A,size=S,...", 0, "A mapping; may be given many times", 1},
	{"base", OPTION_BASE, "PADDR", 0, "Physical address that the image is to be at", 2},
	{"out", OPTION_OUT, "FILE", 0, "The image", 2},
	{"json", OPTION_JSON, NULL, 0, "Print JSON", 3},
	{0},
};

static const char image_doc[] =
	"Write I/O page tables as a memory image that starts at a physical address: for "
	"hypervisors "
	"and firmware that want static tables."
	"\v"
	"Sizes and addresses are decimal (64.5G too) or hexadecimal (0x). K to E and KiB to "
	"EiB are powers of 1024, KB to EB powers of 1000.\n\n"
	"  --map iova=A,size=S[,paddr=P][,prot=rw|r|w][,backing=B][,count=N,stride=D]\n"
	"maps S bytes from input address A on to physical memory from P on, or to the same "
	"address if there is no P, by the largest pages that both addresses allow. With B the "
	"range is cut into pieces of B bytes from A on, and no page reaches over the end of a "
	"piece: backing=4K gives 4K pages only. With count and stride the mapping is made N "
	"times, D bytes apart; their physical memory follows one after another from P on, or is "
	"at the same addresses if there is no P.\n\n"
	"The image holds the tables and nothing else. It is read back by a walker that shares no "
	"code with what made it before the file is written.\n\n"
	"Examples:\n"
	"  uiommu image --iommu vtd --map iova=0,size=2G --base 4G --out tables.bin\n"
	"  uiommu image --iommu arm64-s2 --granule 64K --address-width 42 \\\n"
	"      --map iova=1G,size=1G,paddr=0x880000000 \\\n"
	"      --map iova=0x8000000,size=64K,prot=r \\\n"
	"      --base 0x90000000 --out tables.bin --json";

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct image_args *args = state->input;

	switch (key) {
	case OPTION_IOMMU:
		args->iommu = arg;
		return 0;
	case OPTION_GRANULE:
		args->granule = parse_bytes("--granule", arg);
		return 0;
	case OPTION_WIDTH:
		args->address_width =
			(unsigned int)parse_number("--address-width", arg, 1, UINT32_MAX);
		return 0;
	case OPTION_MAP:
		maps_parse(&args->maps, arg, MAP_KEYS_IMAGE);
		return 0;
	case OPTION_BASE:
		args->base = parse_bytes("--base", arg);
		args->based = true;
		return 0;
	case OPTION_OUT:
		args->out = arg;
		return 0;
	case OPTION_JSON:
		args->json = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void check_paddr(const struct image_args *args, size_t nr)
{
	const struct iommu_size_map *map = &args->maps.maps[nr];
	const struct map_origin *origin = &args->maps.origins[nr];
	uint64_t bytes;
	char granule[BYTES_TEXT];

	if (!origin->placed)
		return;
	if (origin->paddr % args->format->granule)
		die("--map %s: paddr %#llx is not a multiple of %s", origin->text,
		    (unsigned long long)origin->paddr, exact_bytes(args->format->granule, granule));
	if (__builtin_mul_overflow(map->size, map->count, &bytes) ||
	    origin->paddr > UINT64_MAX - (bytes - 1))
		die("--map %s: paddr reaches beyond the end of 64-bit addresses", origin->text);
}

void image_parse(int argc, char **argv, struct image_args *args)
{
	static const struct argp argp = {
		.options = options, .parser = parse_option, .doc = image_doc};
	struct iommu_size size;

	cmd_parse(&argp, argc, argv, args);
	args->format = cmd_find_format(args->iommu, args->granule);
	if (!args->based)
		die("--base is missing: expected the physical address of the image");
	if (!args->out)
		die("--out is missing: expected the file to write");
	/* What this does not know, or cannot tell, shows when the tables are made. */
	if (iommu_size(args->format->name, args->address_width, args->maps.maps, args->maps.nr,
		       &size) &&
	    size.reason != IOMMU_SIZE_FORMAT && size.reason != IOMMU_SIZE_INTERLEAVED)
		maps_refuse(&args->maps, &size, args->format, args->address_width);
	if (!args->address_width)
		args->address_width = args->format->width_default;
	for (size_t i = 0; i < args->maps.nr; i++)
		check_paddr(args, i);
}
