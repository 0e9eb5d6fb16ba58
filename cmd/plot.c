/* SPDX-License-Identifier: MIT */
/* What pictures have in common: the file, and gnuplot, which draws it. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/plot.h"

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), tail = strlen(end);

	return length > tail && !strcasecmp(text + length - tail, end);
}

void plot_check(const char *path)
{
	if (!ends_with(path, ".svg") && !ends_with(path, ".png"))
		die("--plot: %s: ends neither in .svg nor in .png", quoted(path));
}

/* A gnuplot string in single quotes, in which only they need care. */
void plot_quoted(FILE *pipe, const char *text, size_t limit)
{
	fputc('\'', pipe);
	for (size_t i = 0; text[i] && i < limit; i++) {
		if (text[i] == '\'')
			fputc('\'', pipe);
		fputc((unsigned char)text[i] < ' ' ? '?' : text[i], pipe);
	}
	fputc('\'', pipe);
}

const char *plot_base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void print_terminal(FILE *pipe, const char *path)
{
	fprintf(pipe, ends_with(path, ".svg")
			      ? "set terminal svg size 1100,680 dynamic font 'sans-serif,15' "
				"background '#ffffff'\n"
			      : "set terminal pngcairo size 1650,1020 font 'sans-serif,17' "
				"background '#ffffff' linewidth 1.5\n");
}

/*
 * gnuplot looks at no error of what it writes, so that it writes into memory. It reads
 * commands from @commands.
 */
static int start_gnuplot(struct plot *plot, int commands)
{
	char *const argv[] = {(char *)"gnuplot", NULL};
	posix_spawn_file_actions_t actions;
	int error = posix_spawn_file_actions_init(&actions);

	if (error)
		return error;
	error = posix_spawn_file_actions_adddup2(&actions, commands, STDIN_FILENO);
	if (!error)
		error = posix_spawn_file_actions_adddup2(&actions, plot->picture, STDOUT_FILENO);
	if (!error)
		error = posix_spawnp(&plot->pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

static int open_pipe(struct plot *plot)
{
	int ends[2], error;

	plot->picture = memfd_create("uiommu-plot", MFD_CLOEXEC);
	if (plot->picture < 0)
		return errno;
	if (pipe2(ends, O_CLOEXEC))
		return errno;
	error = start_gnuplot(plot, ends[0]);
	close(ends[0]);
	plot->pipe = error ? NULL : fdopen(ends[1], "w");
	if (!plot->pipe)
		close(ends[1]);
	return error ? error : plot->pipe ? 0 : errno;
}

FILE *plot_open(struct plot *plot, struct output *output, const char *path)
{
	int error;

	*plot = (struct plot){.output = output, .pid = -1, .picture = -1};
	error = open_pipe(plot);
	if (error == ENOENT)
		fail("--plot: needs gnuplot, which is not installed");
	if (error)
		fail("--plot: gnuplot: %s", strerror(error));
	print_terminal(plot->pipe, path);
	return plot->pipe;
}

/* 0, or an errno of reading. */
static int copy_picture(const struct plot *plot)
{
	FILE *to = output_stream(plot->output);
	char part[65536];
	off_t at = 0;
	ssize_t n;

	while ((n = pread(plot->picture, part, sizeof(part), at)) > 0) {
		fwrite(part, 1, (size_t)n, to);
		at += n;
	}
	return n < 0 ? errno : at ? 0 : ENODATA;
}

int plot_close(struct plot *plot)
{
	int status = 0;

	fclose(plot->pipe);
	while (waitpid(plot->pid, &status, 0) < 0)
		if (errno != EINTR)
			fail("--plot: gnuplot: %s", strerror(errno));
	if (status)
		fail("--plot: gnuplot failed");
	output_failed(plot->output, copy_picture(plot));
	close(plot->picture);
	return output_finish(plot->output);
}
