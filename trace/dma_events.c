/* SPDX-License-Identifier: MIT */
/*
 * Part of the shared library: prints what a program asks of the DMA API as the kernel's
 * dma events, to the file that the environment variable UIOMMU_TRACE names. `uiommu run
 * --trace` sets it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <uiommu/trace.h>

#include "plat/compiler.h"
#include "plat/spinlock.h"
#include "supervisor/report.h"

/* As in the kernel, only the beginning of a longer list is printed. */
#define ENTRIES 128

/* Lines are collected, and written when there are many of them or at the end. */
static struct {
	struct spinlock lock;
	const char *path;
	size_t used;
	char text[32768];
} buffer;

#define HEAD_BYTES 80

/*
 * The beginning of the report of the supervisor, which tells the user about the trace;
 * or NULL.
 */
static struct report *report;
static bool pending; /* this process is counted in it */

static void open_report(void)
{
	const char *path = getenv(REPORT_ENV_PATH);
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	uint32_t magic;
	void *start;

	if (fd < 0)
		return;
	if (pread(fd, &magic, sizeof(magic), 0) == sizeof(magic) && magic == REPORT_MAGIC) {
		start = mmap(NULL, offsetof(struct report, processes), PROT_READ | PROT_WRITE,
			     MAP_SHARED, fd, 0);
		report = start == MAP_FAILED ? NULL : start;
	}
	close(fd);
}

/* A process that is killed loses the lines that it has not written. */
static void set_pending(bool now)
{
	if (!report || pending == now)
		return;
	pending = now;
	if (now)
		atomic_fetch_add(&report->trace_pending, 1);
	else
		atomic_fetch_sub(&report->trace_pending, 1);
}

static void tell_failure(int error)
{
	int32_t none = 0;

	if (report)
		atomic_compare_exchange_strong(&report->trace_error, &none, error);
}

/* Returns 0, or an error if not all lines could be written. */
static int write_lines(int fd)
{
	for (size_t at = 0; at < buffer.used;) {
		ssize_t n = write(fd, buffer.text + at, buffer.used - at);

		if (n > 0)
			at += (size_t)n;
		else if (n < 0 && errno != EINTR)
			return errno;
	}
	return 0;
}

/* The file is open only meanwhile, so that the program has no additional descriptor. */
static void flush_locked(void)
{
	int fd = open(buffer.path, O_WRONLY | O_APPEND | O_CLOEXEC);
	int error = fd < 0 ? errno : write_lines(fd);

	if (fd >= 0)
		close(fd);
	if (error)
		tell_failure(error);
	buffer.used = 0;
}

/*
 * Begin one more line, of up to @room bytes. Returns where the event goes, with its
 * newline; trace_end() takes its end.
 */
static char *trace_begin(size_t room)
{
	struct timespec now;
	char *at;

	clock_gettime(CLOCK_MONOTONIC, &now);
	spin_lock(&buffer.lock);
	set_pending(true);
	if (buffer.used + HEAD_BYTES + room > sizeof(buffer.text))
		flush_locked();
	at = buffer.text + buffer.used;
	return at + snprintf(at, HEAD_BYTES, "%16s-%-7d [%03u] ..... %12lld.%06ld: ", "program",
			     (int)syscall(SYS_gettid), (unsigned int)sched_getcpu(),
			     (long long)now.tv_sec, now.tv_nsec / 1000);
}

static void trace_end(const char *at)
{
	buffer.used = (size_t)(at - buffer.text);
	spin_unlock(&buffer.lock);
}

/* The longest event: three lists of ENTRIES, a name, and the other fields. */
#define ROOM ((size_t)3 * ENTRIES * sizeof("0xffffffffffffffff,") + 1024)

struct text {
	char *at, *end;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(t->at, (size_t)(t->end - t->at), format, args);
	va_end(args);
	if (n > 0)
		t->at += MIN(n, t->end - t->at - 1);
}

static struct text begin(const char *event, const struct iommu_device *dev)
{
	char *at = trace_begin(ROOM);
	struct text t = {at, at + ROOM};

	put(&t, "%s: %s", event, iommu_device_name(dev));
	return t;
}

static void put_dir(struct text *t, enum dma_data_direction dir)
{
	static const char *const names[] = {"BIDIRECTIONAL", "TO_DEVICE", "FROM_DEVICE", "NONE"};

	put(t, " dir=%s", names[dir & 3]);
}

/* Append the flags that have names here, and the end of the line. */
static void finish(struct text *t, unsigned long attrs)
{
	static const struct {
		unsigned long flag;
		const char *name;
	} flags[] = {
		{DMA_ATTR_SKIP_CPU_SYNC, "SKIP_CPU_SYNC"},
		{DMA_ATTR_ALLOC_SINGLE_PAGES, "ALLOC_SINGLE_PAGES"},
		{DMA_ATTR_PRIVILEGED, "PRIVILEGED"},
	};
	const char *separator = "";

	put(t, " attrs=");
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (attrs & flags[i].flag) {
			put(t, "%s%s", separator, flags[i].name);
			separator = "|";
		}
	put(t, "\n");
	trace_end(t->at);
}

static void trace_map_page(struct iommu_device *dev, bool resource, phys_addr_t paddr,
			   dma_addr_t addr, size_t size, enum dma_data_direction dir,
			   unsigned long attrs)
{
	struct text t = begin(resource ? "dma_map_resource" : "dma_map_page", dev);

	put_dir(&t, dir);
	put(&t, " dma_addr=%" PRIx64 " size=%zu phys_addr=%" PRIx64, addr, size, paddr);
	finish(&t, attrs);
}

static void trace_unmap_page(struct iommu_device *dev, bool resource, dma_addr_t addr, size_t size,
			     enum dma_data_direction dir, unsigned long attrs)
{
	struct text t = begin(resource ? "dma_unmap_resource" : "dma_unmap_page", dev);

	put_dir(&t, dir);
	put(&t, " dma_addr=%" PRIx64 " size=%zu", addr, size);
	finish(&t, attrs);
}

/* Print the numbers at @first and at each @stride bytes after it. */
static void put_list(struct text *t, const char *name, const void *first, size_t stride,
		     unsigned int nr)
{
	put(t, " %s={", name);
	for (unsigned int i = 0; i < MIN(nr, ENTRIES); i++)
		put(t, "%s0x%" PRIx64, i ? "," : "",
		    *(const uint64_t *)((const char *)first + i * stride));
	put(t, "}");
}

static void trace_map_list(struct iommu_device *dev, const struct scatterlist *sg,
			   unsigned int nents, unsigned int ents, enum dma_data_direction dir,
			   unsigned long attrs)
{
	struct text t = begin("dma_map_sg", dev);

	put_dir(&t, dir);
	put(&t, " nents=%u/%u ents=%u/%u%s", MIN(nents, ENTRIES), nents, MIN(ents, ENTRIES), ents,
	    nents > ENTRIES || ents > ENTRIES ? " [TRUNCATED]" : "");
	put_list(&t, "dma_addrs", &sg->dma_address, sizeof(*sg), ents);
	put_list(&t, "sizes", &sg->dma_length, sizeof(*sg), ents);
	put_list(&t, "phys_addrs", &sg->paddr, sizeof(*sg), nents);
	finish(&t, attrs);
}

static void trace_unmap_list(struct iommu_device *dev, const struct scatterlist *sg,
			     unsigned int nents, enum dma_data_direction dir, unsigned long attrs)
{
	struct text t = begin("dma_unmap_sg", dev);

	put_dir(&t, dir);
	put_list(&t, "phys_addrs", &sg->paddr, sizeof(*sg), nents);
	finish(&t, attrs);
}

static void put_gfp(struct text *t, gfp_t gfp)
{
	if (gfp == GFP_KERNEL)
		put(t, " flags=GFP_KERNEL");
	else if (gfp == GFP_KERNEL_ACCOUNT)
		put(t, " flags=GFP_KERNEL_ACCOUNT");
	else if (gfp == GFP_ATOMIC)
		put(t, " flags=GFP_ATOMIC");
	else
		put(t, " flags=0x%x", (unsigned int)gfp);
}

static void trace_alloc(struct iommu_device *dev, const void *cpu_addr, dma_addr_t addr,
			size_t size, gfp_t gfp, unsigned long attrs)
{
	struct text t = begin("dma_alloc", dev);

	put_dir(&t, DMA_BIDIRECTIONAL);
	put(&t, " dma_addr=%" PRIx64 " size=%zu virt_addr=%016" PRIxPTR, addr, size,
	    (uintptr_t)cpu_addr);
	put_gfp(&t, gfp);
	finish(&t, attrs);
}

static void trace_free(struct iommu_device *dev, const void *cpu_addr, dma_addr_t addr, size_t size,
		       unsigned long attrs)
{
	struct text t = begin("dma_free", dev);

	put_dir(&t, DMA_BIDIRECTIONAL);
	put(&t, " dma_addr=%" PRIx64 " size=%zu virt_addr=%016" PRIxPTR, addr, size,
	    (uintptr_t)cpu_addr);
	finish(&t, attrs);
}

/* The direction of the allocation is not kept. */
static void put_table(struct text *t, const struct sg_table *sgt, enum dma_data_direction dir)
{
	put_dir(t, dir);
	put(t, " dma_addr=%" PRIx64 " size=%zu", sgt->dma_address, sgt->size);
	put_list(t, "phys_addrs", &sgt->sgl->paddr, sizeof(*sgt->sgl), sgt->nents);
}

static void trace_alloc_table(struct iommu_device *dev, const struct sg_table *sgt,
			      enum dma_data_direction dir, gfp_t gfp, unsigned long attrs)
{
	struct text t = begin("dma_alloc_sgt", dev);

	put_table(&t, sgt, dir);
	put_gfp(&t, gfp);
	finish(&t, attrs);
}

static void trace_free_table(struct iommu_device *dev, const struct sg_table *sgt)
{
	struct text t = begin("dma_free_sgt", dev);

	put_table(&t, sgt, DMA_BIDIRECTIONAL);
	put(&t, "\n");
	trace_end(t.at);
}

static const struct dma_trace_ops dma_ops = {
	.map = trace_map_page,
	.unmap = trace_unmap_page,
	.map_sg = trace_map_list,
	.unmap_sg = trace_unmap_list,
	.alloc = trace_alloc,
	.free = trace_free,
	.alloc_sgt = trace_alloc_table,
	.free_sgt = trace_free_table,
};

/* The parent writes the lines that it has collected, so the child drops its copy. */
static void forked(void)
{
	buffer.used = 0;
	pending = false;
	spin_unlock(&buffer.lock);
}

static void fork_prepare(void)
{
	spin_lock(&buffer.lock);
}

static void fork_parent(void)
{
	spin_unlock(&buffer.lock);
}

__attribute__((constructor)) static void open_trace(void)
{
	const char *path = getenv(REPORT_ENV_TRACE);

	/* The environment may be changed before the trace ends. */
	buffer.path = path && *path ? strdup(path) : NULL;
	if (!buffer.path)
		return;
	open_report();
	pthread_atfork(fork_prepare, fork_parent, forked);
	dma_set_trace(&dma_ops);
}

__attribute__((destructor)) static void close_trace(void)
{
	spin_lock(&buffer.lock);
	if (buffer.used)
		flush_locked();
	set_pending(false);
	spin_unlock(&buffer.lock);
}
