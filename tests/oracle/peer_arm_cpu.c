// SPDX-License-Identifier: MIT
/*
 * The table walker of an Arm CPU, both stages, all that QEMU's "max" has: output
 * addresses of 52 bits with 64K granules, access flags, permissions of tables.
 * DDI 0487, D8. arm_cpu.S runs at EL2 and asks it by AT instructions, which access
 * nothing and cache nothing, so leaves may point anywhere.
 *
 * Stage 1 is that of EL1 and EL0, asked as EL0: what a device's accesses are.
 * Stage 2 is asked with stage 1 off.
 */
#include <inttypes.h>

#include "tests/oracle/arm.h"
#include "tests/oracle/arm_cpu.h"
#include "tests/oracle/guest.h"

#define RAM          UINT64_C(0x40000000)
#define RAM_BYTES    (UINT64_C(512) << 20)
#define ARENA_OFFSET (UINT64_C(16) << 20)
/* In the file; QEMU keeps a device tree before it. */
#define PROGRAM  (UINT64_C(1) << 20)
#define REQUESTS 4096

#define SCTLR_M    UINT64_C(1)
#define SCTLR_RES1 UINT64_C(0x30d00800)
#define TCR_EPD1   (UINT64_C(1) << 23)
#define HCR_VM     UINT64_C(1)
#define HCR_RW     (UINT64_C(1) << 31)
#define VTCR_RES1  (UINT64_C(1) << 31)
/* Inner shareable, write-back: how tables are read, in TCR_EL1 and VTCR_EL2. */
#define WALKS UINT64_C(0x3500)

#define PAR_F       UINT64_C(1)
#define PAR_S       (UINT64_C(1) << 9) /* the fault is of stage 2 */
#define PAR_ADDRESS UINT64_C(0x000ffffffffff000)

static struct arm_cpu {
	struct qemu qemu;
	unsigned int granule_lg2;
	unsigned int output_size; /* as IPS and PS have it */
	bool stage2;
	char *mailbox;
} cpu;

static uint64_t *word(uint64_t offset)
{
	return (uint64_t *)(cpu.mailbox + offset);
}

/* ---- the machine ---- */

/*
 * Physical addresses of 48 bits; with 64K granules 52, whose items have bits for that.
 * Others of stage 2 are as narrow as its input addresses, as they are in SMMUs: which
 * level it can begin at depends on them.
 */
static void choose_output(struct peer *peer, const struct oracle_case *test)
{
	static const unsigned int widths[] = {[2] = 40, 42, 44, 48, 52};
	unsigned int size = cpu.granule_lg2 == 16 ? 6 : 5;

	for (unsigned int i = 2; cpu.stage2 && i < size && size == 5; i++)
		if (widths[i] >= test->width)
			size = i;
	cpu.output_size = size;
	peer->paddr_last = (UINT64_C(1) << widths[size]) - 1;
}

static void start(struct peer *peer, const struct oracle_case *test)
{
	static const char *const arguments[] = {
		"-machine", "virt,virtualization=on,accel=tcg,memory-backend=ram0",
		"-cpu",     "max",
		"-device",  "loader,cpu-num=0,addr=0x40100000",
		NULL,
	};

	cpu.granule_lg2 = arm_granule_lg2(test);
	cpu.stage2 = arm_is_stage2(test);
	choose_output(peer, test);
	guest_program("arm", oracle_ram + PROGRAM, MAILBOX_OFFSET);
	cpu.mailbox = oracle_ram + PROGRAM + MAILBOX_OFFSET;
	qemu_start(&cpu.qemu, peer, 0, arguments);
}

static void stop(struct peer *peer)
{
	qemu_stop(&cpu.qemu);
}

static void ask(uint64_t count)
{
	guest_run(&cpu.qemu, word(MAILBOX_BELL), count);
	if (*word(MAILBOX_ESR))
		die("the program on the CPU ended at %#" PRIx64 ", ESR %#" PRIx64,
		    *word(MAILBOX_ELR), *word(MAILBOX_ESR));
}

/* ---- the peer ---- */

static void set_stage1(const struct oracle_tables *tables)
{
	*word(MAILBOX_SCTLR_EL1) = SCTLR_RES1 | SCTLR_M;
	*word(MAILBOX_TCR_EL1) = (uint64_t)cpu.output_size << 32 | TCR_EPD1 |
				 (uint64_t)arm_tg0(cpu.granule_lg2) << 14 | WALKS |
				 (64 - tables->test->width);
	*word(MAILBOX_TTBR0_EL1) = tables->root;
	*word(MAILBOX_HCR_EL2) = HCR_RW;
}

static void set_stage2(const struct oracle_tables *tables)
{
	unsigned int level = 4 - tables->levels; /* as the architecture counts */
	uint64_t sl0 = (cpu.granule_lg2 == 12 ? 2 : 3) - level;

	*word(MAILBOX_SCTLR_EL1) = SCTLR_RES1;
	*word(MAILBOX_VTCR_EL2) = VTCR_RES1 | (uint64_t)cpu.output_size << 16 |
				  (uint64_t)arm_tg0(cpu.granule_lg2) << 14 | WALKS |
				  (sl0 & 3) << 6 | (64 - tables->test->width);
	*word(MAILBOX_VTTBR_EL2) = tables->root;
	*word(MAILBOX_HCR_EL2) = HCR_RW | HCR_VM;
}

static void set_tables(struct peer *peer, const struct oracle_tables *tables)
{
	if (cpu.stage2)
		set_stage2(tables);
	else
		set_stage1(tables);
}

/* Fault status, DDI 0487 D17.2 (PAR_EL1.FST): the kind is above the level. */
static enum refusal refusal(uint64_t par)
{
	bool of_stage2 = par & PAR_S;

	switch (par >> 3 & 15) {
	case 0: /* address size: with stage 1 off, of the address that was asked for */
		return cpu.stage2 && !of_stage2 ? REFUSAL_ABSENT : REFUSAL_OTHER;
	case 1: /* translation */
		return REFUSAL_ABSENT;
	case 3: /* permission */
		return REFUSAL_DENIED;
	default: /* access flag, external abort, ... */
		return REFUSAL_OTHER;
	}
}

static void probe_batch(struct probe *probes, size_t count)
{
	uint64_t *request = word(MAILBOX_REQUESTS);

	for (size_t i = 0; i < count; i++, request += REQUEST_BYTES / 8) {
		request[REQUEST_ADDRESS / 8] = probes[i].iova;
		request[REQUEST_KIND / 8] =
			(probes[i].access == IOMMU_WRITE ? UINT64_C(1) << KIND_WRITE : 0) |
			(cpu.stage2 ? UINT64_C(1) << KIND_STAGES : 0);
	}
	ask(count);
	request = word(MAILBOX_REQUESTS);
	for (size_t i = 0; i < count; i++, request += REQUEST_BYTES / 8) {
		uint64_t par = request[REQUEST_PAR / 8];

		probes[i].fault = par & PAR_F;
		probes[i].refusal = refusal(par);
		probes[i].paddr = (par & PAR_ADDRESS) | (probes[i].iova & 0xfff);
	}
}

static void probe(struct peer *peer, struct probe *probes, size_t count)
{
	for (size_t at = 0; at < count; at += REQUESTS)
		probe_batch(probes + at, count - at < REQUESTS ? count - at : REQUESTS);
}

/* The program drops all translations at each bell, and AT uses none. */
static void invalidate(struct peer *peer, uint64_t iova, uint64_t last, bool tables)
{
}

static void invalidate_all(struct peer *peer)
{
}

struct peer peer_arm_cpu = {
	.name = "QEMU's Arm CPU",
	.program = "qemu-system-aarch64",
	.ram_bytes = RAM_BYTES,
	.arena_offset = ARENA_OFFSET,
	.arena_paddr = RAM + ARENA_OFFSET,
	.flags = IOMMU_CACHE | IOMMU_NOEXEC | IOMMU_MMIO,
	.start = start,
	.set_tables = set_tables,
	.probe = probe,
	.invalidate = invalidate,
	.invalidate_all = invalidate_all,
	.stop = stop,
	.ignores = arm_ignores,
};
