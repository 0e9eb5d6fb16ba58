/* SPDX-License-Identifier: MIT */
/* uiommu size: its arguments, and the mappings that a guest stands for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/size.h"

static void *grow_array(void *array, size_t nr, size_t size)
{
	array = realloc(array, nr * size);
	if (!array)
		out_of_memory();
	return array;
}

static void add_map(struct request *request, struct iommu_size_map map, const char *text)
{
	size_t nr = request->nr;

	/* Grow by doubling: when nr is 0 or a power of two. */
	if (!(nr & (nr - 1)) || !nr) {
		size_t room = nr ? 2 * nr : 1;

		request->maps = grow_array(request->maps, room, sizeof(*request->maps));
		request->texts = grow_array(request->texts, room, sizeof(*request->texts));
	}
	request->maps[nr] = map;
	request->texts[nr] = text;
	request->nr = nr + 1;
}

enum map_key {
	KEY_IOVA,
	KEY_SIZE,
	KEY_BACKING,
	KEY_COUNT,
	KEY_STRIDE,
	NR_KEYS
};

static const char *const key_names[] = {"iova", "size", "backing", "count", "stride"};

/* Read one key=value of @option's argument @text into values[]. */
static void parse_field(const char *option, const char *text, char *field, const char *allowed,
			uint64_t values[NR_KEYS], unsigned int *seen)
{
	char *equals = strchr(field, '=');
	char where[64];
	int key = 0;

	if (equals)
		*equals = '\0';
	while (key < NR_KEYS && strcmp(field, key_names[key]))
		key++;
	if (!equals || key == NR_KEYS || !(strchr(allowed, key_names[key][0]) != NULL))
		die("%s %s: unknown key '%s'", option, text, field);
	if (*seen & 1u << key)
		die("%s %s: %s is given twice", option, text, field);
	*seen |= 1u << key;
	snprintf(where, sizeof(where), "%s %s", option, field);
	if (key == KEY_COUNT)
		values[key] = parse_number(where, equals + 1, 1, UINT64_MAX);
	else
		values[key] = parse_bytes(where, equals + 1);
}

static void check_backing(const char *option, const char *text, uint64_t backing)
{
	char bytes[BYTES_TEXT];

	if (!backing || backing & (backing - 1))
		die("%s %s: backing %s is not a power of two", option, text,
		    exact_bytes(backing, bytes));
}

/* Split at commas, keeping @text for messages. */
static unsigned int parse_fields(const char *option, const char *text, const char *list,
				 const char *allowed, uint64_t values[NR_KEYS])
{
	char *copy = strdup(list), *rest = copy, *field;
	unsigned int seen = 0;

	if (!copy)
		out_of_memory();
	while ((field = strsep(&rest, ",")))
		parse_field(option, text, field, allowed, values, &seen);
	free(copy);
	if (seen & 1u << KEY_BACKING)
		check_backing(option, text, values[KEY_BACKING]);
	return seen;
}

static void parse_map(struct request *request, const char *text)
{
	uint64_t values[NR_KEYS] = {[KEY_COUNT] = 1};
	unsigned int seen = parse_fields("--map", text, text, "isbc", values);

	for (int key = KEY_IOVA; key <= KEY_SIZE; key++)
		if (!(seen & 1u << key))
			die("--map %s: %s= is missing", text, key_names[key]);
	if (values[KEY_COUNT] > 1 && !(seen & 1u << KEY_STRIDE))
		die("--map %s: count=%llu needs stride=", text,
		    (unsigned long long)values[KEY_COUNT]);
	if (values[KEY_STRIDE] && !(seen & 1u << KEY_COUNT))
		die("--map %s: stride= needs count=", text);
	add_map(request,
		(struct iommu_size_map){.iova = values[KEY_IOVA],
					.size = values[KEY_SIZE],
					.backing = values[KEY_BACKING],
					.count = values[KEY_COUNT],
					.stride = values[KEY_STRIDE]},
		text);
}

static void parse_guest(struct request *request, const char *text)
{
	uint64_t values[NR_KEYS] = {0};
	const char *comma = strchrnul(text, ',');
	char ram[64];

	if (request->guest)
		die("--guest %s: a guest is given already: %s", text, request->guest);
	snprintf(ram, sizeof(ram), "%.*s", (int)(comma - text), text);
	request->guest = text;
	request->ram = parse_bytes("--guest", ram);
	if (*comma)
		parse_fields("--guest", text, comma + 1, "b", values);
	request->ram_backing = values[KEY_BACKING];
}

enum {
	OPTION_IOMMU = 0x100,
	OPTION_WIDTH,
	OPTION_DOMAINS,
	OPTION_MAP,
	OPTION_GUEST,
	OPTION_DEVICES,
	OPTION_JSON
};

static const struct argp_option options[] = {
	{"iommu", OPTION_IOMMU, "FORMAT", 0, "The layout of the tables: vtd, x86_64 or amdv1", 0},
	{"address-width", OPTION_WIDTH, "BITS", 0,
	 "Bits of input address (default: 48; 64 for amdv1)", 0},
	{"domains", OPTION_DOMAINS, "N", 0, "Make the mappings in each of N domains (default: 1)",
	 0},
	{"map", OPTION_MAP, "iova=A,size=S[,backing=B][,count=N,stride=D]", 0,
	 "A mapping; may be given many times", 1},
	{"guest", OPTION_GUEST, "RAM[,backing=B]", 0, "The memory of a guest", 1},
	{"devices", OPTION_DEVICES, "N", 0, "Devices passed to the guest (default: 1)", 1},
	{"json", OPTION_JSON, NULL, 0, "Print JSON", 2},
	{0},
};

static const char size_doc[] =
	"Tell how many I/O page tables mappings need, exactly, before anything is started."
	"\v"
	"Numbers are decimal or hexadecimal (0x) and may end in K, M, G, T or P.\n\n"
	"--map maps S bytes from input address A on. B is the size and alignment of the "
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
	case OPTION_WIDTH:
		request->address_width =
			(unsigned int)parse_number("--address-width", arg, 1, UINT32_MAX);
		return 0;
	case OPTION_DOMAINS:
		request->domains = parse_number("--domains", arg, 1, UINT64_MAX);
		return 0;
	case OPTION_MAP:
		parse_map(request, arg);
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

		add_map(request,
			(struct iommu_size_map){.iova = start,
						.size = size,
						.backing = aligned ? backing : align,
						.count = 1},
			NULL);
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
	uint64_t backing = request->ram_backing ? request->ram_backing : 4096;
	uint64_t below = request->ram >= split ? low : request->ram;

	if (request->ram < 1 << 20 || request->ram & 4095)
		die("--guest %s: expected at least 1M of RAM, in whole pages of 4K",
		    request->guest);
	if (backing < 4096)
		die("--guest %s: backing is less than a page of 4K", request->guest);
	if (request->ram > UINT64_MAX - high)
		die("--guest %s: does not fit in 64 bits of address", request->guest);
	if (backing > low)
		backing = low;
	add_ram(request, 0, 0xa0000, backing);
	add_ram(request, 0xc0000, below, backing);
	add_ram(request, high, high + request->ram - below, backing);
}

static void check_request(const struct request *request)
{
	if (!request->iommu)
		die("--iommu is missing: expected vtd, x86_64 or amdv1 (see --help)");
	if (request->devices && !request->guest)
		die("--devices %llu: needs --guest", (unsigned long long)request->devices);
}

void size_parse(int argc, char **argv, struct request *request)
{
	static const struct argp argp = {
		.options = options, .parser = parse_option, .doc = size_doc};

	cmd_parse(&argp, argc, argv, request);
	check_request(request);
	if (request->guest)
		add_guest(request);
}
