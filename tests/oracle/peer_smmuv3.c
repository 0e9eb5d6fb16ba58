// SPDX-License-Identifier: MIT
/*
 * QEMU's SMMUv3, stage 1: IHI 0070. There is no guest system; devices access
 * memory when qtest tells them to, and the log has what became of each access.
 *
 * A write is an MSI of edu. A read is the descriptor that e1000 fetches when its
 * transmit tail moves: 16 bytes, so it says everything four times. Two of them
 * take turns, so that repeats end where the stream id changes.
 *
 * An access that succeeds happens. Where a changed item leads into the tables it
 * would destroy them: so the walker is given the RAM file a second time, as the
 * read-only BAR of an ivshmem.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/oracle/arm.h"
#include "tests/oracle/qemu.h"

#define RAM_BYTES    (UINT64_C(512) << 20)
#define ARENA_OFFSET (UINT64_C(16) << 20)

/* The machine's map, and what we add to it. */
#define SMMU       UINT64_C(0x09050000)
#define ECAM       UINT64_C(0x4010000000)
#define BAR0(slot) (UINT64_C(0x10000000) + ((uint64_t)(slot) << 20))
#define RAM        UINT64_C(0x40000000)
#define TABLES     UINT64_C(0x8000000000) /* RAM again, read-only */
#define STREAMS    (RAM + 0x100000)
#define CONTEXT    (RAM + 0x110000)
#define COMMANDS   (RAM + 0x120000)
#define EVENTS     (RAM + 0x130000)

#define QUEUE_LG2 8

#define SLOT_EDU    1
#define SLOT_E1000  2
#define SLOT_TABLES 4
#define SID(slot)   ((slot) << 3)

#define SMMU_CR0          (SMMU + 0x20)
#define SMMU_STRTAB_BASE  (SMMU + 0x80)
#define SMMU_STRTAB_CFG   (SMMU + 0x88)
#define SMMU_CMDQ_BASE    (SMMU + 0x90)
#define SMMU_CMDQ_PROD    (SMMU + 0x98)
#define SMMU_EVENTQ_BASE  (SMMU + 0xa0)
#define CR0_SMMU_EVTQ_CMD 0xd

#define CMD_CFGI_ALL      0x04
#define CMD_TLBI_NH_ASID  0x11
#define CMD_TLBI_NH_VA    0x12
#define CMD_TLBI_NSNH_ALL 0x30
#define CMD_SYNC          0x46

#define ASID      UINT64_C(0x1d05)
#define MOST_TLBI 16 /* pages that are invalidated one by one */

#define EDU_MSI       (ECAM + (SLOT_EDU << 15) + 0x40)
#define EDU_RAISE_IRQ (BAR0(SLOT_EDU) + 0x60)
#define E1000_TCTL    0x400
#define E1000_TDBAL   0x3800
#define E1000_TDBAH   0x3804
#define E1000_TDLEN   0x3808
#define E1000_TDH     0x3810
#define E1000_TDT     0x3818

static struct smmu {
	struct qemu qemu;
	unsigned int granule_lg2;
	unsigned int produced; /* commands, ever */
	unsigned int reader;   /* of the two */
} smmu;

/* ---- the machine ---- */

static void start_pci(void)
{
	for (unsigned int slot = SLOT_EDU; slot <= SLOT_TABLES; slot++) {
		uint64_t config = ECAM + (slot << 15);

		qtest_write32(&smmu.qemu, config + 0x10, BAR0(slot));
		if (slot == SLOT_TABLES)
			qtest_write64(&smmu.qemu, config + 0x18, TABLES);
		qtest_write32(&smmu.qemu, config + 0x04, 6); /* memory, bus master */
	}
	qtest_write32(&smmu.qemu, EDU_MSI, 0x00810005); /* enabled, 64-bit */
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t bar = BAR0(SLOT_E1000 + i);

		qtest_write32(&smmu.qemu, bar + E1000_TDLEN, 128);
		qtest_write32(&smmu.qemu, bar + E1000_TCTL, 2); /* transmit */
	}
}

static void start_smmu(void)
{
	qtest_write64(&smmu.qemu, SMMU_STRTAB_BASE, STREAMS);
	qtest_write32(&smmu.qemu, SMMU_STRTAB_CFG, 8); /* linear, 256 streams */
	qtest_write64(&smmu.qemu, SMMU_CMDQ_BASE, COMMANDS | QUEUE_LG2);
	/* Nobody reads the events; what a full queue loses the log still has. */
	qtest_write64(&smmu.qemu, SMMU_EVENTQ_BASE, EVENTS | QUEUE_LG2);
	qtest_write32(&smmu.qemu, SMMU_CR0, CR0_SMMU_EVTQ_CMD);
}

static void start(struct peer *peer, const struct oracle_case *test)
{
	char tables[128];
	const char *const arguments[] = {
		"-S",
		"-machine",
		"virt,iommu=smmuv3,accel=tcg,memory-backend=ram0",
		"-cpu",
		"cortex-a57",
		"-device",
		"edu,addr=1",
		"-netdev",
		"user,id=net0",
		"-netdev",
		"user,id=net1",
		"-device",
		"e1000,addr=2,netdev=net0,romfile=",
		"-device",
		"e1000,addr=3,netdev=net1,romfile=",
		"-object",
		tables,
		"-device",
		"ivshmem-plain,addr=4,memdev=tables",
		"-trace",
		"smmuv3_translate_success",
		"-trace",
		"smmuv3_record_event",
		"-trace",
		"smmu_ptw_page_pte",
		"-trace",
		"smmu_ptw_block_pte",
		NULL,
	};

	snprintf(tables, sizeof(tables),
		 "memory-backend-file,id=tables,size=%" PRIu64
		 ",mem-path=/proc/self/fd/%d,share=on,readonly=on",
		 peer->ram_bytes, oracle_ram_fd);
	smmu.granule_lg2 = arm_granule_lg2(test);
	qemu_start(&smmu.qemu, peer, QEMU_QTEST, arguments);
	start_pci();
	start_smmu();
	qtest_sync(&smmu.qemu);
}

static void stop(struct peer *peer)
{
	qemu_stop(&smmu.qemu);
}

/* ---- commands ---- */

static void command(uint64_t low, uint64_t high)
{
	uint64_t words[2] = {low, high};
	uint64_t slot = smmu.produced++ & ((1u << QUEUE_LG2) - 1);

	qtest_write(&smmu.qemu, COMMANDS + slot * sizeof(words), words, sizeof(words));
}

static void run_commands(void)
{
	command(CMD_SYNC, 0);
	qtest_write32(&smmu.qemu, SMMU_CMDQ_PROD, smmu.produced & ((2u << QUEUE_LG2) - 1));
}

static void invalidate_all(struct peer *peer)
{
	command(CMD_CFGI_ALL, 31);
	command(CMD_TLBI_NSNH_ALL, 0);
	run_commands();
}

static void invalidate(struct peer *peer, uint64_t iova, uint64_t last, bool tables)
{
	uint64_t page = UINT64_C(1) << smmu.granule_lg2;
	uint64_t pages = (last >> smmu.granule_lg2) - (iova >> smmu.granule_lg2);

	if (pages < MOST_TLBI)
		for (uint64_t i = 0; i <= pages; i++)
			command(CMD_TLBI_NH_VA | ASID << 48, ((iova & -page) + i * page) | !tables);
	else
		command(CMD_TLBI_NH_ASID | ASID << 48, 0);
	run_commands();
}

static void set_tables(struct peer *peer, const struct oracle_tables *tables)
{
	uint64_t stream[8] = {CONTEXT | 5 << 1 | 1}; /* stage 1 only, valid */
	uint64_t context[8] = {
		/* AA64, R, A, IPS of 48 bits; valid, EPD1 */
		ASID << 48 | UINT64_C(0x6205) << 32 | UINT64_C(0xc0000000) |
			arm_tg0(smmu.granule_lg2) << 6 | (64 - tables->test->width),
		tables->root, 0, 0xff, /* MAIR */
	};

	for (unsigned int slot = SLOT_EDU; slot <= SLOT_TABLES; slot++)
		qtest_write(&smmu.qemu, STREAMS + SID(slot) * sizeof(stream), stream,
			    sizeof(stream));
	qtest_write(&smmu.qemu, CONTEXT, context, sizeof(context));
	invalidate_all(peer);
}

/* ---- probes ---- */

static unsigned int probe_write(uint64_t iova)
{
	struct {
		uint64_t address;
		uint32_t data;
	} __attribute__((packed)) msi = {iova & ~UINT64_C(3), 0x5a5a};

	qtest_write(&smmu.qemu, EDU_MSI + 4, &msi, sizeof(msi));
	qtest_write32(&smmu.qemu, EDU_RAISE_IRQ, 1);
	return SID(SLOT_EDU);
}

static unsigned int probe_read(uint64_t iova)
{
	uint64_t bar = BAR0(SLOT_E1000 + smmu.reader);
	unsigned int sid = SID(SLOT_E1000 + smmu.reader);

	qtest_write32(&smmu.qemu, bar + E1000_TDBAL, (uint32_t)iova & ~15u);
	qtest_write32(&smmu.qemu, bar + E1000_TDBAH, (uint32_t)(iova >> 32));
	qtest_write32(&smmu.qemu, bar + E1000_TDH, 0);
	qtest_write32(&smmu.qemu, bar + E1000_TDT, 1);
	smmu.reader ^= 1;
	return sid;
}

/* The number that follows @key, which ends in '='; false when the line has no such key. */
static bool number_after(const char *line, const char *key, uint64_t *value)
{
	const char *at = strstr(line, key);

	if (at)
		*value = strtoull(at + strlen(key), NULL, 0);
	return at;
}

/* "smmuv3_record_event F_TRANSLATION sid=..." */
static enum refusal refusal(const char *line)
{
	if (strstr(line, "F_TRANSLATION"))
		return REFUSAL_ABSENT;
	return strstr(line, "F_PERMISSION") ? REFUSAL_DENIED : REFUSAL_OTHER;
}

/* Returns the stream id that the line is about, or 0. */
static unsigned int read_line(const char *line, struct probe *answer)
{
	uint64_t sid, level, item, iova;

	if (!strncmp(line, "smmu_ptw_", 9) && number_after(line, "level=", &level) &&
	    number_after(line, "pte=", &item)) {
		answer->size_lg2 = arm_leaf_lg2(smmu.granule_lg2, 3 - (unsigned int)level, item);
		return 0;
	}
	if (!number_after(line, "sid=", &sid))
		return 0;
	answer->fault = !number_after(line, "translated=", &answer->paddr);
	answer->refusal = refusal(line);
	if (!answer->fault && number_after(line, "iova=", &iova))
		answer->iova = iova;
	return (unsigned int)sid;
}

/* Lines of @last are repeats of what the probe before was told. */
static void take_answer(struct probe *probe, unsigned int sid, unsigned int last)
{
	struct probe answer = {0};
	unsigned int about;
	const char *line;

	while ((line = qemu_log_line(&smmu.qemu))) {
		about = read_line(line, &answer);
		if (!about)
			continue;
		if (about == sid)
			break;
		if (about != last)
			die("SMMUv3: no answer for %#" PRIx64 " but \"%s\"", probe->iova, line);
		answer = (struct probe){0};
	}
	if (!line)
		die("SMMUv3: no answer for %#" PRIx64, probe->iova);
	probe->fault = answer.fault;
	probe->refusal = answer.refusal;
	probe->size_lg2 = answer.fault ? 0 : answer.size_lg2;
	probe->paddr = answer.paddr + (probe->iova - answer.iova);
}

#define BATCH 1024

static void probe_batch(struct probe *probes, size_t count)
{
	static unsigned int last_reader; /* its repeats may still stand in the log */
	unsigned int sids[BATCH];

	for (size_t i = 0; i < count; i++)
		sids[i] = probes[i].access == IOMMU_WRITE ? probe_write(probes[i].iova)
							  : probe_read(probes[i].iova);
	qtest_sync(&smmu.qemu);
	for (size_t i = 0; i < count; i++) {
		take_answer(&probes[i], sids[i], last_reader);
		if (probes[i].access != IOMMU_WRITE)
			last_reader = sids[i];
	}
}

static void probe(struct peer *peer, struct probe *probes, size_t count)
{
	for (size_t at = 0; at < count; at += BATCH)
		probe_batch(probes + at, count - at < BATCH ? count - at : BATCH);
}

/* ---- what it leaves out ---- */

static const char *ignores(const struct oracle_item *item, unsigned int bit)
{
	if (item->leaf && bit == 6)
		return "AP[1]: this model takes every access for privileged";
	if (item->leaf && bit == 10)
		return "AF: not checked by this model";
	if (item->leaf && bit == 52)
		return NULL; /* contiguous: it is in the size of the leaf */
	if (!item->leaf && bit == 61)
		return "APTable[0]: this model takes every access for privileged";
	if (!item->leaf && bit == 62)
		return "APTable[1]: not kept in this model's TLB";
	if (smmu.granule_lg2 == 16 && bit >= 12 && bit < 16)
		return "address bits 51:48: this model has 48";
	return arm_ignores(item, bit);
}

struct peer peer_smmuv3 = {
	.name = "QEMU SMMUv3",
	.program = "qemu-system-aarch64",
	.ram_bytes = RAM_BYTES,
	.arena_offset = ARENA_OFFSET,
	.arena_paddr = TABLES + ARENA_OFFSET,
	/* Above everything that the machine has, so that accesses change nothing. */
	.paddr_first = UINT64_C(1) << 40,
	.paddr_last = (UINT64_C(1) << 44) - 1, /* IDR5.OAS of this model */
	.probe_bits = 48,                      /* the model takes no more from devices */
	.flags = IOMMU_CACHE | IOMMU_NOEXEC | IOMMU_MMIO,
	.start = start,
	.set_tables = set_tables,
	.probe = probe,
	.invalidate = invalidate,
	.invalidate_all = invalidate_all,
	.stop = stop,
	.ignores = ignores,
};
