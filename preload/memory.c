/* SPDX-License-Identifier: MIT */
/*
 * Memory that is given back while devices may still use it. In the kernel the
 * pages stay pinned and devices go on to write to memory that is nobody's, which
 * nothing tells; here it is said when it happens.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>

#include <uiommu/abi/iommufd.h>
#include <uiommu/abi/vfio.h>

#include "iommufd/iommufd.h"
#include "preload/preload.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

/* After so many lines the rest is counted only. */
#define LINES_MAX 16

static void watch(uint64_t start, uint64_t length)
{
	uint64_t end = start + length, old;

	old = __atomic_load_n(&process.watch_start, __ATOMIC_RELAXED);
	while (start < old && !__atomic_compare_exchange_n(&process.watch_start, &old, start, true,
							   __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	old = __atomic_load_n(&process.watch_end, __ATOMIC_RELAXED);
	while (end > old && !__atomic_compare_exchange_n(&process.watch_end, &old, end, true,
							 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

void memory_watch(struct iommufd_ctx *ctx, unsigned int cmd, const void *arg)
{
	struct iommu_ioas_map map;
	struct vfio_iommu_type1_dma_map dma;

	if (cmd == IOMMU_IOAS_MAP) {
		if (!iommufd_copy_from_user(ctx, &map, (uintptr_t)arg, sizeof(map)))
			watch(map.user_va, map.length);
	} else if (!iommufd_copy_from_user(ctx, &dma, (uintptr_t)arg, sizeof(dma))) {
		watch(dma.vaddr, dma.size);
	}
}

struct lookup {
	uint64_t start, last;
	struct report_munmap event;
	struct report_process *slot;
	bool found;
};

static __thread struct lookup *current_lookup __attribute__((tls_model("initial-exec")));

static void look(int fd, struct file *file)
{
	struct lookup *l = current_lookup;

	if (l->found || file->kind != FILE_IOMMU)
		return;
	l->found =
		iommufd_find_user(file->ctx, l->start, l->last, &l->event.iova, &l->event.mapped);
	l->slot = file->slot;
}

static void tell(const char *what, const struct lookup *l)
{
	static atomic_uint lines;
	unsigned int line = atomic_fetch_add(&lines, 1);

	if (line < LINES_MAX)
		notice("%s of 0x%" PRIx64 "-0x%" PRIx64 ", which is still mapped for DMA: %" PRIu64
		       " bytes at IOVA 0x%" PRIx64,
		       what, l->start, l->last, l->event.mapped, l->event.iova);
	else if (line == LINES_MAX)
		notice("more memory is unmapped while it is mapped for DMA: counted in the report");
	if (l->slot)
		account_munmap(l->slot, &l->event);
}

/* Memory that is about to go. */
static void check_slow(const char *what, uint64_t start, uint64_t length)
{
	struct lookup lookup = {.start = start, .last = start + length - 1};
	int error = errno;

	lookup.event.address = start;
	lookup.event.length = length;
	current_lookup = &lookup;
	table_for_each(look);
	current_lookup = NULL;
	if (lookup.found)
		tell(what, &lookup);
	errno = error;
}

static inline void check(const char *what, const void *address, size_t length)
{
	uint64_t start = (uintptr_t)address;

	if (unlikely(start < __atomic_load_n(&process.watch_end, __ATOMIC_RELAXED)) && length &&
	    start + length > __atomic_load_n(&process.watch_start, __ATOMIC_RELAXED) &&
	    !current_lookup && !calls_under_way)
		check_slow(what, start, length);
}

INTERPOSE int munmap(void *address, size_t length)
{
	check("munmap", address, length);
	return real()->munmap(address, length);
}

INTERPOSE void *mmap(void *address, size_t length, int prot, int flags, int fd, off_t offset)
{
	struct file *file = fd >= 0 && maybe_ours(fd) ? file_get(fd) : NULL;

	if (unlikely(file)) {
		file_put(file);
		errno = ENODEV;
		return MAP_FAILED;
	}
	if (flags & MAP_FIXED)
		check("mmap over a part", address, length);
	return real()->mmap(address, length, prot, flags, fd, offset);
}

INTERPOSE void *mmap64(void *address, size_t length, int prot, int flags, int fd, off_t offset)
{
	return mmap(address, length, prot, flags, fd, offset);
}

INTERPOSE void *mremap(void *address, size_t old_length, size_t length, int flags, ...)
{
	void *to = NULL;
	va_list args;

	va_start(args, flags);
	if (flags & MREMAP_FIXED)
		to = va_arg(args, void *);
	va_end(args);
	if (flags & MREMAP_MAYMOVE)
		check("mremap", address, old_length);
	else if (length < old_length)
		check("mremap", (char *)address + length, old_length - length);
	return real()->mremap(address, old_length, length, flags, to);
}
