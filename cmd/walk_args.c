/* SPDX-License-Identifier: MIT */
/* uiommu walk: its arguments. */
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/plot.h"
#include "cmd/walk.h"

enum {
	OPTION_IOMMU = 0x100,
	OPTION_GRANULE,
	OPTION_WIDTH,
	OPTION_LEVELS,
	OPTION_ROOT,
	OPTION_IMAGE,
	OPTION_BASE,
	OPTION_IOVA,
	OPTION_LIMIT,
	OPTION_BUDGET,
	OPTION_PLOT,
	OPTION_JSON
};

static const struct argp_option options[] = {
	{"iommu", OPTION_IOMMU, "FORMAT", 0, "The layout of the tables, as uiommu(7) lists them",
	 0},
	{"granule", OPTION_GRANULE, "BYTES", 0,
	 "Arm: size of the smallest page: 4K, 16K or 64K (default: 4K)", 0},
	{"address-width", OPTION_WIDTH, "BITS", 0,
	 "Bits of input address (default: the format's usual, or what --levels says)", 0},
	{"levels", OPTION_LEVELS, "N", 0,
	 "Levels of tables, which is the mode of amdv1 (default: what the width needs; for amdv1 "
	 "what the top table says)",
	 0},
	{"root", OPTION_ROOT, "PADDR", 0, "Physical address of the top table", 1},
	{"image", OPTION_IMAGE, "FILE", 0, "The memory that the tables are in", 1},
	{"base", OPTION_BASE, "PADDR", 0, "Physical address of the file's first byte", 1},
	{"iova", OPTION_IOVA, "ADDRESS", 0,
	 "Translate this address and spell out the items on the way", 2},
	{"limit", OPTION_LIMIT, "N", 0, "Most ranges to list, up to 1000000 (default: 10000)", 2},
	{"budget", OPTION_BUDGET, "N", 0, "Most items to look at (default: 2^28)", 2},
	{"plot", OPTION_PLOT, "FILE", 0,
	 "Draw the address space by gnuplot; FILE must end in .svg or .png", 3},
	{"json", OPTION_JSON, NULL, 0, "Print JSON", 3},
	{0},
};

static const char walk_doc[] =
	"Read I/O page tables in an image or a memory dump as hardware does, and list what they "
	"map "
	"or translate one address."
	"\v"
	"Sizes and addresses are decimal (64.5G too) or hexadecimal (0x). K to E and KiB to "
	"EiB are powers of 1024, KB to EB powers of 1000.\n\n"
	"The walker shares no code with the library that makes tables. Nothing in the file is "
	"trusted: what points outside, has reserved bits or leads to itself is reported, and what "
	"would take too long or too much memory is cut off, which is said.\n\n"
	"Examples:\n"
	"  uiommu image --iommu vtd --map iova=0,size=2G --base 4G --out tables.bin\n"
	"  uiommu walk --iommu vtd --root 4G --image tables.bin --base 4G\n"
	"  uiommu walk --iommu vtd --root 4G --image tables.bin --base 4G \\\n"
	"      --iova 0x40201000 --json\n"
	"  uiommu walk --iommu vtd --root 4G --image tables.bin --base 4G \\\n"
	"      --plot tables.svg\n\n"
	"Exit status: 0 when the tables are sound and the address, if there is one, is mapped; 1 "
	"when not, when something was cut off, or when the picture cannot be made; 2 when the file "
	"cannot be read, or for a wrong command line.";

static error_t parse_place(int key, char *arg, struct walk_args *args)
{
	switch (key) {
	case OPTION_ROOT:
		args->root = parse_bytes("--root", arg);
		args->rooted = true;
		return 0;
	case OPTION_IMAGE:
		args->image = arg;
		return 0;
	case OPTION_BASE:
		args->base = parse_bytes("--base", arg);
		args->based = true;
		return 0;
	case OPTION_IOVA:
		args->iova = parse_bytes("--iova", arg);
		args->at_iova = true;
		return 0;
	case OPTION_LIMIT:
		args->limit = parse_number("--limit", arg, 1, 1000000);
		return 0;
	case OPTION_BUDGET:
		args->budget = parse_number("--budget", arg, 1, UINT64_MAX);
		return 0;
	case OPTION_PLOT:
		plot_check(arg);
		args->plot = arg;
		return 0;
	case OPTION_JSON:
		args->json = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct walk_args *args = state->input;

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
	case OPTION_LEVELS:
		args->levels = (unsigned int)parse_number("--levels", arg, 1, UINT32_MAX);
		return 0;
	default:
		return parse_place(key, arg, args);
	}
}

void walk_parse(int argc, char **argv, struct walk_args *args)
{
	static const struct argp argp = {
		.options = options, .parser = parse_option, .doc = walk_doc};

	cmd_parse(&argp, argc, argv, args);
	args->format = cmd_find_format(args->iommu, args->granule);
	if (!args->rooted)
		die("--root is missing: expected the physical address of the top table");
	if (!args->image)
		die("--image is missing: expected a file with the tables");
	if (!args->based)
		die("--base is missing: expected the physical address of the file's first byte");
	if (args->plot && args->at_iova)
		die("--plot: draws all that is mapped, which --iova does not look at");
}
