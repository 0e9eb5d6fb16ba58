/* SPDX-License-Identifier: MIT */
/*
 * What the tests of iommufd share: a context, its ioctls, memory that can be bad.
 */
#ifndef TESTS_IOMMUFD_H
#define TESTS_IOMMUFD_H

#include <sys/mman.h>

#include <uiommu/abi/iommufd.h>
#include <uiommu/abi/vfio.h>
#include <uiommu/iommufd.h>

#include "tests/device.h"

#define PAGE 4096ul

struct fd {
	struct mem_cgroup *memcg;
	struct iommufd_ctx *ctx;
};

static inline void fd_open_as(struct fd *fd, struct iommufd_config config)
{
	fd->memcg = mem_cgroup_create(NULL);
	assert_non_null(fd->memcg);
	config.owner = fd->memcg;
	fd->ctx = iommufd_ctx_create(&config);
	assert_false(IS_ERR(fd->ctx));
}

static inline void fd_open(struct fd *fd)
{
	fd_open_as(fd, (struct iommufd_config){.format = "vtd"});
}

/* After which nothing is charged. */
static inline void fd_close(struct fd *fd)
{
	iommufd_ctx_destroy(fd->ctx);
	assert_cgroup_empty(fd->memcg);
	mem_cgroup_put(fd->memcg);
}

/* Pages of zeroes, with one behind them that cannot be accessed. */
static inline char *map_pages(size_t pages)
{
	char *at = mmap(NULL, (pages + 1) * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(at, MAP_FAILED);
	assert_int_equal(mprotect(at + pages * PAGE, PAGE, PROT_NONE), 0);
	return at;
}

static inline void unmap_pages(char *at, size_t pages)
{
	munmap(at, (pages + 1) * PAGE);
}

static inline uint32_t new_ioas(const struct fd *fd)
{
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd)};

	assert_int_equal(iommufd_ioctl(fd->ctx, IOMMU_IOAS_ALLOC, &cmd), 0);
	return cmd.out_ioas_id;
}

static inline int destroy(const struct fd *fd, uint32_t id)
{
	struct iommu_destroy cmd = {.size = sizeof(cmd), .id = id};

	return iommufd_ioctl(fd->ctx, IOMMU_DESTROY, &cmd);
}

#endif
