/* SPDX-License-Identifier: MIT */
/*
 * Dirty bitmaps against a model of one word.
 */
#include <uiommu/dirty.h>

#include "tests/iommufd_bench.h"

static int track(struct bench *b, uint32_t hwpt, bool enable)
{
	struct iommu_hwpt_set_dirty_tracking cmd = {
		.size = sizeof(cmd), .hwpt_id = hwpt, .flags = enable};

	return iommufd_ioctl(b->fd.ctx, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd);
}

static int read_bitmap(struct bench *b, uint32_t hwpt, uint64_t iova, uint64_t length,
		       uint64_t page_size, void *bitmap, uint32_t flags)
{
	struct iommu_hwpt_get_dirty_bitmap cmd = {
		.size = sizeof(cmd),
		.hwpt_id = hwpt,
		.flags = flags,
		.iova = iova,
		.length = length,
		.page_size = page_size,
		.data = (uintptr_t)bitmap,
	};

	return iommufd_ioctl(b->fd.ctx, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd);
}

static bool bit(const uint8_t *bitmap, uint64_t n)
{
	return bitmap[n / 8] >> n % 8 & 1;
}

static void bitmaps_tell_what_is_dirty(void **state)
{
	const uint64_t iova = 8 * MIB;
	struct iommu_domain *domain;
	uint8_t buf[64];
	uint64_t seed = 77;
	struct bench b;
	uint32_t hwpt;

	begin(&b);
	print_message("# seed %llu\n", (unsigned long long)seed);
	assert_int_equal(new_hwpt(&b, 0, b.ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt), 0);
	/* Two areas that adjoin, a hole, and a third. */
	assert_int_equal(map_at(&b, b.ioas, iova, 0, 30), 0);
	assert_int_equal(map_at(&b, b.ioas, iova + 30 * PAGE, 30, 34), 0);
	assert_int_equal(map_at(&b, b.ioas, iova + 65 * PAGE, 0, 8), 0);
	assert_int_equal(track(&b, hwpt, true), 0);
	domain = domain_of(&b, hwpt);
	for (unsigned int round = 0; round < 200; round++) {
		uint64_t page_size = PAGE << random_below(&seed, 3), per = page_size / PAGE;
		uint64_t first = random_below(&seed, 60) & ~(per - 1), dirty = 0, left = 0;
		uint64_t n = (1 + random_below(&seed, 64 - first)) & ~(per - 1);
		uint8_t *bitmap = buf + 1 + random_below(&seed, 8);
		uint32_t no_clear = (uint32_t)random_below(&seed, 2);

		if (!n)
			continue;
		assert_int_equal(track(&b, hwpt, true), 0);
		for (unsigned int i = 0; i < 6; i++) {
			uint64_t page = random_below(&seed, 64);

			assert_true(iommu_mark_dirty(domain, iova + page * PAGE + 5));
			dirty |= 1ull << page;
		}
		memset(buf, 0, sizeof(buf));
		bitmap[-1] = 0xa5;
		assert_int_equal(read_bitmap(&b, hwpt, iova + first * PAGE, n * PAGE, page_size,
					     bitmap, no_clear),
				 0);
		assert_int_equal(bitmap[-1], 0xa5);
		for (uint64_t i = 0; i < 300; i++) {
			uint64_t part =
				i < n / per ? dirty >> (first + i * per) & ((1ull << per) - 1) : 0;

			assert_int_equal(bit(bitmap, i), part != 0);
		}
		memset(buf, 0, sizeof(buf));
		assert_int_equal(read_bitmap(&b, hwpt, iova, 64 * PAGE, PAGE, buf, 0), 0);
		memcpy(&left, buf, 8);
		if (!no_clear)
			dirty &= ~((n < 64 ? (1ull << n) - 1 : ~0ull) << first);
		assert_true(left == dirty);
	}
	/* Nothing is read behind a hole, and nobody hears of it. */
	assert_true(iommu_mark_dirty(domain, iova + 63 * PAGE));
	assert_true(iommu_mark_dirty(domain, iova + 66 * PAGE));
	memset(buf, 0, sizeof(buf));
	assert_int_equal(read_bitmap(&b, hwpt, iova, 73 * PAGE, PAGE, buf, 0), 0);
	assert_true(bit(buf, 63));
	assert_false(bit(buf, 66));
	end(&b);
}

static void bitmaps_refuse(void **state)
{
	uint32_t hwpt, plain;
	uint8_t buf[64] = {0};
	struct bench b;

	begin(&b);
	assert_int_equal(new_hwpt(&b, 0, b.ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt), 0);
	assert_int_equal(new_hwpt(&b, 0, b.ioas, 0, &plain), 0);
	assert_int_equal(map_at(&b, b.ioas, MIB, 0, 16), 0);
	assert_int_equal(track(&b, plain, true), -EOPNOTSUPP);
	assert_int_equal(track(&b, b.ioas, true), -ENOENT);
	assert_int_equal(read_bitmap(&b, plain, MIB, 16 * PAGE, PAGE, buf, 0), -EOPNOTSUPP);
	b.fd.ctx->config.abi = IOMMUFD_ABI_7_3;
	assert_int_equal(read_bitmap(&b, plain, MIB, 0, PAGE, buf, 0), -EINVAL);
	assert_int_equal(read_bitmap(&b, hwpt, 0, 0, PAGE, buf, 0), -EINVAL);
	assert_int_equal(read_bitmap(&b, hwpt, ~0ull, 0, PAGE, buf, 0), -EINVAL);
	b.fd.ctx->config.abi = IOMMUFD_ABI_NEWEST;
	/* Linux 6.7 to 6.12 look for the last byte: nothing ends before 0, or at the very end. */
	assert_int_equal(read_bitmap(&b, plain, MIB, 0, PAGE, buf, 0), -EOVERFLOW);
	assert_int_equal(read_bitmap(&b, hwpt, PAGE, 0, PAGE, buf, 0), -EOVERFLOW);
	assert_int_equal(read_bitmap(&b, hwpt, MIB + 1, 0, PAGE, buf, 0), -EOVERFLOW);
	assert_int_equal(read_bitmap(&b, hwpt, ~0ull, 0, PAGE, buf, 0), -EOVERFLOW);
	assert_int_equal(map_at(&b, b.ioas, 0, 0, 1), 0);
	assert_int_equal(track(&b, hwpt, true), 0);
	iommu_mark_dirty(domain_of(&b, hwpt), 0);
	assert_int_equal(read_bitmap(&b, hwpt, 0, 0, PAGE, (void *)8, 0), 0);
	assert_int_equal(read_bitmap(&b, hwpt, 0, PAGE, PAGE, buf, 0), 0);
	assert_int_equal(buf[0], 1);
	buf[0] = 0;
	assert_int_equal(track(&b, hwpt, false), 0);
	assert_int_equal(read_bitmap(&b, hwpt, 0, 0, 0, buf, 0), -EINVAL);
	assert_int_equal(read_bitmap(&b, plain, 0, 0, PAGE, buf, 0), -EOPNOTSUPP);
	assert_int_equal(read_bitmap(&b, hwpt, ~0ull << 12, PAGE, PAGE, buf, 0), 0);
	assert_int_equal(read_bitmap(&b, hwpt, MIB, 16 * PAGE, PAGE, buf, 2), -EOPNOTSUPP);
	assert_int_equal(read_bitmap(&b, hwpt, ~0ull << 12, 16 * PAGE, PAGE, buf, 0), -EOVERFLOW);
	assert_int_equal(read_bitmap(&b, hwpt, MIB, 16 * PAGE, 0, buf, 0), -EINVAL);
	assert_int_equal(read_bitmap(&b, hwpt, MIB + PAGE, 2 * PAGE, 2 * PAGE, buf, 0), -EINVAL);
	assert_int_equal(read_bitmap(&b, hwpt, MIB, PAGE + 1, 1, buf, 0), -EINVAL);
	/* Tracking that is off reports nothing; a bitmap that is nowhere is an error. */
	iommu_mark_dirty(domain_of(&b, hwpt), MIB);
	assert_int_equal(read_bitmap(&b, hwpt, MIB, 16 * PAGE, PAGE, buf, 0), 0);
	assert_int_equal(buf[0], 0);
	assert_int_equal(track(&b, hwpt, true), 0);
	assert_int_equal(read_bitmap(&b, hwpt, MIB, 16 * PAGE, PAGE, (void *)8, 0), 0);
	iommu_mark_dirty(domain_of(&b, hwpt), MIB);
	assert_int_equal(read_bitmap(&b, hwpt, MIB, 16 * PAGE, PAGE, (void *)8, 0), -EFAULT);
	assert_int_equal(read_bitmap(&b, hwpt, 0, ~0ull << 12, PAGE, buf, 0), 0);
	end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bitmaps_tell_what_is_dirty),
		cmocka_unit_test(bitmaps_refuse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
