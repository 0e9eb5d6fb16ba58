/* SPDX-License-Identifier: MIT */
/*
 * PCI devices as programs find them: the files of sysfs and of /dev/vfio. The paths are
 * Linux's: a device stands below /sys/devices, and links lead to it from its bus, its
 * group, its driver and its IOMMU.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "hw/device.h"
#include "plat/compiler.h"
#include "supervisor/supervisor.h"
#include "vfio/dma.h"
#include "vfio/pci.h"

#define DRIVER "/sys/bus/pci/drivers/vfio-pci"
#define IOMMU  "/sys/class/iommu/iommu0"

int sysfs_make_devices(char *error, size_t size)
{
	char why[400];

	if (options->nr_models)
		vfio_fault_start();
	for (unsigned int i = 0; i < options->nr_models; i++) {
		if (!vfio_pci_add(options->models[i], options->devices + i, why, sizeof(why)))
			continue;
		snprintf(error, size, "--device %s: %s", options->models[i], why);
		return -1;
	}
	return 0;
}

/* ---- paths ---- */

struct paths {
	char device[96]; /* below /sys/devices */
	char path[PATH_MAX];
};

static const char *below(struct paths *p, const char *name)
{
	snprintf(p->path, sizeof(p->path), "%s/%s", p->device, name);
	return p->path;
}

static void set_device(struct paths *p, const struct vfio_pci *pci)
{
	snprintf(p->device, sizeof(p->device), "/sys/devices/pci%04x:%02x/%s", pci->domain,
		 pci->bus, pci->name);
}

static int add_link(const char *path, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int add_link(const char *path, const char *format, ...)
{
	char target[PATH_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(target, sizeof(target), format, args);
	va_end(args);
	return tree_add_link(path, target);
}

/* ---- a device ---- */

/* What is not there keeps its line. */
static void describe_resources(const struct vfio_pci *pci, char text[1024])
{
	size_t used = 0;

	for (unsigned int i = 0; i < 13; i++) {
		const struct hw_bar *bar = i < HW_NR_BARS ? &pci->id->bar[i] : NULL;
		unsigned long long start = 0, end = 0, flags = 0;

		if (bar && bar->size) {
			start = pci->address[i];
			end = start + bar->size - 1;
			flags = 0x40200 | (bar->is_64bit ? 0x100004 : 0) |
				(bar->prefetchable ? 0x2008 : 0);
		}
		used += (size_t)snprintf(text + used, 1024 - used,
					 "0x%016llx 0x%016llx 0x%016llx\n", start, end, flags);
	}
}

static void describe_alias(const struct vfio_pci *pci, char text[96])
{
	const struct hw_identity *id = pci->id;

	snprintf(text, 96, "pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X", id->vendor, id->device,
		 id->subsystem_vendor, id->subsystem_device, id->class_code >> 16 & 0xff,
		 id->class_code >> 8 & 0xff, id->class_code & 0xff);
}

static int add_identity(struct paths *p, const struct vfio_pci *pci)
{
	const struct hw_identity *id = pci->id;
	char alias[96], resources[1024];
	int ret;

	describe_alias(pci, alias);
	describe_resources(pci, resources);
	ret = tree_add_text(below(p, "vendor"), "0x%04x\n", id->vendor);
	ret |= tree_add_text(below(p, "device"), "0x%04x\n", id->device);
	ret |= tree_add_text(below(p, "subsystem_vendor"), "0x%04x\n", id->subsystem_vendor);
	ret |= tree_add_text(below(p, "subsystem_device"), "0x%04x\n", id->subsystem_device);
	ret |= tree_add_text(below(p, "class"), "0x%06x\n", id->class_code);
	ret |= tree_add_text(below(p, "revision"), "0x%02x\n", id->revision);
	ret |= tree_add_text(below(p, "modalias"), "%s\n", alias);
	ret |= tree_add_text(below(p, "resource"), "%s", resources);
	ret |= tree_add_text(below(p, "uevent"),
			     "DRIVER=vfio-pci\nPCI_CLASS=%X\nPCI_ID=%04X:%04X\n"
			     "PCI_SUBSYS_ID=%04X:%04X\nPCI_SLOT_NAME=%s\nMODALIAS=%s\n",
			     id->class_code, id->vendor, id->device, id->subsystem_vendor,
			     id->subsystem_device, pci->name, alias);
	return ret;
}

static int add_properties(struct paths *p)
{
	static const struct {
		const char *name, *text;
	} texts[] = {
		{"irq", "0\n"},
		{"local_cpulist", "0\n"},
		{"ari_enabled", "0\n"},
		{"dma_mask_bits", "64\n"},
		{"consistent_dma_mask_bits", "64\n"},
		{"current_link_speed", "Unknown\n"},
		{"current_link_width", "0\n"},
		{"max_link_speed", "Unknown\n"},
		{"max_link_width", "255\n"},
		{"power_state", "D0\n"},
		{"reset_method", "flr\n"},
		{"power/runtime_status", "active\n"},
		{"power/control", "on\n"},
	};
	int ret = 0;

	for (size_t i = 0; i < ARRAY_SIZE(texts) && !ret; i++)
		ret = tree_add_text(below(p, texts[i].name), "%s", texts[i].text);
	return ret;
}

static int add_attributes(struct paths *p, const struct vfio_pci *pci)
{
	static const struct {
		const char *name, *text;
		enum attribute which;
		unsigned int mode;
	} files[] = {
		{"driver_override", "vfio-pci\n", ATTRIBUTE_KEPT, 0644},
		{"numa_node", "-1\n", ATTRIBUTE_KEPT, 0644},
		{"enable", "0\n", ATTRIBUTE_KEPT, 0644},
		{"msi_bus", "1\n", ATTRIBUTE_KEPT, 0644},
		{"d3cold_allowed", "1\n", ATTRIBUTE_KEPT, 0644},
		{"broken_parity_status", "0\n", ATTRIBUTE_KEPT, 0644},
		{"reset", "", ATTRIBUTE_RESET, 0200},
		{"rescan", "", ATTRIBUTE_NOTHING, 0200},
	};
	int ret = tree_add_attribute(below(p, "config"), FILE_CONFIG, pci->index, 0, 0644, "");

	for (size_t i = 0; i < ARRAY_SIZE(files) && !ret; i++)
		ret = tree_add_attribute(below(p, files[i].name), FILE_ATTRIBUTE, pci->index,
					 files[i].which, files[i].mode, files[i].text);
	return ret;
}

/* ---- what leads to it ---- */

static int add_class_device(struct paths *p, const struct vfio_pci *pci)
{
	char path[160], name[64];
	int ret;

	snprintf(name, sizeof(name), "vfio-dev/vfio%u/dev", pci->index);
	ret = tree_add_text(below(p, name), "%u:%u\n", VFIO_MAJOR, pci->index);
	snprintf(name, sizeof(name), "vfio-dev/vfio%u/device", pci->index);
	ret |= add_link(below(p, name), "../../../%s", pci->name);
	snprintf(name, sizeof(name), "vfio-dev/vfio%u/subsystem", pci->index);
	ret |= add_link(below(p, name), "../../../../../class/vfio-dev");
	snprintf(path, sizeof(path), "/sys/class/vfio-dev/vfio%u", pci->index);
	ret |= add_link(path, "../..%s/vfio-dev/vfio%u", p->device + 4, pci->index);
	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", pci->index);
	return ret | tree_add_device(path, FILE_VFIO, pci->index);
}

static int add_group(struct paths *p, const struct vfio_pci *pci)
{
	char path[160];
	int ret;

	ret = add_link(below(p, "iommu_group"), "../../../kernel/iommu_groups/%u", pci->group);
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%u/devices/%s", pci->group,
		 pci->name);
	ret |= add_link(path, "../../../..%s", p->device + 4);
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%u/type", pci->group);
	ret |= tree_add_text(path, "DMA\n");
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%u/reserved_regions", pci->group);
	ret |= tree_add_text(path, "0x00000000fee00000 0x00000000feefffff msi\n");
	snprintf(path, sizeof(path), "/sys/class/vfio/%u/dev", pci->group);
	ret |= tree_add_text(path, "%u:%u\n", GROUP_MAJOR, pci->group);
	snprintf(path, sizeof(path), "/dev/vfio/%u", pci->group);
	return ret | tree_add_device(path, FILE_GROUP, pci->group);
}

static int add_pci(const struct vfio_pci *pci)
{
	struct paths p;
	char path[128];
	int ret;

	set_device(&p, pci);
	ret = add_identity(&p, pci) | add_properties(&p) | add_attributes(&p, pci);
	ret |= add_link(below(&p, "subsystem"), "../../../bus/pci");
	ret |= add_link(below(&p, "driver"), "../../../bus/pci/drivers/vfio-pci");
	ret |= add_link(below(&p, "iommu"), "../../../class/iommu/iommu0");
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", pci->name);
	ret |= add_link(path, "../../..%s", p.device + 4);
	snprintf(path, sizeof(path), DRIVER "/%s", pci->name);
	ret |= add_link(path, "../../../..%s", p.device + 4);
	snprintf(path, sizeof(path), IOMMU "/devices/%s", pci->name);
	ret |= add_link(path, "../../../..%s", p.device + 4);
	return ret | add_class_device(&p, pci) | add_group(&p, pci) ? -ENOMEM : 0;
}

/* ---- the bus, its driver and modules ---- */

static int add_modules(void)
{
	static const char *const names[] = {"vfio", "vfio_pci", "vfio_pci_core",
					    "vfio_iommu_type1"};
	char path[96];
	int ret = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names) && !ret; i++) {
		snprintf(path, sizeof(path), "/sys/module/%s/initstate", names[i]);
		ret = tree_add_text(path, "live\n");
		snprintf(path, sizeof(path), "/sys/module/%s/refcnt", names[i]);
		ret |= tree_add_text(path, "0\n");
	}
	ret |= tree_add_text("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "N\n");
	ret |= tree_add_text("/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts",
			     "N\n");
	ret |= tree_add_text("/sys/module/vfio_iommu_type1/parameters/disable_hugepages", "N\n");
	return ret |
	       tree_add_text("/sys/module/vfio_iommu_type1/parameters/dma_entry_limit", "65535\n");
}

static int add_bus(void)
{
	static const struct {
		const char *path;
		enum attribute which;
	} files[] = {
		{DRIVER "/bind", ATTRIBUTE_BIND},      {DRIVER "/unbind", ATTRIBUTE_UNBIND},
		{DRIVER "/new_id", ATTRIBUTE_NOTHING}, {DRIVER "/remove_id", ATTRIBUTE_NOTHING},
		{DRIVER "/uevent", ATTRIBUTE_NOTHING},
	};
	int ret = tree_add_directory("/sys/bus/pci/devices") |
		  tree_add_directory("/sys/bus/pci/slots");

	for (size_t i = 0; i < ARRAY_SIZE(files) && !ret; i++)
		ret = tree_add_attribute(files[i].path, FILE_ATTRIBUTE, 0, files[i].which, 0200,
					 "");
	ret |= add_link(DRIVER "/module", "../../../../module/vfio_pci");
	ret |= tree_add_attribute("/sys/bus/pci/drivers_probe", FILE_ATTRIBUTE, 0, ATTRIBUTE_PROBE,
				  0200, "");
	ret |= tree_add_attribute("/sys/bus/pci/rescan", FILE_ATTRIBUTE, 0, ATTRIBUTE_NOTHING, 0200,
				  "");
	ret |= tree_add_attribute("/sys/bus/pci/drivers_autoprobe", FILE_ATTRIBUTE, 0,
				  ATTRIBUTE_KEPT, 0644, "1\n");
	ret |= tree_add_device("/dev/vfio/vfio", FILE_IOMMU, 1);
	return ret | tree_add_text("/sys/class/misc/vfio/dev", "10:196\n");
}

int sysfs_add(void)
{
	int ret = 0;

	if (!vfio_pci_count())
		return 0;
	if (add_bus() | add_modules())
		return -ENOMEM;
	for (unsigned int i = 0; i < vfio_pci_count() && !ret; i++)
		ret = add_pci(vfio_pci_at(i));
	return ret;
}

/* ---- what is written ---- */

static void show_driver(const struct vfio_pci *pci, bool show)
{
	char path[128];
	struct paths p;

	set_device(&p, pci);
	tree_show(below(&p, "driver"), show);
	snprintf(path, sizeof(path), DRIVER "/%s", pci->name);
	tree_show(path, show);
	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", pci->index);
	tree_show(path, show);
	snprintf(path, sizeof(path), "/dev/vfio/%u", pci->group);
	tree_show(path, show);
}

/* What is open stays so; the program is asked to let go of it, as by the kernel. */
static int bind(const char *name, bool to)
{
	struct vfio_pci *pci = vfio_pci_by_name(name);

	if (!pci || atomic_exchange(&pci->bound, to) == to)
		return -ENODEV;
	show_driver(pci, to);
	if (!to)
		vfio_irqs_request(pci);
	return 0;
}

static int probe(const char *name)
{
	struct vfio_pci *pci = vfio_pci_by_name(name);

	if (!pci)
		return -ENODEV;
	bind(name, true);
	return 0;
}

static int reset(unsigned int index, const char *text)
{
	struct vfio_pci *pci = vfio_pci_by_index(index);

	if (strcmp(text, "1") != 0 || !pci)
		return -EINVAL;
	vfio_pci_reset(pci);
	return 0;
}

ssize_t sysfs_write(const struct node *node, const char *text, size_t length)
{
	char line[128];
	int ret = 0;

	if (length >= sizeof(line))
		return -EINVAL;
	memcpy(line, text, length);
	line[length] = '\0';
	line[strcspn(line, "\n")] = '\0';
	switch ((enum attribute)node->which) {
	case ATTRIBUTE_KEPT:
		snprintf(line + strlen(line), sizeof(line) - strlen(line), "\n");
		tree_set_text(node, line[0] == '\n' ? "(null)\n" : line);
		break;
	case ATTRIBUTE_BIND:
		ret = bind(line, true);
		break;
	case ATTRIBUTE_UNBIND:
		ret = bind(line, false);
		break;
	case ATTRIBUTE_PROBE:
		ret = probe(line);
		break;
	case ATTRIBUTE_RESET:
		ret = reset(node->index, line);
		break;
	case ATTRIBUTE_NOTHING:
		break;
	}
	return ret ? ret : (ssize_t)length;
}
