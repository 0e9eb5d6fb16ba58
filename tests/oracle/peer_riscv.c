// SPDX-License-Identifier: MIT
/*
 * riscv64: the table walker of a CPU with the hypervisor extension, in QEMU. A
 * program on it (riscv_cpu.S) reads and writes through tables with HLV and HSV.
 *
 * Sv39, Sv48 and Sv57 are the first stage of two. The second lets the walker see
 * the tables and nothing else, so that a translation ends in a guest-page fault
 * that tells its address, whatever that is.
 *
 * Sv39x4, Sv48x4 and Sv57x4 are the second stage of two, and the first is bare.
 * Leaves point to where there is nothing: that is an access fault, and QEMU logs
 * the address.
 *
 * U must be set in leaves for both.
 */
#include <endian.h>
#include <string.h>

#include "tests/oracle/guest.h"
#include "tests/oracle/riscv_cpu.h"

/* The guest's memory, as offsets in the file: the program, our tables, the arena. */
#define RAM_BASE UINT64_C(0x80000000)
#define MAILBOX  MAILBOX_OFFSET
#define OUR_TOP  UINT64_C(0x100000)
#define OUR_NEXT UINT64_C(0x104000)
#define ARENA    (UINT64_C(16) << 20)

#define MODE_SV39 UINT64_C(8) /* Sv48 and Sv57 are the next */
#define MODE_LG2  60

#define CAUSE_READ_ACCESS      5
#define CAUSE_WRITE_ACCESS     7
#define CAUSE_READ_PAGE        13
#define CAUSE_WRITE_PAGE       15
#define CAUSE_READ_GUEST_PAGE  21
#define CAUSE_WRITE_GUEST_PAGE 23

#define BATCH   512
#define NOWHERE (~UINT64_C(0))

static struct {
	struct qemu qemu;
	bool second_stage;  /* the tables are that */
	unsigned int width; /* of the case */
	bool extends_sign;  /* it takes the second stage's addresses for signed ones */
	bool flush;
} riscv;

/* ---- memory ---- */

static void put64(uint64_t offset, uint64_t value)
{
	value = htole64(value);
	memcpy(oracle_ram + offset, &value, 8);
}

static uint64_t get64(uint64_t offset)
{
	uint64_t value;

	memcpy(&value, oracle_ram + offset, 8);
	return le64toh(value);
}

static uint64_t request(size_t index)
{
	return MAILBOX + MAILBOX_REQUESTS + index * REQUEST_BYTES;
}

/* ---- tables ---- */

/* Of 39, 48, 57 bits, or 2 more. */
static uint64_t atp(unsigned int width, uint64_t root)
{
	uint64_t mode = MODE_SV39 + (width - 39) / 9;

	return mode << MODE_LG2 | root >> 12;
}

static uint64_t item(uint64_t paddr, uint64_t bits)
{
	return paddr >> 12 << 10 | bits;
}

/* A second stage that has one leaf: the GiB in which all of the memory lies. */
static void make_second_stage(void)
{
	put64(OUR_TOP, item(RAM_BASE + OUR_NEXT, 1));
	put64(OUR_NEXT + (RAM_BASE >> 30) * 8, item(RAM_BASE, 0xd7)); /* D A U W R V */
}

static void set_tables(struct peer *peer, const struct oracle_tables *tables)
{
	uint64_t ours = atp(48, RAM_BASE + OUR_TOP), theirs = atp(riscv.width, tables->root);

	put64(MAILBOX + MAILBOX_VSATP, riscv.second_stage ? 0 : theirs);
	put64(MAILBOX + MAILBOX_HGATP, riscv.second_stage ? theirs : ours);
	riscv.flush = true;
}

/* Translations that were logged are cached; others end in a fault. */
static void invalidate(struct peer *peer, uint64_t iova, uint64_t last, bool tables)
{
	riscv.flush = true;
}

static void invalidate_all(struct peer *peer)
{
	riscv.flush = true;
}

/* ---- probes ---- */

/* What QEMU up to 7.2 wants for an address in the upper half of a second stage. */
static uint64_t sign_extended(uint64_t iova)
{
	return riscv.extends_sign && iova >> (riscv.width - 1) == 1
		       ? iova | -(UINT64_C(1) << riscv.width)
		       : iova;
}

static void ask(const struct probe *probes, size_t count)
{
	while (qemu_log_line(&riscv.qemu)) /* what is left of earlier ones */
		;
	for (size_t i = 0; i < count; i++) {
		put64(request(i) + REQUEST_ADDRESS, sign_extended(probes[i].iova));
		put64(request(i) + REQUEST_IS_WRITE, probes[i].access == IOMMU_WRITE);
		put64(request(i) + REQUEST_WRITE_CAUSE, 0);
	}
	put64(MAILBOX + MAILBOX_FLUSH, riscv.flush);
	riscv.flush = false;
	guest_run(&riscv.qemu, (volatile uint64_t *)(oracle_ram + MAILBOX + MAILBOX_BELL),
		  htole64(count));
}

/* What mtinst says when a table was to be read, or written, and not the byte. */
#define MTINST_TABLE_READ  0x3000
#define MTINST_TABLE_WRITE 0x3020

/* The second stage's refusal is the first's success: mtval2 has bits 63:2 of it. */
static void first_stage_answer(struct probe *probe, size_t index, uint64_t cause)
{
	uint64_t mtinst = get64(request(index) + REQUEST_MTINST);

	switch (cause) {
	case CAUSE_READ_GUEST_PAGE:
	case CAUSE_WRITE_GUEST_PAGE:
		probe->fault = mtinst == MTINST_TABLE_READ || mtinst == MTINST_TABLE_WRITE;
		probe->paddr = get64(request(index) + REQUEST_MTVAL2) << 2 | (probe->iova & 3);
		return;
	case CAUSE_READ_PAGE:
	case CAUSE_WRITE_PAGE:
		probe->fault = true;
		return;
	}
	probe->paddr = NOWHERE; /* it has found our memory */
}

static void second_stage_answer(struct probe *probe, size_t index, uint64_t cause)
{
	switch (cause) {
	case CAUSE_READ_ACCESS:
	case CAUSE_WRITE_ACCESS:
		return; /* in the log */
	case CAUSE_READ_GUEST_PAGE:
	case CAUSE_WRITE_GUEST_PAGE:
		probe->fault = true;
		return;
	}
	probe->paddr = NOWHERE;
}

/* Its tables' items, if they are read from nowhere too, stand in the log as well. */
static uint64_t logged_paddr(const struct probe *probe, int access)
{
	uint64_t paddr;

	do {
		paddr = guest_logged(&riscv.qemu, access);
	} while (paddr != GUEST_NOT_LOGGED && (paddr ^ probe->iova) & 0xfff);
	return paddr;
}

static void answer(struct probe *probe, size_t index)
{
	uint64_t read = get64(request(index) + REQUEST_READ_CAUSE);
	uint64_t write = get64(request(index) + REQUEST_WRITE_CAUSE);

	probe->fault = false;
	if (riscv.second_stage) {
		if (read == CAUSE_READ_ACCESS)
			probe->paddr = logged_paddr(probe, IOMMU_READ);
		if (write == CAUSE_WRITE_ACCESS)
			probe->paddr = logged_paddr(probe, IOMMU_WRITE);
		second_stage_answer(probe, index, write ? write : read);
	} else {
		first_stage_answer(probe, index, write ? write : read);
	}
}

static void probe(struct peer *peer, struct probe *probes, size_t count)
{
	while (count) {
		size_t now = count < BATCH ? count : BATCH;

		ask(probes, now);
		for (size_t i = 0; i < now; i++)
			answer(&probes[i], i);
		probes += now;
		count -= now;
	}
}

/* ---- start and stop ---- */

/* See whether it finds the last item of a top table by an address as it is. */
static void try_last_item(struct peer *peer)
{
	uint64_t last = OUR_TOP + 2047 * 8;
	struct probe try = {.iova = UINT64_C(2047) << (riscv.width - 11), .access = IOMMU_READ};

	put64(last, item(peer->paddr_first, 0xd7));
	put64(MAILBOX + MAILBOX_HGATP, atp(riscv.width, RAM_BASE + OUR_TOP));
	probe(peer, &try, 1);
	riscv.extends_sign = try.fault;
	put64(last, 0);
	riscv.flush = true;
}

static void start(struct peer *peer, const struct oracle_case *test)
{
	const char *const arguments[] = {
		"-machine", "virt,accel=tcg,memory-backend=ram0",
		"-cpu",     "rv64,h=on,pmp=off,svnapot=on",
		"-bios",    "none",
		"-d",       qemu_log_items(peer),
		NULL,
	};

	riscv.width = test->width;
	riscv.second_stage = test->width == 41 || test->width == 50 || test->width == 59;
	guest_program("riscv", oracle_ram, MAILBOX_OFFSET);
	make_second_stage();
	qemu_start(&riscv.qemu, peer, 0, arguments);
	if (riscv.second_stage)
		try_last_item(peer);
}

static void stop(struct peer *peer)
{
	qemu_stop(&riscv.qemu);
}

/* ---- what it cannot notice ---- */

static const char *leaf_ignores(const struct oracle_item *item, unsigned int bit)
{
	switch (bit) {
	case 3:
		return "X: instructions only";
	case 6 ... 7:
		return "A, D: this walker sets them itself";
	case 63: /* a run's PPN[3:0] is 8 in all its items: at the ninth that is the page itself */
		return (item->iova >> 12 & 15) == 8 && (item->value >> 10 & 15) == 8
			       ? "N in the middle of a run: the same page with it and without"
			       : NULL;
	}
	return NULL;
}

static const char *ignores(const struct oracle_item *item, unsigned int bit)
{
	if (bit == 5)
		return "G: the TLB's tag";
	if (bit == 8 || bit == 9)
		return "RSW: for software";
	if (bit >= 54 && bit <= 60)
		return "bits 60:54: reserved, this walker does not look";
	return item->leaf ? leaf_ignores(item, bit) : NULL;
}

struct peer peer_riscv64 = {
	.name = "QEMU rv64",
	.program = "qemu-system-riscv64",
	.ram_bytes = UINT64_C(512) << 20,
	.arena_offset = ARENA,
	.arena_paddr = RAM_BASE + ARENA,
	.paddr_first = UINT64_C(3) << 50,
	.paddr_last = (UINT64_C(1) << 56) - 1,
	.flags = IOMMU_CACHE | IOMMU_NOEXEC | IOMMU_MMIO,
	.start = start,
	.set_tables = set_tables,
	.probe = probe,
	.invalidate = invalidate,
	.invalidate_all = invalidate_all,
	.stop = stop,
	.ignores = ignores,
};
