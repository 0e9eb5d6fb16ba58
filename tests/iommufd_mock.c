/* SPDX-License-Identifier: MIT */
/*
 * The mock table against an array, and the edges of the test ABI that the
 * kernel's own tests (make conformance) leave out.
 */
#include <uiommu/dirty.h>

#include "iommufd/test_abi.h"
#include "tests/iommufd.h"

#define SEED       0x6d6f636bULL
#define MOCK_PAGE  ((uint64_t)MOCK_IO_PAGE_SIZE)
#define MOCK_HUGE  (512 * MOCK_PAGE)
#define MODEL_SIZE 4096u /* pages: four huge ones, twice */

static struct iommu_domain *mock_domain(uint64_t pgsizes)
{
	const struct iommu_domain_params params = {
		.type = IOMMU_DOMAIN_UNMANAGED,
		.format = "mock",
		.pgsizes = pgsizes,
	};
	struct iommu_domain *domain = iommu_domain_alloc(&params, GFP_KERNEL_ACCOUNT);

	assert_false(IS_ERR(domain));
	return domain;
}

static void is_known_but_not_listed(void **state)
{
	const struct iommu_format *format = iommu_format_find("mock"), *each = NULL;

	assert_non_null(format);
	while ((each = iommu_format_next(each)))
		assert_ptr_not_equal(each, format);
	assert_null(iommu_format_next(format));
}

static void keeps_to_its_aperture(void **state)
{
	struct mem_cgroup *memcg = enter_cgroup(NULL);
	struct iommu_domain *domain = mock_domain(0);
	struct iommu_domain_info info = domain_info(domain);
	uint64_t first = MOCK_APERTURE_START, end = MOCK_APERTURE_LAST + 1;

	assert_int_equal(info.aperture_start, first);
	assert_int_equal(info.aperture_last, end - 1);
	assert_int_equal(info.pgsizes, 2 * MOCK_HUGE - MOCK_PAGE);
	assert_int_equal(iommu_map(domain, first - MOCK_PAGE, MOCK_PAGE, MOCK_PAGE, RW, GFP_KERNEL),
			 -ERANGE);
	assert_int_equal(
		iommu_map(domain, first - MOCK_PAGE, MOCK_PAGE, 2 * MOCK_PAGE, RW, GFP_KERNEL),
		-ERANGE);
	assert_int_equal(iommu_map(domain, end, MOCK_PAGE, MOCK_PAGE, RW, GFP_KERNEL), -ERANGE);
	assert_int_equal(iommu_map(domain, first, MOCK_PAGE, MOCK_PAGE, RW, GFP_KERNEL), 0);
	assert_int_equal(iommu_map(domain, end - MOCK_PAGE, 0, MOCK_PAGE, RW, GFP_KERNEL), 0);
	assert_int_equal(iommu_iova_to_phys(domain, first + 5), MOCK_PAGE + 5);
	assert_int_equal(iommu_unmap(domain, first, MOCK_PAGE), MOCK_PAGE);
	assert_int_equal(iommu_unmap(domain, end - MOCK_PAGE, MOCK_PAGE), MOCK_PAGE);
	assert_int_equal(count_tables(domain), 1);
	iommu_domain_free(domain);
	leave_cgroup(memcg);
}

/* Large pages only where the domain was given them. */
static void large_pages(void **state)
{
	uint64_t iova = MOCK_APERTURE_START;
	struct iommu_domain *small = mock_domain(MOCK_PAGE), *both = mock_domain(0);

	assert_int_equal(iommu_map(small, iova, MOCK_HUGE, MOCK_HUGE, RW, GFP_KERNEL), 0);
	assert_int_equal(iommu_map(both, iova, MOCK_HUGE, MOCK_HUGE, RW, GFP_KERNEL), 0);
	assert_int_equal(count_tables(small), 3);
	assert_int_equal(count_tables(both), 2);
	assert_int_equal(iommu_unmap(small, iova + MOCK_PAGE, MOCK_PAGE), MOCK_PAGE);
	assert_int_equal(iommu_unmap(both, iova + MOCK_PAGE, MOCK_PAGE), MOCK_HUGE);
	iommu_domain_free(small);
	iommu_domain_free(both);
}

static void check_all(struct iommu_domain *domain, const uint64_t *paddr)
{
	for (unsigned int i = 0; i < MODEL_SIZE; i++)
		assert_int_equal(iommu_iova_to_phys(domain, MOCK_APERTURE_START + i * MOCK_PAGE),
				 paddr[i]);
}

/* Pages in an array, at random. */
static void agrees_with_an_array(void **state)
{
	static uint64_t paddr[MODEL_SIZE];
	struct mem_cgroup *memcg = enter_cgroup(NULL);
	struct iommu_domain *domain = mock_domain(MOCK_PAGE);
	uint64_t seed = SEED;

	print_message("seed %#llx\n", SEED);
	for (unsigned int round = 0; round < 20000; round++) {
		unsigned int first = (unsigned int)random_below(&seed, MODEL_SIZE), n = 0;
		unsigned int most = 1 + (unsigned int)random_below(&seed, MODEL_SIZE - first);
		uint64_t iova = MOCK_APERTURE_START + first * MOCK_PAGE;
		uint64_t to = MOCK_PAGE * (1 + random_below(&seed, 1u << 20));
		bool mapped = paddr[first];

		while (n < most && !paddr[first + n] == !mapped)
			n++;
		if (mapped)
			assert_int_equal(iommu_unmap(domain, iova, n * MOCK_PAGE), n * MOCK_PAGE);
		else
			assert_int_equal(iommu_map(domain, iova, to, n * MOCK_PAGE, RW, GFP_KERNEL),
					 0);
		for (unsigned int i = 0; i < n; i++)
			paddr[first + i] = mapped ? 0 : to + i * MOCK_PAGE;
		if (round % 1000 == 0)
			check_all(domain, paddr);
	}
	check_all(domain, paddr);
	iommu_domain_free(domain);
	leave_cgroup(memcg);
}

/* ---- the test ABI ---- */

/* Its descriptors are numbers from 100 on; only one is needed at a time. */
static void *the_file;

static int install_file(void *context, enum iommufd_file_kind kind, void *file)
{
	the_file = file;
	return 100;
}

static void remove_file(void *context, int fd)
{
	the_file = NULL;
}

static int with_file(void *context, enum iommufd_file_kind kind, int fd,
		     int (*call)(void *file, void *arg), void *arg)
{
	return fd == 100 && the_file ? call(the_file, arg) : -EBADFD;
}

static const struct iommufd_host host = {
	.install_file = install_file,
	.remove_file = remove_file,
	.with_file = with_file,
};

static void open_tested(struct fd *fd)
{
	fd_open_as(fd, (struct iommufd_config){.format = "vtd", .test_abi = true, .host = &host});
}

static int test(struct fd *fd, struct iommu_test_cmd *cmd)
{
	cmd->size = sizeof(*cmd);
	return iommufd_ioctl(fd->ctx, IOMMU_TEST_CMD, cmd);
}

static void is_off_unless_asked_for(void **state)
{
	struct iommu_test_cmd cmd = {.op = IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT,
				     .memory_limit.limit = 65536};
	struct fd fd;

	fd_open(&fd);
	assert_int_equal(test(&fd, &cmd), -ENOTTY);
	fd_close(&fd);
	open_tested(&fd);
	assert_int_equal(test(&fd, &cmd), 0);
	cmd.memory_limit.limit = 12;
	assert_int_equal(test(&fd, &cmd), 0);
	cmd.memory_limit.limit = 11;
	assert_int_equal(test(&fd, &cmd), -EINVAL);
	for (cmd.op = IOMMU_TEST_OP_DMABUF_REVOKE + 1; cmd.op; cmd.op <<= 1)
		assert_int_equal(test(&fd, &cmd), -EOPNOTSUPP);
	assert_int_equal(test(&fd, &cmd), -EOPNOTSUPP);
	fd_close(&fd);
}

static void refuses_what_it_must(void **state)
{
	struct fd fd;
	uint32_t ioas;

	open_tested(&fd);
	ioas = new_ioas(&fd);
#define refuses(error, ...)                                      \
	do {                                                     \
		struct iommu_test_cmd cmd = {.op = __VA_ARGS__}; \
		assert_int_equal(test(&fd, &cmd), -(error));     \
	} while (0)
	refuses(EINVAL, IOMMU_TEST_OP_ADD_RESERVED, .id = ioas);
	refuses(EOVERFLOW, IOMMU_TEST_OP_ADD_RESERVED, .id = ioas, .add_reserved = {2, -1ULL});
	refuses(ENOENT, IOMMU_TEST_OP_ADD_RESERVED, .id = ioas + 1, .add_reserved = {2, 1});
	refuses(EINVAL, IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS, .id = ioas, .mock_domain.dev_flags = 8);
	refuses(ENOENT, IOMMU_TEST_OP_MOCK_DOMAIN, .id = ioas + 7);
	refuses(ENOENT, IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, .id = ioas);
	refuses(EINVAL, IOMMU_TEST_OP_MD_CHECK_MAP, .check_map = {1, PAGE, PAGE});
	refuses(ENOENT, IOMMU_TEST_OP_MD_CHECK_MAP, .id = ioas, .check_map = {0, PAGE, PAGE});
	refuses(EINVAL, IOMMU_TEST_OP_MD_CHECK_REFS, .check_refs = {PAGE, PAGE / 2, 0});
	refuses(EFAULT, IOMMU_TEST_OP_MD_CHECK_REFS, .check_refs = {PAGE, PAGE, 0});
	refuses(EOPNOTSUPP, IOMMU_TEST_OP_CREATE_ACCESS, .id = ioas, .create_access.flags = 2);
	refuses(ENOENT, IOMMU_TEST_OP_CREATE_ACCESS, .id = ioas + 7);
	refuses(EBADFD, IOMMU_TEST_OP_ACCESS_PAGES, .id = 99, .access_pages.length = 1);
	refuses(ENOMEM, IOMMU_TEST_OP_ACCESS_PAGES, .access_pages.length = (16 << 20) + 1);
	refuses(EOPNOTSUPP, IOMMU_TEST_OP_ACCESS_PAGES, .access_pages.flags = 2);
	refuses(ENOMEM, IOMMU_TEST_OP_ACCESS_RW, .access_rw.length = (16 << 20) + 1);
	refuses(EOPNOTSUPP, IOMMU_TEST_OP_ACCESS_RW, .access_rw.flags = 2);
	refuses(EBADFD, IOMMU_TEST_OP_DESTROY_ACCESS_PAGES, .id = 99);
	refuses(EBADFD, IOMMU_TEST_OP_ACCESS_REPLACE_IOAS, .id = 99);
	refuses(EINVAL, IOMMU_TEST_OP_DIRTY, .id = ioas, .dirty = {.length = PAGE});
	refuses(EOVERFLOW, IOMMU_TEST_OP_DIRTY,
		.dirty = {.length = 1ULL << 40, .page_size = 2048, .uptr = 1});
	refuses(ENOENT, IOMMU_TEST_OP_MD_CHECK_IOTLB, .id = ioas);
	refuses(ENOENT, IOMMU_TEST_OP_TRIGGER_IOPF, .trigger_iopf.dev_id = ioas);
#undef refuses
	fd_close(&fd);
}

/* "nth area, offset" in an access and in IOMMU_IOAS_COPY. */
static void guessable_iovas(void **state)
{
	char *memory = map_pages(2), byte = 0;
	struct iommu_ioas_map map = {.size = sizeof(map), .flags = 7, .length = PAGE};
	struct iommu_ioas_copy copy = {.size = sizeof(copy), .flags = 7 | MOCK_FLAGS_ACCESS_SYZ};
	struct iommu_test_cmd cmd = {.op = IOMMU_TEST_OP_CREATE_ACCESS};
	struct fd fd;

	open_tested(&fd);
	map.ioas_id = copy.src_ioas_id = copy.dst_ioas_id = cmd.id = new_ioas(&fd);
	assert_int_equal(test(&fd, &cmd), 0);
	for (unsigned int i = 0; i < 2; i++) {
		map.user_va = (uintptr_t)memory + i * PAGE;
		map.iova = 0x100000 + i * 0x30000;
		assert_int_equal(iommufd_ioctl(fd.ctx, IOMMU_IOAS_MAP, &map), 0);
	}
	memory[PAGE + 7] = 'x';
	cmd = (struct iommu_test_cmd){
		.op = IOMMU_TEST_OP_ACCESS_RW,
		.id = cmd.create_access.out_access_fd,
		.access_rw = {.iova = 1 | 7ULL << 32,
			      .length = 1,
			      .uptr = (uintptr_t)&byte,
			      .flags = MOCK_FLAGS_ACCESS_SYZ},
	};
	assert_int_equal(test(&fd, &cmd), 0);
	assert_int_equal(byte, 'x');
	cmd.access_rw.iova = 2; /* there is no third */
	assert_int_equal(test(&fd, &cmd), -ENOENT);
	copy.src_iova = 1;
	copy.dst_iova = 0x500000;
	copy.length = PAGE;
	assert_int_equal(iommufd_ioctl(fd.ctx, IOMMU_IOAS_COPY, &copy), 0);
	cmd.access_rw.iova = 0x500007;
	cmd.access_rw.flags = 0;
	byte = 0;
	assert_int_equal(test(&fd, &cmd), 0);
	assert_int_equal(byte, 'x');
	iommufd_file_release(the_file, IOMMUFD_FILE_ACCESS);
	fd_close(&fd);
	unmap_pages(memory, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_known_but_not_listed),
		cmocka_unit_test(keeps_to_its_aperture),
		cmocka_unit_test(large_pages),
		cmocka_unit_test(agrees_with_an_array),
		cmocka_unit_test(is_off_unless_asked_for),
		cmocka_unit_test(refuses_what_it_must),
		cmocka_unit_test(guessable_iovas),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
