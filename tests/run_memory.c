/* SPDX-License-Identifier: MIT */
/*
 * What tests/run_memory.py runs under `uiommu run`: files that are mapped, and memory that
 * the program takes away or replaces while it is mapped. The first argument says which
 * part; 77 means that the machine has not what it takes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "iommufd/test_abi.h"
#include "run_program.h"

#define PAGE     4096ul
#define TMPFS    0x01021994
#define HUGE_2MB (21u << 26) /* of <linux/memfd.h> */

static int fd;
static uint32_t ioas;

static int map_file(int file, uint64_t start, uint64_t length, uint64_t iova, uint32_t flags)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | flags,
		.ioas_id = ioas,
		.fd = file,
		.start = start,
		.length = length,
		.iova = iova,
	};

	return ioctl(fd, IOMMU_IOAS_MAP_FILE, &cmd);
}

static const uint32_t rw = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE;

/* Files that the kernel pins, and those that it does not. */
static void test_files(void)
{
	int memfd = memfd_create("guest", MFD_ALLOW_SEALING), device, readonly, ends[2];
	int plain = open("/proc/self/exe", O_RDONLY);
	struct statfs fs;
	char path[32];

	fd = open_iommu();
	ioas = ioas_alloc(fd);
	device = attach(fd, ioas);
	check(memfd >= 0 && !ftruncate(memfd, M) && !pipe(ends));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", memfd);
	readonly = open(path, O_RDONLY);
	check(readonly >= 0);
	check(!map_file(memfd, 0, M, M, rw));
	check_errno(map_file(memfd, 0, M, M, rw), EEXIST);
	check(!map_file(readonly, 0, PAGE, 16 * M, IOMMU_IOAS_MAP_READABLE));
	check(!map_file(readonly, 0, PAGE, 17 * M, rw));
	check_errno(map_file(memfd, M, PAGE, 18 * M, rw), EINVAL);
	check_errno(map_file(memfd, M - PAGE, 2 * PAGE, 18 * M, rw), EINVAL);
	check_errno(map_file(memfd, 1ull << 63, PAGE, 18 * M, rw), EINVAL);
	check_errno(map_file(memfd, UINT64_MAX, 2, 18 * M, rw), EOVERFLOW);
	check_errno(map_file(memfd, 0, 0, 18 * M, rw), EINVAL);
	check_errno(map_file(memfd, 0, PAGE, 18 * M, 0), EINVAL);
	check(plain >= 0 && !fstatfs(plain, &fs));
	if (fs.f_type != TMPFS)
		check_errno(map_file(plain, 0, PAGE, 18 * M, IOMMU_IOAS_MAP_READABLE), EINVAL);
	check_errno(map_file(open("/dev/zero", O_RDWR), 0, PAGE, 18 * M, rw), EINVAL);
	check_errno(map_file(ends[0], 0, PAGE, 18 * M, rw), EINVAL);
	check_errno(map_file(-1, 0, PAGE, 18 * M, rw), EBADF);
	check_errno(map_file(1000, 0, PAGE, 18 * M, rw), EBADF);
	/* Those of ours are devices to the program, whatever they are made of. */
	check_errno(map_file(fd, 0, PAGE, 18 * M, rw), EINVAL);
	check_errno(map_file(device, 0, PAGE, 18 * M, rw), EINVAL);
	check(unmap(fd, ioas, 0, SIZE_MAX) == 256 + 2);
	check(!close(memfd) && !close(readonly));
}

/* A range that is not whole huge pages, and a file of which nobody but the kernel is left. */
static void test_huge(void)
{
	const size_t huge = 2 * M;
	int file = memfd_create("guest", MFD_HUGETLB | HUGE_2MB);
	char *at;

	if (file < 0 || ftruncate(file, (off_t)(2 * huge)))
		exit(77);
	at = mmap(NULL, 2 * huge, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (at == MAP_FAILED)
		exit(77);
	fd = open_iommu();
	ioas = ioas_alloc(fd);
	attach(fd, ioas);
	check(!map_file(file, 0, 2 * huge, 16 * M, rw));
	check(!map_file(file, huge + PAGE, 3 * PAGE, 32 * M, rw));
	check_errno(map_file(file, 2 * huge, PAGE, 64 * M, rw), EINVAL);
	check(!map(fd, ioas, at, huge, 128 * M));
	check(!munmap(at, 2 * huge) && !close(file));
	check(unmap(fd, ioas, 0, SIZE_MAX) == (int)((3 * huge) / PAGE) + 3);
}

/* What a process has mapped of a file stays pinned when that process and the file's name end. */
static void test_outlives(void)
{
	struct iommu_test_cmd mock = {.size = sizeof(mock), .op = IOMMU_TEST_OP_MOCK_DOMAIN};
	struct iommu_test_cmd access = {.size = sizeof(access), .op = IOMMU_TEST_OP_CREATE_ACCESS};
	struct iommu_test_cmd copy = {.size = sizeof(copy), .op = IOMMU_TEST_OP_ACCESS_RW};
	char text[16] = "";
	pid_t child;

	fd = open_iommu();
	ioas = mock.id = access.id = ioas_alloc(fd);
	check(!ioctl(fd, IOMMU_TEST_CMD, &mock));
	check(!ioctl(fd, IOMMU_TEST_CMD, &access));
	child = fork();
	if (!child) {
		int file = memfd_create("guest", 0);
		char *at;

		check(file >= 0 && !ftruncate(file, M));
		at = mmap(NULL, M, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
		check(at != MAP_FAILED);
		strcpy(at + 5 * PAGE, "of the child");
		check(!map(fd, ioas, at, M, 32 * M));
		_exit(0);
	}
	wait_for(child, 0);
	copy.id = access.create_access.out_access_fd;
	copy.access_rw.iova = 32 * M + 5 * PAGE;
	copy.access_rw.length = sizeof("of the child");
	copy.access_rw.uptr = (uintptr_t)text;
	check(!ioctl(fd, IOMMU_TEST_CMD, &copy));
	check(!strcmp(text, "of the child"));
	check(unmap(fd, ioas, 32 * M, M) == 256);
}

/* ---- memory that is mapped for devices, and then is no longer there ---- */

static char *mapped;

static void begin(void)
{
	fd = open_iommu();
	ioas = ioas_alloc(fd);
	attach(fd, ioas);
	mapped = memory(4 * M);
	check(!map(fd, ioas, mapped, 4 * M, 1ul << 30));
}

static void end(void)
{
	check(unmap(fd, ioas, 1ul << 30, 4 * M) == 1024);
}

static void test_munmap(void)
{
	begin();
	check(!munmap(mapped + M, M));
	end();
}

static void test_moved(void)
{
	begin();
	check(mremap(mapped, 4 * M, 4 * M, MREMAP_MAYMOVE | MREMAP_FIXED, memory(4 * M)) !=
	      MAP_FAILED);
	end();
}

static void test_shrunk(void)
{
	begin();
	check(mremap(mapped, 4 * M, 3 * M, 0) == mapped);
	end();
}

static void test_replaced(void)
{
	begin();
	check(mmap(mapped + M, M, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		   -1, 0) == mapped + M);
	end();
}

/*
 * What is not mapped, and what is given back after it was unmapped, is told of nowhere;
 * nor is what a child does with its own.
 */
static void test_in_order(void)
{
	pid_t child;

	begin();
	check(!munmap(memory(M), M));
	child = fork();
	if (!child)
		_exit(munmap(mapped, 4 * M) ? 1 : 0);
	wait_for(child, 0);
	end();
	check(!munmap(mapped, 4 * M));
}

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{"files", test_files},       {"huge", test_huge},         {"outlives", test_outlives},
	{"munmap", test_munmap},     {"moved", test_moved},       {"shrunk", test_shrunk},
	{"replaced", test_replaced}, {"in-order", test_in_order},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < sizeof(tests) / sizeof(tests[0]); i++)
		if (!strcmp(argv[1], tests[i].name)) {
			tests[i].run();
			return 0;
		}
	printf("no such test\n");
	return 1;
}
