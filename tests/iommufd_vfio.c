/* SPDX-License-Identifier: MIT */
/*
 * VFIO's type1 ioctls on /dev/iommu, as the kernel's selftests and its header
 * have them.
 */
#include "tests/iommufd.h"

struct setup {
	struct fd fd;
	struct mem_cgroup *memcg;
	struct hardware hw;
	struct iommu_device *dev;
	struct iommufd_device_ops ops;
	struct iommufd_device *idev;
	uint32_t ioas, hwpt, dev_id;
};

/* A device on an IOAS that VFIO's ioctls act on. */
static void begin(struct setup *s, uintptr_t type)
{
	struct iommu_vfio_ioas cmd = {.size = sizeof(cmd), .op = IOMMU_VFIO_IOAS_SET};

	memset(s, 0, sizeof(*s));
	s->memcg = enter_cgroup(NULL);
	add_region(&s->hw, 0xfee00000, 0x100000, IOMMU_WRITE, IOMMU_RESV_MSI);
	s->dev = new_device(&s->hw, NULL);
	fd_open(&s->fd);
	s->ioas = s->hwpt = new_ioas(&s->fd);
	s->idev = iommufd_device_bind(s->fd.ctx, s->dev, &s->ops, NULL, &s->dev_id);
	assert_false(IS_ERR(s->idev));
	assert_int_equal(iommufd_device_attach(s->idev, &s->hwpt), 0);
	cmd.ioas_id = s->ioas;
	assert_int_equal(iommufd_ioctl(s->fd.ctx, IOMMU_VFIO_IOAS, &cmd), 0);
	assert_int_equal(iommufd_ioctl(s->fd.ctx, VFIO_SET_IOMMU, (void *)type), 0);
}

static void end(struct setup *s)
{
	iommufd_device_detach(s->idev);
	iommufd_device_unbind(s->idev);
	fd_close(&s->fd);
	iommu_device_unregister(s->dev);
	leave_cgroup(s->memcg);
}

static int map(struct setup *s, uint64_t iova, const void *memory, uint64_t size)
{
	struct vfio_iommu_type1_dma_map cmd = {
		.argsz = sizeof(cmd),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)memory,
		.iova = iova,
		.size = size,
	};

	return iommufd_ioctl(s->fd.ctx, VFIO_IOMMU_MAP_DMA, &cmd);
}

/* *size becomes what was unmapped. */
static int unmap(struct setup *s, uint32_t flags, uint64_t iova, uint64_t *size)
{
	struct vfio_iommu_type1_dma_unmap cmd = {
		.argsz = sizeof(cmd), .flags = flags, .iova = iova, .size = *size};
	int rc = iommufd_ioctl(s->fd.ctx, VFIO_IOMMU_UNMAP_DMA, &cmd);

	*size = cmd.size;
	return rc;
}

static void assert_unmap(struct setup *s, uint32_t flags, uint64_t iova, uint64_t size, int result,
			 uint64_t unmapped)
{
	assert_int_equal(unmap(s, flags, iova, &size), result);
	assert_int_equal(size, unmapped);
}

static void no_ioas(void **state)
{
	struct iommu_vfio_ioas cmd = {.size = sizeof(cmd)};
	struct vfio_iommu_type1_info info = {.argsz = sizeof(info)};
	struct vfio_iommu_type1_dma_map map_cmd = {.argsz = sizeof(map_cmd)};
	struct vfio_iommu_type1_dma_unmap unmap_cmd = {.argsz = sizeof(unmap_cmd)};
	struct fd fd;
	uint32_t ioas;

	fd_open(&fd);
	assert_int_equal(iommufd_ioctl(fd.ctx, VFIO_GET_API_VERSION, NULL), VFIO_API_VERSION);
	assert_int_equal(iommufd_ioctl(fd.ctx, IOMMU_VFIO_IOAS, &cmd), -ENODEV);
	for (uintptr_t type = 0; type < 12; type++) {
		bool known = type == VFIO_TYPE1_IOMMU || type == VFIO_TYPE1v2_IOMMU;
		int has = known || type == VFIO_UNMAP_ALL;

		if (type == VFIO_DMA_CC_IOMMU)
			has = -ENODEV;
		assert_int_equal(iommufd_ioctl(fd.ctx, VFIO_CHECK_EXTENSION, (void *)type), has);
		assert_int_equal(iommufd_ioctl(fd.ctx, VFIO_SET_IOMMU, (void *)type),
				 known ? -ENODEV : -EINVAL);
	}
	assert_int_equal(iommufd_ioctl(fd.ctx, VFIO_IOMMU_GET_INFO, &info), -ENODEV);
	assert_int_equal(iommufd_ioctl(fd.ctx, VFIO_IOMMU_MAP_DMA, &map_cmd), -ENODEV);
	assert_int_equal(iommufd_ioctl(fd.ctx, VFIO_IOMMU_UNMAP_DMA, &unmap_cmd), -ENODEV);
	assert_int_equal(iommufd_ioctl(fd.ctx, VFIO_IOMMU_DIRTY_PAGES, &info), -ENOTTY);

	cmd.op = IOMMU_VFIO_IOAS_SET;
	cmd.ioas_id = 7;
	assert_int_equal(iommufd_ioctl(fd.ctx, IOMMU_VFIO_IOAS, &cmd), -ENOENT);
	cmd.ioas_id = ioas = new_ioas(&fd);
	assert_int_equal(iommufd_ioctl(fd.ctx, IOMMU_VFIO_IOAS, &cmd), 0);
	cmd = (struct iommu_vfio_ioas){.size = sizeof(cmd), .op = IOMMU_VFIO_IOAS_GET};
	assert_int_equal(iommufd_ioctl(fd.ctx, IOMMU_VFIO_IOAS, &cmd), 0);
	assert_int_equal(cmd.ioas_id, ioas);
	/* Without a page table nothing speaks against it. */
	assert_int_equal(iommufd_ioctl(fd.ctx, VFIO_CHECK_EXTENSION, (void *)VFIO_DMA_CC_IOMMU), 1);
	cmd.op = IOMMU_VFIO_IOAS_CLEAR;
	assert_int_equal(iommufd_ioctl(fd.ctx, IOMMU_VFIO_IOAS, &cmd), 0);
	cmd.op = IOMMU_VFIO_IOAS_GET;
	assert_int_equal(iommufd_ioctl(fd.ctx, IOMMU_VFIO_IOAS, &cmd), -ENODEV);
	cmd.op = IOMMU_VFIO_IOAS_SET;
	assert_int_equal(iommufd_ioctl(fd.ctx, IOMMU_VFIO_IOAS, &cmd), 0);
	/* The choice does not hold it. */
	assert_int_equal(destroy(&fd, ioas), 0);
	cmd.op = IOMMU_VFIO_IOAS_GET;
	assert_int_equal(iommufd_ioctl(fd.ctx, IOMMU_VFIO_IOAS, &cmd), -ENODEV);
	cmd.op = 3;
	assert_int_equal(iommufd_ioctl(fd.ctx, IOMMU_VFIO_IOAS, &cmd), -EOPNOTSUPP);
	cmd = (struct iommu_vfio_ioas){.size = sizeof(cmd), .__reserved = 1};
	assert_int_equal(iommufd_ioctl(fd.ctx, IOMMU_VFIO_IOAS, &cmd), -EOPNOTSUPP);
	fd_close(&fd);
}

static void malformed(void **state)
{
	static const unsigned int commands[] = {VFIO_IOMMU_GET_INFO, VFIO_IOMMU_MAP_DMA,
						VFIO_IOMMU_UNMAP_DMA};
	static const size_t minima[] = {16, 32, 24};
	char *pages = map_pages(1), *end_of_page = pages + PAGE;
	struct setup s;

	begin(&s, VFIO_TYPE1v2_IOMMU);
	for (unsigned int i = 0; i < 3; i++) {
		char *at = end_of_page - minima[i];

		assert_int_equal(iommufd_ioctl(s.fd.ctx, commands[i], NULL), -EFAULT);
		assert_int_equal(iommufd_ioctl(s.fd.ctx, commands[i], at + 1), -EFAULT);
		memset(at, 0, minima[i]);
		for (uint32_t argsz = 0; argsz < minima[i]; argsz++) {
			memcpy(at, &argsz, sizeof(argsz));
			assert_int_equal(iommufd_ioctl(s.fd.ctx, commands[i], at), -EINVAL);
		}
		memcpy(at, &(uint32_t){(uint32_t)minima[i]}, 4);
		/* All flags but the known ones. */
		for (unsigned int bit = i == 1 ? 2 : 0; i && bit < 32; bit++) {
			if (i == 2 && bit == 1)
				continue;
			memcpy(at + 4, &(uint32_t){1u << bit}, 4);
			assert_int_equal(iommufd_ioctl(s.fd.ctx, commands[i], at), -EINVAL);
		}
	}
	end(&s);
	unmap_pages(pages, 1);
}

static void map_and_unmap(void **state)
{
	enum {
		PAGES = 16
	};
	char *memory = map_pages(PAGES);
	const uint64_t at = 16 << 20;
	struct setup s;

	begin(&s, VFIO_TYPE1v2_IOMMU);
	assert_int_equal(map(&s, at, memory, PAGES * PAGE), 0);
	assert_int_equal(map(&s, at + PAGE, memory, PAGE), -EEXIST);
	assert_unmap(&s, 0, at, PAGES * PAGE, 0, PAGES * PAGE);
	assert_unmap(&s, 0, at, PAGES * PAGE, 0, 0);
	assert_unmap(&s, 0, at, 0, -EINVAL, 0);
	assert_int_equal(map(&s, at, memory, PAGES * PAGE), 0);
	/* Version 2 does not cut. */
	assert_unmap(&s, 0, at + PAGE, PAGE, -ENOENT, 0);
	assert_unmap(&s, VFIO_DMA_UNMAP_FLAG_ALL, at, 0, -EINVAL, 0);
	assert_unmap(&s, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0, 0, PAGES * PAGE);
	assert_unmap(&s, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0, 0, 0);
	assert_int_equal(map(&s, 0xfee00000, memory, PAGE), -EINVAL);
	end(&s);
	unmap_pages(memory, PAGES);
}

/* Version 1 unmaps any pages of a mapping, in any order; against an array. */
static void type1_cuts(void **state)
{
	enum {
		PAGES = 512
	};
	static bool mapped[PAGES];
	char *memory = map_pages(PAGES);
	const uint64_t at = 1ull << 30;
	uint64_t seed = 0xc07, left = PAGES;
	struct iommu_domain *domain;
	struct setup s;

	begin(&s, VFIO_TYPE1_IOMMU);
	domain = s.hw.uses;
	memset(memory, 1, PAGES * PAGE);
	memset(mapped, 1, sizeof(mapped));
	assert_int_equal(map(&s, at, memory, PAGES * PAGE), 0);
	while (left) {
		uint64_t first = random_below(&seed, PAGES);
		uint64_t count = 1 + random_below(&seed, 32), there = 0;

		if (first + count > PAGES)
			count = PAGES - first;
		for (uint64_t i = first; i < first + count; i++) {
			there += mapped[i];
			mapped[i] = false;
		}
		assert_unmap(&s, 0, at + first * PAGE, count * PAGE, 0, there * PAGE);
		left -= there;
		for (uint64_t i = 0; i < PAGES; i++)
			assert_int_equal(!!iommu_iova_to_phys(domain, at + i * PAGE), mapped[i]);
	}
	end(&s);
	unmap_pages(memory, PAGES);
}

/* What the text in the kernel's header says of the chain, at each length. */
static void assert_chain(const char *reply, uint32_t all)
{
	const struct vfio_iommu_type1_info *info = (const void *)reply;
	bool ranges = false, avail = false;
	uint32_t at = info->cap_offset;

	while (at) {
		const struct vfio_info_cap_header *cap = (const void *)(reply + at);

		assert_int_equal(at % 8, 0);
		assert_in_range(at, sizeof(*info), all - sizeof(*cap));
		assert_int_equal(cap->version, 1);
		if (cap->id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE) {
			const struct vfio_iommu_type1_info_cap_iova_range *range =
				(const void *)cap;

			assert_int_equal(range->nr_iovas, 2);
			assert_int_equal(range->reserved, 0);
			assert_int_equal(range->iova_ranges[0].start, 0);
			assert_int_equal(range->iova_ranges[0].end, 0xfedfffff);
			assert_int_equal(range->iova_ranges[1].start, 0xfef00000);
			ranges = true;
		} else {
			assert_int_equal(cap->id, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL);
			assert_int_equal(
				((const struct vfio_iommu_type1_info_dma_avail *)cap)->avail,
				UINT32_MAX);
			avail = true;
		}
		assert_true(!cap->next || cap->next > at);
		at = cap->next;
	}
	assert_true(ranges && avail);
}

static void get_info(void **state)
{
	char *pages = map_pages(1), *reply = pages + 8;
	struct vfio_iommu_type1_info *info = (void *)reply;
	uint32_t all = 24;
	struct setup s;

	begin(&s, VFIO_TYPE1v2_IOMMU);
	for (uint32_t argsz = 16; argsz <= all + 16; argsz++) {
		memset(pages, 0xaa, PAGE);
		*(uint32_t *)reply = argsz;
		assert_int_equal(iommufd_ioctl(s.fd.ctx, VFIO_IOMMU_GET_INFO, reply), 0);
		for (char *beyond = reply + argsz; beyond < pages + PAGE; beyond++)
			assert_int_equal((unsigned char)*beyond, 0xaa);
		assert_int_equal(info->flags, VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS);
		assert_int_equal(info->iova_pgsizes, domain_info(s.hw.uses).pgsizes);
		all = info->argsz;
		assert_int_equal(all, 24 + 16 + 16 + 2 * 16);
		if (argsz < 24)
			continue;
		assert_int_equal(info->cap_offset, argsz < all ? 0 : 24);
		if (argsz >= all)
			assert_chain(reply, all);
	}
	/* The capabilities where nothing is. */
	memset(pages, 0, PAGE);
	reply = pages + PAGE - 40;
	*(uint32_t *)reply = 1000;
	assert_int_equal(iommufd_ioctl(s.fd.ctx, VFIO_IOMMU_GET_INFO, reply), -EFAULT);
	end(&s);
	unmap_pages(pages, 1);
}

static void type1_has_no_large_pages(void **state)
{
	struct iommu_option cmd = {.size = sizeof(cmd),
				   .option_id = IOMMU_OPTION_HUGE_PAGES,
				   .op = IOMMU_OPTION_OP_GET,
				   .val64 = 3};
	struct setup s;

	for (uintptr_t type = VFIO_TYPE1_IOMMU; type <= VFIO_TYPE1v2_IOMMU; type += 2) {
		begin(&s, type);
		cmd.object_id = s.ioas;
		assert_int_equal(iommufd_ioctl(s.fd.ctx, IOMMU_OPTION, &cmd), 0);
		assert_int_equal(cmd.val64, type == VFIO_TYPE1v2_IOMMU);
		end(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_ioas),       cmocka_unit_test(malformed),
		cmocka_unit_test(map_and_unmap), cmocka_unit_test(type1_cuts),
		cmocka_unit_test(get_info),      cmocka_unit_test(type1_has_no_large_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
