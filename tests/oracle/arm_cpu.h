/* SPDX-License-Identifier: MIT */
/*
 * The mailbox between the program on the emulated CPU (arm_cpu.S) and its host
 * (peer_arm_cpu.c): little-endian 64-bit words, offsets in bytes.
 */
#ifndef TESTS_ORACLE_ARM_CPU_H
#define TESTS_ORACLE_ARM_CPU_H

#define MAILBOX_OFFSET 0x10000 /* from the program's start */

#define MAILBOX_BELL 0x00 /* requests to be answered; 0 when they are */
#define MAILBOX_ESR  0x08 /* of an exception that should not be, or 0 */
#define MAILBOX_ELR  0x10

/* System registers to be set first. */
#define MAILBOX_SCTLR_EL1 0x40
#define MAILBOX_TCR_EL1   0x48
#define MAILBOX_TTBR0_EL1 0x50
#define MAILBOX_MAIR_EL1  0x58
#define MAILBOX_HCR_EL2   0x60
#define MAILBOX_VTCR_EL2  0x68
#define MAILBOX_VTTBR_EL2 0x70

#define MAILBOX_REQUESTS 0x1000

#define REQUEST_ADDRESS 0
#define REQUEST_KIND    8
#define REQUEST_PAR     16 /* the answer: PAR_EL1 */
#define REQUEST_BYTES   24

/* Kinds: bit 0 for a write, bit 1 for both stages. */
#define KIND_WRITE  0
#define KIND_STAGES 1

#endif
