/* SPDX-License-Identifier: MIT */
/*
 * Interrupts: what the device signals is written to eventfds of the program's, of
 * which the supervisor has copies. One thread waits for the eventfds by which programs
 * unmask the interrupt pin.
 *
 * A call that changes interrupts holds irqs.lock, which the device's signals take too:
 * so after it returns no signal goes to what was there before.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "iommufd/iommufd.h"
#include "iommufd/user.h"
#include "plat/compiler.h"
#include "vfio/pci.h"

#define DATA_TYPES (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_DATA_EVENTFD)
#define ACTIONS \
	(VFIO_IRQ_SET_ACTION_MASK | VFIO_IRQ_SET_ACTION_UNMASK | VFIO_IRQ_SET_ACTION_TRIGGER)

/* ---- eventfds ---- */

static void signal_eventfd(int fd)
{
	const uint64_t one = 1;

	/* One that is full stays signalled. */
	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return;
}

/* A copy of the program's, or a negative errno. */
static int take_eventfd(int32_t number)
{
	static const char name[] = "anon_inode:[eventfd]";
	char path[32], link[sizeof(name)];
	int fd = iommufd_caller->descriptor(iommufd_caller, number);
	ssize_t length;

	if (fd < 0)
		return -EBADF;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	length = readlink(path, link, sizeof(link));
	if (length == sizeof(name) - 1 && !memcmp(link, name, sizeof(name) - 1))
		return fd;
	close(fd);
	return -EINVAL;
}

static void put_eventfd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* ---- the interrupt pin ---- */

static bool is_pin(const struct vfio_irqs *irqs)
{
	return irqs->type == VFIO_PCI_INTX_IRQ_INDEX;
}

/* It is level-triggered: signalled once, and then masked until the program says so. */
static void deliver_pin(struct vfio_irqs *irqs)
{
	if (!is_pin(irqs) || !irqs->asserted || irqs->masked || irqs->disabled)
		return;
	irqs->masked = true;
	signal_eventfd(irqs->triggers[0]);
}

static void unmask_pin(struct vfio_irqs *irqs)
{
	irqs->masked = false;
	deliver_pin(irqs);
}

void vfio_irqs_set_pin(struct vfio_pci *pci, bool asserted)
{
	pthread_mutex_lock(&pci->irqs.lock);
	pci->irqs.asserted = asserted;
	deliver_pin(&pci->irqs);
	pthread_mutex_unlock(&pci->irqs.lock);
}

void vfio_irqs_disable_pin(struct vfio_pci *pci, bool disabled)
{
	struct vfio_irqs *irqs = &pci->irqs;

	pthread_mutex_lock(&irqs->lock);
	if (disabled && !irqs->disabled)
		irqs->masked = true;
	if (!disabled && irqs->disabled) {
		irqs->disabled = false;
		unmask_pin(irqs);
	}
	irqs->disabled = disabled;
	pthread_mutex_unlock(&irqs->lock);
}

bool vfio_irqs_pin_is_asserted(struct vfio_pci *pci)
{
	return __atomic_load_n(&pci->irqs.asserted, __ATOMIC_RELAXED);
}

/* ---- unmasking by an eventfd ---- */

static int unmask_epoll = -1;

static void *wait_for_unmask(void *arg)
{
	struct epoll_event event;

	for (;;) {
		struct vfio_pci *pci;
		uint64_t count;

		if (epoll_wait(unmask_epoll, &event, 1, -1) != 1)
			continue;
		pci = event.data.ptr;
		pthread_mutex_lock(&pci->irqs.lock);
		if (pci->irqs.unmask >= 0 &&
		    read(pci->irqs.unmask, &count, sizeof(count)) == sizeof(count))
			unmask_pin(&pci->irqs);
		pthread_mutex_unlock(&pci->irqs.lock);
	}
	return NULL;
}

static void start_unmask_thread(void)
{
	pthread_t thread;

	unmask_epoll = epoll_create1(EPOLL_CLOEXEC);
	if (unmask_epoll < 0)
		return;
	if (pthread_create(&thread, NULL, wait_for_unmask, NULL)) {
		close(unmask_epoll);
		unmask_epoll = -1;
		return;
	}
	pthread_detach(thread);
}

static void forget_unmask(struct vfio_irqs *irqs)
{
	if (irqs->unmask >= 0)
		epoll_ctl(unmask_epoll, EPOLL_CTL_DEL, irqs->unmask, NULL);
	put_eventfd(&irqs->unmask);
}

static int set_unmask(struct vfio_pci *pci, int32_t number)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = pci};
	int fd;

	if (number < 0) {
		forget_unmask(&pci->irqs);
		return 0;
	}
	fd = take_eventfd(number);
	if (fd < 0)
		return fd;
	pthread_once(&once, start_unmask_thread);
	if (pci->irqs.unmask >= 0 || unmask_epoll < 0 ||
	    epoll_ctl(unmask_epoll, EPOLL_CTL_ADD, fd, &event)) {
		close(fd);
		return pci->irqs.unmask >= 0 ? -EBUSY : -ENOMEM;
	}
	pci->irqs.unmask = fd;
	return 0;
}

/* ---- vectors ---- */

void vfio_irqs_signal(struct vfio_pci *pci, unsigned int vector)
{
	struct vfio_irqs *irqs = &pci->irqs;

	pthread_mutex_lock(&irqs->lock);
	if (!is_pin(irqs) && vector < irqs->nr)
		signal_eventfd(irqs->triggers[vector]);
	pthread_mutex_unlock(&irqs->lock);
}

static unsigned int irq_count(const struct vfio_pci *pci, unsigned int index)
{
	switch (index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		return pci->id->intx;
	case VFIO_PCI_MSI_IRQ_INDEX:
		return pci->id->msi;
	case VFIO_PCI_MSIX_IRQ_INDEX:
		return pci->id->msix;
	default:
		return 1; /* errors and requests */
	}
}

static void turn_off(struct vfio_pci *pci)
{
	struct vfio_irqs *irqs = &pci->irqs;

	forget_unmask(irqs);
	for (unsigned int i = 0; i < irqs->nr; i++)
		put_eventfd(&irqs->triggers[i]);
	free(irqs->triggers);
	irqs->triggers = NULL;
	irqs->nr = 0;
	__atomic_store_n(&irqs->type, VFIO_PCI_NUM_IRQS, __ATOMIC_RELAXED);
	vfio_config_set_msi(pci, VFIO_PCI_NUM_IRQS, 0);
}

/* Room for all vectors that the index has: more of them may be set later. */
static int turn_on(struct vfio_pci *pci, unsigned int index)
{
	struct vfio_irqs *irqs = &pci->irqs;
	unsigned int nr = irq_count(pci, index);

	if (irqs->type != VFIO_PCI_NUM_IRQS)
		return -EINVAL;
	irqs->triggers = malloc(nr * sizeof(*irqs->triggers));
	if (!irqs->triggers)
		return -ENOMEM;
	for (unsigned int i = 0; i < nr; i++)
		irqs->triggers[i] = -1;
	irqs->nr = nr;
	irqs->masked = index == VFIO_PCI_INTX_IRQ_INDEX && irqs->disabled;
	__atomic_store_n(&irqs->type, index, __ATOMIC_RELAXED);
	vfio_config_set_msi(pci, index, nr);
	return 0;
}

/* Put the program's eventfd in the place of the one there; below 0: none. */
static int set_trigger(int *trigger, int32_t number)
{
	int fd = -1;

	put_eventfd(trigger);
	if (number >= 0)
		fd = take_eventfd(number);
	if (number >= 0 && fd < 0)
		return fd;
	*trigger = fd;
	return 0;
}

/* ---- VFIO_DEVICE_SET_IRQS ---- */

struct irq_set {
	uint32_t flags, start, count;
	union {
		const uint8_t *bools;
		const int32_t *eventfds;
	};
};

static bool has(const struct irq_set *set, uint32_t flag)
{
	return set->flags & flag;
}

/* Whether interrupt @i of the set is meant, by DATA_NONE or a byte that is not 0. */
static bool is_meant(const struct irq_set *set, unsigned int i)
{
	return has(set, VFIO_IRQ_SET_DATA_NONE) || set->bools[i];
}

static int mask(struct vfio_pci *pci, const struct irq_set *set)
{
	if (!is_pin(&pci->irqs) || set->start || set->count != 1)
		return -EINVAL;
	if (has(set, VFIO_IRQ_SET_DATA_EVENTFD))
		return -ENOTTY; /* Linux has it on no device */
	if (is_meant(set, 0))
		pci->irqs.masked = true;
	return 0;
}

static int unmask(struct vfio_pci *pci, const struct irq_set *set)
{
	if (!is_pin(&pci->irqs) || set->start || set->count != 1)
		return -EINVAL;
	if (has(set, VFIO_IRQ_SET_DATA_EVENTFD))
		return set_unmask(pci, set->eventfds[0]);
	if (is_meant(set, 0) && !pci->irqs.disabled)
		unmask_pin(&pci->irqs);
	return 0;
}

static int set_pin_eventfd(struct vfio_pci *pci, int32_t number)
{
	bool was_on = is_pin(&pci->irqs);
	int ret = was_on ? 0 : turn_on(pci, VFIO_PCI_INTX_IRQ_INDEX);

	if (ret)
		return ret;
	ret = set_trigger(&pci->irqs.triggers[0], number);
	if (ret && !was_on)
		turn_off(pci);
	if (!ret)
		deliver_pin(&pci->irqs);
	return ret;
}

static int trigger_pin(struct vfio_pci *pci, const struct irq_set *set)
{
	struct vfio_irqs *irqs = &pci->irqs;

	if (is_pin(irqs) && !set->count && has(set, VFIO_IRQ_SET_DATA_NONE)) {
		turn_off(pci);
		return 0;
	}
	if ((!is_pin(irqs) && irqs->type != VFIO_PCI_NUM_IRQS) || set->start || set->count != 1)
		return -EINVAL;
	if (has(set, VFIO_IRQ_SET_DATA_EVENTFD))
		return set_pin_eventfd(pci, set->eventfds[0]);
	if (!is_pin(irqs))
		return -EINVAL;
	if (is_meant(set, 0) && !irqs->disabled)
		signal_eventfd(irqs->triggers[0]);
	return 0;
}

/* All of them, or as the kernel does none of them. */
static int set_vectors(struct vfio_pci *pci, const struct irq_set *set)
{
	int *triggers = pci->irqs.triggers + set->start;
	unsigned int i = 0;
	int ret = 0;

	for (; i < set->count && !ret; i++)
		ret = set_trigger(&triggers[i], set->eventfds[i]);
	while (ret && i-- > 0)
		put_eventfd(&triggers[i]);
	return ret;
}

static int set_message_eventfds(struct vfio_pci *pci, unsigned int index, const struct irq_set *set)
{
	bool was_on = pci->irqs.type == index;
	int ret = was_on ? 0 : turn_on(pci, index);

	if (ret)
		return ret;
	ret = set_vectors(pci, set);
	if (ret && !was_on)
		turn_off(pci);
	return ret;
}

static int trigger_messages(struct vfio_pci *pci, unsigned int index, const struct irq_set *set)
{
	struct vfio_irqs *irqs = &pci->irqs;

	if (irqs->type == index && !set->count && has(set, VFIO_IRQ_SET_DATA_NONE)) {
		turn_off(pci);
		return 0;
	}
	if (irqs->type != index && irqs->type != VFIO_PCI_NUM_IRQS)
		return -EINVAL;
	if (has(set, VFIO_IRQ_SET_DATA_EVENTFD))
		return set_message_eventfds(pci, index, set);
	if (irqs->type != index)
		return -EINVAL;
	for (unsigned int i = 0; i < set->count; i++)
		if (is_meant(set, i))
			signal_eventfd(irqs->triggers[set->start + i]);
	return 0;
}

/* Errors and requests for release: one eventfd each. */
static int trigger_single(int *fd, const struct irq_set *set)
{
	if (set->start || set->count > 1)
		return -EINVAL;
	if (has(set, VFIO_IRQ_SET_DATA_NONE)) {
		if (*fd < 0)
			return -EINVAL;
		if (set->count)
			signal_eventfd(*fd);
		else
			put_eventfd(fd);
		return 0;
	}
	if (!set->count)
		return -EINVAL;
	if (has(set, VFIO_IRQ_SET_DATA_BOOL)) {
		if (set->bools[0])
			signal_eventfd(*fd);
		return 0;
	}
	if (set->eventfds[0] >= -1) {
		int taken = set->eventfds[0] < 0 ? -1 : take_eventfd(set->eventfds[0]);

		if (taken < 0 && set->eventfds[0] >= 0)
			return taken;
		put_eventfd(fd);
		*fd = taken;
	}
	return 0;
}

static int act(struct vfio_pci *pci, unsigned int index, const struct irq_set *set)
{
	uint32_t action = set->flags & ACTIONS;

	if (index == VFIO_PCI_INTX_IRQ_INDEX && action == VFIO_IRQ_SET_ACTION_MASK)
		return mask(pci, set);
	if (index == VFIO_PCI_INTX_IRQ_INDEX && action == VFIO_IRQ_SET_ACTION_UNMASK)
		return unmask(pci, set);
	if (action != VFIO_IRQ_SET_ACTION_TRIGGER)
		return -ENOTTY;
	switch (index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		return trigger_pin(pci, set);
	case VFIO_PCI_ERR_IRQ_INDEX:
		return trigger_single(&pci->irqs.error, set);
	case VFIO_PCI_REQ_IRQ_INDEX:
		return trigger_single(&pci->irqs.request, set);
	default:
		return trigger_messages(pci, index, set);
	}
}

/* The bytes of data behind the struct, or -EINVAL. */
static ssize_t check(const struct vfio_pci *pci, const struct vfio_irq_set *set)
{
	const size_t header = offsetof(struct vfio_irq_set, data);
	uint32_t max;
	size_t each;

	if (set->index >= VFIO_PCI_NUM_IRQS || set->count >= UINT32_MAX - set->start ||
	    set->flags & ~(uint32_t)(DATA_TYPES | ACTIONS))
		return -EINVAL;
	max = irq_count(pci, set->index);
	if (set->start >= max || set->start + set->count > max)
		return -EINVAL;
	switch (set->flags & DATA_TYPES) {
	case VFIO_IRQ_SET_DATA_NONE:
		return 0;
	case VFIO_IRQ_SET_DATA_BOOL:
		each = sizeof(uint8_t);
		break;
	case VFIO_IRQ_SET_DATA_EVENTFD:
		each = sizeof(int32_t);
		break;
	default:
		return -EINVAL;
	}
	return set->argsz - header < set->count * each ? -EINVAL : (ssize_t)(set->count * each);
}

int vfio_set_irqs(struct vfio_pci *pci, uint64_t arg)
{
	const size_t header = offsetof(struct vfio_irq_set, data);
	uint32_t data[2048]; /* as many vectors as there can be */
	struct vfio_irq_set set;
	struct irq_set what;
	int ret = vfio_copy_in(&set, arg, header);
	ssize_t size;

	if (ret)
		return ret;
	size = check(pci, &set);
	if (size < 0)
		return (int)size;
	if ((size_t)size > sizeof(data) ||
	    iommufd_copy_from_user(NULL, data, arg + header, (size_t)size))
		return -EFAULT;
	what = (struct irq_set){.flags = set.flags, .start = set.start, .count = set.count};
	what.bools = (const uint8_t *)data;
	pthread_mutex_lock(&pci->irqs.lock);
	ret = act(pci, set.index, &what);
	pthread_mutex_unlock(&pci->irqs.lock);
	return ret;
}

/* ---- the rest ---- */

int vfio_irq_info(struct vfio_pci *pci, uint64_t arg)
{
	struct vfio_irq_info info;
	int ret = vfio_copy_in(&info, arg, sizeof(info));

	if (ret)
		return ret;
	if (info.index >= VFIO_PCI_NUM_IRQS)
		return -EINVAL;
	info.flags = VFIO_IRQ_INFO_EVENTFD;
	info.count = irq_count(pci, info.index);
	if (info.index == VFIO_PCI_INTX_IRQ_INDEX)
		info.flags |= VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
	else if (info.index != VFIO_PCI_MSIX_IRQ_INDEX)
		info.flags |= VFIO_IRQ_INFO_NORESIZE;
	return iommufd_copy_to_user(NULL, arg, &info, sizeof(info));
}

void vfio_irqs_request(struct vfio_pci *pci)
{
	pthread_mutex_lock(&pci->irqs.lock);
	signal_eventfd(pci->irqs.request);
	pthread_mutex_unlock(&pci->irqs.lock);
}

void vfio_irqs_init(struct vfio_pci *pci)
{
	pthread_mutex_init(&pci->irqs.lock, NULL);
	pci->irqs.type = VFIO_PCI_NUM_IRQS;
	pci->irqs.error = pci->irqs.request = pci->irqs.unmask = -1;
}

void vfio_irqs_release(struct vfio_pci *pci)
{
	pthread_mutex_lock(&pci->irqs.lock);
	turn_off(pci);
	put_eventfd(&pci->irqs.error);
	put_eventfd(&pci->irqs.request);
	pci->irqs.masked = pci->irqs.disabled = false;
	pthread_mutex_unlock(&pci->irqs.lock);
}
