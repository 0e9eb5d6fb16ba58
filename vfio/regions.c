/* SPDX-License-Identifier: MIT */
/*
 * Regions: parts of a device's file. Those of BARs that can be mapped are memory of
 * the file itself, so that a program's loads and stores need no call.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "iommufd/iommufd.h"
#include "plat/compiler.h"
#include "vfio/pci.h"

#define MSIX_ENTRY 16u

static bool may_be_mapped(const struct hw_bar *bar)
{
	return bar->mappable && bar->size >= 4096;
}

/* ---- VFIO_DEVICE_GET_REGION_INFO ---- */

/* The one capability that there is: 0, or that the table of MSI-X may be mapped too. */
static size_t capability_size(const struct vfio_pci *pci, const struct vfio_region_info *info)
{
	bool has = (info->flags & VFIO_REGION_INFO_FLAG_MMAP) && pci->id->msix &&
		   info->index == pci->id->msix_bar;

	return has ? sizeof(struct vfio_info_cap_header) : 0;
}

static int describe(const struct vfio_pci *pci, struct vfio_region_info *info)
{
	const struct hw_bar *bar;

	info->flags = 0;
	info->size = 0;
	if (info->index >= VFIO_PCI_NUM_REGIONS || info->index == VFIO_PCI_VGA_REGION_INDEX)
		return -EINVAL;
	info->offset = VFIO_REGION_OFFSET(info->index);
	if (info->index == VFIO_PCI_CONFIG_REGION_INDEX) {
		info->size = VFIO_CONFIG_SIZE;
		info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	}
	if (info->index >= HW_NR_BARS)
		return 0;
	bar = &pci->id->bar[info->index];
	info->size = bar->size;
	if (bar->size)
		info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	if (may_be_mapped(bar))
		info->flags |= VFIO_REGION_INFO_FLAG_MMAP;
	return 0;
}

int vfio_region_info(struct vfio_pci *pci, uint64_t arg)
{
	const struct vfio_info_cap_header mappable = {
		.id = VFIO_REGION_INFO_CAP_MSIX_MAPPABLE,
		.version = 1,
	};
	struct vfio_region_info info;
	int ret = vfio_copy_in(&info, arg, sizeof(info));
	size_t caps;

	if (!ret)
		ret = describe(pci, &info);
	if (ret)
		return ret;
	caps = capability_size(pci, &info);
	if (caps) {
		info.flags |= VFIO_REGION_INFO_FLAG_CAPS;
		info.cap_offset = 0;
		if (info.argsz < sizeof(info) + caps)
			info.argsz = (uint32_t)(sizeof(info) + caps);
		else
			info.cap_offset = sizeof(info);
	}
	if (caps && info.cap_offset &&
	    iommufd_copy_to_user(NULL, arg + sizeof(info), &mappable, sizeof(mappable)))
		return -EFAULT;
	return iommufd_copy_to_user(NULL, arg, &info, sizeof(info));
}

/* ---- mmap ---- */

int vfio_region_may_map(struct vfio_pci *pci, uint64_t at, uint64_t length, bool shared)
{
	uint64_t index = at >> VFIO_REGION_SHIFT, offset = at & (VFIO_REGION_OFFSET(1) - 1), size;

	if (!shared || index >= HW_NR_BARS || !may_be_mapped(&pci->id->bar[index]))
		return -EINVAL;
	size = pci->id->bar[index].size;
	return length && offset < size && length <= size - offset ? 0 : -EINVAL;
}

/* ---- registers ---- */

/* As large a part as alignment and length allow. */
static unsigned int part_size(uint64_t at, size_t left)
{
	for (unsigned int size = 8; size > 1; size /= 2)
		if (left >= size && at % size == 0)
			return size;
	return 1;
}

/* The table of MSI-X is the kernel's: it reads as ones and keeps nothing. */
static bool is_msix_table(const struct vfio_pci *pci, unsigned int bar, uint64_t at)
{
	const struct hw_identity *id = pci->id;

	return id->msix && bar == id->msix_bar && at >= id->msix_table &&
	       at - id->msix_table < id->msix * MSIX_ENTRY;
}

static void read_registers(struct vfio_pci *pci, unsigned int bar, uint64_t at, uint8_t *to,
			   size_t length)
{
	for (size_t done = 0; done < length;) {
		unsigned int size = part_size(at + done, length - done);
		uint64_t value = UINT64_MAX;

		if (!is_msix_table(pci, bar, at + done))
			value = pci->model->read(pci->dev, bar, at + done, size);
		for (unsigned int i = 0; i < size; i++)
			to[done + i] = (uint8_t)(value >> 8 * i);
		done += size;
	}
}

static void write_registers(struct vfio_pci *pci, unsigned int bar, uint64_t at,
			    const uint8_t *from, size_t length)
{
	for (size_t done = 0; done < length;) {
		unsigned int size = part_size(at + done, length - done);
		uint64_t value = 0;

		for (unsigned int i = 0; i < size; i++)
			value |= (uint64_t)from[done + i] << 8 * i;
		if (!is_msix_table(pci, bar, at + done))
			pci->model->write(pci->dev, bar, at + done, size, value);
		done += size;
	}
}

/* ---- read and write ---- */

#define AT_ONCE 4096u

struct transfer {
	struct vfio_pci *pci;
	unsigned int index;
	uint64_t at; /* in the region */
	size_t length;
};

/* Which region, and how much of it: 0, or -EINVAL, or -EIO while memory is disabled. */
static int begin(struct transfer *t, struct vfio_pci *pci, uint64_t at, size_t length)
{
	uint64_t index = at >> VFIO_REGION_SHIFT, size;

	*t = (struct transfer){pci, (unsigned int)index, at & (VFIO_REGION_OFFSET(1) - 1), length};
	if (index == VFIO_PCI_CONFIG_REGION_INDEX)
		return t->at >= VFIO_CONFIG_SIZE || length > VFIO_CONFIG_SIZE - t->at ? -EINVAL : 0;
	if (index >= HW_NR_BARS)
		return -EINVAL;
	size = pci->id->bar[index].size;
	if (t->at >= size)
		return -EINVAL;
	t->length = (size_t)MIN(size - t->at, (uint64_t)length);
	return vfio_config_command(pci) & PCI_COMMAND_MEMORY ? 0 : -EIO;
}

ssize_t vfio_region_read(struct vfio_pci *pci, uint64_t at, uint64_t to, size_t length)
{
	uint8_t data[AT_ONCE];
	struct transfer t;
	int ret = begin(&t, pci, at, length);

	for (size_t done = 0; !ret && done < t.length;) {
		size_t part = MIN(t.length - done, AT_ONCE - (t.at + done) % AT_ONCE);

		if (t.index == VFIO_PCI_CONFIG_REGION_INDEX)
			vfio_config_read(pci, t.at + done, data, part);
		else
			read_registers(pci, t.index, t.at + done, data, part);
		if (iommufd_copy_to_user(NULL, to + done, data, part))
			return -EFAULT;
		done += part;
	}
	return ret ? ret : (ssize_t)t.length;
}

/* Of configuration space the parts are registers: a write of two is not one of four. */
static void write_config(struct vfio_pci *pci, uint64_t at, const uint8_t *from, size_t length)
{
	for (size_t done = 0; done < length;) {
		unsigned int size = MIN(part_size(at + done, length - done), 4u);

		vfio_config_write(pci, at + done, from + done, size);
		done += size;
	}
}

ssize_t vfio_region_write(struct vfio_pci *pci, uint64_t at, uint64_t from, size_t length)
{
	uint8_t data[AT_ONCE];
	struct transfer t;
	int ret = begin(&t, pci, at, length);

	for (size_t done = 0; !ret && done < t.length;) {
		size_t part = MIN(t.length - done, AT_ONCE - (t.at + done) % AT_ONCE);

		if (iommufd_copy_from_user(NULL, data, from + done, part))
			return -EFAULT;
		if (t.index == VFIO_PCI_CONFIG_REGION_INDEX)
			write_config(pci, t.at + done, data, part);
		else
			write_registers(pci, t.index, t.at + done, data, part);
		done += part;
	}
	return ret ? ret : (ssize_t)t.length;
}
