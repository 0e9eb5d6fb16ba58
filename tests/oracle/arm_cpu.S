/* SPDX-License-Identifier: MIT */
/*
 * A program for EL2 with nothing around it: it asks the CPU's own table walker
 * about addresses (the AT instructions) and hands back what PAR_EL1 says. It is
 * placed as it is, without a linker: everything is relative to its start.
 */
#include "arm_cpu.h"

	.text
start:
	adr	x0, vectors
	msr	vbar_el2, x0
	adr	x20, start + MAILBOX_OFFSET
	isb

wait:
	yield
	ldar	x22, [x20]		/* MAILBOX_BELL */
	cbz	x22, wait

	ldp	x0, x1, [x20, #MAILBOX_SCTLR_EL1]
	msr	sctlr_el1, x0
	msr	tcr_el1, x1
	ldp	x0, x1, [x20, #MAILBOX_TTBR0_EL1]
	msr	ttbr0_el1, x0
	msr	mair_el1, x1
	ldp	x0, x1, [x20, #MAILBOX_HCR_EL2]
	msr	hcr_el2, x0
	msr	vtcr_el2, x1
	ldr	x0, [x20, #MAILBOX_VTTBR_EL2]
	msr	vttbr_el2, x0
	isb
	tlbi	alle1
	dsb	sy
	isb

	add	x23, x20, #MAILBOX_REQUESTS
request:
	ldp	x0, x1, [x23, #REQUEST_ADDRESS]
	tbnz	x1, #KIND_STAGES, both_stages
	tbnz	x1, #KIND_WRITE, 1f
	at	s1e0r, x0
	b	translated
1:	at	s1e0w, x0
	b	translated
both_stages:
	tbnz	x1, #KIND_WRITE, 1f
	at	s12e0r, x0
	b	translated
1:	at	s12e0w, x0
translated:
	isb
	mrs	x2, par_el1
	str	x2, [x23, #REQUEST_PAR]
	add	x23, x23, #REQUEST_BYTES
	subs	x22, x22, #1
	b.ne	request

	stlr	xzr, [x20]
	b	wait

	/*
	 * A table that cannot be read is a synchronous abort of the AT itself: put
	 * its status where PAR_EL1 has that of other faults, and go on after it.
	 */
	.balign	0x800
vectors:
	.rept	16
	mrs	x10, esr_el2
	lsr	x11, x10, #26
	cmp	x11, #0x25		/* a data abort from this level */
	b.ne	dead
	and	x10, x10, #0x3f
	lsl	x10, x10, #1
	orr	x10, x10, #1
	msr	par_el1, x10
	mrs	x10, elr_el2
	add	x10, x10, #4
	msr	elr_el2, x10
	eret
	.balign	0x80
	.endr

dead:
	mrs	x11, elr_el2
	stp	x10, x11, [x20, #MAILBOX_ESR]
	stlr	xzr, [x20]
1:	wfi
	b	1b
