/* SPDX-License-Identifier: MIT */
/*
 * The timeline as a picture, drawn by gnuplot: what is mapped above, and below
 * on the same seconds the tables for it, live and as a kernel would hold them
 * that never frees one.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>

#include "cmd/cmd.h"
#include "cmd/replay.h"

#define MAPPED_COLOR   "#3b7dbd"
#define TABLES_COLOR   "#2e9e6b"
#define STRANDED_COLOR "#d1495b"
#define BUDGET_COLOR   "#555555"
#define NAME_SHOWN     60

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), tail = strlen(end);

	return length > tail && !strcasecmp(text + length - tail, end);
}

void replay_plot_check(const char *path)
{
	if (!ends_with(path, ".svg") && !ends_with(path, ".png"))
		die("--plot: '%s' ends neither in .svg nor in .png", path);
	if (strchr(path, '\n'))
		die("--plot: a file name with a line break in it");
}

/* A gnuplot string in single quotes, in which only they need care. */
static void print_quoted(FILE *pipe, const char *text, size_t limit)
{
	fputc('\'', pipe);
	for (size_t i = 0; text[i] && i < limit; i++) {
		if (text[i] == '\'')
			fputc('\'', pipe);
		fputc((unsigned char)text[i] < ' ' && limit != SIZE_MAX ? '?' : text[i], pipe);
	}
	fputc('\'', pipe);
}

/* The unit for an axis that goes up to @most bytes. */
struct unit {
	const char *name;
	double bytes;
};

static struct unit choose_unit(uint64_t most)
{
	static const struct unit units[] = {
		{"KiB", 1024.0},
		{"MiB", 1048576.0},
		{"GiB", 1073741824.0},
		{"TiB", 1099511627776.0},
	};
	size_t i = 0;

	while (i < 3 && (double)most >= 2 * units[i + 1].bytes)
		i++;
	return units[i];
}

static const char *base_name(const char *path)
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
	print_quoted(pipe, path, SIZE_MAX);
	fputc('\n', pipe);
}

static void print_data(FILE *pipe, const struct timeline_row *rows, size_t nr, uint64_t start)
{
	fputs("$rows << END\n", pipe);
	for (size_t i = 0; i < nr; i++)
		fprintf(pipe, "%.9f %llu %llu %llu\n",
			(double)(int64_t)(rows[i].time - start) / 1e9,
			(unsigned long long)rows[i].mapped_bytes,
			(unsigned long long)rows[i].table_bytes,
			(unsigned long long)(rows[i].table_bytes + rows[i].stranded_bytes));
	fputs("END\n", pipe);
}

static void print_frame(FILE *pipe, const struct replay_args *args,
			const struct replay_report *report)
{
	double span = (double)(report->time_last - report->time_first) / 1e9;

	fprintf(pipe, "set multiplot\n"
		      "set border 3 linecolor '#666666'\n"
		      "set tics nomirror out textcolor '#333333'\n"
		      "set grid ytics xtics linecolor '#e4e4e4' linetype 1 linewidth 0.6\n"
		      "set lmargin at screen 0.085\nset rmargin at screen 0.975\n");
	fprintf(pipe,
		"set xrange [0:%.9f]\nset key outside above horizontal left reverse "
		"Left samplen 2.5 textcolor '#333333'\n",
		span > 0 ? span : 1.0);
	fputs("set label 1 ", pipe);
	print_quoted(pipe, base_name(args->trace_name), NAME_SHOWN);
	fputs(" at screen 0.02,0.965 left noenhanced font ',20' textcolor '#222222'\n", pipe);
	fprintf(pipe,
		"set label 2 '%llu events, %u domain%s, replayed on %s with %u bits' at screen "
		"0.02,0.925 left noenhanced textcolor '#666666'\n",
		(unsigned long long)(report->maps + report->unmaps), report->domains,
		report->domains == 1 ? "" : "s", args->format->name, report->address_width);
}

static void print_mapped(FILE *pipe, const struct replay_report *report)
{
	struct unit unit = choose_unit(report->mapped_peak);

	fprintf(pipe,
		"set tmargin at screen 0.83\nset bmargin at screen 0.53\n"
		"set format x ''\nset ylabel '%s' offset 1,0\n"
		"set yrange [0:%.6f]\n"
		"plot $rows using 1:($2/%.1f) with fillsteps fillstyle solid 0.35 noborder "
		"linecolor '" MAPPED_COLOR "' title 'mapped by devices', "
		"'' using 1:($2/%.1f) with steps linewidth 1.2 linecolor '" MAPPED_COLOR
		"' notitle\nunset label 1\nunset label 2\n",
		unit.name,
		(double)(report->mapped_peak ? report->mapped_peak : 1) / unit.bytes * 1.06,
		unit.bytes, unit.bytes);
}

static void print_budget(FILE *pipe, const struct replay_args *args, struct unit unit)
{
	if (args->memory_max != UINT64_MAX)
		fprintf(pipe,
			", %.6f with lines dashtype 2 linewidth 1.5 linecolor '" BUDGET_COLOR
			"' title 'budget'",
			(double)args->memory_max / unit.bytes);
}

static void print_tables(FILE *pipe, const struct replay_args *args,
			 const struct replay_report *report)
{
	uint64_t most = report->never_freed.bytes ? report->never_freed.bytes : 1;
	struct unit unit = choose_unit(most);

	fprintf(pipe,
		"set tmargin at screen 0.42\nset bmargin at screen 0.10\n"
		"set format x '%%g'\nset xlabel 'seconds since the first event'\n"
		"set ylabel '%s' offset 1,0\nset yrange [0:%.6f]\n"
		"plot $rows using 1:($3/%.1f) with fillsteps fillstyle solid 0.4 noborder "
		"linecolor '" TABLES_COLOR "' title 'I/O page tables', "
		"'' using 1:($3/%.1f) with steps linewidth 1.2 linecolor '" TABLES_COLOR
		"' notitle, "
		"'' using 1:($4/%.1f) with steps linewidth 2.2 linecolor '" STRANDED_COLOR
		"' title 'if empty tables were never freed'",
		unit.name, (double)most / unit.bytes * 1.08, unit.bytes, unit.bytes, unit.bytes);
	print_budget(pipe, args, unit);
	fputs("\nunset multiplot\n", pipe);
}

static int explain_status(int status)
{
	if (status == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		fprintf(stderr, "%s: --plot needs gnuplot, which is not installed\n",
			program_invocation_short_name);
	else
		fprintf(stderr, "%s: --plot: gnuplot failed\n", program_invocation_short_name);
	return 1;
}

int replay_plot(const struct replay_args *args, const struct replay_report *report,
		const struct timeline_row *rows, size_t nr)
{
	void (*old)(int) = signal(SIGPIPE, SIG_IGN);
	FILE *pipe;
	int status;

	/* gnuplot tells of an output that it cannot write, but then goes on. */
	pipe = fopen(args->plot, "w");
	if (!pipe) {
		fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, args->plot,
			strerror(errno));
		return 1;
	}
	fclose(pipe);
	pipe = popen("gnuplot", "w");
	if (!pipe) {
		fprintf(stderr, "%s: --plot: %s\n", program_invocation_short_name, strerror(errno));
		return 1;
	}
	print_output(pipe, args->plot);
	print_data(pipe, rows, nr, report->time_first);
	print_frame(pipe, args, report);
	print_mapped(pipe, report);
	print_tables(pipe, args, report);
	status = pclose(pipe);
	signal(SIGPIPE, old);
	return explain_status(status);
}
