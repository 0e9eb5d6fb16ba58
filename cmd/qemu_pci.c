/* SPDX-License-Identifier: MIT */
/*
 * What emulated PCI devices have that VFIO maps: memory behind BARs, as opposed
 * to registers, and option ROMs while firmware reads them.
 */
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/qemu.h"

enum {
	VGA = 1,    /* has the legacy addresses at 0xa0000 */
	ROM = 2,    /* has an option ROM unless told otherwise */
	MEMDEV = 4, /* shows a memory backend */
};

static const struct pci_driver {
	const char *name;
	unsigned int is;
	const char *key; /* that has the size of its memory */
	uint64_t unit;   /* of the key's value */
	uint64_t bytes;  /* of memory unless the key says otherwise */
	uint64_t span;   /* of the BAR, if that is larger */
} drivers[] = {
	{"VGA", VGA | ROM, "vgamem_mb", MIB, 16 * MIB, 0},
	{"secondary-vga", 0, "vgamem_mb", MIB, 16 * MIB, 0},
	{"ati-vga", VGA | ROM, "vgamem_mb", MIB, 16 * MIB, 0},
	{"bochs-display", ROM, "vgamem", 1, 16 * MIB, 0},
	{"cirrus-vga", VGA | ROM, "vgamem_mb", MIB, 4 * MIB, 32 * MIB},
	{"vmware-svga", VGA | ROM, "vgamem_mb", MIB, 16 * MIB, 0},
	{"virtio-vga", VGA | ROM, NULL, 0, 8 * MIB, 0},
	{"virtio-vga-gl", VGA | ROM, NULL, 0, 8 * MIB, 0},
	{"virtio-vga-rutabaga", VGA | ROM, NULL, 0, 8 * MIB, 0},
	{"vhost-user-vga", VGA | ROM, NULL, 0, 8 * MIB, 0},
	{"qxl-vga", VGA | ROM, "ram_size", 1, 64 * MIB, 0},
	{"qxl", ROM, "ram_size", 1, 64 * MIB, 0},
	{"ivshmem-plain", MEMDEV, NULL, 0, 0, 0},
	{"e1000", ROM, NULL, 0, 0, 0},
	{"e1000-82540em", ROM, NULL, 0, 0, 0},
	{"e1000-82544gc", ROM, NULL, 0, 0, 0},
	{"e1000-82545em", ROM, NULL, 0, 0, 0},
	{"e1000e", ROM, NULL, 0, 0, 0},
	{"i82550", ROM, NULL, 0, 0, 0},
	{"i82551", ROM, NULL, 0, 0, 0},
	{"i82557a", ROM, NULL, 0, 0, 0},
	{"i82557b", ROM, NULL, 0, 0, 0},
	{"i82557c", ROM, NULL, 0, 0, 0},
	{"i82558a", ROM, NULL, 0, 0, 0},
	{"i82558b", ROM, NULL, 0, 0, 0},
	{"i82559a", ROM, NULL, 0, 0, 0},
	{"i82559b", ROM, NULL, 0, 0, 0},
	{"i82559c", ROM, NULL, 0, 0, 0},
	{"i82559er", ROM, NULL, 0, 0, 0},
	{"i82562", ROM, NULL, 0, 0, 0},
	{"i82801", ROM, NULL, 0, 0, 0},
	{"ne2k_pci", ROM, NULL, 0, 0, 0},
	{"pcnet", ROM, NULL, 0, 0, 0},
	{"rtl8139", ROM, NULL, 0, 0, 0},
	{"virtio-net", ROM, NULL, 0, 0, 0},
	{"virtio-net-pci", ROM, NULL, 0, 0, 0},
	{"virtio-net-pci-transitional", ROM, NULL, 0, 0, 0},
	{"virtio-net-pci-non-transitional", ROM, NULL, 0, 0, 0},
	{"vmxnet3", ROM, NULL, 0, 0, 0},
	{"isa-vga", VGA, NULL, 0, 0, 0},
	{"isa-cirrus-vga", VGA, NULL, 0, 0, 0},
};

#define NR_DRIVERS (sizeof(drivers) / sizeof(drivers[0]))

static uint64_t power_of_two(uint64_t bytes)
{
	uint64_t power = 1;

	while (power < bytes && power < 1ULL << 62)
		power <<= 1;
	return power;
}

/* What a BAR is. */
enum {
	PLAIN,
	PREFETCH,
	WIDE, /* and prefetchable */
};

static struct guest_bar *add_bar(struct guest *guest, const char *name, uint64_t bytes,
				 uint64_t span, int is)
{
	struct guest_bar *bar = guest_add_bar(guest);

	bar->name = name;
	bar->bytes = bytes;
	bar->span = span > bytes ? span : power_of_two(bytes);
	bar->prefetch = is != PLAIN;
	bar->wide = is == WIDE;
	bar->when = WHEN_STARTED;
	return bar;
}

/* A size that is given in bytes or, by another key, in MiB. */
static uint64_t qxl_bytes(const struct qemu_opts *opts, const char *key, const char *key_mb,
			  uint64_t otherwise)
{
	const char *mb = qemu_opt(opts, key_mb);

	if (mb && strcmp(mb, "4294967295") && strcmp(mb, "-1"))
		return qemu_opt_bytes(opts, key_mb, MIB, 0);
	return key ? qemu_opt_bytes(opts, key, 1, otherwise) : otherwise;
}

/* RAM, surfaces in 32 and, if more of them, in 64 bits of address, and a ROM of 8K. */
static void add_qxl(struct guest *guest, const struct qemu_opts *opts)
{
	uint64_t frame = power_of_two(qemu_opt_bytes(opts, "vgamem_mb", MIB, 16 * MIB));
	uint64_t ram = qxl_bytes(opts, "ram_size", "ram_size_mb", 64 * MIB);
	uint64_t low = qxl_bytes(opts, "vram_size", "vram_size_mb", 64 * MIB);
	uint64_t high = qxl_bytes(opts, NULL, "vram64_size_mb", 0);

	if (ram < 2 * frame)
		ram = 2 * frame;
	if (low < 4096)
		low = 4096;
	low = power_of_two(low);
	add_bar(guest, "qxl memory", power_of_two(ram), 0, PLAIN);
	add_bar(guest, "qxl surfaces", low, 0, PLAIN);
	add_bar(guest, "qxl ROM", 8 * KIB, 0, PLAIN);
	if (power_of_two(high) > low)
		add_bar(guest, "qxl surfaces", power_of_two(high), 0, WIDE);
}

static void add_memory(struct guest *guest, const struct pci_driver *driver,
		       const struct qemu_opts *opts, const struct qemu_memory *memory)
{
	uint64_t bytes = driver->bytes;

	if (driver->is & MEMDEV) {
		if (!memory)
			die("%s: memdev= names no memory backend", opts->where);
		add_bar(guest, "shared memory", memory->bytes, 0, WIDE)->page = memory->page;
		return;
	}
	if (!strncmp(driver->name, "qxl", 3)) {
		add_qxl(guest, opts);
		return;
	}
	if (driver->key)
		bytes = power_of_two(qemu_opt_bytes(opts, driver->key, driver->unit, bytes));
	if (bytes)
		add_bar(guest, "video memory", bytes, driver->span, PREFETCH);
	if (!strcmp(driver->name, "vmware-svga"))
		add_bar(guest, "video commands", 64 * KIB, 0, PREFETCH);
	if (!strncmp(driver->name, "isa-", 4))
		guest_note(guest, "%s: its memory is not counted", driver->name);
}

/* Whether there is a ROM in a BAR: "romfile=" has none, "rombar=0" does not show it. */
static bool has_rom(bool usual, const struct qemu_opts *opts)
{
	const char *file = qemu_opt(opts, "romfile"), *bar = qemu_opt(opts, "rombar");

	if (file)
		usual = *file != '\0';
	return usual && (!bar || strcmp(bar, "0"));
}

static const struct pci_driver *find_driver(const char *name)
{
	for (size_t i = 0; i < NR_DRIVERS; i++)
		if (!strcmp(drivers[i].name, name))
			return &drivers[i];
	return NULL;
}

bool qemu_is_vga(const char *name)
{
	const struct pci_driver *driver = find_driver(name);

	return driver && driver->is & VGA;
}

void qemu_add_pci(struct guest *guest, const char *name, const struct qemu_opts *opts,
		  const struct qemu_memory *memory)
{
	const struct pci_driver *driver = find_driver(name);

	if (has_rom(driver && driver->is & ROM, opts))
		guest->option_rom = true;
	if (driver)
		add_memory(guest, driver, opts, memory);
}
