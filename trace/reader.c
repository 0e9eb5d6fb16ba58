/* SPDX-License-Identifier: MIT */
/*
 * One buffer holds what is read but not yet handed out. A line that does not
 * end within TRACE_LINE_MAX bytes is cut there and the rest of it skipped, so
 * the buffer is all that a trace of any shape takes.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trace/reader.h"

#define BLOCK_SIZE  ((size_t)1 << 20)
#define BUFFER_SIZE (BLOCK_SIZE + TRACE_LINE_MAX)

struct trace_reader {
	struct archive *archive;
	int fd;
	bool ended;      /* the archive has no more data */
	bool skipping;   /* the rest of a line that was too long */
	uint64_t number; /* of the last line handed out */
	uint64_t file_size;
	size_t at;     /* the next line */
	size_t filled; /* bytes in @buffer */
	char why[256];
	char buffer[BUFFER_SIZE];
};

static const char *archive_why(const struct trace_reader *reader)
{
	const char *why = reader->archive ? archive_error_string(reader->archive) : NULL;

	return why ? why : "cannot be read";
}

static int open_archive(struct trace_reader *reader)
{
	struct archive_entry *entry;
	int rc;

	reader->archive = archive_read_new();
	if (!reader->archive)
		return -1;
	archive_read_support_filter_gzip(reader->archive);
	archive_read_support_filter_bzip2(reader->archive);
	archive_read_support_filter_xz(reader->archive);
	archive_read_support_filter_lzma(reader->archive);
	archive_read_support_filter_zstd(reader->archive);
	archive_read_support_filter_lz4(reader->archive);
	archive_read_support_format_raw(reader->archive);
	archive_read_support_format_empty(reader->archive);
	if (archive_read_open_fd(reader->archive, reader->fd, BLOCK_SIZE) != ARCHIVE_OK)
		return -1;
	rc = archive_read_next_header(reader->archive, &entry);
	if (rc == ARCHIVE_EOF)
		reader->ended = true;
	return rc == ARCHIVE_OK || rc == ARCHIVE_EOF ? 0 : -1;
}

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

struct trace_reader *trace_reader_open(const char *path, char *why, size_t why_size)
{
	struct trace_reader *reader = malloc(sizeof(*reader));
	int rc;

	if (!reader) {
		snprintf(why, why_size, "%s", strerror(ENOMEM));
		return NULL;
	}
	memset(reader, 0, offsetof(struct trace_reader, buffer));
	rc = open_file(reader, path);
	if (rc) {
		snprintf(why, why_size, "%s", strerror(-rc));
		goto close_reader;
	}
	if (open_archive(reader)) {
		snprintf(why, why_size, "%s", archive_why(reader));
		goto close_reader;
	}
	return reader;

close_reader:
	trace_reader_close(reader);
	return NULL;
}

void trace_reader_close(struct trace_reader *reader)
{
	if (reader->archive)
		archive_read_free(reader->archive);
	if (reader->fd >= 0)
		close(reader->fd);
	free(reader);
}

/* Move what is left to the front and read behind it. Returns as next() does. */
static int fill(struct trace_reader *reader)
{
	size_t left = reader->filled - reader->at;
	la_ssize_t n;

	memmove(reader->buffer, reader->buffer + reader->at, left);
	reader->at = 0;
	reader->filled = left;
	if (reader->ended)
		return 0;
	n = archive_read_data(reader->archive, reader->buffer + left, BUFFER_SIZE - left);
	if (n < 0) {
		snprintf(reader->why, sizeof(reader->why), "%s", archive_why(reader));
		reader->ended = true;
		return -1;
	}
	if (n == 0)
		reader->ended = true;
	reader->filled += (size_t)n;
	return n > 0;
}

/* Hand out @length bytes; the next line begins @skip bytes behind them. */
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

/* Forget the rest of a line that was cut. */
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
	return (double)archive_filter_bytes(reader->archive, -1) / (double)reader->file_size;
}
