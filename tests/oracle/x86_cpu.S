/* SPDX-License-Identifier: MIT */
/*
 * A program for a CPU with nothing around it: it reads and writes through tables
 * that it is given, and notes which accesses fault. It runs at any address; the
 * tables have it among their mappings, for the supervisor only.
 *
 * An access of a device is one of a user. With SMAP the supervisor's own tell as
 * much: while AC is clear those to a page for users fault, while it is set they
 * are checked like any other.
 */
#include "x86_cpu.h"

	.text
	.code64
start:
	lea	start(%rip), %rbx
	lea	MAILBOX_OFFSET(%rbx), %r15

wait:
	pause
	mov	MAILBOX_BELL(%r15), %r14
	test	%r14, %r14
	jz	wait

	cmpq	$0, MAILBOX_MOVE(%r15)
	jz	forget
	mov	MAILBOX_HOME(%r15), %rax
	mov	%rax, %cr3
	mov	MAILBOX_PLACE(%r15), %rbx
	lea	moved - start(%rbx), %rax
	jmp	*%rax
moved:
	lea	MAILBOX_OFFSET(%rbx), %r15
	mov	%r15, %rsp
	lgdt	MAILBOX_GDTR(%r15)
	lidt	MAILBOX_IDTR(%r15)
	mov	MAILBOX_TABLES(%r15), %rax
	mov	%rax, %cr3

forget:
	mov	MAILBOX_FLUSHES(%r15), %rcx
	test	%rcx, %rcx
	jz	requests
	js	2f
1:	mov	MAILBOX_FLUSH_LIST - 8(%r15, %rcx, 8), %rax
	invlpg	(%rax)
	dec	%rcx
	jnz	1b
	jmp	requests
2:	mov	%cr3, %rax
	mov	%rax, %cr3

requests:
	lea	MAILBOX_REQUESTS(%r15), %r13
request:
	mov	REQUEST_ADDRESS(%r13), %rsi
	clac
	lea	1f(%rip), %rdi
	mov	(%rsi), %al
	movq	$1, REQUEST_SUPERVISOR(%r13)
	jmp	2f
1:	movq	$0, REQUEST_FAULT(%r13)
	stac
	lea	2f(%rip), %rdi
	cmpq	$0, REQUEST_IS_WRITE(%r13)
	jne	3f
	mov	(%rsi), %al
	jmp	2f
3:	mov	%al, (%rsi)
2:	add	$REQUEST_BYTES, %r13
	dec	%r14
	jnz	request

	movq	$0, MAILBOX_BELL(%r15)
	jmp	wait

/* On the stack: error code, rip, cs, flags, rsp, ss. It goes on at %rdi. */
	.org	HANDLER_OFFSET
	pop	%rdx
	mov	$FAULTED, %rcx
	or	%rcx, %rdx
	mov	%rdx, REQUEST_FAULT(%r13)
	mov	%rdi, (%rsp)
	iretq

/* From reset to 64 bits, at BOOT_LINEAR. */
	.org	BOOT_OFFSET
	.code16
boot:
	jmp	1f
	.org	BOOT_OFFSET + BOOT_CR4
	.long	0
	.org	BOOT_OFFSET + BOOT_CR3
	.long	0
	.org	BOOT_OFFSET + BOOT_GDT
	.quad	0
	.quad	0x00af9b000000ffff	/* SELECTOR: code, 64-bit, present, accessed */
	.quad	0x00cf93000000ffff	/* data */
gdtr:	.word	GDT_BYTES - 1
	.long	BOOT_LINEAR + BOOT_GDT
1:	cli
	lgdtl	%cs:gdtr - boot
	mov	%cs:BOOT_CR4, %eax
	mov	%eax, %cr4
	mov	%cs:BOOT_CR3, %eax
	mov	%eax, %cr3
	mov	$0xc0000080, %ecx	/* EFER */
	mov	$0x900, %eax		/* NXE, LME */
	xor	%edx, %edx
	wrmsr
	mov	$0x80010011, %eax	/* PG, WP, ET, PE */
	mov	%eax, %cr0
	ljmpl	$SELECTOR, $PROGRAM_PADDR
	.org	BOOT_OFFSET + BOOT_BYTES
