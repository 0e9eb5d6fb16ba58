/* SPDX-License-Identifier: MIT */
/*
 * Accesses of devices that were refused, with what a programmer wants to know of them:
 * was something mapped there lately, by which call, and when did it end?
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "iommufd/iommufd.h"
#include "iommufd/lookup.h"
#include "plat/compiler.h"
#include "vfio/dma.h"
#include "vfio/pci.h"

#define MAPPED_SLOTS   4096
#define UNMAPPED_SLOTS 1024

/* A mapping, by where it begins. */
struct mapped {
	const struct io_pagetable *space;
	uint64_t iova, length;
	uint64_t number; /* of the calls that map, from 1 */
	uint32_t cmd;
};

struct unmapped {
	const struct io_pagetable *space;
	uint64_t iova, length;
	uint64_t time;      /* nanoseconds */
	struct mapped from; /* number 0: not known */
};

void (*vfio_fault_told)(const struct vfio_pci *pci, enum vfio_fault_kind kind, const char *line);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct mapped mapped[MAPPED_SLOTS];
static struct unmapped unmapped[UNMAPPED_SLOTS];
static uint64_t nr_mapped, nr_unmapped;
static _Atomic uint64_t nr_faults;

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* ---- what was mapped ---- */

static struct mapped *slot_of(const struct io_pagetable *space, uint64_t iova)
{
	uint64_t hash = (iova ^ (uintptr_t)space) * UINT64_C(0x9e3779b97f4a7c15);

	return &mapped[hash >> 52];
}

static void note_mapped(const struct io_pagetable *space, uint64_t iova, uint64_t length)
{
	pthread_mutex_lock(&lock);
	*slot_of(space, iova) = (struct mapped){space, iova, length, ++nr_mapped, space->ctx->cmd};
	pthread_mutex_unlock(&lock);
}

static void note_unmapped(const struct io_pagetable *space, uint64_t iova, uint64_t length)
{
	struct unmapped *slot;
	const struct mapped *from;

	pthread_mutex_lock(&lock);
	slot = &unmapped[nr_unmapped++ % UNMAPPED_SLOTS];
	*slot = (struct unmapped){space, iova, length, now(), {0}};
	from = slot_of(space, iova);
	if (from->space == space && from->iova == iova && from->length == length)
		slot->from = *from;
	pthread_mutex_unlock(&lock);
}

static const struct iommufd_observer observer = {
	.mapped = note_mapped,
	.unmapped = note_unmapped,
};

void vfio_fault_start(void)
{
	iommufd_observer = &observer;
}

/* The last time that something there was unmapped. */
static bool find_unmapped(const struct io_pagetable *space, uint64_t iova, struct unmapped *found)
{
	uint64_t first = nr_unmapped > UNMAPPED_SLOTS ? nr_unmapped - UNMAPPED_SLOTS : 0;

	for (uint64_t n = nr_unmapped; n-- > first;) {
		*found = unmapped[n % UNMAPPED_SLOTS];
		if (found->space == space && iova - found->iova < found->length)
			return true;
	}
	return false;
}

/* ---- in words ---- */

#define LINE 320

/* Of which times everybody has an idea. */
static void describe_time(uint64_t ns, char text[32])
{
	if (ns < 10000000000ull)
		snprintf(text, 32, "%" PRIu64 ".%" PRIu64 " ms", ns / 1000000, ns / 100000 % 10);
	else
		snprintf(text, 32, "%" PRIu64 " s", ns / 1000000000);
}

static const char *short_name(uint32_t cmd)
{
	const char *name = iommufd_ioctl_name(cmd);

	if (!name)
		return "a call";
	return strncmp(name, "IOMMU_IOAS_", 11) == 0 ? name + 6 : name;
}

static void describe_past(const struct vfio_fault *fault, char *text, size_t size)
{
	struct unmapped past;
	char time[32];
	bool found;

	pthread_mutex_lock(&lock);
	found = fault->space && find_unmapped(fault->space, fault->at, &past);
	pthread_mutex_unlock(&lock);
	text[0] = '\0';
	if (!found)
		return;
	describe_time(now() - past.time, time);
	if (past.from.number)
		snprintf(text, size,
			 "; was mapped until %s ago by %s, mapping #%" PRIu64 " (IOVA 0x%" PRIx64
			 ", size 0x%" PRIx64 ")",
			 time, short_name(past.from.cmd), past.from.number, past.iova, past.length);
	else
		snprintf(text, size, "; was mapped until %s ago", time);
}

static const char *reason(const struct vfio_fault *fault)
{
	switch (fault->kind) {
	case VFIO_FAULT_BLOCKED:
		return "the device is attached to no address space";
	case VFIO_FAULT_NO_MASTER:
		return "bus mastering is off in its command register";
	case VFIO_FAULT_STALE:
		return "translated by an entry that is out of date";
	case VFIO_FAULT_GONE:
		return "the program has given the memory back";
	default:
		break;
	}
	switch (fault->why) {
	case HW_FAULT_NOT_PRESENT:
	case HW_FAULT_ADDRESS:
		return "not mapped";
	case HW_FAULT_WRITE:
		return "mapped for reading only";
	case HW_FAULT_READ:
		return "mapped for writing only";
	default:
		return hw_fault_name(fault->why);
	}
}

void vfio_fault(struct vfio_pci *pci, const struct vfio_fault *fault)
{
	char line[LINE], past[LINE / 2], at[40] = "";

	atomic_fetch_add(&nr_faults, 1);
	if (!vfio_fault_told)
		return;
	describe_past(fault, past, sizeof(past));
	if (fault->at != fault->iova && fault->kind != VFIO_FAULT_NO_MASTER)
		snprintf(at, sizeof(at), " from 0x%" PRIx64 " on", fault->at);
	snprintf(line, sizeof(line), "%s %s 0x%zx bytes at IOVA 0x%" PRIx64 ": %s%s%s", pci->name,
		 fault->write ? "wrote" : "read", fault->length, fault->iova, reason(fault), at,
		 past);
	vfio_fault_told(pci, fault->kind, line);
}

uint64_t vfio_fault_count(void)
{
	return atomic_load(&nr_faults);
}
