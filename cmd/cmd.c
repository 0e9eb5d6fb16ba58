/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"

/* The power of 1024 that a suffix stands for, or -1. */
static int suffix_power(const char *suffix)
{
	static const char letters[] = "KMGTP";
	const char *letter;

	if (!*suffix)
		return 0;
	letter = strchr(letters, toupper((unsigned char)*suffix));
	if (!letter || suffix[1])
		return -1;
	return (int)(letter - letters) + 1;
}

/* Digits only: strtoull alone would take signs and white space. */
static uint64_t parse_digits(const char *where, const char *text, char **end)
{
	int base = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
	const char *digits = base == 16 ? text + 2 : text;
	uint64_t value;

	if (base == 16 ? !isxdigit((unsigned char)*digits) : !isdigit((unsigned char)*digits))
		die("%s: '%s' is not a number", where, text);
	errno = 0;
	value = strtoull(digits, end, base);
	if (errno)
		die("%s: '%s' does not fit in 64 bits", where, text);
	return value;
}

uint64_t parse_bytes(const char *where, const char *text)
{
	char *suffix;
	uint64_t value = parse_digits(where, text, &suffix);
	int power = suffix_power(suffix);

	if (power < 0)
		die("%s: '%s' is not a number of bytes with an optional K, M, G, T or P", where,
		    text);
	if (power && value > UINT64_MAX >> (10 * power))
		die("%s: '%s' does not fit in 64 bits", where, text);
	return value << (10 * power);
}

uint64_t parse_number(const char *where, const char *text, uint64_t min, uint64_t max)
{
	char *end;
	uint64_t value = parse_digits(where, text, &end);

	if (*end)
		die("%s: '%s' is not a whole number", where, text);
	if (value < min || value > max)
		die("%s: %s is not in the range %llu to %llu", where, text, (unsigned long long)min,
		    (unsigned long long)max);
	return value;
}

const char *format_bytes(uint64_t bytes, char text[BYTES_TEXT])
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1023.995 && unit < 6) {
		value /= 1024;
		unit++;
	}
	snprintf(text, BYTES_TEXT, unit ? "%.2f %s" : "%.0f %s", value, units[unit]);
	return text;
}

const char *format_count(uint64_t count, char text[COUNT_TEXT])
{
	char digits[COUNT_TEXT];
	int n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)count);
	char *out = text;

	for (int i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			*out++ = ',';
		*out++ = digits[i];
	}
	*out = '\0';
	return text;
}

const char *exact_bytes(uint64_t bytes, char text[BYTES_TEXT])
{
	static const char *const suffixes[] = {"", "K", "M", "G", "T", "P"};
	size_t power = 0;

	while (bytes && power < 5 && bytes % 1024 == 0) {
		bytes /= 1024;
		power++;
	}
	snprintf(text, BYTES_TEXT, "%llu%s", (unsigned long long)bytes, suffixes[power]);
	return text;
}
