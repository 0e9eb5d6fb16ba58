/* SPDX-License-Identifier: MIT */
/*
 * Ioctls from outside, and what is wrong with them: structs of every length,
 * pointers of every kind, numbers that do not exist, ids. Expectations are those
 * of the kernel's selftests and of the text in its ABI header.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "iommufd/iommufd.h"
#include "tests/iommufd.h"

#define END_OF(type, member) (offsetof(type, member) + sizeof(((type *)NULL)->member))
#define COMMAND(cmd, type, last)                                          \
	{                                                                 \
#cmd, cmd, sizeof(struct type), END_OF(struct type, last) \
	}

static const struct command {
	const char *name;
	unsigned int cmd;
	size_t size, min_size;
} commands[] = {
	COMMAND(IOMMU_DESTROY, iommu_destroy, id),
	COMMAND(IOMMU_IOAS_ALLOC, iommu_ioas_alloc, out_ioas_id),
	COMMAND(IOMMU_IOAS_ALLOW_IOVAS, iommu_ioas_allow_iovas, allowed_iovas),
	COMMAND(IOMMU_IOAS_COPY, iommu_ioas_copy, src_iova),
	COMMAND(IOMMU_IOAS_IOVA_RANGES, iommu_ioas_iova_ranges, out_iova_alignment),
	COMMAND(IOMMU_IOAS_MAP, iommu_ioas_map, iova),
	COMMAND(IOMMU_IOAS_UNMAP, iommu_ioas_unmap, length),
	COMMAND(IOMMU_OPTION, iommu_option, val64),
	COMMAND(IOMMU_VFIO_IOAS, iommu_vfio_ioas, __reserved),
	COMMAND(IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, __reserved),
	COMMAND(IOMMU_GET_HW_INFO, iommu_hw_info, __reserved),
	COMMAND(IOMMU_HWPT_SET_DIRTY_TRACKING, iommu_hwpt_set_dirty_tracking, __reserved),
	COMMAND(IOMMU_HWPT_GET_DIRTY_BITMAP, iommu_hwpt_get_dirty_bitmap, data),
	COMMAND(IOMMU_HWPT_INVALIDATE, iommu_hwpt_invalidate, __reserved),
	COMMAND(IOMMU_FAULT_QUEUE_ALLOC, iommu_fault_alloc, out_fault_fd),
	COMMAND(IOMMU_IOAS_MAP_FILE, iommu_ioas_map_file, iova),
	COMMAND(IOMMU_IOAS_CHANGE_PROCESS, iommu_ioas_change_process, __reserved),
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* Zeroes of @size bytes that claim to be @size long, the one at @dirty not 0. */
static int call_sized(const struct fd *fd, unsigned int cmd, char *at, size_t size, size_t dirty)
{
	memset(at, 0, size);
	if (dirty)
		at[dirty] = 1;
	memcpy(at, &(uint32_t){(uint32_t)size}, size < 4 ? size : 4);
	return iommufd_ioctl(fd->ctx, cmd, at);
}

/*
 * Too short is -EINVAL; longer changes nothing as long as it is 0, up to any
 * length, and is -E2BIG wherever it is not. Each struct ends where its page
 * does, so that a byte too many would be -EFAULT.
 */
static void struct_growth(void **state)
{
	char *pages = map_pages(5), *end = pages + 5 * PAGE;
	struct fd fd;

	fd_open(&fd);
	for (const struct command *c = commands; c < commands + NR_COMMANDS; c++) {
		const size_t lengths[] = {c->size + 1, c->size + 8, c->size + 513, 4 * PAGE};
		int plain = call_sized(&fd, c->cmd, end - c->size, c->size, 0);

		print_message("# %s: %d\n", c->name, plain);
		assert_int_not_equal(plain, -E2BIG);
		assert_int_not_equal(plain, -EFAULT);
		for (size_t size = 4; size < c->min_size; size++)
			assert_int_equal(call_sized(&fd, c->cmd, end - size, size, 0), -EINVAL);
		for (size_t size = c->min_size; size < c->size; size++)
			assert_int_equal(call_sized(&fd, c->cmd, end - size, size, 0), plain);
		for (size_t i = 0; i < 4; i++) {
			size_t size = lengths[i];
			char *at = end - size;

			assert_int_equal(call_sized(&fd, c->cmd, at, size, 0), plain);
			assert_int_equal(call_sized(&fd, c->cmd, at, size, c->size), -E2BIG);
			assert_int_equal(call_sized(&fd, c->cmd, at, size, size - 1), -E2BIG);
		}
		/* Longer than what is there. */
		memcpy(end - c->size, &(uint32_t){(uint32_t)c->size + 1}, 4);
		assert_int_equal(iommufd_ioctl(fd.ctx, c->cmd, end - c->size), -EFAULT);
	}
	unmap_pages(pages, 5);
	fd_close(&fd);
}

/* An answer is no longer than the caller's struct. */
static void short_answers(void **state)
{
	struct {
		struct iommu_ioas_alloc cmd;
		unsigned char beyond[20];
	} s = {.cmd.size = sizeof(s)};
	struct fd fd;

	fd_open(&fd);
	assert_int_equal(iommufd_ioctl(fd.ctx, IOMMU_IOAS_ALLOC, &s), 0);
	assert_int_equal(s.cmd.size, sizeof(s));
	s.cmd.size = sizeof(s.cmd);
	memset(s.beyond, 0xaa, sizeof(s.beyond));
	assert_int_equal(iommufd_ioctl(fd.ctx, IOMMU_IOAS_ALLOC, &s), 0);
	for (size_t i = 0; i < sizeof(s.beyond); i++)
		assert_int_equal(s.beyond[i], 0xaa);
	fd_close(&fd);
}

static void bad_pointers(void **state)
{
	char *pages = map_pages(1), *end = pages + PAGE;
	void *const bad[] = {NULL,
			     (void *)8,
			     end,
			     end - 1,
			     end - 4,
			     (void *)0x7ffffffffff8,
			     (void *)0x800000000000,
			     (void *)0xffff800000000000,
			     (void *)-4l,
			     (void *)-1l};
	struct fd fd;

	fd_open(&fd);
	memcpy(end - 4, &(uint32_t){sizeof(struct iommu_destroy)}, 4);
	for (const struct command *c = commands; c < commands + NR_COMMANDS; c++)
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			int expected = -EFAULT;

			/* Here the size can be read, and is too small. */
			if (bad[i] == end - 4 && c->min_size > sizeof(struct iommu_destroy))
				expected = -EINVAL;
			assert_int_equal(iommufd_ioctl(fd.ctx, c->cmd, bad[i]), expected);
		}
	unmap_pages(pages, 1);
	fd_close(&fd);
}

/* An answer that cannot be given leaves nothing behind. */
static void read_only_structs(void **state)
{
	char *page = map_pages(1);
	struct fd fd;
	uint32_t id;

	fd_open(&fd);
	id = new_ioas(&fd);
	memcpy(page, &(struct iommu_ioas_alloc){.size = sizeof(struct iommu_ioas_alloc)},
	       sizeof(struct iommu_ioas_alloc));
	assert_int_equal(mprotect(page, PAGE, PROT_READ), 0);
	assert_int_equal(iommufd_ioctl(fd.ctx, IOMMU_IOAS_ALLOC, page), -EFAULT);
	assert_int_equal(new_ioas(&fd), id + 1);

	assert_int_equal(mprotect(page, PAGE, PROT_READ | PROT_WRITE), 0);
	memcpy(page, &(struct iommu_destroy){.size = sizeof(struct iommu_destroy), .id = id},
	       sizeof(struct iommu_destroy));
	assert_int_equal(mprotect(page, PAGE, PROT_READ), 0);
	assert_int_equal(iommufd_ioctl(fd.ctx, IOMMU_DESTROY, page), 0);
	assert_int_equal(destroy(&fd, id), -ENOENT);
	unmap_pages(page, 1);
	fd_close(&fd);
}

static void unknown_numbers(void **state)
{
	struct iommu_destroy cmd = {.size = sizeof(cmd)};
	struct fd fd;

	fd_open(&fd);
	for (unsigned int nr = 0; nr < 256; nr++) {
		unsigned int number = _IO(IOMMUFD_TYPE, nr);
		bool known = iommufd_ioctl_name(number) && nr != IOMMUFD_CMD_BASE + 32;

		/* The kernel looks for a size before it looks at anything else. */
		if (nr >= IOMMUFD_CMD_BASE && nr <= IOMMUFD_CMD_IOAS_CHANGE_PROCESS) {
			assert_int_equal(iommufd_ioctl(fd.ctx, number, NULL), -EFAULT);
			assert_int_equal(iommufd_ioctl(fd.ctx, _IO('x', nr), NULL), -EFAULT);
		}
		assert_int_equal(iommufd_ioctl(fd.ctx, _IO('x', nr), &cmd), -ENOTTY);
		assert_int_equal(iommufd_ioctl(fd.ctx, _IOR(IOMMUFD_TYPE, nr, cmd), &cmd), -ENOTTY);
		if (!known) {
			assert_int_equal(iommufd_ioctl(fd.ctx, number, &cmd), -ENOTTY);
			if (nr < IOMMUFD_CMD_BASE || nr > IOMMUFD_CMD_IOAS_CHANGE_PROCESS)
				assert_int_equal(iommufd_ioctl(fd.ctx, number, NULL), -ENOTTY);
		}
	}
	fd_close(&fd);
}

static void destroying(void **state)
{
	struct mem_cgroup *memcg = enter_cgroup(NULL);
	struct hardware hw = {0};
	struct iommu_device *dev = new_device(&hw, NULL);
	struct iommufd_device_ops ops = {0};
	struct iommufd_device *idev;
	uint32_t ioas, pt, id;
	struct fd fd;

	fd_open(&fd);
	assert_int_equal(destroy(&fd, 0), -ENOENT);
	assert_int_equal(destroy(&fd, 1), -ENOENT);
	assert_int_equal(destroy(&fd, UINT32_MAX), -ENOENT);
	ioas = pt = new_ioas(&fd);
	assert_int_equal(ioas, 1);
	idev = iommufd_device_bind(fd.ctx, dev, &ops, NULL, &id);
	assert_false(IS_ERR(idev));
	assert_int_equal(destroy(&fd, id), -EBUSY);
	assert_int_equal(iommufd_device_attach(idev, &pt), 0);
	assert_int_not_equal(pt, ioas);
	assert_int_equal(destroy(&fd, ioas), -EBUSY);
	assert_int_equal(destroy(&fd, pt), -EBUSY);
	iommufd_device_detach(idev);
	/* It was made for the attach. */
	assert_int_equal(destroy(&fd, pt), -ENOENT);
	assert_int_equal(destroy(&fd, ioas), 0);
	assert_int_equal(destroy(&fd, ioas), -ENOENT);
	iommufd_device_unbind(idev);
	assert_int_equal(destroy(&fd, id), -ENOENT);
	assert_int_equal(new_ioas(&fd), 1);
	fd_close(&fd);
	iommu_device_unregister(dev);
	leave_cgroup(memcg);
}

/* A context may go with a device that is still bound and attached. */
static void closing_unbinds(void **state)
{
	struct mem_cgroup *memcg = enter_cgroup(NULL);
	struct hardware hw = {0};
	struct iommu_device *dev = new_device(&hw, NULL);
	struct iommufd_device_ops ops = {0};
	struct iommufd_device *idev;
	uint32_t pt, id;
	struct fd fd;

	fd_open(&fd);
	pt = new_ioas(&fd);
	idev = iommufd_device_bind(fd.ctx, dev, &ops, NULL, &id);
	assert_false(IS_ERR(idev));
	assert_int_equal(iommufd_device_attach(idev, &pt), 0);
	assert_non_null(hw.uses);
	fd_close(&fd);
	assert_null(hw.uses);
	iommu_device_unregister(dev);
	leave_cgroup(memcg);
}

/* Ids are the lowest free ones, against a plain array. */
static void ids(void **state)
{
	enum {
		MOST = 9000
	};
	static bool used[MOST + 2];
	uint64_t seed = 0x1d5;
	unsigned int count = 0;
	struct fd fd;

	memset(used, 0, sizeof(used));
	print_message("# seed %#lx\n", (unsigned long)seed);
	fd_open(&fd);
	for (unsigned int step = 0; step < 30000; step++) {
		/* First more and more, then fewer and fewer. */
		bool grow = random_below(&seed, 10) < (step < 15000 ? 8 : 2);
		uint32_t id = 1;

		if (grow && count < MOST) {
			while (used[id])
				id++;
			assert_int_equal(new_ioas(&fd), id);
			used[id] = true;
			count++;
		} else {
			id = (uint32_t)random_below(&seed, MOST + 1);
			assert_int_equal(destroy(&fd, id), used[id] ? 0 : -ENOENT);
			count -= used[id];
			used[id] = false;
		}
	}
	for (uint32_t id = 0; id <= MOST; id++)
		if (used[id])
			assert_int_equal(destroy(&fd, id), 0);
	fd_close(&fd);
}

/* Objects without end meet the budget, and the earlier ones are none the worse. */
static void budget(void **state)
{
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd)};
	uint32_t count = 0;
	struct fd fd;
	int rc;

	fd_open(&fd);
	cgroup_limit(fd.memcg, 1 << 20);
	while (!(rc = iommufd_ioctl(fd.ctx, IOMMU_IOAS_ALLOC, &cmd)))
		count++;
	assert_int_equal(rc, -ENOMEM);
	assert_true(count > 100);
	assert_int_equal(iommufd_ioctl(fd.ctx, IOMMU_IOAS_ALLOC, &cmd), -ENOMEM);
	assert_int_equal(destroy(&fd, count), 0);
	assert_int_equal(new_ioas(&fd), count);
	fd_close(&fd);
}

static int option(const struct fd *fd, struct iommu_option *cmd)
{
	cmd->size = sizeof(*cmd);
	return iommufd_ioctl(fd->ctx, IOMMU_OPTION, cmd);
}

static void assert_option(const struct fd *fd, uint32_t id, uint32_t object, uint64_t value)
{
	struct iommu_option cmd = {
		.option_id = id, .object_id = object, .val64 = 3, .op = IOMMU_OPTION_OP_GET};

	assert_int_equal(option(fd, &cmd), 0);
	assert_int_equal(cmd.val64, value);
}

static int set_option(const struct fd *fd, uint32_t id, uint32_t object, uint64_t value)
{
	struct iommu_option cmd = {.option_id = id, .object_id = object, .val64 = value};

	return option(fd, &cmd);
}

static void options(void **state)
{
	struct fd fd;
	uint32_t ioas;

	fd_open(&fd);
	assert_option(&fd, IOMMU_OPTION_RLIMIT_MODE, 0, 0);
	if (geteuid() == 0) {
		assert_int_equal(set_option(&fd, IOMMU_OPTION_RLIMIT_MODE, 0, 1), 0);
		assert_int_equal(set_option(&fd, IOMMU_OPTION_RLIMIT_MODE, 0, 2), -EINVAL);
		assert_option(&fd, IOMMU_OPTION_RLIMIT_MODE, 0, 1);
		assert_int_equal(set_option(&fd, IOMMU_OPTION_RLIMIT_MODE, 0, 0), 0);
	}
	assert_int_equal(set_option(&fd, IOMMU_OPTION_RLIMIT_MODE, 1, 0), -EOPNOTSUPP);
	assert_int_equal(set_option(&fd, IOMMU_OPTION_HUGE_PAGES, 0, 0), -ENOENT);
	assert_int_equal(option(&fd, &(struct iommu_option){.option_id = 2}), -EOPNOTSUPP);
	assert_int_equal(option(&fd, &(struct iommu_option){.op = 2}), -EOPNOTSUPP);
	assert_int_equal(option(&fd, &(struct iommu_option){.__reserved = 1}), -EOPNOTSUPP);

	ioas = new_ioas(&fd);
	assert_option(&fd, IOMMU_OPTION_HUGE_PAGES, ioas, 1);
	assert_int_equal(set_option(&fd, IOMMU_OPTION_HUGE_PAGES, ioas, 2), -EINVAL);
	assert_int_equal(set_option(&fd, IOMMU_OPTION_HUGE_PAGES, ioas, 0), 0);
	assert_option(&fd, IOMMU_OPTION_HUGE_PAGES, ioas, 0);
	assert_int_equal(set_option(&fd, IOMMU_OPTION_HUGE_PAGES, ioas, 1), 0);
	assert_option(&fd, IOMMU_OPTION_HUGE_PAGES, ioas, 1);
	assert_int_equal(option(&fd, &(struct iommu_option){.option_id = IOMMU_OPTION_HUGE_PAGES,
							    .object_id = ioas,
							    .op = 2}),
			 -EOPNOTSUPP);
	if (geteuid() == 0)
		assert_int_equal(set_option(&fd, IOMMU_OPTION_RLIMIT_MODE, 0, 1), -EBUSY);
	assert_int_equal(destroy(&fd, ioas), 0);
	fd_close(&fd);
}

static void accounting_needs_privilege(void **state)
{
	struct fd fd;
	pid_t child;
	int status;

	if (geteuid() != 0)
		skip();
	fd_open(&fd);
	child = fork();
	if (!child) {
		if (setresuid(65534, 65534, 65534))
			_exit(2);
		_exit(set_option(&fd, IOMMU_OPTION_RLIMIT_MODE, 0, 1) == -EPERM ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	fd_close(&fd);
}

static unsigned int walked;

static void walk(void *arg, const struct iommufd_object_info *info)
{
	walked++;
	assert_int_equal(info->type, IOMMUFD_OBJ_IOAS);
	assert_int_equal(info->created_cmd, IOMMU_IOAS_ALLOC);
	assert_int_equal(info->id, walked);
}

static void inspection(void **state)
{
	struct fd fd;

	fd_open(&fd);
	new_ioas(&fd);
	new_ioas(&fd);
	walked = 0;
	iommufd_for_each_object(fd.ctx, walk, NULL);
	assert_int_equal(walked, 2);
	assert_string_equal(iommufd_object_type_name(IOMMUFD_OBJ_IOAS), "IOAS");
	assert_string_equal(iommufd_ioctl_name(IOMMU_IOAS_ALLOC), "IOMMU_IOAS_ALLOC");
	assert_string_equal(iommufd_ioctl_name(VFIO_SET_IOMMU), "VFIO_SET_IOMMU");
	assert_null(iommufd_ioctl_name(_IO('x', 0x81)));
	fd_close(&fd);
}

static void bad_configurations(void **state)
{
	const struct iommufd_config bad[] = {
		{.format = NULL},
		{.format = "none"},
		{.format = "vtd", .address_width = 1},
		{.format = "vtd", .address_width = 99},
		{.format = "vtd", .phys = 3},
	};
	struct mem_cgroup *memcg = enter_cgroup(NULL);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(PTR_ERR(iommufd_ctx_create(&bad[i])), -EINVAL);
	leave_cgroup(memcg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(struct_growth),
		cmocka_unit_test(short_answers),
		cmocka_unit_test(bad_pointers),
		cmocka_unit_test(read_only_structs),
		cmocka_unit_test(unknown_numbers),
		cmocka_unit_test(destroying),
		cmocka_unit_test(closing_unbinds),
		cmocka_unit_test(ids),
		cmocka_unit_test(budget),
		cmocka_unit_test(options),
		cmocka_unit_test(accounting_needs_privilege),
		cmocka_unit_test(inspection),
		cmocka_unit_test(bad_configurations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
