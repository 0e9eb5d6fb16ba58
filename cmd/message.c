/* SPDX-License-Identifier: MIT */
/*
 * Messages of one line. What comes from a file name or an argument may hold anything:
 * nothing of it starts a new line or reaches the terminal as a control sequence.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "cmd/cmd.h"
#include "cmd/progress.h"

#define NAMES 4 /* that one message may hold */

/* The bytes of a character in UTF-8, 0 when it is none: too long, a surrogate, too high. */
static size_t utf8_bytes(const char *text)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned char first = (unsigned char)*text;
	size_t bytes = first < 0x80   ? 1
		       : first < 0xc0 ? 0
		       : first < 0xe0 ? 2
		       : first < 0xf0 ? 3
				      : 4;
	uint32_t code;

	if (bytes < 2)
		return bytes;
	code = first & (0xff >> (bytes + 1));
	if (first >= 0xf8)
		return 0;
	for (size_t i = 1; i < bytes; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3f);
	}
	return code < least[bytes] || code > 0x10ffff || code >> 11 == 0x1b ? 0 : bytes;
}

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

/* All but ASCII is escaped, so that no locale is asked. */
static char *escape_bytes(const char *text)
{
	char *escaped = NULL;
	size_t size;
	FILE *to = open_memstream(&escaped, &size);

	if (!to)
		out_of_memory();
	fputs("$'", to);
	for (; *text; text++) {
		if (*text < ' ' || *text > '~')
			put_escaped(to, (unsigned char)*text);
		else
			fprintf(to, strchr("'\\", *text) ? "\\%c" : "%c", *text);
	}
	fputc('\'', to);
	if (fclose(to))
		out_of_memory();
	return escaped;
}

char *quoted_utf8(const char *text)
{
	const char *at = text;
	size_t bytes;
	char *copy;

	while (*at && (bytes = utf8_bytes(at)))
		at += bytes;
	if (*at)
		return escape_bytes(text);
	copy = strdup(text);
	if (!copy)
		out_of_memory();
	return copy;
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
