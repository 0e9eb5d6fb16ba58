// SPDX-License-Identifier: MIT
/* The state of a device as bytes. */
#include <string.h>

#include "hw/registers.h"
#include "hw/state.h"

#define CHUNK 0x10000 /* bytes, of which memory is written if one is not zero */

void hw_write_bytes(struct hw_writer *writer, const void *from, size_t length)
{
	if (writer->length < writer->size) {
		size_t fits = writer->size - writer->length;

		memcpy(writer->to + writer->length, from, length < fits ? length : fits);
	}
	writer->length += length;
}

void hw_write32(struct hw_writer *writer, uint32_t value)
{
	uint8_t bytes[sizeof(value)];

	hw_put32(bytes, value);
	hw_write_bytes(writer, bytes, sizeof(bytes));
}

void hw_write64(struct hw_writer *writer, uint64_t value)
{
	uint8_t bytes[sizeof(value)];

	hw_put64(bytes, value);
	hw_write_bytes(writer, bytes, sizeof(bytes));
}

static bool is_zero(const uint8_t *memory, uint64_t size)
{
	return !*memory && !memcmp(memory, memory + 1, size - 1);
}

void hw_write_sparse(struct hw_writer *writer, const void *memory, uint64_t size)
{
	const uint8_t *bytes = memory;

	for (uint64_t at = 0; at < size; at += CHUNK) {
		uint64_t length = size - at < CHUNK ? size - at : CHUNK;

		if (is_zero(bytes + at, length))
			continue;
		hw_write64(writer, at);
		hw_write_bytes(writer, bytes + at, length);
	}
	hw_write64(writer, UINT64_MAX);
}

void hw_read_bytes(struct hw_reader *reader, void *to, size_t length)
{
	if (reader->left < length) {
		reader->bad = true;
		reader->left = 0;
		memset(to, 0, length);
		return;
	}
	memcpy(to, reader->at, length);
	reader->at += length;
	reader->left -= length;
}

uint32_t hw_read32(struct hw_reader *reader)
{
	uint8_t bytes[sizeof(uint32_t)];

	hw_read_bytes(reader, bytes, sizeof(bytes));
	return hw_get32(bytes);
}

uint64_t hw_read64(struct hw_reader *reader)
{
	uint8_t bytes[sizeof(uint64_t)];

	hw_read_bytes(reader, bytes, sizeof(bytes));
	return hw_get64(bytes);
}

uint32_t hw_read_below(struct hw_reader *reader, uint32_t max)
{
	uint32_t value = hw_read32(reader);

	if (value <= max)
		return value;
	reader->bad = true;
	return 0;
}

void hw_read_sparse(struct hw_reader *reader, void *memory, uint64_t size)
{
	uint64_t next = 0;

	for (;;) {
		uint64_t at = hw_read64(reader), length;

		if (at == UINT64_MAX || reader->bad)
			return;
		length = at < size && size - at < CHUNK ? size - at : CHUNK;
		if (at % CHUNK || at < next || at >= size || reader->left < length) {
			reader->bad = true;
			return;
		}
		if (memory)
			memcpy((uint8_t *)memory + at, reader->at, length);
		reader->at += length;
		reader->left -= length;
		next = at + CHUNK;
	}
}
