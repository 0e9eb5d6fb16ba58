/* SPDX-License-Identifier: MIT */
/* The devices of a libvirt domain: host devices, virtual IOMMUs, memory behind BARs. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/libvirt.h"

/* ",romfile=" and the like, from <rom>. */
static const char *rom_of(const struct xml *device)
{
	const struct xml *rom = xml_child(device, "rom");
	const char *file = xml_attribute(rom, "file");

	if (libvirt_is(rom, "enabled", "no") || libvirt_is(rom, "bar", "off") || (file && !*file))
		return ",rombar=0";
	return file ? ",romfile=file" : "";
}

/* ---- host devices ---- */

static unsigned long number_of(const struct libvirt *domain, const struct xml *at, const char *name,
			       const char *otherwise)
{
	const char *value = xml_attribute(at, name);
	char *end;
	unsigned long number;

	errno = 0;
	number = strtoul(value ? value : otherwise, &end, 0);
	if (value && (!isdigit((unsigned char)*value) || *end || errno || number > UINT32_MAX))
		libvirt_refuse(domain, at, "%s='%.40s' is not a number", name, value);
	return number;
}

/* Whether a device is opened through the domain's iommufd. */
static bool uses_iommufd(const struct libvirt *domain, const struct xml *device)
{
	const char *own = xml_attribute(xml_child(device, "driver"), "iommufd");

	if (own)
		return !strcmp(own, "yes");
	return libvirt_is(xml_child(domain->top, "iommufd"), "enabled", "yes");
}

static void add_pci(struct libvirt *domain, const struct xml *device)
{
	const struct xml *address = xml_path(device, "source/address");

	if (!address)
		libvirt_refuse(domain, device, "expected <source> with an <address> in it");
	libvirt_option(domain, "device", "vfio-pci,host=%04lx:%02lx:%02lx.%lx%s%s",
		       number_of(domain, address, "domain", "0"),
		       number_of(domain, address, "bus", "0"),
		       number_of(domain, address, "slot", "0"),
		       number_of(domain, address, "function", "0"),
		       uses_iommufd(domain, device) ? ",iommufd=iommufd0" : "", rom_of(device));
}

static void add_hostdev(struct libvirt *domain, const struct xml *device)
{
	if (!libvirt_is(device, "mode", "subsystem"))
		return;
	if (libvirt_is(device, "type", "pci"))
		add_pci(domain, device);
	else if (libvirt_is(device, "type", "mdev"))
		guest_note(domain->guest, "hostdev type='mdev': a mediated device, which has no "
					  "tables of its own");
}

/* A network card of the host, or an emulated one with its ROM. */
static void add_interface(struct libvirt *domain, const struct xml *device)
{
	const char *model = xml_attribute(xml_child(device, "model"), "type");

	if (libvirt_is(device, "type", "hostdev")) {
		add_pci(domain, device);
		return;
	}
	if (libvirt_is(device, "type", "vdpa")) {
		guest_note(domain->guest,
			   "interface type='vdpa': the tables of that device are not counted");
		return;
	}
	if (libvirt_is(xml_child(device, "actual"), "type", "hostdev")) {
		add_pci(domain, xml_child(device, "actual"));
		return;
	}
	if (!model || !strcmp(model, "rtl8139"))
		model = "rtl8139";
	else if (!strcmp(model, "virtio"))
		model = "virtio-net-pci";
	libvirt_option(domain, "device", "%s%s", model, rom_of(device));
}

/* ---- virtual IOMMUs ---- */

static void add_iommu(struct libvirt *domain, const struct xml *iommu)
{
	const char *model = xml_attribute(iommu, "model");
	const struct xml *driver = xml_child(iommu, "driver");

	if (!model)
		libvirt_refuse(domain, iommu, "model= is missing");
	if (!strcmp(model, "intel"))
		libvirt_option(domain, "device", "intel-iommu%s",
			       libvirt_is(driver, "caching_mode", "on") ? ",caching-mode=on" : "");
	else if (!strcmp(model, "amd"))
		libvirt_option(domain, "device", "amd-iommu");
	else if (!strcmp(model, "virtio"))
		libvirt_option(domain, "device", "virtio-iommu-pci");
	else if (!strcmp(model, "smmuv3"))
		libvirt_option(domain, "machine", "iommu=smmuv3");
	else if (!strcmp(model, "smmuv3Dev"))
		libvirt_option(domain, "device", "arm-smmuv3%s",
			       libvirt_is(driver, "accel", "on") ? ",accel=on" : "");
	else
		libvirt_refuse(domain, iommu,
			       "model='%.40s': expected intel, amd, virtio, smmuv3 or smmuv3Dev",
			       model);
}

/* ---- memory behind BARs ---- */

static unsigned long long mib_of(const struct libvirt *domain, const struct xml *model,
				 const char *name, unsigned long long otherwise)
{
	const char *value = xml_attribute(model, name);

	return value ? libvirt_bytes_of(domain, model, value, NULL, KIB) / MIB : otherwise;
}

static void add_video(struct libvirt *domain, const struct xml *video, bool first)
{
	const struct xml *model = xml_child(video, "model");
	const char *type = xml_attribute(model, "type"), *rom = rom_of(video);
	bool x86 = !strcmp(domain->line.arch, "x86_64") || !strcmp(domain->line.arch, "i686");

	if (!type)
		libvirt_refuse(domain, video, "expected <model> with type= in it");
	if (!strcmp(type, "vga"))
		libvirt_option(domain, "device", "VGA,vgamem_mb=%llu%s",
			       mib_of(domain, model, "vram", 16), rom);
	else if (!strcmp(type, "vmvga"))
		libvirt_option(domain, "device", "vmware-svga,vgamem_mb=%llu%s",
			       mib_of(domain, model, "vram", 16), rom);
	else if (!strcmp(type, "cirrus"))
		libvirt_option(domain, "device", "cirrus-vga%s", rom);
	else if (!strcmp(type, "bochs"))
		libvirt_option(domain, "device", "bochs-display,vgamem=%lluM%s",
			       mib_of(domain, model, "vram", 16), rom);
	else if (!strcmp(type, "virtio") && first && x86)
		libvirt_option(domain, "device", "virtio-vga%s", rom);
	else if (!strcmp(type, "qxl"))
		libvirt_option(domain, "device",
			       "qxl%s,ram_size_mb=%llu,vram_size_mb=%llu,vram64_size_mb=%llu,"
			       "vgamem_mb=%llu%s",
			       first ? "-vga" : "", mib_of(domain, model, "ram", 64),
			       mib_of(domain, model, "vram", 64),
			       mib_of(domain, model, "vram64", 0),
			       mib_of(domain, model, "vgamem", 16), rom);
}

static void add_shmem(struct libvirt *domain, const struct xml *shmem, unsigned int nr)
{
	const struct xml *size = xml_child(shmem, "size");
	uint64_t bytes =
		size ? libvirt_bytes_of(domain, size, size->text, xml_attribute(size, "unit"), MIB)
		     : 4 * MIB;

	if (!libvirt_is(xml_child(shmem, "model"), "type", "ivshmem-plain")) {
		guest_note(domain->guest, "shmem: only ivshmem-plain is counted");
		return;
	}
	libvirt_option(domain, "object",
		       "memory-backend-file,id=shmem%u,size=%llu,mem-path=/dev/shm", nr,
		       (unsigned long long)bytes);
	libvirt_option(domain, "device", "ivshmem-plain,memdev=shmem%u", nr);
}

/* ---- all of them ---- */

static void add_controller(struct libvirt *domain, const struct xml *controller)
{
	const struct xml *hole = xml_child(controller, "pcihole64");

	if (!hole)
		return;
	libvirt_option(domain, "global", "%s.pci-hole64-size=%llu",
		       libvirt_is(controller, "model", "pcie-root") ? "q35-pcihost"
								    : "i440FX-pcihost",
		       (unsigned long long)libvirt_bytes(domain, hole, 0));
}

void libvirt_devices(struct libvirt *domain)
{
	const struct xml *devices = xml_child(domain->top, "devices");
	unsigned int videos = 0, shmems = 0;

	libvirt_option(domain, "object", "iommufd,id=iommufd0");
	for (const struct xml *at = devices ? devices->first : NULL; at; at = at->next) {
		if (!strcmp(at->name, "hostdev"))
			add_hostdev(domain, at);
		else if (!strcmp(at->name, "interface"))
			add_interface(domain, at);
		else if (!strcmp(at->name, "iommu"))
			add_iommu(domain, at);
		else if (!strcmp(at->name, "video"))
			add_video(domain, at, videos++ == 0);
		else if (!strcmp(at->name, "shmem"))
			add_shmem(domain, at, shmems++);
		else if (!strcmp(at->name, "controller"))
			add_controller(domain, at);
		else if (!strcmp(at->name, "disk") && libvirt_is(at, "type", "nvme"))
			guest_note(domain->guest,
				   "disk type='nvme': the tables of that disk are not counted");
	}
}
