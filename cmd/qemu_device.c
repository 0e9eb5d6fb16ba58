/* SPDX-License-Identifier: MIT */
/* The objects and the devices of a QEMU command line. */
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/qemu_line.h"

static bool begins(const char *text, const char *start)
{
	return !strncmp(text, start, strlen(start));
}

/* ---- objects ---- */

static void read_object(struct qemu_line *line, const char *value)
{
	struct qemu_opts opts;
	const char *type, *id;

	qemu_opts_read(&opts, line->guest, qemu_line_where(line, "object"), value, "qom-type");
	type = qemu_opt(&opts, "qom-type");
	id = qemu_opt(&opts, "id");
	if (!type)
		die("%s %.60s: its type is missing", opts.where, value);
	if (!strcmp(type, "iommufd") && id) {
		line->iommufds = guest_grow(line->guest, line->iommufds, line->nr_iommufds,
					    sizeof(*line->iommufds));
		line->iommufds[line->nr_iommufds++] = id;
	}
	if (!strcmp(type, "memory-backend-epc"))
		guest_note(line->guest, "%s: SGX memory is not counted", type);
	else if (begins(type, "memory-backend-")) {
		line->memories = guest_grow(line->guest, line->memories, line->nr_memories,
					    sizeof(*line->memories));
		qemu_read_memory(line->guest, &line->memories[line->nr_memories++], &opts);
	}
}

void qemu_line_objects(struct qemu_line *line)
{
	for (size_t i = 0; i < line->nr; i++)
		if (!strcmp(line->options[i].name, "object"))
			read_object(line, line->options[i].value);
}

const struct qemu_memory *qemu_line_find_memory(const struct qemu_line *line, const char *id)
{
	for (size_t i = 0; i < line->nr_memories; i++)
		if (!strcmp(line->memories[i].id, id))
			return &line->memories[i];
	return NULL;
}

void qemu_line_globals(const struct qemu_line *line, const char *driver, struct qemu_opts *opts)
{
	const struct qemu_opts *globals = &line->globals;

	for (size_t i = 0; i + 1 < globals->nr; i += 2)
		if (!strcmp(globals->opts[i].key, driver))
			qemu_opts_add(opts, globals->opts[i + 1].key, globals->opts[i + 1].value);
}

/* ---- devices that are passed through ---- */

static const char *find_iommufd(const struct qemu_line *line, const struct qemu_opts *opts)
{
	const char *id = qemu_opt(opts, "iommufd");

	for (size_t i = 0; id && i < line->nr_iommufds; i++)
		if (!strcmp(line->iommufds[i], id))
			return line->iommufds[i];
	if (id)
		die("%s: iommufd=%s: there is no -object iommufd with this id", opts->where, id);
	return NULL;
}

/* Not vfio-user-pci, whose device is another process. */
static bool is_vfio(const char *driver)
{
	static const char *const drivers[] = {
		"vfio-pci",      "vfio-pci-nohotplug", "vfio-ap",       "vfio-ccw",
		"vfio-amd-xgbe", "vfio-calxeda-xgmac", "vfio-platform",
	};

	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
		if (!strcmp(drivers[i], driver))
			return true;
	return false;
}

static void add_vfio(struct qemu_line *line, const char *driver, const struct qemu_opts *opts)
{
	struct guest *guest = line->guest;
	const char *host = qemu_opt(opts, "host"), *path = qemu_opt(opts, "sysfsdev");
	struct guest_device *device;

	if (!host)
		host = path ? path : qemu_opt(opts, "fd") ? "a descriptor" : driver;
	if (!strcmp(driver, "vfio-ap") || !strcmp(driver, "vfio-ccw") ||
	    (path && (strstr(path, "/mdev") || strstr(path, "mdev_")))) {
		guest_note(guest, "%s: a mediated device, which has no tables of its own", host);
		return;
	}
	device = guest_add_device(guest);
	device->name = host;
	device->iommufd = find_iommufd(line, opts);
}

/* ---- memory devices ---- */

/* Small parts of virtio-mem are plugged and mapped one by one. */
static void read_virtio_mem(struct guest_plug *plug, const struct qemu_opts *opts)
{
	uint64_t least = plug->page > 2 * MIB ? plug->page : 2 * MIB;

	plug->now = qemu_opt_bytes(opts, "requested-size", 1, 0);
	plug->block = qemu_opt_bytes(opts, "block-size", 1, least);
	if (!plug->block || plug->block & (plug->block - 1))
		die("%s: block-size=%s: expected a power of two", opts->where,
		    qemu_opt(opts, "block-size"));
	if (plug->now > plug->bytes)
		die("%s: requested-size=%s is more than its memory backend has", opts->where,
		    qemu_opt(opts, "requested-size"));
	if (plug->align < plug->block)
		plug->align = plug->block;
}

static bool add_plug(struct qemu_line *line, const char *driver, const struct qemu_opts *opts,
		     const struct qemu_memory *memory)
{
	static const struct {
		const char *driver, *kind, *address;
	} kinds[] = {
		{"pc-dimm", "DIMM", "addr"},
		{"nvdimm", "NVDIMM", "addr"},
		{"virtio-mem", "virtio-mem", "memaddr"},
		{"virtio-pmem", "virtio-pmem", "memaddr"},
	};
	struct guest_plug *plug;
	uint64_t label;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!begins(driver, kinds[i].driver))
			continue;
		if (!memory)
			die("%s: memdev= names no memory backend", opts->where);
		if (!guest_can_plug(line->guest))
			die("%s: machine '%s' has no memory devices", opts->where,
			    line->guest->machine);
		plug = guest_add_plug(line->guest);
		*plug = (struct guest_plug){.kind = kinds[i].kind,
					    .bytes = memory->bytes,
					    .page = memory->page,
					    .align = memory->align};
		if (plug->align <= GUEST_HUGE)
			plug->align = plug->page == GUEST_HUGE ? 2 * MIB : 4 * KIB;
		plug->now = plug->bytes;
		plug->placed = qemu_opt(opts, kinds[i].address) != NULL;
		plug->at = qemu_opt_bytes(opts, kinds[i].address, 1, 0);
		if (begins(driver, "virtio-mem"))
			read_virtio_mem(plug, opts);
		label = qemu_opt_bytes(opts, "label-size", 1, 0);
		if (label >= plug->bytes)
			die("%s: label-size=%s leaves no memory", opts->where,
			    qemu_opt(opts, "label-size"));
		/* The label lies at the end, and what is left ends at the alignment. */
		if (label)
			plug->bytes = plug->now = (plug->bytes - label) & -plug->align;
		return true;
	}
	return false;
}

/* ---- devices ---- */

static bool add_viommu(struct qemu_line *line, const char *driver, const struct qemu_opts *opts)
{
	struct guest *guest = line->guest;

	if (!strcmp(driver, "intel-iommu")) {
		guest_set_viommu(guest, driver, true);
		if (!qemu_opt_bool(opts, "caching-mode", false) &&
		    !qemu_opt_bool(opts, "x-flts", false))
			guest_note(guest, "intel-iommu without caching-mode=on: QEMU refuses to "
					  "pass devices through");
	} else if (!strcmp(driver, "amd-iommu")) {
		guest_set_viommu(guest, driver, true);
		if (!qemu_opt_bool(opts, "dma-remap", false))
			guest_note(guest, "amd-iommu without dma-remap=on (QEMU 10.2): the guest "
					  "cannot translate for devices passed through");
	} else if (begins(driver, "virtio-iommu")) {
		guest_set_viommu(guest, "virtio-iommu", true);
	} else if (!strcmp(driver, "arm-smmuv3")) {
		/* The guest's own tables are the first stage, and all share the second. */
		guest_set_viommu(guest, "smmuv3", !qemu_opt_bool(opts, "accel", false));
	} else if (begins(driver, "riscv-iommu")) {
		guest_set_viommu(guest, "riscv-iommu", true);
	} else {
		return false;
	}
	return true;
}

static void add_device(struct qemu_line *line, const char *driver, const struct qemu_opts *opts)
{
	const char *id = qemu_opt(opts, "memdev");
	const struct qemu_memory *memory = id ? qemu_line_find_memory(line, id) : NULL;

	if (id && !memory)
		die("%s: memdev=%s: there is no memory backend with this id", opts->where, id);
	if (is_vfio(driver))
		add_vfio(line, driver, opts);
	else if (begins(driver, "vhost-vdpa-device"))
		guest_note(line->guest, "vhost-vdpa: the tables of that device are not counted");
	else if (add_viommu(line, driver, opts) || add_plug(line, driver, opts, memory))
		return;
	qemu_add_pci(line->guest, driver, opts, memory);
	line->guest->vga |= qemu_is_vga(driver);
}

static void read_device(struct qemu_line *line, const char *value)
{
	struct qemu_opts opts, given;
	const char *driver;

	qemu_opts_read(&given, line->guest, qemu_line_where(line, "device"), value, "driver");
	driver = qemu_opt(&given, "driver");
	if (!driver)
		die("%s %.60s: its driver is missing", given.where, value);
	opts = (struct qemu_opts){.guest = line->guest,
				  .where = guest_print(line->guest, "%s %s", given.where, driver)};
	qemu_line_globals(line, driver, &opts);
	for (size_t i = 0; i < given.nr; i++)
		qemu_opts_add(&opts, given.opts[i].key, given.opts[i].value);
	add_device(line, driver, &opts);
}

/*
 * What QEMU adds where nothing is said: a VGA adapter, unless any is named, and a
 * network card, on a PC.
 */
static void add_defaults(struct qemu_line *line)
{
	static const struct {
		const char *name, *driver;
	} adapters[] = {{"std", "VGA"},
			{"cirrus", "cirrus-vga"},
			{"vmware", "vmware-svga"},
			{"qxl", "qxl-vga"},
			{"virtio", "virtio-vga"}};
	struct guest *guest = line->guest;
	const char *name = line->vga;
	bool named = guest->vga;

	for (size_t i = 0; i < line->globals.nr; i += 2)
		named |= qemu_is_vga(line->globals.opts[i].key);
	if (!name && !line->nodefaults && !named)
		name = "std";
	for (size_t i = 0; name && i < sizeof(adapters) / sizeof(adapters[0]); i++)
		if (!strcmp(name, adapters[i].name))
			read_device(line, adapters[i].driver);
	if (line->nic || (!line->nodefaults && !line->net))
		guest->option_rom = true;
}

void qemu_line_devices(struct qemu_line *line)
{
	struct guest *guest = line->guest;
	bool pc = guest->board == BOARD_PC || guest->board == BOARD_Q35;

	for (size_t i = 0; i < line->nr; i++)
		if (!strcmp(line->options[i].name, "device"))
			read_device(line, line->options[i].value);
	if (pc)
		add_defaults(line);
	/* Only a PC has the hole, and firmware in any case. */
	guest->vga &= pc;
	guest->option_rom &= pc;
}
