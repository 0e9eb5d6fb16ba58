/* SPDX-License-Identifier: MIT */
#include "tests/oracle/pc.h"

#include <stdlib.h>
#include <string.h>

#define ECAM       UINT64_C(0xb0000000)
#define WRITER_BAR UINT64_C(0xf0000000)
#define READER_BAR UINT64_C(0xf0200000)

#define PCI_COMMAND 0x04
#define PCI_BAR0    0x10
#define EDU_MSI     0x40 /* its MSI capability */
#define EDU_RAISE   0x60 /* interrupt status: raises what is written */
#define E1000_TCTL  0x400
#define E1000_TDBAL 0x3800

/*
 * Probes are told apart in the log by the low 12 bits of their addresses, which no
 * translation changes: a number that wraps, times the 16 bytes of the longest.
 */
#define STEP_LG2 4
#define GROUP    (1u << (12 - STEP_LG2))
#define PAGE_LOW UINT64_C(0xfff)

static uint64_t config(unsigned int devfn)
{
	return ECAM + ((uint64_t)devfn << 12);
}

static void setup_device(struct pc *pc, unsigned int devfn, uint64_t bar)
{
	qtest_write32(&pc->qemu, config(devfn) + PCI_BAR0, (uint32_t)bar);
	qtest_write32(&pc->qemu, config(devfn) + PCI_COMMAND, 6);
}

void pc_start(struct pc *pc, const struct peer *peer, const char *iommu)
{
	const char *const arguments[] = {
		"-machine",
		"q35,accel=tcg,hpet=off,memory-backend=ram0",
		"-S",
		"-device",
		iommu,
		"-device",
		"edu,addr=4",
		"-device",
		"e1000,addr=5,romfile=",
		"-d",
		qemu_log_items(peer),
		NULL,
	};

	qemu_start(&pc->qemu, peer, QEMU_QTEST, arguments);
	/* Switch memory-mapped configuration space on. */
	qtest_out32(&pc->qemu, 0xcf8, 0x80000060);
	qtest_out32(&pc->qemu, 0xcfc, (uint32_t)ECAM | 1);
	setup_device(pc, PC_WRITER, WRITER_BAR);
	setup_device(pc, PC_READER, READER_BAR);
	qtest_write32(&pc->qemu, config(PC_WRITER) + EDU_MSI, 0x00810005);
	qtest_write32(&pc->qemu, READER_BAR + E1000_TCTL, 2);
	qtest_sync(&pc->qemu);
}

/* The address that a probe uses: its page's, and its number. */
static uint64_t probed_iova(const struct probe *probe, unsigned int number)
{
	return (probe->iova & ~PAGE_LOW) | (number << STEP_LG2);
}

static void put_write(struct pc *pc, uint64_t iova)
{
	const uint32_t msi[3] = {(uint32_t)iova, (uint32_t)(iova >> 32), 0};

	qtest_write(&pc->qemu, config(PC_WRITER) + EDU_MSI + 4, msi, sizeof(msi));
	qtest_write32(&pc->qemu, WRITER_BAR + EDU_RAISE, 1);
}

/* Descriptor base, ring of 128 bytes, head 0, and tail 1, which sends. */
static void put_read(struct pc *pc, uint64_t iova)
{
	const uint32_t ring[7] = {(uint32_t)iova, (uint32_t)(iova >> 32), 128, 0, 0, 0, 1};

	qtest_write(&pc->qemu, READER_BAR + E1000_TDBAL, ring, sizeof(ring));
}

/* "Invalid write at addr 0x..., size 4, region '(null)', reason: rejected" */
static bool read_line(const char *line, int *access, uint64_t *paddr)
{
	if (!strncmp(line, "Invalid write at addr ", 22))
		*access = IOMMU_WRITE;
	else if (!strncmp(line, "Invalid read at addr ", 21))
		*access = IOMMU_READ;
	else
		return false;
	*paddr = strtoull(strstr(line, "addr ") + 5, NULL, 16);
	return true;
}

/* What arrived nowhere is left as an answer that is never right. */
static void read_answers(struct pc *pc, struct probe *probes, size_t count)
{
	bool answered[GROUP] = {false};
	uint64_t paddr;
	const char *line;
	int access;

	while ((line = qemu_log_line(&pc->qemu))) {
		struct probe *probe;
		uint64_t iova;
		size_t number;

		if (!read_line(line, &access, &paddr))
			continue;
		number = (paddr & PAGE_LOW) >> STEP_LG2;
		if (number >= count || answered[number] || probes[number].access != access)
			continue;
		probe = &probes[number];
		iova = probed_iova(probe, (unsigned int)number);
		answered[number] = true;
		probe->fault = paddr == iova;
		probe->paddr = paddr - iova + probe->iova;
	}
	for (size_t i = 0; i < count; i++)
		if (!answered[i])
			probes[i].paddr = ~UINT64_C(0);
}

static void probe_group(struct pc *pc, struct probe *probes, size_t count)
{
	for (unsigned int i = 0; i < count; i++) {
		uint64_t iova = probed_iova(&probes[i], i);

		if (pc->before)
			pc->before(iova);
		if (probes[i].access == IOMMU_WRITE)
			put_write(pc, iova);
		else
			put_read(pc, iova);
	}
	qtest_sync(&pc->qemu);
	read_answers(pc, probes, count);
}

void pc_probe(struct pc *pc, struct probe *probes, size_t count)
{
	for (size_t at = 0; at < count; at += GROUP)
		probe_group(pc, probes + at, count - at < GROUP ? count - at : GROUP);
}
