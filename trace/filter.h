/* SPDX-License-Identifier: MIT */
/*
 * Compressed input, decompressed by the program for its format: a library that reads
 * all formats takes longer to load than most traces take to replay.
 */
#ifndef TRACE_FILTER_H
#define TRACE_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Bytes at the start of the input that tell a format. */
#define TRACE_MAGIC_MAX 6

struct trace_filter {
	const char *program;
	pid_t child;  /* the program, or 0 */
	pid_t feeder; /* the process that writes the input of a pipe to it, or 0 */
};

/*
 * If @magic, the first @length bytes of @fd, begin a compressed stream, start its
 * program. Returns the descriptor of the program's output, with @fd still owned by the
 * caller; @fd itself if the input is not compressed; or a negative errno.
 */
int trace_filter_start(struct trace_filter *filter, int fd, const char *magic, size_t length);

/*
 * Wait for the program, or stop it if its output was not @finished. Returns 0, or -1 if
 * the program failed.
 */
int trace_filter_end(struct trace_filter *filter, bool finished);

#endif
