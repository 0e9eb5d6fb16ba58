/* SPDX-License-Identifier: MIT */
/*
 * The files that commands write. A new file is written beside the old one and replaces it
 * when it is complete: a command that fails leaves the old file unchanged, and no other
 * file. An empty file is written in place, since another process may have it open for
 * reading, and is empty again after a failure. Pipes, devices and open files such as
 * /dev/stdout are written in place, too.
 */
#ifndef CMD_OUTPUT_H
#define CMD_OUTPUT_H

#include <stdint.h>
#include <stdio.h>

struct output;

/*
 * Begin to write @path, the argument of @option. Exits with CMD_FAILED and one line on
 * failure: commands call this before anything that takes long.
 */
struct output *output_open(const char *option, const char *path);

/* Where to write. It has no descriptor; what fails is told by output_finish(). */
FILE *output_stream(struct output *output);

/* The descriptor below it. */
int output_fd(const struct output *output);

/* Refuse @bytes more when there is no place for them: one line, and CMD_FAILED. */
void output_reserve(struct output *output, uint64_t bytes);

/* Forget what was written, as far as it is not gone already. */
void output_restart(struct output *output);

/* @error is why something else could not write to the file; 0 for nothing. */
void output_failed(struct output *output, int error);

/* Put the file in its place, and free @output: 0, or CMD_FAILED after one line. */
int output_finish(struct output *output);

#endif
