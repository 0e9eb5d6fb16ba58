/* SPDX-License-Identifier: MIT */
/*
 * The numbers that `uiommu run` keeps of the processes under it: each one that uses
 * /dev/iommu has a slot. They are in a memfd of the supervisor's, which `uiommu top`
 * finds in /proc and reads at any time; nothing here waits for it. A slot has plain
 * numbers and names.
 */
#ifndef SUPERVISOR_REPORT_H
#define SUPERVISOR_REPORT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "plat/spinlock.h"

#define REPORT_NAME "uiommu-report" /* of the memfd; with a name of the user's: NAME after ':' */

/* What a program that uses the library finds: the trace, and what it says of that. */
#define REPORT_ENV_TRACE "UIOMMU_TRACE"  /* a path to the file */
#define REPORT_ENV_PATH  "UIOMMU_REPORT" /* a path to the memfd */

#define REPORT_MAGIC     0x7065727d /* changes with the layout */
#define REPORT_PROCESSES 512
#define REPORT_NUMBERS   64                   /* ioctls of one kind of file */
#define REPORT_IOCTLS    (2 * REPORT_NUMBERS) /* of devices, then of /dev/iommu */
#define REPORT_ERRORS    64
#define REPORT_DOMAINS   64
#define REPORT_OBJECTS   64
#define REPORT_MUNMAPS   16
#define REPORT_LEVELS    6

/* In the place of a number, where calls of several are counted. */
#define REPORT_VARIOUS UINT32_MAX

/* Calls of one ioctl, at report_index(). */
struct report_ioctl {
	uint32_t cmd;
	uint64_t calls;
	uint64_t failed;
	uint64_t ticks; /* of all of them together */
};

/* Two clocks at one moment. */
struct report_clock {
	uint64_t ticks;
	uint64_t ns;
};

/*
 * Ours have numbers from 100 on; all others share the last place. The same number
 * is one ioctl of /dev/iommu and another one of a device's file.
 */
static inline unsigned int report_index(uint32_t cmd, bool device)
{
	unsigned int number = (cmd & 0xff) - 100;

	if (number >= REPORT_NUMBERS - 1)
		number = REPORT_NUMBERS - 1;
	return number + (device ? 0 : REPORT_NUMBERS);
}

struct report_error {
	uint32_t cmd;
	uint32_t device; /* of a device's file */
	int32_t error;
	uint64_t count;
};

/* What one domain holds at a moment. */
struct report_usage {
	uint64_t bytes; /* of tables */
	uint64_t areas;
	uint64_t mapped;
	uint64_t tables[REPORT_LEVELS];
};

/* One domain, also after its end. */
struct report_domain {
	uint32_t file; /* number of the open /dev/iommu, from 1 */
	uint32_t hwpt;
	uint32_t ioas;
	uint32_t created_cmd; /* 0: by an attach to an IOAS */
	uint32_t nested;      /* a stage of the guest's: has no tables of ours */
	uint32_t alive;
	uint32_t width;
	char format[20];
	struct report_usage now, peak;
};

struct report_object {
	uint32_t file;
	uint32_t id;
	uint32_t type; /* enum iommufd_object_type */
	uint32_t created_cmd;
};

/* An munmap() of memory that was mapped for DMA. */
struct report_munmap {
	uint64_t address, length;
	uint64_t iova, mapped;
};

/* Since the process began. Each is added to on its own, and read so at any time. */
struct report_counters {
	uint64_t maps, maps_failed, map_bytes; /* calls of iommu_map() and iommu_map_sg() */
	uint64_t unmaps, unmap_bytes;
	uint64_t flushes;        /* that an IOTLB would see */
	uint64_t flushed_tables; /* of these, those that tables went with */
	uint64_t faults_read;    /* pages that were asked for, by devices of the test ABI */
	uint64_t faults_answered;
};

enum report_state {
	REPORT_FREE,
	REPORT_RUNNING,
	REPORT_EXITED,
	REPORT_KILLED, /* or its last thread ended without an exit of the process */
};

struct report_process {
	_Atomic uint32_t sequence; /* odd while domains and objects are written */
	_Atomic uint32_t state;
	int32_t pid;
	int32_t status; /* of its exit */
	uint32_t files_opened;
	uint32_t files_open;
	uint32_t fail_nth;               /* asked for */
	uint32_t fail_hit;               /* and it came to that */
	struct report_clock first, last; /* these two tell how long a tick is */
	char comm[16];
	char phys[24];
	/* The memory cgroup. UINT64_MAX is "max". */
	uint64_t memory_max, memory_high;
	uint64_t current, peak;
	uint64_t events_max, events_high;
	uint64_t memlock, memlock_reached; /* the limit on locked memory, once it was reached */
	struct report_counters counters;
	uint64_t looked;      /* ioctls that the figures below and of the memory cgroup have seen */
	struct spinlock lock; /* of the lists below, between threads of the program */
	uint32_t nr_domains;
	uint32_t domains_lost; /* some found no room in the list */
	uint32_t nr_objects;   /* alive, may be more than the list holds */
	uint32_t nr_munmaps;   /* may be more than the list holds */
	struct report_ioctl ioctls[REPORT_IOCTLS];
	struct report_error errors[REPORT_ERRORS];
	struct report_domain domains[REPORT_DOMAINS];
	struct report_object objects[REPORT_OBJECTS];
	struct report_munmap munmaps[REPORT_MUNMAPS];
};

struct report {
	uint32_t magic;
	_Atomic uint32_t nr_processes;  /* that asked for a slot */
	int32_t owner;                  /* the process of `uiommu run` */
	uint64_t current;               /* charged at its end, when all is closed: 0 */
	_Atomic int32_t not_started;    /* the program could not be executed, which was told */
	_Atomic int32_t trace_error;    /* why lines of --trace are missing; 0: they are not */
	_Atomic uint32_t trace_pending; /* programs that have lines of it to write */
	struct report_process processes[REPORT_PROCESSES];
};

#endif
