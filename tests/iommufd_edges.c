/* SPDX-License-Identifier: MIT */
/*
 * Lengths of 0, ranges that wrap and addresses that are not aligned, of each ioctl
 * that has a range: errnos as the order of the checks in Linux 6.12 gives them
 * (drivers/iommu/iommufd/: ioas.c, io_pagetable.c, pages.c, vfio_compat.c).
 */
#include <uiommu/abi/vfio.h>

#include "iommufd/iommufd.h"
#include "tests/iommufd.h"

#define IOVA (64ul << 20)
#define TOP  UINT64_MAX
#define RW_  (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)

/* An IOAS with a page table of 4K pages, and 4 pages mapped from IOVA on. */
struct bed {
	struct fd fd;
	struct iommu_domain *domain;
	uint32_t ioas;
	char *memory;
};

static int map(const struct bed *bed, uint64_t iova, uint64_t user_va, uint64_t length,
	       uint32_t flags)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.ioas_id = bed->ioas,
		.user_va = user_va,
		.length = length,
		.iova = iova,
	};

	return iommufd_ioctl(bed->fd.ctx, IOMMU_IOAS_MAP, &cmd);
}

static int copy(const struct bed *bed, uint64_t to, uint64_t from, uint64_t length, uint32_t dst)
{
	struct iommu_ioas_copy cmd = {
		.size = sizeof(cmd),
		.flags = RW_ | IOMMU_IOAS_MAP_FIXED_IOVA,
		.dst_ioas_id = dst,
		.src_ioas_id = bed->ioas,
		.length = length,
		.dst_iova = to,
		.src_iova = from,
	};

	return iommufd_ioctl(bed->fd.ctx, IOMMU_IOAS_COPY, &cmd);
}

static int unmap(const struct bed *bed, uint64_t iova, uint64_t length)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd), .ioas_id = bed->ioas, .iova = iova, .length = length};

	return iommufd_ioctl(bed->fd.ctx, IOMMU_IOAS_UNMAP, &cmd);
}

static int allow(const struct bed *bed, uint64_t start, uint64_t last)
{
	struct iommu_iova_range range = {.start = start, .last = last};
	struct iommu_ioas_allow_iovas cmd = {
		.size = sizeof(cmd),
		.ioas_id = bed->ioas,
		.num_iovas = 1,
		.allowed_iovas = (uintptr_t)&range,
	};

	return iommufd_ioctl(bed->fd.ctx, IOMMU_IOAS_ALLOW_IOVAS, &cmd);
}

static int dma_map(const struct bed *bed, uint64_t iova, uint64_t vaddr, uint64_t size,
		   uint32_t flags)
{
	struct vfio_iommu_type1_dma_map cmd = {
		.argsz = sizeof(cmd), .flags = flags, .vaddr = vaddr, .iova = iova, .size = size};

	return iommufd_ioctl(bed->fd.ctx, VFIO_IOMMU_MAP_DMA, &cmd);
}

static int dma_unmap(const struct bed *bed, uint64_t iova, uint64_t size, uint32_t flags,
		     uint64_t *unmapped)
{
	struct vfio_iommu_type1_dma_unmap cmd = {
		.argsz = sizeof(cmd), .flags = flags, .iova = iova, .size = size};
	int ret = iommufd_ioctl(bed->fd.ctx, VFIO_IOMMU_UNMAP_DMA, &cmd);

	*unmapped = cmd.size;
	return ret;
}

static void bed_begin(struct bed *bed)
{
	struct iommu_domain_params params = {.format = "vtd"};
	struct iommu_vfio_ioas compat = {.size = sizeof(compat), .op = IOMMU_VFIO_IOAS_SET};
	struct iommufd_ioas *ioas;

	fd_open(&bed->fd);
	bed->ioas = compat.ioas_id = new_ioas(&bed->fd);
	bed->memory = map_pages(8);
	bed->domain = iommu_domain_alloc(&params, GFP_KERNEL);
	ioas = iommufd_get_object(bed->fd.ctx, bed->ioas, IOMMUFD_OBJ_IOAS);
	assert_int_equal(iopt_table_add_domain(&ioas->iopt, bed->domain), 0);
	assert_int_equal(iommufd_ioctl(bed->fd.ctx, IOMMU_VFIO_IOAS, &compat), 0);
	assert_int_equal(
		map(bed, IOVA, (uintptr_t)bed->memory, 4 * PAGE, RW_ | IOMMU_IOAS_MAP_FIXED_IOVA),
		0);
}

static void bed_end(struct bed *bed)
{
	struct iommufd_ioas *ioas = iommufd_get_object(bed->fd.ctx, bed->ioas, IOMMUFD_OBJ_IOAS);

	assert_int_equal(iopt_unmap_all(&ioas->iopt, NULL), 0);
	iopt_table_remove_domain(&ioas->iopt, bed->domain);
	iommu_domain_free(bed->domain);
	fd_close(&bed->fd);
	unmap_pages(bed->memory, 8);
}

static void mapping(void **state)
{
	const uint32_t fixed = RW_ | IOMMU_IOAS_MAP_FIXED_IOVA;
	struct bed bed;
	uint64_t va;

	bed_begin(&bed);
	va = (uintptr_t)bed.memory;
	assert_int_equal(map(&bed, IOVA, va, 0, fixed), -EINVAL);
	assert_int_equal(map(&bed, IOVA, va, 0, RW_), -EINVAL);
	assert_int_equal(map(&bed, TOP, va, 0, fixed), -EOVERFLOW);
	assert_int_equal(map(&bed, IOVA, va, TOP, fixed), -EOVERFLOW);
	assert_int_equal(map(&bed, IOVA, va, TOP - 1, fixed), -EINVAL);
	assert_int_equal(map(&bed, IOVA, va, TOP - PAGE, fixed), -EOVERFLOW);
	assert_int_equal(map(&bed, IOVA, TOP - PAGE + 1, PAGE, fixed), -EOVERFLOW);
	assert_int_equal(map(&bed, TOP - PAGE + 1, va, 2 * PAGE, fixed), -EOVERFLOW);
	assert_int_equal(map(&bed, IOVA + 1, va, PAGE, fixed), -EINVAL);
	assert_int_equal(map(&bed, 2 * IOVA, va, PAGE + 1, fixed), -EINVAL);
	assert_int_equal(map(&bed, 2 * IOVA, va + 1, PAGE, fixed), -EINVAL);
	assert_int_equal(map(&bed, 2 * IOVA, va + 1, PAGE, RW_), -EINVAL);
	assert_int_equal(map(&bed, IOVA + 3 * PAGE, va, PAGE, fixed), -EEXIST);
	assert_int_equal(map(&bed, IOVA - PAGE, va, 2 * PAGE, fixed), -EEXIST);
	assert_int_equal(map(&bed, 1ull << 48, va, PAGE, fixed), -EINVAL);
	assert_int_equal(map(&bed, (1ull << 48) - PAGE, va, 2 * PAGE, fixed), -EINVAL);
	assert_int_equal(map(&bed, (1ull << 48) - PAGE, va, PAGE, fixed), 0);
	assert_int_equal(map(&bed, 0, va, PAGE, fixed), 0);
	/* The flags come first, then the ids. */
	assert_int_equal(map(&bed, TOP, va, 0, 8), -EOPNOTSUPP);
	assert_int_equal(map(&bed, TOP, va, PAGE, 0), -EOVERFLOW);
	assert_int_equal(map(&bed, IOVA, va, PAGE, IOMMU_IOAS_MAP_FIXED_IOVA), -EINVAL);
	bed_end(&bed);
}

static void copying(void **state)
{
	struct bed bed;

	bed_begin(&bed);
	assert_int_equal(copy(&bed, 2 * IOVA, IOVA, 0, 99), -EINVAL);
	assert_int_equal(copy(&bed, 2 * IOVA, IOVA, TOP, 99), -EOVERFLOW);
	assert_int_equal(copy(&bed, 2 * IOVA, TOP - 1, 3, 99), -EOVERFLOW);
	assert_int_equal(copy(&bed, TOP, IOVA, PAGE, bed.ioas), -EOVERFLOW);
	assert_int_equal(copy(&bed, 2 * IOVA, IOVA, 5 * PAGE, bed.ioas), -ENOENT);
	assert_int_equal(copy(&bed, 2 * IOVA, IOVA, PAGE, 99), -ENOENT);
	assert_int_equal(copy(&bed, 2 * IOVA, IOVA + 1, PAGE, bed.ioas), -EINVAL);
	assert_int_equal(copy(&bed, 2 * IOVA + 1, IOVA, PAGE, bed.ioas), -EINVAL);
	assert_int_equal(copy(&bed, 2 * IOVA, IOVA, PAGE - 1, bed.ioas), -EINVAL);
	assert_int_equal(copy(&bed, TOP - PAGE + 1, IOVA, 2 * PAGE, bed.ioas), -EOVERFLOW);
	assert_int_equal(copy(&bed, IOVA + PAGE, IOVA, PAGE, bed.ioas), -EEXIST);
	assert_int_equal(copy(&bed, 2 * IOVA, IOVA + PAGE, 3 * PAGE, bed.ioas), 0);
	bed_end(&bed);
}

static void unmapping(void **state)
{
	uint64_t unmapped;
	struct bed bed;

	bed_begin(&bed);
	assert_int_equal(unmap(&bed, IOVA, 0), -EINVAL);
	assert_int_equal(unmap(&bed, 0, 0), -EINVAL);
	assert_int_equal(unmap(&bed, TOP, 0), -EOVERFLOW);
	assert_int_equal(unmap(&bed, IOVA, TOP), -EOVERFLOW);
	assert_int_equal(unmap(&bed, IOVA, TOP - 1), -EOVERFLOW);
	assert_int_equal(unmap(&bed, IOVA, PAGE), -ENOENT);
	assert_int_equal(unmap(&bed, IOVA + 4 * PAGE, PAGE), -ENOENT);
	assert_int_equal(unmap(&bed, IOVA - 1, 4 * PAGE + 2), 0);
	assert_int_equal(unmap(&bed, 0, TOP), 0);
	/* Of type1, which says how much was unmapped even when it fails. */
	assert_int_equal(dma_unmap(&bed, IOVA, 0, 0, &unmapped), -EINVAL);
	assert_int_equal(unmapped, 0);
	assert_int_equal(dma_unmap(&bed, IOVA, TOP, 0, &unmapped), -EOVERFLOW);
	assert_int_equal(unmapped, 0);
	assert_int_equal(dma_unmap(&bed, IOVA, PAGE, VFIO_DMA_UNMAP_FLAG_ALL, &unmapped), -EINVAL);
	assert_int_equal(dma_unmap(&bed, IOVA, PAGE, 0, &unmapped), 0);
	assert_int_equal(unmapped, 0);
	assert_int_equal(dma_unmap(&bed, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL, &unmapped), 0);
	assert_int_equal(unmapped, 0);
	bed_end(&bed);
}

static void type1_mapping(void **state)
{
	const uint32_t rw = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
	struct bed bed;
	uint64_t va;

	bed_begin(&bed);
	va = (uintptr_t)bed.memory;
	assert_int_equal(dma_map(&bed, IOVA, va, 0, rw), -EINVAL);
	assert_int_equal(dma_map(&bed, IOVA, va, TOP, rw), -EINVAL);
	assert_int_equal(dma_map(&bed, IOVA, TOP - PAGE + 1, PAGE, rw), -EOVERFLOW);
	assert_int_equal(dma_map(&bed, TOP - PAGE + 1, va, 2 * PAGE, rw), -EOVERFLOW);
	assert_int_equal(dma_map(&bed, TOP, va, PAGE, rw), -EINVAL);
	assert_int_equal(dma_map(&bed, IOVA, va, PAGE, rw), -EEXIST);
	assert_int_equal(dma_map(&bed, 2 * IOVA, va, PAGE + 1, rw), -EINVAL);
	assert_int_equal(dma_map(&bed, 2 * IOVA, va, PAGE, 8), -EINVAL);
	/* VT-d has no mappings without rights. */
	assert_int_equal(dma_map(&bed, 2 * IOVA, va, PAGE, 0), -EINVAL);
	bed_end(&bed);
}

static void allowing(void **state)
{
	struct bed bed;

	bed_begin(&bed);
	assert_int_equal(allow(&bed, IOVA, IOVA), -EINVAL);
	assert_int_equal(allow(&bed, IOVA, IOVA - 1), -EINVAL);
	assert_int_equal(allow(&bed, 0, TOP), -EADDRINUSE);
	assert_int_equal(allow(&bed, 0, 1ull << 48), -EADDRINUSE);
	assert_int_equal(allow(&bed, 0, (1ull << 48) - 1), 0);
	bed_end(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mapping),   cmocka_unit_test(copying),
		cmocka_unit_test(unmapping), cmocka_unit_test(type1_mapping),
		cmocka_unit_test(allowing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
