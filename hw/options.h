/* SPDX-License-Identifier: MIT */
/*
 * The options of a model: "key=value,key=value". A comma in a value is written twice.
 * A key that stands there twice is taken twice, in order.
 */
#ifndef HW_OPTIONS_H
#define HW_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hw_option {
	const char *key;      /* NULL after the last */
	const char *expected; /* what a value is, for errors: "bytes such as 64M" */
	/* False for a bad value. @number is the option's own. */
	bool (*take)(void *options, unsigned int number, const char *value);
	unsigned int number;
};

/* 0; -EINVAL or -ENOMEM with one line in @error. */
int hw_options_parse(const char *text, const struct hw_option *known, void *options, char *error,
		     size_t error_size);

/* Whole numbers, decimal or 0x..., of at most @max; of bytes with K, M, G or T. */
bool hw_parse_number(const char *value, uint64_t max, uint64_t *number);
bool hw_parse_bytes(const char *value, uint64_t max, uint64_t *bytes);

#endif
