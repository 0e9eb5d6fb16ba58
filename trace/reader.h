/* SPDX-License-Identifier: MIT */
/*
 * The lines of a trace: a plain or compressed file, or standard input, read as a stream
 * in a constant amount of memory.
 */
#ifndef TRACE_READER_H
#define TRACE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest line that is returned; those of the kernel are below 4 KiB. */
#define TRACE_LINE_MAX 65536

struct trace_reader;

/*
 * @text is not NUL-terminated and valid until the next call. @too_long: the line had
 * more than TRACE_LINE_MAX bytes, and these are its first.
 */
struct trace_line {
	const char *text;
	size_t length;
	uint64_t number; /* from 1 */
	bool too_long;
};

/*
 * Open @path, "-" for standard input. gzip, bzip2, xz, zstd and lz4 are
 * recognised by their content, and read by the programs of those names. NULL on
 * failure; the reason is then at @why, which holds @why_size bytes.
 */
struct trace_reader *trace_reader_open(const char *path, char *why, size_t why_size);
void trace_reader_close(struct trace_reader *reader);

/*
 * Get the next line. Returns 1; 0 at the end; -1 when the input cannot be read, for
 * which trace_reader_error() has the reason.
 */
int trace_reader_next(struct trace_reader *reader, struct trace_line *line);
const char *trace_reader_error(const struct trace_reader *reader);

/* How much of the input was read, from 0 to 1; negative when its size is unknown. */
double trace_reader_progress(const struct trace_reader *reader);

#endif
