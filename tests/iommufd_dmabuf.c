/* SPDX-License-Identifier: MIT */
/*
 * dma-bufs: mapped by their file, to the device's own addresses; taken back while they are
 * mapped; and outlived by everything that may outlive them.
 */
#include "tests/iommufd_rig.h"

#define AT     (UINT64_C(0x38) << 32)
#define LENGTH (4 * PAGE)

struct buffer {
	struct iommufd_dmabuf *dmabuf;
	int fd;
	unsigned int releases;
};

static void count_release(void *context)
{
	((struct buffer *)context)->releases++;
}

static void export(struct rig *rig, struct buffer *buffer)
{
	*buffer = (struct buffer){0};
	buffer->fd =
		iommufd_dmabuf_export(rig->ctx, AT, LENGTH, count_release, buffer, &buffer->dmabuf);
	assert_true(buffer->fd >= 0);
}

static int map_file_in(struct rig *rig, uint32_t ioas, const struct buffer *buffer, uint64_t start,
		       uint64_t length, uint64_t iova)
{
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | RIG_RW,
		.ioas_id = ioas,
		.fd = buffer->fd,
		.start = start,
		.length = length,
		.iova = iova,
	};

	return rig_ioctl(rig, IOMMU_IOAS_MAP_FILE, &map);
}

static int map_file(struct rig *rig, const struct buffer *buffer, uint64_t start, uint64_t length,
		    uint64_t iova)
{
	return map_file_in(rig, rig->ioas, buffer, start, length, iova);
}

static struct iommu_domain *domain_of(const struct rig *rig, uint32_t id)
{
	struct iommufd_object *obj = iommufd_get_object(rig->ctx, id, IOMMUFD_OBJ_HWPT_PAGING);

	assert_false(IS_ERR(obj));
	return container_of(obj, struct iommufd_hwpt, obj)->domain;
}

static void it_is_mapped_where_the_device_has_it(void **state)
{
	struct buffer buffer;
	struct rig rig;

	rig_begin(&rig, IOMMUFD_PHYS_SCATTERED);
	assert_int_equal(iommufd_dmabuf_export(rig.ctx, AT, 0, NULL, NULL, &buffer.dmabuf),
			 -EINVAL);
	assert_int_equal(iommufd_dmabuf_export(rig.ctx, AT + 1, PAGE, NULL, NULL, &buffer.dmabuf),
			 -EINVAL);
	export(&rig, &buffer);
	assert_int_equal(rig_new_hwpt(&rig, rig.ioas, 0, &rig.ids[0]), 0);
	assert_int_equal(map_file(&rig, &buffer, 0, 0, 0), -EINVAL);
	assert_int_equal(map_file(&rig, &buffer, LENGTH, PAGE, 0), -EINVAL);
	assert_int_equal(map_file(&rig, &buffer, 0, LENGTH + 1, 0), -EINVAL);
	assert_int_equal(map_file(&rig, &buffer, PAGE, UINT64_MAX - PAGE, 0), -EINVAL);
	assert_int_equal(map_file(&rig, &buffer, 0, LENGTH, HUGE), 0);
	assert_int_equal(map_file(&rig, &buffer, 2 * PAGE, PAGE, 0), 0);
	for (uint64_t at = 0; at < LENGTH; at += PAGE)
		assert_int_equal(iommu_iova_to_phys(domain_of(&rig, rig.ids[0]), HUGE + at),
				 AT + at);
	assert_int_equal(iommu_iova_to_phys(domain_of(&rig, rig.ids[0]), 5), AT + 2 * PAGE + 5);
	/* A table that comes later has it too. */
	assert_int_equal(rig_new_hwpt(&rig, rig.ioas, 0, &rig.ids[1]), 0);
	assert_int_equal(iommu_iova_to_phys(domain_of(&rig, rig.ids[1]), HUGE), AT);
	/* The file is no use of what is mapped, nor the other way round. */
	iommufd_dmabuf_put(buffer.dmabuf);
	rig_close_last_file(&rig);
	assert_int_equal(buffer.releases, 0);
	assert_int_equal(rig_unmap(&rig, 0, PAGE), 0);
	assert_int_equal(buffer.releases, 0);
	assert_int_equal(rig_unmap(&rig, HUGE, LENGTH), 0);
	assert_int_equal(buffer.releases, 1);
	assert_int_equal(iommu_iova_to_phys(domain_of(&rig, rig.ids[0]), HUGE), 0);
	rig_end(&rig);
}

/* No process's memory: nothing is pinned, read or handed over. */
static void it_is_no_memory_of_a_process(void **state)
{
	struct iommu_ioas_change_process change = {.size = sizeof(change)};
	static const struct iommufd_access_ops ops = {.needs_pin_pages = true};
	struct buffer buffer;
	struct rig rig;
	char byte;

	rig_begin(&rig, IOMMUFD_PHYS_IDENTITY);
	export(&rig, &buffer);
	assert_int_equal(map_file(&rig, &buffer, 0, LENGTH, 0), 0);
	rig.access = iommufd_access_create(rig.ctx, &ops, NULL, &rig.access_id);
	assert_int_equal(iommufd_access_attach(rig.access, rig.ioas), 0);
	assert_int_equal(iommufd_access_rw(rig.access, 0, &byte, 1, 0), -EINVAL);
	assert_int_equal(rig_ioctl(&rig, IOMMU_IOAS_CHANGE_PROCESS, &change), -EINVAL);
	assert_int_equal(rig_unmap(&rig, 0, LENGTH), 0);
	assert_int_equal(rig_ioctl(&rig, IOMMU_IOAS_CHANGE_PROCESS, &change), 0);
	iommufd_dmabuf_put(buffer.dmabuf);
	rig_end(&rig);
	assert_int_equal(buffer.releases, 1);
}

/* From every table at once, copies included; and it does not come back by itself. */
static void the_device_takes_it_back(void **state)
{
	struct iommu_ioas_copy copy = {.size = sizeof(copy),
				       .flags = IOMMU_IOAS_MAP_FIXED_IOVA | RIG_RW,
				       .length = PAGE,
				       .src_iova = HUGE + PAGE,
				       .dst_iova = PAGE};
	struct buffer buffer;
	struct rig rig;
	uint32_t other;

	rig_begin(&rig, IOMMUFD_PHYS_IDENTITY);
	other = rig_new_ioas(&rig);
	export(&rig, &buffer);
	assert_int_equal(rig_new_hwpt(&rig, rig.ioas, 0, &rig.ids[0]), 0);
	assert_int_equal(rig_new_hwpt(&rig, other, 0, &rig.ids[1]), 0);
	assert_int_equal(map_file(&rig, &buffer, 0, LENGTH, HUGE), 0);
	assert_int_equal(rig_map(&rig, HUGE + LENGTH, 0, PAGE), 0);
	copy.dst_ioas_id = other;
	copy.src_ioas_id = rig.ioas;
	assert_int_equal(rig_ioctl(&rig, IOMMU_IOAS_COPY, &copy), 0);
	assert_int_equal(iommu_iova_to_phys(domain_of(&rig, rig.ids[1]), PAGE), AT + PAGE);

	iommufd_dmabuf_revoke(buffer.dmabuf, true);
	for (uint64_t at = 0; at < LENGTH; at += PAGE)
		assert_int_equal(iommu_iova_to_phys(domain_of(&rig, rig.ids[0]), HUGE + at), 0);
	assert_int_equal(iommu_iova_to_phys(domain_of(&rig, rig.ids[1]), PAGE), 0);
	assert_int_equal(iommu_iova_to_phys(domain_of(&rig, rig.ids[0]), HUGE + LENGTH),
			 (uintptr_t)rig.memory);
	assert_int_equal(map_file(&rig, &buffer, 0, PAGE, 0), -ENODEV);
	assert_int_equal(rig_new_hwpt(&rig, rig.ioas, 0, &rig.ids[2]), 0);
	assert_int_equal(iommu_iova_to_phys(domain_of(&rig, rig.ids[2]), HUGE), 0);

	iommufd_dmabuf_revoke(buffer.dmabuf, false);
	assert_int_equal(iommu_iova_to_phys(domain_of(&rig, rig.ids[0]), HUGE), 0);
	assert_int_equal(map_file(&rig, &buffer, 0, PAGE, HUGE), -EEXIST);
	assert_int_equal(rig_unmap(&rig, HUGE, LENGTH), 0);
	assert_int_equal(map_file(&rig, &buffer, 0, LENGTH, HUGE), 0);
	assert_int_equal(iommu_iova_to_phys(domain_of(&rig, rig.ids[0]), HUGE + PAGE), AT + PAGE);
	assert_int_equal(iommu_iova_to_phys(domain_of(&rig, rig.ids[1]), PAGE), 0);
	iommufd_dmabuf_put(buffer.dmabuf);
	rig_end(&rig);
	assert_int_equal(buffer.releases, 1);
}

/* Who exported it may hold on to it, and take it back, when nobody is there any more. */
static void it_may_outlive_the_context(void **state)
{
	struct buffer buffer;
	struct rig rig;

	rig_begin(&rig, IOMMUFD_PHYS_IDENTITY);
	export(&rig, &buffer);
	assert_int_equal(map_file(&rig, &buffer, 0, LENGTH, 0), 0);
	iommufd_device_unbind(rig.idev);
	iommufd_ctx_destroy(rig.ctx);
	rig.idev = NULL;
	rig.ctx = NULL;
	iommufd_dmabuf_revoke(buffer.dmabuf, true);
	rig_close_last_file(&rig);
	assert_int_equal(buffer.releases, 0);
	iommufd_dmabuf_put(buffer.dmabuf);
	assert_int_equal(buffer.releases, 1);
	rig_end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_mapped_where_the_device_has_it),
		cmocka_unit_test(it_is_no_memory_of_a_process),
		cmocka_unit_test(the_device_takes_it_back),
		cmocka_unit_test(it_may_outlive_the_context),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
