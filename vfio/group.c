/* SPDX-License-Identifier: MIT */
/*
 * Groups and containers. Each group has one device. A container of type1 has its
 * devices attached from VFIO_SET_IOMMU on, whether they are open or not; where an
 * iommufd takes its place they are while they are open, as in Linux.
 *
 * One lock is held over every call here; calls are few, and what is mapped goes past
 * it, since VFIO_IOMMU_MAP_DMA needs only the context.
 */
#include "vfio/group.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <uiommu/abi/vfio.h>

#include "iommufd/iommufd.h"
#include "iommufd/user.h"
#include "vfio/binding.h"
#include "vfio/cdev.h"
#include "vfio/pci.h"

struct vfio_container {
	struct iommufd_ctx *ctx;
	_Atomic(uint32_t) type; /* of VFIO_SET_IOMMU, or 0 */
	struct vfio_group *groups;
};

struct vfio_group {
	struct vfio_pci *pci;
	const struct vfio_host *host;
	struct vfio_binding binding;
	struct iommufd_ctx *ctx; /* of the container or iommufd, or NULL */
	void *hold;
	struct vfio_container *container; /* or NULL: an iommufd, or nothing */
	struct vfio_group *next;          /* in the container */
	bool device_open;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool group_is_open[VFIO_CDEV_MAX]; /* by the device's index */

/* ---- a group's device behind the IOMMU ---- */

static int attach(struct vfio_group *group)
{
	uint32_t id, pt;
	int ret;

	if (!vfio_binding_claim(&group->binding))
		return -EBUSY;
	ret = vfio_binding_bind(&group->binding, group->ctx, &id);
	if (!ret) {
		pt = iommufd_vfio_compat_ioas(group->ctx);
		ret = vfio_binding_attach(&group->binding, &pt);
		if (ret)
			vfio_binding_unbind(&group->binding);
	}
	if (ret)
		vfio_binding_disclaim(&group->binding);
	return ret;
}

static void detach(struct vfio_group *group)
{
	if (!group->binding.ctx)
		return;
	vfio_binding_unbind(&group->binding);
	vfio_binding_disclaim(&group->binding);
}

/* ---- the container ---- */

struct vfio_container *vfio_container_create(struct iommufd_ctx *ctx)
{
	struct vfio_container *container = kzalloc(sizeof(*container), GFP_KERNEL, NULL);

	if (!container)
		return ERR_PTR(-ENOMEM);
	container->ctx = ctx;
	return container;
}

void vfio_container_destroy(struct vfio_container *container)
{
	kfree(container);
}

static int check_extension(struct vfio_container *container, uint64_t extension)
{
	int ret;

	switch (extension) {
	case VFIO_TYPE1_IOMMU:
	case VFIO_TYPE1v2_IOMMU:
	case VFIO_UNMAP_ALL:
		return 1;
	case VFIO_DMA_CC_IOMMU:
		ret = iommufd_ioctl(container->ctx, VFIO_CHECK_EXTENSION,
				    (void *)(uintptr_t)extension);
		return ret > 0;
	default:
		return 0;
	}
}

/* Its groups join the address space, or none of them. */
static int attach_all(struct vfio_container *container)
{
	int ret = 0;

	for (struct vfio_group *group = container->groups; group && !ret; group = group->next)
		ret = attach(group);
	if (ret)
		for (struct vfio_group *group = container->groups; group; group = group->next)
			detach(group);
	return ret;
}

static int set_iommu(struct vfio_container *container, uint64_t type)
{
	int ret;

	if (!container->groups || container->type)
		return -EINVAL;
	if (check_extension(container, type) <= 0)
		return -ENODEV;
	if (type != VFIO_TYPE1_IOMMU && type != VFIO_TYPE1v2_IOMMU)
		return -EINVAL;
	ret = iommufd_vfio_compat_create(container->ctx);
	if (ret)
		return ret;
	ret = attach_all(container);
	if (!ret)
		ret = iommufd_ioctl(container->ctx, VFIO_SET_IOMMU, (void *)(uintptr_t)type);
	if (ret) {
		for (struct vfio_group *group = container->groups; group; group = group->next)
			detach(group);
		iommufd_vfio_compat_destroy(container->ctx);
		return ret;
	}
	container->type = (uint32_t)type;
	return 0;
}

int vfio_container_ioctl(struct vfio_container *container, unsigned int cmd, uint64_t arg)
{
	int ret;

	switch (cmd) {
	case VFIO_GET_API_VERSION:
		return VFIO_API_VERSION;
	case VFIO_CHECK_EXTENSION:
		return check_extension(container, arg);
	case VFIO_SET_IOMMU:
		pthread_mutex_lock(&lock);
		ret = set_iommu(container, arg);
		pthread_mutex_unlock(&lock);
		return ret;
	case VFIO_IOMMU_GET_INFO:
	case VFIO_IOMMU_MAP_DMA:
	case VFIO_IOMMU_UNMAP_DMA:
		/* What is unset meanwhile has no address space, and says so. */
		if (!container->type)
			return -EINVAL;
		return iommufd_ioctl(container->ctx, cmd, (void *)(uintptr_t)arg);
	default:
		return container->type ? -ENOTTY : -EINVAL;
	}
}

/* ---- groups ---- */

static struct vfio_group *open_group(struct vfio_pci *pci, const struct vfio_host *host)
{
	struct vfio_group *group;

	if (group_is_open[pci->index])
		return ERR_PTR(-EBUSY);
	group = kzalloc(sizeof(*group), GFP_KERNEL, NULL);
	if (!group)
		return ERR_PTR(-ENOMEM);
	group->pci = pci;
	group->host = host;
	group->binding.index = pci->index;
	group->binding.pci = pci;
	/* While a file of its own has the device, the group cannot be opened. */
	if (!vfio_binding_claim(&group->binding)) {
		kfree(group);
		return ERR_PTR(-EBUSY);
	}
	vfio_binding_disclaim(&group->binding);
	group_is_open[pci->index] = true;
	return group;
}

struct vfio_group *vfio_group_open(unsigned int number, const struct vfio_host *host)
{
	struct vfio_pci *pci = vfio_pci_by_group(number);
	struct vfio_group *group = ERR_PTR(-ENOENT);

	pthread_mutex_lock(&lock);
	if (pci && atomic_load(&pci->bound))
		group = open_group(pci, host);
	pthread_mutex_unlock(&lock);
	return group;
}

unsigned int vfio_group_number(const struct vfio_group *group)
{
	return group->pci->group;
}

void *vfio_group_hold(struct vfio_group *group)
{
	void *hold;

	pthread_mutex_lock(&lock);
	hold = group->ctx ? group->hold : NULL;
	pthread_mutex_unlock(&lock);
	return hold;
}

/* With the last group its mappings go. Returns what is to be put. */
static void *leave(struct vfio_group *group)
{
	struct vfio_container *container = group->container;
	struct vfio_group **at;

	detach(group);
	group->ctx = NULL;
	if (!container)
		return group->hold;
	at = &container->groups;
	while (*at != group)
		at = &(*at)->next;
	*at = group->next;
	group->container = NULL;
	if (!container->groups && container->type) {
		iommufd_vfio_compat_destroy(container->ctx);
		container->type = 0;
	}
	return group->hold;
}

void vfio_group_release(struct vfio_group *group)
{
	void *hold = NULL;

	pthread_mutex_lock(&lock);
	if (group->ctx)
		hold = leave(group);
	group_is_open[group->pci->index] = false;
	pthread_mutex_unlock(&lock);
	if (hold)
		group->host->put(hold);
	kfree(group);
}

static int get_status(const struct vfio_group *group, uint64_t arg)
{
	struct vfio_group_status status;
	int ret = vfio_copy_in(&status, arg, sizeof(status));

	if (ret)
		return ret;
	status.flags = VFIO_GROUP_FLAGS_VIABLE;
	if (group->ctx)
		status.flags |= VFIO_GROUP_FLAGS_CONTAINER_SET;
	return iommufd_copy_to_user(NULL, arg, &status, sizeof(status));
}

static int join(struct vfio_group *group, struct iommufd_ctx *ctx, struct vfio_container *container)
{
	int ret = 0;

	group->ctx = ctx;
	if (!container)
		ret = iommufd_vfio_compat_create(ctx);
	else if (container->type)
		ret = attach(group);
	if (ret) {
		group->ctx = NULL;
		return ret;
	}
	if (!container)
		return 0;
	group->container = container;
	group->next = container->groups;
	container->groups = group;
	return 0;
}

static int set_container(struct vfio_group *group, uint64_t arg)
{
	struct vfio_container *container = NULL;
	struct iommufd_ctx *ctx;
	void *hold;
	int32_t fd;
	int ret;

	if (iommufd_copy_from_user(NULL, &fd, arg, sizeof(fd)))
		return -EFAULT;
	if (fd < 0 || group->ctx)
		return -EINVAL;
	ctx = group->host->get(fd, &hold, &container);
	if (!ctx)
		return -EBADFD;
	ret = join(group, ctx, container);
	if (ret)
		group->host->put(hold);
	else
		group->hold = hold;
	return ret;
}

/* The container to put, after the lock, in *@hold. */
static int unset_container(struct vfio_group *group, void **hold)
{
	if (!group->ctx)
		return -EINVAL;
	if (group->device_open)
		return -EBUSY;
	*hold = leave(group);
	return 0;
}

int vfio_group_ioctl(struct vfio_group *group, unsigned int cmd, uint64_t arg)
{
	void *hold = NULL;
	int ret = -ENOTTY;

	pthread_mutex_lock(&lock);
	if (cmd == VFIO_GROUP_GET_STATUS)
		ret = get_status(group, arg);
	else if (cmd == VFIO_GROUP_SET_CONTAINER)
		ret = set_container(group, arg);
	else if (cmd == VFIO_GROUP_UNSET_CONTAINER)
		ret = unset_container(group, &hold);
	pthread_mutex_unlock(&lock);
	if (hold)
		group->host->put(hold);
	return ret;
}

/* ---- the device ---- */

#define NAME_MAX_LENGTH 64

/* A text of the caller's, up to where its page ends. */
static int copy_name(char name[NAME_MAX_LENGTH], uint64_t arg)
{
	for (size_t i = 0; i < NAME_MAX_LENGTH; i++) {
		if (iommufd_copy_from_user(NULL, &name[i], arg + i, 1))
			return -EFAULT;
		if (!name[i])
			return 0;
	}
	return -ENODEV; /* none has so long a name */
}

static struct vfio_cdev *open_device(struct vfio_group *group)
{
	struct vfio_cdev *cdev;
	int ret = 0;

	if (!group->ctx || (group->container && !group->container->type))
		return ERR_PTR(-EINVAL);
	if (group->device_open)
		return ERR_PTR(-EBUSY);
	if (!group->container)
		ret = attach(group);
	if (ret)
		return ERR_PTR(ret);
	cdev = vfio_cdev_open_of_group(group->pci, group->host, group->hold);
	if (!IS_ERR(cdev))
		group->device_open = true;
	else if (!group->container)
		detach(group);
	return cdev;
}

struct vfio_cdev *vfio_group_open_device(struct vfio_group *group, uint64_t arg)
{
	struct vfio_cdev *cdev;
	char name[NAME_MAX_LENGTH];
	int ret = copy_name(name, arg);

	/* Behind the name stand options, of which there are none here. */
	if (!ret && strcmp(name, group->pci->name) != 0)
		ret = -ENODEV;
	if (ret)
		return ERR_PTR(ret);
	pthread_mutex_lock(&lock);
	cdev = open_device(group);
	pthread_mutex_unlock(&lock);
	return cdev;
}

void vfio_group_device_closed(struct vfio_group *group)
{
	pthread_mutex_lock(&lock);
	group->device_open = false;
	if (!group->container)
		detach(group);
	pthread_mutex_unlock(&lock);
}
