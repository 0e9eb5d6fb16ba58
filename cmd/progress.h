/* SPDX-License-Identifier: MIT */
/* A progress bar on stderr, for work that takes long; on a terminal only. */
#ifndef CMD_PROGRESS_H
#define CMD_PROGRESS_H

#include <stdint.h>

/*
 * So far @done, 0 to 1 or less than 0 for unknown, and @count of @what. May be called as
 * often as one likes: shown first after half a second, then ten times a second.
 */
void progress_show(double done, uint64_t count, const char *what);

/* Take the bar away, for lines that follow. */
void progress_clear(void);

#endif
