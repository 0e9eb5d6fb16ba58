/* SPDX-License-Identifier: MIT */
/*
 * Devices, the groups in which they can be isolated, what they are attached to,
 * and the addresses that are reserved for them.
 *
 * A group is the smallest set of devices that an IOMMU can tell apart from the
 * rest, so all devices of a group are attached to one domain. A group may have
 * a default domain: its devices are attached to that as long as the group is
 * not attached to another one.
 */
#ifndef UIOMMU_DEVICE_H
#define UIOMMU_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uiommu/gfp.h>
#include <uiommu/iommu.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct iommu_device;
struct iommu_group;

/**
 * enum iommu_resv_type - Why addresses are reserved for a device.
 * @IOMMU_RESV_DIRECT: memory that the device uses by its physical address at
 *                     all times, so it must be mapped 1:1
 * @IOMMU_RESV_DIRECT_RELAXABLE: the same, until a driver has taken the device
 *                               over
 * @IOMMU_RESV_RESERVED: accesses there do not reach the IOMMU
 * @IOMMU_RESV_MSI: the hardware's window for message signalled interrupts
 * @IOMMU_RESV_SW_MSI: addresses that software may put such a window at
 */
enum iommu_resv_type {
	IOMMU_RESV_DIRECT,
	IOMMU_RESV_DIRECT_RELAXABLE,
	IOMMU_RESV_RESERVED,
	IOMMU_RESV_MSI,
	IOMMU_RESV_SW_MSI,
};

/**
 * struct iommu_resv_region - One range of reserved addresses.
 * @next: in a list
 * @start: first address
 * @length: bytes, not 0; the range does not wrap
 * @prot: for the direct types, what the device may do: IOMMU_* flags
 * @type: why it is reserved
 */
struct iommu_resv_region {
	struct iommu_resv_region *next;
	phys_addr_t start;
	uint64_t length;
	int prot;
	enum iommu_resv_type type;
};

/**
 * struct iommu_device_ops - How the hardware behind a device is driven.
 * @attach_dev: make the hardware use @domain for @dev in place of @old, which
 *              is NULL when it used none. Returns 0, or a negative errno with
 *              the hardware as it was. Must succeed for a domain that the
 *              device was attached to before, and for the group's default
 *              domain; the latter matters at detach, which cannot fail.
 * @detach_dev: make the hardware refuse @dev's accesses, which went through
 *              @domain until now. Called when no other domain takes its place.
 * @get_resv_regions: put the device's reserved regions, each allocated with
 *                    iommu_alloc_resv_region(), into @list, in any order.
 *                    Returns 0, or a negative errno; what it has put in @list
 *                    is freed by the caller either way. NULL for none.
 *
 * All are called with the group locked, from the thread that called the
 * library: they may block, and must not call functions of this header that may
 * block on a device of the same group. Those return -EDEADLK then, or do nothing where
 * they return nothing, which is reported once; in a shrinker for any group.
 */
struct iommu_device_ops {
	int (*attach_dev)(struct iommu_domain *domain, struct iommu_device *dev,
			  struct iommu_domain *old);
	void (*detach_dev)(struct iommu_domain *domain, struct iommu_device *dev);
	int (*get_resv_regions)(struct iommu_device *dev, struct iommu_resv_region **list);
};

/**
 * iommu_device_register() - Let the IOMMU handle a device.
 * @name: what to call it in messages, 1 to 255 bytes; copied
 * @ops: how its hardware is driven; must outlive the device
 * @priv: what dev_iommu_priv_get() returns
 * @group: the group that it cannot be isolated from; NULL for a new one
 * @gfp: allocation context of the device and of the new group
 *
 * The device is attached to the domain that the group is attached to. Its
 * direct regions are mapped in a default domain of type IOMMU_DOMAIN_DMA; such
 * mappings stay when the device goes.
 *
 * Context: May block, whatever @gfp.
 * Return: the device; or as ERR_PTR(): -EINVAL for an empty or long name, ops
 * without attach_dev or detach_dev, a @gfp that iommu_map() would refuse, or a
 * device with a direct region in a group that is attached to a blocked domain;
 * -ENOMEM when memory or the budget of the active cgroup or of a domain's
 * owner is short; an error of iommu_map() for a direct region; an error of
 * attach_dev() or get_resv_regions().
 */
struct iommu_device *iommu_device_register(const char *name, const struct iommu_device_ops *ops,
					   void *priv, struct iommu_group *group, gfp_t gfp);

/**
 * iommu_device_unregister() - End the IOMMU's handling of a device.
 * @dev: the device, or NULL
 *
 * Detaches it. The group goes with its last device and its last reference.
 * Cannot fail. When a group's last device goes, the group is attached to its
 * default domain again.
 *
 * Context: May block. No other call on @dev may be under way.
 */
void iommu_device_unregister(struct iommu_device *dev);

/**
 * iommu_device_name() - Tell a device's name.
 * @dev: the device
 *
 * Context: Any.
 * Return: the name, which lives as long as the device.
 */
const char *iommu_device_name(const struct iommu_device *dev);

/**
 * dev_iommu_priv_get() - Tell what its driver attached to a device.
 * @dev: the device
 *
 * Context: Any.
 * Return: @priv of iommu_device_register().
 */
void *dev_iommu_priv_get(const struct iommu_device *dev);

/**
 * iommu_group_alloc() - Make a group without devices.
 * @gfp: allocation context of the group
 *
 * Context: May block if @gfp does.
 * Return: the group, with one reference that iommu_group_put() drops; or as
 * ERR_PTR(): -EINVAL for a @gfp that iommu_map() would refuse; -ENOMEM when
 * memory or the budget is short.
 */
struct iommu_group *iommu_group_alloc(gfp_t gfp);

/**
 * iommu_group_get() - Take a reference to a device's group.
 * @dev: the device
 *
 * Context: Any.
 * Return: the group; iommu_group_put() drops the reference.
 */
struct iommu_group *iommu_group_get(struct iommu_device *dev);

/**
 * iommu_group_put() - Drop a reference to a group.
 * @group: the group, or NULL
 *
 * The group goes with the last one. Its devices hold one each.
 *
 * Context: Any.
 */
void iommu_group_put(struct iommu_group *group);

/**
 * iommu_group_id() - Tell a group's number.
 * @group: the group
 *
 * Context: Any.
 * Return: a number from 0 on that no other group of this process has had.
 */
int iommu_group_id(const struct iommu_group *group);

/**
 * iommu_group_for_each_dev() - Call a function for each device of a group.
 * @group: the group
 * @data: handed to @fn
 * @fn: the function; ends the walk by returning other than 0
 *
 * Context: May block. @fn is called with the group locked: it must not call
 * functions of this header that may block on the same group.
 * Return: what @fn returned last; 0 for a group without devices.
 */
int iommu_group_for_each_dev(struct iommu_group *group, void *data,
			     int (*fn)(struct iommu_device *dev, void *data));

/**
 * iommu_group_set_default_domain() - Choose a group's default domain.
 * @group: the group
 * @domain: a domain of any type but IOMMU_DOMAIN_UNMANAGED, which stays its
 *          creator's to free once the group has gone or has another one; NULL
 *          for none: then devices that are not attached are refused every access
 *
 * All devices are attached to @domain before the function returns. For a domain
 * of type IOMMU_DOMAIN_DMA their direct regions are mapped 1:1 before that,
 * where @domain does not map them yet, runs of adjoining pages as one. All or
 * nothing: when it fails, the old default domain is in place and no direct
 * region has been mapped.
 *
 * Context: May block.
 * Return: 0, also when @domain is the default domain already; -EINVAL for an
 * unmanaged domain, and for a blocked one when a device has a direct region;
 * -EBUSY when the group is attached to another domain than its default domain;
 * -ENOMEM when memory or the budget of @domain's owner is short; an error of
 * iommu_map() for a direct region; an error of attach_dev() or
 * get_resv_regions().
 */
int iommu_group_set_default_domain(struct iommu_group *group, struct iommu_domain *domain);

/**
 * iommu_get_dma_domain() - Tell the default domain of a device's group.
 * @dev: the device
 *
 * Context: Any.
 * Return: the domain, or NULL when there is none.
 */
struct iommu_domain *iommu_get_dma_domain(struct iommu_device *dev);

/**
 * iommu_get_domain_for_dev() - Tell what domain a device is attached to.
 * @dev: the device
 *
 * Context: Any.
 * Return: the domain, or NULL when there is none.
 */
struct iommu_domain *iommu_get_domain_for_dev(struct iommu_device *dev);

/**
 * iommu_attach_device() - Attach a device to a domain.
 * @domain: the domain
 * @dev: the device, the only one of its group
 *
 * What this allocates is charged to the domain's owner.
 *
 * Context: May block.
 * Return: 0; -EINVAL when the group has several devices, or when the domain is
 * a blocked one and the device has a direct region; -EBUSY when the device is
 * attached to another domain than the group's default domain, also when that
 * is @domain; -ENOMEM when memory or the budget of the owner is short; an
 * error of attach_dev().
 */
int iommu_attach_device(struct iommu_domain *domain, struct iommu_device *dev);

/**
 * iommu_detach_device() - End what iommu_attach_device() began.
 * @domain: the domain that the device is attached to
 * @dev: the device
 *
 * The device is attached to its group's default domain again. Cannot fail and
 * does not allocate. A call that does not match the attachment is reported once
 * and changes nothing.
 *
 * Context: May block.
 */
void iommu_detach_device(struct iommu_domain *domain, struct iommu_device *dev);

/**
 * iommu_attach_group() - Attach all devices of a group to a domain.
 * @domain: the domain
 * @group: the group
 *
 * What this allocates is charged to the domain's owner. When one device cannot
 * be attached, those before it are attached to their old domain again.
 *
 * Context: May block.
 * Return: 0; -EINVAL when the domain is a blocked one and a device has a direct
 * region; -EBUSY when the group is attached to another domain than its default
 * domain, also when that is @domain; -ENOMEM when memory or the budget of the
 * owner is short; an error of attach_dev().
 */
int iommu_attach_group(struct iommu_domain *domain, struct iommu_group *group);

/**
 * iommu_detach_group() - End what iommu_attach_group() began.
 * @domain: the domain that the group is attached to
 * @group: the group
 *
 * The devices are attached to the default domain again. Cannot fail and does
 * not allocate. A call that does not match the attachment is reported once and
 * changes nothing.
 *
 * Context: May block.
 */
void iommu_detach_group(struct iommu_domain *domain, struct iommu_group *group);

/**
 * iommu_group_replace_domain() - Attach a group to another domain.
 * @group: the group, attached to any domain
 * @domain: the domain, not NULL
 *
 * The devices go from the one domain straight to the other, without passing
 * through the default domain. What this allocates is charged to the domain's
 * owner. All or nothing: when it fails, the group is attached to what it was.
 *
 * Context: May block.
 * Return: 0, also when the group is attached to @domain already; -EINVAL when
 * @domain is NULL or the group's default domain, for which
 * iommu_detach_group() is, or a blocked one and a device has a direct region;
 * -ENOMEM when memory or the budget of the owner is short; an error of
 * attach_dev().
 */
int iommu_group_replace_domain(struct iommu_group *group, struct iommu_domain *domain);

/**
 * iommu_alloc_resv_region() - Make the description of a reserved region.
 * @start: first address
 * @length: bytes
 * @prot: IOMMU_* flags
 * @type: why it is reserved
 * @gfp: allocation context
 *
 * Context: May block if @gfp does.
 * Return: the region, in no list; iommu_put_resv_regions() frees it. NULL when
 * memory or the budget is short, or for a range that is empty or wraps.
 */
struct iommu_resv_region *iommu_alloc_resv_region(phys_addr_t start, uint64_t length, int prot,
						  enum iommu_resv_type type, gfp_t gfp);

/**
 * iommu_get_resv_regions() - List the addresses that are reserved for a device.
 * @dev: the device
 * @list: where the first region goes, NULL when there is none
 *
 * In the order of their addresses, then of their types. Regions of one type
 * that overlap or adjoin are one region, which has the rights of all of them.
 *
 * Context: May block.
 * Return: 0; an error of get_resv_regions(), with nothing in @list.
 */
int iommu_get_resv_regions(struct iommu_device *dev, struct iommu_resv_region **list);

/**
 * iommu_get_group_resv_regions() - List what is reserved for a group.
 * @group: the group
 * @list: where the first region goes, NULL when there is none
 *
 * As iommu_get_resv_regions(), for all of the group's devices together.
 *
 * Context: May block.
 * Return: 0; an error of get_resv_regions(), with nothing in @list.
 */
int iommu_get_group_resv_regions(struct iommu_group *group, struct iommu_resv_region **list);

/**
 * iommu_put_resv_regions() - Free a list of reserved regions.
 * @list: its first region, or NULL
 *
 * Context: Any.
 */
void iommu_put_resv_regions(struct iommu_resv_region *list);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
