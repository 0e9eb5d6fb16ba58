/* SPDX-License-Identifier: MIT */
/* A command line, as people paste it, in words. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/qemu.h"

#define TEXT_MAX (16 * MIB)

/* ---- where the text comes from ---- */

static char *read_stream(FILE *file, struct guest *guest, const char *name, size_t *length)
{
	char *text = guest_alloc(guest, TEXT_MAX + 1);

	*length = fread(text, 1, TEXT_MAX, file);
	if (ferror(file))
		die("%s %s: %s", guest->option, name, strerror(errno));
	if (*length == TEXT_MAX)
		die("%s %s: 16M or more", guest->option, name);
	return text;
}

static char *read_text(struct guest *guest, const char *name, size_t *length)
{
	FILE *file = strcmp(name, "@-") ? fopen(name + 1, "re") : stdin;
	char *text;

	if (!file)
		die("%s %s: %s", guest->option, name, strerror(errno));
	text = read_stream(file, guest, name, length);
	if (file != stdin)
		fclose(file);
	return text;
}

/* ---- splitting ---- */

struct splitter {
	struct words *words;
	struct guest *guest;
	const char *at;
	char *word; /* what there is of it */
	size_t length;
};

static void put(struct splitter *s, char c)
{
	s->word = guest_grow(s->guest, s->word, s->length, 1);
	s->word[s->length++] = c;
}

static void add_word(struct words *words, struct guest *guest, const char *word)
{
	words->word = guest_grow(guest, words->word, words->nr, sizeof(*words->word));
	words->word[words->nr++] = word;
}

/* The end of a word, which may be empty between quotes. */
static void end_word(struct splitter *s, bool quoted)
{
	if (!s->length && !quoted)
		return;
	put(s, '\0');
	add_word(s->words, s->guest, s->word);
	s->word = NULL;
	s->length = 0;
}

static void end_command(struct splitter *s)
{
	if (s->words->nr && s->words->word[s->words->nr - 1])
		add_word(s->words, s->guest, NULL);
}

static void copy_quoted(struct splitter *s, char quote)
{
	const char *start = s->at++;

	for (; *s->at != quote; s->at++) {
		if (!*s->at)
			die("%s: the quote that begins %.20s... is not closed", s->guest->option,
			    start);
		if (quote == '"' && *s->at == '\\' && s->at[1] && strchr("\\\"$`\n", s->at[1])) {
			if (*++s->at == '\n')
				continue;
		}
		put(s, *s->at);
	}
	s->at++;
}

/* JSON whose quotes no shell has taken away, as ps(1) shows it: up to its last brace. */
static void copy_json(struct splitter *s)
{
	const char *start = s->at;
	unsigned int depth = 0;
	bool string = false;

	for (; *s->at; s->at++) {
		char c = *s->at;

		put(s, c);
		if (c == '\\' && string && s->at[1])
			put(s, *++s->at);
		else if (c == '"')
			string = !string;
		else if (!string && c == '{')
			depth++;
		else if (!string && c == '}' && !--depth)
			break;
	}
	if (!*s->at)
		die("%s: the brace that begins %.20s... is not closed", s->guest->option, start);
	s->at++;
}

static const char *skip_blanks(const char *at)
{
	return at + strspn(at, " \t\r");
}

/*
 * A line's end ends a command, unless the next line goes on with an option: then
 * only its backslash is missing.
 */
static void end_line(struct splitter *s)
{
	const char *next = s->at + strspn(s->at, " \t\r\n");

	if (*next != '-')
		end_command(s);
	s->at++;
}

/* One piece of the text; returns whether it was quoted, so that it counts though empty. */
static bool split_one(struct splitter *s, bool quoted)
{
	switch (*s->at) {
	case ' ':
	case '\t':
	case '\r':
	case '\n':
	case ';':
	case '|':
	case '&':
		end_word(s, quoted);
		if (*s->at == '\n')
			end_line(s);
		else if (strchr(";|&", *s->at++))
			end_command(s);
		s->at = skip_blanks(s->at);
		return false;
	case '\'':
	case '"':
		copy_quoted(s, *s->at);
		return true;
	case '\\':
		if (s->at[1] == '\r' && s->at[2] == '\n')
			s->at++;
		if (s->at[1] && s->at[1] != '\n')
			put(s, s->at[1]);
		s->at += s->at[1] ? 2 : 1;
		return quoted;
	case '#':
		if (!s->length && !quoted) {
			s->at += strcspn(s->at, "\n");
			return false;
		}
		break;
	case '{':
		if (!s->length && !quoted && s->at[1] == '"') {
			copy_json(s);
			return true;
		}
		break;
	}
	put(s, *s->at++);
	return quoted;
}

void words_split(struct words *words, struct guest *guest, const char *text)
{
	struct splitter s = {.words = words, .guest = guest};
	size_t length = strlen(text);
	bool quoted = false;

	if (*text == '@')
		text = read_text(guest, text, &length);
	if (memchr(text, '\0', length)) {
		/* Words of a process, each with its NUL. */
		for (size_t at = 0; at < length; at += strlen(text + at) + 1)
			add_word(words, guest, text + at);
		return;
	}
	s.at = skip_blanks(text);
	while (*s.at)
		quoted = split_one(&s, quoted);
	end_word(&s, quoted);
}
