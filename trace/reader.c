/* SPDX-License-Identifier: MIT */
/*
 * One buffer holds what is read but not yet returned. A line that does not end within
 * TRACE_LINE_MAX bytes is cut there and the rest of it is skipped. So the buffer is all
 * the memory that any trace takes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trace/filter.h"
#include "trace/reader.h"

#define BLOCK_SIZE  ((size_t)1 << 20)
#define BUFFER_SIZE (BLOCK_SIZE + TRACE_LINE_MAX)

struct trace_reader {
	int fd;   /* the input */
	int data; /* its decompressed text: the same descriptor, or the filter's */
	struct trace_filter filter;
	bool ended;      /* there is no more data */
	bool skipping;   /* the rest of a line that was too long */
	uint64_t number; /* of the line returned last */
	uint64_t file_size;
	size_t at;     /* the next line */
	size_t filled; /* bytes in @buffer */
	char why[256];
	char buffer[BUFFER_SIZE];
};

static int open_file(struct trace_reader *reader, const char *path)
{
	struct stat st;

	reader->fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	if (reader->fd < 0 || fstat(reader->fd, &st))
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (S_ISREG(st.st_mode))
		reader->file_size = (uint64_t)st.st_size;
	return 0;
}

/* Read until @want bytes are there, or the input ends. 0 or a negative errno. */
static int read_up_to(struct trace_reader *reader, size_t want)
{
	while (reader->filled < want) {
		ssize_t n = read(reader->data, reader->buffer + reader->filled,
				 BUFFER_SIZE - reader->filled);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		reader->filled += (size_t)n;
	}
	return 0;
}

/* Insert the decompressing program, if the input is compressed. */
static int open_filter(struct trace_reader *reader)
{
	int rc;

	reader->data = reader->fd;
	rc = read_up_to(reader, TRACE_MAGIC_MAX);
	if (rc)
		return rc;
	rc = trace_filter_start(&reader->filter, reader->fd, reader->buffer, reader->filled);
	if (rc < 0)
		return rc;
	reader->data = rc;
	if (rc != reader->fd)
		reader->filled = 0;
	return 0;
}

struct trace_reader *trace_reader_open(const char *path, char *why, size_t why_size)
{
	struct trace_reader *reader = malloc(sizeof(*reader));
	int rc;

	if (!reader) {
		snprintf(why, why_size, "%s", strerror(ENOMEM));
		return NULL;
	}
	memset(reader, 0, offsetof(struct trace_reader, buffer));
	reader->fd = reader->data = -1;
	rc = open_file(reader, path);
	if (!rc)
		rc = open_filter(reader);
	if (!rc)
		return reader;
	if (reader->filter.program)
		snprintf(why, why_size, "cannot run %s: %s", reader->filter.program,
			 rc == -ENOENT ? "it is not installed" : strerror(-rc));
	else
		snprintf(why, why_size, "%s", strerror(-rc));
	trace_reader_close(reader);
	return NULL;
}

void trace_reader_close(struct trace_reader *reader)
{
	if (reader->data >= 0 && reader->data != reader->fd)
		close(reader->data);
	trace_filter_end(&reader->filter, false);
	if (reader->fd >= 0)
		close(reader->fd);
	free(reader);
}

/* Move the rest to the front of the buffer and read after it. Returns as next() does. */
static int fill(struct trace_reader *reader)
{
	size_t left = reader->filled - reader->at;
	int rc;

	memmove(reader->buffer, reader->buffer + reader->at, left);
	reader->at = 0;
	reader->filled = left;
	if (reader->ended)
		return 0;
	rc = read_up_to(reader, left + 1);
	if (!rc && reader->filled > left)
		return 1;
	reader->ended = true;
	if (!rc && !trace_filter_end(&reader->filter, true))
		return 0;
	if (rc)
		snprintf(reader->why, sizeof(reader->why), "%s", strerror(-rc));
	else
		snprintf(reader->why, sizeof(reader->why), "%s: truncated or damaged",
			 reader->filter.program);
	return -1;
}

/* Return a line of @length bytes; the next line begins @skip bytes after it. */
static int give(struct trace_reader *reader, struct trace_line *line, size_t length, size_t skip)
{
	line->text = reader->buffer + reader->at;
	line->length = length;
	line->number = ++reader->number;
	line->too_long = length > TRACE_LINE_MAX;
	if (line->too_long)
		line->length = TRACE_LINE_MAX;
	reader->at += length + skip;
	return 1;
}

/* Skip the rest of a line that was cut. */
static int skip_line(struct trace_reader *reader)
{
	char *newline;
	int rc;

	for (;;) {
		newline = memchr(reader->buffer + reader->at, '\n', reader->filled - reader->at);
		if (newline)
			break;
		reader->at = reader->filled;
		rc = fill(reader);
		if (rc <= 0)
			return rc;
	}
	reader->at = (size_t)(newline + 1 - reader->buffer);
	reader->skipping = false;
	return 1;
}

int trace_reader_next(struct trace_reader *reader, struct trace_line *line)
{
	const char *start, *newline;
	size_t left;
	int rc;

	if (reader->skipping) {
		rc = skip_line(reader);
		if (rc <= 0)
			return rc;
	}
	for (;;) {
		start = reader->buffer + reader->at;
		left = reader->filled - reader->at;
		newline = memchr(start, '\n', left);
		if (newline)
			return give(reader, line, (size_t)(newline - start), 1);
		if (left > TRACE_LINE_MAX) {
			reader->skipping = true;
			return give(reader, line, left, 0);
		}
		rc = fill(reader);
		if (rc < 0)
			return rc;
		if (rc == 0)
			return left ? give(reader, line, left, 0) : 0;
	}
}

const char *trace_reader_error(const struct trace_reader *reader)
{
	return reader->why;
}

double trace_reader_progress(const struct trace_reader *reader)
{
	if (!reader->file_size)
		return -1;
	/* The filter reads from the same open file. */
	return (double)lseek(reader->fd, 0, SEEK_CUR) / (double)reader->file_size;
}
