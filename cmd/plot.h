/* SPDX-License-Identifier: MIT */
/* Pictures, drawn by gnuplot. */
#ifndef CMD_PLOT_H
#define CMD_PLOT_H

#include <stdio.h>

#define PLOT_NAME_SHOWN 60 /* characters of a file's name in a picture */

/* Die unless the file's name ends like a kind of picture that can be made. */
void plot_check(const char *path);

/* Begin a picture: gnuplot reads from what is returned. NULL after a message. */
FILE *plot_open(const char *path);

/* End it: 0, or 1 after a message. */
int plot_close(FILE *pipe);

/* A gnuplot string, cut off after @limit characters. */
void plot_quoted(FILE *pipe, const char *text, size_t limit);

/* What follows the last slash. */
const char *plot_base_name(const char *path);

#endif
