/* SPDX-License-Identifier: MIT */
#include "cmd/progress.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd/cmd.h"

#define BAR_WIDTH 40

static double now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Nothing for the first half second, then ten times a second. */
static bool is_due(void)
{
	static double due;
	double now = now_seconds();

	if (due == 0)
		due = now + 0.5;
	if (now < due)
		return false;
	due = now + 0.1;
	return true;
}

static bool bar_shown;

void progress_show(double done, uint64_t count, const char *what)
{
	char bar[BAR_WIDTH + 1], text[COUNT_TEXT];
	int filled;

	if (!isatty(STDERR_FILENO) || !is_due())
		return;
	bar_shown = true;
	format_count(count, text);
	if (done < 0) {
		fprintf(stderr, "\r\033[K%s %s", text, what);
		return;
	}
	filled = (int)(BAR_WIDTH * (done < 1 ? done : 1));
	memset(bar, ' ', BAR_WIDTH);
	memset(bar, '=', (size_t)filled);
	bar[BAR_WIDTH] = '\0';
	fprintf(stderr, "\r\033[K[%s] %3.0f %%  %s %s", bar, done * 100, text, what);
}

void progress_clear(void)
{
	if (bar_shown)
		fputs("\r\033[K", stderr);
	bar_shown = false;
}
