/* SPDX-License-Identifier: MIT */
/*
 * User memory behind IO address spaces: physical addresses, accesses, the limit on
 * locked memory, and what an area costs.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <uiommu/mm.h>

#include "iommufd/pages.h"
#include "tests/iommufd.h"

#define IOVA  (64ul << 20)
#define HUGE  (2ul << 20)
#define CACHE (RW | IOMMU_CACHE)

static struct iommufd_ioas *ioas_of(const struct fd *fd, uint32_t id)
{
	struct iommufd_ioas *ioas = iommufd_get_object(fd->ctx, id, IOMMUFD_OBJ_IOAS);

	assert_false(IS_ERR(ioas));
	return ioas;
}

static struct io_pagetable *new_iopt(const struct fd *fd)
{
	return &ioas_of(fd, new_ioas(fd))->iopt;
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

/* ---- physical addresses ---- */

#define MANY (1u << 20)

struct frames {
	uint64_t *paddr;
	unsigned int nr;
};

static int take_frames(void *arg, uint64_t paddr, uint64_t npages)
{
	struct frames *frames = arg;

	assert_int_equal(npages, 1);
	frames->paddr[frames->nr++] = paddr;
	return 0;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void scattered_frames(void **state)
{
	struct frames frames = {.paddr = calloc(MANY, sizeof(uint64_t))};
	struct fd fd;

	fd_open_as(&fd, (struct iommufd_config){.format = "vtd", .phys = IOMMUFD_PHYS_SCATTERED});
	assert_int_equal(iommufd_phys_runs(fd.ctx, iommufd_mm_own(), 0x7f0000000000, MANY,
					   take_frames, &frames),
			 0);
	assert_int_equal(frames.nr, MANY);
	for (unsigned int i = 1; i < MANY; i++) {
		assert_int_not_equal(frames.paddr[i], frames.paddr[i - 1] + PAGE);
		assert_true(frames.paddr[i] < 1ul << 48);
	}
	qsort(frames.paddr, MANY, sizeof(uint64_t), compare);
	for (unsigned int i = 1; i < MANY; i++)
		assert_true(frames.paddr[i] > frames.paddr[i - 1]);
	fd_close(&fd);
	free(frames.paddr);
}

/* Frame numbers as the kernel has them, read here; 0 where it does not tell. */
static uint64_t real_frame(int pagemap, const void *page)
{
	uint64_t entry = 0;

	assert_int_equal(pread(pagemap, &entry, 8, (uintptr_t)page / PAGE * 8), 8);
	return entry & ((1ull << 55) - 1);
}

/* Some of it huge pages, some not, mapped and compared page by page. */
static void real_frames(void **state)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY);
	size_t size = 3 * HUGE;
	char *memory =
		mmap(NULL, size + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *start = (char *)(((uintptr_t)memory + HUGE - 1) & -HUGE);
	struct iommu_domain *domain;
	struct io_pagetable *iopt;
	struct fd fd;

	madvise(start, 2 * HUGE, MADV_HUGEPAGE);
	madvise(start + 2 * HUGE, HUGE, MADV_NOHUGEPAGE);
	memset(start, 1, 2 * HUGE);
	fd_open(&fd);
	iopt = new_iopt(&fd);
	domain = add_domain(iopt, "vtd");
	assert_int_equal(map_at(iopt, IOVA, start, size, CACHE), 0);
	for (size_t at = 0; at < size; at += PAGE) {
		uint64_t frame = real_frame(pagemap, start + at), paddr;

		paddr = iommu_iova_to_phys(domain, IOVA + at);
		if (iommufd_phys_is_real(fd.ctx))
			assert_int_equal(paddr, frame * PAGE);
		assert_int_not_equal(paddr, 0);
	}
	drop_domain(iopt, domain);
	fd_close(&fd);
	munmap(memory, size + HUGE);
	close(pagemap);
}

/* A program may close what it does not know, and use the number itself. */
static void closed_descriptors(void **state)
{
	char *memory = map_pages(1024);
	struct iommu_domain *domain;
	struct io_pagetable *iopt;
	struct fd fd;

	fd_open(&fd);
	iopt = new_iopt(&fd);
	domain = add_domain(iopt, "vtd");
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(map_at(iopt, IOVA, memory, 1024 * PAGE, CACHE), 0);
		assert_int_equal(iopt_unmap_all(iopt, NULL), 0);
		for (int other = 900; other < 910; other++)
			assert_int_equal(dup2(1, other), other);
	}
	for (int other = 900; other < 910; other++)
		assert_int_equal(close(other), 0);
	drop_domain(iopt, domain);
	fd_close(&fd);
	unmap_pages(memory, 1024);
}

/* A page that is only to be read keeps its frame when it is written to. */
static void unshared(void **state)
{
	int self = open("/proc/self/exe", O_RDONLY);
	char *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, self, 0);
	struct iommu_domain *domain;
	struct io_pagetable *iopt;
	uint64_t paddr;
	struct fd fd;

	assert_ptr_not_equal(memory, MAP_FAILED);
	fd_open(&fd);
	iopt = new_iopt(&fd);
	domain = add_domain(iopt, "vtd");
	assert_int_equal(map_at(iopt, IOVA, memory, PAGE, IOMMU_READ), 0);
	*(volatile char *)memory = 1;
	assert_int_equal(iommufd_user_to_phys(fd.ctx, (uintptr_t)memory, &paddr), 0);
	assert_int_equal(iommu_iova_to_phys(domain, IOVA), paddr);
	drop_domain(iopt, domain);
	fd_close(&fd);
	munmap(memory, PAGE);
	close(self);
}

/* ---- accesses ---- */

static const struct iommufd_access_ops plain_ops = {0};

static void stubborn(void *data, uint64_t iova, uint64_t length)
{
	++*(unsigned int *)data;
}

static const struct iommufd_access_ops stubborn_ops = {.needs_pin_pages = true, .unmap = stubborn};

static void access_that_holds_on(void **state)
{
	unsigned int asked = 0;
	char *memory = map_pages(4);
	struct iommufd_access *access;
	void *pages[4];
	uint32_t ioas, id;
	struct fd fd;

	fd_open(&fd);
	ioas = new_ioas(&fd);
	access = iommufd_access_create(fd.ctx, &stubborn_ops, &asked, &id);
	assert_int_equal(destroy(&fd, id), -EBUSY);
	assert_int_equal(iommufd_access_pin_pages(access, IOVA, PAGE, pages, 0), -ENOENT);
	assert_int_equal(iommufd_access_replace(access, ioas), -ENOENT);
	assert_int_equal(iommufd_access_attach(access, ioas), 0);
	assert_int_equal(iommufd_access_attach(access, ioas), -EINVAL);
	assert_int_equal(destroy(&fd, ioas), -EBUSY);
	assert_int_equal(map_at(&ioas_of(&fd, ioas)->iopt, IOVA, memory, 4 * PAGE, IOMMU_READ), 0);
	assert_int_equal(iommufd_access_pin_pages(access, IOVA, PAGE, pages, 1), -EPERM);
	assert_int_equal(iommufd_access_pin_pages(access, IOVA, 5 * PAGE, pages, 0), -ENOENT);
	assert_int_equal(iommufd_access_pin_pages(access, IOVA + 1, PAGE, pages, 0), -EINVAL);
	assert_int_equal(iommufd_access_pin_pages(access, IOVA, 4 * PAGE, pages, 0), 0);
	assert_ptr_equal(pages[3], memory + 3 * PAGE);
	assert_int_equal(iopt_unmap_all(&ioas_of(&fd, ioas)->iopt, NULL), -EDEADLK);
	assert_true(asked > 1);
	assert_int_equal(iommufd_access_pin_pages(access, IOVA, PAGE, pages, 0), -EINVAL);
	assert_int_equal(iopt_pages_pin_count((uintptr_t)memory), 1);
	iommufd_access_unpin_pages(access, IOVA, 4 * PAGE);
	assert_int_equal(iopt_pages_pin_count((uintptr_t)memory), 0);
	assert_int_equal(iopt_unmap_all(&ioas_of(&fd, ioas)->iopt, NULL), 0);
	iommufd_access_destroy(access);
	fd_close(&fd);
	unmap_pages(memory, 4);
}

/* Byte by byte against memory, over areas that adjoin and one that cannot be written. */
static void reading_and_writing(void **state)
{
	char *memory = map_pages(8), copy[3 * PAGE];
	struct iommufd_access *access;
	struct io_pagetable *iopt;
	uint32_t ioas, id;
	struct fd fd;

	fd_open(&fd);
	ioas = new_ioas(&fd);
	iopt = &ioas_of(&fd, ioas)->iopt;
	for (size_t i = 0; i < 8 * PAGE; i++)
		memory[i] = i * 7 + i / PAGE;
	access = iommufd_access_create(fd.ctx, &plain_ops, NULL, &id);
	assert_int_equal(iommufd_access_attach(access, ioas), 0);
	assert_int_equal(map_at(iopt, 1000, memory + 10, PAGE, CACHE), 0);
	assert_int_equal(map_at(iopt, 1000 + PAGE, memory + 4 * PAGE + 5, PAGE, IOMMU_READ), 0);
	for (size_t at = 1; at < PAGE; at += 97) {
		assert_int_equal(iommufd_access_rw(access, 1000 + at, copy, PAGE, 0), 0);
		assert_memory_equal(copy, memory + 10 + at, PAGE - at);
		assert_memory_equal(copy + PAGE - at, memory + 4 * PAGE + 5, at);
		assert_int_equal(iommufd_access_rw(access, 1000 + at, copy, PAGE, 1), -EPERM);
	}
	assert_int_equal(iommufd_access_rw(access, 999, copy, 2, 0), -ENOENT);
	assert_int_equal(iommufd_access_rw(access, 1000 + PAGE, copy, PAGE + 1, 0), -ENOENT);
	assert_int_equal(iommufd_access_rw(access, UINT64_MAX, copy, 2, 0), -EOVERFLOW);
	assert_int_equal(iommufd_access_rw(access, 1000, copy, 0, 0), -EINVAL);
	mprotect(memory, PAGE, PROT_NONE);
	assert_int_equal(iommufd_access_rw(access, 1000, copy, PAGE, 0), -EFAULT);
	iommufd_access_destroy(access);
	fd_close(&fd);
	unmap_pages(memory, 8);
}

static unsigned int resident(char *memory, size_t pages)
{
	unsigned char there[256];
	unsigned int nr = 0;

	assert_true(pages <= sizeof(there));
	assert_int_equal(mincore(memory, pages * PAGE, there), 0);
	for (size_t i = 0; i < pages; i++)
		nr += there[i] & 1;
	return nr;
}

/* Bad memory is found in every mode; only where pages tell frames are there any then. */
static void check_faulting_in(enum iommufd_phys_mode phys)
{
	char *memory = map_pages(128), *fresh = map_pages(128);
	struct iommu_domain *domain;
	struct io_pagetable *iopt;
	struct user_vma vma;
	struct fd fd;

	fd_open_as(&fd, (struct iommufd_config){.format = "vtd", .phys = phys});
	iopt = new_iopt(&fd);
	domain = add_domain(iopt, "vtd");
	assert_int_equal(map_at(iopt, IOVA, memory, 129 * PAGE, CACHE), -EFAULT);
	mprotect(memory + 100 * PAGE, PAGE, PROT_READ);
	assert_int_equal(map_at(iopt, IOVA, memory, 128 * PAGE, CACHE), -EFAULT);
	assert_int_equal(map_at(iopt, IOVA, memory, 128 * PAGE, IOMMU_READ), 0);
	assert_int_not_equal(iommu_iova_to_phys(domain, IOVA + 100 * PAGE), 0);
	assert_int_equal(map_at(iopt, 2 * IOVA, fresh, 128 * PAGE, CACHE), 0);
	if (!iommufd_vma_at(iommufd_mm_own(), (uintptr_t)fresh, &vma))
		assert_int_equal(resident(fresh, 128), phys == IOMMUFD_PHYS_AUTO ? 128 : 0);
	drop_domain(iopt, domain);
	munmap(memory + 100 * PAGE, PAGE);
	assert_int_equal(iopt_unmap_all(iopt, NULL), 0);
	domain = add_domain(iopt, "vtd");
	assert_int_equal(map_at(iopt, IOVA, memory, 128 * PAGE, IOMMU_READ), -EFAULT);
	drop_domain(iopt, domain);
	fd_close(&fd);
	unmap_pages(memory, 128);
	unmap_pages(fresh, 128);
}

static void faulting_in(void **state)
{
	check_faulting_in(IOMMUFD_PHYS_IDENTITY);
	check_faulting_in(IOMMUFD_PHYS_SCATTERED);
	check_faulting_in(IOMMUFD_PHYS_AUTO);
}

/* ---- cutting ---- */

static void cutting(void **state)
{
	const uint64_t inside = IOVA + 3 * PAGE - 1, odd = IOVA + PAGE + 7;
	char *memory = map_pages(8);
	struct iommu_domain *domain;
	struct io_pagetable *iopt;
	uint64_t unmapped;
	struct fd fd;

	fd_open_as(&fd, (struct iommufd_config){.format = "vtd", .phys = IOMMUFD_PHYS_IDENTITY});
	iopt = new_iopt(&fd);
	domain = add_domain(iopt, "vtd");
	assert_int_equal(map_at(iopt, IOVA, memory, 8 * PAGE, CACHE), 0);
	assert_int_equal(iopt_cut_iova(iopt, &inside, 1), -EINVAL); /* large pages */
	assert_int_equal(iopt_unmap_all(iopt, NULL), 0);
	assert_int_equal(iopt_disable_large_pages(iopt), 0);
	assert_int_equal(map_at(iopt, IOVA, memory, 8 * PAGE, CACHE), 0);
	assert_int_equal(iopt_cut_iova(iopt, &odd, 1), -EINVAL);
	uiommu_fail_nth(2, false);
	assert_int_equal(iopt_cut_iova(iopt, &inside, 1), -ENOMEM);
	uiommu_fail_nth(0, false);
	assert_int_equal(iopt_cut_iova(iopt, &inside, 1), 0);
	assert_int_equal(iopt->nr_areas, 2);
	assert_int_equal(iopt_unmap_iova(iopt, IOVA, 3 * PAGE, &unmapped), 0);
	assert_int_equal(unmapped, 3 * PAGE);
	assert_int_equal(iopt_pages_pin_count((uintptr_t)memory + 2 * PAGE), 0);
	assert_int_equal(iopt_pages_pin_count((uintptr_t)memory + 3 * PAGE), 1);
	assert_int_equal(iommu_iova_to_phys(domain, IOVA + 2 * PAGE), 0);
	assert_int_equal(iommu_iova_to_phys(domain, IOVA + 3 * PAGE), (uintptr_t)memory + 3 * PAGE);
	drop_domain(iopt, domain);
	fd_close(&fd);
	unmap_pages(memory, 8);
}

/* ---- limits ---- */

static void without_cap_ipc_lock(uint64_t limit_pages)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	struct rlimit limit;

	assert_int_equal(syscall(SYS_capget, &header, data), 0);
	data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective &= ~CAP_TO_MASK(CAP_IPC_LOCK);
	assert_int_equal(syscall(SYS_capset, &header, data), 0);
	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
	limit.rlim_cur = limit_pages * PAGE;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
}

/* Ten pages for the user, or for the process; over all contexts. */
static void locked_memory(void **state)
{
	char *memory = map_pages(10);

	without_cap_ipc_lock(10);
	for (int mode = IOPT_PAGES_ACCOUNT_USER; mode <= IOPT_PAGES_ACCOUNT_MM; mode++) {
		struct iommu_domain *domains[2];
		struct io_pagetable *iopts[2];
		struct fd fds[2];

		for (unsigned int i = 0; i < 2; i++) {
			fd_open(&fds[i]);
			fds[i].ctx->account_mode = mode;
			iopts[i] = new_iopt(&fds[i]);
			domains[i] = add_domain(iopts[i], "vtd");
		}
		assert_int_equal(map_at(iopts[0], IOVA, memory, 6 * PAGE, CACHE), 0);
		assert_int_equal(map_at(iopts[0], 2 * IOVA, memory, 5 * PAGE, CACHE), -ENOMEM);
		assert_int_equal(map_at(iopts[0], 2 * IOVA, memory, 4 * PAGE, CACHE), 0);
		assert_int_equal(map_at(iopts[1], IOVA, memory, PAGE, CACHE), -ENOMEM);
		iopt_unmap_all(iopts[0], NULL);
		assert_int_equal(map_at(iopts[1], 2 * IOVA, memory, 9 * PAGE, CACHE), 0);
		for (unsigned int i = 0; i < 2; i++) {
			drop_domain(iopts[i], domains[i]);
			fd_close(&fds[i]);
		}
	}
	without_cap_ipc_lock(1024);
	unmap_pages(memory, 10);
}

/* What one area costs, and that many can be placed without trying every hole. */
static void many_areas(void **state)
{
	const unsigned int nr = 20000;
	char *memory = map_pages(2);
	struct io_pagetable *iopt;
	uint64_t before, iova;
	struct fd fd;

	fd_open(&fd);
	iopt = new_iopt(&fd);
	before = mem_cgroup_usage(fd.memcg);
	for (unsigned int i = 0; i < nr; i++) {
		assert_int_equal(
			iopt_map_user_pages(iopt, &iova, (uintptr_t)memory, PAGE, CACHE, 0), 0);
		assert_int_equal(iova, (i + 1) * PAGE);
	}
	print_message("%lu bytes per area\n", (mem_cgroup_usage(fd.memcg) - before) / nr);
	assert_true((mem_cgroup_usage(fd.memcg) - before) / nr <= 256);
	assert_int_equal(iopt_unmap_iova(iopt, 100 * PAGE, PAGE, &iova), 0);
	assert_int_equal(iopt_map_user_pages(iopt, &iova, (uintptr_t)memory, PAGE, CACHE, 0), 0);
	assert_int_equal(iova, 100 * PAGE);
	assert_int_equal(iopt_unmap_all(iopt, NULL), 0);
	assert_int_equal(mem_cgroup_usage(fd.memcg), before);
	fd_close(&fd);
	unmap_pages(memory, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scattered_frames),    cmocka_unit_test(real_frames),
		cmocka_unit_test(closed_descriptors),  cmocka_unit_test(unshared),
		cmocka_unit_test(faulting_in),         cmocka_unit_test(access_that_holds_on),
		cmocka_unit_test(reading_and_writing), cmocka_unit_test(cutting),
		cmocka_unit_test(locked_memory),       cmocka_unit_test(many_areas),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
