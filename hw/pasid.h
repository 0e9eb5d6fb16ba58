/* SPDX-License-Identifier: MIT */
/*
 * The hardware's side of PASID tables: from what a device's entry says, and a PASID, to
 * where its translation begins. Nothing is shared with core/pasid*.c.
 */
#ifndef HW_PASID_H
#define HW_PASID_H

#include "hw/walk.h"

enum hw_pasid_layout {
	HW_PASID_VTD,
	HW_PASID_ARM,
	HW_PASID_AMD,
};

/* What the device's entry says. */
struct hw_pasid_tables {
	enum hw_pasid_layout layout;
	const struct hw_memory *memory;
	uint64_t root;
	unsigned int bits; /* VT-d: PDTS + 13; Arm: S1CDMax; AMD: not read */
	unsigned int form; /* Arm: S1Fmt; AMD: GLX */
};

/* One stage; width 0: none. */
struct hw_pasid_stage {
	const char *format;
	uint64_t root;
	unsigned int width; /* bits of input address; 0 also where the device's entry says it */
	unsigned int granule_lg2; /* Arm */
};

struct hw_pasid_entry {
	struct hw_pasid_stage first, second; /* format NULL: there is none */
	uint16_t id;                         /* DID, ASID; AMD: 0 */
};

/* HW_FAULT_NONE, or why there is none for @pasid. */
enum hw_fault hw_pasid_find(const struct hw_pasid_tables *tables, uint32_t pasid,
			    struct hw_pasid_entry *entry);

#endif
