/* SPDX-License-Identifier: MIT */
/*
 * A program of ours on the CPU of a QEMU, and the bell between it and us: a
 * 64-bit word of guest memory that we set and the program sets back to 0.
 *
 * The program waits for it in a loop, so QEMU is stopped while it has no work.
 */
#ifndef TESTS_ORACLE_GUEST_H
#define TESTS_ORACLE_GUEST_H

#include "tests/oracle/qemu.h"

/*
 * Copy the program @name ("s390": s390_cpu.S), as it is to lie in memory, to @to;
 * returns its bytes.
 */
size_t guest_program(const char *name, void *to, size_t room);

/* Ring: @work is not 0, in the guest's byte order. Returns when it has been done. */
void guest_run(struct qemu *qemu, volatile uint64_t *bell, uint64_t work);

/*
 * Where the next access of that kind arrived that QEMU logs as one to nothing
 * (qemu_log_items()), or GUEST_NOT_LOGGED when there is none.
 */
uint64_t guest_logged(struct qemu *qemu, int access);

#define GUEST_NOT_LOGGED (~UINT64_C(0))

#endif
