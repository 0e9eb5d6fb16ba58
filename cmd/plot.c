/* SPDX-License-Identifier: MIT */
/* What pictures have in common: the file, and gnuplot at the end of a pipe. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>

#include "cmd/cmd.h"
#include "cmd/plot.h"

static void (*old_sigpipe)(int);

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), tail = strlen(end);

	return length > tail && !strcasecmp(text + length - tail, end);
}

void plot_check(const char *path)
{
	if (!ends_with(path, ".svg") && !ends_with(path, ".png"))
		die("--plot: '%s' ends neither in .svg nor in .png", path);
	if (strchr(path, '\n'))
		die("--plot: a file name with a line break in it");
}

/* A gnuplot string in single quotes, in which only they need care. */
void plot_quoted(FILE *pipe, const char *text, size_t limit)
{
	fputc('\'', pipe);
	for (size_t i = 0; text[i] && i < limit; i++) {
		if (text[i] == '\'')
			fputc('\'', pipe);
		fputc((unsigned char)text[i] < ' ' && limit != SIZE_MAX ? '?' : text[i], pipe);
	}
	fputc('\'', pipe);
}

const char *plot_base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void print_output(FILE *pipe, const char *path)
{
	fprintf(pipe, ends_with(path, ".svg")
			      ? "set terminal svg size 1100,680 dynamic font 'sans-serif,15' "
				"background '#ffffff'\n"
			      : "set terminal pngcairo size 1650,1020 font 'sans-serif,17' "
				"background '#ffffff' linewidth 1.5\n");
	fputs("set output ", pipe);
	plot_quoted(pipe, path, SIZE_MAX);
	fputc('\n', pipe);
}

FILE *plot_open(const char *path)
{
	FILE *pipe;

	/* gnuplot tells of an output that it cannot write, but then goes on. */
	pipe = fopen(path, "w");
	if (!pipe) {
		fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, path,
			strerror(errno));
		return NULL;
	}
	fclose(pipe);
	old_sigpipe = signal(SIGPIPE, SIG_IGN);
	pipe = popen("gnuplot", "w");
	if (!pipe) {
		fprintf(stderr, "%s: --plot: %s\n", program_invocation_short_name, strerror(errno));
		signal(SIGPIPE, old_sigpipe);
		return NULL;
	}
	print_output(pipe, path);
	return pipe;
}

int plot_close(FILE *pipe)
{
	int status = pclose(pipe);

	signal(SIGPIPE, old_sigpipe);
	if (status == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		fprintf(stderr, "%s: --plot needs gnuplot, which is not installed\n",
			program_invocation_short_name);
	else
		fprintf(stderr, "%s: --plot: gnuplot failed\n", program_invocation_short_name);
	return 1;
}
