/* SPDX-License-Identifier: MIT */
#include "hw/pasid.h"

#include <string.h>

static bool read_words(const struct hw_pasid_tables *tables, uint64_t paddr, uint64_t *words,
		       unsigned int nr)
{
	unsigned char bytes[64];

	if (!tables->memory->read(tables->memory->context, paddr, bytes, nr * 8))
		return false;
	for (unsigned int i = 0; i < nr; i++) {
		words[i] = 0;
		for (unsigned int byte = 0; byte < 8; byte++)
			words[i] |= (uint64_t)bytes[i * 8 + byte] << (8 * byte);
	}
	return true;
}

static uint64_t field(uint64_t word, unsigned int high, unsigned int low)
{
	return (word >> low) & (~0ULL >> (63 - (high - low)));
}

/* An address is in bits 51:12 of most items. */
static uint64_t address(uint64_t word)
{
	return field(word, 51, 12) << 12;
}

/* ---- VT-d, 9.5 and 9.6 ---- */

static enum hw_fault vtd_stages(const uint64_t words[8], struct hw_pasid_entry *entry)
{
	unsigned int how = (unsigned int)field(words[0], 8, 6);
	unsigned int aw = (unsigned int)field(words[0], 4, 2);
	unsigned int fspm = (unsigned int)field(words[2], 3, 2);

	entry->id = (uint16_t)field(words[1], 15, 0);
	if (how == 1 || how == 3) {
		if (fspm > 1)
			return HW_FAULT_RESERVED;
		entry->first =
			(struct hw_pasid_stage){"x86_64", address(words[2]), fspm ? 57 : 48, 0};
	}
	if (how == 2 || how == 3) {
		if (aw < 1 || aw > 3)
			return HW_FAULT_RESERVED;
		entry->second = (struct hw_pasid_stage){"vtd", address(words[0]), 30 + 9 * aw, 0};
	}
	return how >= 1 && how <= 3 ? HW_FAULT_NONE : HW_FAULT_RESERVED;
}

static enum hw_fault vtd_find(const struct hw_pasid_tables *tables, uint32_t pasid,
			      struct hw_pasid_entry *entry)
{
	uint64_t directory, words[8];

	if (pasid >> tables->bits)
		return HW_FAULT_ADDRESS;
	if (!read_words(tables, tables->root + (pasid >> 6) * 8, &directory, 1))
		return HW_FAULT_MEMORY;
	if (!(directory & 1))
		return HW_FAULT_NOT_PRESENT;
	if (field(directory, 11, 2) || field(directory, 63, 52))
		return HW_FAULT_RESERVED;
	if (!read_words(tables, address(directory) + (pasid & 63) * 64, words, 8))
		return HW_FAULT_MEMORY;
	if (!(words[0] & 1))
		return HW_FAULT_NOT_PRESENT;
	return vtd_stages(words, entry);
}

/* ---- Arm SMMUv3, 5.3 and 5.4 ---- */

static enum hw_fault arm_stage(const uint64_t words[8], struct hw_pasid_entry *entry)
{
	static const unsigned int granules[] = {12, 16, 14};
	unsigned int tg = (unsigned int)field(words[0], 7, 6);

	/* AArch64, little-endian, and TTB1 is not there. */
	if (tg > 2 || !field(words[0], 41, 41) || field(words[0], 15, 15) ||
	    field(words[0], 14, 14) || !field(words[0], 30, 30))
		return HW_FAULT_RESERVED;
	entry->id = (uint16_t)field(words[0], 63, 48);
	entry->first =
		(struct hw_pasid_stage){"arm64-s1", field(words[1], 51, 4) << 4,
					64 - (unsigned int)field(words[0], 5, 0), granules[tg]};
	return HW_FAULT_NONE;
}

static enum hw_fault arm_find(const struct hw_pasid_tables *tables, uint32_t pasid,
			      struct hw_pasid_entry *entry)
{
	/* CDs in the lowest tables: S1Fmt 1 has 4 KiB of them, 2 has 64 KiB. */
	unsigned int below = tables->form == 1 ? 6 : 10;
	uint64_t base = tables->root, words[8], descriptor;

	if (pasid >> tables->bits)
		return HW_FAULT_ADDRESS;
	if (tables->form > 2)
		return HW_FAULT_RESERVED;
	if (tables->form) {
		if (!read_words(tables, base + (pasid >> below) * 8, &descriptor, 1))
			return HW_FAULT_MEMORY;
		if (!(descriptor & 1))
			return HW_FAULT_NOT_PRESENT;
		base = address(descriptor);
		pasid &= (1u << below) - 1;
	}
	if (!read_words(tables, base + pasid * 64ULL, words, 8))
		return HW_FAULT_MEMORY;
	return field(words[0], 31, 31) ? arm_stage(words, entry) : HW_FAULT_NOT_PRESENT;
}

/* ---- AMD, 2.2.6.3 ---- */

static enum hw_fault amd_find(const struct hw_pasid_tables *tables, uint32_t pasid,
			      struct hw_pasid_entry *entry)
{
	uint64_t item, base = tables->root;

	if (tables->form > 2)
		return HW_FAULT_RESERVED;
	if (pasid >> (9 * (tables->form + 1)))
		return HW_FAULT_ADDRESS;
	for (unsigned int level = tables->form + 1; level-- > 0;) {
		if (!read_words(tables, base + (pasid >> (9 * level) & 511) * 8, &item, 1))
			return HW_FAULT_MEMORY;
		if (!(item & 1))
			return HW_FAULT_NOT_PRESENT;
		base = address(item);
	}
	/* How many levels CR3 has is in the device's entry. */
	entry->first = (struct hw_pasid_stage){"x86_64", base, 0, 0};
	return HW_FAULT_NONE;
}

enum hw_fault hw_pasid_find(const struct hw_pasid_tables *tables, uint32_t pasid,
			    struct hw_pasid_entry *entry)
{
	memset(entry, 0, sizeof(*entry));
	switch (tables->layout) {
	case HW_PASID_VTD:
		return vtd_find(tables, pasid, entry);
	case HW_PASID_ARM:
		return arm_find(tables, pasid, entry);
	case HW_PASID_AMD:
		return amd_find(tables, pasid, entry);
	}
	return HW_FAULT_RESERVED;
}
