/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"

void die(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(CMD_BAD_INPUT);
}

void out_of_memory(void)
{
	fprintf(stderr, "%s: out of memory\n", program_invocation_short_name);
	exit(1);
}

/*
 * argp would report a bad option in two lines, and switching its messages off
 * (ARGP_NO_ERRS) switches its help off too. So help is an option of this parser,
 * which stands around the command's own.
 */
enum {
	OPTION_USAGE = 0x1000
};

static const struct argp_option help_options[] = {
	{"help", '?', NULL, 0, "Show this help", -1},
	{"usage", OPTION_USAGE, NULL, 0, "Show a short usage message", -1},
	{0},
};

struct cmd_parser {
	const struct argp *outer;
	void *input;
};

/* The option that getopt refused: the last one it read, or one in a cluster. */
static const char *bad_option(const struct argp_state *state)
{
	const char *next = state->next < state->argc ? state->argv[state->next] : "";

	if (next[0] == '-' && next[1] && next[1] != '-' && next[2])
		return next;
	return state->argv[state->next > 1 ? state->next - 1 : state->next];
}

static error_t parse_help(int key, char *arg, struct argp_state *state)
{
	struct cmd_parser *parser = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = parser->input;
		return 0;
	case '?':
		argp_help(parser->outer, stdout, ARGP_HELP_LONG | ARGP_HELP_USAGE | ARGP_HELP_DOC,
			  state->name);
		exit(0);
	case OPTION_USAGE:
		argp_help(parser->outer, stdout, ARGP_HELP_USAGE, state->name);
		exit(0);
	case ARGP_KEY_ERROR:
		die("%s: unknown option, or its value is missing or not wanted (see --help)",
		    bad_option(state));
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

void cmd_parse(const struct argp *argp, int argc, char **argv, void *input)
{
	struct argp_child children[] = {{argp, 0, NULL, 0}, {0}};
	struct argp outer = {
		.options = help_options,
		.parser = parse_help,
		.args_doc = argp->args_doc,
		.doc = argp->doc,
		.children = children,
	};
	struct argp_child inner = children[0];
	struct argp bare = *argp;
	struct cmd_parser parser = {&outer, input};
	int next = 0;
	int error;

	/* The texts belong to the outer parser: shown once, before the options. */
	bare.args_doc = NULL;
	bare.doc = NULL;
	inner.argp = &bare;
	children[0] = inner;
	error = argp_parse(&outer, argc, argv, ARGP_NO_ERRS | ARGP_NO_HELP, &next, &parser);
	if (error || next < argc)
		die("%s: not expected here (see --help)", next < argc ? argv[next] : "arguments");
}

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
