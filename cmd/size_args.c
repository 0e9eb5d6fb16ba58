/* SPDX-License-Identifier: MIT */
/* uiommu size: its arguments. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/size.h"

enum {
	OPTION_IOMMU = 0x100,
	OPTION_GRANULE,
	OPTION_WIDTH,
	OPTION_DOMAINS,
	OPTION_MAP,
	OPTION_GUEST,
	OPTION_DEVICES,
	OPTION_QEMU,
	OPTION_LIBVIRT,
	OPTION_BACKING,
	OPTION_JSON
};

static const struct argp_option options[] = {
	{"iommu", OPTION_IOMMU, "FORMAT", 0,
	 "The layout of the tables, as uiommu(7) lists them, or all to compare them", 0},
	{"granule", OPTION_GRANULE, "BYTES", 0,
	 "Arm: size of the smallest page: 4K, 16K or 64K (default: 4K)", 0},
	{"address-width", OPTION_WIDTH, "BITS", 0,
	 "Bits of input address (default: the format's usual)", 0},
	{"domains", OPTION_DOMAINS, "N", 0, "Make the mappings in each of N domains (default: 1)",
	 0},
	{"map", OPTION_MAP, "iova=A,size=S,...", 0, "A mapping; may be given many times", 1},
	{"guest", OPTION_GUEST, "RAM[,...]", 0, "The memory of a guest", 1},
	{"devices", OPTION_DEVICES, "N", 0, "Devices passed to it (default: 1)", 1},
	{"qemu", OPTION_QEMU, "COMMAND|@FILE", 0, "A guest, by its QEMU command line", 1},
	{"libvirt", OPTION_LIBVIRT, "FILE|-", 0, "A guest, by its libvirt domain (XML)", 1},
	{"backing", OPTION_BACKING, "B", 0,
	 "Pieces behind what of it has no huge pages (default: the smallest page)", 1},
	{"json", OPTION_JSON, NULL, 0, "Print JSON", 2},
	{0},
};

static const char size_doc[] =
	"Tell how many I/O page tables mappings need, exactly, before anything is started."
	"\v"
	"Sizes and addresses are decimal (64.5G too) or hexadecimal (0x). K to E and KiB to "
	"EiB are powers of 1024, KB to EB powers of 1000.\n\n"
	"  --map iova=A,size=S[,backing=B][,count=N,stride=D]\n"
	"maps S bytes from input address A on. B is the size and alignment of the "
	"physically contiguous pieces behind it: a power of two, the smallest page if it is not "
	"given; use 2M or 1G for huge pages. With count and stride the mapping is made N times, D "
	"bytes apart. Beside a guest it is device memory (a BAR), which no memlock limit "
	"counts.\n\n"
	"  --guest RAM[,max=MAX][,backing=B]\n"
	"maps RAM as QEMU's q35 machine has it, without the VGA hole at 0xa0000, and with "
	"max what can be plugged. B is the page size behind it.\n\n"
	"--qemu and --libvirt read "
	"machine, RAM, huge pages, memory devices, firmware, video memory, devices and the virtual "
	"IOMMU from a command line ('@FILE' holds one, such as /proc/PID/cmdline; '-' is standard "
	"input) or from what "
	"'virsh dumpxml' prints.\n\n"
	"For a guest it tells what to add to memory.max, and the memlock limit: RAM for each "
	"domain, and 1 GiB as libvirt adds.\n\n"
	"Examples:\n"
	"  uiommu size --iommu vtd --guest 64G,backing=1G --devices 2 --json\n"
	"  uiommu size --iommu all --guest 64G,max=1T\n"
	"  uiommu size --iommu amdv1 --map iova=4G,size=100T\n"
	"  uiommu size --iommu vtd --qemu '-M q35 -m 4G -device vfio-pci,host=01:00.0'\n"
	"  virsh dumpxml NAME | uiommu size --iommu vtd --libvirt -";

static void set_guest(struct request *request, const char *option, const char *text)
{
	if (request->guest.option)
		die("%s %.60s: a guest is given already: %s %.60s", option, text,
		    request->guest.option, request->text);
	request->guest.option = option;
	request->text = text;
}

static void parse_guest(struct request *request, const char *text)
{
	uint64_t values[NR_MAP_KEYS] = {0};
	const char *comma = strchrnul(text, ',');
	struct guest *guest = &request->guest;
	char ram[64];

	set_guest(request, "--guest", text);
	snprintf(ram, sizeof(ram), "%.*s", (int)(comma - text), text);
	guest->vga = true;
	guest->ram = parse_bytes("--guest", ram);
	if (*comma)
		maps_parse_fields("--guest", text, comma + 1,
				  MAP_KEY(KEY_BACKING) | MAP_KEY(KEY_MAX), values);
	guest->max_ram = values[KEY_MAX] ? values[KEY_MAX] : guest->ram;
	guest->ordinary = values[KEY_BACKING];
	*guest_add_part(guest) = (struct guest_part){guest->ram, 0};
	if (guest->ram < MIB)
		die("--guest %s: expected at least 1M of RAM", text);
	if (guest->max_ram < guest->ram)
		die("--guest %s: max is less than the RAM at the start", text);
	guest_check(guest);
}

static void parse_backing(struct request *request, const char *text)
{
	uint64_t bytes = parse_bytes("--backing", text);

	if (!bytes || bytes & (bytes - 1))
		die("--backing %s: expected a power of two", text);
	request->guest.ordinary = bytes;
}

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
	case OPTION_QEMU:
		set_guest(request, "--qemu", arg);
		request->described = true;
		return 0;
	case OPTION_LIBVIRT:
		set_guest(request, "--libvirt", arg);
		request->described = true;
		return 0;
	case OPTION_BACKING:
		request->backing = arg;
		return 0;
	case OPTION_JSON:
		request->json = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The options that describe one format do not go with "all". */
static void choose_formats(struct request *request)
{
	const struct iommu_format *format = NULL;

	if (!request->iommu || strcmp(request->iommu, "all")) {
		request->formats[request->nr_formats++] =
			cmd_find_format(request->iommu, request->granule);
		return;
	}
	if (request->granule || request->address_width)
		die("%s: is about one format, and --iommu is all",
		    request->granule ? "--granule" : "--address-width");
	request->all = true;
	while ((format = iommu_format_next(format)) && request->nr_formats < SIZE_FORMATS_MAX)
		request->formats[request->nr_formats++] = format;
}

static void read_guest(struct request *request)
{
	struct guest *guest = &request->guest;

	if (request->devices && !guest->option)
		die("--devices %llu: needs --guest", (unsigned long long)request->devices);
	if (request->backing && !request->described)
		die("--backing %s: needs --qemu or --libvirt", request->backing);
	if (!request->described)
		return;
	if (request->devices || request->domains)
		die("%s: %s says how many devices and domains there are",
		    request->devices ? "--devices" : "--domains", guest->option);
	if (request->backing)
		parse_backing(request, request->backing);
	if (!strcmp(guest->option, "--qemu"))
		guest_read_qemu(guest, request->text);
	else
		guest_read_libvirt(guest, request->text);
}

void size_parse(int argc, char **argv, struct request *request)
{
	static const struct argp argp = {
		.options = options, .parser = parse_option, .doc = size_doc};

	cmd_parse(&argp, argc, argv, request);
	choose_formats(request);
	read_guest(request);
}
