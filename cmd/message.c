/* SPDX-License-Identifier: MIT */
/*
 * Messages of one line. What comes from a file name or an argument may hold anything:
 * nothing of it starts a new line or reaches the terminal as a control sequence.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "cmd/cmd.h"
#include "cmd/progress.h"

#define NAMES 4 /* that one message may hold */

/* The bytes of the character at @text, 0 when it cannot be printed as it is. */
static size_t printable(const char *text, mbstate_t *state)
{
	wchar_t wide;
	size_t bytes = mbrtowc(&wide, text, strlen(text), state);

	if (bytes != 0 && bytes <= MB_LEN_MAX && iswprint((wint_t)wide))
		return bytes;
	memset(state, 0, sizeof(*state));
	return 0;
}

/* As the shell reads it between $' and '. */
static void put_escaped(FILE *to, unsigned char byte)
{
	static const char named[] = "\a\b\t\n\v\f\r", letters[] = "abtnvfr";
	const char *found = memchr(named, byte, sizeof(named) - 1);

	if (found)
		fprintf(to, "\\%c", letters[found - named]);
	else
		fprintf(to, "\\%03o", byte);
}

static void put_text(FILE *to, const char *text, const char *escaped_too)
{
	mbstate_t state = {0};

	while (*text) {
		size_t bytes = printable(text, &state);

		if (bytes == 1 && strchr(escaped_too, *text))
			fputc('\\', to);
		if (bytes)
			fwrite(text, 1, bytes, to);
		else
			put_escaped(to, (unsigned char)*text);
		text += bytes ? bytes : 1;
	}
}

static bool is_printable(const char *text)
{
	mbstate_t state = {0};
	size_t bytes;

	for (; *text; text += bytes) {
		bytes = printable(text, &state);
		if (!bytes)
			return false;
	}
	return true;
}

const char *quoted(const char *name)
{
	static char *names[NAMES];
	static unsigned int next;
	char **slot = &names[next++ % NAMES];
	size_t size;
	FILE *to;

	if (!*name)
		return "''";
	if (is_printable(name))
		return name;
	free(*slot);
	*slot = NULL;
	to = open_memstream(slot, &size);
	if (!to)
		return "?";
	fputs("$'", to);
	put_text(to, name, "'\\");
	fputc('\'', to);
	if (fclose(to))
		return "?";
	return *slot;
}

static void complain_args(const char *format, va_list args)
{
	char *line;

	progress_clear();
	fflush(stdout);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	if (vasprintf(&line, format, args) < 0) {
		fputs("out of memory\n", stderr);
		return;
	}
	put_text(stderr, line, "");
	fputc('\n', stderr);
	free(line);
}

void complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain_args(format, args);
	va_end(args);
}

void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain_args(format, args);
	va_end(args);
	exit(CMD_BAD_INPUT);
}

void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain_args(format, args);
	va_end(args);
	exit(CMD_FAILED);
}

void leave(int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain_args(format, args);
	va_end(args);
	exit(status);
}

void out_of_memory(void)
{
	fail("out of memory");
}
