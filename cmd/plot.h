/* SPDX-License-Identifier: MIT */
/* Pictures, drawn by gnuplot. */
#ifndef CMD_PLOT_H
#define CMD_PLOT_H

#include <stdio.h>
#include <sys/types.h>

#include "cmd/output.h"

#define PLOT_NAME_SHOWN 60 /* characters of a file's name in a picture */

/* Die unless the file's name ends like a kind of picture that can be made. */
void plot_check(const char *path);

/* A picture that is being drawn. */
struct plot {
	struct output *output;
	FILE *pipe; /* gnuplot's commands */
	pid_t pid;
	int picture; /* memory, into which gnuplot writes */
};

/*
 * Begin a picture, which goes to @output when it is whole; @path tells which kind. gnuplot
 * reads from what is returned. Exits with one line when there is no gnuplot.
 */
FILE *plot_open(struct plot *plot, struct output *output, const char *path);

/* End it: 0, or 1 after a message. */
int plot_close(struct plot *plot);

/* A gnuplot string, cut off after @limit characters. */
void plot_quoted(FILE *pipe, const char *text, size_t limit);

/* What follows the last slash. */
const char *plot_base_name(const char *path);

#endif
