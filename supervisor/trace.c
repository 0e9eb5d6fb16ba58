/* SPDX-License-Identifier: MIT */
/*
 * --trace: a line for each mapping that is made and taken away, as the kernel's
 * iommu:map and iommu:unmap events print it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "plat/spinlock.h"
#include "supervisor/supervisor.h"

bool tracing;

/* Lines are collected and written when there are many, or at the end. */
static struct {
	struct spinlock lock;
	int fd;
	size_t used;
	char text[32768];
} buffer;

#define LINE_BYTES 256

void trace_open(const char *path)
{
	buffer.fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	tracing = buffer.fd >= 0;
	if (!tracing)
		account_trace_failed(errno);
}

/* 0, or why not all could be written. */
static int write_lines(void)
{
	for (size_t at = 0; at < buffer.used;) {
		ssize_t n = write(buffer.fd, buffer.text + at, buffer.used - at);

		if (n > 0)
			at += (size_t)n;
		else if (n < 0 && errno != EINTR)
			return errno;
	}
	return 0;
}

static void flush_locked(void)
{
	int error = write_lines();

	if (error)
		account_trace_failed(error);
	buffer.used = 0;
}

void trace_flush(void)
{
	if (!tracing)
		return;
	spin_lock(&buffer.lock);
	flush_locked();
	spin_unlock(&buffer.lock);
}

__attribute__((format(printf, 1, 2))) static void line(const char *format, ...)
{
	const struct process *process = current_call ? current_call->process : NULL;
	uint64_t now = account_clock();
	va_list args;
	char *at;

	spin_lock(&buffer.lock);
	if (buffer.used + LINE_BYTES > sizeof(buffer.text))
		flush_locked();
	at = buffer.text + buffer.used;
	at += snprintf(at, LINE_BYTES, "%16s-%-7d [%03u] ..... %12" PRIu64 ".%06u: ",
		       process ? process->comm : "program",
		       (int)(current_call ? current_call->caller.tid : getpid()),
		       (unsigned int)sched_getcpu(), now / 1000000000,
		       (unsigned int)(now / 1000 % 1000000));
	va_start(args, format);
	at += vsnprintf(at, (size_t)(buffer.text + buffer.used + LINE_BYTES - at), format, args);
	va_end(args);
	buffer.used = (size_t)(at - buffer.text);
	spin_unlock(&buffer.lock);
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
