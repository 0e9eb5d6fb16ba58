/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"

void die(const char *format, ...)
{
	va_list args;
	char *text;

	fflush(stdout);
	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		out_of_memory();
	va_end(args);
	for (char *at = text; *at; at++)
		if ((unsigned char)*at < ' ')
			*at = '?';
	fprintf(stderr, "%s: %s\n", program_invocation_short_name, text);
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
