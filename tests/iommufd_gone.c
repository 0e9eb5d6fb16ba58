/* SPDX-License-Identifier: MIT */
/*
 * Memory that a program gives back while it is mapped for DMA: the host is told.
 */
#include <unistd.h>

#include "iommufd/pages.h"
#include "tests/iommufd.h"

#define IOVA  (64ul << 20)
#define CACHE (RW | IOMMU_CACHE)

static struct io_pagetable *new_iopt(const struct fd *fd)
{
	struct iommufd_ioas *ioas = iommufd_get_object(fd->ctx, new_ioas(fd), IOMMUFD_OBJ_IOAS);

	assert_false(IS_ERR(ioas));
	return &ioas->iopt;
}

static int map_at(struct io_pagetable *iopt, uint64_t iova, const void *memory, uint64_t length,
		  int prot)
{
	return iopt_map_user_pages(iopt, &iova, (uintptr_t)memory, length, prot, IOPT_FIXED);
}

static struct iommu_domain *add_domain(struct io_pagetable *iopt, const char *format)
{
	struct iommu_domain_params params = {.format = format};
	struct iommu_domain *domain = iommu_domain_alloc(&params, GFP_KERNEL);

	assert_false(IS_ERR(domain));
	assert_int_equal(iopt_table_add_domain(iopt, domain), 0);
	return domain;
}

static void drop_domain(struct io_pagetable *iopt, struct iommu_domain *domain)
{
	iopt_table_remove_domain(iopt, domain);
	iommu_domain_free(domain);
}

struct gone {
	unsigned int calls;
	uint64_t address, length, iova, mapped;
};

static void note_gone(void *context, uint64_t address, uint64_t length, uint64_t iova,
		      uint64_t mapped)
{
	struct gone *gone = context;

	*gone = (struct gone){gone->calls + 1, address, length, iova, mapped};
}

static const struct iommufd_host gone_host = {.memory_gone = note_gone};

static void check_gone(const struct gone *gone, const char *address, uint64_t length, uint64_t iova)
{
	assert_int_equal(gone->calls, 1);
	assert_ptr_equal((void *)(uintptr_t)gone->address, address);
	assert_int_equal(gone->length, length);
	assert_int_equal(gone->iova, iova);
	assert_int_equal(gone->mapped, length);
}

static void memory_given_back(void **state)
{
	char *memory = map_pages(8);
	struct gone gone = {0};
	struct iommu_domain *domain;
	struct io_pagetable *iopt;
	struct fd fd;

	fd_open_as(&fd, (struct iommufd_config){
				.format = "vtd", .host = &gone_host, .host_context = &gone});
	iopt = new_iopt(&fd);
	assert_int_equal(map_at(iopt, IOVA, memory + 2 * PAGE, 4 * PAGE, CACHE), 0);
	munmap(memory + 7 * PAGE, PAGE);
	iommufd_check_memory(fd.ctx);
	domain = add_domain(iopt, "vtd");
	iommufd_check_memory(fd.ctx);
	assert_int_equal(gone.calls, 0);
	munmap(memory + 3 * PAGE, 2 * PAGE);
	iommufd_check_memory(fd.ctx);
	check_gone(&gone, memory + 3 * PAGE, 2 * PAGE, IOVA + PAGE);
	/* Once is enough. */
	assert_int_equal(iopt_unmap_all(iopt, NULL), 0);
	assert_int_equal(gone.calls, 1);
	/* At the end of the mapping, and noticed when it is unmapped. */
	gone.calls = 0;
	assert_int_equal(map_at(iopt, IOVA, memory, 3 * PAGE, CACHE), 0);
	munmap(memory + 2 * PAGE, PAGE);
	assert_int_equal(iopt_unmap_all(iopt, NULL), 0);
	check_gone(&gone, memory + 2 * PAGE, PAGE, IOVA + 2 * PAGE);
	drop_domain(iopt, domain);
	fd_close(&fd);
	munmap(memory, 9 * PAGE);
}

/* Other memory in its place: where the pages were there, they are not any more. */
static void memory_replaced(void **state)
{
	const int prot = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
	char *memory = map_pages(8);
	struct gone gone = {0};
	struct iommu_domain *domain;
	struct io_pagetable *iopt;
	struct user_vma vma;
	struct fd fd;

	if (iommufd_vma_at(iommufd_mm_own(), (uintptr_t)memory, &vma))
		skip();
	fd_open_as(&fd, (struct iommufd_config){
				.format = "vtd", .host = &gone_host, .host_context = &gone});
	iopt = new_iopt(&fd);
	domain = add_domain(iopt, "vtd");
	assert_int_equal(map_at(iopt, IOVA, memory, 8 * PAGE, CACHE), 0);
	iommufd_check_memory(fd.ctx);
	assert_int_equal(gone.calls, 0);
	assert_ptr_equal(mmap(memory + 5 * PAGE, PAGE, prot, flags, -1, 0), memory + 5 * PAGE);
	assert_int_equal(iopt_unmap_all(iopt, NULL), 0);
	check_gone(&gone, memory + 5 * PAGE, PAGE, IOVA + 5 * PAGE);
	drop_domain(iopt, domain);
	fd_close(&fd);
	unmap_pages(memory, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_given_back),
		cmocka_unit_test(memory_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
