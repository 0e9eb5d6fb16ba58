/* SPDX-License-Identifier: MIT */
/*
 * VT-d second stage: QEMU's intel-iommu, in legacy mode (specification chapters
 * 9.1 to 9.3 and 10.4 for the registers). It caches up to 1024 translations, by
 * device, and forgets them as its invalidation registers say.
 */
#include "tests/oracle/pc.h"

#include <string.h>

#define VTD           UINT64_C(0xfed90000)
#define VTD_GCMD      0x18
#define VTD_RTADDR    0x20
#define VTD_CCMD      0x28
#define VTD_IVA       0xf0
#define VTD_IOTLB     0xf8
#define VTD_MASK_MOST 18 /* log2 of the pages that one invalidation covers */
#define CHUNKS_MOST   64 /* invalidations of one range; beyond, of the domain */
#define DOMAIN_ID     UINT64_C(5)

#define ROOT_TABLE    PC_SCRATCH
#define CONTEXT_TABLE (PC_SCRATCH + 0x1000)

static struct pc pc;

static void start(struct peer *peer, const struct oracle_case *test)
{
	/* Reserved bits of leaves begin at the width of input addresses. */
	peer->paddr_last = (UINT64_C(1) << test->width) - 1;
	if (test->width == 39)
		peer->paddr_first = UINT64_C(16) << 30;
	pc_start(&pc, peer,
		 test->width == 39 ? "intel-iommu,intremap=off,aw-bits=39"
				   : "intel-iommu,intremap=off,aw-bits=48");
	memset(oracle_ram + ROOT_TABLE, 0, 0x2000);
	*(uint64_t *)(oracle_ram + ROOT_TABLE) = CONTEXT_TABLE | 1;
	qtest_write64(&pc.qemu, VTD + VTD_RTADDR, ROOT_TABLE);
	qtest_write32(&pc.qemu, VTD + VTD_GCMD, 1u << 30);
	qtest_write32(&pc.qemu, VTD + VTD_GCMD, 1u << 31);
	qtest_sync(&pc.qemu);
}

static void invalidate_all(struct peer *peer)
{
	qtest_write64(&pc.qemu, VTD + VTD_CCMD, UINT64_C(1) << 63 | UINT64_C(1) << 61);
	qtest_write64(&pc.qemu, VTD + VTD_IOTLB, UINT64_C(1) << 63 | UINT64_C(1) << 60);
	qtest_sync(&pc.qemu);
}

static void set_tables(struct peer *peer, const struct oracle_tables *tables)
{
	static const unsigned int devices[] = {PC_WRITER, PC_READER};

	for (unsigned int i = 0; i < ARRAY_SIZE(devices); i++) {
		uint64_t *entry =
			(uint64_t *)(oracle_ram + CONTEXT_TABLE + 16 * (uint64_t)devices[i]);

		entry[0] = tables->root | 1;
		entry[1] = DOMAIN_ID << 8 | (tables->levels - 2);
	}
	invalidate_all(peer);
}

static void probe(struct peer *peer, struct probe *probes, size_t count)
{
	pc_probe(&pc, probes, count);
}

/* log2 of the pages of the largest aligned block from @iova that ends by @last. */
static unsigned int block_lg2(uint64_t iova, uint64_t last)
{
	unsigned int lg2 = 0;

	while (lg2 < VTD_MASK_MOST && !(iova >> 12 & UINT64_C(1) << lg2) &&
	       last - iova >= (UINT64_C(0x2000) << lg2) - 1)
		lg2++;
	return lg2;
}

static void invalidate(struct peer *peer, uint64_t iova, uint64_t last, bool tables)
{
	const uint64_t go = UINT64_C(1) << 63 | DOMAIN_ID << 32;

	for (unsigned int chunk = 0; chunk < CHUNKS_MOST; chunk++) {
		unsigned int lg2 = block_lg2(iova, last);

		qtest_write64(&pc.qemu, VTD + VTD_IVA, iova | lg2);
		qtest_write64(&pc.qemu, VTD + VTD_IOTLB, go | UINT64_C(3) << 60);
		iova += UINT64_C(0x1000) << lg2;
		if (!iova || iova > last)
			return;
	}
	qtest_write64(&pc.qemu, VTD + VTD_IOTLB, go | UINT64_C(2) << 60);
}

static void stop(struct peer *peer)
{
	qemu_stop(&pc.qemu);
}

/* Specification 9.8. */
static const char *ignores(const struct oracle_item *item, unsigned int bit)
{
	if (bit == 8 || bit == 9)
		return "accessed, dirty: ignored unless enabled in a PASID entry";
	if (bit == 10 || (bit >= 52 && bit <= 61) || bit == 63)
		return "ignored";
	if (bit >= 3 && bit <= 6)
		return item->leaf ? "memory type: ignored without EMT" : "ignored";
	if (bit == 2)
		return "execute: ignored in legacy mode";
	if (bit == 7 && item->leaf && !item->level)
		return "ignored in the lowest level";
	return NULL;
}

struct peer peer_vtd = {
	.name = "QEMU intel-iommu",
	.program = "qemu-system-x86_64",
	.ram_bytes = PC_RAM,
	.arena_offset = PC_ARENA_OFFSET,
	.arena_paddr = PC_ARENA_PADDR,
	.paddr_first = PC_NOWHERE,
	.hole_first = PC_HOLE_FIRST,
	.hole_last = PC_HOLE_LAST,
	.start = start,
	.set_tables = set_tables,
	.probe = probe,
	.invalidate = invalidate,
	.invalidate_all = invalidate_all,
	.stop = stop,
	.ignores = ignores,
};
