/* SPDX-License-Identifier: MIT */
/*
 * Memory of files in IO address spaces: which files, and when the kernel finds out
 * that it cannot pin one.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "iommufd/pages.h"
#include "tests/iommufd.h"

#define IOVA (64ul << 20)

static struct iommufd_ioas *ioas_of(const struct fd *fd, uint32_t id)
{
	struct iommufd_ioas *ioas = iommufd_get_object(fd->ctx, id, IOMMUFD_OBJ_IOAS);

	assert_false(IS_ERR(ioas));
	return ioas;
}

static int map_file(const struct fd *fd, uint32_t ioas, int file, uint64_t start, uint64_t length)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.fd = file,
		.start = start,
		.length = length,
		.iova = IOVA,
	};

	return iommufd_ioctl(fd->ctx, IOMMU_IOAS_MAP_FILE, &cmd);
}

static int change_process(const struct fd *fd)
{
	struct iommu_ioas_change_process cmd = {.size = sizeof(cmd)};

	return iommufd_ioctl(fd->ctx, IOMMU_IOAS_CHANGE_PROCESS, &cmd);
}

static const struct iommufd_access_ops plain_ops = {0};

static void files(void **state)
{
	int memfd = memfd_create("guest", 0);
	struct iommufd_access *access;
	char text[8] = "";
	uint64_t at = 0;
	uint32_t ioas, id;
	struct fd fd;

	assert_int_equal(ftruncate(memfd, 16 * PAGE), 0);
	fd_open(&fd);
	ioas = new_ioas(&fd);
	assert_int_equal(map_file(&fd, ioas, -1, 0, PAGE), -EBADF);
	assert_int_equal(map_file(&fd, ioas, -1, 0, 0), -EINVAL);
	assert_int_equal(map_file(&fd, ioas, -1, UINT64_MAX, 2), -EOVERFLOW);
	assert_int_equal(map_file(&fd, ioas, memfd, 0, 0), -EINVAL);
	assert_int_equal(map_file(&fd, ioas, memfd, UINT64_MAX - PAGE, 2 * PAGE), -EOVERFLOW);
	assert_int_equal(map_file(&fd, ioas, memfd, 3 * PAGE + 100, 2 * PAGE), 0);
	assert_int_equal(change_process(&fd), 0);
	access = iommufd_access_create(fd.ctx, &plain_ops, NULL, &id);
	assert_int_equal(iommufd_access_attach(access, ioas), 0);
	assert_int_equal(iommufd_access_rw(access, IOVA + PAGE, "hello", 6, 1), 0);
	assert_int_equal(pread(memfd, text, 6, 4 * PAGE + 100), 6);
	assert_string_equal(text, "hello");
	iommufd_access_destroy(access);
	assert_int_equal(iopt_map_user_pages(&ioas_of(&fd, ioas)->iopt, &at, (uintptr_t)text, 1,
					     IOMMU_READ, IOPT_FIXED),
			 0);
	assert_int_equal(change_process(&fd), -EINVAL);
	fd_close(&fd);
	close(memfd);
}

/* One file of each kind, and what of it the kernel can pin. */
struct file_kind {
	const char *name;
	int fd;
	uint64_t start, length;
	int pinned; /* 0 or -EINVAL */
};

/*
 * Where a domain has the IOAS the pages are pinned at once; else what cannot be
 * pinned is found out by the first domain, and by an access.
 */
static void check_kind(const struct file_kind *kind)
{
	struct iommu_domain_params params = {.format = "vtd"};
	struct iommu_domain *domain = iommu_domain_alloc(&params, GFP_KERNEL);
	struct iommufd_access *access;
	uint32_t ioas, id;
	char byte = 0;
	struct fd fd;
	int ret;

	print_message("# %s\n", kind->name);
	fd_open(&fd);
	ioas = new_ioas(&fd);
	assert_int_equal(map_file(&fd, ioas, kind->fd, kind->start, kind->length), 0);
	access = iommufd_access_create(fd.ctx, &plain_ops, NULL, &id);
	assert_int_equal(iommufd_access_attach(access, ioas), 0);
	assert_int_equal(iommufd_access_rw(access, IOVA, &byte, 1, 0), kind->pinned);
	iommufd_access_destroy(access);
	ret = iopt_table_add_domain(&ioas_of(&fd, ioas)->iopt, domain);
	assert_int_equal(ret, kind->pinned);
	if (!ret)
		iopt_table_remove_domain(&ioas_of(&fd, ioas)->iopt, domain);
	assert_int_equal(iopt_unmap_all(&ioas_of(&fd, ioas)->iopt, NULL), 0);
	assert_int_equal(iopt_table_add_domain(&ioas_of(&fd, ioas)->iopt, domain), 0);
	assert_int_equal(map_file(&fd, ioas, kind->fd, kind->start, kind->length), kind->pinned);
	iopt_table_remove_domain(&ioas_of(&fd, ioas)->iopt, domain);
	iommu_domain_free(domain);
	fd_close(&fd);
}

/* Reading the first byte of a range that no domain has. */
static void check_byte(int file, uint64_t start, uint64_t length, int expected)
{
	struct iommufd_access *access;
	uint32_t ioas, id;
	char byte = 0;
	struct fd fd;

	fd_open(&fd);
	ioas = new_ioas(&fd);
	assert_int_equal(map_file(&fd, ioas, file, start, length), 0);
	access = iommufd_access_create(fd.ctx, &plain_ops, NULL, &id);
	assert_int_equal(iommufd_access_attach(access, ioas), 0);
	assert_int_equal(iommufd_access_rw(access, IOVA, &byte, 1, 0), expected);
	iommufd_access_destroy(access);
	fd_close(&fd);
}

/* A file beside the test's own program, which is on no tmpfs when the build is not. */
static int plain_file(bool *tmpfs)
{
	struct statfs fs;
	int fd = open("iommufd_pages.tmp", O_RDWR | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 0);
	assert_int_equal(unlink("iommufd_pages.tmp"), 0);
	assert_int_equal(ftruncate(fd, 16 * PAGE), 0);
	assert_int_equal(fstatfs(fd, &fs), 0);
	*tmpfs = fs.f_type == 0x01021994;
	return fd;
}

static void file_kinds(void **state)
{
	int memfd = memfd_create("guest", MFD_ALLOW_SEALING), odd = memfd_create("odd", 0);
	int pipes[2], zero = open("/dev/zero", O_RDWR), directory = open("/", O_RDONLY);
	char path[32], *memory = map_pages(1);
	bool tmpfs;
	int plain = plain_file(&tmpfs), again;

	assert_int_equal(ftruncate(memfd, 16 * PAGE), 0);
	assert_int_equal(ftruncate(odd, PAGE + 100), 0);
	assert_int_equal(pipe(pipes), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", memfd);
	again = open(path, O_RDONLY);
	const struct file_kind kinds[] = {
		{"a memfd", memfd, 0, 16 * PAGE, 0},
		{"a part of it", memfd, 3 * PAGE, PAGE, 0},
		{"opened read-only", again, 0, PAGE, 0},
		{"the last page and one more", memfd, 15 * PAGE, 2 * PAGE, -EINVAL},
		{"behind the end", memfd, 16 * PAGE, PAGE, -EINVAL},
		{"far behind it", memfd, 1ull << 40, PAGE, -EINVAL},
		{"more than there is memory", memfd, 0, 1ull << 46, -EINVAL},
		{"at a negative offset", memfd, 1ull << 63, PAGE, -EINVAL},
		{"a whole page of an odd memfd", odd, 0, PAGE, 0},
		{"a page that it has in part", odd, PAGE, PAGE, -EINVAL},
		{"/dev/zero", zero, 0, PAGE, -EINVAL},
		{"an address of ours as the offset", zero, (uintptr_t)memory, PAGE, -EINVAL},
		{"a pipe", pipes[0], 0, PAGE, -EINVAL},
		{"a directory", directory, 0, PAGE, -EINVAL},
		{"a plain file", plain, 0, PAGE, tmpfs ? 0 : -EINVAL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		check_kind(&kinds[i]);
	/* Without an HWPT a range may end within a page, which is pinned as a whole. */
	check_byte(odd, PAGE, 100, -EINVAL);
	check_byte(odd, PAGE - 100, 100, 0);
	/* A seal is not asked for either. */
	assert_int_equal(fcntl(memfd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
	check_kind(&(struct file_kind){"sealed", memfd, 0, 16 * PAGE, 0});
	unmap_pages(memory, 1);
	close(memfd);
	close(odd);
	close(zero);
	close(directory);
	close(plain);
	close(again);
	close(pipes[0]);
	close(pipes[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files),
		cmocka_unit_test(file_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
