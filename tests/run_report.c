/* SPDX-License-Identifier: MIT */
/*
 * A program under `uiommu run` that ends as its argument says, for what the report
 * says of it then.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <uiommu/abi/iommufd.h>
#include <uiommu/abi/vfio.h>

#define PAGE  4096ul
#define IOVA  (1ul << 30)
#define HUGE  (2ul << 20)
#define PAGES 64

static int iommu, device;
static uint32_t ioas;

static void open_iommu(void)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};

	iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (iommu < 0 || ioctl(iommu, IOMMU_IOAS_ALLOC, &alloc))
		_exit(9);
	ioas = alloc.out_ioas_id;
}

static int attach(void)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = iommu};
	struct vfio_device_attach_iommufd_pt pt = {.argsz = sizeof(pt), .pt_id = ioas};

	device = open("/dev/vfio/devices/vfio0", O_RDWR | O_CLOEXEC);
	if (device < 0 || ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind))
		_exit(9);
	return ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &pt);
}

static int map(uint64_t iova, uint64_t length)
{
	void *memory =
		mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)memory,
		.length = length,
		.iova = iova,
	};

	return memory == MAP_FAILED ? -1 : ioctl(iommu, IOMMU_IOAS_MAP, &cmd);
}

static void die(void)
{
	kill(getpid(), SIGKILL);
}

/* ---- the ends ---- */

static void killed_when_open(void)
{
	iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	die();
}

static void killed_when_attached(void)
{
	open_iommu();
	attach();
	die();
}

/* A child that only ever used the device. */
static void killed_child(void)
{
	struct vfio_device_info info = {.argsz = sizeof(info)};
	int status;

	open_iommu();
	attach();
	if (!fork()) {
		ioctl(device, VFIO_DEVICE_GET_INFO, &info);
		die();
	}
	wait(&status);
}

/* Pages that have a table each. */
static void killed_when_mapped(void)
{
	open_iommu();
	attach();
	for (uint64_t i = 0; i < PAGES; i++)
		map(IOVA + i * HUGE, PAGE);
	die();
}

static void unlimited(void)
{
	open_iommu();
	attach();
	map(IOVA, 8 << 20);
}

static void over_memlock(void)
{
	unlimited();
	map(2 * IOVA, PAGE);
}

static void over_memlock_and_killed(void)
{
	over_memlock();
	map(2 * IOVA, PAGE);
	die();
}

static void attach_over_memlock(void)
{
	open_iommu();
	map(IOVA, 16 << 20);
	attach();
}

/* The same numbers on both kinds of file, and numbers that no file knows. */
static void numbers(void)
{
	open_iommu();
	attach();
	for (unsigned long nr = 12; nr <= 17; nr++) {
		ioctl(device, _IO(VFIO_TYPE, VFIO_BASE + nr), NULL);
		ioctl(iommu, _IO(VFIO_TYPE, VFIO_BASE + nr), NULL);
		ioctl(iommu, _IO(VFIO_TYPE, VFIO_BASE + nr), NULL);
	}
	ioctl(iommu, VFIO_DEVICE_BIND_IOMMUFD, NULL);
	ioctl(device, IOMMU_IOAS_ALLOC, NULL);
	ioctl(iommu, 0x5401, NULL);
	ioctl(iommu, 0x5413, NULL);
	ioctl(device, 0x5401, NULL);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*end)(void);
	} ends[] = {
		{"killed-when-open", killed_when_open},
		{"killed-when-attached", killed_when_attached},
		{"killed-when-mapped", killed_when_mapped},
		{"a-child-killed", killed_child},
		{"unlimited", unlimited},
		{"over-memlock", over_memlock},
		{"over-memlock-and-killed", over_memlock_and_killed},
		{"attach-over-memlock", attach_over_memlock},
		{"numbers", numbers},
	};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (argc == 2 && !strcmp(argv[1], ends[i].name)) {
			ends[i].end();
			return 0;
		}
	return 8;
}
