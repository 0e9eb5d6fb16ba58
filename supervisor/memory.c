/* SPDX-License-Identifier: MIT */
/*
 * Memory that a program has given back while devices may still use it. In the kernel
 * the pages stay pinned and devices go on to write to memory that is nobody's, which
 * nothing tells. Here it is told when it matters: before the memory is unmapped from
 * the IOMMU, at a close, and at the end.
 */
#include <inttypes.h>
#include <stdatomic.h>

#include "iommufd/iommufd.h"
#include "supervisor/supervisor.h"

/* After so many lines the rest is counted only. */
#define LINES_MAX 16

void memory_gone(void *context, uint64_t address, uint64_t length, uint64_t iova, uint64_t mapped)
{
	const struct report_munmap event = {address, length, iova, mapped};
	const struct file *file = context;
	static atomic_uint lines;
	unsigned int line = atomic_fetch_add(&lines, 1);

	if (line < LINES_MAX)
		notice("%s[%d]: munmap of 0x%" PRIx64 "-0x%" PRIx64
		       ", which is still mapped for DMA: %" PRIu64 " bytes at IOVA 0x%" PRIx64,
		       file->opener->comm, (int)file->opener->pid, address, address + length - 1,
		       mapped, iova);
	else if (line == LINES_MAX)
		notice("more memory is unmapped while it is mapped for DMA: counted in the report");
	if (file->slot)
		account_munmap(file->slot, &event);
}

void memory_check(struct file *context)
{
	if (context->ctx)
		iommufd_check_memory(context->ctx);
}
