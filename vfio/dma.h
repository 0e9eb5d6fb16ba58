/* SPDX-License-Identifier: MIT */
/*
 * Accesses that are refused, and how they are told.
 */
#ifndef VFIO_DMA_H
#define VFIO_DMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/domain.h"
#include "hw/walk.h"

struct io_pagetable;
struct vfio_pci;

enum vfio_fault_kind {
	VFIO_FAULT_TABLES,    /* the tables do not let it through */
	VFIO_FAULT_BLOCKED,   /* the device is attached to nothing */
	VFIO_FAULT_NO_MASTER, /* its command register forbids it */
	VFIO_FAULT_STALE,     /* translated to what is not mapped there any more */
	VFIO_FAULT_GONE,      /* the program has given the memory back */
};

struct vfio_fault {
	uint64_t iova; /* of the whole access */
	size_t length;
	uint64_t at; /* where it failed */
	uint32_t pasid;
	bool write;
	enum vfio_fault_kind kind;
	enum hw_fault why;                /* VFIO_FAULT_TABLES */
	const struct io_pagetable *space; /* or NULL */
};

/* Count a fault and tell it. */
void vfio_fault(struct vfio_pci *pci, const struct vfio_fault *fault);

/* One line for each fault, from any thread; NULL: only counted. */
extern void (*vfio_fault_told)(const struct vfio_pci *pci, enum vfio_fault_kind kind,
			       const char *line);
uint64_t vfio_fault_count(void);
/* Remember what is mapped and unmapped, so that faults can be explained. */
void vfio_fault_start(void);

#endif
