/* SPDX-License-Identifier: MIT */
/*
 * AMD v1: QEMU's amd-iommu (specification 2.2.2 for device table entries, 2.4 for
 * commands, 3.4 for registers).
 *
 * What QEMU 7.2 does in its own way: addresses above the mode's width are cut off
 * and not refused; levels are not checked to descend; a whole domain is forgotten when a page of it
 * is; the cache's key has the device in the place of the input address's bits from 48 on, so that
 * wide addresses find each other's translations.
 */
#include "tests/oracle/pc.h"

#include <string.h>

#define AMD         UINT64_C(0xfed80000)
#define AMD_DEVTAB  0x00
#define AMD_CMDBASE 0x08
#define AMD_EVTBASE 0x10
#define AMD_CONTROL 0x18
#define AMD_CMDTAIL 0x2008
#define AMD_ENABLE  0x1005 /* translation, event log, command buffer */
#define DOMAIN_ID   UINT64_C(5)

#define DEVICE_TABLE   PC_SCRATCH /* 64 KiB: 2048 entries */
#define COMMANDS       (PC_SCRATCH + 0x10000)
#define EVENTS         (PC_SCRATCH + 0x11000)
#define COMMANDS_BYTES 0x1000
#define RING_LG2       (UINT64_C(8) << 56) /* 2^8 items of 16 bytes */

#define KEY_BITS 48 /* of input address that the cache tells apart */

static struct pc pc;
static unsigned int command_at;

/* By qtest and not in our mapping: the ring may still be read for earlier ones. */
static void put_command(uint64_t low, uint64_t high)
{
	const uint64_t command[2] = {low, high};

	qtest_write(&pc.qemu, COMMANDS + command_at, command, sizeof(command));
	command_at = (command_at + 16) % COMMANDS_BYTES;
	qtest_write64(&pc.qemu, AMD + AMD_CMDTAIL, command_at);
}

static void invalidate_all(struct peer *peer)
{
	put_command(UINT64_C(8) << 60, 0);
}

static void set_tables(struct peer *peer, const struct oracle_tables *tables)
{
	static const unsigned int devices[] = {PC_WRITER, PC_READER};
	unsigned int bits = 12 + 9 * tables->levels;

	peer->probe_bits = bits < 64 ? bits : 64;
	for (unsigned int i = 0; i < ARRAY_SIZE(devices); i++) {
		uint64_t *entry =
			(uint64_t *)(oracle_ram + DEVICE_TABLE + 32 * (uint64_t)devices[i]);

		entry[0] = tables->root | UINT64_C(3) << 61 | tables->levels << 9 | 3;
		entry[1] = DOMAIN_ID;
	}
	invalidate_all(peer);
	qtest_sync(&pc.qemu);
}

/* Nothing that is cached may be taken for a wide address, nor that for another's. */
static void before(uint64_t iova)
{
	static bool was_wide;
	bool wide = iova >> KEY_BITS;

	if (wide || was_wide)
		invalidate_all(NULL);
	was_wide = wide;
}

static void probe(struct peer *peer, struct probe *probes, size_t count)
{
	pc_probe(&pc, probes, count);
}

static void start(struct peer *peer, const struct oracle_case *test)
{
	pc.before = before;
	pc_start(&pc, peer, "amd-iommu");
	memset(oracle_ram + DEVICE_TABLE, 0, 0x12000);
	qtest_write64(&pc.qemu, AMD + AMD_DEVTAB, DEVICE_TABLE | 15);
	qtest_write64(&pc.qemu, AMD + AMD_CMDBASE, COMMANDS | RING_LG2);
	qtest_write64(&pc.qemu, AMD + AMD_EVTBASE, EVENTS | RING_LG2);
	qtest_write64(&pc.qemu, AMD + AMD_CONTROL, AMD_ENABLE);
	qtest_sync(&pc.qemu);
}

/* INVALIDATE_IOMMU_PAGES: the size is in the address as it is in a leaf's. */
static void invalidate(struct peer *peer, uint64_t iova, uint64_t last, bool tables)
{
	unsigned int lg2 = 12;
	uint64_t address = iova & ~UINT64_C(0xfff);

	while (lg2 < 63 && (iova ^ last) >> lg2)
		lg2++;
	if (lg2 > 12)
		address = (address | ((UINT64_C(1) << (lg2 - 1)) - 1)) &
			  ~(UINT64_C(1) << (lg2 - 1)) & ~UINT64_C(0xfff);
	put_command(UINT64_C(3) << 60 | DOMAIN_ID << 32,
		    address | (lg2 > 12 ? 1 : 0) | (tables ? 2 : 0));
}

static void stop(struct peer *peer)
{
	qemu_stop(&pc.qemu);
}

/* log2 of the size that the address of an item of NextLevel 7 tells. */
static unsigned int run_size_lg2(uint64_t value)
{
	unsigned int lg2 = 13;

	while (value >> (lg2 - 1) & 1)
		lg2++;
	return lg2;
}

/* Another size, with which the item's own addresses still lead to the same place. */
static bool is_same_in_its_place(const struct oracle_item *item, unsigned int bit)
{
	uint64_t value = item->value ^ UINT64_C(1) << bit;
	uint64_t old_mask = (UINT64_C(1) << item->size_lg2) - 1, new_mask;
	uint64_t span = (UINT64_C(1) << item->span_lg2) - 1;

	if (!item->leaf || (value >> 9 & 7) != 7)
		return false;
	new_mask = (UINT64_C(1) << run_size_lg2(value)) - 1;
	return new_mask >= span && ((item->value & ~old_mask) | (item->iova & old_mask)) >> 12 ==
					   ((value & ~new_mask) | (item->iova & new_mask)) >> 12;
}

/* Specification 2.2.3, tables 15 to 17. */
static const char *ignores(const struct oracle_item *item, unsigned int bit)
{
	if (bit == 5 || bit == 6)
		return "accessed, dirty: written by hardware, never read";
	if ((bit >= 1 && bit <= 4) || bit == 7 || bit == 8 || bit == 63)
		return "ignored";
	if (item->leaf && (bit == 59 || bit == 60))
		return "U, FC: how the access is made, not where";
	if (bit >= 52 && bit <= 60)
		return "reserved, which QEMU does not check";
	if (item->leaf && !(item->value >> 9 & 7) && bit >= 12 && bit < item->size_lg2)
		return "address below the size of a leaf, which QEMU cuts off";
	if (item->leaf && !bit)
		return "PR, which QEMU does not look at in a leaf that has other bits";
	if (bit >= 12 && bit < 52 && is_same_in_its_place(item, bit))
		return "size of a leaf: the item's own addresses stay where they are";
	return NULL;
}

/* ---- what it does not survive ---- */

#define ARENA_PAGES (ARENA_BYTES >> 12)

enum {
	UNSEEN,
	ON_THE_WAY,
	ENDS
};

static bool follows_circle(uint64_t value, uint8_t *pages)
{
	uint64_t page = ((value & UINT64_C(0xffffffffff000)) - PC_ARENA_PADDR) >> 12, item;
	unsigned int level = value >> 9 & 7;
	const char *table;

	/* Elsewhere there are no tables. */
	if (!(value & 1) || !level || level == 7 || page >= ARENA_PAGES || pages[page] == ENDS)
		return false;
	if (pages[page] == ON_THE_WAY)
		return true;
	pages[page] = ON_THE_WAY;
	table = oracle_ram + PC_ARENA_OFFSET + (page << 12);
	for (unsigned int i = 0; i < 512; i++) {
		memcpy(&item, table + 8 * i, sizeof(item));
		if (follows_circle(item, pages))
			return true;
	}
	pages[page] = ENDS;
	return false;
}

static bool endless(uint64_t value)
{
	static uint8_t pages[ARENA_PAGES];

	memset(pages, UNSEEN, sizeof(pages));
	return follows_circle(value, pages);
}

struct peer peer_amdv1 = {
	.name = "QEMU amd-iommu",
	.program = "qemu-system-x86_64",
	.ram_bytes = PC_RAM,
	.arena_offset = PC_ARENA_OFFSET,
	.arena_paddr = PC_ARENA_PADDR,
	.paddr_first = PC_NOWHERE,
	.paddr_last = (UINT64_C(1) << 52) - 1,
	.hole_first = PC_HOLE_FIRST,
	.hole_last = PC_HOLE_LAST,
	.flags = IOMMU_CACHE,
	.endless = endless,
	.start = start,
	.set_tables = set_tables,
	.probe = probe,
	.invalidate = invalidate,
	.invalidate_all = invalidate_all,
	.stop = stop,
	.ignores = ignores,
};
