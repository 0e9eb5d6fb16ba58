/* SPDX-License-Identifier: MIT */
/*
 * --trace: a line for each mapping that is made and taken away, as the kernel's
 * iommu:map and iommu:unmap events print it. The linker puts these functions in
 * the place of the core's for the rooms above it (--wrap), so that the core
 * itself has nothing to look at.
 */
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "plat/spinlock.h"
#include "preload/preload.h"

int __real_iommu_map(struct iommu_domain *domain, dma_addr_t iova, phys_addr_t paddr, size_t size,
		     int prot, gfp_t gfp);
ssize_t __real_iommu_map_sg(struct iommu_domain *domain, dma_addr_t iova, const struct iommu_sg *sg,
			    unsigned int nents, int prot, gfp_t gfp);
size_t __real_iommu_unmap(struct iommu_domain *domain, dma_addr_t iova, size_t size);
size_t __real_iommu_unmap_fast(struct iommu_domain *domain, dma_addr_t iova, size_t size,
			       struct iommu_iotlb_gather *gather);

int __wrap_iommu_map(struct iommu_domain *domain, dma_addr_t iova, phys_addr_t paddr, size_t size,
		     int prot, gfp_t gfp);
ssize_t __wrap_iommu_map_sg(struct iommu_domain *domain, dma_addr_t iova, const struct iommu_sg *sg,
			    unsigned int nents, int prot, gfp_t gfp);
size_t __wrap_iommu_unmap(struct iommu_domain *domain, dma_addr_t iova, size_t size);
size_t __wrap_iommu_unmap_fast(struct iommu_domain *domain, dma_addr_t iova, size_t size,
			       struct iommu_iotlb_gather *gather);

static bool tracing;
static char trace_path[PATH_MAX];

/* Lines are collected and written when there are many, or at the end. */
static struct {
	struct spinlock lock;
	size_t used;
	char text[32768];
} buffer;

#define LINE_MAX_BYTES 256

void trace_open(void)
{
	const char *path = getenv(ENV_TRACE);

	snprintf(trace_path, sizeof(trace_path), "%s", path ? path : "");
	tracing = trace_path[0];
}

/* The file is open only meanwhile: the program has no descriptor to stumble over. */
static void flush_locked(void)
{
	int fd = real()->open(trace_path, O_WRONLY | O_APPEND | O_CLOEXEC);
	size_t at = 0;

	while (fd >= 0 && at < buffer.used) {
		ssize_t n = real()->write(fd, buffer.text + at, buffer.used - at);

		if (n <= 0)
			break;
		at += (size_t)n;
	}
	if (fd >= 0)
		real()->close(fd);
	buffer.used = 0;
}

void trace_flush(void)
{
	if (!tracing)
		return;
	spin_lock(&buffer.lock);
	if (buffer.used)
		flush_locked();
	spin_unlock(&buffer.lock);
}

__attribute__((format(printf, 1, 2))) static void line(const char *format, ...)
{
	uint64_t now = account_clock();
	va_list args;
	char *at;

	spin_lock(&buffer.lock);
	if (buffer.used + LINE_MAX_BYTES > sizeof(buffer.text))
		flush_locked();
	at = buffer.text + buffer.used;
	at += snprintf(at, 64, "%16s-%-7d [%03u] ..... %12" PRIu64 ".%06u: ", "program",
		       (int)syscall(SYS_gettid), (unsigned int)sched_getcpu(), now / 1000000000,
		       (unsigned int)(now / 1000 % 1000000));
	va_start(args, format);
	at += vsnprintf(at, LINE_MAX_BYTES - 80, format, args);
	va_end(args);
	buffer.used = (size_t)(at - buffer.text);
	spin_unlock(&buffer.lock);
}

static void trace_map(uint64_t iova, uint64_t paddr, uint64_t size)
{
	line("map: IOMMU: iova=0x%016" PRIx64 " - 0x%016" PRIx64 " paddr=0x%016" PRIx64
	     " size=%" PRIu64 "\n",
	     iova, iova + size, paddr, size);
}

static void trace_unmap(uint64_t iova, uint64_t size, uint64_t unmapped)
{
	line("unmap: IOMMU: iova=0x%016" PRIx64 " - 0x%016" PRIx64 " size=%" PRIu64
	     " unmapped_size=%" PRIu64 "\n",
	     iova, iova + size, size, unmapped);
}

int __wrap_iommu_map(struct iommu_domain *domain, dma_addr_t iova, phys_addr_t paddr, size_t size,
		     int prot, gfp_t gfp)
{
	int ret = __real_iommu_map(domain, iova, paddr, size, prot, gfp);

	if (unlikely(tracing) && !ret)
		trace_map(iova, paddr, size);
	return ret;
}

/* One event for each run of adjoining pieces, as they are mapped. */
static void trace_pieces(uint64_t iova, const struct iommu_sg *sg, unsigned int nents)
{
	for (unsigned int i = 0; i < nents;) {
		uint64_t paddr = sg[i].paddr, size = 0;

		for (; i < nents && sg[i].paddr == paddr + size; i++)
			size += sg[i].length;
		if (size)
			trace_map(iova, paddr, size);
		iova += size;
	}
}

ssize_t __wrap_iommu_map_sg(struct iommu_domain *domain, dma_addr_t iova, const struct iommu_sg *sg,
			    unsigned int nents, int prot, gfp_t gfp)
{
	ssize_t ret = __real_iommu_map_sg(domain, iova, sg, nents, prot, gfp);

	if (unlikely(tracing) && ret > 0)
		trace_pieces(iova, sg, nents);
	return ret;
}

size_t __wrap_iommu_unmap(struct iommu_domain *domain, dma_addr_t iova, size_t size)
{
	size_t ret = __real_iommu_unmap(domain, iova, size);

	if (unlikely(tracing))
		trace_unmap(iova, size, ret);
	return ret;
}

size_t __wrap_iommu_unmap_fast(struct iommu_domain *domain, dma_addr_t iova, size_t size,
			       struct iommu_iotlb_gather *gather)
{
	size_t ret = __real_iommu_unmap_fast(domain, iova, size, gather);

	if (unlikely(tracing))
		trace_unmap(iova, size, ret);
	return ret;
}
