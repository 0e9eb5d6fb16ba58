/* SPDX-License-Identifier: MIT */
/*
 * What the library writes to stderr, caught for a test.
 */
#ifndef TESTS_CAPTURE_H
#define TESTS_CAPTURE_H

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct capture {
	int saved;
	FILE *file;
	char text[4096];
};

static inline void capture_begin(struct capture *capture)
{
	fflush(stderr);
	capture->saved = dup(STDERR_FILENO);
	capture->file = tmpfile();
	dup2(fileno(capture->file), STDERR_FILENO);
}

/* Returns the text, valid as long as @capture. */
static inline const char *capture_end(struct capture *capture)
{
	size_t length;

	fflush(stderr);
	dup2(capture->saved, STDERR_FILENO);
	close(capture->saved);
	rewind(capture->file);
	length = fread(capture->text, 1, sizeof(capture->text) - 1, capture->file);
	capture->text[length] = '\0';
	fclose(capture->file);
	return capture->text;
}

static inline unsigned int capture_lines(const char *text)
{
	unsigned int lines = 0;

	while ((text = strchr(text, '\n'))) {
		lines++;
		text++;
	}
	return lines;
}

#endif
