/* SPDX-License-Identifier: MIT */
/*
 * The arguments of another process's call are read once: what another thread of it writes
 * to them meanwhile is not seen. Here it writes as soon as they have been read.
 */
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "iommufd/pages.h"
#include "iommufd/user.h"
#include "tests/iommufd.h"

#define IOVA (64ul << 20)

static unsigned int reads;
static void *arguments;
static size_t size;

ssize_t __real_process_vm_readv(pid_t pid, const struct iovec *local, unsigned long nr_local,
				const struct iovec *remote, unsigned long nr_remote,
				unsigned long flags);
ssize_t __wrap_process_vm_readv(pid_t pid, const struct iovec *local, unsigned long nr_local,
				const struct iovec *remote, unsigned long nr_remote,
				unsigned long flags);

ssize_t __wrap_process_vm_readv(pid_t pid, const struct iovec *local, unsigned long nr_local,
				const struct iovec *remote, unsigned long nr_remote,
				unsigned long flags)
{
	ssize_t n = __real_process_vm_readv(pid, local, nr_local, remote, nr_remote, flags);

	reads++;
	memset(arguments, 0xff, size);
	return n;
}

static struct iommufd_mm *own_mm(struct iommufd_caller *caller)
{
	return iommufd_mm_own();
}

static bool is_valid(struct iommufd_caller *caller)
{
	return true;
}

static int call(struct fd *fd, unsigned int cmd, const void *wanted, size_t wanted_size)
{
	struct iommufd_caller caller = {
		.tid = getpid(), .pid = getpid(), .mm = own_mm, .is_valid = is_valid};
	int ret;

	size = wanted_size;
	memcpy(arguments, wanted, size);
	reads = 0;
	iommufd_caller = &caller;
	ret = iommufd_ioctl(fd->ctx, cmd, arguments);
	iommufd_caller = NULL;
	assert_int_equal(reads, 1);
	return ret;
}

static void check_calls(void)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)}, done;
	struct iommu_ioas_map map = {.size = sizeof(map),
				     .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
				     .user_va = IOVA,
				     .length = 4096,
				     .iova = IOVA};
	struct iommu_ioas_unmap unmap = {.size = sizeof(unmap), .iova = IOVA, .length = 4096};
	struct iommu_destroy destroy = {.size = sizeof(destroy)};
	struct fd fd;

	fd_open(&fd);
	assert_int_equal(call(&fd, IOMMU_IOAS_ALLOC, &alloc, sizeof(alloc)), 0);
	memcpy(&done, arguments, sizeof(done));
	map.ioas_id = unmap.ioas_id = destroy.id = done.out_ioas_id;
	assert_int_equal(call(&fd, IOMMU_IOAS_MAP, &map, sizeof(map)), 0);
	assert_int_equal(call(&fd, IOMMU_IOAS_MAP, &map, sizeof(map)), -EEXIST);
	assert_int_equal(call(&fd, IOMMU_IOAS_UNMAP, &unmap, sizeof(unmap)), 0);
	assert_int_equal(call(&fd, IOMMU_IOAS_UNMAP, &unmap, sizeof(unmap)), -ENOENT);
	assert_int_equal(call(&fd, IOMMU_DESTROY, &destroy, sizeof(destroy)), 0);
	assert_int_equal(call(&fd, IOMMU_DESTROY, &destroy, sizeof(destroy)), -ENOENT);
	fd_close(&fd);
}

/* In one page, and at each place across the end of one. */
static void read_once(void **state)
{
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(pages, MAP_FAILED);
	for (size_t before = 0; before <= sizeof(struct iommu_ioas_map); before += 8) {
		arguments = pages + 4096 - before;
		check_calls();
	}
	munmap(pages, 8192);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(read_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
