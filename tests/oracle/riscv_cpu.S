/* SPDX-License-Identifier: MIT */
/*
 * A program for M-mode with nothing around it: it has bytes read and written
 * through the tables of a guest that is never entered (HLV and HSV), and hands
 * back what exceptions that raised. Everything is relative to its start.
 */
#include "riscv_cpu.h"

#define HSTATUS_SPVP	0x100 /* such accesses are VS-mode's, else VU-mode's */
#define CSR_HSTATUS	0x600
#define CSR_HGATP	0x680
#define CSR_VSATP	0x280
#define CSR_MTINST	0x34a
#define CSR_MTVAL2	0x34b

#define EXCEPTION	0x100 /* offset of its handler */

	.option	norvc
	.text
start:
	auipc	s0, 0
	lui	t0, MAILBOX_OFFSET >> 12
	addi	t1, s0, EXCEPTION
	csrw	mtvec, t1
	add	s0, s0, t0
	li	t0, HSTATUS_SPVP
	csrc	CSR_HSTATUS, t0

wait:
	ld	s1, MAILBOX_BELL(s0)
	beqz	s1, wait
	fence

	ld	t0, MAILBOX_VSATP(s0)
	csrw	CSR_VSATP, t0
	csrw	satp, t0	/* M-mode uses none; QEMU asks it whether pages can fault */
	ld	t0, MAILBOX_HGATP(s0)
	csrw	CSR_HGATP, t0
	ld	t0, MAILBOX_FLUSH(s0)
	beqz	t0, 1f
	.insn	r 0x73, 0, 0x11, x0, x0, x0	/* hfence.vvma */
	.insn	r 0x73, 0, 0x31, x0, x0, x0	/* hfence.gvma */
1:	lui	t0, MAILBOX_REQUESTS >> 12
	add	s2, s0, t0

request:
	ld	a0, REQUEST_ADDRESS(s2)
	ld	a1, REQUEST_IS_WRITE(s2)
	li	a2, 0
	li	a3, 0
	li	a5, 0
	.insn	r 0x73, 4, 0x30, a4, a0, x0	/* hlv.b a4, (a0) */
	sd	a2, REQUEST_READ_CAUSE(s2)
	beqz	a1, answer
	beqz	a2, answer
	li	a2, 0
	.insn	r 0x73, 4, 0x31, x0, a0, x0	/* hsv.b zero, (a0) */
	sd	a2, REQUEST_WRITE_CAUSE(s2)
answer:
	sd	a3, REQUEST_MTVAL2(s2)
	sd	a5, REQUEST_MTINST(s2)
	addi	s2, s2, REQUEST_BYTES
	addi	s1, s1, -1
	bnez	s1, request
	fence
	sd	zero, MAILBOX_BELL(s0)
	j	wait

	/* Note it and go on after the instruction. */
	.org	EXCEPTION
	csrr	a2, mcause
	csrr	a3, CSR_MTVAL2
	csrr	a5, CSR_MTINST
	csrr	t0, mepc
	addi	t0, t0, 4
	csrw	mepc, t0
	mret
