/* SPDX-License-Identifier: MIT */
/*
 * The list of commands that the program on the emulated CPU (s390_cpu.S) works
 * off for its host (peer_s390.c). All numbers are big-endian.
 */
#ifndef TESTS_ORACLE_S390_CPU_H
#define TESTS_ORACLE_S390_CPU_H

#define MAILBOX 0x2000  /* commands to be done, 64 bits; 0 when they are */
#define LIST    0x80000 /* of commands; a multiple of 64 KiB */

/* Commands, and what the words a, b and c of each are. */
#define COMMAND_CLP    1 /* b: request block */
#define COMMAND_PCISTG 2 /* a: value; b: handle, space and length; c: offset */
#define COMMAND_PCILG  3 /* the same; a: the answer */
#define COMMAND_RPCIT  4 /* a: handle; b: address; c: length */
#define COMMAND_MPCIFC 5 /* a: handle and operation; b: information block */
#define COMMAND_SUBMIT 6 /* a: head of a chain; b: virtio's ring; c: its items less 1 */
#define COMMAND_SKIP   7 /* a: a byte; b: if it is not here; c: so many commands */
#define COMMAND_STORE  8 /* a: value; b: where */

#define COMMAND_NUMBER    0 /* 32 bits */
#define COMMAND_CONDITION 4 /* the answer: condition code, 32 bits */
#define COMMAND_A         8
#define COMMAND_B         16
#define COMMAND_C         24
#define COMMAND_BYTES     32 /* COMMAND_LG2 */
#define COMMAND_LG2       5

#endif
