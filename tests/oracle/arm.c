// SPDX-License-Identifier: MIT
/* Arm's long-descriptor tables: what is to be known of them beside walking. */
#include "tests/oracle/arm.h"

#include <string.h>

#include <uiommu/format.h>

#define BIT_CONTIGUOUS (UINT64_C(1) << 52)

unsigned int arm_granule_lg2(const struct oracle_case *test)
{
	return (unsigned int)__builtin_ctzll(iommu_format_find(test->format)->granule);
}

bool arm_is_stage2(const struct oracle_case *test)
{
	return !strcmp(iommu_format_find(test->format)->family, "arm64-s2");
}

unsigned int arm_tg0(unsigned int granule_lg2)
{
	return granule_lg2 == 12 ? 0 : granule_lg2 == 14 ? 2 : 1;
}

/* Items of a contiguous run: 16 with 4K; 128 pages or 32 blocks with 16K; 32 with 64K. */
static unsigned int run_lg2(unsigned int granule_lg2, unsigned int level)
{
	if (granule_lg2 == 12)
		return 4;
	return granule_lg2 == 14 && !level ? 7 : 5;
}

unsigned int arm_leaf_lg2(unsigned int granule_lg2, unsigned int level, uint64_t item)
{
	unsigned int size = granule_lg2 + level * (granule_lg2 - 3);

	return item & BIT_CONTIGUOUS ? size + run_lg2(granule_lg2, level) : size;
}

static const char *leaf_ignores(unsigned int bit, bool stage2)
{
	switch (bit) {
	case 2 ... 5:
		return stage2 ? "MemAttr: the memory's type" : "AttrIndx, NS: the memory's type";
	case 8 ... 9:
		return "SH: shareability";
	case 11:
		return stage2 ? "bit 11: of no meaning to a translation" : "nG: the TLB's tag";
	case 50:
		return "GP: instructions only";
	case 51:
		return "DBM: no hardware management of dirty state";
	case 52:
		return "contiguous: a hint, each item has its own address";
	case 53 ... 54:
		return "XN: instructions only";
	case 55 ... 63:
		return "bits 63:55: for software, or ignored";
	}
	return NULL;
}

static const char *table_ignores(unsigned int bit, bool stage2)
{
	switch (bit) {
	case 2 ... 11:
		return "bits 11:2 of a table: ignored";
	case 50 ... 58:
		return "bits 58:50 of a table: ignored";
	case 59 ... 60:
		return stage2 ? "bits 63:59 of a table: RES0" : "XNTable: instructions only";
	case 61 ... 62:
		return stage2 ? "bits 63:59 of a table: RES0" : NULL;
	case 63:
		return stage2 ? "bits 63:59 of a table: RES0" : "NSTable: not in the Secure state";
	}
	return NULL;
}

const char *arm_ignores(const struct oracle_item *item, unsigned int bit)
{
	unsigned int granule_lg2 = arm_granule_lg2(item->tables->test);
	bool stage2 = arm_is_stage2(item->tables->test);
	unsigned int low = granule_lg2;

	if (bit >= 48 && bit < 50)
		return "bits 49:48: RES0";
	if (item->leaf)
		low += item->level * (granule_lg2 - 3);
	/* With 64K these hold bits 51:48 of the address. */
	if (bit >= 12 && bit < low && !(granule_lg2 == 16 && bit < 16))
		return "address bits below the alignment: RES0";
	return item->leaf ? leaf_ignores(bit, stage2) : table_ignores(bit, stage2);
}
