/* SPDX-License-Identifier: MIT */
/*
 * Running a program under the supervisor: what the command needs of it.
 */
#ifndef SUPERVISOR_RUN_H
#define SUPERVISOR_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <uiommu/iommufd.h>

#include "supervisor/report.h"

/* What comes after an access of a device that is refused. */
enum dma_fault {
	DMA_FAULT_LOG,
	DMA_FAULT_ABORT, /* the program that has the device gets SIGABRT */
	DMA_FAULT_STOP,  /* SIGSTOP, for a debugger */
};

struct supervisor_options {
	const char *format;
	unsigned int address_width; /* 0: the format's default */
	unsigned int devices;       /* /dev/vfio/devices/vfio0 and so on */
	const char *const *models;  /* of PCI devices, "MODEL[,key=value...]" */
	unsigned int nr_models;
	enum dma_fault dma_fault;
	enum iommufd_phys_mode phys;
	uint64_t memory_max, memory_high; /* UINT64_MAX: none */
	uint64_t memlock;                 /* bytes; 0: by RLIMIT_MEMLOCK */
	unsigned int fail_nth;            /* 0: none */
	bool test_abi;
	enum iommufd_abi abi; /* of the test ABI */
	const char *trace;    /* a file to be added to, or NULL */
	/* Called in the process that could not become the program; does not return. */
	void (*not_started)(const char *path, int error);
};

/*
 * Run @path with @argv until no process under it is left. @ended is called, with the
 * status of waitpid(), when the program itself has ended, though others may go on.
 * 0 and the program's @pid and @status; or a negative errno, and in @error (of
 * @error_size bytes) one line about what is missing.
 */
int supervisor_run(const struct supervisor_options *options, struct report *report,
		   const char *path, char **argv, void (*ended)(int status), pid_t *pid,
		   int *status, char *error, size_t error_size);

#endif
