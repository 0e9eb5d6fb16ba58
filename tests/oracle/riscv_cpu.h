/* SPDX-License-Identifier: MIT */
/*
 * The mailbox between the program on the emulated CPU (riscv_cpu.S) and its host
 * (peer_riscv.c): little-endian 64-bit words, offsets in bytes.
 */
#ifndef TESTS_ORACLE_RISCV_CPU_H
#define TESTS_ORACLE_RISCV_CPU_H

#define MAILBOX_OFFSET 0x10000 /* from the program's start */

#define MAILBOX_BELL  0x00 /* requests to be done; 0 when they are */
#define MAILBOX_FLUSH 0x08 /* forget translations first? */
#define MAILBOX_VSATP 0x10
#define MAILBOX_HGATP 0x18

#define MAILBOX_REQUESTS 0x1000

#define REQUEST_ADDRESS     0
#define REQUEST_IS_WRITE    8  /* write too, unless the read found memory */
#define REQUEST_READ_CAUSE  16 /* mcause of the read, 0 if there was no exception */
#define REQUEST_WRITE_CAUSE 24 /* mcause of the write */
#define REQUEST_MTVAL2      32 /* of the last one */
#define REQUEST_MTINST      40
#define REQUEST_BYTES       48

#endif
