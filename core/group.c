/* SPDX-License-Identifier: MIT */
/*
 * Groups: which domain the devices of a group are attached to.
 *
 * A switch has two steps. The first step allocates each device's place in the new
 * domain. The second step switches the hardware, device by device, and goes back when
 * one device refuses. Going back to the default domain uses places that exist, so that
 * detaching never allocates and cannot fail.
 */
#include "core/device.h"

#include "mm/gfp.h"
#include "mm/slab.h"
#include "mm/warn.h"

#define for_each_device(dev, group) \
	for (struct iommu_device *dev = (group)->devices; dev; dev = dev->next)

static struct iommu_domain *current_domain(struct iommu_group *group)
{
	return atomic_load_explicit(&group->domain, memory_order_acquire);
}

static struct iommu_domain *default_domain(struct iommu_group *group)
{
	return atomic_load_explicit(&group->default_domain, memory_order_acquire);
}

/* Set one of a group's two pointers to another domain. Both pointers count as users. */
static void point_to(_Atomic(struct iommu_domain *) *place, struct iommu_domain *domain)
{
	struct iommu_domain *old = atomic_load_explicit(place, memory_order_relaxed);

	iommu_domain_use(domain);
	atomic_store_explicit(place, domain, memory_order_release);
	iommu_domain_unuse(old);
}

struct iommu_group *iommu_group_alloc(gfp_t gfp)
{
	static atomic_int next_id;
	struct iommu_group *group;

	might_sleep_if(mm_thread_self(), gfpflags_allow_blocking(gfp));
	if (gfp_refused(gfp))
		return ERR_PTR(-EINVAL);
	group = kzalloc(sizeof(*group), gfp, NULL);
	if (!group)
		return ERR_PTR(-ENOMEM);
	mm_mutex_init(&group->lock);
	group->id = atomic_fetch_add(&next_id, 1);
	atomic_store(&group->refs, 1);
	return group;
}

struct iommu_group *iommu_group_get(struct iommu_device *dev)
{
	atomic_fetch_add(&dev->group->refs, 1);
	return dev->group;
}

void iommu_group_put(struct iommu_group *group)
{
	if (!group || atomic_fetch_sub(&group->refs, 1) != 1)
		return;
	point_to(&group->domain, NULL);
	point_to(&group->default_domain, NULL);
	kfree(group);
}

int iommu_group_id(const struct iommu_group *group)
{
	return group->id;
}

int iommu_group_for_each_dev(struct iommu_group *group, void *data,
			     int (*fn)(struct iommu_device *dev, void *data))
{
	int ret = 0;

	might_sleep_if(mm_thread_self(), true);
	if (!mm_mutex_lock(&group->lock))
		return -EDEADLK;
	for_each_device(dev, group)
	{
		ret = fn(dev, data);
		if (ret)
			break;
	}
	mm_mutex_unlock(&group->lock);
	return ret;
}

struct iommu_domain *iommu_get_dma_domain(struct iommu_device *dev)
{
	return default_domain(dev->group);
}

struct iommu_domain *iommu_get_domain_for_dev(struct iommu_device *dev)
{
	return current_domain(dev->group);
}

/* First step: allocate a place for each device, in ->coming. */
static void drop_coming(struct iommu_group *group)
{
	for_each_device(dev, group)
	{
		kfree(dev->coming);
		dev->coming = NULL;
	}
}

static int prepare_coming(struct iommu_group *group, struct iommu_domain *domain)
{
	for_each_device(dev, group)
	{
		dev->coming = iommu_attach_new(dev, domain);
		if (!dev->coming) {
			drop_coming(group);
			return -ENOMEM;
		}
	}
	return 0;
}

/* Second step: switch the hardware, for all devices or for none. */
static int switch_devices(struct iommu_group *group, struct iommu_domain *domain)
{
	struct iommu_domain *old = current_domain(group);
	struct iommu_device *failed = NULL;
	int ret = 0;

	for_each_device(dev, group)
	{
		ret = iommu_device_switch(dev, domain, old);
		if (ret) {
			failed = dev;
			break;
		}
	}
	if (!failed)
		return 0;
	for_each_device(dev, group)
	{
		if (dev == failed)
			break;
		iommu_device_switch_back(dev, old, domain);
	}
	return ret;
}

static void leave_domain(struct iommu_device *dev)
{
	if (dev->attach != dev->default_attach)
		kfree(dev->attach);
	dev->attach = dev->default_attach;
}

/* Both steps, from any domain to one that is not the default domain. */
static int switch_group(struct iommu_group *group, struct iommu_domain *domain)
{
	int ret = prepare_coming(group, domain);

	if (ret)
		return ret;
	ret = switch_devices(group, domain);
	if (ret) {
		drop_coming(group);
		return ret;
	}
	for_each_device(dev, group)
	{
		leave_domain(dev);
		dev->attach = dev->coming;
		dev->coming = NULL;
	}
	point_to(&group->domain, domain);
	return 0;
}

static int attach_group_locked(struct iommu_domain *domain, struct iommu_group *group)
{
	struct iommu_domain *old = current_domain(group);

	if (old != default_domain(group))
		return -EBUSY;
	if (old == domain)
		return 0;
	return switch_group(group, domain);
}

static bool has_one_device(const struct iommu_group *group)
{
	return group->devices && !group->devices->next;
}

int iommu_attach_group(struct iommu_domain *domain, struct iommu_group *group)
{
	int ret;

	might_sleep_if(mm_thread_self(), true);
	if (!mm_mutex_lock(&group->lock))
		return -EDEADLK;
	ret = attach_group_locked(domain, group);
	mm_mutex_unlock(&group->lock);
	return ret;
}

int iommu_attach_device(struct iommu_domain *domain, struct iommu_device *dev)
{
	struct iommu_group *group = dev->group;
	int ret = -EINVAL;

	might_sleep_if(mm_thread_self(), true);
	if (!mm_mutex_lock(&group->lock))
		return -EDEADLK;
	if (has_one_device(group))
		ret = attach_group_locked(domain, group);
	mm_mutex_unlock(&group->lock);
	return ret;
}

int iommu_group_replace_domain(struct iommu_group *group, struct iommu_domain *domain)
{
	int ret;

	might_sleep_if(mm_thread_self(), true);
	if (!mm_mutex_lock(&group->lock))
		return -EDEADLK;
	if (!domain || domain == default_domain(group))
		ret = -EINVAL;
	else if (domain == current_domain(group))
		ret = 0;
	else
		ret = switch_group(group, domain);
	mm_mutex_unlock(&group->lock);
	return ret;
}

static void to_default_domain(struct iommu_group *group)
{
	struct iommu_domain *domain = default_domain(group), *from = current_domain(group);

	if (from == domain)
		return;
	for_each_device(dev, group)
	{
		iommu_device_switch_back(dev, domain, from);
		leave_domain(dev);
	}
	point_to(&group->domain, domain);
}

static void __cold detach_mismatch(struct iommu_group *group)
{
	static atomic_uint said;

	mm_warn_once(&said, "detach that does not match an attachment, group", NULL,
		     (uintptr_t)group->id);
}

void iommu_detach_group(struct iommu_domain *domain, struct iommu_group *group)
{
	might_sleep_if(mm_thread_self(), true);
	if (!mm_mutex_lock(&group->lock))
		return;
	if (domain == current_domain(group))
		to_default_domain(group);
	else
		detach_mismatch(group);
	mm_mutex_unlock(&group->lock);
}

void iommu_detach_device(struct iommu_domain *domain, struct iommu_device *dev)
{
	struct iommu_group *group = dev->group;

	might_sleep_if(mm_thread_self(), true);
	if (!mm_mutex_lock(&group->lock))
		return;
	if (domain == current_domain(group) && has_one_device(group))
		to_default_domain(group);
	else
		detach_mismatch(group);
	mm_mutex_unlock(&group->lock);
}

/* Make the places in ->coming (NULL without a domain) the default ones. */
static void commit_default(struct iommu_group *group, struct iommu_domain *domain)
{
	for_each_device(dev, group)
	{
		kfree(dev->default_attach);
		dev->default_attach = dev->coming;
		dev->attach = dev->coming;
		dev->coming = NULL;
	}
	point_to(&group->domain, domain);
	point_to(&group->default_domain, domain);
}

static int map_direct_regions(struct iommu_group *group, struct iommu_domain *domain,
			      struct iommu_resv_region **done)
{
	for_each_device(dev, group)
	{
		int ret = iommu_create_direct_mappings(domain, dev, done);

		if (ret)
			return ret;
	}
	return 0;
}

static int set_default_locked(struct iommu_group *group, struct iommu_domain *domain)
{
	struct iommu_resv_region *done = NULL;
	int ret;

	ret = prepare_coming(group, domain);
	if (ret)
		return ret;
	ret = map_direct_regions(group, domain, &done);
	if (!ret)
		ret = switch_devices(group, domain);
	if (ret) {
		iommu_undo_direct_mappings(domain, done);
		drop_coming(group);
		return ret;
	}
	iommu_put_resv_regions(done);
	commit_default(group, domain);
	return 0;
}

static void clear_default_locked(struct iommu_group *group)
{
	for_each_device(dev, group) dev->ops->detach_dev(current_domain(group), dev);
	commit_default(group, NULL);
}

int iommu_group_set_default_domain(struct iommu_group *group, struct iommu_domain *domain)
{
	int ret = 0;

	might_sleep_if(mm_thread_self(), true);
	if (domain && domain->type == IOMMU_DOMAIN_UNMANAGED)
		return -EINVAL;
	if (!mm_mutex_lock(&group->lock))
		return -EDEADLK;
	if (current_domain(group) != default_domain(group))
		ret = -EBUSY;
	else if (domain == default_domain(group))
		ret = 0;
	else if (domain)
		ret = set_default_locked(group, domain);
	else
		clear_default_locked(group);
	mm_mutex_unlock(&group->lock);
	return ret;
}

/* Allocate the places of a device that joins: in the default domain and in the current one. */
static int add_places(struct iommu_group *group, struct iommu_device *dev)
{
	struct iommu_domain *domain = current_domain(group), *dflt = default_domain(group);

	if (dflt) {
		dev->default_attach = iommu_attach_new(dev, dflt);
		if (!dev->default_attach)
			return -ENOMEM;
	}
	dev->attach = dev->default_attach;
	if (domain != dflt) {
		dev->attach = iommu_attach_new(dev, domain);
		if (!dev->attach)
			return -ENOMEM;
	}
	return 0;
}

static void drop_places(struct iommu_device *dev)
{
	leave_domain(dev);
	kfree(dev->default_attach);
	dev->attach = dev->default_attach = NULL;
}

static void append(struct iommu_group *group, struct iommu_device *dev)
{
	struct iommu_device **last = &group->devices;

	while (*last)
		last = &(*last)->next;
	*last = dev;
}

int iommu_group_add_device(struct iommu_group *group, struct iommu_device *dev)
{
	struct iommu_domain *domain = current_domain(group), *dflt = default_domain(group);
	struct iommu_resv_region *done = NULL;
	int ret;

	ret = add_places(group, dev);
	if (!ret)
		ret = iommu_create_direct_mappings(dflt, dev, &done);
	if (!ret && domain)
		ret = iommu_device_switch(dev, domain, NULL);
	if (ret) {
		iommu_undo_direct_mappings(dflt, done);
		drop_places(dev);
		return ret;
	}
	iommu_put_resv_regions(done);
	append(group, dev);
	return 0;
}

void iommu_group_remove_device(struct iommu_group *group, struct iommu_device *dev)
{
	struct iommu_domain *domain = current_domain(group);
	struct iommu_device **place = &group->devices;

	while (*place != dev)
		place = &(*place)->next;
	*place = dev->next;
	if (domain)
		dev->ops->detach_dev(domain, dev);
	drop_places(dev);
	if (!group->devices)
		point_to(&group->domain, default_domain(group));
}
