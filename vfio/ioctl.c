/* SPDX-License-Identifier: MIT */
/*
 * Ioctls of a PCI device's file, however it was opened.
 */
#include <errno.h>

#include "iommufd/iommufd.h"
#include "vfio/pci.h"

#define END_OF(type, member) (offsetof(type, member) + sizeof(((type *)NULL)->member))

int vfio_copy_in(void *to, uint64_t arg, size_t least)
{
	uint32_t argsz;
	int ret = iommufd_copy_from_user(NULL, to, arg, least);

	if (ret)
		return ret;
	argsz = *(uint32_t *)to;
	return argsz < least ? -EINVAL : 0;
}

static int get_info(uint64_t arg)
{
	const size_t least = END_OF(struct vfio_device_info, num_irqs);
	const size_t with_caps = END_OF(struct vfio_device_info, cap_offset);
	struct vfio_device_info info = {0};
	int ret = vfio_copy_in(&info, arg, least);

	if (ret)
		return ret;
	info.flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
	info.num_regions = VFIO_PCI_NUM_REGIONS;
	info.num_irqs = VFIO_PCI_NUM_IRQS;
	return iommufd_copy_to_user(NULL, arg, &info, info.argsz < with_caps ? least : with_caps);
}

/* Devices on the root bus have no bridge that could reset it. */
static int get_hot_reset_info(const struct vfio_pci *pci, uint64_t arg)
{
	struct vfio_pci_hot_reset_info info;
	int ret = vfio_copy_in(&info, arg, sizeof(info));

	return ret ? ret : -ENODEV;
}

static int hot_reset(const struct vfio_pci *pci, uint64_t arg)
{
	struct vfio_pci_hot_reset reset;
	int ret = vfio_copy_in(&reset, arg, sizeof(reset));

	if (ret)
		return ret;
	return reset.flags ? -EINVAL : -ENODEV;
}

static int feature(uint64_t arg)
{
	struct vfio_device_feature feature;
	uint32_t what;
	int ret = vfio_copy_in(&feature, arg, sizeof(feature));

	if (ret)
		return ret;
	what = feature.flags & ~VFIO_DEVICE_FEATURE_MASK;
	if (what & ~(uint32_t)(VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET |
			       VFIO_DEVICE_FEATURE_PROBE))
		return -EINVAL;
	if (!(what & VFIO_DEVICE_FEATURE_PROBE) && (what & VFIO_DEVICE_FEATURE_GET) &&
	    (what & VFIO_DEVICE_FEATURE_SET))
		return -EINVAL;
	return -ENOTTY;
}

int vfio_pci_ioctl(struct vfio_pci *pci, unsigned int cmd, uint64_t arg)
{
	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return get_info(arg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return vfio_region_info(pci, arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return vfio_irq_info(pci, arg);
	case VFIO_DEVICE_SET_IRQS:
		return vfio_set_irqs(pci, arg);
	case VFIO_DEVICE_RESET:
		vfio_pci_reset(pci);
		return 0;
	case VFIO_DEVICE_GET_PCI_HOT_RESET_INFO:
		return get_hot_reset_info(pci, arg);
	case VFIO_DEVICE_PCI_HOT_RESET:
		return hot_reset(pci, arg);
	case VFIO_DEVICE_FEATURE:
		return feature(arg);
	default:
		return -ENOTTY;
	}
}
