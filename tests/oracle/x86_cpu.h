/* SPDX-License-Identifier: MIT */
/*
 * The program on the emulated CPU (x86_cpu.S) as its host (peer_x86_cpu.c) knows
 * it: offsets in bytes from its start; words of 64 bits.
 */
#ifndef TESTS_ORACLE_X86_CPU_H
#define TESTS_ORACLE_X86_CPU_H

#define PROGRAM_PADDR 0x200000 /* where it lies */

/* What becomes the BIOS: 16-bit code, a table of segments. */
#define BOOT_OFFSET 0x800
#define BOOT_CR4    0x04 /* from there: values of 32 bits, filled in by the host */
#define BOOT_CR3    0x08
#define BOOT_GDT    0x10
#define BOOT_BYTES  0x100
#define BOOT_LINEAR 0xf0000
#define GDT_BYTES   0x18
#define SELECTOR    0x08 /* of 64-bit code */

#define HANDLER_OFFSET 0x700 /* of page faults and general protection */
#define IDT_OFFSET     0x1000
#define MAILBOX_OFFSET 0x4000 /* the stack ends there */

#define MAILBOX_BELL    0x00 /* requests to be done; 0 when they are */
#define MAILBOX_MOVE    0x08 /* go to another place and other tables first? */
#define MAILBOX_PLACE   0x10 /* the address of the program from then on */
#define MAILBOX_HOME    0x18 /* tables that have both places */
#define MAILBOX_TABLES  0x20 /* tables that have the new one */
#define MAILBOX_GDTR    0x28 /* 10 bytes each */
#define MAILBOX_IDTR    0x38
#define MAILBOX_FLUSHES 0x48 /* translations to forget first; negative for all */

#define MAILBOX_FLUSH_LIST 0x100
#define FLUSHES_MOST       64

#define MAILBOX_REQUESTS 0x1000

#define REQUEST_ADDRESS    0
#define REQUEST_IS_WRITE   8
#define REQUEST_SUPERVISOR 16 /* out: the page is not for users */
#define REQUEST_FAULT      24 /* out: error code | FAULTED, or 0 */
#define REQUEST_BYTES      32

#define FAULTED 0x100000000

#endif
