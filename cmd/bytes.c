/* SPDX-License-Identifier: MIT */
/* Numbers in arguments and for people. */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"

static const char powers[] = "KMGTPE";

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

/* The bytes that a unit stands for, @plain if there is none, or 0. */
static uint64_t unit_bytes(const char *unit, uint64_t plain)
{
	const char *letter;
	uint64_t bytes = 1, base;

	if (!*unit)
		return plain;
	if (!strcasecmp(unit, "B"))
		return 1;
	letter = strchr(powers, toupper((unsigned char)*unit));
	if (!letter)
		return 0;
	if (!unit[1] || !strcasecmp(unit + 1, "i") || !strcasecmp(unit + 1, "iB"))
		base = 1024;
	else if (!strcasecmp(unit + 1, "B"))
		base = 1000;
	else
		return 0;
	for (const char *power = powers; power <= letter; power++)
		bytes *= base;
	return bytes;
}

/*
 * The digits after the point as a fraction of @unit, rounded down; *exact tells
 * whether nothing was lost. 19 digits times 2^60 fit in 128 bits.
 */
static uint64_t fraction_bytes(const char *digits, size_t nr, uint64_t unit, bool *exact)
{
	unsigned __int128 numerator = 0, denominator = 1;

	*exact = true;
	for (size_t i = 0; i < nr; i++) {
		if (i >= 19) {
			*exact &= digits[i] == '0';
			continue;
		}
		numerator = numerator * 10 + (unsigned int)(digits[i] - '0');
		denominator *= 10;
	}
	*exact &= numerator * unit % denominator == 0;
	return (uint64_t)(numerator * unit / denominator);
}

static uint64_t parse_size(const char *where, const char *text, uint64_t plain, bool drop)
{
	char *end;
	uint64_t whole = parse_digits(where, text, &end), unit, value, more = 0;
	const char *fraction = NULL;
	size_t digits = 0;
	bool exact = true;

	if (*end == '.' && text[1] != 'x' && text[1] != 'X') {
		fraction = end + 1;
		digits = strspn(fraction, "0123456789");
		end += 1 + digits;
	}
	unit = fraction && !digits ? 0 : unit_bytes(end, plain);
	if (!unit)
		die("%s: '%s' is not a size: expected a number and, if any, K, M, G, T, P or E, "
		    "KiB to EiB, or KB to EB",
		    where, text);
	if (fraction)
		more = fraction_bytes(fraction, digits, unit, &exact);
	if (!exact && !drop)
		die("%s: '%s' is not a whole number of bytes", where, text);
	if (__builtin_mul_overflow(whole, unit, &value) ||
	    __builtin_add_overflow(value, more, &value))
		die("%s: '%s' does not fit in 64 bits", where, text);
	return value;
}

uint64_t parse_bytes(const char *where, const char *text)
{
	return parse_size(where, text, 1, false);
}

uint64_t parse_bytes_in(const char *where, const char *text, uint64_t plain)
{
	return parse_size(where, text, plain, true);
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

const char *exact_bytes(uint64_t bytes, char text[BYTES_TEXT])
{
	size_t power = 0;

	while (bytes && power < strlen(powers) && bytes % 1024 == 0) {
		bytes /= 1024;
		power++;
	}
	snprintf(text, BYTES_TEXT, "%llu%.1s", (unsigned long long)bytes,
		 power ? &powers[power - 1] : "");
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
