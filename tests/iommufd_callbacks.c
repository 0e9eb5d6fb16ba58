/* SPDX-License-Identifier: MIT */
/*
 * Unmap callbacks of accesses that call iommufd: they may pin, unpin, read and write;
 * what changes the context, or the accesses that are being gone through, is refused.
 */
#include <uiommu/mm.h>

#include "tests/capture.h"
#include "tests/iommufd.h"

#define IOVA 0x100000ul
#define SIZE (4 * PAGE)

static struct {
	struct fd fd;
	uint32_t ioas, other_ioas;
	struct iommufd_access *access[3];
	unsigned int calls[3];
	bool pinned; /* by the first */
	void (*act)(void);
} t;

static void unmap(void *data, uint64_t iova, uint64_t length)
{
	unsigned int i = (unsigned int)(uintptr_t)data;
	void (*act)(void) = t.act;

	t.calls[i]++;
	t.act = NULL;
	if (act)
		act();
	if (!i && t.pinned)
		iommufd_access_unpin_pages(t.access[0], IOVA, SIZE);
	t.pinned &= i != 0;
}

static const struct iommufd_access_ops ops = {.needs_pin_pages = true, .unmap = unmap};

static int ioas_map(char *memory)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = t.ioas,
		.user_va = (uintptr_t)memory,
		.length = SIZE,
		.iova = IOVA,
	};

	return iommufd_ioctl(t.fd.ctx, IOMMU_IOAS_MAP, &cmd);
}

static int ioas_unmap(void)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd), .ioas_id = t.ioas, .iova = IOVA, .length = SIZE};

	return iommufd_ioctl(t.fd.ctx, IOMMU_IOAS_UNMAP, &cmd);
}

static void call_ioctls(void)
{
	assert_int_equal(ioas_unmap(), -EDEADLK);
	assert_int_equal(destroy(&t.fd, t.other_ioas), -EDEADLK);
}

static void destroy_accesses(void)
{
	for (unsigned int i = 0; i < 3; i++)
		iommufd_access_destroy(t.access[i]);
}

static void detach_accesses(void)
{
	for (unsigned int i = 0; i < 3; i++)
		iommufd_access_detach(t.access[i]);
}

static void move_accesses(void)
{
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(iommufd_access_replace(t.access[i], t.other_ioas), -EBUSY);
}

static void use_memory(void)
{
	char text[8] = "abc";

	assert_int_equal(iommufd_access_rw(t.access[1], IOVA, text, 4, IOMMUFD_ACCESS_RW_WRITE),
			 -EINVAL); /* it is being unmapped */
}

static void begin(char *memory)
{
	void *pages[4];

	memset(t.calls, 0, sizeof(t.calls));
	fd_open(&t.fd);
	t.ioas = new_ioas(&t.fd);
	t.other_ioas = new_ioas(&t.fd);
	assert_int_equal(ioas_map(memory), 0);
	for (unsigned int i = 0; i < 3; i++) {
		uint32_t id;

		t.access[i] = iommufd_access_create(t.fd.ctx, &ops, (void *)(uintptr_t)i, &id);
		assert_false(IS_ERR(t.access[i]));
		assert_int_equal(iommufd_access_attach(t.access[i], t.ioas), 0);
	}
	assert_int_equal(
		iommufd_access_pin_pages(t.access[0], IOVA, SIZE, pages, IOMMUFD_ACCESS_RW_WRITE),
		0);
	t.pinned = true;
}

static void end(void)
{
	for (unsigned int i = 0; i < 3; i++)
		iommufd_access_destroy(t.access[i]);
	assert_int_equal(destroy(&t.fd, t.other_ioas), 0);
	fd_close(&t.fd);
}

static void (*const acts[])(void) = {call_ioctls, destroy_accesses, detach_accesses, move_accesses,
				     use_memory};

static void while_unmapping(void **state)
{
	char *memory = map_pages(4);

	for (unsigned int i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		struct capture capture;

		begin(memory);
		t.act = acts[i];
		capture_begin(&capture);
		assert_int_equal(ioas_unmap(), 0);
		assert_int_equal(capture_lines(capture_end(&capture)), !i);
		for (unsigned int j = 0; j < 3; j++)
			assert_int_equal(t.calls[j], 1);
		/* All is as it should be. */
		assert_int_equal(ioas_map(memory), 0);
		assert_int_equal(ioas_unmap(), 0);
		end();
	}
	unmap_pages(memory, 4);
}

static void while_moving(void **state)
{
	char *memory = map_pages(4);

	for (unsigned int i = 0; i + 1 < sizeof(acts) / sizeof(acts[0]); i++) {
		begin(memory);
		t.act = acts[i];
		assert_int_equal(iommufd_access_replace(t.access[0], t.other_ioas), 0);
		assert_null(t.act);
		assert_int_equal(t.calls[0], 1);
		assert_int_equal(ioas_unmap(), 0);
		assert_int_equal(t.calls[0], 1);
		end();
	}
	unmap_pages(memory, 4);
}

/* ---- a shrinker inside an ioctl ---- */

static int result;

static unsigned long count_objects(struct shrinker *shrinker)
{
	return t.act != NULL;
}

static unsigned long scan_objects(struct shrinker *shrinker, unsigned long nr)
{
	t.act = NULL;
	result = ioas_unmap();
	return 1;
}

static void while_allocating(void **state)
{
	struct shrinker shrinker = {.count_objects = count_objects, .scan_objects = scan_objects};
	char *memory = map_pages(4);

	begin(memory);
	register_shrinker(&shrinker);
	assert_int_equal(mem_cgroup_write(t.fd.memcg, "memory.high", "0"), 0);
	t.act = call_ioctls;
	new_ioas(&t.fd);
	assert_null(t.act);
	assert_int_equal(result, -EDEADLK);
	unregister_shrinker(&shrinker);
	assert_int_equal(ioas_unmap(), 0);
	end();
	unmap_pages(memory, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(while_unmapping),
		cmocka_unit_test(while_moving),
		cmocka_unit_test(while_allocating),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
