/* SPDX-License-Identifier: MIT */
/*
 * Options, by argp. It would report a bad one in two lines, and switching its messages
 * off (ARGP_NO_ERRS) switches its help off too. So help is an option of this parser,
 * which stands around the command's own, and so are the messages.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"

enum {
	OPTION_USAGE = 0x1000
};

static const struct argp_option help_options[] = {
	{"help", '?', NULL, 0, "Show this help", -1},
	{NULL, 'h', NULL, OPTION_HIDDEN, NULL, -1},
	{"usage", OPTION_USAGE, NULL, 0, "Show a short usage message", -1},
	{0},
};

struct cmd_parser {
	const struct argp *outer;
	const struct argp_option *options; /* of the command */
	void *input;
};

/* ---- what is wrong with an option ---- */

/* The options that a name, or the beginning of one, may mean. */
struct meant {
	const struct argp_option *only; /* the one, or the last of several */
	unsigned int nr;
	char names[256]; /* "--csv, --csv-all" */
};

static bool is_end(const struct argp_option *option)
{
	return !option->name && !option->key && !option->doc;
}

static void find_meant(struct meant *meant, const struct argp_option *options, const char *name,
		       size_t length)
{
	for (; !is_end(options); options++) {
		size_t used = strlen(meant->names);

		if (!options->name || strncmp(options->name, name, length) != 0)
			continue;
		meant->only = options;
		meant->nr++;
		snprintf(meant->names + used, sizeof(meant->names) - used, "%s--%s",
			 used ? ", " : "", options->name);
	}
}

static const struct argp_option *find_exact(const struct argp_option *options, const char *name,
					    size_t length)
{
	for (; !is_end(options); options++)
		if (options->name && strlen(options->name) == length &&
		    !strncmp(options->name, name, length))
			return options;
	return NULL;
}

static void __attribute__((noreturn))
refuse_long(const struct argp_option *options, const char *text)
{
	const char *name = text + 2;
	size_t length = strcspn(name, "=");
	const struct argp_option *exact = find_exact(options, name, length);
	struct meant meant = {0};

	find_meant(&meant, options, name, length);
	find_meant(&meant, help_options, name, length);
	if (!exact)
		exact = find_exact(help_options, name, length);
	if (!exact && meant.nr > 1)
		die("%s: ambiguous, it may be one of %s", text, meant.names);
	if (!exact && !meant.nr)
		die("%s: unknown option (see --help)", text);
	if (!exact)
		exact = meant.only;
	if (exact->arg)
		die("%s: its value is missing: expected --%s=%s (see --help)", text, exact->name,
		    exact->arg);
	die("%s: --%s takes no value (see --help)", text, exact->name);
}

/* The argument that getopt refused: the last one it read, or one of several letters. */
static const char *refused(const struct argp_state *state)
{
	const char *next = state->next < state->argc ? state->argv[state->next] : "";

	if (next[0] == '-' && next[1] && next[1] != '-' && next[2])
		return next;
	return state->argv[state->next > 1 ? state->next - 1 : state->next];
}

static error_t parse_help(int key, char *arg, struct argp_state *state)
{
	struct cmd_parser *parser = state->input;
	const char *text;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = parser->input;
		return 0;
	case '?':
	case 'h':
		argp_help(parser->outer, stdout, ARGP_HELP_LONG | ARGP_HELP_USAGE | ARGP_HELP_DOC,
			  state->name);
		exit(0);
	case OPTION_USAGE:
		argp_help(parser->outer, stdout, ARGP_HELP_USAGE, state->name);
		exit(0);
	case ARGP_KEY_ERROR:
		text = refused(state);
		if (!strncmp(text, "--", 2))
			refuse_long(parser->options, text);
		die("%s: unknown option (see --help)", text);
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
	struct cmd_parser parser = {&outer, argp->options, input};
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
