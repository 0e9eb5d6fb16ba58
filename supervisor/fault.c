/* SPDX-License-Identifier: MIT */
/*
 * Accesses of devices that were refused: told, and where the command line asks for it
 * the program is stopped where it stands.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "supervisor/supervisor.h"
#include "vfio/dma.h"
#include "vfio/pci.h"

/* After so many lines the rest is counted only. */
#define LINES_MAX 16

static atomic_uint lines;

/* The memory of a process goes before its files do, and with them its devices. */
static bool has_ended(pid_t pid)
{
	struct process *process = process_find(pid);
	bool ended = !process || process_is_ending(process);

	if (process)
		process_put(process);
	return ended;
}

static void told(const struct vfio_pci *pci, enum vfio_fault_kind kind, const char *line)
{
	pid_t pid = atomic_load(&pci->user);
	unsigned int n;

	if (kind == VFIO_FAULT_GONE && has_ended(pid))
		return;
	n = atomic_fetch_add(&lines, 1);
	if (n < LINES_MAX)
		notice("%s", line);
	else if (n == LINES_MAX)
		notice("more accesses of devices are refused: counted");
	if (pid > 0 && options->dma_fault != DMA_FAULT_LOG)
		kill(pid, options->dma_fault == DMA_FAULT_ABORT ? SIGABRT : SIGSTOP);
}

void fault_start(void)
{
	vfio_fault_told = told;
}

void fault_end(void)
{
	if (vfio_fault_count() > LINES_MAX)
		notice("%" PRIu64 " accesses of devices were refused", vfio_fault_count());
	vfio_fault_told = NULL;
	/* What a model has of a file is written. */
	vfio_pci_end();
}
