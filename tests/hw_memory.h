/* SPDX-License-Identifier: MIT */
/*
 * Memory with hand-made tables for the walkers of hw/, and what a test wants to
 * know of a translation.
 */
#ifndef TESTS_HW_MEMORY_H
#define TESTS_HW_MEMORY_H

#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hw/walk.h"

#define HW_MEMORY_BASE UINT64_C(0x40000000)
#define HW_MEMORY_SIZE (UINT64_C(1) << 19)

static unsigned char hw_memory_bytes[HW_MEMORY_SIZE];

static inline bool hw_memory_read(void *context, uint64_t paddr, void *to, size_t bytes)
{
	if (paddr < HW_MEMORY_BASE || paddr - HW_MEMORY_BASE > HW_MEMORY_SIZE - bytes)
		return false;
	memcpy(to, hw_memory_bytes + (paddr - HW_MEMORY_BASE), bytes);
	return true;
}

static const struct hw_memory hw_memory = {.read = hw_memory_read};

/* Forget all tables: an item of @empty in every place. */
static inline void hw_memory_clear(uint64_t empty)
{
	for (size_t at = 0; at < HW_MEMORY_SIZE; at += sizeof(empty))
		memcpy(hw_memory_bytes + at, &empty, sizeof(empty));
}

static inline struct hw_tables hw_memory_tables(const char *format, unsigned int address_width)
{
	return (struct hw_tables){
		.format = hw_format_find(format),
		.memory = &hw_memory,
		.root = HW_MEMORY_BASE,
		.address_width = address_width,
	};
}

/* Put item @index into the table at @table. */
static inline void hw_put(uint64_t table, unsigned int index, uint64_t value)
{
	uint64_t item = htole64(value);

	memcpy(hw_memory_bytes + (table - HW_MEMORY_BASE) + index * sizeof(item), &item,
	       sizeof(item));
}

static inline void hw_put_big_endian(uint64_t table, unsigned int index, uint64_t value)
{
	hw_put(table, index, __builtin_bswap64(value));
}

/* What becomes of an access. */
static inline void assert_fault(const struct hw_tables *tables, uint64_t iova, unsigned int access,
				enum hw_fault fault)
{
	struct hw_translation got;

	assert_string_equal(hw_fault_name(hw_translate(tables, iova, access, &got)),
			    hw_fault_name(fault));
	assert_int_equal(got.fault, fault);
	if (fault == HW_FAULT_RESERVED)
		assert_non_null(got.why);
}

/* The translation of @iova, and all that it allows. */
static inline void assert_translates(const struct hw_tables *tables, uint64_t iova, uint64_t paddr,
				     unsigned int size_lg2, unsigned int access)
{
	struct hw_translation got;

	assert_string_equal(hw_fault_name(hw_translate(tables, iova, access, &got)), "none");
	assert_int_equal(got.paddr, paddr);
	assert_int_equal(got.size_lg2, size_lg2);
	assert_int_equal(got.access, access);
}

/* No bit of an item may have two names. */
static inline void assert_fields_disjoint(const char *format)
{
	for (unsigned int level = 0; level < HW_MAX_LEVELS; level++)
		for (unsigned int kind = HW_EMPTY; kind <= HW_BAD; kind++) {
			const struct hw_field *field = hw_format_find(format)->fields;
			uint64_t seen = 0;

			for (; field->name; field++) {
				uint64_t bits = (2ull << field->high) - (1ull << field->low);

				if (!(field->level_mask & 1 << level) ||
				    !(field->kind_mask & 1 << kind))
					continue;
				assert_true(field->high >= field->low && field->high < 64);
				assert_int_equal(seen & bits, 0);
				seen |= bits;
			}
		}
}

#endif
