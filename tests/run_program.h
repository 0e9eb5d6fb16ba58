/* SPDX-License-Identifier: MIT */
/* The ioctls that tests/run_program.c makes, as functions. */
#ifndef RUN_PROGRAM_H
#define RUN_PROGRAM_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <uiommu/abi/iommufd.h>
#include <uiommu/abi/vfio.h>

#define M (1ul << 20)

#define check(x)                                                                        \
	do {                                                                            \
		if (!(x)) {                                                             \
			printf("%s:%d: %s, errno %d\n", __FILE__, __LINE__, #x, errno); \
			exit(1);                                                        \
		}                                                                       \
	} while (0)

#define check_errno(x, expected)            \
	do {                                \
		errno = 0;                  \
		check((x) == -1);           \
		check(errno == (expected)); \
	} while (0)

static int open_iommu(void)
{
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	check(fd >= 0);
	return fd;
}

static inline uint32_t ioas_alloc(int fd)
{
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd)};

	check(!ioctl(fd, IOMMU_IOAS_ALLOC, &cmd));
	return cmd.out_ioas_id;
}

static inline int map(int fd, uint32_t ioas, void *at, size_t length, uint64_t iova)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)at,
		.length = length,
		.iova = iova,
	};

	return ioctl(fd, IOMMU_IOAS_MAP, &cmd);
}

static inline int unmap(int fd, uint32_t ioas, uint64_t iova, size_t length)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd), .ioas_id = ioas, .iova = iova, .length = length};

	return ioctl(fd, IOMMU_IOAS_UNMAP, &cmd) ? -1 : (int)(cmd.length >> 12);
}

static inline int destroy(int fd, uint32_t id)
{
	struct iommu_destroy cmd = {.size = sizeof(cmd), .id = id};

	return ioctl(fd, IOMMU_DESTROY, &cmd);
}

static void *memory(size_t length)
{
	void *at = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	check(at != MAP_FAILED);
	memset(at, 1, length);
	return at;
}

/* Open vfio0, bind it and attach it to an IOAS. */
static int attach(int fd, uint32_t ioas)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = fd};
	struct vfio_device_attach_iommufd_pt pt = {.argsz = sizeof(pt), .pt_id = ioas};
	int device = open("/dev/vfio/devices/vfio0", O_RDWR | O_CLOEXEC);

	check(device >= 0);
	check(!ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	check(bind.out_devid);
	check(!ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &pt));
	check(pt.pt_id && pt.pt_id != ioas);
	return device;
}

static inline void wait_for(pid_t pid, int expected)
{
	int status;

	check(pid > 0);
	check(waitpid(pid, &status, 0) == pid);
	check(status == expected);
}

#endif
