/* SPDX-License-Identifier: MIT */
/*
 * Devices: how they are registered and removed, and how the hardware behind one device
 * is switched from one domain to another. group.c decides which domain that is.
 */
#include "core/device.h"

#include "mm/gfp.h"
#include "mm/slab.h"
#include "mm/warn.h"

#define NAME_MAX_BYTES 255

static size_t name_length(const char *name)
{
	size_t length = 0;

	while (length <= NAME_MAX_BYTES && name[length])
		length++;
	return length;
}

static struct iommu_device *device_new(const char *name, const struct iommu_device_ops *ops,
				       void *priv, gfp_t gfp)
{
	size_t length = name_length(name);
	struct iommu_device *dev = kzalloc(sizeof(*dev) + length + 1, gfp, NULL);

	if (!dev)
		return NULL;
	dev->ops = ops;
	dev->priv = priv;
	/* The defaults of a device that has set nothing, as in the kernel. */
	dev->dma.mask = dev->dma.coherent_mask = dev->dma.seg_boundary = UINT32_MAX;
	dev->dma.max_seg_size = 65536;
	for (size_t i = 0; i < length; i++)
		dev->name[i] = name[i];
	return dev;
}

static struct iommu_group *group_for_new_device(struct iommu_group *group, gfp_t gfp)
{
	if (!group)
		return iommu_group_alloc(gfp);
	atomic_fetch_add(&group->refs, 1);
	return group;
}

static bool name_is_good(const char *name)
{
	size_t length = name ? name_length(name) : 0;

	return length && length <= NAME_MAX_BYTES;
}

struct iommu_device *iommu_device_register(const char *name, const struct iommu_device_ops *ops,
					   void *priv, struct iommu_group *group, gfp_t gfp)
{
	struct iommu_device *dev;
	int ret;

	might_sleep_if(mm_thread_self(), true);
	if (gfp_refused(gfp) || !name_is_good(name) || !ops->attach_dev || !ops->detach_dev)
		return ERR_PTR(-EINVAL);
	dev = device_new(name, ops, priv, gfp);
	if (!dev)
		return ERR_PTR(-ENOMEM);
	group = group_for_new_device(group, gfp);
	if (IS_ERR(group)) {
		ret = (int)PTR_ERR(group);
		goto free_device;
	}
	dev->group = group;
	ret = -EDEADLK;
	if (!mm_mutex_lock(&group->lock))
		goto put_group;
	ret = iommu_group_add_device(group, dev);
	mm_mutex_unlock(&group->lock);
	if (ret)
		goto put_group;
	return dev;

put_group:
	iommu_group_put(group);
free_device:
	kfree(dev);
	return ERR_PTR(ret);
}

void iommu_device_unregister(struct iommu_device *dev)
{
	if (!dev)
		return;
	might_sleep_if(mm_thread_self(), true);
	if (!mm_mutex_lock(&dev->group->lock))
		return;
	iommu_group_remove_device(dev->group, dev);
	mm_mutex_unlock(&dev->group->lock);
	iommu_group_put(dev->group);
	kfree(dev);
}

const char *iommu_device_name(const struct iommu_device *dev)
{
	return dev->name;
}

void *dev_iommu_priv_get(const struct iommu_device *dev)
{
	return dev->priv;
}

struct iommu_attach *iommu_attach_new(struct iommu_device *dev, struct iommu_domain *domain)
{
	struct iommu_attach *attach = kzalloc(sizeof(*attach), GFP_KERNEL, domain->pt.owner);

	if (!attach)
		return NULL;
	attach->dev = dev;
	attach->domain = domain;
	return attach;
}

int iommu_device_switch(struct iommu_device *dev, struct iommu_domain *domain,
			struct iommu_domain *old)
{
	/* DMA that the firmware has started would fault from then on. */
	if (domain->type == IOMMU_DOMAIN_BLOCKED && dev->require_direct)
		return -EINVAL;
	return dev->ops->attach_dev(domain, dev, old);
}

void iommu_device_switch_back(struct iommu_device *dev, struct iommu_domain *domain,
			      struct iommu_domain *from)
{
	static atomic_uint said;
	int ret;

	if (!domain) {
		dev->ops->detach_dev(from, dev);
		return;
	}
	ret = dev->ops->attach_dev(domain, dev, from);
	if (!ret)
		return;
	/* Rather no access at all than the access that was to end. */
	dev->ops->detach_dev(from, dev);
	mm_warn_once(&said, "attach_dev() failed to go back to a domain, errno, device", dev->name,
		     (uintptr_t)-ret);
}
