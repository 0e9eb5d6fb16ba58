/* SPDX-License-Identifier: MIT */
/*
 * A fork shares open files, so what is behind them must be in memory that is
 * shared too. The library does not know of it: its allocations come from one
 * region that is mapped shared before anything is, and its variables, which are
 * this object's, are moved to shared memory where they are. Only what is marked
 * PROCESS_PRIVATE stays as it was.
 */
#include <link.h>
#include <string.h>
#include <sys/resource.h>

#include "plat/plat.h"
#include "preload/preload.h"

#define PAGE        ((uintptr_t)4096)
#define MOST_BYTES  ((size_t)160 << 30)
#define LEAST_BYTES ((size_t)256 << 20)

extern char __start_uiommu_private[] __attribute__((visibility("hidden")));
extern char __stop_uiommu_private[] __attribute__((visibility("hidden")));

struct range {
	uintptr_t start, end;
};

static bool holds(const struct dl_phdr_info *info, const ElfW(Phdr) * ph, const void *address)
{
	return (uintptr_t)address - (info->dlpi_addr + ph->p_vaddr) < ph->p_memsz;
}

/* The writable segment of this object, without what became read-only. */
static int find_variables(struct dl_phdr_info *info, size_t size, void *data)
{
	struct range *found = data, relro = {0, 0};

	for (unsigned int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + ph->p_vaddr;

		if (ph->p_type == PT_GNU_RELRO)
			relro = (struct range){start, start + ph->p_memsz};
		if (ph->p_type == PT_LOAD && (ph->p_flags & PF_W) && holds(info, ph, &process))
			*found = (struct range){start & -PAGE, start + ph->p_memsz};
	}
	if (!found->end)
		return 0;
	if (relro.end > found->start && relro.start < found->end)
		found->start = relro.end & -PAGE;
	found->end = (found->end + PAGE - 1) & -PAGE;
	return 1;
}

static bool share_range(uintptr_t start, uintptr_t end)
{
	size_t size = end - start;
	void *copy;

	if (start >= end)
		return true;
	copy = real()->mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (copy == MAP_FAILED)
		return false;
	memcpy(copy, (void *)start, size);
	return real()->mremap(copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)start) !=
	       MAP_FAILED;
}

/* Most of a limited address space is left to the program. */
static size_t most_bytes(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return MOST_BYTES;
	return MIN(MOST_BYTES, limit.rlim_cur / 4);
}

bool share_memory(void)
{
	struct range variables = {0, 0};

	if (plat_share(most_bytes(), LEAST_BYTES))
		return false;
	dl_iterate_phdr(find_variables, &variables);
	return variables.end && share_range(variables.start, (uintptr_t)__start_uiommu_private) &&
	       share_range((uintptr_t)__stop_uiommu_private, variables.end);
}
