/* SPDX-License-Identifier: MIT */
/*
 * A program that drives an I/OAT copy engine through VFIO, and nothing of ours but the
 * ABI: one channel, one descriptor at a time.
 */
#ifndef RUN_VFIO_H
#define RUN_VFIO_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run_program.h"

#define PAGE    4096ul
#define CHANNEL 0x80

/* Registers of the channel. */
enum {
	CHANCTRL = CHANNEL,
	CHANCMD = CHANNEL + 4,
	DMACOUNT = CHANNEL + 6,
	CHANSTS = CHANNEL + 8,
	CHAINADDR = CHANNEL + 0x10,
	CHANERR = CHANNEL + 0x28,
};

struct engine {
	int iommu, device;
	uint32_t ioas, hwpt;
	volatile uint8_t *bar;
	uint64_t *descriptor; /* at IOVA descriptor_iova */
	uint16_t count;
};

#define DESCRIPTOR_IOVA 0x7000000000ull

static inline uint64_t region_offset(int device, uint32_t index, struct vfio_region_info *info)
{
	*info = (struct vfio_region_info){.argsz = sizeof(*info), .index = index};
	check(!ioctl(device, VFIO_DEVICE_GET_REGION_INFO, info));
	return info->offset;
}

static inline uint32_t config_read(int device, unsigned int at, size_t size)
{
	struct vfio_region_info info;
	uint32_t value = 0;

	region_offset(device, VFIO_PCI_CONFIG_REGION_INDEX, &info);
	check(pread(device, &value, size, (off_t)(info.offset + at)) == (ssize_t)size);
	return value;
}

static inline void config_write(int device, unsigned int at, size_t size, uint32_t value)
{
	struct vfio_region_info info;

	region_offset(device, VFIO_PCI_CONFIG_REGION_INDEX, &info);
	check(pwrite(device, &value, size, (off_t)(info.offset + at)) == (ssize_t)size);
}

#define PCI_COMMAND        4
#define PCI_COMMAND_MASTER 4

static inline void set_master(int device, bool on)
{
	uint32_t command = config_read(device, PCI_COMMAND, 2) & ~(uint32_t)PCI_COMMAND_MASTER;

	config_write(device, PCI_COMMAND, 2, command | (on ? PCI_COMMAND_MASTER : 0));
}

static inline volatile uint8_t *map_bar(int device, unsigned int index)
{
	struct vfio_region_info info;
	void *bar;

	region_offset(device, index, &info);
	check(info.flags & VFIO_REGION_INFO_FLAG_MMAP);
	bar = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)info.offset);
	check(bar != MAP_FAILED);
	return bar;
}

/* The registers of a device that is open already, and where its descriptor is. */
static inline void engine_begin(struct engine *e)
{
	e->bar = map_bar(e->device, 0);
	e->descriptor = memory(PAGE);
	set_master(e->device, true);
	*(volatile uint8_t *)(e->bar + CHANCMD) = 0x20;
	while (*(volatile uint8_t *)(e->bar + CHANCMD))
		usleep(10);
	e->count = 0;
}

static inline void engine_open(struct engine *e)
{
	struct vfio_device_attach_iommufd_pt pt = {.argsz = sizeof(pt)};

	e->iommu = open_iommu();
	e->ioas = ioas_alloc(e->iommu);
	e->device = attach(e->iommu, e->ioas);
	pt.pt_id = e->ioas;
	check(!ioctl(e->device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &pt));
	e->hwpt = pt.pt_id;
	engine_begin(e);
	check(!map(e->iommu, e->ioas, e->descriptor, PAGE, DESCRIPTOR_IOVA));
}

static inline void engine_close(struct engine *e)
{
	struct vfio_region_info info;

	region_offset(e->device, 0, &info);
	munmap((void *)(uintptr_t)e->bar, info.size);
	check(!close(e->device));
	check(!close(e->iommu));
}

/* Done, or halted by an error. */
static inline bool is_over(uint64_t status, const struct engine *e)
{
	return (status & 7) == 1 || ((status & 7) == 3 && *(volatile uint32_t *)(e->bar + CHANERR));
}

/* Copy by the device. Its error register, 0 when it came to its end. */
static inline uint32_t engine_copy_with(struct engine *e, uint64_t to, uint64_t from, uint32_t size,
					uint32_t control)
{
	uint64_t status;

	if (e->count) {
		/* A chain that has ended goes on at its descriptor's next, and errors stay. */
		*(volatile uint8_t *)(e->bar + CHANCMD) = 0x20;
		while (*(volatile uint8_t *)(e->bar + CHANCMD))
			usleep(10);
	}
	e->descriptor[0] = (uint64_t)control << 32 | size;
	e->descriptor[1] = from;
	e->descriptor[2] = to;
	e->descriptor[3] = 0;
	*(volatile uint64_t *)(e->bar + CHAINADDR) = DESCRIPTOR_IOVA;
	e->count = 1;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	*(volatile uint16_t *)(e->bar + DMACOUNT) = e->count;
	/* The device's thread may need this processor. */
	while (!is_over(status = *(volatile uint64_t *)(e->bar + CHANSTS), e))
		usleep(10);
	return (status & 7) == 1 ? 0 : *(volatile uint32_t *)(e->bar + CHANERR);
}

static inline uint32_t engine_copy(struct engine *e, uint64_t to, uint64_t from, uint32_t size)
{
	return engine_copy_with(e, to, from, size, 0);
}

#define ERROR_READ  0x100u
#define ERROR_WRITE 0x200u

/* ---- interrupts ---- */

static inline int set_irqs(int device, uint32_t flags, uint32_t index, uint32_t start,
			   uint32_t count, const void *data, size_t size)
{
	union {
		struct vfio_irq_set set;
		char room[256];
	} u = {.set = {.argsz = (uint32_t)(sizeof(u.set) + size),
		       .flags = flags,
		       .index = index,
		       .start = start,
		       .count = count}};

	memcpy(u.room + sizeof(u.set), data ? data : u.room, size);
	return ioctl(device, VFIO_DEVICE_SET_IRQS, &u.set);
}

static inline bool is_signalled(int fd, int timeout)
{
	struct pollfd polled = {.fd = fd, .events = POLLIN};
	uint64_t count;

	return poll(&polled, 1, timeout) == 1 && read(fd, &count, sizeof(count)) == sizeof(count);
}

#endif
