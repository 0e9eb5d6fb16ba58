/* SPDX-License-Identifier: MIT */
/* The machine of a QEMU command line, its firmware and its RAM. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd/cmd.h"
#include "cmd/qemu_line.h"

static bool begins(const char *text, const char *start)
{
	return !strncasecmp(text, start, strlen(start));
}

/*
 * The vendor of the guest's CPU: with KVM that of the host, unless the model tells
 * otherwise; without KVM that of the model, and QEMU's own models are AMD's.
 */
static enum guest_vendor vendor_of(const struct qemu_line *line)
{
	static const char *const amd[] = {"EPYC", "Opteron", "phenom", "athlon"};
	static const char *const own[] = {"qemu64", "qemu32", "max"};
	const char *cpu = line->cpu ? line->cpu : line->kvm ? "host" : "qemu64", *vendor;
	struct qemu_opts opts;

	qemu_opts_read(&opts, line->guest, qemu_line_where(line, "cpu"), cpu, "model");
	vendor = qemu_opt(&opts, "vendor");
	if (vendor)
		return strcmp(vendor, "AuthenticAMD") ? VENDOR_OTHER : VENDOR_AMD;
	for (size_t i = 0; i < sizeof(amd) / sizeof(amd[0]); i++)
		if (begins(cpu, amd[i]))
			return VENDOR_AMD;
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]) && !line->kvm; i++)
		if (begins(cpu, own[i]))
			return VENDOR_AMD;
	return line->kvm ? VENDOR_HOST : VENDOR_OTHER;
}

/* ---- firmware ---- */

/* The bytes of a firmware file where QEMU looks for it, or 0. */
static uint64_t file_bytes(const char *name)
{
	static const char *const dirs[] = {"",
					   "/usr/share/qemu/",
					   "/usr/share/seabios/",
					   "/usr/share/ovmf/",
					   "/usr/share/OVMF/",
					   "/usr/local/share/qemu/"};
	struct stat file;
	char path[4096];

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", dirs[i], name);
		if (!stat(path, &file) && S_ISREG(file.st_mode) && file.st_size > 0)
			return (uint64_t)file.st_size;
	}
	return 0;
}

/* Flash is no memory for VFIO; what -bios names is ROM below 4 GiB, on a PC only. */
static void read_firmware(struct qemu_line *line)
{
	struct guest *guest = line->guest;
	char text[BYTES_TEXT];
	uint64_t bytes;

	if (!guest->rom || !line->bios)
		return;
	bytes = file_bytes(line->bios);
	if (!bytes)
		guest_note(guest, "-bios %s: not found here, its size is taken to be %s",
			   line->bios, exact_bytes(guest->rom, text));
	else
		guest->rom = bytes;
}

/* ---- virtual IOMMUs of the machine ---- */

static void read_machine_iommu(struct qemu_line *line)
{
	const char *kind = qemu_opt(&line->machine, "iommu");

	if (!kind || !strcmp(kind, "none") || !strcmp(kind, "off"))
		return;
	if (!strcmp(kind, "smmuv3"))
		guest_set_viommu(line->guest, "smmuv3", true);
	else if (!strcmp(kind, "amd"))
		guest_set_viommu(line->guest, "amd-iommu", true);
	else
		guest_set_viommu(line->guest, "intel-iommu", true);
}

/* Whether the devices of the default bus are not behind the virtual IOMMU. */
static bool bypasses(const struct qemu_line *line)
{
	return qemu_opt_bool(&line->machine, "default_bus_bypass_iommu", false) ||
	       qemu_opt_bool(&line->machine, "default-bus-bypass-iommu", false);
}

static uint64_t global_bytes(const struct qemu_line *line, const char *driver, const char *key)
{
	struct qemu_opts opts = {.guest = line->guest, .where = qemu_line_where(line, "global")};

	qemu_line_globals(line, driver, &opts);
	return qemu_opt_bytes(&opts, key, 1, 0);
}

void qemu_line_machine(struct qemu_line *line)
{
	struct guest *guest = line->guest;
	const char *name = qemu_opt(&line->machine, "type"), *accel;
	bool pc = !line->arch || !strcmp(line->arch, "x86_64") || !strcmp(line->arch, "i386");

	if (!name && !pc)
		die("%s: -machine is missing: qemu-system-%s has no default", guest->option,
		    line->arch);
	guest_set_machine(guest, name ? name : "pc", line->arch);
	accel = qemu_opt(&line->machine, "accel");
	line->kvm |= accel && begins(accel, "kvm");
	guest->vendor = vendor_of(line);
	guest->max_below_4g = qemu_opt_bytes(&line->machine, "max-ram-below-4g", 1, 0);
	guest->pci_hole64 =
		global_bytes(line, guest->board == BOARD_Q35 ? "q35-pcihost" : "i440FX-pcihost",
			     "pci-hole64-size");
	for (size_t i = 0; i < line->machine.nr; i++)
		line->flash |= begins(line->machine.opts[i].key, "pflash");
	if (line->flash)
		guest->rom = 0;
	read_firmware(line);
	read_machine_iommu(line);
	guest->bypass = bypasses(line);
	if (qemu_opt(&line->machine, "confidential-guest-support"))
		guest_note(guest, "confidential-guest-support: memory is counted as if it were "
				  "not private");
}

/* ---- RAM ---- */

struct node {
	uint64_t id;
	struct guest_part part;
};

static int lower_node(const void *a, const void *b)
{
	const struct node *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

/* Read a node with a memory backend; "mem=SIZE" only assigns a part of the one RAM. */
static bool read_node(struct qemu_line *line, const char *value, struct node *node, uint64_t *next)
{
	const struct qemu_memory *memory;
	struct qemu_opts opts;
	const char *type, *id;

	qemu_opts_read(&opts, line->guest, qemu_line_where(line, "numa"), value, "type");
	type = qemu_opt(&opts, "type");
	if (!type || strcmp(type, "node"))
		return false;
	id = qemu_opt(&opts, "nodeid");
	node->id =
		id ? parse_number(guest_print(line->guest, "%s: nodeid", opts.where), id, 0, 4095)
		   : *next;
	*next = node->id + 1;
	id = qemu_opt(&opts, "memdev");
	memory = id ? qemu_line_find_memory(line, id) : NULL;
	if (id && !memory)
		die("%s: memdev=%s: there is no memory backend with this id", opts.where, id);
	if (memory)
		node->part = (struct guest_part){memory->bytes, memory->page};
	return memory != NULL;
}

/* The memory of NUMA nodes, in the order of their numbers; returns whether there is any. */
static bool read_nodes(struct qemu_line *line)
{
	struct node *nodes = guest_alloc(line->guest, (line->nr + 1) * sizeof(*nodes));
	uint64_t next = 0;
	size_t nr = 0;

	for (size_t i = 0; i < line->nr; i++) {
		if (strcmp(line->options[i].name, "numa"))
			continue;
		nr += read_node(line, line->options[i].value, &nodes[nr], &next);
	}
	qsort(nodes, nr, sizeof(*nodes), lower_node);
	for (size_t i = 0; i < nr; i++)
		*guest_add_part(line->guest) = nodes[i].part;
	return nr != 0;
}

/* Read all -m options; "-machine memory.size=" is the same. */
static void read_sizes(struct qemu_line *line, const struct qemu_memory *whole)
{
	struct guest *guest = line->guest;
	struct qemu_opts all = {.guest = guest, .where = qemu_line_where(line, "m")}, opts;

	for (size_t i = 0; i < line->nr; i++) {
		if (strcmp(line->options[i].name, "m"))
			continue;
		qemu_opts_read(&opts, guest, all.where, line->options[i].value, "size");
		for (size_t j = 0; j < opts.nr; j++)
			qemu_opts_add(&all, opts.opts[j].key, opts.opts[j].value);
	}
	guest->ram = qemu_opt_bytes(&all, "size", MIB, whole ? whole->bytes : 128 * MIB);
	if (qemu_opt(&all, "size") && whole && guest->ram != whole->bytes)
		die("%s %s: the memory backend %s has another size", all.where,
		    qemu_opt(&all, "size"), whole->id);
	/* QEMU rounds it to whole pages of the largest target. */
	if (!whole && guest->ram <= UINT64_MAX - 8191)
		guest->ram = (guest->ram + 8191) & ~8191ULL;
	guest->max_ram = qemu_opt_bytes(&all, "maxmem", 1, guest->ram);
	if (guest->max_ram < guest->ram)
		die("%s: maxmem=%s is less than the RAM at the start (without a unit it is bytes)",
		    all.where, qemu_opt(&all, "maxmem"));
	if (qemu_opt(&all, "slots"))
		guest->slots = parse_number(guest_print(guest, "%s: slots", all.where),
					    qemu_opt(&all, "slots"), 0, 256);
}

void qemu_line_memory(struct qemu_line *line)
{
	struct guest *guest = line->guest;
	const char *id = qemu_opt(&line->machine, "memory-backend");
	const struct qemu_memory *whole = id ? qemu_line_find_memory(line, id) : NULL;
	uint64_t page = line->mem_path ? qemu_path_page(guest, "-mem-path", line->mem_path) : 0;

	if (id && !whole)
		die("%s: memory-backend=%s: there is no memory backend with this id",
		    line->machine.where, id);
	read_sizes(line, whole);
	if (whole)
		*guest_add_part(guest) = (struct guest_part){whole->bytes, whole->page};
	else if (!read_nodes(line))
		*guest_add_part(guest) = (struct guest_part){guest->ram, page};
}
