/* SPDX-License-Identifier: MIT */
/*
 * The state of a device as bytes: written and read field by field, little-endian, and
 * never beyond what there is.
 */
#ifndef HW_STATE_H
#define HW_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hw_writer {
	uint8_t *to;
	size_t size;   /* of @to: what lies beyond is only counted */
	size_t length; /* so far */
};

struct hw_reader {
	const uint8_t *at;
	size_t left;
	bool bad; /* it ended too early, or a value was not possible */
};

void hw_write_bytes(struct hw_writer *writer, const void *from, size_t length);
void hw_write32(struct hw_writer *writer, uint32_t value);
void hw_write64(struct hw_writer *writer, uint64_t value);
/* Memory that is mostly zeros: what is not. */
void hw_write_sparse(struct hw_writer *writer, const void *memory, uint64_t size);

/* Zeros where the state has ended. */
void hw_read_bytes(struct hw_reader *reader, void *to, size_t length);
uint32_t hw_read32(struct hw_reader *reader);
uint64_t hw_read64(struct hw_reader *reader);
/* The same, but a value above @max is bad, and 0 then. */
uint32_t hw_read_below(struct hw_reader *reader, uint32_t max);
/* Into @memory, which is all zeros; NULL only to look whether the state is good. */
void hw_read_sparse(struct hw_reader *reader, void *memory, uint64_t size);

#endif
