/* SPDX-License-Identifier: MIT */
/*
 * --trace: a line for each mapping that is made and taken away, as the kernel's
 * iommu:map and iommu:unmap events print it; trace_dma.c adds those of the DMA API.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "plat/spinlock.h"
#include "preload/preload.h"

bool tracing;
static char trace_path[PATH_MAX];

/* Lines are collected and written when there are many, or at the end. */
static struct {
	struct spinlock lock;
	size_t used;
	char text[32768];
} buffer;

#define HEAD_BYTES 80
#define LINE_BYTES 176

void trace_open(void)
{
	const char *path = getenv(ENV_TRACE);

	snprintf(trace_path, sizeof(trace_path), "%s", path ? path : "");
	tracing = trace_path[0];
	if (tracing)
		trace_dma_open();
}

/* 0, or why not all could be written. */
static int write_lines(int fd)
{
	for (size_t at = 0; at < buffer.used;) {
		ssize_t n = real()->write(fd, buffer.text + at, buffer.used - at);

		if (n > 0)
			at += (size_t)n;
		else if (n < 0 && errno != EINTR)
			return errno;
	}
	return 0;
}

/* The file is open only meanwhile: the program has no descriptor to stumble over. */
static void flush_locked(void)
{
	int fd = real()->open(trace_path, O_WRONLY | O_APPEND | O_CLOEXEC);
	int error = fd < 0 ? errno : write_lines(fd);

	if (fd >= 0)
		real()->close(fd);
	if (error)
		account_trace_failed(error);
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

char *trace_begin(size_t room)
{
	uint64_t now = account_clock();
	char *at;

	spin_lock(&buffer.lock);
	if (buffer.used + HEAD_BYTES + room > sizeof(buffer.text))
		flush_locked();
	at = buffer.text + buffer.used;
	return at + snprintf(at, HEAD_BYTES,
			     "%16s-%-7d [%03u] ..... %12" PRIu64 ".%06u: ", "program",
			     (int)syscall(SYS_gettid), (unsigned int)sched_getcpu(),
			     now / 1000000000, (unsigned int)(now / 1000 % 1000000));
}

void trace_end(const char *at)
{
	buffer.used = (size_t)(at - buffer.text);
	spin_unlock(&buffer.lock);
}

__attribute__((format(printf, 1, 2))) static void line(const char *format, ...)
{
	char *at = trace_begin(LINE_BYTES);
	va_list args;

	va_start(args, format);
	at += vsnprintf(at, LINE_BYTES, format, args);
	va_end(args);
	trace_end(at);
}

void trace_map(uint64_t iova, uint64_t paddr, uint64_t size)
{
	line("map: IOMMU: iova=0x%016" PRIx64 " - 0x%016" PRIx64 " paddr=0x%016" PRIx64
	     " size=%" PRIu64 "\n",
	     iova, iova + size, paddr, size);
}

void trace_unmap(uint64_t iova, uint64_t size, uint64_t unmapped)
{
	line("unmap: IOMMU: iova=0x%016" PRIx64 " - 0x%016" PRIx64 " size=%" PRIu64
	     " unmapped_size=%" PRIu64 "\n",
	     iova, iova + size, size, unmapped);
}
