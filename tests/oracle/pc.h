/* SPDX-License-Identifier: MIT */
/*
 * A PC (QEMU's q35) with two devices that access memory synchronously, when a
 * register is written, though no CPU runs: "edu" writes 4 bytes by its MSI,
 * "e1000" reads the 16 bytes of a transmit descriptor. Both stand behind the
 * IOMMU; the two have entries of their own in its caches.
 *
 * Leaves point to where there is nothing, so that QEMU logs each
 * access with the physical address at which it arrived, which is all there is to
 * know: where the IOMMU refuses, the address is still the device's.
 */
#ifndef TESTS_ORACLE_PC_H
#define TESTS_ORACLE_PC_H

#include "tests/oracle/qemu.h"

/* 8 GiB of RAM: 2 below the holes, the rest from 4 GiB on. The arena is there. */
#define PC_RAM          (UINT64_C(8) << 30)
#define PC_ARENA_OFFSET (UINT64_C(3) << 30)
#define PC_ARENA_PADDR  (UINT64_C(5) << 30)
/* What the peer itself needs: from the file's second MiB, at the same address. */
#define PC_SCRATCH UINT64_C(0x100000)
/* Nothing lies above: RAM ends at 10 GiB, windows of 64-bit PCI at 1 TiB. */
#define PC_NOWHERE (UINT64_C(1) << 41)
/* The interrupt range, which no IOMMU of a PC translates. */
#define PC_HOLE_FIRST UINT64_C(0xfee00000)
#define PC_HOLE_LAST  UINT64_C(0xfeefffff)

#define PC_WRITER 0x20u /* devfn of edu, of e1000 */
#define PC_READER 0x28u

struct pc {
	struct qemu qemu;
	void (*before)(uint64_t iova); /* called ahead of each access, if not NULL */
};

/* @iommu: as after -device. */
void pc_start(struct pc *pc, const struct peer *peer, const char *iommu);

/* As peer->probe; leaf sizes are not told. */
void pc_probe(struct pc *pc, struct probe *probes, size_t count);

#endif
