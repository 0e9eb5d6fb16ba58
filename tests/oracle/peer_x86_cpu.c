/* SPDX-License-Identifier: MIT */
/*
 * The x86-64 CPU's layout, by the walker and the TLB of a CPU of QEMU. A program on
 * it (x86_cpu.S) makes the accesses. It must itself be mapped: the CPU's top table
 * is a copy of the one under test, made afresh for every batch, with the program in
 * a slot that is empty there. All tables below are the live ones.
 *
 * Leaves point to where there is nothing, so that QEMU logs each access with the
 * physical address at which it arrived. Its CPU has 40 bits of them.
 */
#include "tests/oracle/guest.h"
#include "tests/oracle/x86_64.h"
#include "tests/oracle/x86_cpu.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BIOS_BYTES   0x10000
#define RESET_VECTOR 0xfff0

#define CR4_PAE  0x20u
#define CR4_LA57 0x1000u
#define CR4_SMAP 0x200000u

/* The CPU's own tables, after the program's 2 MiB. */
#define HOME     UINT64_C(0x400000) /* the top one that has all places */
#define NEXT     UINT64_C(0x401000) /* of 57 bits: below the top */
#define LOW_GIB  UINT64_C(0x402000) /* of items of 1 GiB, */
#define LOW_2M   UINT64_C(0x403000) /* of 2 MiB */
#define TOPS     UINT64_C(0x404000) /* two copies of the top, by turns */
#define ITEMS    512
#define OF_TABLE UINT64_C(3)    /* present, writable; not for users */
#define OF_LEAF  UINT64_C(0x83) /* large too */

#define VECTOR_PROTECTION 13
#define VECTOR_PAGE_FAULT 14
#define NR_VECTORS        32
#define GATE              UINT64_C(0x8e00) /* present, interrupt */

#define BATCH 512

static struct {
	struct qemu qemu;
	unsigned int shift;    /* of an item of the top table */
	unsigned int turn;     /* which of TOPS is in use */
	unsigned int slot;     /* the program's */
	const uint64_t *root;  /* the top table under test */
	bool move, forget_all; /* with the next batch */
	unsigned int flushes;
} cpu;

/* ---- memory ---- */

/* The file begins at address 0, and the host is little-endian as the guest. */
static uint64_t *guest(uint64_t paddr)
{
	return (uint64_t *)(oracle_ram + paddr);
}

static uint64_t *mailbox(uint64_t offset)
{
	return guest(PROGRAM_PADDR + MAILBOX_OFFSET + offset);
}

static uint64_t *request(size_t index)
{
	return mailbox(MAILBOX_REQUESTS + index * REQUEST_BYTES);
}

/* ---- the program's place ---- */

/* Its address through a slot of a top table. */
static uint64_t place(unsigned int slot)
{
	uint64_t address = (uint64_t)slot << cpu.shift;

	if (slot >= ITEMS / 2)
		address |= -(UINT64_C(1) << (cpu.shift + 9));
	return address + PROGRAM_PADDR;
}

static uint64_t item_of_program(void)
{
	return (cpu.shift == 48 ? NEXT : LOW_GIB) | OF_TABLE;
}

/* The first 4 MiB, program included, at any slot that item_of_program() is put in. */
static void make_tables(void)
{
	memset(guest(HOME), 0, TOPS - HOME);
	guest(NEXT)[0] = LOW_GIB | OF_TABLE;
	guest(LOW_GIB)[0] = LOW_2M | OF_TABLE;
	guest(LOW_2M)[0] = OF_LEAF; /* the BIOS, on its way out */
	guest(LOW_2M)[1] = PROGRAM_PADDR | OF_LEAF;
	guest(HOME)[0] = item_of_program();
}

/* 16 bytes: base of 64 bits behind a limit of 16. */
static void put_descriptor(uint64_t offset, uint64_t base, unsigned int bytes)
{
	uint16_t limit = (uint16_t)(bytes - 1);

	memcpy(mailbox(offset), &limit, 2);
	memcpy((char *)mailbox(offset) + 2, &base, 8);
}

static void put_gate(unsigned int vector, uint64_t handler)
{
	uint64_t *gate = guest(PROGRAM_PADDR + IDT_OFFSET) + 2 * (uint64_t)vector;

	gate[0] = (handler & 0xffff) | (uint64_t)SELECTOR << 16 | GATE << 32 |
		  (handler >> 16 & 0xffff) << 48;
	gate[1] = handler >> 32;
}

/* A slot that the tables leave free now; the old place stays in HOME. */
static void choose_place(void)
{
	uint64_t at;

	while (cpu.root[cpu.slot])
		cpu.slot = (cpu.slot + 1) % ITEMS;
	at = place(cpu.slot);
	guest(HOME)[cpu.slot] = item_of_program();
	cpu.turn ^= 1;
	*mailbox(MAILBOX_PLACE) = at;
	*mailbox(MAILBOX_TABLES) = TOPS + 4096 * (uint64_t)cpu.turn;
	put_descriptor(MAILBOX_GDTR, at + BOOT_OFFSET + BOOT_GDT, GDT_BYTES);
	put_descriptor(MAILBOX_IDTR, at + IDT_OFFSET, 16 * NR_VECTORS);
	put_gate(VECTOR_PROTECTION, at + HANDLER_OFFSET);
	put_gate(VECTOR_PAGE_FAULT, at + HANDLER_OFFSET);
}

static void copy_top(void)
{
	uint64_t *top;

	cpu.move |= cpu.root[cpu.slot] != 0;
	if (cpu.move)
		choose_place();
	top = guest(TOPS + 4096 * (uint64_t)cpu.turn);
	memcpy(top, cpu.root, 4096);
	top[cpu.slot] = item_of_program();
}

/* ---- tables ---- */

static void set_tables(struct peer *peer, const struct oracle_tables *tables)
{
	cpu.root = guest(tables->root);
	cpu.move = true;
}

static void invalidate(struct peer *peer, uint64_t iova, uint64_t last, bool tables)
{
	if ((last - iova) >> 12 >= FLUSHES_MOST - cpu.flushes) {
		cpu.forget_all = true;
		return;
	}
	for (uint64_t pages = ((last - iova) >> 12) + 1; pages; pages--) {
		mailbox(MAILBOX_FLUSH_LIST)[cpu.flushes++] = iova;
		iova += 4096;
	}
}

static void invalidate_all(struct peer *peer)
{
	cpu.forget_all = true;
}

/* ---- probes ---- */

static void ask(const struct probe *probes, size_t count)
{
	while (qemu_log_line(&cpu.qemu)) /* what is left of earlier ones */
		;
	copy_top();
	for (size_t i = 0; i < count; i++) {
		uint64_t *words = request(i);

		memset(words, 0, REQUEST_BYTES);
		words[REQUEST_ADDRESS / 8] = probes[i].iova;
		words[REQUEST_IS_WRITE / 8] = probes[i].access == IOMMU_WRITE;
	}
	*mailbox(MAILBOX_MOVE) = cpu.move;
	*mailbox(MAILBOX_FLUSHES) = cpu.forget_all ? ~UINT64_C(0) : cpu.flushes;
	guest_run(&cpu.qemu, mailbox(MAILBOX_BELL), count);
	cpu.move = cpu.forget_all = false;
	cpu.flushes = 0;
}

/* What does not stand in the log went to memory: never right. */
static uint64_t logged_paddr(const struct probe *probe)
{
	uint64_t paddr;

	do {
		paddr = guest_logged(&cpu.qemu, probe->access);
	} while (paddr != GUEST_NOT_LOGGED && (paddr ^ probe->iova) & 0xfff);
	return paddr;
}

static void answer(struct probe *probe, const uint64_t *words)
{
	probe->fault = words[REQUEST_FAULT / 8] || words[REQUEST_SUPERVISOR / 8];
	if (!probe->fault)
		probe->paddr = logged_paddr(probe);
}

static void probe(struct peer *peer, struct probe *probes, size_t count)
{
	while (count) {
		size_t now = count < BATCH ? count : BATCH;

		ask(probes, now);
		for (size_t i = 0; i < now; i++)
			answer(&probes[i], request(i));
		probes += now;
		count -= now;
	}
}

/* ---- start and stop ---- */

/* 64 KiB up to 4 GiB, with the jump at their end where a CPU begins. */
static int make_bios(unsigned int width)
{
	static const unsigned char jump[] = {
		0xea, 0, 0, 0, BOOT_LINEAR >> 12 & 0xff, BOOT_LINEAR >> 12 >> 8};
	const uint32_t cr4 = CR4_PAE | CR4_SMAP | (width == 57 ? CR4_LA57 : 0), cr3 = HOME;
	unsigned char bios[BIOS_BYTES] = {0};
	int fd = memfd_create("oracle-bios", 0);

	memcpy(bios, guest(PROGRAM_PADDR + BOOT_OFFSET), BOOT_BYTES);
	memcpy(bios + BOOT_CR4, &cr4, 4);
	memcpy(bios + BOOT_CR3, &cr3, 4);
	memcpy(bios + RESET_VECTOR, jump, sizeof(jump));
	if (fd < 0 || write(fd, bios, BIOS_BYTES) != BIOS_BYTES)
		die("no memory for a BIOS: %s", strerror(errno));
	return fd;
}

static void start(struct peer *peer, const struct oracle_case *test)
{
	char path[32];
	const char *const arguments[] = {
		"-machine", "q35,accel=tcg,hpet=off,memory-backend=ram0",
		"-cpu",     "max,la57=on",
		"-bios",    path,
		"-d",       qemu_log_items(peer),
		NULL,
	};
	int bios;

	cpu.shift = test->width - 9;
	guest_program("x86", guest(PROGRAM_PADDR), IDT_OFFSET);
	make_tables();
	*mailbox(MAILBOX_HOME) = HOME;
	bios = make_bios(test->width);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", bios);
	qemu_start(&cpu.qemu, peer, 0, arguments);
	close(bios);
}

static void stop(struct peer *peer)
{
	qemu_stop(&cpu.qemu);
}

struct peer peer_x86_cpu = {
	.name = "QEMU's x86-64 CPU",
	.program = "qemu-system-x86_64",
	.ram_bytes = UINT64_C(2) << 30,
	.arena_offset = UINT64_C(1) << 30,
	.arena_paddr = UINT64_C(1) << 30,
	.paddr_first = UINT64_C(1) << 34,
	.paddr_last = (UINT64_C(1) << 40) - 1,
	.flags = IOMMU_NOEXEC | IOMMU_CACHE,
	.start = start,
	.set_tables = set_tables,
	.probe = probe,
	.invalidate = invalidate,
	.invalidate_all = invalidate_all,
	.stop = stop,
	.ignores = x86_64_ignores,
};
