// SPDX-License-Identifier: MIT
/* Reading a model's options. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/options.h"

static bool parse_scaled(const char *value, const char *units, uint64_t max, uint64_t *number)
{
	unsigned long long parsed;
	const char *unit;
	unsigned int shift = 0;
	char *end;

	if (!isdigit((unsigned char)*value))
		return false;
	errno = 0;
	parsed = strtoull(value, &end, strncasecmp(value, "0x", 2) ? 10 : 16);
	if (errno || end == value)
		return false;
	if (*end) {
		unit = strchr(units, toupper((unsigned char)*end));
		if (!unit || end[1])
			return false;
		shift = 10 * (unsigned int)(unit - units + 1);
	}
	if (parsed > max >> shift)
		return false;
	*number = (uint64_t)parsed << shift;
	return true;
}

bool hw_parse_number(const char *value, uint64_t max, uint64_t *number)
{
	return parse_scaled(value, "", max, number);
}

bool hw_parse_bytes(const char *value, uint64_t max, uint64_t *bytes)
{
	return parse_scaled(value, "KMGT", max, bytes);
}

/* Cut the first option off at @text; returns where the next one begins. */
static char *cut(char *text)
{
	char *to = text;

	while (*text) {
		if (*text == ',' && *++text != ',')
			break;
		*to++ = *text++;
	}
	*to = '\0';
	return text;
}

static const struct hw_option *find(const struct hw_option *known, const char *key)
{
	for (; known->key; known++)
		if (!strcmp(known->key, key))
			return known;
	return NULL;
}

static void list_known(const struct hw_option *known, const char *text, char *error, size_t size)
{
	int at = snprintf(error, size, "unknown option '%s', expected one of", text);

	for (; known->key && at >= 0 && (size_t)at < size; known++)
		at += snprintf(error + at, size - (size_t)at, " %s", known->key);
}

static int take(char *text, const struct hw_option *known, void *options, char *error, size_t size)
{
	char *value = strchr(text, '=');
	const struct hw_option *option;

	if (value)
		*value++ = '\0';
	option = find(known, text);
	if (!option) {
		list_known(known, text, error, size);
		return -EINVAL;
	}
	if (!value || !option->take(options, option->number, value)) {
		snprintf(error, size, "bad option '%s%s%s', expected %s", text, value ? "=" : "",
			 value ? value : "", option->expected);
		return -EINVAL;
	}
	return 0;
}

int hw_options_parse(const char *text, const struct hw_option *known, void *options, char *error,
		     size_t error_size)
{
	char *copy = strdup(text), *at, *next;
	int ret = 0;

	if (!copy) {
		snprintf(error, error_size, "out of memory");
		return -ENOMEM;
	}
	for (at = copy; *at && !ret; at = next) {
		next = cut(at);
		ret = take(at, known, options, error, error_size);
	}
	free(copy);
	return ret;
}
