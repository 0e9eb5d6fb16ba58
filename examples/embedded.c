/* SPDX-License-Identifier: MIT */
/*
 * The library with nothing underneath: no C library, no allocator, no threads,
 * as in a hypervisor or a boot loader. It lives in 32 MiB of this program's own
 * data. The only things borrowed from Linux are write and exit.
 */
#include <uiommu/format.h>
#include <uiommu/iommu.h>
#include <uiommu/memcontrol.h>
#include <uiommu/mm.h>
#include <uiommu/plat.h>

#define HUGE ((size_t)2 << 20)

static char heap[24 * HUGE] __attribute__((aligned(2 << 20)));
static size_t heap_used;

static long system_call(long number, long a, long b, long c)
{
	__asm__ volatile("syscall"
			 : "+a"(number)
			 : "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return number;
}

static void say(const char *line)
{
	size_t length = 0;

	while (line[length])
		length++;
	system_call(1, 2, (long)line, (long)length);
	system_call(1, 2, (long)"\n", 1);
}

static void leave(int status)
{
	for (;;)
		system_call(60, status, 0, 0);
}

static void panic(const char *line)
{
	say(line);
	leave(99);
}

static void *reserve(size_t size)
{
	char *base = heap + heap_used;

	size = (size + HUGE - 1) & ~(HUGE - 1);
	if (size > sizeof(heap) - heap_used)
		return NULL;
	heap_used += size;
	return base;
}

/* The heap is zeroed data, so there is nothing to commit. */
static const struct uiommu_plat_ops plat = {
	.reserve = reserve,
	.warn = say,
	.panic = panic,
};

static int use_format(const struct iommu_format *format, struct mem_cgroup *cg)
{
	const struct iommu_domain_params params = {.format = format->name};
	const phys_addr_t paddr = 5 * format->granule;
	struct iommu_domain *domain = iommu_domain_alloc(&params, GFP_KERNEL_ACCOUNT);
	const size_t size = (size_t)64 << 20;

	if (IS_ERR(domain))
		return 2;
	if (iommu_map(domain, 1 << 30, paddr, size, IOMMU_READ | IOMMU_WRITE, GFP_KERNEL_ACCOUNT))
		return 3;
	if (iommu_iova_to_phys(domain, (1 << 30) + 0x1234567) != paddr + 0x1234567)
		return 4;
	/* No large page fits: there is an item for each page. */
	if (mem_cgroup_usage(cg) < size / format->granule * sizeof(uint64_t))
		return 5;
	if (iommu_unmap(domain, 1 << 30, size) != size)
		return 6;
	iommu_domain_free(domain);
	return mem_cgroup_usage(cg) ? 7 : 0;
}

static int run(void)
{
	const struct uiommu_config config = {.arena_bytes = 16 * HUGE, .atomic_reserve = 16};
	struct mem_cgroup *cg;
	int ret;

	uiommu_plat_set(&plat);
	if (uiommu_init(&config))
		return 1;
	cg = mem_cgroup_create(NULL);
	mem_cgroup_set_active(cg);
	for (const struct iommu_format *f = NULL; (f = iommu_format_next(f));) {
		ret = use_format(f, cg);
		if (ret) {
			say(f->name);
			return ret;
		}
	}
	return 0;
}

/* Where Linux starts the program. */
void begin(void);
__attribute__((noreturn, used)) void begin(void)
{
	leave(run());
	__builtin_unreachable();
}

__asm__(".globl _start\n_start:\txor %ebp, %ebp\n\tcall begin\n");
