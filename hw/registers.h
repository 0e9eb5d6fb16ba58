/* SPDX-License-Identifier: MIT */
/*
 * Registers that lie in memory, and fields of structures in the program's memory:
 * little-endian both. Registers are read and written in single accesses of their size,
 * since the program does the same at any time.
 */
#ifndef HW_REGISTERS_H
#define HW_REGISTERS_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* What comes after such a load in the program's order is seen after it. */
static inline uint8_t hw_load8(const void *at)
{
	return __atomic_load_n((const uint8_t *)at, __ATOMIC_ACQUIRE);
}

static inline uint16_t hw_load16(const void *at)
{
	return le16toh(__atomic_load_n((const uint16_t *)at, __ATOMIC_ACQUIRE));
}

static inline uint32_t hw_load32(const void *at)
{
	return le32toh(__atomic_load_n((const uint32_t *)at, __ATOMIC_ACQUIRE));
}

static inline uint64_t hw_load64(const void *at)
{
	return le64toh(__atomic_load_n((const uint64_t *)at, __ATOMIC_ACQUIRE));
}

/* The program that sees such a store sees everything before it. */
static inline void hw_store8(void *at, uint8_t value)
{
	__atomic_store_n((uint8_t *)at, value, __ATOMIC_RELEASE);
}

static inline void hw_store16(void *at, uint16_t value)
{
	__atomic_store_n((uint16_t *)at, htole16(value), __ATOMIC_RELEASE);
}

static inline void hw_store32(void *at, uint32_t value)
{
	__atomic_store_n((uint32_t *)at, htole32(value), __ATOMIC_RELEASE);
}

static inline void hw_store64(void *at, uint64_t value)
{
	__atomic_store_n((uint64_t *)at, htole64(value), __ATOMIC_RELEASE);
}

/* @value, if there still is @expected. */
static inline void hw_replace8(void *at, uint8_t expected, uint8_t value)
{
	__atomic_compare_exchange_n((uint8_t *)at, &expected, value, false, __ATOMIC_SEQ_CST,
				    __ATOMIC_RELAXED);
}

static inline void hw_replace16(void *at, uint16_t expected, uint16_t value)
{
	expected = htole16(expected);
	__atomic_compare_exchange_n((uint16_t *)at, &expected, htole16(value), false,
				    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

static inline void hw_replace32(void *at, uint32_t expected, uint32_t value)
{
	expected = htole32(expected);
	__atomic_compare_exchange_n((uint32_t *)at, &expected, htole32(value), false,
				    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/* An access of 1, 2, 4 or 8 bytes, aligned. */
static inline uint64_t hw_load(const void *at, unsigned int size)
{
	switch (size) {
	case 1:
		return hw_load8(at);
	case 2:
		return hw_load16(at);
	case 4:
		return hw_load32(at);
	default:
		return hw_load64(at);
	}
}

static inline void hw_store(void *at, unsigned int size, uint64_t value)
{
	switch (size) {
	case 1:
		hw_store8(at, (uint8_t)value);
		break;
	case 2:
		hw_store16(at, (uint16_t)value);
		break;
	case 4:
		hw_store32(at, (uint32_t)value);
		break;
	default:
		hw_store64(at, value);
	}
}

/* Fields of a structure that was copied, at any alignment. */
static inline uint16_t hw_get16(const void *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return le16toh(value);
}

static inline uint32_t hw_get32(const void *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return le32toh(value);
}

static inline uint64_t hw_get64(const void *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return le64toh(value);
}

static inline void hw_put16(void *at, uint16_t value)
{
	value = htole16(value);
	memcpy(at, &value, sizeof(value));
}

static inline void hw_put32(void *at, uint32_t value)
{
	value = htole32(value);
	memcpy(at, &value, sizeof(value));
}

static inline void hw_put64(void *at, uint64_t value)
{
	value = htole64(value);
	memcpy(at, &value, sizeof(value));
}

#endif
