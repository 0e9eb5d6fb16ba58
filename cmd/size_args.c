/* SPDX-License-Identifier: MIT */
/* uiommu size: its arguments, and the mappings that a guest stands for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/size.h"

static void parse_guest(struct request *request, const char *text)
{
	uint64_t values[NR_MAP_KEYS] = {0};
	const char *comma = strchrnul(text, ',');
	char ram[64];

	if (request->guest)
		die("--guest %s: a guest is given already: %s", text, request->guest);
	snprintf(ram, sizeof(ram), "%.*s", (int)(comma - text), text);
	request->guest = text;
	request->ram = parse_bytes("--guest", ram);
	if (*comma)
		maps_parse_fields("--guest", text, comma + 1, MAP_KEY(KEY_BACKING), values);
	request->ram_backing = values[KEY_BACKING];
}

enum {
	OPTION_IOMMU = 0x100,
	OPTION_GRANULE,
	OPTION_WIDTH,
	OPTION_DOMAINS,
	OPTION_MAP,
	OPTION_GUEST,
	OPTION_DEVICES,
	OPTION_JSON
};

static const struct argp_option options[] = {
	{"iommu", OPTION_IOMMU, "FORMAT", 0, "The layout of the tables, as uiommu(7) lists them",
	 0},
	{"granule", OPTION_GRANULE, "BYTES", 0,
	 "Arm: size of the smallest page: 4K, 16K or 64K (default: 4K)", 0},
	{"address-width", OPTION_WIDTH, "BITS", 0,
	 "Bits of input address (default: the format's usual)", 0},
	{"domains", OPTION_DOMAINS, "N", 0, "Make the mappings in each of N domains (default: 1)",
	 0},
	{"map", OPTION_MAP, "iova=A,size=S,...", 0, "A mapping; may be given many times", 1},
	{"guest", OPTION_GUEST, "RAM[,backing=B]", 0, "The memory of a guest", 1},
	{"devices", OPTION_DEVICES, "N", 0, "Devices passed to the guest (default: 1)", 1},
	{"json", OPTION_JSON, NULL, 0, "Print JSON", 2},
	{0},
};

static const char size_doc[] =
	"Tell how many I/O page tables mappings need, exactly, before anything is started."
	"\v"
	"Numbers are decimal or hexadecimal (0x) and may end in K, M, G, T or P.\n\n"
	"  --map iova=A,size=S[,backing=B][,count=N,stride=D]\n"
	"maps S bytes from input address A on. B is the size and alignment of the "
	"physically contiguous pieces behind it: a power of two, 4K if it is not given; use 2M "
	"or 1G for huge pages. With count and stride the mapping is made N times, D bytes "
	"apart.\n\n"
	"--guest maps RAM as QEMU's q35 machine has it: up to 2.75 GiB (less one byte) from "
	"address 0, more than that as 2 GiB from 0 and the rest from 4 GiB, without the VGA hole "
	"at 0xa0000. B is the page size behind the guest's memory, to which it is aligned. Device "
	"memory (BARs) is not counted: add it by --map. It tells what to add to memory.max, and "
	"the "
	"memlock limit, which counts RAM once for each domain (container, IOAS) and 1 GiB for "
	"device memory, as libvirt does: with one domain that all devices share, and with one for "
	"each device (as with a virtual IOMMU).\n\n"
	"Entries are leaf entries: what one translation takes counts once, however many items it "
	"is repeated in. Level 0 is the lowest.\n\n"
	"Examples:\n"
	"  uiommu size --iommu vtd --guest 64G --devices 2\n"
	"  uiommu size --iommu vtd --guest 64G,backing=1G --json\n"
	"  uiommu size --iommu amdv1 --map iova=0x100000000,size=100T\n"
	"  uiommu size --iommu vtd --address-width 39 \\\n"
	"      --map iova=0x100000000,size=4K,count=1000,stride=2M";

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct request *request = state->input;

	switch (key) {
	case OPTION_IOMMU:
		request->iommu = arg;
		return 0;
	case OPTION_GRANULE:
		request->granule = parse_bytes("--granule", arg);
		return 0;
	case OPTION_WIDTH:
		request->address_width =
			(unsigned int)parse_number("--address-width", arg, 1, UINT32_MAX);
		return 0;
	case OPTION_DOMAINS:
		request->domains = parse_number("--domains", arg, 1, UINT64_MAX);
		return 0;
	case OPTION_MAP:
		maps_parse(&request->maps, arg, MAP_KEYS_SIZE);
		return 0;
	case OPTION_GUEST:
		parse_guest(request, arg);
		return 0;
	case OPTION_DEVICES:
		request->devices = parse_number("--devices", arg, 1, UINT64_MAX);
		return 0;
	case OPTION_JSON:
		request->json = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/*
 * Map RAM whose physical address is aligned as its input address is, up to the
 * backing: smaller pieces up to the first address that is.
 */
static void add_ram(struct request *request, uint64_t start, uint64_t end, uint64_t backing)
{
	while (start < end) {
		uint64_t align = start & -start;
		bool aligned = !(start & (backing - 1));
		uint64_t size = aligned || align > end - start ? end - start : align;

		maps_add(&request->maps,
			 (struct iommu_size_map){.iova = start,
						 .size = size,
						 .backing = aligned ? backing : align,
						 .count = 1},
			 (struct map_origin){.option = "--guest", .text = request->guest});
		start += size;
	}
}

/*
 * QEMU's q35: hw/i386/pc_q35.c splits the memory, its video adapter covers
 * 0xa0000 to 0xbffff, and VFIO maps what is RAM or ROM. What lies from 4 GiB on
 * follows what lies below 2 GiB in the host's memory, so it is aligned like its
 * input address up to 2 GiB only.
 */
static void add_guest(struct request *request)
{
	const uint64_t split = 0xb0000000, low = 2 * GIB, high = 4 * GIB;
	uint64_t page = request->format->granule, backing = request->ram_backing;
	uint64_t below = request->ram >= split ? low : request->ram;
	char text[BYTES_TEXT];

	if (request->ram < 1 << 20 || request->ram & (page - 1))
		die("--guest %s: expected at least 1M of RAM, in whole pages of %s", request->guest,
		    exact_bytes(page, text));
	if (backing < page)
		die("--guest %s: backing is less than a page of %s", request->guest,
		    exact_bytes(page, text));
	if (request->ram > UINT64_MAX - high)
		die("--guest %s: does not fit in 64 bits of address", request->guest);
	if (backing > low)
		backing = low;
	add_ram(request, 0, 0xa0000, backing);
	add_ram(request, 0xc0000, below, backing);
	add_ram(request, high, high + request->ram - below, backing);
}

static void check_request(struct request *request)
{
	request->format = cmd_find_format(request->iommu, request->granule);
	if (request->devices && !request->guest)
		die("--devices %llu: needs --guest", (unsigned long long)request->devices);
}

void size_parse(int argc, char **argv, struct request *request)
{
	static const struct argp argp = {
		.options = options, .parser = parse_option, .doc = size_doc};

	cmd_parse(&argp, argc, argv, request);
	check_request(request);
	if (!request->ram_backing)
		request->ram_backing = request->format->granule;
	if (request->guest)
		add_guest(request);
}
