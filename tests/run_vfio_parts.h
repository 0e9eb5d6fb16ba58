/* SPDX-License-Identifier: MIT */
#ifndef RUN_VFIO_PARTS_H
#define RUN_VFIO_PARTS_H

/* ---- run_vfio_memory.c ---- */

void test_faults(void);
void test_dirty(void);
void test_canary(void);
void test_killed(void);

#endif
