/* SPDX-License-Identifier: MIT */
/*
 * The library on a bare machine, QEMU's "virt" with an AArch64 CPU: it lives in a
 * static array, and makes tables for the CPU that it runs on, which then says
 * itself what an address translates to. (Before the MMU is on, real cores may lack
 * the atomics that the library uses: there begin with a flat map of the loader's.)
 */
#include <uiommu/iommu.h>
#include <uiommu/mm.h>
#include <uiommu/plat.h>

#define UART  0x09000000UL /* PL011 */
#define RAM   0x40000000UL
#define SIZE  (128UL << 20)
#define ALIAS 0x123450000000UL /* where the RAM can be found, too */
#define CHUNK (2UL << 20)

static char memory[8 * CHUNK] __attribute__((aligned(CHUNK)));
static size_t used;
static struct iommu_domain *domain;

char stack[65536] __attribute__((aligned(16)));
__asm__(".globl _start\n_start: ldr x0, =stack + 65536\n mov sp, x0\n b run\n");

static void say(const char *text)
{
	for (; *text; text++)
		*(volatile uint32_t *)UART = (uint8_t)*text;
}

static void say_number(const char *what, uint64_t number)
{
	char text[] = "0x0000000000000000\n";

	for (char *digit = text + 17; number; number >>= 4)
		*digit-- = "0123456789abcdef"[number & 15];
	say(what);
	say(text);
}

/* PSCI's SYSTEM_OFF ends QEMU. */
static void stop(const char *why)
{
	say(why);
	for (;;)
		__asm__ volatile("mov x0, %0\n hvc #0" ::"r"(0x84000008UL) : "x0", "memory");
}

/* The source of all pages. */
static void *reserve(size_t size)
{
	char *base = memory + used;

	used += (size + CHUNK - 1) / CHUNK * CHUNK;
	return used <= sizeof(memory) ? base : NULL;
}

static void map(dma_addr_t iova, phys_addr_t paddr, size_t size, int prot)
{
	if (iommu_map(domain, iova, paddr, size, prot | IOMMU_PRIV, GFP_KERNEL))
		stop("cannot map\n");
}

/* MAIR as the format wants it, 48 bits, pages of 4K; then the MMU and the caches. */
static void switch_on(phys_addr_t root)
{
	__asm__ volatile("msr mair_el1, %0\n msr tcr_el1, %1\n msr ttbr0_el1, %2\n dsb sy\n isb\n"
			 "tlbi vmalle1\n dsb sy\n mrs x0, sctlr_el1\n orr x0, x0, %3\n"
			 "msr sctlr_el1, x0\n isb" ::"r"(0x04ff44UL),
			 "r"(16 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | 5UL << 32), "r"(root),
			 "r"(1UL | 1 << 2 | 1 << 12)
			 : "x0", "memory");
}

__attribute__((used)) static void run(void)
{
	static const struct uiommu_plat_ops plat = {.reserve = reserve, .warn = say, .panic = stop};
	const struct uiommu_config config = {.arena_bytes = 2 * CHUNK,
					     .phys_base = UIOMMU_PHYS_IS_VIRT};
	const struct iommu_domain_params params = {.format = "arm64-s1"};
	struct iommu_domain_info info;
	uint64_t par, iova = ALIAS + ((uintptr_t)&used - RAM);

	uiommu_plat_set(&plat);
	if (uiommu_init(&config) || IS_ERR(domain = iommu_domain_alloc(&params, GFP_KERNEL)))
		stop("no memory\n");
	map(UART, UART, 4096, IOMMU_READ | IOMMU_WRITE | IOMMU_MMIO);
	map(RAM, RAM, SIZE, IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE);
	map(ALIAS, RAM, SIZE, IOMMU_READ | IOMMU_CACHE);
	iommu_domain_get_info(domain, &info);
	switch_on(info.root);
	__asm__ volatile("at s1e1r, %1\n isb\n mrs %0, par_el1" : "=r"(par) : "r"(iova) : "memory");
	say_number("root        ", info.root);
	say_number("table bytes ", info.table_bytes);
	say_number("iova        ", iova);
	say_number("the library ", iommu_iova_to_phys(domain, iova));
	say_number("the CPU     ", (par & 0xfffffffff000) | (iova & 4095));
	stop(*(volatile size_t *)iova == used ? "the same memory\n" : "other memory\n");
}
