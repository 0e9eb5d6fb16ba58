/* SPDX-License-Identifier: MIT */
/*
 * A program with nothing around it, for the instructions that only a guest can
 * execute. Its image lies at address 0, as the hardware wants it. Interrupts are
 * never enabled; a program check stops the machine.
 */
#include "s390_cpu.h"

	.text
	.org	0
	.long	0x00080000, 0x80000200	/* the PSW that a start from an image takes */
	.org	0x1d0
	.quad	0x0002000180000000, 0	/* after a program check: wait, disabled */

	.org	0x200
start:
	llill	%r12, MAILBOX
wait:
	lg	%r11, 0(%r12)
	ltgr	%r11, %r11
	jz	wait
	llilh	%r10, LIST >> 16

next:
	l	%r0, COMMAND_NUMBER(%r10)
	lg	%r4, COMMAND_A(%r10)
	lg	%r2, COMMAND_B(%r10)
	lg	%r3, COMMAND_C(%r10)

	brct	%r0, 2f
	.insn	rrf, 0xb9a00000, %r0, %r2, 0, 2		/* CLP */
	j	done
2:	brct	%r0, 3f
	.insn	rre, 0xb9d00000, %r4, %r2		/* PCISTG */
	j	done
3:	brct	%r0, 4f
	.insn	rre, 0xb9d20000, %r4, %r2		/* PCILG */
	j	done
4:	brct	%r0, 5f
	.insn	rre, 0xb9d30000, %r4, %r2		/* RPCIT */
	j	done
5:	brct	%r0, 6f
	.insn	rxy, 0xe300000000d0, %r4, 0(%r2)	/* MPCIFC */
	j	done
6:	brct	%r0, 7f
	lghi	%r5, 0
	lrvh	%r5, 2(%r2)		/* the ring's index, little-endian */
	lgr	%r6, %r5
	ngr	%r6, %r3
	la	%r6, 0(%r6, %r6)
	la	%r6, 0(%r6, %r2)
	strvh	%r4, 4(%r6)
	ahi	%r5, 1
	strvh	%r5, 2(%r2)
	j	done
7:	brct	%r0, 8f
	llgc	%r5, 0(%r2)
	cr	%r5, %r4
	je	done
	sgr	%r11, %r3
	sllg	%r3, %r3, COMMAND_LG2
	agr	%r10, %r3
	j	done
8:	stg	%r4, 0(%r2)

done:
	ipm	%r5
	srl	%r5, 28
	st	%r5, COMMAND_CONDITION(%r10)
	stg	%r4, COMMAND_A(%r10)
	la	%r10, COMMAND_BYTES(%r10)
	brctg	%r11, next
	stg	%r11, 0(%r12)
	j	wait
